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

    /// A network of this shape does not exist.
    #[error("the model's {what} must be {expected}, not {got}")]
    ModelConfig {
        /// The property: "side", "number of frames".
        what: &'static str,
        /// What it can be.
        expected: &'static str,
        /// What it was.
        got: usize,
    },

    /// A model file, or a tensor in it, is not what it should be.
    #[error(transparent)]
    Checkpoint(#[from] crate::model::CheckpointError),

    /// There is nothing to train or to validate with.
    #[error("there is no window of {what}: every run of fragments is shorter than {frames} frames")]
    NoWindows {
        /// "training data" or "validation data".
        what: &'static str,
        /// Fragments in a window.
        frames: usize,
    },

    /// The windows do not have the shape that the model takes.
    #[error("windows of {what} have {got_frames} frames of {got_size} bytes, but the model takes {frames} of {size}")]
    WindowShape {
        /// "training data" or "validation data".
        what: &'static str,
        /// Frames in a window.
        got_frames: usize,
        /// Bytes in a fragment.
        got_size: usize,
        /// Frames that the model takes.
        frames: usize,
        /// Bytes in a fragment that the model takes.
        size: usize,
    },

    /// Training has run away.
    #[error("the loss is not a number in epoch {epoch}, batch {batch}")]
    LossNotFinite {
        /// Counted from 1.
        epoch: usize,
        /// Counted from 1.
        batch: usize,
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
        match self {
            Error::LossNotFinite { .. } => Some("try a smaller learning rate or a smaller clipping norm".into()),
            Error::Checkpoint(error) => error.hint(),
            _ => None,
        }
    }
}
