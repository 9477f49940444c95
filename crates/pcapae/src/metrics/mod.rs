//! How good verdicts and scores are, measured against labels.

mod confusion;

mod ranking;

pub use confusion::Confusion;
pub use ranking::average_precision;
