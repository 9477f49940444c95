//! The fields that mattered in an event: those with the largest shares in the score.

use std::collections::{BTreeMap, BTreeSet};

use crate::capture::headers::Dissection;
use crate::explain::{ExplainedWindow, by_name, joined_fields};
use crate::monitor::{Event, Evidence, PacketEvidence};
use crate::residual::AUTOENCODER;

/// Maximum number of fields.
pub const TOP_FIELDS: usize = 8;

/// A field of an event's packets and how much of the score it is.
#[derive(Debug, Clone, PartialEq)]
pub struct TopField {
    /// Its name: `Modbus function code`, `payload +12`, or `padding` for zeros behind a packet.
    pub name: String,
    /// Its share in the scores of the detectors that look at bytes, 0 to 1.
    pub share: f64,
}

/// The fields that mattered most in an event, at most [`TOP_FIELDS`], the highest share first; none where no detector looks at bytes.
///
/// Over the event's packets among `evidence` and `explained`. Each detector's shares add up to 1: of the autoencoder, |relevance| by layer-wise
/// relevance propagation; of the others, what their scores are made of at each byte, as far as it is above 0. They are weighted by the detectors' shares in
/// the event's highest score.
pub fn top_fields(event: &Event, evidence: &Evidence, explained: &[ExplainedWindow<'_>]) -> Vec<TopField> {
    let mut of_detectors = vec![(AUTOENCODER, of_relevance(event, explained))];
    let packets = || event.packets.iter().filter_map(|packet| evidence.packet(*packet));
    let others: BTreeSet<&'static str> = packets().flat_map(|packet| &packet.heat).map(|heat| heat.detector).collect();
    let others = others.into_iter().filter(|name| *name != AUTOENCODER);
    of_detectors.extend(others.map(|name| (name, of_heat(name, packets()))));
    let shares = event.peak.shares();
    let weight = |name: &str| {
        let share = shares.iter().find(|(other, _)| *other == name);
        share.map_or(0.0, |(_, share)| share.max(0.0))
    };
    let there = of_detectors.iter().filter(|(_, fields)| !fields.is_empty());
    let all: f64 = there.clone().map(|(name, _)| weight(name)).sum();
    let count = there.clone().count() as f64;
    let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, fields) in there {
        // Where none of them had a share, as of an alert by lengths alone, all count alike.
        let weight = if all > 0.0 { weight(name) / all } else { 1.0 / count };
        for (field, share) in fields {
            *sums.entry(field).or_default() += weight * share;
        }
    }
    let mut fields: Vec<TopField> = sums
        .into_iter()
        .filter(|(_, share)| *share > 0.0)
        .map(|(name, share)| TopField { name: name.to_owned(), share })
        .collect();
    fields.sort_by(|a, b| b.share.total_cmp(&a.share));
    fields.truncate(TOP_FIELDS);
    fields
}

/// Shares by name, which add up to 1; empty where there is nothing.
type Shares = BTreeMap<String, f64>;

fn of_relevance(event: &Event, explained: &[ExplainedWindow<'_>]) -> Shares {
    let concerns = |window: &&ExplainedWindow<'_>| {
        window.window.packets().any(|packet| event.packets.binary_search(&packet).is_ok())
    };
    let windows: Vec<ExplainedWindow<'_>> = explained.iter().filter(concerns).cloned().collect();
    by_name(&joined_fields(&windows)).into_iter().map(|field| (field.name, field.share)).collect()
}

fn of_heat<'a>(detector: &str, packets: impl Iterator<Item = &'a PacketEvidence>) -> Shares {
    let mut sums = Shares::new();
    packets.for_each(|packet| add_heat(detector, packet, &mut sums));
    let all: f64 = sums.values().sum();
    if all > 0.0 { sums.into_iter().map(|(name, sum)| (name, sum / all)).collect() } else { Shares::new() }
}

fn add_heat(detector: &str, packet_evidence: &PacketEvidence, sums: &mut Shares) {
    let Some(heat) = packet_evidence.heat.iter().find(|heat| heat.detector == detector) else { return };
    // Neither NaN, where a byte was not seen, nor what is below 0 counts.
    let above = |range: std::ops::Range<usize>| {
        heat.of_bytes[range].iter().filter(|value| **value > 0.0).map(|value| f64::from(*value)).sum::<f64>()
    };
    for field in Dissection::new(packet_evidence.link, &packet_evidence.bytes).named_fields() {
        *sums.entry(field.to_string()).or_default() += above(field.range.clone());
    }
    let past_end = f64::from(heat.past_end);
    if past_end > 0.0 && past_end < 1.0 {
        let own = above(0..heat.of_bytes.len());
        *sums.entry("padding".into()).or_default() += own * past_end / (1.0 - past_end);
    }
}
