//! The score of every packet over time, small enough for a page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::calibration::Trigger;
use crate::label::Label;
use crate::monitor::Detection;
use crate::report::timestamp;

/// Maximum number of points of a timeline. Where there are more packets, each point stands for equally many of them.
const POINTS_MAX: usize = 200_000;

/// A bit of a point: one of its packets is an alert by itself.
const PACKET: u8 = 1;
/// One of them is an alert by its connection.
const CONNECTION: u8 = 2;
/// One of them is labelled anomalous.
const ANOMALOUS: u8 = 4;
/// One of them has no score.
const UNSCORED: u8 = 8;

/// Points in the order of packets.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    packets: usize,
    packets_per_point: usize,
    start_ns: i64,
    /// Seconds from the start, of the first packet of each point.
    times: Vec<f64>,
    /// The lowest and the highest score; NaN where there is none.
    low: Vec<f32>,
    high: Vec<f32>,
    flags: Vec<u8>,
    /// Name and value of each threshold.
    thresholds: Vec<(&'static str, f32)>,
}

impl Timeline {
    /// The timeline of a detection.
    pub fn of(detection: &Detection) -> Timeline {
        let packets = detection.packets.len();
        let packets_per_point = packets.div_ceil(POINTS_MAX).max(1);
        let mut timeline = Timeline {
            packets,
            packets_per_point,
            start_ns: detection.captures.time_range_ns.map_or(0, |(first, _)| first),
            thresholds: thresholds(detection),
            ..Timeline::default()
        };
        for first in (1..=packets).step_by(packets_per_point) {
            let of_point = first as u64..(first + packets_per_point).min(packets + 1) as u64;
            let nanoseconds = i128::from(detection.packets.time_ns(first as u64)) - i128::from(timeline.start_ns);
            timeline.times.push(nanoseconds as f64 / 1e9);
            let (mut low, mut high, mut flags) = (f32::NAN, f32::NAN, 0);
            for packet in of_point {
                let score = detection.score(packet).unwrap_or(f32::NAN);
                // If one of the two is NaN, both give the other.
                (low, high) = (low.min(score), high.max(score));
                flags |= self::flags(detection, packet);
            }
            timeline.low.push(low);
            timeline.high.push(high);
            timeline.flags.push(flags);
        }
        timeline
    }

    /// Arrays are little-endian and base64.
    pub fn to_json(&self) -> Value {
        let floats = |values: &[f32]| {
            BASE64_STANDARD.encode(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
        };
        let times: Vec<u8> = self.times.iter().flat_map(|time| time.to_le_bytes()).collect();
        json!({
            "packets": self.packets,
            "packets_per_point": self.packets_per_point,
            "start": timestamp(self.start_ns),
            "start_ms": self.start_ns.div_euclid(1_000_000),
            "times": BASE64_STANDARD.encode(&times),
            "low": if self.packets_per_point == 1 { Value::Null } else { floats(&self.low).into() },
            "high": floats(&self.high),
            "flags": BASE64_STANDARD.encode(&self.flags),
            "thresholds": self.thresholds,
        })
    }
}

/// One threshold where packets and connections have the same.
fn thresholds(detection: &Detection) -> Vec<(&'static str, f32)> {
    let packet = detection.packet_threshold().value;
    match detection.connection_threshold() {
        Some(connection) if connection.value != packet => {
            vec![("threshold of packets", packet), ("threshold of connections", connection.value)]
        }
        _ => vec![("threshold", packet)],
    }
}

fn flags(detection: &Detection, packet: u64) -> u8 {
    let fired = match detection.trigger(packet) {
        Some(Trigger::Packet) => PACKET,
        Some(Trigger::Connection) => CONNECTION,
        Some(Trigger::Both) => PACKET | CONNECTION,
        None => 0,
    };
    let label = if detection.packets.label(packet) == Label::Anomalous { ANOMALOUS } else { 0 };
    let unscored = if detection.score(packet).is_none() { UNSCORED } else { 0 };
    fired | label | unscored
}
