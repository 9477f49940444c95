//! How a threshold is read off calibration scores, and how users write that down.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::pareto::{ParetoTail, TailError};
use super::{FalseAlarmRate, needed, rank};
use crate::numeric::quantile;
use crate::{Error, Result};

/// How to read a threshold off scores of held-back normal traffic. As text, which [`FromStr`] reads and `Display` writes:
///
/// | text | threshold |
/// |---|---|
/// | `conformal:RATE` | the ⌈(n + 1)(1 − RATE)⌉-th smallest of n scores, or the highest where n is too small; the default, with 0.001 |
/// | `quantile:Q` | the Q-quantile, between two scores by linear interpolation |
/// | `sigma:K` | μ + K σ, σ with n in the denominator |
/// | `max` | the highest score |
/// | `pareto:RATE` | what a share RATE exceeds, by a generalised Pareto tail: [`ParetoTail`] |
/// | `value:X` | X |
///
/// Sources: Vovk, Gammerman, Shafer: *Algorithmic Learning in a Random World*, 2005, for the first; Siffer, Fouque, Termier, Largouet: *Anomaly
/// Detection in Streams with Extreme Value Theory*, 2017, for the tail. Quantile: type 7 of Hyndman and Fan, 1996, as numpy's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ThresholdRule {
    /// Split conformal: promises the rate for exchangeable scores, without assumptions on their distribution.
    Conformal(FalseAlarmRate),
    /// A quantile, 0 to 1.
    Quantile(f64),
    /// So many standard deviations above the mean; finite.
    Sigma(f64),
    /// The highest calibration score.
    Max,
    /// Peaks over a threshold, extrapolated.
    Pareto(FalseAlarmRate),
    /// A number that the calibration scores have no part in; finite.
    Value(f64),
}

/// All ways to write a rule.
const FORMS: &str = "conformal:RATE, quantile:Q, sigma:K, max, pareto:RATE or value:X";

impl ThresholdRule {
    /// The threshold: scores above it are alerts. Takes finite scores in any order.
    ///
    /// Refused: no scores, unless the rule is a value; for a Pareto tail, too few scores in it, or a rate above the tail's.
    pub fn threshold(&self, calibration: &[f64]) -> Result<f64> {
        let refused = |reason: TailError| Error::NoThreshold { rule: self.to_string(), reason: reason.into() };
        if let ThresholdRule::Value(value) = self {
            return Ok(*value);
        }
        let mut sorted = calibration.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (n, Some(&highest)) = (sorted.len(), sorted.last()) else {
            return Err(refused(TailError::NoScores));
        };
        match *self {
            ThresholdRule::Conformal(rate) => Ok(sorted[rank(n, rate).min(n) - 1]),
            ThresholdRule::Quantile(share) => Ok(quantile(&sorted, share)),
            ThresholdRule::Sigma(factor) => Ok(mean_and_deviation(&sorted, factor)),
            ThresholdRule::Max => Ok(highest),
            ThresholdRule::Pareto(rate) => {
                ParetoTail::fit(&sorted).and_then(|tail| tail.exceeded_by(rate.share())).map_err(refused)
            }
            ThresholdRule::Value(value) => Ok(value),
        }
    }

    /// The share of normal scores that the rule lets exceed its threshold; `None` where it says nothing of that.
    pub fn wanted_rate(&self) -> Option<f64> {
        match self {
            ThresholdRule::Conformal(rate) | ThresholdRule::Pareto(rate) => Some(rate.share()),
            ThresholdRule::Quantile(share) => Some(1.0 - share),
            ThresholdRule::Sigma(_) | ThresholdRule::Max | ThresholdRule::Value(_) => None,
        }
    }

    /// Fewest calibration scores with which the rate can be promised, where that depends on their number.
    pub fn scores_needed(&self) -> Option<usize> {
        match self {
            ThresholdRule::Conformal(rate) => Some(needed(*rate)),
            _ => None,
        }
    }
}

impl Default for ThresholdRule {
    /// Conformal, with the default false-alarm rate.
    fn default() -> Self {
        ThresholdRule::Conformal(FalseAlarmRate::default())
    }
}

fn mean_and_deviation(scores: &[f64], factor: f64) -> f64 {
    let n = scores.len() as f64;
    let mean = scores.iter().map(|score| score / n).sum::<f64>();
    let variance = scores.iter().map(|score| (score - mean).powi(2) / n).sum::<f64>();
    mean + factor * variance.sqrt()
}

impl FromStr for ThresholdRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<ThresholdRule> {
        let refused = |expected: &str| Error::Setting {
            setting: "threshold",
            got: format!("{text:?}"),
            expected: expected.into(),
            remedy: Some("conformal:0.001 lets one in a thousand normal scores raise an alert".into()),
        };
        let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
        let number = number.map(|number| number.trim().parse::<f64>().unwrap_or(f64::NAN));
        let rate = |number| FalseAlarmRate::new(number).map_err(|_| refused("a rate above 0 and below 1"));
        match (name.trim(), number) {
            ("conformal", Some(number)) => rate(number).map(ThresholdRule::Conformal),
            ("conformal", None) => Ok(ThresholdRule::default()),
            ("pareto", Some(number)) => rate(number).map(ThresholdRule::Pareto),
            ("quantile", Some(share)) if (0.0..=1.0).contains(&share) => Ok(ThresholdRule::Quantile(share)),
            ("quantile", Some(_)) => Err(refused("a quantile from 0 to 1")),
            ("sigma", Some(factor)) if factor.is_finite() => Ok(ThresholdRule::Sigma(factor)),
            ("value", Some(value)) if value.is_finite() => Ok(ThresholdRule::Value(value)),
            ("sigma" | "value", Some(_)) => Err(refused("a finite number")),
            ("max", None) => Ok(ThresholdRule::Max),
            _ => Err(refused(FORMS)),
        }
    }
}

