//! What a plant's normal traffic taught: the model, how to cut captures for it, and the calibrated threshold, in one file.

mod detection;

mod file;

mod learn;

mod scorer;

pub use detection::{Alert, Detection, PacketLog};
pub use learn::{DEFAULT_STEPS, Effort, LearnConfig, Learned, learn};
pub use scorer::Scorer;

use serde::{Deserialize, Serialize};

use crate::capture::Source;
use crate::detect::Threshold;
use crate::fragment::Cutting;
use crate::model::Autoencoder;
use crate::train::History;

/// All that detection needs.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// How captures are cut into fragments.
    pub cutting: Cutting,
    /// The trained autoencoder.
    pub model: Autoencoder,
    /// Scores of held-back normal packets, in packet order.
    pub calibration: Vec<f32>,
    /// The threshold read off them.
    pub threshold: Threshold,
    /// What was learned from, and how it went.
    pub lesson: Lesson,
}

/// What a bundle was learned from, and how it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// The captures.
    pub sources: Vec<Source>,
    /// Packets in them.
    pub packets: u64,
    /// Windows that the weights were fitted to, or where there are very many, an even selection of them.
    pub training_windows: usize,
    /// Windows that decided when to stop.
    pub validation_windows: usize,
    /// The losses, epoch by epoch.
    pub history: History,
    /// Share of the validation packets that exceed the threshold: what to expect of normal traffic, up to luck and time.
    pub validation_alarm_rate: f64,
}
