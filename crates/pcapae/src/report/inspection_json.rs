//! What is in captures, for programs.

use std::fmt::Display;
use std::hash::Hash;

use serde_json::{Map, Value, json};

use super::timestamp;
use crate::inspect::{Comparison, Counts, Inspection, Traffic};

/// Of hosts, pairs of hosts and services, so many are listed, those with the most packets.
const LISTED_MAX: usize = 1000;

/// One inspection as a JSON object, or two as an object with `first`, `second` and `comparison`. Undefined values are null. Panics
/// without an inspection.
pub fn inspection_json(inspections: &[&Inspection]) -> Value {
    match inspections {
        [first, second] => json!({
            "first": object(first),
            "second": object(second),
            "comparison": Comparison::of(first, second),
        }),
        _ => object(inspections[0]),
    }
}

fn object(inspection: &Inspection) -> Value {
    let time = |pick: fn((i64, i64)) -> i64| inspection.captures.time_range_ns.map(|range| timestamp(pick(range)));
    let sizes = &inspection.sizes;
    let quantiles =
        [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0].map(|share| (share.to_string(), json!(sizes.quantile(share))));
    let warnings: Vec<String> = inspection.captures.warnings.iter().map(ToString::to_string).collect();
    let hosts = listed(
        &inspection.hosts,
        |host| host.to_string(),
        |host, traffic, fields| {
            let sent = inspection.senders.of(host).packets;
            fields.insert("sent".into(), sent.into());
            fields.insert("received".into(), traffic.packets.saturating_sub(sent).into());
        },
    );
    json!({
        "captures": inspection.captures.sources,
        "warnings": warnings,
        "packets": inspection.all.packets,
        "bytes": inspection.all.bytes,
        "first_timestamp": time(|range| range.0),
        "last_timestamp": time(|range| range.1),
        "seconds": inspection.seconds(),
        "packets_per_second": inspection.packets_per_second(),
        "timeline": {
            "start_ns": inspection.timeline.start_ns(),
            "bin_seconds": inspection.timeline.width_seconds(),
            "packets": bins(inspection, |bin| bin.packets),
            "bytes": bins(inspection, |bin| bin.bytes),
        },
        "sizes": {
            "mean": sizes.mean(),
            "quantiles": Map::from_iter(quantiles),
            "packets": sizes.counts().map(|(length, packets)| json!([length, packets])).collect::<Vec<_>>(),
        },
        "byte_values": {
            "entropy": inspection.byte_values.entropy(),
            "counts": inspection.byte_values.counts().to_vec(),
        },
        "protocols": listed(&inspection.protocols, |name| name.to_string(), |_, _, _| {}),
        "services": listed(&inspection.services, display, |_, _, _| {}),
        "hosts": hosts,
        "conversations": listed(&inspection.host_pairs, |ends| format!("{} {}", ends[0], ends[1]), |_, _, _| {}),
        "gaps": inspection.gaps.longest(),
        "left_out": inspection.skipped,
    })
}

fn display<T: Display>(key: &T) -> String {
    key.to_string()
}

fn bins(inspection: &Inspection, value: fn(&Traffic) -> u64) -> Vec<u64> {
    inspection.timeline.bins().iter().map(value).collect()
}

/// `different`, `others` beyond those that are counted one by one, and a list of the greatest.
fn listed<K: Eq + Hash + Ord + Copy>(
    counts: &Counts<K>,
    name: impl Fn(&K) -> String,
    further: impl Fn(&K, Traffic, &mut Map<String, Value>),
) -> Value {
    let item = |(key, traffic): (K, Traffic)| {
        let mut fields = Map::new();
        fields.insert("name".into(), name(&key).into());
        fields.insert("packets".into(), traffic.packets.into());
        fields.insert("bytes".into(), traffic.bytes.into());
        further(&key, traffic, &mut fields);
        Value::Object(fields)
    };
    let list: Vec<Value> = counts.ranked().into_iter().take(LISTED_MAX).map(item).collect();
    json!({ "different": counts.different(), "others": counts.others(), "list": list })
}
