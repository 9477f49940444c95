//! Writing scores, a row at a time.

use std::io::Write;

use super::column::decimal;
use super::{HEADER, ScoreRow};
use crate::error::Reason;
use crate::label::Label;
use crate::{Error, Result};

/// Writes scores as they come.
pub struct ScoreWriter<W: Write> {
    csv: csv::Writer<W>,
}

impl<W: Write> ScoreWriter<W> {
    /// Writes the header; `further` are the names of the columns after those of [`HEADER`].
    ///
    /// # Errors
    ///
    /// The header cannot be written.
    pub fn new(writer: W, further: &[&str]) -> Result<ScoreWriter<W>> {
        let mut csv = csv::Writer::from_writer(writer);
        csv.write_record(HEADER.iter().chain(further)).map_err(unwritable)?;
        Ok(ScoreWriter { csv })
    }

    /// Writes a row; `further` are its cells in the further columns.
    ///
    /// # Errors
    ///
    /// The score is not finite, there are more or fewer cells than columns, or the row cannot be written.
    pub fn write(&mut self, row: &ScoreRow, further: &[&str]) -> Result<()> {
        if !row.score.is_finite() {
            let reason = format!("the score of window {} is {}", row.window, row.score);
            return Err(unwritable(reason));
        }
        let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        let label = match row.label {
            Label::Unknown => String::new(),
            label => label.to_i8().to_string(),
        };
        let cells = [
            row.window.to_string(),
            number(row.first_packet),
            number(row.last_packet),
            row.time_ns.map_or_else(String::new, |time| time.to_string()),
            decimal(row.score),
            label,
        ];
        self.csv.write_record(cells.iter().map(String::as_str).chain(further.iter().copied())).map_err(unwritable)
    }

    /// Everything is written: gives back what it was written to.
    ///
    /// # Errors
    ///
    /// What is still in memory cannot be written.
    pub fn finish(self) -> Result<W> {
        self.csv.into_inner().map_err(|error| unwritable(error.error().to_string()))
    }
}

fn unwritable(error: impl Into<Reason>) -> Error {
    Error::unwritable("scores")(error)
}
