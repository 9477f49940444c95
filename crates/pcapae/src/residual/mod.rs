//! The autoencoder as a detector: which window a fragment is scored in, and how its residual becomes a score.
//!
//! The residual has a value for each byte of the frames that the decoder gives: (x − x̂)² with bytes divided by 255, or −ln p of the byte
//! for a model with a categorical head. Two scores are made of it, by the same [`ResidualScore`]:
//!
//! * the score of a *fragment*, from the residual of its own frame in the window of [`scoring_window`]: what `detect`, `report` and `explain` use;
//! * the score of a *window*, from the residual of all frames that the decoder gives: a row of the [table](WindowScorer) that `score` writes.

mod window;

mod score;

mod window_buffer;

mod stream;

mod code_stream;

mod dataset;

pub(crate) use code_stream::CodeStream;
pub use dataset::{WindowScorer, check};
pub use score::ResidualScore;
pub(crate) use stream::{ResidualStream, residual_sums};
pub use window::{ScoringWindow, scoring_window};

/// The name of the autoencoder among the detectors.
pub const AUTOENCODER: &str = "Autoencoder";
