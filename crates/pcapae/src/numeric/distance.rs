//! Distances between rows.

use serde::{Deserialize, Serialize};

use super::Parts;
use super::difference_sums::Differences;
use crate::{Error, Result};

/// How far two rows are from each other; names as in scikit-learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MetricName {
    /// (Σ |x − y|ᵖ)^(1/p), with p given beside it.
    #[default]
    Minkowski,
    /// √Σ (x − y)²; `l2` is the same.
    #[serde(alias = "l2")]
    Euclidean,
    /// Σ |x − y|; `l1` and `cityblock` are the same.
    #[serde(alias = "l1", alias = "cityblock")]
    Manhattan,
    /// 1 − x·y / (|x|·|y|); 1 where one of them is zero.
    Cosine,
}

/// A distance with its parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Distance {
    Euclidean,
    Manhattan,
    Minkowski(f64),
    Cosine,
}

impl MetricName {
    /// The distance, with `p` for Minkowski's; refuses a `p` below 1, which makes no metric.
    pub(crate) fn distance(self, p: f64) -> Result<Distance> {
        match self {
            MetricName::Minkowski if !(p >= 1.0 && p.is_finite()) => Err(Error::Setting {
                setting: "p",
                got: p.to_string(),
                expected: "a number from 1".into(),
                remedy: None,
            }),
            MetricName::Minkowski if p == 1.0 => Ok(Distance::Manhattan),
            MetricName::Minkowski if p == 2.0 => Ok(Distance::Euclidean),
            MetricName::Minkowski => Ok(Distance::Minkowski(p)),
            MetricName::Euclidean => Ok(Distance::Euclidean),
            MetricName::Manhattan => Ok(Distance::Manhattan),
            MetricName::Cosine => Ok(Distance::Cosine),
        }
    }
}

impl Distance {
    /// The distance of two rows, in double precision.
    pub fn between(self, x: &[f32], y: &[f32]) -> f64 {
        let pairs = x.iter().zip(y).map(|(x, y)| (f64::from(*x), f64::from(*y)));
        match self {
            Distance::Euclidean => pairs.map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt(),
            Distance::Manhattan => pairs.map(|(x, y)| (x - y).abs()).sum(),
            Distance::Minkowski(p) => pairs.map(|(x, y)| (x - y).abs().powf(p)).sum::<f64>().powf(1.0 / p),
            Distance::Cosine => {
                let (mut product, mut xx, mut yy) = (0.0, 0.0, 0.0);
                for (x, y) in pairs {
                    product += x * y;
                    xx += x * x;
                    yy += y * y;
                }
                let lengths = (xx * yy).sqrt();
                if lengths > 0.0 { (1.0 - product / lengths).max(0.0) } else { 1.0 }
            }
        }
    }

    /// The distance taken apart: the share of a number is that of its power in the sum. `None` for cosine, which is no sum.
    pub fn parts(self, x: &[f64], y: &[f32]) -> Option<Parts> {
        let p = match self {
            Distance::Euclidean => 2.0,
            Distance::Manhattan => 1.0,
            Distance::Minkowski(p) => p,
            Distance::Cosine => return None,
        };
        let mut parts = Parts::none(x.len());
        let differences: Vec<f64> = x.iter().zip(y).map(|(x, y)| x - f64::from(*y)).collect();
        let sum: f64 = differences.iter().map(|far| far.abs().powf(p)).sum();
        if sum > 0.0 {
            let distance = sum.powf(1.0 / p);
            for ((share, derivative), far) in parts.shares.iter_mut().zip(&mut parts.gradient).zip(differences) {
                *share = distance * far.abs().powf(p) / sum;
                *derivative = if far == 0.0 { 0.0 } else { far.signum() * (far.abs() / distance).powf(p - 1.0) };
            }
        }
        Some(parts)
    }

    /// What orders rows by this distance when it is summed in single precision; `None` where nothing that is does.
    ///
    /// The squared Euclidean distance is the Euclidean one's order. Cosine and other powers have none here.
    pub fn differences(self) -> Option<Differences> {
        match self {
            Distance::Euclidean => Some(Differences::Squared),
            Distance::Manhattan => Some(Differences::Absolute),
            Distance::Minkowski(_) | Distance::Cosine => None,
        }
    }
}
