//! The numbers of a detection against its labels.

use super::{Confusion, average_precision};
use crate::calibration::Trigger;
use crate::label::Label;
use crate::monitor::Detection;

/// How good the alerts and scores of a detection are, per packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Packets read.
    pub packets: u64,
    /// Packets with a score.
    pub scored: u64,
    /// Packets that raised an alert.
    pub alerts: u64,
    /// Those that did so by themselves.
    pub by_packet: u64,
    /// Those of which the connection did; those with both count here and there.
    pub by_connection: u64,
    /// Alerts against labels, if there are labels. Packets without a score count as not flagged.
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
        let (mut alerts, mut by_packet, mut by_connection) = (0, 0, 0);
        for packet in numbers {
            let fired = detection.trigger(packet);
            confusion.add(detection.packets.label(packet), fired.is_some());
            alerts += u64::from(fired.is_some());
            by_packet += u64::from(matches!(fired, Some(Trigger::Packet | Trigger::Both)));
            by_connection += u64::from(matches!(fired, Some(Trigger::Connection | Trigger::Both)));
        }
        let scored = detection.scores().map(|(packet, score)| (score, detection.packets.label(packet)));
        Summary {
            packets: detection.packets.len() as u64,
            scored: detection.scores().count() as u64,
            alerts,
            by_packet,
            by_connection,
            confusion: labelled.then_some(confusion),
            average_precision: average_precision(scored),
        }
    }
}
