//! How good codes are: what is lost on the way back, and what they say.

use serde::Serialize;

/// What came of the windows of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// How many there were.
    pub windows: u64,
    /// Mean over windows and bytes of the squared difference between a byte, divided by 255, and what comes back of it; `None` where
    /// there is no way back. It compares with the scores that a model's residual gives.
    pub reconstruction_error: Option<f64>,
    /// [Entropy of the codes](crate::code::entropy_of_codes), in bits from 0 to 6.
    pub entropy: f64,
}
