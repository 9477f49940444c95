//! Every way the library refuses, with the place and, where there is one, the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// The library's result: a value, or one sentence that says why not.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal. `Display` is one sentence without a trailing period; [`Error::hint`] is the remedy, if any.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "open", "read", "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// A file given as a capture is none.
    #[error("{} is not a capture: it is {found}", path.display())]
    NotACapture {
        /// The file, or `-` for standard input.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },

    /// A capture in a version of its format that is not read.
    #[error("{} is written in {found}, which is not read", path.display())]
    UnsupportedCapture {
        /// The file, or `-` for standard input.
        path: PathBuf,
        /// The format and its version.
        found: String,
    },

    /// A list of captures names one that is not there.
    #[error("{}, line {line}: there is no file {entry:?}, neither beside the list nor in the current folder", list.display())]
    ListedMissing {
        /// The list.
        list: PathBuf,
        /// Its line, counted from 1.
        line: usize,
        /// What that line names.
        entry: String,
    },

    /// A list of captures names a list.
    #[error("{}, line {line}: {entry:?} is text; a list of captures cannot name another list", list.display())]
    NestedList {
        /// The list.
        list: PathBuf,
        /// Its line, counted from 1.
        line: usize,
        /// What that line names.
        entry: String,
    },

    /// Standard input was given more than once.
    #[error("standard input (-) can be read only once")]
    StandardInputTwice,

    /// The user, or the caller's [`Progress`](crate::progress::Progress), asked to stop.
    #[error("stopped before the work was done; nothing was written")]
    Interrupted,
}

impl Error {
    /// An I/O refusal with its place, for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }

    /// What the user can do about it, as one sentence, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::NotACapture { .. } => {
                Some("a capture is a pcap or pcapng file, plain or packed with gzip, zstd or lz4, or a text file that lists some".to_owned())
            }
            Error::UnsupportedCapture { .. } => Some("convert it with `editcap -F pcap`".to_owned()),
            Error::Io { .. }
            | Error::ListedMissing { .. }
            | Error::NestedList { .. }
            | Error::StandardInputTwice
            | Error::Interrupted => None,
        }
    }
}
