//! CSV files that gain a row a run, also where several programs write at once.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::{Error, Result};

/// What was found at the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastRow {
    /// It was whole, or there was none.
    Whole,
    /// It was torn, as where a program died while it wrote: it was removed.
    Torn,
}

/// Adds a row to a CSV file, which is made with the header if it is not there or empty. Panics if row and header differ in length.
///
/// The file is locked meanwhile, so that rows of programs that write at once follow each other, and the row is written in one go. A last line without its
/// end is taken for whole if it has as many cells as the header and its last cell is not empty, since editors leave such lines; else it was
/// torn, and is removed.
///
/// # Errors
///
/// The file cannot be opened, locked, read or written, or begins with another header.
pub fn append_row(path: &Path, header: &[&str], row: &[String]) -> Result<LastRow> {
    assert_eq!(header.len(), row.len(), "a row has a cell a column");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(Error::io("open", path))?;
    file.lock().map_err(Error::io("lock", path))?;
    // The lock ends with the file.
    append_locked(&mut file, path, header, row)
}

fn append_locked(file: &mut File, path: &Path, header: &[&str], row: &[String]) -> Result<LastRow> {
    let mut there = Vec::new();
    file.read_to_end(&mut there).map_err(Error::io("read", path))?;
    let first = line(header.iter().copied());
    let other_columns = || format!("{} begins with other columns than these results have", path.display());
    let (kept, end) = ends(&there, first.as_bytes()).ok_or_else(other_columns).map_err(Error::unwritable("results"))?;
    let mut added = match end {
        End::Nothing => first,
        End::Line => String::new(),
        End::OpenLine => "\n".to_owned(),
    };
    added += &line(row.iter().map(String::as_str));
    let write = |file: &mut File| {
        file.set_len(kept as u64)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(added.as_bytes())
    };
    write(file).map_err(Error::io("write", path))?;
    Ok(if kept == there.len() { LastRow::Whole } else { LastRow::Torn })
}

/// What the part of a file that is kept ends with.
enum End {
    Nothing,
    Line,
    /// A whole line whose end is missing.
    OpenLine,
}

/// How many bytes are kept, and how they end; `None` if the file begins with another header.
fn ends(there: &[u8], first: &[u8]) -> Option<(usize, End)> {
    let header = first.strip_suffix(b"\n").unwrap_or(first);
    // Editors of one system end lines in two bytes.
    let after = match there.strip_prefix(header) {
        Some(b"" | b"\r") => return Some((header.len().min(there.len()), End::OpenLine)),
        Some([b'\n', after @ ..] | [b'\r', b'\n', after @ ..]) => after,
        Some(_) => return None,
        // A program died within the header.
        None => return header.starts_with(there).then_some((0, End::Nothing)),
    };
    let columns = cells(header);
    let mut last = 0;
    let mut quoted = false;
    for (at, byte) in after.iter().enumerate() {
        quoted ^= *byte == b'"';
        if *byte == b'\n' && !quoted {
            last = at + 1;
        }
    }
    let rest = &after[last..];
    if rest.is_empty() {
        return Some((there.len(), End::Line));
    }
    let whole = !quoted && cells(rest) == columns && !rest.trim_ascii_end().ends_with(b",");
    Some(if whole { (there.len(), End::OpenLine) } else { (there.len() - rest.len(), End::Line) })
}

/// How many cells a line has.
fn cells(line: &[u8]) -> usize {
    let mut quoted = false;
    let commas = line.iter().filter(|byte| {
        quoted ^= **byte == b'"';
        **byte == b',' && !quoted
    });
    commas.count() + 1
}

/// A line of CSV; cells with commas, quotes or line ends are quoted (RFC 4180).
fn line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let quoted = |cell: &str| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    };
    cells.map(quoted).collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: [&str; 3] = ["name", "score", "version"];

    fn row(name: &str, score: u32) -> Vec<String> {
        vec![name.into(), score.to_string(), "0.1.0".into()]
    }

    /// What a file with `there` in it holds after a row was added, and what was found.
    fn appended(there: &str) -> Result<(String, LastRow)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.csv");
        std::fs::write(&path, there).unwrap();
        let found = append_row(&path, &HEADER, &row("b", 2))?;
        Ok((std::fs::read_to_string(&path).unwrap(), found))
    }

    #[test]
    fn a_file_that_is_not_there_gets_the_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.csv");
        for score in 1..3 {
            assert_eq!(append_row(&path, &HEADER, &row("a, \"b\"", score)).unwrap(), LastRow::Whole);
        }
        let text = "name,score,version\n\"a, \"\"b\"\"\",1,0.1.0\n\"a, \"\"b\"\"\",2,0.1.0\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert!(append_row(folder.path(), &HEADER, &row("a", 1)).is_err());
    }

    #[test]
    fn a_torn_row_is_removed_and_a_line_without_its_end_is_kept() {
        let whole = "name,score,version\na,1,0.1.0\nb,2,0.1.0\n";
        for torn in ["", "c", "c,", "c,1", "c,1,", "\"c,1,0.1.0", "\"c\nd"] {
            let found = if torn.is_empty() { LastRow::Whole } else { LastRow::Torn };
            let there = format!("name,score,version\na,1,0.1.0\n{torn}");
            assert_eq!(appended(&there).unwrap(), (whole.to_owned(), found), "{torn:?}");
        }
        assert_eq!(appended("name,score,version\na,1,0.1.0").unwrap(), (whole.to_owned(), LastRow::Whole));
        assert_eq!(appended("name,sc").unwrap().0, "name,score,version\nb,2,0.1.0\n");
        assert_eq!(appended("name,score,version").unwrap().0, "name,score,version\nb,2,0.1.0\n");
    }

    #[test]
    fn another_header_is_refused_and_the_file_left_alone() {
        for there in ["name,score\na,1\n", "name,score,version,more\n", "x", "name,score,versio\n"] {
            let message = appended(there).unwrap_err().to_string();
            assert!(message.ends_with("begins with other columns than these results have"), "{message}");
        }
    }

    #[test]
    fn rows_of_many_writers_are_all_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = &folder.path().join("results.csv");
        std::thread::scope(|scope| {
            for writer in 0..8u32 {
                scope.spawn(move || {
                    for score in 0..20 {
                        append_row(path, &HEADER, &row("a", writer * 100 + score)).unwrap();
                    }
                });
            }
        });
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.remove(0), lines.len()), ("name,score,version", 160));
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), 160);
    }

    proptest! {
        #[test]
        fn whatever_was_there_a_row_that_is_added_is_read_back(
            torn in "[a-z,\"\n]{0,12}", cells in prop::collection::vec("\\PC*|[\",\n\r]*", 2..3),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("results.csv");
            std::fs::write(&path, format!("name,score,version\n{torn}")).unwrap();
            let added: Vec<String> = cells.into_iter().chain(["end".to_owned()]).collect();
            append_row(&path, &HEADER, &added).unwrap();
            append_row(&path, &HEADER, &added).unwrap();
            let text = std::fs::read(&path).unwrap();
            prop_assert_eq!(text.last(), Some(&b'\n'));
            let expected = line(added.iter().map(String::as_str)).repeat(2);
            prop_assert!(text.ends_with(expected.as_bytes()));
        }
    }
}
