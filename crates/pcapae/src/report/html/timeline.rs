//! The strength of every packet over time, small enough for a page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::label::Label;
use crate::monitor::PacketRecords;
use crate::report::timestamp;

/// Maximum number of points of a timeline. Where there are more packets, each point stands for equally many of them.
const POINTS_MAX: usize = 200_000;

/// Higher strengths are drawn as this one.
pub(super) const STRENGTH_DRAWN: f32 = 10.0;

/// A bit of a point: one of its packets is an alert.
const ALERT: u8 = 1;
/// One of them is labelled anomalous.
const ANOMALOUS: u8 = 4;

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
}

impl Timeline {
    /// That of the packets of a detection; empty where they were not kept.
    pub fn of(records: Option<&PacketRecords>) -> Timeline {
        let Some(records) = records else { return Timeline { packets_per_point: 1, ..Timeline::default() } };
        let packets = records.log.len();
        let packets_per_point = packets.div_ceil(POINTS_MAX).max(1);
        let start_ns = (1..=packets as u64).map(|packet| records.log.time_ns(packet)).min().unwrap_or(0);
        let mut timeline = Timeline { packets, packets_per_point, start_ns, ..Timeline::default() };
        for first in (1..=packets).step_by(packets_per_point) {
            let of_point = first as u64..(first + packets_per_point).min(packets + 1) as u64;
            let nanoseconds = i128::from(records.log.time_ns(first as u64)) - i128::from(timeline.start_ns);
            timeline.times.push(nanoseconds as f64 / 1e9);
            let (mut low, mut high, mut flags) = (f32::NAN, f32::NAN, 0);
            for packet in of_point {
                let strength = records.strengths.get(packet).unwrap_or(f32::NAN).min(STRENGTH_DRAWN);
                // If one of the two is NaN, both give the other.
                (low, high) = (low.min(strength), high.max(strength));
                flags |= self::flags(records, packet);
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
            "thresholds": [("alerts above", 1.0)],
        })
    }
}

fn flags(records: &PacketRecords, packet: u64) -> u8 {
    let alert = if records.event(packet).is_some() { ALERT } else { 0 };
    let label = if records.log.label(packet) == Label::Anomalous { ANOMALOUS } else { 0 };
    alert | label
}
