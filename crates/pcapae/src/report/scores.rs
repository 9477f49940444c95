//! Scores as CSV, for people who work on them with other tools.

use super::json::shortest;
use crate::Result;
use crate::calibration::Trigger;
use crate::monitor::Detection;
use crate::scores::{ScoreRow, ScoreWriter};

/// The file of scores of every packet that has one, a packet a row: see [`scores`](crate::scores).
///
/// `score` is the higher one of the packet's own and its connection's score, −ln p. Further columns: `p` of the packet by itself,
/// `packet_score`, `connection_score` where connections are scored, `alert` (packet, connection, both or empty), and of each detector
/// its score in its own unit.
pub fn scores_csv(detection: &Detection) -> Result<Vec<u8>> {
    let mut columns = vec!["p", "packet_score", "connection_score", "alert"];
    columns.extend(detection.of_detectors.iter().map(|(name, _)| name));
    let mut writer = ScoreWriter::new(Vec::new(), &columns)?;
    let text = |score: Option<f32>| score.map_or_else(String::new, |score| score.to_string());
    for (window, (packet, score)) in (0..).zip(detection.scores()) {
        let row = ScoreRow {
            window,
            first_packet: Some(packet),
            last_packet: Some(packet),
            time_ns: Some(detection.packets.time_ns(packet)),
            score: shortest(score),
            label: detection.packets.label(packet),
        };
        let mut cells = vec![
            detection.p_value(packet).map_or_else(String::new, |p| p.to_string()),
            text(detection.packet_scores.get(packet)),
            text(detection.connection_scores.get(packet)),
            detection.trigger(packet).map_or("", Trigger::name).to_owned(),
        ];
        cells.extend(detection.of_detectors.iter().map(|(_, scores)| text(scores.get(packet))));
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        writer.write(&row, &cells)?;
    }
    writer.finish()
}
