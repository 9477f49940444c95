//! The threshold above which a score is an alert, from scores of held-back normal traffic.

mod pareto;

mod rule;

pub use pareto::{ParetoTail, TailError};
pub use rule::ThresholdRule;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The wanted share of normal packets that raise an alert: above 0, below 1. Default 0.001, one in a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct FalseAlarmRate(f64);

impl FalseAlarmRate {
    /// Checks the range.
    pub fn new(rate: f64) -> Result<FalseAlarmRate> {
        if rate > 0.0 && rate < 1.0 {
            return Ok(FalseAlarmRate(rate));
        }
        Err(Error::Setting {
            setting: "false-alarm rate",
            got: rate.to_string(),
            expected: "a share above 0 and below 1".into(),
            remedy: Some("0.001 is one false alarm in a thousand packets".into()),
        })
    }

    /// The share, as a number.
    pub fn share(self) -> f64 {
        self.0
    }
}

impl Default for FalseAlarmRate {
    fn default() -> Self {
        FalseAlarmRate(0.001)
    }
}

impl TryFrom<f64> for FalseAlarmRate {
    type Error = Error;

    fn try_from(rate: f64) -> Result<Self> {
        FalseAlarmRate::new(rate)
    }
}

impl From<FalseAlarmRate> for f64 {
    fn from(rate: FalseAlarmRate) -> f64 {
        rate.0
    }
}

/// A calibrated threshold: scores above it are alerts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// The value that a score must exceed.
    pub value: f32,
    /// The wanted false-alarm rate.
    pub rate: FalseAlarmRate,
    /// How many normal scores it was calibrated on.
    pub calibrated_on: usize,
}

impl Threshold {
    /// Split conformal threshold: the ⌈(n + 1)(1 − rate)⌉-th smallest of n calibration scores.
    ///
    /// A new normal score exceeds it with probability at most `rate` if it is exchangeable with the calibration scores,
    /// which traffic in time order is only roughly. With n below 1/rate − 1 no score can promise the rate: the highest is taken,
    /// and [`promises_rate`](Threshold::promises_rate) is false.
    ///
    /// `None` if there are no scores.
    ///
    /// # Source
    /// Vovk, Gammerman, Shafer: *Algorithmic Learning in a Random World*, 2005 (inductive conformal prediction).
    pub fn conformal(mut scores: Vec<f32>, rate: FalseAlarmRate) -> Option<Threshold> {
        scores.sort_unstable_by(f32::total_cmp);
        let n = scores.len();
        let value = *scores.get(rank(n, rate).min(n).checked_sub(1)?)?;
        Some(Threshold { value, rate, calibrated_on: n })
    }

    /// True if there were enough calibration scores for the wanted rate.
    pub fn promises_rate(&self) -> bool {
        rank(self.calibrated_on, self.rate) <= self.calibrated_on
    }

    /// Fewest calibration scores with which the wanted rate can be promised.
    pub fn needed(&self) -> usize {
        needed(self.rate)
    }

    /// True if the score is an alert.
    pub fn exceeded_by(&self, score: f32) -> bool {
        score > self.value
    }

    /// The score as a multiple of the threshold.
    pub fn multiple(&self, score: f32) -> f32 {
        score / self.value
    }
}

/// ⌈(n + 1)(1 − rate)⌉, at least 1.
fn rank(n: usize, rate: FalseAlarmRate) -> usize {
    // Rates are decimal fractions: without the margin, 1000 × (1 − 0.001) is just above 999 and its ceiling 1000.
    let exact = (n as f64 + 1.0) * (1.0 - rate.share());
    ((exact - 1e-9).ceil() as usize).max(1)
}

/// The smallest n whose rank is at most n.
fn needed(rate: FalseAlarmRate) -> usize {
    (1.0 / rate.share() - 1.0 - 1e-9).ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn threshold(scores: Vec<f32>, rate: f64) -> Threshold {
        Threshold::conformal(scores, FalseAlarmRate::new(rate).unwrap()).unwrap()
    }

    #[test]
    fn with_999_scores_a_rate_of_one_in_a_thousand_is_the_highest() {
        let threshold = threshold((0..999).map(|i| i as f32).collect(), 0.001);
        assert_eq!(threshold.value, 998.0);
        assert!(threshold.promises_rate());
        assert_eq!(threshold.needed(), 999);
    }

    #[test]
    fn with_fewer_scores_the_highest_is_taken_and_nothing_is_promised() {
        let threshold = threshold(vec![1.0, 3.0, 2.0], 0.001);
        assert_eq!(threshold.value, 3.0);
        assert!(!threshold.promises_rate());
    }

    #[test]
    fn no_scores_give_no_threshold() {
        assert!(Threshold::conformal(Vec::new(), FalseAlarmRate::default()).is_none());
    }

    #[test]
    fn rates_outside_0_and_1_are_refused() {
        for rate in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(FalseAlarmRate::new(rate).is_err(), "{rate}");
        }
    }

    proptest! {
        /// Of n + 1 exchangeable scores, leaving each out in turn, at most (n + 1) · rate exceed the threshold of the others.
        #[test]
        fn the_rate_holds_when_each_score_is_left_out_in_turn(
            scores in prop::collection::vec(0.0f32..1.0, 50..150),
            rate in 0.02f64..0.5,
        ) {
            let exceeding = (0..scores.len()).filter(|&skipped| {
                let mut others = scores.clone();
                let score = others.swap_remove(skipped);
                threshold(others, rate).exceeded_by(score)
            });
            prop_assert!(exceeding.count() as f64 <= scores.len() as f64 * rate + 1e-6);
        }
    }
}
