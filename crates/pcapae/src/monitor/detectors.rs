//! The fitted detectors of a bundle.

use super::{DetectorName, DetectorSet};
use crate::detectors::{InterArrival, LengthRarity, PositionHistogram, ScoringHead, Standardisation};
use crate::model::{Autoencoder, Head};

/// Smallest deviation by which a position's squared error is divided: that of a byte which is 8 of 255 off.
const SQUARED_ERROR_FLOOR: f32 = 0.001;

/// The detectors that there are, at least one.
#[derive(Debug, Clone)]
pub struct Detectors {
    /// The autoencoder.
    pub autoencoder: Option<ScoredAutoencoder>,
    /// Histograms of byte values at each position.
    pub histograms: Option<PositionHistogram>,
    /// The rarity of lengths.
    pub lengths: Option<LengthRarity>,
    /// The gaps between packets.
    pub gaps: Option<InterArrival>,
}

impl Detectors {
    /// Their names, in the order in which scores and shares come. Panics if there is none.
    pub fn set(&self) -> DetectorSet {
        let there = |name: &DetectorName| match name {
            DetectorName::Autoencoder => self.autoencoder.is_some(),
            DetectorName::Histograms => self.histograms.is_some(),
            DetectorName::Lengths => self.lengths.is_some(),
            DetectorName::Gaps => self.gaps.is_some(),
        };
        DetectorName::ALL.into_iter().filter(there).collect()
    }

    /// True if one of them looks at packets, not at fragments.
    pub(super) fn look_at_packets(&self) -> bool {
        self.histograms.is_some() || self.lengths.is_some() || self.gaps.is_some()
    }
}

/// An autoencoder, and how its residuals become a score.
#[derive(Debug, Clone)]
pub struct ScoredAutoencoder {
    /// The trained model.
    pub model: Autoencoder,
    /// From the residual of each byte to the score of a fragment.
    pub head: ScoringHead,
    /// What residuals are usual, where the head asks for it.
    pub usual: Option<Standardisation>,
}

impl ScoredAutoencoder {
    /// The score of a fragment by the residual of each of its bytes.
    pub fn score(&self, residual: &[f32]) -> f64 {
        self.head.score(residual, self.usual.as_ref())
    }
}

/// Smallest deviation that residuals of a model with this head are divided by, in their unit.
pub(super) fn deviation_floor(head: Head) -> f32 {
    match head {
        Head::Linear | Head::Sigmoid => SQUARED_ERROR_FLOOR,
        Head::Categorical => crate::detectors::DEVIATION_FLOOR,
    }
}
