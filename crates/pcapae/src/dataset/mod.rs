//! The dataset: fragments with their provenance and labels in an HDF5 file, and windows over them.
//!
//! The file's root has the attributes `format` (`"pcapae-dataset"`), `version`, `name`, `mode`, `fragment_size`, `one_d`, `compat`, `mask`,
//! `sources` and `left_out` (skipped packets by reason), both JSON, `tool`, and these datasets:
//!
//! | dataset | type, shape | meaning |
//! |---|---|---|
//! | `fragments` | u8 `[N, side, side]`, or `[N, size]` one-dimensional | the bytes, row-major |
//! | `segment_offsets` | u64 `[N + 1]` | the segments of fragment i are rows `segment_offsets[i] .. segment_offsets[i+1]` |
//! | `segments` | u64 `[M, 4]` | packet number, offset in the packet, offset in the fragment, length |
//! | `flow` | u64 `[N]`, flow mode only | which flow |
//! | `packets/time_ns` | i64 `[P]` | capture time in nanoseconds since 1970 |
//! | `packets/label` | i8 `[P]` | −1 normal, 1 anomalous, 0 unknown |
//! | `packets/length` | u32 `[P]` | how many bytes were captured |
//! | `packets/link_type` | u32 `[P]` | what the packet begins with, by the numbers of pcap |
//!
//! In the original's layout group `"<i>"` holds fragment i: `data`, u8 `[1, side, side]` or `[1, size]`, and `label`, i32 `[k, 2]`: packet
//! number and label, −1 or 1. [`Dataset`] reads both.

pub(crate) mod arrays;

mod build;

pub(crate) mod column;

mod groups;

pub(crate) mod hdf5_file;

mod loaded;

mod original;

mod provenance;

mod reader;

mod windows;

mod window_blocks;

mod writer;

pub use build::{Built, DatasetCounts, build};
pub use loaded::LoadedFragments;
pub use original::OriginalWriter;
pub use provenance::{Origin, Provenance};
pub use reader::Dataset;
pub(crate) use window_blocks::{WantedWindows, WindowBlock};
pub use windows::Windows;
pub use writer::DatasetWriter;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::capture::Source;
use crate::capture::headers::SkipCounts;
use crate::fragment::{Cutting, Receiver};
use crate::{Error, Result};

/// Value of the root attribute `format`.
pub const FORMAT: &str = "pcapae-dataset";
/// Version of the layout that this code writes.
pub const VERSION: u32 = 1;

/// What a dataset is, apart from its fragments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What people call it.
    pub name: String,
    /// How its fragments were cut.
    pub cutting: Cutting,
}

/// How a dataset lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Arrays over all fragments, as described [here](self).
    Arrays,
    /// A group per fragment, `"<i>/data"` and `"<i>/label"`, as the thesis's code writes and reads.
    Original,
}

/// Writes a dataset piece by piece.
pub trait Writer: Receiver {
    /// Completes the file.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    fn finish(self: Box<Self>, sources: &[Source], skipped: &SkipCounts) -> Result<()>;
}

/// Begins a dataset file of the wanted layout at `path`, replacing what is there.
///
/// # Errors
///
/// The file cannot be created.
pub fn writer(path: &Path, description: &Description, layout: Layout) -> Result<Box<dyn Writer>> {
    Ok(match layout {
        Layout::Arrays => Box::new(DatasetWriter::create(path, description)?),
        Layout::Original => Box::new(OriginalWriter::create(path, description.cutting.size)?),
    })
}

/// A refusal of the HDF5 library with its place, for `map_err`.
pub(crate) fn hdf5(action: &'static str, path: &Path) -> impl Fn(rust_hdf5::Hdf5Error) -> Error {
    let path = path.to_owned();
    move |error| Error::Hdf5 { action, path: path.clone(), source: error.into() }
}
