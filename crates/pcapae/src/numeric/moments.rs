//! Mean and covariance of rows.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

/// Rows that are multiplied at a time.
const BLOCK: usize = 4096;

/// Mean and covariance of rows, the latter with their number in the denominator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moments {
    pub rows: usize,
    pub mean: DVector<f64>,
    pub covariance: DMatrix<f64>,
    /// Mean over the rows of the squared length of row − mean, squared.
    pub mean_fourth_power: f64,
}

impl Moments {
    /// Of rows of `width` numbers, at least one. The same numbers for any number of threads.
    pub fn of(rows: &[f32], width: usize) -> Moments {
        let count = rows.len() / width;
        let sums: Vec<DVector<f64>> =
            rows.par_chunks(BLOCK * width).map(|block| matrix(block, width).column_sum()).collect();
        let mean = sums.into_iter().fold(DVector::zeros(width), |sum, more| sum + more) / count as f64;
        let products = |block: &[f32]| {
            let centred = centred(block, &mean);
            let fourth: f64 = centred.column_iter().map(|row| row.norm_squared().powi(2)).sum();
            (&centred * centred.transpose(), fourth)
        };
        // Block after block is added in the same order, whoever multiplied it; a few at a time, since each is width × width.
        let (mut covariance, mut fourth) = (DMatrix::zeros(width, width), 0.0);
        for blocks in rows.chunks(16 * BLOCK * width) {
            let parts: Vec<_> = blocks.par_chunks(BLOCK * width).map(products).collect();
            for (product, more) in parts {
                covariance += product;
                fourth += more;
            }
        }
        let mean_fourth_power = fourth / count as f64;
        Moments { rows: count, mean, covariance: covariance / count as f64, mean_fourth_power }
    }
}

/// Rows as the columns of a matrix, less their mean.
pub(crate) fn centred(rows: &[f32], mean: &DVector<f64>) -> DMatrix<f64> {
    let mut columns = matrix(rows, mean.len());
    columns.column_iter_mut().for_each(|mut row| row -= mean);
    columns
}

/// What `tell` makes of the squared numbers of each block of rows, a number a row.
pub(crate) fn of_blocks(rows: &[f32], width: usize, tell: impl Fn(&[f32]) -> Vec<f64> + Sync + Send) -> Vec<f64> {
    rows.par_chunks(BLOCK * width).flat_map_iter(tell).collect()
}

fn matrix(rows: &[f32], width: usize) -> DMatrix<f64> {
    DMatrix::from_iterator(width, rows.len() / width, rows.iter().map(|value| f64::from(*value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_three_rows_by_hand() {
        let moments = Moments::of(&[0.0, 0.0, 2.0, 0.0, 4.0, 3.0], 2);
        assert_eq!(moments.mean.as_slice(), [2.0, 1.0]);
        let expected = [8.0 / 3.0, 2.0, 2.0, 2.0];
        assert!(moments.covariance.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-12));
        assert!((moments.mean_fourth_power - (25.0 + 1.0 + 64.0) / 3.0).abs() < 1e-12);
    }
}
