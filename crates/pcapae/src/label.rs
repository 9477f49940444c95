//! What people say of a packet: normal, anomalous, or nothing; and the files they say it in.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The verdict of a ground truth on one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Label {
    /// Nobody said.
    #[default]
    Unknown,
    /// Normal operation; −1 on disk.
    Normal,
    /// Part of an attack or a fault; 1 on disk.
    Anomalous,
}

impl Label {
    /// The number that stands for the label in ground-truth files and datasets: −1, 1, or 0 for unknown.
    pub fn to_i8(self) -> i8 {
        match self {
            Label::Normal => -1,
            Label::Unknown => 0,
            Label::Anomalous => 1,
        }
    }

    /// The label that a number on disk stands for; `None` for any other number.
    pub fn from_i8(number: i8) -> Option<Label> {
        match number {
            -1 => Some(Label::Normal),
            0 => Some(Label::Unknown),
            1 => Some(Label::Anomalous),
            _ => None,
        }
    }
}

/// Where the labels of a stream of packets come from.
#[derive(Debug)]
pub enum Labels {
    /// The same label for every packet.
    All(Label),
    /// A ground-truth file.
    File(GroundTruth),
}

impl Labels {
    /// The label of the next packet; refuses where the file has no row for it or the row is no label.
    pub fn next_label(&mut self) -> Result<Label> {
        match self {
            Labels::All(label) => Ok(*label),
            Labels::File(ground_truth) => ground_truth.next_label(),
        }
    }

    /// All packets have their label: refuses where the file has rows left.
    pub fn finish(self) -> Result<()> {
        match self {
            Labels::All(_) => Ok(()),
            Labels::File(ground_truth) => ground_truth.finish(),
        }
    }
}

/// A ground-truth file: CSV without a header, one row a packet in file order, the label (−1 normal, 1 anomalous, 0 unknown)
/// in the first column; further columns are left alone.
pub struct GroundTruth {
    path: PathBuf,
    rows: csv::Reader<Box<dyn Read>>,
    row: csv::StringRecord,
    rows_read: u64,
}

impl GroundTruth {
    /// Opens a ground-truth file.
    pub fn open(path: &Path) -> Result<GroundTruth> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        Ok(Self::from_reader(path, file))
    }

    /// Reads a ground truth from anywhere; `name` stands for the file in refusals.
    pub fn from_reader(name: &Path, reader: impl Read + 'static) -> GroundTruth {
        let mut format = csv::ReaderBuilder::new();
        format.has_headers(false).flexible(true).trim(csv::Trim::All);
        let rows = format.from_reader(Box::new(reader) as Box<dyn Read>);
        GroundTruth { path: name.to_owned(), rows, row: csv::StringRecord::new(), rows_read: 0 }
    }

    fn next_label(&mut self) -> Result<Label> {
        if !self.read_row()? {
            return Err(Error::GroundTruthShort { path: self.path.clone(), rows: self.rows_read });
        }
        let field = self.row.get(0).unwrap_or_default();
        let label = field.parse().ok().and_then(Label::from_i8);
        label.ok_or_else(|| Error::NotALabel { path: self.path.clone(), row: self.rows_read, found: field.to_owned() })
    }

    fn finish(mut self) -> Result<()> {
        let packets = self.rows_read;
        while self.read_row()? {}
        if self.rows_read > packets {
            return Err(Error::GroundTruthLong { path: self.path, rows: self.rows_read, packets });
        }
        Ok(())
    }

    fn read_row(&mut self) -> Result<bool> {
        let found =
            self.rows.read_record(&mut self.row).map_err(|error| Error::io("read", &self.path)(error.into()))?;
        self.rows_read += u64::from(found);
        Ok(found)
    }
}

impl std::fmt::Debug for GroundTruth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroundTruth").field("path", &self.path).field("rows_read", &self.rows_read).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(csv: &str, packets: usize) -> Result<Vec<Label>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), csv).unwrap();
        let mut labels = Labels::File(GroundTruth::open(file.path())?);
        let read = (0..packets).map(|_| labels.next_label()).collect();
        labels.finish()?;
        read
    }

    #[test]
    fn the_first_column_is_the_label() {
        assert_eq!(read("-1\n1,scan\n0\n", 3).unwrap(), [Label::Normal, Label::Anomalous, Label::Unknown]);
    }

    #[test]
    fn a_file_with_fewer_or_more_rows_than_packets_is_refused_with_both_counts() {
        assert!(matches!(read("-1\n-1\n", 3), Err(Error::GroundTruthShort { rows: 2, .. })));
        assert!(matches!(read("-1\n-1\n", 1), Err(Error::GroundTruthLong { rows: 2, packets: 1, .. })));
    }

    #[test]
    fn what_is_no_label_is_refused_with_its_row() {
        let message = read("-1\nlabel\n", 2).unwrap_err().to_string();
        assert!(message.contains("row 2") && message.contains("label"), "{message}");
    }

    #[test]
    fn a_label_survives_the_disk() {
        for label in [Label::Unknown, Label::Normal, Label::Anomalous] {
            assert_eq!(Label::from_i8(label.to_i8()), Some(label));
        }
        assert_eq!(Label::from_i8(2), None);
    }
}
