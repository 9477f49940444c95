//! Scores of windows or packets, and the CSV file they are kept in.
//!
//! The file has a header `window,first_packet,last_packet,time_ns,score,label`, then any further columns:
//!
//! | column | meaning |
//! |---|---|
//! | `window` | which window, from 0 |
//! | `first_packet`, `last_packet` | lowest and highest number of its packets, from 1 |
//! | `time_ns` | capture time of the first of them, in nanoseconds since 1970 |
//! | `score` | higher is more anomalous; a finite number |
//! | `label` | −1 normal, 1 anomalous, 0 or empty unknown |
//!
//! A further column `packets` lists the packets of a row where they are not all from the first to the last, as `3-5 9`.
//!
//! A cell is empty where its value is unknown. A reader needs the column `score` only, and takes columns in any order.

mod column;

mod reader;

mod row_packets;

mod writer;

pub use column::Column;
pub use row_packets::{NoPackets, PACKETS_COLUMN, RowPackets, packet_list};
pub use writer::ScoreWriter;

use std::path::Path;

use crate::label::Label;
use crate::{Error, Result};

/// The columns that have a meaning, in the order in which they are written.
pub const HEADER: [&str; 6] = ["window", "first_packet", "last_packet", "time_ns", "score", "label"];

/// The score of one window or packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreRow {
    /// Which window, from 0.
    pub window: u64,
    /// The lowest number of its packets, from 1.
    pub first_packet: Option<u64>,
    /// The highest number of its packets, from 1.
    pub last_packet: Option<u64>,
    /// Capture time of its first packet, in nanoseconds since 1970.
    pub time_ns: Option<i64>,
    /// Higher is more anomalous; finite.
    pub score: f64,
    /// What the ground truth says.
    pub label: Label,
}

/// Scores in the order of their file, and what else the file says of each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScoreTable {
    windows: Vec<u64>,
    /// 0 where unknown.
    first_packets: Vec<u64>,
    /// 0 where unknown.
    last_packets: Vec<u64>,
    times_ns: Vec<Option<i64>>,
    scores: Vec<f64>,
    labels: Vec<Label>,
    columns: Vec<Column>,
}

impl ScoreTable {
    /// A table without rows.
    pub fn new() -> ScoreTable {
        ScoreTable::default()
    }

    /// Reads a file of scores, all at once: 49 bytes a row, and 8 bytes and its letters a further cell.
    ///
    /// # Errors
    ///
    /// The file cannot be read; a score is missing or not finite; a number or label is not one; a packet number is 0; packets are in the
    /// wrong order; a row has more or fewer cells than the header; the text is not UTF-8; there is no column `score`; two columns have the
    /// same name.
    pub fn open(path: &Path) -> Result<ScoreTable> {
        let file = std::fs::File::open(path).map_err(Error::io("open", path))?;
        reader::read(file, path)
    }

