//! From scores to decisions: p-values, their combination, connections, and the threshold above which a score is an alert.
//!
//! A higher score is more anomalous, everywhere.

mod conformal;

mod combination;

mod connection;

mod threshold;

mod decision;

pub use combination::Combination;
pub use conformal::Conformal;
pub use connection::{CONNECTIONS_REMEMBERED, ConnectionScores, PACKETS_TOGETHER};
pub use decision::{Connections, Decision, DecisionRule, DecisionStream, NormalPacket, Trigger};
pub use threshold::{FalseAlarmRate, ParetoTail, TailError, Threshold, ThresholdRule};
