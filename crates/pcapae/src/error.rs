//! Every error of the library, with its place and, where there is one, a remedy.

mod fault;

use std::io;
use std::path::{Path, PathBuf};

pub use fault::{Fault, FileKind, Place, Problem};

/// The library's result: a value, or one sentence that says why not.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of another library, or a sentence.
pub type Reason = Box<dyn std::error::Error + Send + Sync>;

/// Why something was not done. `Display` is one sentence without a trailing period.
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

    /// A file is not what it should be, or is damaged.
    #[error("{} cannot be read as {kind}: {fault}", path.display())]
    Unreadable {
        /// What the file should be.
        kind: FileKind,
        /// The file; `-` for standard input.
        path: PathBuf,
        /// Where in it, what was expected there, and what was found.
        fault: Fault,
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
    /// The output is there already.
    #[error("{} exists already", path.display())]
    Exists {
        /// The output.
        path: PathBuf,
    },

    /// The output is to be where something other than a file is: a folder, a device.
    #[error("{} is not a file, so no file can take its place", path.display())]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },

    /// The output is to be in a folder that is not there.
    #[error("cannot write {}: there is no folder {}", path.display(), folder.display())]
    NoFolder {
        /// The output.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },

    /// The output is one of the inputs.
    #[error("{} is an input, and would be lost as the output", path.display())]
    OutputIsInput {
        /// The file.
        path: PathBuf,
    },

    /// A setting has a value that it cannot have.
    #[error("{setting} {got}: expected {expected}")]
    Setting {
        /// The setting, as its users call it: "fragment size".
        setting: &'static str,
        /// Its value.
        got: String,
        /// The values it can have.
        expected: String,
        /// What to take instead, if that is known.
        remedy: Option<String>,
    },

    /// A ground-truth file has fewer rows than there are packets.
    #[error("{} has {rows} rows, fewer than the captures have packets", path.display())]
    GroundTruthShort {
        /// The ground-truth file.
        path: PathBuf,
        /// Its rows.
        rows: u64,
    },

    /// A ground-truth file has more rows than there are packets.
    #[error("{} has {rows} rows but the captures have {packets} packets", path.display())]
    GroundTruthLong {
        /// The ground-truth file.
        path: PathBuf,
        /// Its rows.
        rows: u64,
        /// The packets of all captures.
        packets: u64,
    },

    /// The HDF5 library refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Hdf5 {
        /// What was tried, as a verb.
        action: &'static str,
        /// The dataset file.
        path: PathBuf,
        /// What the HDF5 library said.
        source: Reason,
    },

    /// Rows are not of the kind that a detector was fitted to.
    #[error("{} holds {got}, but the detector was fitted to {expected}", path.display())]
    OtherRows {
        /// The file of the rows.
        path: PathBuf,
        /// What they are.
        got: String,
        /// What the detector was fitted to.
        expected: String,
    },

    /// No threshold can be read off the calibration scores.
    #[error("the calibration scores give no threshold {rule}: {reason}")]
    NoThreshold {
        /// How it was to be read off, as its users write it: "pareto:0.001".
        rule: String,
        /// Why it cannot.
        reason: Reason,
    },

    /// Scores say nothing of how good a detector is.
    #[error("the scores cannot be evaluated: {reason}")]
    Unevaluable {
        /// Why they cannot.
        reason: String,
        /// What the user can do about it, if that is known.
        remedy: Option<String>,
    },

    /// Something cannot be put into the form of its file.
    #[error("cannot write the {what}: {source}")]
    Unwritable {
        /// What was to be written.
        what: &'static str,
        /// Why it cannot.
        source: Reason,
    },

    /// A detector looks at what samples do not have.
    #[error("the detector {detector} looks at {lacking}, which these samples do not have")]
    Lacking {
        /// The detector.
        detector: &'static str,
        /// "bytes", "facts of packets" or "rows".
        lacking: &'static str,
    },

    /// Too few packets to learn from.
    #[error(
        "{packets} packets are too few to learn from: they give {training} windows to train on and {validation} to validate on"
    )]
    TooLittle {
        /// Packets in the captures.
        packets: u64,
        /// Windows among the first 60 % of the packets.
        training: usize,
        /// Windows among the next 10 % of the packets.
        validation: usize,
    },

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

    /// A training is to go on with other settings.
    #[error("{setting} {got}, but the training was begun with {expected}")]
    OtherSetting {
        /// The setting, as its users call it: "learning rate".
        setting: String,
        /// Its value.
        got: String,
        /// The value that the training was begun with.
        expected: String,
    },

    /// A training is to go on with other data.
    #[error("these data give {got} windows to train on, but the training was begun with {expected}")]
    OtherData {
        /// Windows that there are.
        got: usize,
        /// Windows that the training was begun with.
        expected: usize,
    },

    /// A dataset does not go with another one, or with a model.
    #[error("{} has {got}, but {other} has {expected}", path.display())]
    OtherFragments {
        /// The dataset.
        path: PathBuf,
        /// What its fragments are.
        got: String,
        /// What it is to go with.
        other: String,
        /// What the fragments of that are.
        expected: String,
    },

    /// A dataset has nothing in it.
    #[error("{} holds no fragment", path.display())]
    NoFragments {
        /// The dataset.
        path: PathBuf,
    },

    /// The folder for a new training holds one already.
    #[error("{} holds a training already", folder.display())]
    TrainingExists {
        /// The folder.
        folder: PathBuf,
    },

    /// The user, or the caller's [`Progress`](crate::progress::Progress), asked to stop.
    #[error("stopped before the work was done; nothing was written")]
    Interrupted,
}

impl Error {
    /// What the operating system said of a file, for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }

    /// Something cannot be put into the form of its file, for `map_err`.
    pub fn unwritable<E: Into<Reason>>(what: &'static str) -> impl Fn(E) -> Error + Copy {
        move |source| Error::Unwritable { what, source: source.into() }
    }

    /// A setting out of range: its value, and the values that it can have.
    pub(crate) fn setting(setting: &'static str, got: impl ToString, expected: impl Into<String>) -> Error {
        Error::Setting { setting, got: got.to_string(), expected: expected.into(), remedy: None }
    }
}

impl From<pcapae_engine::InvalidSetting> for Error {
    fn from(pcapae_engine::InvalidSetting { setting, got, expected }: pcapae_engine::InvalidSetting) -> Error {
        Error::setting(setting, got, expected)
    }
}