    /// Reads scores from anywhere, as [`open`](Self::open) does; `name` stands for the file in errors.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_reader(name: &Path, reader: impl std::io::Read) -> Result<ScoreTable> {
        reader::read(reader, name)
    }

    /// The file of these scores.
    ///
    /// # Errors
    ///
    /// A score is not finite.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        let names: Vec<&str> = self.columns.iter().map(Column::name).collect();
        let mut writer = ScoreWriter::new(Vec::new(), &names)?;
        let mut further = Vec::new();
        for (index, row) in self.rows().enumerate() {
            further.clear();
            further.extend(self.columns.iter().map(|column| column.text(index)));
            writer.write(&row, &further)?;
        }
        writer.finish()
    }

    /// Adds a row. Its cells in further columns stay empty until those are added, which is why they are added last.
    pub fn push(&mut self, row: ScoreRow) {
        self.windows.push(row.window);
        self.first_packets.push(row.first_packet.unwrap_or(0));
        self.last_packets.push(row.last_packet.unwrap_or(0));
        self.times_ns.push(row.time_ns);
        self.scores.push(row.score);
        self.labels.push(row.label);
    }

    /// The same scores with one column more. Panics if the column has not as many cells as there are rows.
    pub fn with_column(mut self, column: Column) -> ScoreTable {
        assert_eq!(column.len(), self.len(), "column {} does not have a cell a row", column.name());
        self.columns.push(column);
        self
    }

    /// The same scores with other labels. Panics if there are not as many labels as rows.
    pub fn with_labels(self, labels: Vec<Label>) -> ScoreTable {
        assert_eq!(labels.len(), self.len(), "labels and rows differ in number");
        ScoreTable { labels, ..self }
    }

    /// The rows that `belongs` chooses by their index, in their order, with their further cells.
    pub fn only(&self, belongs: impl Fn(usize) -> bool) -> ScoreTable {
        let chosen: Vec<usize> = (0..self.len()).filter(|&index| belongs(index)).collect();
        let table: ScoreTable = chosen.iter().map(|&index| self.row(index)).collect();
        self.columns.iter().fold(table, |table, column| {
            let cells = chosen.iter().map(|&index| column.text(index));
            table.with_column(Column::of_texts(column.name(), cells))
        })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    /// A row, by its index from 0.
    pub fn row(&self, index: usize) -> ScoreRow {
        let known = |packet: u64| (packet > 0).then_some(packet);
        ScoreRow {
            window: self.windows[index],
            first_packet: known(self.first_packets[index]),
            last_packet: known(self.last_packets[index]),
            time_ns: self.times_ns[index],
            score: self.scores[index],
            label: self.labels[index],
        }
    }

    /// All rows, in their order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = ScoreRow> + '_ {
        (0..self.len()).map(|index| self.row(index))
    }

    /// The scores of all rows.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// The labels of all rows.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The further columns, in their order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The further column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name() == name)
    }
}

