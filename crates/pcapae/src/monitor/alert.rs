//! A packet that does not fit, and why.

use crate::calibration::Trigger;
use crate::capture::headers::Conversation;
use crate::label::Label;

/// A packet of which a score exceeds its threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its number, from 1.
    pub packet: u64,
    /// Its capture time in nanoseconds since 1970.
    pub time_ns: i64,
    /// What raised the alert.
    pub trigger: Trigger,
    /// The higher one of the packet's score and its connection's, −ln p.
    pub score: f32,
    /// The threshold of that one.
    pub threshold: f32,
    /// The conformal p-value of that one, above 0; with n calibration packets not below 1 / (n + 1).
    pub p_value: f64,
    /// The packet's own score.
    pub packet_score: f32,
    /// The score of its connection; `None` where connections are ignored.
    pub connection_score: Option<f32>,
    /// What each detector contributed to the score, in shares of 1.
    pub shares: Vec<(&'static str, f64)>,
    /// Who talked to whom.
    pub conversation: Conversation,
    /// What the ground truth says.
    pub label: Label,
}

impl Alert {
    /// The score as a multiple of its threshold.
    pub fn multiple(&self) -> f32 {
        self.score / self.threshold
    }
}
