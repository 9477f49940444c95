//! Gaussian random projection: random directions, independent of the windows, which nearly preserve distances.

use nalgebra::{DMatrix, DVector};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::TrainingWindows;
use super::parameters::{COMPONENTS, SEED, check_count, check_width};
use super::projection::Linear;
use crate::Result;
use crate::error::Fault;
use crate::progress::Progress;

/// Parameters, with the names of scikit-learn's `GaussianRandomProjection`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomProjectionConfig {
    /// Numbers in a code, from 1 to the bytes of a window; default 64.
    pub n_components: usize,
    /// Random seed of the directions; default 1994.
    pub random_state: u64,
}

impl Default for RandomProjectionConfig {
    fn default() -> Self {
        RandomProjectionConfig { n_components: COMPONENTS, random_state: SEED }
    }
}

impl RandomProjectionConfig {
    /// Refuses parameters out of range, by name.
    pub fn check(&self) -> Result<()> {
        check_count("n_components", self.n_components)
    }

    /// Draws a matrix R of normal numbers with the variance 1/k, k the numbers in a code: code = R·window; back by R's pseudoinverse.
    /// Of n windows, all distances are kept to within a share ε, very likely, where k is at least 4·ln n / (ε²/2 − ε³/3).
    ///
    /// # Source
    /// Johnson, Lindenstrauss: *Extensions of Lipschitz mappings into a Hilbert space*, 1984; the bound: Dasgupta, Gupta: *An elementary proof of a
    /// theorem of Johnson and Lindenstrauss*, 2003.
    pub(super) fn fit(&self, windows: &TrainingWindows<'_>, _: &dyn Progress) -> Result<Linear> {
        self.check()?;
        check_width(self.n_components, windows)?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.random_state);
        let deviation = 1.0 / (self.n_components as f64).sqrt();
        let encoder = DMatrix::from_fn(self.n_components, windows.width(), |_, _| deviation * normal(&mut rng));
        let decoder = back(&encoder);
        Ok(Linear::new(DVector::zeros(windows.width()), encoder, decoder))
    }

    pub(super) fn projection(&self, width: usize, numbers: &crate::named_arrays::NamedArrays) -> Result<Linear, Fault> {
        Linear::from_arrays(self.n_components, width, numbers)
    }
}

/// A normal number (Box, Muller 1958).
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (radius, angle) = (1.0 - rng.random::<f64>(), rng.random::<f64>());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// Rᵀ(R·Rᵀ)⁻¹, the pseudoinverse of a matrix whose rows point in different directions.
fn back(encoder: &DMatrix<f64>) -> DMatrix<f64> {
    match (encoder * encoder.transpose()).cholesky() {
        Some(factors) => factors.solve(encoder).transpose(),
        // Drawn rows do not lie in each other's span; should they, the transpose is the best guess.
        None => encoder.transpose(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_the_moments_of_the_normal_distribution() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let numbers: Vec<f64> = (0..100_000).map(|_| normal(&mut rng)).collect();
        let moment = |power: i32| numbers.iter().map(|number| number.powi(power)).sum::<f64>() / 1e5;
        assert!(moment(1).abs() < 0.02 && (moment(2) - 1.0).abs() < 0.02 && (moment(4) - 3.0).abs() < 0.15);
    }

    #[test]
    fn the_way_back_and_forth_is_the_same_code() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let encoder = DMatrix::from_fn(5, 9, |_, _| normal(&mut rng));
        assert!((&encoder * back(&encoder) - DMatrix::<f64>::identity(5, 5)).norm() < 1e-10);
    }
}
