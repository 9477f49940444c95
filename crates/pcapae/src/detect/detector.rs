//! What all detectors have in common.

use super::{Numbers, Parts, Samples};
use crate::Result;

/// Gives the scores of samples that follow each other.
pub type Scorer<'a> = Box<dyn FnMut(&Samples) -> Result<Vec<f64>> + 'a>;

/// A detector that was fitted to samples of normal traffic.
pub trait Detector: Send + Sync + std::fmt::Debug {
    /// The score of each row of `samples`, which are of the width that the detector was fitted to; higher is more anomalous.
    ///
    /// Refuses samples that lack what the detector looks at, as bytes or the facts of packets.
    fn score(&self, samples: &Samples) -> Result<Vec<f64>>;

    /// All that was fitted, so that a detector read from it gives the same scores.
    fn numbers(&self) -> Numbers;

    /// What each number of a row has to do with its score; `None` where the score has no closed form that shares it out, or the row is of
    /// another width.
    fn parts(&self, _row: &[f64]) -> Option<Parts> {
        None
    }

    /// Scores samples in pieces as if they were one. A detector for which it matters what came before overrides this.
    fn scorer(&self) -> Scorer<'_> {
        Box::new(|samples| self.score(samples))
    }

    /// The threshold that the detector's own parameters give: a score above it is an alert. Minus scikit-learn's `offset_`; `None` where
    /// there is no such parameter.
    fn own_threshold(&self) -> Option<f64> {
        None
    }
}
