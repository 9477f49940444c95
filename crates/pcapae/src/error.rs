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
        None
    }
}
