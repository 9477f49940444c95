//! Scores as CSV, for people who work on them with other tools.

use crate::bundle::Detection;
use crate::label::Label;
use crate::{Error, Result};

/// The score of every packet that has one: `window,first_packet,last_packet,time_ns,score,label`, a packet a row, the label empty
/// where unknown.
pub fn scores_csv(detection: &Detection) -> Result<Vec<u8>> {
    let unwritable = |error: &dyn std::fmt::Display| Error::Unwritable { what: "scores", reason: error.to_string() };
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(["window", "first_packet", "last_packet", "time_ns", "score", "label"])
        .map_err(|error| unwritable(&error))?;
    for (window, (packet, score)) in detection.scores.iter().enumerate() {
        let label = match detection.packets.label(packet) {
            Label::Unknown => String::new(),
            label => label.to_i8().to_string(),
        };
        let (window, packet, time) =
            (window.to_string(), packet.to_string(), detection.packets.time_ns(packet).to_string());
        rows.write_record([&window, &packet, &packet, &time, &score.to_string(), &label])
            .map_err(|error| unwritable(&error))?;
    }
    rows.into_inner().map_err(|error| unwritable(&error))
}