impl FromIterator<ScoreRow> for ScoreTable {
    fn from_iter<I: IntoIterator<Item = ScoreRow>>(rows: I) -> ScoreTable {
        let mut table = ScoreTable::new();
        for row in rows {
            table.push(row);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(csv: &str) -> Result<ScoreTable> {
        ScoreTable::from_reader(Path::new("scores.csv"), csv.as_bytes())
    }

    #[track_caller]
    fn refused(csv: &str, expected: &str) {
        let message = read(csv).unwrap_err().to_string();
        assert_eq!(message, format!("scores.csv cannot be read as scores: {expected}"));
    }

    const ROW: ScoreRow = ScoreRow {
        window: 7,
        first_packet: Some(3),
        last_packet: Some(4),
        time_ns: Some(-5),
        score: 0.25,
        label: Label::Anomalous,
    };

    #[test]
    fn the_file_is_plain_csv_with_empty_cells_for_what_is_unknown() {
        let unknown = ScoreRow {
            window: 8,
            first_packet: None,
            last_packet: None,
            time_ns: None,
            score: 1e300,
            label: Label::Unknown,
        };
        let table = ScoreTable::from_iter([ROW, unknown]).with_column(Column::of_texts("why", ["a, b", ""]));
        let expected =
            "window,first_packet,last_packet,time_ns,score,label,why\n7,3,4,-5,0.25,1,\"a, b\"\n8,,,,1e300,,\n";
        assert_eq!(String::from_utf8(table.to_csv().unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_score_is_enough_and_columns_come_in_any_order() {
        let table = read("score\n1\n-2.5e-3\n").unwrap();
        assert_eq!(table.scores(), [1.0, -0.0025]);
        assert_eq!(table.row(1).window, 1);
        assert_eq!(table.labels(), [Label::Unknown; 2]);
        let table = read("label, note ,score,first_packet\n-1,x,2,9\n0,y,3,\n").unwrap();
        assert_eq!(table.labels(), [Label::Normal, Label::Unknown]);
        assert_eq!((table.row(0).first_packet, table.row(1).first_packet), (Some(9), None));
        assert_eq!(table.column("note").unwrap().text(1), "y");
    }

    /// Tables with unknown cells become floating-point numbers in other tools.
    #[test]
    fn whole_numbers_may_end_in_a_zero_after_the_point() {
        let row = read("score,label,first_packet,time_ns\n1,-1.0,12.0,5.0\n").unwrap().row(0);
        assert_eq!((row.label, row.first_packet, row.time_ns), (Label::Normal, Some(12), Some(5)));
    }

    #[test]
    fn what_is_no_score_is_refused_with_its_line() {
        refused("", "it is empty");
        refused(
            "window,value\n1,2\n",
            "found a table of the columns `window`, `value`, expected a column `score` among them",
        );
        refused("score,score\n1,2\n", "`score` is there twice, expected columns of different names");
        refused("score\n1\nnan\n", "line 3: `score` is NaN, expected a finite number");
        refused("score\n\"1\"\n-inf\n", "line 3: `score` is -inf, expected a finite number");
        refused("score,label\n,1\n", "line 2: `score` is empty");
        refused("score\nhigh\n", "line 2: `score` is \"high\", expected a number");
        refused("score,label\n1,2\n", "line 2: `label` is \"2\", expected -1, 1, 0 or nothing");
        refused("score,window\n1,-1\n", "line 2: `window` is \"-1\", expected a whole number or nothing");
        refused("score,first_packet\n1,0\n", "line 2: `first_packet` is 0, expected 1 or more");
        refused(
            "score,first_packet,last_packet\n1,3,2\n",
            "line 2: `first_packet` is 3, expected at most 2, the last_packet",
        );
        refused("score,time_ns\n1,noon\n", "line 2: `time_ns` is \"noon\", expected a whole number or nothing");
        refused("score,time_ns\n1\n", "line 2: found 1 cell, expected 2, as the header has");
        let bytes = b"score,note\n1,a\n2,\xff\n";
        let message = ScoreTable::from_reader(Path::new("s"), &bytes[..]).unwrap_err().to_string();
        assert!(message.ends_with("line 3: found text in another encoding, expected UTF-8"), "{message}");
    }

    #[test]
    fn scores_that_are_not_finite_are_not_written() {
        for score in [f64::NAN, f64::INFINITY] {
            let message = ScoreTable::from_iter([ScoreRow { score, ..ROW }]).to_csv().unwrap_err().to_string();
            assert_eq!(message, format!("cannot write the scores: the score of window 7 is {score}"));
        }
    }

    fn row() -> impl Strategy<Value = ScoreRow> {
        let packets = prop::option::of(1..u64::MAX);
        let score = any::<f64>().prop_filter("finite", |score| score.is_finite());
        let label = prop::sample::select(vec![Label::Unknown, Label::Normal, Label::Anomalous]);
        (any::<u64>(), packets, 0..9u64, any::<Option<i64>>(), score, label).prop_map(
            |(window, first, more, time_ns, score, label)| ScoreRow {
                window,
                first_packet: first,
                last_packet: first.and_then(|first| first.checked_add(more)),
                time_ns,
                score,
                label,
            },
        )
    }

    proptest! {
        #[test]
        fn a_table_is_read_back_as_it_was_written(
            rows in prop::collection::vec((row(), "\\PC*", any::<f64>().prop_filter("finite", |n| n.is_finite())), 0..20)
        ) {
            let texts: Vec<&str> = rows.iter().map(|(_, text, _)| text.trim()).collect();
            let numbers: Vec<f64> = rows.iter().map(|(_, _, number)| *number).collect();
            let table = ScoreTable::from_iter(rows.iter().map(|(row, ..)| *row))
                .with_column(Column::of_texts("a, \"name\"", &texts))
                .with_column(Column::of_numbers("number", numbers.iter().copied()));
            let back = ScoreTable::from_reader(Path::new("x"), &table.to_csv().unwrap()[..]).unwrap();
            prop_assert_eq!(&back, &table);
            let read: Vec<Option<f64>> = back.column("number").unwrap().numbers().unwrap();
            prop_assert_eq!(read, numbers.into_iter().map(Some).collect::<Vec<_>>());
        }

        #[test]
        fn arbitrary_bytes_are_read_or_refused_in_one_sentence(bytes in prop::collection::vec(any::<u8>(), 0..200), header: bool) {
            let header = if header { HEADER.join(",") + "\n" } else { String::new() };
            if let Err(error) = ScoreTable::from_reader(Path::new("x"), &[header.as_bytes(), &bytes].concat()[..]) {
                let text = error.to_string();
                prop_assert!(!text.ends_with('.') && !text.contains('\n'), "{}", text);
            }
        }
    }
}
