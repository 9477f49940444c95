//! What a fitted method does: windows to codes, and back where it has an inverse.

use std::fmt::Debug;

use nalgebra::{DMatrix, DVector};

use crate::error::Fault;
use crate::named_arrays::NamedArrays;

/// A function from windows to codes.
pub(super) trait Projection: Debug + Send + Sync {
    /// Numbers in a code.
    fn components(&self) -> usize;

    /// The code of each window, a column each; the windows' bytes divided by 255.
    fn codes(&self, windows: &DMatrix<f64>) -> DMatrix<f64>;

    /// The window that each code stands for; `None` without an inverse.
    fn windows(&self, codes: &DMatrix<f64>) -> Option<DMatrix<f64>>;

    /// All that the projection consists of, by name.
    fn numbers(&self) -> NamedArrays;
}

/// code = encoder · (window − mean), window ≈ decoder · code + mean.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Linear {
    mean: DVector<f64>,
    /// A row for each number of the code.
    encoder: DMatrix<f64>,
    /// A column for each number of the code.
    decoder: DMatrix<f64>,
    /// How the search for it ended, where there was one.
    search: Option<Search>,
}

/// How a search by iterations ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Search {
    pub iterations: usize,
    /// False where it stopped before it converged.
    pub converged: bool,
}

impl Linear {
    /// From windows as wide as `mean` to codes of as many numbers as the encoder has rows and the decoder columns.
    pub fn new(mean: DVector<f64>, encoder: DMatrix<f64>, decoder: DMatrix<f64>) -> Linear {
        Linear { mean, encoder, decoder, search: None }
    }

    /// The same with a note on how it was found.
    pub fn found_by(self, search: Search) -> Linear {
        Linear { search: Some(search), ..self }
    }

    /// The projection of these numbers, for windows of `width` bytes and codes of `components` numbers; otherwise, in a few words, what is
    /// wrong with them.
    pub fn from_arrays(components: usize, width: usize, numbers: &NamedArrays) -> Result<Linear, Fault> {
        let matrix = |name| numbers.get(name, &[Some(components), Some(width)]);
        let search = match numbers.get("converged", &[None]) {
            Ok(_) => Some(Search {
                iterations: numbers.scalar("iterations")? as usize,
                converged: numbers.scalar("converged")? != 0.0,
            }),
            Err(_) => None,
        };
        Ok(Linear {
            mean: DVector::from_column_slice(&numbers.get("mean", &[Some(width)])?.values),
            encoder: DMatrix::from_row_slice(components, width, &matrix("encoder")?.values),
            decoder: DMatrix::from_column_slice(width, components, &matrix("decoder")?.values),
            search,
        })
    }
}

impl Projection for Linear {
    fn components(&self) -> usize {
        self.encoder.nrows()
    }

    fn codes(&self, windows: &DMatrix<f64>) -> DMatrix<f64> {
        let mut centred = windows.clone();
        centred.column_iter_mut().for_each(|mut window| window -= &self.mean);
        &self.encoder * centred
    }

    fn windows(&self, codes: &DMatrix<f64>) -> Option<DMatrix<f64>> {
        let mut windows = &self.decoder * codes;
        windows.column_iter_mut().for_each(|mut window| window += &self.mean);
        Some(windows)
    }

    fn numbers(&self) -> NamedArrays {
        let mut numbers = NamedArrays::default();
        let shape = [self.components(), self.mean.len()];
        numbers.put("mean", self.mean.as_slice().to_vec());
        numbers.put_shaped("encoder", &shape, self.encoder.transpose().as_slice().to_vec());
        numbers.put_shaped("decoder", &shape, self.decoder.as_slice().to_vec());
        if let Some(search) = self.search {
            numbers.put("iterations", vec![search.iterations as f64]);
            numbers.put("converged", vec![f64::from(u8::from(search.converged))]);
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_give_the_projection_again() {
        let encoder = DMatrix::from_fn(2, 3, |i, j| (i * 3 + j) as f64);
        let linear = Linear::new(DVector::from_vec(vec![1.0, 2.0, 3.0]), encoder.clone(), encoder.transpose() * 0.5);
        let linear = linear.found_by(Search { iterations: 7, converged: false });
        assert_eq!(Linear::from_arrays(2, 3, &linear.numbers()), Ok(linear.clone()));
        assert!(
            Linear::from_arrays(3, 3, &linear.numbers())
                .unwrap_err()
                .to_string()
                .contains("`encoder` has the shape [2, 3]")
        );
        let codes = linear.codes(&DMatrix::from_column_slice(3, 1, &[2.0, 2.0, 5.0]));
        assert_eq!(codes.as_slice(), [0.0 + 4.0, 3.0 + 10.0]);
    }
}
