//! The numbers of a detection against its labels.

use crate::bundle::Detection;
use crate::label::Label;
use crate::metrics::{Confusion, average_precision};

/// How good the verdicts and scores of a detection are, per packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Packets read.
    pub packets: u64,
    /// Packets with a score.
    pub scored: u64,
    /// Packets above the threshold.
    pub alerts: u64,
    /// Verdicts against labels, if there are labels. Packets without a score count as not flagged.
    pub confusion: Option<Confusion>,
    /// Area under the precision-recall curve, over the packets with a score.
    pub average_precision: Option<f64>,
}

impl Summary {
    /// Sums up a detection.
    pub fn of(detection: &Detection) -> Summary {
        let numbers = 1..=detection.packets.len() as u64;
        let labelled = numbers.clone().any(|packet| detection.packets.label(packet) != Label::Unknown);
        let mut confusion = Confusion::default();
        for packet in numbers {
            confusion.add(detection.packets.label(packet), detection.is_flagged(packet));
        }
        let scored = detection.scores.iter().map(|(packet, score)| (score, detection.packets.label(packet)));
        Summary {
            packets: detection.packets.len() as u64,
            scored: detection.scores.iter().count() as u64,
            alerts: detection.alerts().count() as u64,
            confusion: labelled.then_some(confusion),
            average_precision: average_precision(scored),
        }
    }
}
