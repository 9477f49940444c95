//! From scores to decisions: the limits above which a score is an alert.
//!
//! A higher score is more anomalous, everywhere. `learn` sets limits by [blocks of time](BlockMaxima), each compared with what was learned of the
//! others; `evaluate` takes a [threshold](ThresholdRule) from held-back scores.

mod block_maxima;

mod threshold;

mod decision;

pub use block_maxima::{BlockMaxima, Limit, Limits};
pub use decision::{DecisionRule, DetectorRule, MarginScales};
pub use threshold::{FalseAlarmRate, ParetoTail, TailError, Threshold, ThresholdRule};
