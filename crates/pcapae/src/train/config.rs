//! The configuration of a training: plain data, stored as JSON in its checkpoint.

use serde::{Deserialize, Serialize};

use super::optimizer::Optimizer;
use super::schedule::Schedule;
use crate::engine::Dropout;
use crate::{Error, Result};

/// The configuration of a training. The defaults are the original's, except for the schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Maximum epochs, passes over the training windows; default 144.
    pub epochs: usize,
    /// Windows in a batch; default 128, at least 1 (0 counts as 1). The last batch of an epoch may be smaller.
    pub batch: usize,
    /// The optimizer; default AdamW.
    pub optimizer: Optimizer,
    /// Peak learning rate; default 1e-3.
    pub learning_rate: f64,
    /// The learning-rate schedule; default constant.
    pub schedule: Schedule,
    /// Early stopping: epochs without a smaller validation loss before training ends; default 7.
    pub patience: usize,
    /// Gradient-norm clipping: maximum 2-norm of a step's gradient, `None` for no limit; default 10.
    pub clip: Option<f64>,
    /// Probability that a channel of a hidden state is dropped, 0 to less than 1; default 0.
    pub dropout: f64,
    /// Of the windows, every n-th is used, to train and to validate; default 1: all (0 counts as 1).
    pub stride: usize,
    /// Of these, the share from the front that is trained on, above 0 to 1; default 1. Validation uses all.
    pub fraction: f64,
    /// The order of the windows in an epoch; default shuffled.
    pub order: Order,
    /// Seed of the order of the windows and of the dropout; default 1994.
    pub seed: u64,
}

/// The order of the training windows in an epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Shuffled anew in every epoch.
    #[default]
    Shuffled,
    /// That of the capture.
    Capture,
}

impl Default for TrainConfig {
    fn default() -> TrainConfig {
        TrainConfig {
            epochs: 144,
            batch: 128,
            optimizer: Optimizer::AdamW,
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            patience: 7,
            clip: Some(10.0),
            dropout: 0.0,
            stride: 1,
            fraction: 1.0,
            order: Order::Shuffled,
            seed: 1994,
        }
    }
}

impl TrainConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// The first setting out of range.
    pub fn check(&self) -> Result<()> {
        Dropout::new(self.dropout, 0)?;
        let above_zero = |setting, value: f64| {
            let expected = "above 0";
            if value > 0.0 { Ok(()) } else { Err(Error::setting(setting, value, expected)) }
        };
        above_zero("learning rate", self.learning_rate)?;
        above_zero("clipping norm", self.clip.unwrap_or(f64::INFINITY))?;
        match self.fraction > 0.0 && self.fraction <= 1.0 {
            true => Ok(()),
            false => Err(Error::setting("fraction of the windows", self.fraction, "above 0 and at most 1")),
        }
    }

    /// Refuses a configuration for resuming that differs from `self` in more than `epochs` and `patience`.
    pub(super) fn check_successor(&self, successor: &TrainConfig) -> Result<()> {
        let fields = |config: &TrainConfig| {
            serde_json::to_value(TrainConfig { epochs: self.epochs, patience: self.patience, ..config.clone() })
        };
        let unwritable = Error::unwritable::<serde_json::Error>("settings");
        let (own, other) = (fields(self).map_err(unwritable)?, fields(successor).map_err(unwritable)?);
        let differing = own.as_object().into_iter().flatten().find(|(name, value)| other.get(name) != Some(value));
        match differing {
            None => Ok(()),
            Some((name, value)) => Err(Error::OtherSetting {
                setting: name.replace('_', " "),
                got: other.get(name).map(ToString::to_string).unwrap_or_default(),
                expected: value.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_survives_json_and_may_have_gaps() {
        let config =
            TrainConfig { schedule: Schedule::Plateau, clip: None, order: Order::Capture, ..Default::default() };
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainConfig>(&json).unwrap(), config);
        assert_eq!(serde_json::from_str::<TrainConfig>("{}").unwrap(), TrainConfig::default());
        assert!(serde_json::from_str::<TrainConfig>(r#"{"epoch":1}"#).is_err());
    }

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        let base = TrainConfig::default;
        for (config, said) in [
            (TrainConfig { learning_rate: f64::NAN, ..base() }, "learning rate NaN: expected above 0"),
            (TrainConfig { clip: Some(0.0), ..base() }, "clipping norm 0: expected above 0"),
            (TrainConfig { dropout: 1.0, ..base() }, "dropout 1: expected 0 or more, and less than 1"),
            (TrainConfig { fraction: 1.5, ..base() }, "fraction of the windows 1.5: expected above 0 and at most 1"),
        ] {
            assert_eq!(config.check().unwrap_err().to_string(), said);
        }
        assert!(base().check().is_ok());
    }

    #[test]
    fn a_successor_may_only_train_longer() {
        let begun = TrainConfig::default();
        assert!(begun.check_successor(&TrainConfig { epochs: 1, patience: 1, ..begun.clone() }).is_ok());
        let error = begun.check_successor(&TrainConfig { learning_rate: 0.5, ..begun.clone() }).unwrap_err();
        assert_eq!(error.to_string(), "learning rate 0.5, but the training was begun with 0.001");
    }
}
