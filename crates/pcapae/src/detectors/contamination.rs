//! Which training samples lie above a detector's own threshold.

use serde::{Deserialize, Serialize};

use crate::numeric::quantile;

use crate::{Error, Result};

/// The word `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// `auto`.
    Auto,
}

/// Which training samples lie above the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Contamination {
    /// Those above the value that the detector's paper names.
    Auto(Auto),
    /// This share of them, 0 to 0.5; 0 puts the threshold at the most anomalous one, as scikit-learn 0.24 did.
    Share(f64),
}

impl Default for Contamination {
    fn default() -> Self {
        Contamination::Auto(Auto::Auto)
    }
}

impl Contamination {
    /// Refuses a share out of range.
    pub fn check(self) -> Result<()> {
        match self {
            Contamination::Share(share) if !(0.0..=0.5).contains(&share) => Err(Error::Setting {
                setting: "contamination",
                got: share.to_string(),
                expected: "auto or a share from 0 to 0.5".into(),
                remedy: None,
            }),
            _ => Ok(()),
        }
    }

    /// The threshold: `auto`, or the value below which all but the share of the training scores lie, which are asked for only then.
    pub(super) fn offset(self, auto: f64, training_scores: impl FnOnce() -> Vec<f64>) -> f64 {
        match self {
            Contamination::Auto(_) => auto,
            Contamination::Share(share) => {
                let mut scores = training_scores();
                scores.sort_unstable_by(f64::total_cmp);
                quantile(&scores, 1.0 - share)
            }
        }
    }
}
