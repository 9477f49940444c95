//! A detector's score taken apart: what each number of a row has to do with it.

/// What each number of a row has to do with a detector's score, by a closed form.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// The share of each number in the score; with the constant they add up to it.
    pub shares: Vec<f64>,
    /// What does not depend on the row.
    pub constant: f64,
    /// The gradient of the score: ∂score/∂number of each number.
    pub gradient: Vec<f64>,
}

impl Parts {
    /// Nothing yet, of a row of so many numbers.
    pub(crate) fn none(width: usize) -> Parts {
        Parts { shares: vec![0.0; width], constant: 0.0, gradient: vec![0.0; width] }
    }

    /// Adds `weight` times other parts.
    pub(crate) fn add(&mut self, weight: f64, other: &Parts) {
        self.constant += weight * other.constant;
        let pairs = self.shares.iter_mut().zip(&other.shares).chain(self.gradient.iter_mut().zip(&other.gradient));
        pairs.for_each(|(sum, part)| *sum += weight * part);
    }
}