impl fmt::Display for ThresholdRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ThresholdRule::Conformal(rate) => write!(f, "conformal:{}", rate.share()),
            ThresholdRule::Quantile(share) => write!(f, "quantile:{share}"),
            ThresholdRule::Sigma(factor) => write!(f, "sigma:{factor}"),
            ThresholdRule::Max => f.write_str("max"),
            ThresholdRule::Pareto(rate) => write!(f, "pareto:{}", rate.share()),
            ThresholdRule::Value(value) => write!(f, "value:{value}"),
        }
    }
}

impl TryFrom<String> for ThresholdRule {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ThresholdRule> for String {
    fn from(rule: ThresholdRule) -> String {
        rule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Threshold;
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(rule: &str, scores: &[f64], expected: f64) {
        let value = rule.parse::<ThresholdRule>().unwrap().threshold(scores).unwrap();
        assert!((value - expected).abs() <= 1e-12 * expected.abs(), "{rule}: {value} instead of {expected}");
    }

    /// `np.quantile`, `np.mean(x) + 2.5 * np.std(x)` and `np.max` of x = [3, 1, 4, 1.5, 9, 2, 6]
    #[test]
    fn the_rules_give_the_numbers_of_numpy() {
        let scores = [3.0, 1.0, 4.0, 1.5, 9.0, 2.0, 6.0];
        check("quantile:0.9", &scores, 7.2);
        check("quantile:1", &scores, 9.0);
        check("quantile:0", &scores, 1.0);
        check("sigma:2.5", &scores, 10.395_269_829_757_765);
        check("max", &scores, 9.0);
        check("value:-3.5", &[], -3.5);
        check("conformal:0.25", &scores, 6.0);
        check("conformal:0.001", &scores, 9.0);
    }

    #[test]
    fn what_is_no_rule_is_refused_with_what_it_can_be() {
        for (text, expected) in [
            ("", "conformal:RATE"),
            ("max:3", "conformal:RATE"),
            ("quantile", "conformal:RATE"),
            ("mean:3", "conformal:RATE"),
            ("quantile:1.5", "a quantile from 0 to 1"),
            ("pareto:0", "a rate above 0 and below 1"),
            ("conformal:", "a rate above 0 and below 1"),
            ("sigma:inf", "a finite number"),
            ("value:x", "a finite number"),
        ] {
            let message = text.parse::<ThresholdRule>().unwrap_err().to_string();
            assert!(message.starts_with(&format!("threshold {text:?}: expected {expected}")), "{message}");
        }
    }

    #[test]
    fn without_scores_there_is_no_threshold() {
        let message = ThresholdRule::Max.threshold(&[]).unwrap_err().to_string();
        assert_eq!(message, "the calibration scores give no threshold max: there is none");
    }

    proptest! {
        #[test]
        fn a_rule_is_read_back_as_it_was_written(number in 1e-6f64..1.0, kind in 0usize..6) {
            let rate = FalseAlarmRate::new(number / 2.0).unwrap();
            let rule = [
                ThresholdRule::Conformal(rate),
                ThresholdRule::Quantile(number),
                ThresholdRule::Sigma(number * 9.0),
                ThresholdRule::Max,
                ThresholdRule::Pareto(rate),
                ThresholdRule::Value(-number),
            ][kind];
            prop_assert_eq!(rule.to_string().parse::<ThresholdRule>().unwrap(), rule);
            let json = serde_json::to_string(&rule).unwrap();
            prop_assert_eq!(serde_json::from_str::<ThresholdRule>(&json).unwrap(), rule);
        }

        #[test]
        fn the_conformal_rule_is_the_conformal_threshold(
            scores in prop::collection::vec(-9.0f32..9.0, 1..200), rate in 0.001f64..0.9,
        ) {
            let rate = FalseAlarmRate::new(rate).unwrap();
            let exact: Vec<f64> = scores.iter().map(|&score| score.into()).collect();
            let rule = ThresholdRule::Conformal(rate);
            let threshold = Threshold::conformal(scores, rate).unwrap();
            prop_assert_eq!(rule.threshold(&exact).unwrap(), f64::from(threshold.value));
            prop_assert_eq!(rule.scores_needed(), Some(threshold.needed()));
        }

        #[test]
        fn a_quantile_lies_between_the_scores(scores in prop::collection::vec(-1e308f64..1e308, 1..9), share in 0.0f64..=1.0) {
            let mut sorted = scores;
            sorted.sort_unstable_by(f64::total_cmp);
            let value = quantile(&sorted, share);
            prop_assert!(sorted[0] <= value && value <= *sorted.last().unwrap());
        }
    }
}
