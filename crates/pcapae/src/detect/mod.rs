//! From errors to verdicts: scores of packets and the threshold above which a score is an alert.
//!
//! A higher score is more anomalous, everywhere. Nothing here knows the model.

mod packet_scores;

mod reconstruction;

mod threshold;

pub use packet_scores::PacketScores;
pub use reconstruction::reconstruction_error;
pub use threshold::{FalseAlarmRate, Threshold};
