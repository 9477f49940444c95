//! Principal components: an anomaly has a part that normal rows have not, beside the directions in which they vary.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::rows::{rows_of_width, training_rows};
use super::{Detector, Samples};
use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;
use crate::numeric::Parts;
use crate::numeric::{Eigen, leading};
use crate::numeric::{Moments, centred, of_blocks};
use crate::{Error, Result};

/// How many components are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrincipalComponentsConfig {
    /// So many, from 1 to the row's width; or the fewest that explain more than this share of the variance, above 0 and below 1.0. Default 0.99.
    pub n_components: Components,
}

/// How many components.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Components {
    /// So many.
    Count(usize),
    /// The fewest that explain more than this share of the variance.
    Share(f64),
}

impl Default for PrincipalComponentsConfig {
    fn default() -> Self {
        PrincipalComponentsConfig { n_components: Components::Share(0.99) }
    }
}

impl PrincipalComponentsConfig {
    /// Refuses parameters out of range, by name.
    pub fn check(&self) -> Result<()> {
        let expected = "a number from 1, or a share above 0 and below 1.0";
        match self.n_components {
            Components::Count(0) => Err(Error::setting("n_components", 0, expected)),
            Components::Share(share) if !(share > 0.0 && share < 1.0) => {
                Err(Error::setting("n_components", share, expected))
            }
            _ => Ok(()),
        }
    }

    /// Finds the directions of greatest variance. Refuses parameters out of range, no samples, numbers that are not finite, and more
    /// components than numbers in a row.
    pub fn fit(&self, samples: &Samples) -> Result<PrincipalComponents> {
        self.check()?;
        let rows = training_rows(samples, 1)?;
        let width = samples.width();
        if let Components::Count(count) = self.n_components
            && count > width
        {
            return Err(Error::setting("n_components", count, format!("at most {width}, the width of the samples")));
        }
        let moments = Moments::of(&rows, width);
        let wanted = match self.n_components {
            Components::Count(count) => count,
            Components::Share(_) => width,
        };
        let Eigen { values, vectors } = leading(moments.covariance, wanted);
        let kept = match self.n_components {
            Components::Count(count) => count,
            Components::Share(share) => {
                explaining(&values.iter().map(|value| value.max(0.0)).collect::<Vec<f64>>(), share)
            }
        };
        Ok(PrincipalComponents { mean: moments.mean, components: vectors.columns(0, kept).into_owned() })
    }
}

/// The fewest variances, of sorted ones, whose share of all is greater than `share`.
fn explaining(variances: &[f64], share: f64) -> usize {
    let total: f64 = variances.iter().sum();
    let mut sum = 0.0;
    let enough = variances.iter().position(|variance| {
        sum += variance;
        sum / total > share
    });
    enough.map_or(variances.len(), |last| last + 1)
}

/// Fitted components. The score is the squared length of what is left of row − mean beside the components.
///
/// # Source
/// Jackson, Mudholkar: *Control procedures for residuals associated with principal component analysis*, 1979 (the Q statistic); on network
/// traffic Lakhina, Crovella, Diot: *Diagnosing network-wide traffic anomalies*, SIGCOMM 2004. Components as scikit-learn's `PCA`.
#[derive(Debug, Clone, PartialEq)]
pub struct PrincipalComponents {
    mean: DVector<f64>,
    /// A column each, of length 1.
    components: DMatrix<f64>,
}

impl PrincipalComponents {
    /// How many components are kept.
    pub fn count(&self) -> usize {
        self.components.ncols()
    }

    /// The detector of these numbers, for rows of `width` numbers; otherwise, in a few words, what is wrong with them.
    pub fn from_arrays(config: &PrincipalComponentsConfig, width: usize, numbers: &NamedArrays) -> Result<Self, Fault> {
        config.check()?;
        let mean = &numbers.get("mean", &[Some(width)])?.values;
        let components = numbers.get("components", &[None, Some(width)])?;
        if components.shape[0] > width {
            return Err(
                Place::Array("components".into()).found(components.shape[0], format!("at most {width} components"))
            );
        }
        Ok(PrincipalComponents {
            mean: DVector::from_column_slice(mean),
            components: DMatrix::from_column_slice(width, components.shape[0], &components.values),
        })
    }
}

impl Detector for PrincipalComponents {
    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        let rows = rows_of_width(samples, self.mean.len())?;
        // Turned round once: products of the transpose would be taken column by column.
        let across = self.components.transpose();
        Ok(of_blocks(&rows, samples.width(), |block| {
            let centred = centred(block, &self.mean);
            let explained = &self.components * (&across * &centred);
            (centred - explained).column_iter().map(|left| left.norm_squared()).collect()
        }))
    }

    /// The share of number k is the square of what is left of it.
    fn parts(&self, row: &[f64]) -> Option<Parts> {
        if row.len() != self.mean.len() {
            return None;
        }
        let centred = DVector::from_column_slice(row) - &self.mean;
        let left = &centred - &self.components * self.components.tr_mul(&centred);
        Some(Parts {
            shares: left.component_mul(&left).as_slice().to_vec(),
            constant: 0.0,
            gradient: (left * 2.0).as_slice().to_vec(),
        })
    }

    fn numbers(&self) -> NamedArrays {
        let mut numbers = NamedArrays::default();
        numbers.put("mean", self.mean.as_slice().to_vec());
        let shape = [self.count(), self.mean.len()];
        numbers.put_shaped("components", &shape, self.components.as_slice().to_vec());
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_the_only_direction_is_the_score() {
        let samples = Samples::of_numbers(vec![0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0], 2);
        let fitted = PrincipalComponentsConfig::default().fit(&samples).unwrap();
        assert_eq!(fitted.count(), 1);
        let scores = fitted.score(&Samples::of_numbers(vec![7.0, 7.0, 1.0, 3.0], 2)).unwrap();
        assert!(scores[0] < 1e-12 && (scores[1] - 2.0).abs() < 1e-12, "{scores:?}");
    }

    #[test]
    fn the_fewest_components_that_explain_more_than_the_share_are_kept() {
        let variances = [6.0, 3.0, 1.0];
        let kept = |share| explaining(&variances, share);
        assert_eq!([kept(0.5), kept(0.6), kept(0.89), kept(0.95)], [1, 2, 2, 3]);
        assert_eq!(explaining(&[0.0, 0.0], 0.9), 2);
        let config = PrincipalComponentsConfig { n_components: Components::Count(3) };
        assert!(config.fit(&Samples::of_numbers(vec![0.0; 4], 2)).unwrap_err().to_string().contains("at most 2"));
    }
}
