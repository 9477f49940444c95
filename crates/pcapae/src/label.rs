//! What people say of a packet: normal, anomalous, or nothing; and the files they say it in.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{FileKind, Place};
use crate::{Error, Result};

/// What the ground truth says about one packet.
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
    /// A ground-truth file, row by row.
    File(GroundTruth),
    /// A ground truth in memory, and how many of its labels were taken.
    Packets(PacketLabels, u64),
}

impl Labels {
    /// The labels of a ground truth in memory, from the first packet on.
    pub fn of_packets(truth: PacketLabels) -> Labels {
        Labels::Packets(truth, 0)
    }

    /// The label of the next packet.
    ///
    /// # Errors
    ///
    /// The file has no row for it, or the row does not begin with a label.
    pub fn next_label(&mut self) -> Result<Label> {
        match self {
            Labels::All(label) => Ok(*label),
            Labels::File(ground_truth) => ground_truth.next_label(),
            Labels::Packets(truth, taken) => {
                *taken += 1;
                match truth.len() {
                    rows if rows < *taken => Err(Error::GroundTruthShort { path: truth.path.clone(), rows }),
                    _ => Ok(truth.label(*taken)),
                }
            }
        }
    }

    /// Says that all packets have their label.
    ///
    /// # Errors
    ///
    /// The file has rows left.
    pub fn finish(self) -> Result<()> {
        match self {
            Labels::All(_) => Ok(()),
            Labels::File(ground_truth) => ground_truth.finish(),
            Labels::Packets(truth, packets) => match truth.len() {
                rows if rows > packets => Err(Error::GroundTruthLong { path: truth.path, rows, packets }),
                _ => Ok(()),
            },
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
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn open(path: &Path) -> Result<GroundTruth> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        Ok(Self::from_reader(path, file))
    }

    /// Reads a ground truth from anywhere; `name` stands for the file in errors.
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
        self.label()
    }

    /// The label of the row that was read last.
    fn label(&self) -> Result<Label> {
        let field = self.row.get(0).unwrap_or_default();
        let label = field.parse().ok().and_then(Label::from_i8);
        label.ok_or_else(|| {
            let fault = Place::Row(self.rows_read)
                .found(format!("{field:?}"), "a label in the first column: -1 normal, 1 anomalous, 0 unknown");
            FileKind::GroundTruth.unreadable(&self.path)(fault)
        })
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

/// Most different names of attacks; with more, the second column holds something else.
const NAMES_MAX: usize = 1000;

/// A ground-truth file in memory: the label of every packet and, from the second column of anomalous packets, the name of its attack.
///
/// A second column with more than 1000 different texts names no attacks and is left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PacketLabels {
    path: PathBuf,
    labels: Vec<Label>,
    /// Index of the packet's name, one more than in `names`; 0 without one.
    named: Vec<u16>,
    names: Vec<String>,
}

impl PacketLabels {
    /// Reads a ground-truth file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a row does not begin with a label.
    pub fn open(path: &Path) -> Result<PacketLabels> {
        PacketLabels::of(GroundTruth::open(path)?)
    }

    /// Reads a ground truth from anywhere; `name` stands for the file in errors.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_reader(name: &Path, reader: impl Read + 'static) -> Result<PacketLabels> {
        PacketLabels::of(GroundTruth::from_reader(name, reader))
    }

    /// The label of a packet, by its number from 1; unknown beyond the last.
    pub fn label(&self, packet: u64) -> Label {
        self.at(&self.labels, packet).unwrap_or_default()
    }

    /// What the ground truth calls the attack that a packet is part of.
    pub fn attack(&self, packet: u64) -> Option<&str> {
        let index = self.at(&self.named, packet)?.checked_sub(1)?;
        self.names.get(usize::from(index)).map(String::as_str)
    }

    /// How many packets have a row.
    pub fn len(&self) -> u64 {
        self.labels.len() as u64
    }

    /// True if no packet has a row.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn at<T: Copy>(&self, values: &[T], packet: u64) -> Option<T> {
        values.get(usize::try_from(packet.checked_sub(1)?).ok()?).copied()
    }

    fn of(mut rows: GroundTruth) -> Result<PacketLabels> {
        let mut truth = PacketLabels { path: rows.path.clone(), ..PacketLabels::default() };
        let mut are_names = true;
        while rows.read_row()? {
            let label = rows.label()?;
            truth.labels.push(label);
            let name = rows.row.get(1).filter(|name| !name.is_empty() && label == Label::Anomalous);
            let index = match name {
                Some(name) if are_names => truth.index_of(name),
                _ => 0,
            };
            truth.named.push(index);
            are_names &= truth.names.len() <= NAMES_MAX;
        }
        if !are_names {
            truth.named.fill(0);
        }
        Ok(truth)
    }

    fn index_of(&mut self, name: &str) -> u16 {
        // Packets of one attack follow each other, so the name is mostly the latest.
        let known = self.names.iter().rposition(|known| known == name);
        let index = known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        index as u16 + 1
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
    fn attacks_have_the_names_of_the_second_column() {
        let rows = &b"-1,calm\n1,scan\n1,\n1,flood\n1,scan\n"[..];
        let truth = PacketLabels::from_reader(Path::new("truth.csv"), rows).unwrap();
        assert_eq!(truth.len(), 5);
        assert_eq!([0, 1, 2, 6].map(|packet| truth.label(packet).to_i8()), [0, -1, 1, 0]);
        let names = [0, 1, 2, 3, 4, 5, 6].map(|packet| truth.attack(packet));
        assert_eq!(names, [None, None, Some("scan"), None, Some("flood"), Some("scan"), None]);
        let numbers: String = (0..1500).map(|i| format!("1,{i}\n")).collect();
        let truth = PacketLabels::from_reader(Path::new("truth.csv"), std::io::Cursor::new(numbers)).unwrap();
        assert_eq!((truth.attack(7), truth.len()), (None, 1500));
    }

    #[test]
    fn a_label_survives_the_disk() {
        for label in [Label::Unknown, Label::Normal, Label::Anomalous] {
            assert_eq!(Label::from_i8(label.to_i8()), Some(label));
        }
        assert_eq!(Label::from_i8(2), None);
    }
}
