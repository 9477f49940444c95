//! What all detectors have in common.

use super::{Numbers, Samples};
use crate::Result;

/// A detector that was fitted to samples of normal traffic.
pub trait Detector: Send + Sync + std::fmt::Debug {
    /// The score of each row of `samples`, which are of the width that the detector was fitted to; higher is more anomalous.
    ///
    /// Refuses samples that lack what the detector looks at, as bytes or the facts of packets.
    fn score(&self, samples: &Samples) -> Result<Vec<f64>>;

    /// All that was fitted, so that a detector read from it gives the same scores.
    fn numbers(&self) -> Numbers;
}
