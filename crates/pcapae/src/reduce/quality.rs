//! How good codes are: reconstruction error and entropy.

use serde::Serialize;

/// The quality of the codes of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quality {
    /// How many there were.
    pub windows: u64,
    /// Mean over windows and bytes of the squared difference between a byte, divided by 255, and its reconstruction; `None`
    /// without an inverse. It compares with the scores that a model's residual gives.
    pub reconstruction_error: Option<f64>,
    /// [Entropy of the codes](crate::code::entropy_of_codes), in bits from 0 to 6.
    pub entropy: f64,
}
