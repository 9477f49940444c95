//! The numbers of a detection against its labels.

use super::{Confusion, average_precision};
use crate::label::Label;
use crate::monitor::Detection;

/// How good the alerts of a detection are, per packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Packets read.
    pub packets: u64,
    /// Packets with alerts.
    pub alerts: u64,
    /// Events.
    pub events: u64,
    /// Alerts against labels, if there are labels and packets were kept.
    pub confusion: Option<Confusion>,
    /// Area under the precision-recall curve of the packets' strengths.
    pub average_precision: Option<f64>,
}

impl Summary {
    /// Sums up a detection.
    pub fn of(detection: &Detection) -> Summary {
        let (mut confusion, mut average) = (None, None);
        if let Some(records) = &detection.records {
            let numbers = 1..=records.log.len() as u64;
            let label = |packet| records.log.label(packet);
            if numbers.clone().any(|packet| label(packet) != Label::Unknown) {
                let counted = confusion.insert(Confusion::default());
                numbers.for_each(|packet| counted.add(label(packet), records.event(packet).is_some()));
            }
            average = average_precision(records.strengths.iter().map(|(packet, strength)| (strength, label(packet))));
        }
        Summary {
            packets: detection.packets,
            alerts: detection.alerts,
            events: detection.events.len() as u64,
            confusion,
            average_precision: average,
        }
    }
}
