//! What a plant's normal traffic taught: how to cut captures, the detectors, and their calibration, in one file.

mod packet_scores;

mod detectors;

mod alert;

mod effort;

mod accept;

mod exclusion;

mod left_out;

mod scoring;

mod training_data;

mod normal;

mod packet_log;

mod detection;

pub(crate) mod event;

mod evidence;

mod learn;

mod learn_further;

mod file;

pub use accept::{Accepted, AcceptedCause, RaisedEvent};
pub use alert::{Alert, Finding, Told};
pub use detection::{Detection, Keep, PacketRecords};
pub use detectors::{DetectorPlan, Detectors, FittedDetector};
pub use effort::{DEFAULT_STEPS, Effort};
pub use event::{ALERTS_KEPT, CAUSES_LISTED, EVENT_GAP_NS, Event, EventMerger, PACKETS_LISTED};
pub use evidence::{EVIDENCE_BYTES, Evidence, Heat, PacketEvidence, PacketSink, ScoredWindow, Wanted};
pub use exclusion::Exclusion;
pub use learn::{LearnConfig, Learned, learn};
pub use left_out::LeftOut;
pub use normal::{NORMAL_FRAGMENTS, NearestNormal, NormalFragments};
pub use packet_log::PacketLog;
pub use packet_scores::PacketScores;

use serde::{Deserialize, Serialize};

use crate::calibration::DecisionRule;
use crate::capture::Source;
use crate::fragment::Cutting;
use crate::train::History;

/// All that detection needs.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// What tells it from others: a digest of what it learned; empty in bundles of versions before 5.
    pub id: String,
    /// How captures are cut into fragments.
    pub cutting: Cutting,
    /// The fitted detectors.
    pub detectors: Detectors,
    /// When what they say is an alert.
    pub decision: DecisionRule,
    /// What was accepted as normal since.
    pub accepted: Vec<Accepted>,
    /// What was learned from, and how it went.
    pub training_summary: TrainingSummary,
    /// Normal fragments to compare odd ones with; `None` where there is no autoencoder, where none were asked for, and in bundles of version 2.
    pub normal: Option<NormalFragments>,
}

/// What a bundle was learned from, and how it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingSummary {
    /// The captures.
    pub sources: Vec<Source>,
    /// Packets of them that were learned.
    pub packets: u64,
    /// Packets of them that were excluded.
    pub excluded: u64,
    /// How long was recorded, in seconds: without gaps of more than an hour between packets.
    pub seconds: f64,
    /// Windows that the weights were fitted to, or where there are very many, an even selection of them.
    pub training_windows: usize,
    /// Windows that decided when to stop.
    pub validation_windows: usize,
    /// The losses of the autoencoder, epoch by epoch; empty where there is none.
    pub history: History,
    /// Events that the learned traffic would have raised, block by block, with what the other blocks taught: what to expect of normal traffic, up
    /// to luck and time.
    pub left_out_events: u64,
}
