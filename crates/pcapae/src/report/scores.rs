//! Scores as CSV, for people who work on them with other tools.

use super::json::shortest;
use crate::Result;
use crate::monitor::PacketRecords;
use crate::scores::{ScoreRow, ScoreWriter};

/// The file of scores of every packet, a packet a row: see [`scores`](crate::scores).
///
/// `score` is the strength of the strongest signal, above 1 an alert. Further columns: `event`, the number of the event that the packet belongs to,
/// and of each detector its strength, or its score in its own unit where it raises no alerts.
pub fn scores_csv(records: &PacketRecords) -> Result<Vec<u8>> {
    let mut columns = vec!["event"];
    columns.extend(records.of_detectors.iter().map(|(name, _)| name));
    let mut writer = ScoreWriter::new(Vec::new(), &columns)?;
    for (window, (packet, score)) in (0..).zip(records.strengths.iter()) {
        let row = ScoreRow {
            window,
            first_packet: Some(packet),
            last_packet: Some(packet),
            time_ns: Some(records.log.time_ns(packet)),
            score: shortest(score),
            label: records.log.label(packet),
        };
        let text = |score: Option<f32>| score.map_or_else(String::new, |score| score.to_string());
        let mut cells = vec![records.event(packet).map_or_else(String::new, |event| event.to_string())];
        cells.extend(records.of_detectors.iter().map(|(_, scores)| text(scores.get(packet))));
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        writer.write(&row, &cells)?;
    }
    writer.finish()
}
