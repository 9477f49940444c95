//! The history of a training, an epoch a row, as a CSV file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Fault, FileKind, Place};
use crate::{Error, Result};

/// The columns, in their order.
const HEADER: [&str; 8] =
    ["epoch", "steps", "learning_rate", "loss", "validation_loss", "seconds", "fragments_per_second", "best"];

/// The results of one epoch of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Counted from 1.
    pub epoch: usize,
    /// Steps of the optimiser since the beginning, this epoch's included.
    pub steps: u64,
    /// Of the last step.
    pub learning_rate: f64,
    /// Mean loss over the training windows, each when it was trained on.
    pub loss: f64,
    /// Mean loss over the validation windows after the epoch.
    pub validation_loss: f64,
    /// Duration of the epoch.
    pub seconds: f64,
    /// Training fragments in a second of the epoch.
    pub fragments_per_second: f64,
    /// Whether the validation loss was the smallest so far.
    pub best: bool,
}

/// The history as CSV: a header and a row an epoch, numbers with as many digits as they need to be read back the same.
pub fn history_csv(rows: &[EpochRow]) -> Result<Vec<u8>> {
    // The header is ours, so that it is there without rows too.
    let mut csv = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    csv.write_record(HEADER).map_err(Error::unwritable("history"))?;
    for row in rows {
        csv.serialize(row).map_err(Error::unwritable("history"))?;
    }
    csv.into_inner().map_err(Error::unwritable("history"))
}

/// Reads a history, so that a resumed training can go on with it. Refused: a file with another header, a row that is not
/// one, epochs that do not count upwards.
pub fn read_history(path: &Path) -> Result<Vec<EpochRow>> {
    parse(&std::fs::read(path).map_err(Error::io("read", path))?, path)
}

fn parse(bytes: &[u8], path: &Path) -> Result<Vec<EpochRow>> {
    let unreadable = FileKind::History.unreadable(path);
    let mut csv = csv::Reader::from_reader(bytes);
    let header = csv.headers().map_err(|error| unreadable(Fault::parser(error)))?;
    if header != HEADER.as_slice() {
        return Err(unreadable(
            Place::Entry("header".into()).found(header.iter().collect::<Vec<_>>().join(","), HEADER.join(",")),
        ));
    }
    let mut rows: Vec<EpochRow> = Vec::new();
    for (number, row) in (1..).zip(csv.deserialize()) {
        let row: EpochRow = row.map_err(|error| unreadable(Fault::parser(error).within(Place::Row(number))))?;
        let before = rows.last().map_or(0, |row| row.epoch);
        if row.epoch <= before {
            let fault = Place::Column("epoch".into()).found(row.epoch, format!("a number above {before}"));
            return Err(unreadable(fault.within(Place::Row(number))));
        }
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(bytes: &[u8]) -> Result<Vec<EpochRow>> {
        parse(bytes, Path::new("history.csv"))
    }

    /// Any number but "not a number", which is not equal to itself.
    fn number() -> impl Strategy<Value = f64> {
        any::<f64>().prop_filter("equal to itself", |number| !number.is_nan())
    }

    proptest! {
        #[test]
        fn a_history_is_read_back_as_it_was_written(
            rows in prop::collection::vec((1..9usize, any::<u64>(), [(); 5].map(|()| number()), any::<bool>()), 0..9)
        ) {
            let mut epoch = 0;
            let rows: Vec<EpochRow> = rows
                .into_iter()
                .map(|(later, steps, [learning_rate, loss, validation_loss, seconds, fragments_per_second], best)| {
                    epoch += later;
                    EpochRow { epoch, steps, learning_rate, loss, validation_loss, seconds, fragments_per_second, best }
                })
                .collect();
            prop_assert_eq!(parsed(&history_csv(&rows).unwrap()).unwrap(), rows);
        }

        #[test]
        fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parsed(&bytes);
            let _ = parsed(&[history_csv(&[]).unwrap(), bytes].concat());
        }
    }

    const ROW: EpochRow = EpochRow {
        epoch: 1,
        steps: 12,
        learning_rate: 1e-3,
        loss: 0.25,
        validation_loss: f64::NAN,
        seconds: 1.5,
        fragments_per_second: 2048.0,
        best: true,
    };

    #[test]
    fn the_file_is_plain_csv() {
        let text = String::from_utf8(history_csv(&[ROW]).unwrap()).unwrap();
        let header = "epoch,steps,learning_rate,loss,validation_loss,seconds,fragments_per_second,best";
        assert_eq!(text, format!("{header}\n1,12,0.001,0.25,NaN,1.5,2048.0,true\n"));
        assert!(parsed(text.as_bytes()).unwrap()[0].validation_loss.is_nan());
    }

    #[test]
    fn what_is_not_a_history_is_refused_with_its_row() {
        let twice = history_csv(&[ROW, ROW]).unwrap();
        for (bytes, said) in [
            (b"" as &[u8], "history.csv cannot be read as a training history: its header is "),
            (b"epoch,loss\n1,2\n", "its header is epoch,loss, expected epoch,steps"),
            (&twice, "row 2: `epoch` is 1, expected a number above 1"),
            (&twice[..twice.len() - 25], "row 2: "),
        ] {
            let message = parsed(bytes).unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
        }
    }
}
