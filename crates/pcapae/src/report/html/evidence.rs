//! The alert packets that are shown in full: which, and the data of each.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::relevance::Explained;
use super::{ReportEvidence, strongest};
use crate::label::Label;
use crate::monitor::{Alert, Event, Finding, Heat, PacketEvidence, Wanted};
use crate::report::json::shortest;
use crate::report::{timestamp, top_fields};

/// Maximum number of packets of an event that are shown beside the strongest: the first ones.
pub(super) const PACKETS_OF_EVENT: usize = 8;
/// Maximum number of packets over all events.
pub(super) const PACKETS_MAX: usize = 2000;

/// A byte that a detector did not see.
pub(super) const UNSEEN: u8 = 255;
/// The level of the hottest byte of a packet.
const HOTTEST: f32 = 254.0;

/// Maximum bytes of windows that are explained for a report, which bounds the time.
const EXPLAINED_BYTES_MAX: usize = 1 << 19;
/// So many packets are explained however long their windows are.
const EXPLAINED_LEAST: usize = 16;

/// The packets that a report shows in full: of every event the strongest and the first few, as far as there is room. Of them,
/// as many are explained as there is time for, with windows of this many bytes.
pub fn packets_to_show(events: &[Event], window_size: usize) -> Wanted {
    let packets = ranked(events);
    let explained = (EXPLAINED_BYTES_MAX / window_size.max(1)).max(EXPLAINED_LEAST);
    Wanted { explained: packets.iter().take(explained).copied().collect(), shown: packets.into_iter().collect() }
}

/// The packets to show, the most important first.
fn ranked(events: &[Event]) -> Vec<u64> {
    let mut shown = strongest(events);
    shown.sort_by(|a, b| b.peak.strength().total_cmp(&a.peak.strength()));
    let mut packets: Vec<u64> = shown.iter().map(|event| event.peak.packet).collect();
    let mut wanted: BTreeSet<u64> = packets.iter().copied().collect();
    for rank in 0..PACKETS_OF_EVENT {
        for packet in shown.iter().filter_map(|event| event.packets.get(rank)) {
            if packets.len() >= PACKETS_MAX {
                return packets;
            }
            if wanted.insert(*packet) {
                packets.push(*packet);
            }
        }
    }
    packets
}

/// The packets of an event that are shown, as JSON.
pub(super) fn of_event(
    event: &Event,
    wanted: &BTreeSet<u64>,
    evidence: ReportEvidence<'_>,
    explained: &Explained<'_>,
) -> Value {
    let packet_evidence = |packet: u64| match evidence {
        ReportEvidence::Shown(evidence, _) => evidence.packet(packet),
        ReportEvidence::NotKept(_) => None,
    };
    let fields = match evidence {
        ReportEvidence::Shown(evidence, windows) => top_fields(event, evidence, windows),
        ReportEvidence::NotKept(_) => vec![],
    };
    let peak = Some(&event.peak).filter(|peak| event.alerts.iter().all(|alert| alert.packet != peak.packet));
    let shown = event.alerts.iter().chain(peak).filter(|alert| wanted.contains(&alert.packet));
    let packets: Vec<Value> = shown.map(|alert| of_packet(alert, packet_evidence(alert.packet), explained)).collect();
    json!({
        "number": event.number,
        "peak": event.peak.packet,
        "alerts": event.packet_count,
        "fields": fields.iter().map(|field| (field.name.as_str(), field.share)).collect::<Vec<_>>(),
        "packets": packets,
    })
}

fn of_packet(alert: &Alert, packet_evidence: Option<&PacketEvidence>, explained: &Explained<'_>) -> Value {
    let conversation = &alert.conversation;
    json!({
        "number": alert.packet,
        "time": timestamp(alert.time_ns),
        "from": conversation.source.to_string(),
        "to": conversation.destination.to_string(),
        "protocol": protocol(alert),
        "reason": alert.reason(),
        "strength": shortest(alert.strength()),
        "findings": alert.findings.iter().map(of_finding).collect::<Vec<_>>(),
        "shares": alert.shares(),
        "label": label(alert.label),
        "bytes": packet_evidence.map(|packet_evidence| BASE64_STANDARD.encode(&packet_evidence.bytes)),
        "length": packet_evidence.map(|packet_evidence| packet_evidence.length),
        "fields": packet_evidence.map(fields),
        "heat": packet_evidence.map(|packet_evidence| packet_evidence.heat.iter().map(of_heat).collect::<Vec<_>>()),
        "relevance": packet_evidence.map(|packet_evidence| explained.relevance(packet_evidence)),
        "normal": explained.nearest_normal(alert.packet),
    })
}

/// What was found, the score and its limit.
fn of_finding(finding: &Finding) -> (String, f64, f64) {
    let kind = format!("{}/{}", finding.detector, finding.aspect.name);
    (kind, shortest(finding.score), shortest(finding.limit.threshold))
}

/// `TCP Modbus/TCP`.
fn protocol(alert: &Alert) -> String {
    let conversation = &alert.conversation;
    match conversation.service {
        Some(service) => format!("{} {service}", conversation.protocol),
        None => conversation.protocol.to_owned(),
    }
}

fn label(label: Label) -> Option<&'static str> {
    match label {
        Label::Unknown => None,
        Label::Normal => Some("normal"),
        Label::Anomalous => Some("anomalous"),
    }
}

fn fields(packet_evidence: &PacketEvidence) -> Vec<(&'static str, usize, usize)> {
    packet_evidence.fields.iter().map(|(field, range)| (field.name(), range.start, range.end)).collect()
}

/// A level for each byte up to the last one seen: 0 for the most normal, 254 for the most anomalous of the packet.
fn of_heat(heat: &Heat) -> Value {
    let hottest = heat.of_bytes.iter().copied().fold(0.0, f32::max);
    let level = |value: &f32| match (value.is_nan(), hottest > 0.0) {
        (true, _) => UNSEEN,
        (false, true) => (value / hottest * HOTTEST).clamp(0.0, HOTTEST).round() as u8,
        (false, false) => 0,
    };
    let mut levels: Vec<u8> = heat.of_bytes.iter().map(level).collect();
    levels.truncate(levels.iter().rposition(|level| *level != UNSEEN).map_or(0, |last| last + 1));
    json!({
        "detector": heat.detector,
        "hottest": shortest(hottest),
        "levels": BASE64_STANDARD.encode(&levels),
        "past_end": shortest(heat.past_end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_shares_of_the_hottest_byte_and_end_with_the_last_one_seen() {
        let of_bytes = vec![2.0, -3.0, f32::NAN, 4.0, f32::NAN, f32::NAN];
        let heat = of_heat(&Heat { detector: "PositionHistogram", of_bytes, past_end: 0.25 });
        assert_eq!(heat["levels"], BASE64_STANDARD.encode([127, 0, 255, 254]));
        assert_eq!((heat["hottest"].as_f64(), heat["past_end"].as_f64()), (Some(4.0), Some(0.25)));
    }

    #[test]
    fn nothing_odd_is_level_0() {
        let heat = of_heat(&Heat { detector: "Autoencoder", of_bytes: vec![0.0, -1.0], past_end: 0.0 });
        assert_eq!(heat["levels"], BASE64_STANDARD.encode([0, 0]));
    }
}
