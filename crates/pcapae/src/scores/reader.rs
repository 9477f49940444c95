//! Reading scores; nothing in the file is trusted.

use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use csv::{ErrorKind, StringRecord};

use super::{Column, HEADER, ScoreRow, ScoreTable};
use crate::label::Label;
use crate::{Error, Result};

/// Reads all of it; `path` stands for the file in refusals.
pub(super) fn read(reader: impl Read, path: &Path) -> Result<ScoreTable> {
    let refused = |line, reason| Error::NotScores { path: path.to_owned(), line, reason };
    let of_csv = |error: csv::Error| match error.kind() {
        ErrorKind::Io(_) => Error::io("read", path)(error.into()),
        kind => refused(line_of(kind), sentence(kind)),
    };
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(reader);
    let places = Places::of(csv.headers().map_err(of_csv)?).map_err(|reason| refused(None, reason))?;
    let mut table = ScoreTable { columns: places.further(), ..ScoreTable::new() };
    let mut cells = StringRecord::new();
    while csv.read_record(&mut cells).map_err(of_csv)? {
        let line = cells.position().map(csv::Position::line);
        let row = places.row(&cells, table.len()).map_err(|reason| refused(line, reason))?;
        table.push(row);
        for (column, (place, _)) in table.columns.iter_mut().zip(&places.further) {
            column.push(&cells[*place]);
        }
    }
    Ok(table)
}

fn line_of(kind: &ErrorKind) -> Option<u64> {
    match kind {
        ErrorKind::Utf8 { pos, .. } | ErrorKind::UnequalLengths { pos, .. } => pos.as_ref().map(csv::Position::line),
        _ => None,
    }
}

fn sentence(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::Utf8 { .. } => "it is not UTF-8 text".into(),
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} cell{}, but the header has {expected_len}", if *len == 1 { "" } else { "s" })
        }
        other => format!("{other:?}"),
    }
}

/// Which cell of a row is what.
struct Places {
    score: usize,
    window: Option<usize>,
    first_packet: Option<usize>,
    last_packet: Option<usize>,
    time_ns: Option<usize>,
    label: Option<usize>,
    /// The others, with their names.
    further: Vec<(usize, String)>,
}

impl Places {
    fn of(header: &StringRecord) -> Result<Places, String> {
        if header.is_empty() {
            return Err("it is empty".into());
        }
        let names: Vec<&str> = header.iter().collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("two columns are called {:?}", twice[0]));
        }
        let place = |name| names.iter().position(|other| *other == name);
        let further = names.iter().enumerate().filter(|(_, name)| !HEADER.contains(name));
        Ok(Places {
            score: place("score").ok_or_else(|| format!("it has no column \"score\"; it has {}", listed(&names)))?,
            window: place("window"),
            first_packet: place("first_packet"),
            last_packet: place("last_packet"),
            time_ns: place("time_ns"),
            label: place("label"),
            further: further.map(|(place, name)| (place, name.to_string())).collect(),
        })
    }

    /// The further columns, without cells yet.
    fn further(&self) -> Vec<Column> {
        self.further.iter().map(|(_, name)| Column::new(name)).collect()
    }

    fn row(&self, cells: &StringRecord, index: usize) -> Result<ScoreRow, String> {
        let cell = |place: Option<usize>| place.map_or("", |place| &cells[place]);
        let first_packet = packet("first_packet", cell(self.first_packet))?;
        let last_packet = packet("last_packet", cell(self.last_packet))?;
        if let (Some(first), Some(last)) = (first_packet, last_packet)
            && first > last
        {
            return Err(format!("first_packet {first} comes after last_packet {last}"));
        }
        Ok(ScoreRow {
            window: whole("window", cell(self.window))?.unwrap_or(index as u64),
            first_packet,
            last_packet,
            time_ns: whole("time_ns", cell(self.time_ns))?,
            score: score(&cells[self.score])?,
            label: label(cell(self.label))?,
        })
    }
}

/// `"a", "b" and "c"`, or the first of them where there are many.
fn listed(names: &[&str]) -> String {
    const SHOWN_MAX: usize = 10;
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.as_slice() {
        [all @ .., last] if !all.is_empty() && all.len() < SHOWN_MAX => format!("{} and {last}", all.join(", ")),
        [only] => only.clone(),
        many => format!("{} and {} more", many[..SHOWN_MAX].join(", "), many.len() - SHOWN_MAX),
    }
}

fn score(cell: &str) -> Result<f64, String> {
    match cell.parse::<f64>() {
        Ok(score) if score.is_finite() => Ok(score),
        Ok(score) => Err(format!("the score is {score}, expected a finite number")),
        Err(_) if cell.is_empty() => Err("the score is empty".into()),
        Err(_) => Err(format!("the score is {cell:?}, expected a number")),
    }
}

fn label(cell: &str) -> Result<Label, String> {
    let refusal = || format!("the label is {cell:?}, expected -1, 1, 0 or nothing");
    match cell {
        "" => Ok(Label::Unknown),
        _ => without_fraction(cell).parse().ok().and_then(Label::from_i8).ok_or_else(refusal),
    }
}

fn packet(name: &str, cell: &str) -> Result<Option<u64>, String> {
    match whole(name, cell)? {
        Some(0) => Err(format!("{name} is 0, but packets count from 1")),
        number => Ok(number),
    }
}

fn whole<N: FromStr>(name: &str, cell: &str) -> Result<Option<N>, String> {
    match cell {
        "" => Ok(None),
        _ => without_fraction(cell)
            .parse()
            .map(Some)
            .map_err(|_| format!("{name} is {cell:?}, expected a whole number or nothing")),
    }
}

/// Tables with unknown cells become floating-point numbers in other tools: `12.0` is 12.
fn without_fraction(cell: &str) -> &str {
    cell.strip_suffix(".0").unwrap_or(cell)
}
