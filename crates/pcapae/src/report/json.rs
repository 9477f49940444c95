//! Events as JSON, with the names of Suricata's EVE so that existing collectors take them.

use serde_json::{Map, Value, json};

use super::TopField;
use super::community_id::community_id;
use super::kind::{kind_name, severity, signature, signature_id};
use crate::capture::CaptureSummary;
use crate::capture::headers::Endpoint;
use crate::metrics::{EpisodeMeasures, Summary};
use crate::monitor::{Event, Finding};

/// One event as a JSON object: `timestamp`, `event_type: "alert"`, source and destination, `proto`, `app_proto`, `pcap_cnt` of the
/// packet that is told of in its capture `pcap_filename`, `community_id` where there are ports, an object `alert`, and an object `pcapae` with
/// the event's number, kind, reason and causes, what was found in that packet, the detectors' shares, the fields that mattered (null
/// without evidence) and packets, whose numbers are counted over all captures.
pub fn event_json(event: &Event, bundle: &str, captures: &CaptureSummary, fields: Option<&[TopField]>) -> Value {
    let told = &event.told;
    let conversation = &told.conversation;
    let mut object = Map::new();
    object.insert("timestamp".into(), timestamp(event.first_ns).into());
    object.insert("event_type".into(), "alert".into());
    put_endpoint(&mut object, "src", &conversation.source);
    put_endpoint(&mut object, "dest", &conversation.destination);
    object.insert("proto".into(), conversation.protocol.to_string().into());
    if let Some(service) = conversation.service {
        object.insert("app_proto".into(), service.to_string().into());
    }
    if let Some(id) = community_id(conversation) {
        object.insert("community_id".into(), id.into());
    }
    let (path, number) = place(told.packet, captures);
    object.insert("pcap_cnt".into(), number.into());
    if let Some(path) = path {
        object.insert("pcap_filename".into(), path.into());
    }
    object.insert("alert".into(), alert(event));
    let shares = event.peak.shares().into_iter().map(|(name, share)| (name.to_owned(), rounded(share)));
    let detail = json!({
        "number": event.number,
        "bundle": bundle,
        "kind": kind_name(event),
        "reason": event.reason,
        "recurrences": event.recurrences,
        "again": event.again,
        "strength": shortest(event.peak.strength()),
        "findings": told.findings.iter().map(finding_json).collect::<Vec<Value>>(),
        "causes": event.causes.iter().map(finding_json).collect::<Vec<Value>>(),
        "more_causes": event.more_causes,
        "shares": Value::Object(shares.collect()),
        "top_fields": fields.map(|fields| fields.iter().map(field_json).collect::<Vec<Value>>()),
        "first_packet": event.packets.first(),
        "last_packet": event.last_packet,
        "strongest_packet": event.peak.packet,
        "last_timestamp": timestamp(event.last_ns),
        "packets": event.packets,
        "packet_count": event.packet_count,
        "hosts": event.hosts,
        "anomalous": event.anomalous,
    });
    object.insert("pcapae".into(), detail);
    Value::Object(object)
}

/// What was found: by which detector, of what, the score with its limit, and the hash of the cause.
fn finding_json(finding: &Finding) -> Value {
    json!({
        "kind": finding.kind(),
        "score": shortest(finding.score),
        "threshold": shortest(finding.limit.threshold),
        "strength": shortest(finding.strength()),
        "cause": format!("{:016x}", finding.cause),
        "accept_up_to": shortest(finding.accepted_up_to()),
    })
}

/// The capture that holds a packet, and the packet's number in it, both from the number over all captures.
fn place(packet: u64, captures: &CaptureSummary) -> (Option<String>, u64) {
    let mut before = 0;
    for source in &captures.sources {
        if packet <= before + source.packets {
            return (Some(source.path.display().to_string()), packet - before);
        }
        before += source.packets;
    }
    (None, packet - before)
}

/// Suricata's object `alert`.
fn alert(event: &Event) -> Value {
    json!({
        "action": "allowed",
        "gid": 1,
        "signature_id": signature_id(event),
        "rev": 1,
        "signature": signature(event),
        "category": "Not normal traffic",
        "severity": severity(event),
    })
}

/// The summary as a JSON object with `event_type: "summary"`, `metrics` and `attacks` where there are labels; undefined values are null.
pub fn summary_json(summary: &Summary, attacks: Option<&EpisodeMeasures>) -> Value {
    let mut object = json!({
        "event_type": "summary",
        "packets": summary.packets,
        "alerts": summary.alerts,
        "events": summary.events,
    });
    if let (Some(confusion), Some(fields)) = (summary.confusion, object.as_object_mut()) {
        let metrics = json!({
            "true_positives": confusion.true_positives,
            "false_positives": confusion.false_positives,
            "true_negatives": confusion.true_negatives,
            "false_negatives": confusion.false_negatives,
            "precision": confusion.precision(),
            "recall": confusion.recall(),
            "f1": confusion.f1(),
            "false_positive_rate": confusion.false_positive_rate(),
            "average_precision": summary.average_precision,
            "base_rate": confusion.base_rate(),
        });
        fields.insert("metrics".into(), metrics);
        fields.insert("attacks".into(), json!(attacks));
    }
    object
}

fn field_json(field: &TopField) -> Value {
    json!({ "name": field.name, "share": rounded(field.share) })
}

/// A share, from 0 to 1, rounded to a thousandth.
fn rounded(share: f64) -> Value {
    ((share * 1000.0).round() / 1000.0).into()
}

/// The number with the fewest digits that is this `f32`, instead of all the digits of its `f64`.
pub(super) fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| value.into())
}

/// RFC 3339 in UTC, to the microsecond.
pub fn timestamp(time_ns: i64) -> String {
    match jiff::Timestamp::from_nanosecond(time_ns.into()) {
        Ok(time) => format!("{time:.6}"),
        // An i64 of nanoseconds is always within the range of time stamps (the years 1677 to 2262).
        Err(_) => String::from("?"),
    }
}

fn put_endpoint(object: &mut Map<String, Value>, side: &str, endpoint: &Endpoint) {
    match endpoint {
        Endpoint::Ip(address, port) => {
            object.insert(format!("{side}_ip"), address.to_string().into());
            if let Some(port) = port {
                object.insert(format!("{side}_port"), (*port).into());
            }
        }
        Endpoint::Mac(_) => {
            object.insert(format!("{side}_mac"), endpoint.to_string().into());
        }
        Endpoint::Unknown => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_to_the_microsecond() {
        assert_eq!(timestamp(1_500_000_000_123_456_789), "2017-07-14T02:40:00.123456Z");
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn numbers_have_no_more_digits_than_they_need() {
        assert_eq!(serde_json::json!(shortest(0.1)).to_string(), "0.1");
        assert_eq!(shortest(5003.392) as f32, 5003.392_f32);
    }

    #[test]
    fn every_time_has_a_stamp() {
        for time_ns in [i64::MIN, i64::MAX, -1] {
            assert_ne!(timestamp(time_ns), "?");
        }
    }
}
