//! Text files that list captures, one a line.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Fault, FileKind};
use crate::{Error, Result};

/// The first bytes, which decide whether a file is text, as in the original.
const HEAD_BYTES: usize = 64;
/// The longest list that is read, in bytes.
const LONGEST_LIST: u64 = 16 << 20;

/// The captures of a path: itself, or if it is a list, those it names.
///
/// A file whose first 64 bytes are printable text is a list. Blank lines and lines that begin with `#` are skipped.
/// A name is looked for in the list's folder, then in the current one.
///
/// # Errors
///
/// The file cannot be read; it is text but no line names a file; a line names a file that is not there; a list names
/// a list.
pub(super) fn expand(path: &Path) -> Result<Vec<PathBuf>> {
    if !is_text(path)? {
        return Ok(vec![path.to_owned()]);
    }
    let mut captures = Vec::new();
    let mut missing = None;
    for (line, name) in names(path)? {
        let Some(found) = locate(path, &name) else {
            missing.get_or_insert((line, name));
            continue;
        };
        if is_text(&found)? {
            return Err(Error::NestedList { list: path.to_owned(), line, entry: name });
        }
        captures.push(found);
    }
    match (missing, captures.is_empty()) {
        (None, false) => Ok(captures),
        (None, true) => Err(not_a_list(path, "text that names no capture")),
        // If no line names a file, the text was probably not meant as a list.
        (Some((line, name)), true) => Err(not_a_list(path, format!("text whose line {line} ({name:?}) names no file"))),
        (Some((line, entry)), false) => Err(Error::ListedMissing { list: path.to_owned(), line, entry }),
    }
}

/// The names in a list with their line numbers, counted from 1.
fn names(path: &Path) -> Result<Vec<(usize, String)>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io("open", path))?;
    file.take(LONGEST_LIST + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > LONGEST_LIST {
        return Err(not_a_list(path, "text that is too long"));
    }
    let text = String::from_utf8(bytes).map_err(|_| not_a_list(path, "text in an unknown encoding"))?;
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    Ok(lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(n, l)| (n, l.to_owned())).collect())
}

fn locate(list: &Path, name: &str) -> Option<PathBuf> {
    let beside = list.parent().unwrap_or(Path::new("")).join(name);
    [beside, PathBuf::from(name)].into_iter().find(|path| path.is_file())
}

fn not_a_list(path: &Path, found: impl ToString) -> Error {
    FileKind::Capture.unreadable(path)(Fault::found(found, "a capture, or a list of captures"))
}

fn is_text(path: &Path) -> Result<bool> {
    if path.is_dir() {
        return Err(not_a_list(path, "a folder"));
    }
    // Opening a pipe would wait for its writer, and peeking would take bytes from the capture.
    if !path.metadata().map_err(Error::io("open", path))?.is_file() {
        return Ok(false);
    }
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut head = Vec::new();
    file.take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(Error::io("read", path))?;
    Ok(!head.is_empty() && all_printable(&head))
}

fn all_printable(head: &[u8]) -> bool {
    let printable = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The last character may be incomplete.
        Err(error) => error.error_len().is_none() && head.len() == HEAD_BYTES,
    };
    printable && head.iter().all(|byte| !byte.is_ascii_control() || (b'\t'..=b'\r').contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    const CAPTURE: &[u8] = &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];

    #[test]
    fn a_list_names_captures_beside_it() {
        let folder = folder(&[("a b.pcap", CAPTURE), ("c", CAPTURE), ("list.txt", b"# two\n\na b.pcap\r\n  c\n")]);
        let found = expand(&folder.path().join("list.txt")).unwrap();
        assert_eq!(found, [folder.path().join("a b.pcap"), folder.path().join("c")]);
    }

    #[test]
    fn a_missing_entry_is_refused_with_list_and_line() {
        let folder = folder(&[("a", CAPTURE), ("list", b"a\n\nb\n")]);
        let refusal = expand(&folder.path().join("list")).unwrap_err().to_string();
        assert!(refusal.contains("line 3") && refusal.contains("\"b\""), "{refusal}");
    }

    #[test]
    fn lists_do_not_nest() {
        let folder = folder(&[("inner", b"a\n"), ("a", CAPTURE), ("outer", b"a\ninner\n")]);
        assert!(matches!(expand(&folder.path().join("outer")), Err(Error::NestedList { line: 2, .. })));
    }

    #[test]
    fn text_that_lists_nothing_is_no_capture() {
        let folder = folder(&[("prose", b"this is not a capture\n"), ("blank", b"\n# nothing\n")]);
        for name in ["prose", "blank"] {
            assert!(
                matches!(expand(&folder.path().join(name)), Err(Error::Unreadable { kind: FileKind::Capture, .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn binary_and_empty_files_are_not_lists() {
        let folder = folder(&[("a", CAPTURE), ("empty", b"")]);
        for name in ["a", "empty"] {
            assert_eq!(expand(&folder.path().join(name)).unwrap(), [folder.path().join(name)]);
        }
    }
}
