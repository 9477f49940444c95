//! Mahalanobis distance: how many standard deviations a row is from the mean, in its own direction.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::rows::{rows_of_width, training_rows};
use super::{Detector, Samples};
use crate::Result;
use crate::error::Fault;
use crate::named_arrays::NamedArrays;
use crate::numeric::Parts;
use crate::numeric::{Moments, centred, of_blocks};

/// How the covariance is estimated.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MahalanobisConfig {
    /// Default `ledoit_wolf`.
    pub covariance: CovarianceName,
}

/// An estimate of the covariance from the one of the samples, S.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CovarianceName {
    /// (1 − s)·S + s·μ·I with μ the mean of S's diagonal and the s that is best on average; numbers that never vary do no harm.
    #[default]
    LedoitWolf,
    /// S itself; directions in which nothing varies count for nothing.
    Empirical,
}

impl MahalanobisConfig {
    /// Every configuration is in range.
    pub fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Estimates mean and covariance. Refuses no samples, and numbers that are not finite.
    pub fn fit(&self, samples: &Samples) -> Result<Mahalanobis> {
        let rows = training_rows(samples, 1)?;
        let moments = Moments::of(&rows, samples.width());
        let covariance = match self.covariance {
            CovarianceName::Empirical => moments.covariance.clone(),
            CovarianceName::LedoitWolf => shrunk(&moments),
        };
        Ok(Mahalanobis { precision: inverse(covariance), mean: moments.mean })
    }
}

/// The covariance of Ledoit and Wolf.
fn shrunk(moments: &Moments) -> DMatrix<f64> {
    let s = &moments.covariance;
    let (n, p) = (moments.rows as f64, s.nrows() as f64);
    let mu = s.trace() / p;
    let squares = s.norm_squared();
    let delta = (squares - 2.0 * mu * s.trace() + p * mu * mu) / p;
    let beta = ((moments.mean_fourth_power - squares) / (p * n)).min(delta);
    let shrinkage = if s.nrows() == 1 || beta <= 0.0 { 0.0 } else { beta / delta };
    s * (1.0 - shrinkage) + DMatrix::identity(s.nrows(), s.nrows()) * (shrinkage * mu)
}

/// The inverse of a symmetric matrix, or its pseudo-inverse where it has none.
fn inverse(matrix: DMatrix<f64>) -> DMatrix<f64> {
    let width = matrix.nrows();
    let eigen = matrix.symmetric_eigen();
    let largest = eigen.eigenvalues.amax();
    let least = width as f64 * f64::EPSILON * largest;
    let inverted = eigen.eigenvalues.map(|value| if value.abs() > least { 1.0 / value } else { 0.0 });
    &eigen.eigenvectors * DMatrix::from_diagonal(&inverted) * eigen.eigenvectors.transpose()
}

/// A fitted distance. The score is (x − mean)ᵀ·Σ⁻¹·(x − mean), the squared distance, about the row's width for normal rows. It is what
/// scikit-learn's `mahalanobis` gives.
///
/// # Source
/// Mahalanobis: *On the generalised distance in statistics*, 1936; shrinkage: Ledoit, Wolf: *A well-conditioned estimator for
/// large-dimensional covariance matrices*, 2004, formulas 14 and following.
#[derive(Debug, Clone, PartialEq)]
pub struct Mahalanobis {
    mean: DVector<f64>,
    precision: DMatrix<f64>,
}

impl Mahalanobis {
    /// The detector of these numbers, for rows of `width` numbers; otherwise, in a few words, what is wrong with them.
    pub fn from_arrays(_config: &MahalanobisConfig, width: usize, numbers: &NamedArrays) -> Result<Self, Fault> {
        let mean = &numbers.get("mean", &[Some(width)])?.values;
        let precision = &numbers.get("precision", &[Some(width), Some(width)])?.values;
        Ok(Mahalanobis {
            mean: DVector::from_column_slice(mean),
            precision: DMatrix::from_row_slice(width, width, precision),
        })
    }
}

impl Detector for Mahalanobis {
    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        let rows = rows_of_width(samples, self.mean.len())?;
        Ok(of_blocks(&rows, samples.width(), |block| {
            let centred = centred(block, &self.mean);
            let product = &self.precision * &centred;
            // Rounding may leave a hair below zero.
            centred.column_iter().zip(product.column_iter()).map(|(x, y)| x.dot(&y).max(0.0)).collect()
        }))
    }

    /// The share of number k is (x − mean)ₖ·(Σ⁻¹·(x − mean))ₖ, which may be below 0 where it goes along with others.
    fn parts(&self, row: &[f64]) -> Option<Parts> {
        if row.len() != self.mean.len() {
            return None;
        }
        let centred = DVector::from_column_slice(row) - &self.mean;
        let product = &self.precision * &centred;
        Some(Parts {
            shares: centred.component_mul(&product).as_slice().to_vec(),
            constant: 0.0,
            gradient: (product * 2.0).as_slice().to_vec(),
        })
    }

    fn numbers(&self) -> NamedArrays {
        let mut numbers = NamedArrays::default();
        let width = self.mean.len();
        numbers.put("mean", self.mean.as_slice().to_vec());
        numbers.put_shaped("precision", &[width, width], self.precision.transpose().as_slice().to_vec());
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn along_an_axis_the_distance_is_in_standard_deviations() {
        let samples = Samples::of_numbers(vec![-2.0, 0.0, 2.0, 0.0, 0.0, 1.0, 0.0, -1.0], 2);
        let config = MahalanobisConfig { covariance: CovarianceName::Empirical };
        let fitted = config.fit(&samples).unwrap();
        // Variances are 2 and 0.5.
        let scores = fitted.score(&Samples::of_numbers(vec![4.0, 0.0, 0.0, 3.0], 2)).unwrap();
        assert!((scores[0] - 8.0).abs() < 1e-12 && (scores[1] - 18.0).abs() < 1e-12, "{scores:?}");
    }

    #[test]
    fn what_never_varies_is_no_obstacle() {
        let samples = Samples::of_numbers((0..60).map(|i| if i % 3 == 0 { (i % 7) as f32 } else { 5.0 }).collect(), 3);
        for covariance in [CovarianceName::Empirical, CovarianceName::LedoitWolf] {
            let fitted = MahalanobisConfig { covariance }.fit(&samples).unwrap();
            assert!(fitted.score(&samples).unwrap().iter().all(|score| score.is_finite()));
        }
        let fitted = MahalanobisConfig::default().fit(&samples).unwrap();
        let new = fitted.score(&Samples::of_numbers(vec![3.0, 5.0, 6.0], 3)).unwrap()[0];
        assert!(new > *fitted.score(&samples).unwrap().iter().max_by(|a, b| a.total_cmp(b)).unwrap());
    }
}
