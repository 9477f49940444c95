//! Reading scores; nothing in the file is trusted.

use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use csv::{ErrorKind, StringRecord};

use super::{Column, HEADER, ScoreRow, ScoreTable};
use crate::error::{Fault, FileKind, Place, Problem};
use crate::label::Label;
use crate::{Error, Result};

/// Reads all of it; `path` stands for the file in refusals.
pub(super) fn read(reader: impl Read, path: &Path) -> Result<ScoreTable> {
    let unreadable = FileKind::Scores.unreadable(path);
    let of_csv = |error: csv::Error| match error.kind() {
        ErrorKind::Io(_) => Error::io("read", path)(error.into()),
        kind => unreadable(fault(kind)),
    };
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(reader);
    let places = Cells::of(csv.headers().map_err(of_csv)?).map_err(unreadable)?;
    let mut table = ScoreTable { columns: places.further(), ..ScoreTable::new() };
    let mut cells = StringRecord::new();
    while csv.read_record(&mut cells).map_err(of_csv)? {
        let line = cells.position().map(csv::Position::line);
        let row = places.row(&cells, table.len()).map_err(|fault| unreadable(at_line(line, fault)))?;
        table.push(row);
        for (column, (place, _)) in table.columns.iter_mut().zip(&places.further) {
            column.push(&cells[*place]);
        }
    }
    Ok(table)
}

fn fault(kind: &ErrorKind) -> Fault {
    let line = |pos: &Option<csv::Position>| pos.as_ref().map(csv::Position::line);
    match kind {
        ErrorKind::Utf8 { pos, .. } => at_line(line(pos), Fault::found("text in another encoding", "UTF-8")),
        ErrorKind::UnequalLengths { expected_len, len, pos } => {
            let cells = format!("{len} cell{}", if *len == 1 { "" } else { "s" });
            at_line(line(pos), Fault::found(cells, format!("{expected_len}, as the header has")))
        }
        other => Fault::parser(format_args!("{other:?}")),
    }
}

fn at_line(line: Option<u64>, fault: Fault) -> Fault {
    line.into_iter().fold(fault, |fault, line| fault.within(Place::Line(line)))
}

/// Which cell of a row is what.
struct Cells {
    score: usize,
    window: Option<usize>,
    first_packet: Option<usize>,
    last_packet: Option<usize>,
    time_ns: Option<usize>,
    label: Option<usize>,
    /// The others, with their names.
    further: Vec<(usize, String)>,
}

impl Cells {
    fn of(header: &StringRecord) -> Result<Cells, Fault> {
        if header.is_empty() {
            return Err(Problem::Empty.into());
        }
        let names: Vec<&str> = header.iter().collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Place::Column(twice[0].into()).found("there twice", "columns of different names"));
        }
        let place = |name| names.iter().position(|other| *other == name);
        let further = names.iter().enumerate().filter(|(_, name)| !HEADER.contains(name));
        Ok(Cells {
            score: place("score").ok_or_else(|| Fault::found(columns(&names), "a column `score` among them"))?,
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

    fn row(&self, cells: &StringRecord, index: usize) -> Result<ScoreRow, Fault> {
        let cell = |place: Option<usize>| place.map_or("", |place| &cells[place]);
        let first_packet = packet("first_packet", cell(self.first_packet))?;
        let last_packet = packet("last_packet", cell(self.last_packet))?;
        if let (Some(first), Some(last)) = (first_packet, last_packet)
            && first > last
        {
            let expected = format!("at most {last}, the last_packet");
            return Err(Place::Column("first_packet".into()).found(first, expected));
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

/// ``a table of the columns `a`, `b` ``, or the first of them if there are many.
fn columns(names: &[&str]) -> String {
    const SHOWN_MAX: usize = 10;
    let shown: Vec<String> = names.iter().take(SHOWN_MAX).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > SHOWN_MAX { " and more" } else { "" };
    format!("a table of the columns {}{more}", shown.join(", "))
}

fn score(cell: &str) -> Result<f64, Fault> {
    match cell.parse::<f64>() {
        Ok(score) if score.is_finite() => Ok(score),
        Ok(score) => Err(Place::Column("score".into()).found(score, "a finite number")),
        Err(_) if cell.is_empty() => Err(Place::Column("score".into()).empty()),
        Err(_) => Err(Place::Column("score".into()).found(format!("{cell:?}"), "a number")),
    }
}

fn label(cell: &str) -> Result<Label, Fault> {
    let unknown = || Place::Column("label".into()).found(format!("{cell:?}"), "-1, 1, 0 or nothing");
    match cell {
        "" => Ok(Label::Unknown),
        _ => without_fraction(cell).parse().ok().and_then(Label::from_i8).ok_or_else(unknown),
    }
}

fn packet(name: &str, cell: &str) -> Result<Option<u64>, Fault> {
    match whole(name, cell)? {
        Some(0) => Err(Place::Column(name.into()).found(0, "1 or more")),
        number => Ok(number),
    }
}

fn whole<N: FromStr>(name: &str, cell: &str) -> Result<Option<N>, Fault> {
    match cell {
        "" => Ok(None),
        _ => without_fraction(cell)
            .parse()
            .map(Some)
            .map_err(|_| Place::Column(name.into()).found(format!("{cell:?}"), "a whole number or nothing")),
    }
}

/// Tables with unknown cells become floating-point numbers in other tools: `12.0` is 12.
fn without_fraction(cell: &str) -> &str {
    cell.strip_suffix(".0").unwrap_or(cell)
}
