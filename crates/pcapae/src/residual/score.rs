//! From the residual of each byte to one score.

use crate::Result;
use crate::detectors::{DEVIATION_FLOOR, PositionSums, ScoringHead, Standardisation};
use crate::error::Fault;
use crate::model::Head;
use crate::named_arrays::NamedArrays;

/// Smallest deviation by which a squared error is divided: that of a reconstruction which is eight byte values off, (8 / 255)². A
/// position that never varies counts a change of that size once.
const SQUARED_ERROR_FLOOR: f32 = 1e-3;

/// How the residual of a frame, or of all frames of a window, becomes a score.
#[derive(Debug, Clone, PartialEq)]
pub struct ResidualScore {
    head: ScoringHead,
    /// Mean and deviation of each position on normal traffic, where the head asks for them.
    standardisation: Option<Standardisation>,
}

impl ResidualScore {
    /// By `head`, which is standardised by `normal`, the residuals that a model with `model_head` leaves of normal traffic; other heads do not
    /// look at them.
    pub fn new(head: ScoringHead, model_head: Head, normal: impl FnOnce() -> Result<PositionSums>) -> Result<Self> {
        head.check()?;
        let floor = match model_head {
            Head::Categorical => DEVIATION_FLOOR,
            Head::Linear | Head::Sigmoid => SQUARED_ERROR_FLOOR,
        };
        let standardisation = match head.is_standardised() {
            true => Some(normal()?.standardisation(floor)),
            false => None,
        };
        Ok(ResidualScore { head, standardisation })
    }

    /// The head.
    pub fn head(&self) -> ScoringHead {
        self.head
    }

    /// The score of a residual; higher is more anomalous.
    pub fn score(&self, residual: &[f32]) -> f64 {
        self.head.score(residual, self.standardisation.as_ref())
    }

    /// What the score is made of, a value a byte.
    pub fn position_values(&self, residual: &[f32]) -> Vec<f32> {
        self.head.position_values(residual, self.standardisation.as_ref())
    }

    /// What its file holds beside the head.
    pub(crate) fn arrays(&self) -> NamedArrays {
        let mut arrays = NamedArrays::default();
        if let Some(standardisation) = &self.standardisation {
            standardisation.put(&mut arrays);
        }
        arrays
    }

    /// The same from its file, for residuals of `width` bytes.
    pub(crate) fn from_arrays(head: ScoringHead, width: usize, arrays: &NamedArrays) -> Result<Self, Fault> {
        head.check()?;
        let standardisation = || Standardisation::from_arrays(width, arrays);
        let standardisation = head.is_standardised().then(standardisation).transpose()?;
        Ok(ResidualScore { head, standardisation })
    }
}
