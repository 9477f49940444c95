//! The data of the alert packets that are shown in full.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::levels::{UNSEEN, to_base64};
use super::relevance::Explained;
use crate::explain::ExplainedWindow;
use crate::label::Label;
use crate::monitor::{Alert, Event, Evidence, Finding, Heat, PacketEvidence};
use crate::report::json::shortest;
use crate::report::{timestamp, top_fields};

/// The level of the hottest byte of a packet.
const HOTTEST: f32 = 254.0;

/// Where the bytes of alert packets are.
#[derive(Debug, Clone, Copy)]
pub enum ReportEvidence<'a> {
    /// The captures were read again, by [`Bundle::evidence`](crate::monitor::Bundle::evidence) with [`packets_to_show`](super::packets_to_show),
    /// and windows were explained, by [`explain_windows`](crate::explain::explain_windows).
    Shown(&'a Evidence, &'a [ExplainedWindow<'a>]),
    /// They were not kept; why, as a sentence.
    NotKept(&'a str),
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
    (finding.kind(), shortest(finding.score), shortest(finding.limit.threshold))
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
    json!({
        "detector": heat.detector,
        "hottest": shortest(hottest),
        "levels": to_base64(heat.of_bytes.iter().map(level)),
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
