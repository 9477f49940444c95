//! Eigenvectors of symmetric matrices: the directions in which rows vary most.

use nalgebra::{DMatrix, DVector};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Up to this size, all eigenvectors are found at once.
const WHOLE_MAX: usize = 256;

/// Where more than this share of the eigenvectors is wanted, all are found at once.
const WHOLE_SHARE: usize = 4;

/// Vectors that are carried along beside those that are wanted.
const OVERSAMPLING: usize = 10;

/// Times that the matrix is applied to each vector before the best are chosen anew.
const DEPTH: usize = 3;

/// Times that the best are chosen; the last choice is taken as it is.
const ROUNDS: usize = 60;

/// How far |A·v − λ·v| may be from 0, relative to the largest λ.
const TOLERANCE: f64 = 1e-10;

/// Some eigenvalues and their eigenvectors, the largest first.
#[derive(Debug, Clone)]
pub(crate) struct Eigen {
    pub values: Vec<f64>,
    /// A column each, of length 1; the entry that is furthest from 0 is positive, so that signs do not depend on the way there.
    pub vectors: DMatrix<f64>,
}

/// The `count` largest eigenvalues of a symmetric matrix of finite numbers, and their eigenvectors; all where it has no more.
///
/// # Source
/// Of a large matrix by a block Krylov subspace (Musco and Musco: *Randomized block Krylov methods for stronger and faster approximate
/// singular value decomposition*, 2015), begun anew with the best vectors until they are eigenvectors to ten digits. The same bytes in every run.
pub(crate) fn leading(matrix: DMatrix<f64>, count: usize) -> Eigen {
    let size = matrix.nrows();
    let count = count.min(size);
    let whole = size <= WHOLE_MAX || count * WHOLE_SHARE > size;
    let mut eigen = if whole { all(matrix, count) } else { by_krylov(&matrix, count) };
    for mut vector in eigen.vectors.column_iter_mut() {
        let furthest = vector.iter().fold(0.0_f64, |far, &entry| if entry.abs() > far.abs() { entry } else { far });
        if furthest < 0.0 {
            vector.neg_mut();
        }
    }
    eigen
}

fn all(matrix: DMatrix<f64>, count: usize) -> Eigen {
    let eigen = matrix.symmetric_eigen();
    let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    order.truncate(count);
    let columns: Vec<DVector<f64>> = order.iter().map(|&i| eigen.eigenvectors.column(i).into_owned()).collect();
    Eigen {
        values: order.iter().map(|&i| eigen.eigenvalues[i]).collect(),
        vectors: DMatrix::from_fn(eigen.eigenvectors.nrows(), columns.len(), |row, column| columns[column][row]),
    }
}

fn by_krylov(matrix: &DMatrix<f64>, count: usize) -> Eigen {
    let block = count + OVERSAMPLING;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let start = DMatrix::from_fn(matrix.nrows(), block, |_, _| rng.random::<f64>() - 0.5);
    let mut best = within(matrix, &start, block);
    for _ in 1..ROUNDS {
        if is_settled(matrix, &best, count) {
            break;
        }
        best = within(matrix, &best.vectors, block);
    }
    best.values.truncate(count);
    Eigen { vectors: best.vectors.columns(0, count).into_owned(), values: best.values }
}

/// The best eigenvectors in the space of `start`, A·`start`, A²·`start`, … (Rayleigh and Ritz).
fn within(matrix: &DMatrix<f64>, start: &DMatrix<f64>, count: usize) -> Eigen {
    let (size, block) = (start.nrows(), start.ncols());
    let mut power = start.clone();
    let mut space = DMatrix::zeros(size, block * (DEPTH + 1));
    space.columns_mut(0, block).copy_from(&power);
    for step in 1..=DEPTH {
        power = (matrix * power).qr().q();
        space.columns_mut(step * block, block).copy_from(&power);
    }
    let basis = space.qr().q();
    let seen = basis.transpose() * (matrix * &basis);
    let inner = all((&seen + seen.transpose()) * 0.5, count);
    Eigen { vectors: basis * inner.vectors, values: inner.values }
}

fn is_settled(matrix: &DMatrix<f64>, eigen: &Eigen, count: usize) -> bool {
    let wanted = eigen.vectors.columns(0, count).into_owned();
    let mut left = matrix * &wanted;
    for ((mut left, vector), value) in left.column_iter_mut().zip(wanted.column_iter()).zip(&eigen.values) {
        left.axpy(-value, &vector, 1.0);
    }
    let largest = eigen.values.first().map_or(0.0, |value| value.abs());
    left.column_iter().all(|left| left.norm() <= TOLERANCE * largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix whose variances fall fast, as those of traffic do, with `rank` directions.
    fn covariance(size: usize, rank: usize) -> DMatrix<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let factors = DMatrix::from_fn(size, rank, |_, i| (rng.random::<f64>() - 0.5) * 0.9_f64.powi(i as i32));
        &factors * factors.transpose()
    }

    #[test]
    fn the_largest_of_a_large_matrix_are_those_of_all() {
        for rank in [5, 80, 400] {
            let matrix = covariance(400, rank);
            let (few, whole) = (leading(matrix.clone(), 12), all(matrix, 12));
            for i in 0..12 {
                let tolerance = 1e-9 * whole.values[0];
                assert!((few.values[i] - whole.values[i]).abs() < tolerance, "{rank}, {i}: {:?}", few.values);
                if i < rank {
                    let cosine = few.vectors.column(i).dot(&whole.vectors.column(i)).abs();
                    assert!((cosine - 1.0).abs() < 1e-8, "{rank}, {i}: {cosine}");
                }
            }
            let lengths = few.vectors.tr_mul(&few.vectors);
            assert!((lengths - DMatrix::<f64>::identity(12, 12)).norm() < 1e-9);
        }
    }

    #[test]
    fn signs_do_not_depend_on_the_way_and_more_than_there_are_is_all() {
        let eigen = leading(DMatrix::from_row_slice(2, 2, &[2.0, -1.0, -1.0, 2.0]), 7);
        assert!((eigen.values[0] - 3.0).abs() < 1e-12 && (eigen.values[1] - 1.0).abs() < 1e-12);
        for vector in eigen.vectors.column_iter() {
            assert!(vector[vector.icamax()] > 0.0);
        }
        assert_eq!(leading(DMatrix::zeros(3, 3), 2).values, [0.0, 0.0]);
    }
}
