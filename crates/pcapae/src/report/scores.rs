//! Scores as CSV, for people who work on them with other tools.

use super::json::shortest;
use crate::Result;
use crate::bundle::Detection;
use crate::scores::{ScoreRow, ScoreWriter};

/// The file of scores of every packet that has one, a packet a row: see [`scores`](crate::scores).
pub fn scores_csv(detection: &Detection) -> Result<Vec<u8>> {
    let mut writer = ScoreWriter::new(Vec::new(), &[])?;
    for (window, (packet, score)) in (0..).zip(detection.scores.iter()) {
        let row = ScoreRow {
            window,
            first_packet: Some(packet),
            last_packet: Some(packet),
            time_ns: Some(detection.packets.time_ns(packet)),
            score: shortest(score),
            label: detection.packets.label(packet),
        };
        writer.write(&row, &[])?;
    }
    writer.finish()
}
