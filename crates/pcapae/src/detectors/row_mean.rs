//! A detector of the tests, which is nowhere else: how far the mean of a row is from the mean of all training rows.

use serde::{Deserialize, Serialize};

use super::rows::{rows_of_width, training_rows};
use super::{Detector, Samples};
use crate::Result;
use crate::error::Fault;
use crate::named_arrays::NamedArrays;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RowMeanConfig {
    /// Added to every score.
    pub offset: f64,
}

#[derive(Debug)]
pub struct RowMean {
    config: RowMeanConfig,
    width: usize,
    mean: f64,
}

fn mean(row: &[f32]) -> f64 {
    row.iter().map(|value| f64::from(*value)).sum::<f64>() / row.len() as f64
}

impl RowMeanConfig {
    pub fn check(&self) -> Result<()> {
        Ok(())
    }

    pub fn fit(&self, samples: &Samples) -> Result<RowMean> {
        let mean = mean(&training_rows(samples, 1)?);
        Ok(RowMean { config: self.clone(), width: samples.width(), mean })
    }
}

impl RowMean {
    pub fn from_arrays(config: &RowMeanConfig, width: usize, arrays: &NamedArrays) -> Result<RowMean, Fault> {
        Ok(RowMean { config: config.clone(), width, mean: arrays.scalar("mean")? })
    }
}

impl Detector for RowMean {
    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        let rows = rows_of_width(samples, self.width)?;
        Ok(rows.chunks(self.width).map(|row| (mean(row) - self.mean).abs() + self.config.offset).collect())
    }

    fn numbers(&self) -> NamedArrays {
        let mut arrays = NamedArrays::default();
        arrays.put("mean", vec![self.mean]);
        arrays
    }
}
