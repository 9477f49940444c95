//! Codes: what the encoder makes of the windows of a dataset, in an HDF5 file, with the windows' provenance.
//!
//! The file's root has the attributes `format` (`"pcapae-codes"`), `version`, `mode` (where the dataset says it), `model` (JSON), `dataset`
//! (JSON: `name`, and `sources` where the dataset has them) and `tool`. For W windows of F frames it has these datasets:
//!
//! | dataset | type, shape | meaning |
//! |---|---|---|
//! | `codes` | f32 `[W, width]` | one code a window; its attributes are `frames`, `stride`, `fragments` (of the dataset), `fragment_size`, `one_d` |
//! | `first_fragment` | u64 `[W]` | index of the window's first fragment in the dataset |
//! | `first_packet`, `last_packet` | u64 `[W]` | lowest and highest packet number in the window |
//! | `label` | i8 `[W]` | −1 normal, 1 anomalous, 0 unknown |
//! | `flow` | u64 `[W]`, flow mode only | which flow |
//! | `time_ns` | i64 `[W]` | capture time of the first packet in nanoseconds since 1970 |
//! | `segment_offsets` | u64 `[W + 1]` | the segments of window i are rows `segment_offsets[i] .. segment_offsets[i+1]` |
//! | `segments` | u64 `[M, 4]` | packet number, offset in the packet, offset in the window, length |
//!
//! The last three are absent where the dataset has the original's layout, which knows neither times nor offsets. A file with `codes`
//! alone, without attributes, is read as well.

mod entropy;

mod reader;

mod writer;

pub(crate) use entropy::ENTROPY_BINS;
pub use entropy::{entropy_of_codes, shannon_entropy};
pub use reader::Codes;
pub use writer::CodesWriter;

use serde_json::{Value, json};

use crate::dataset::Dataset;
use crate::fragment::{FragmentSize, Mode};

/// Value of the root attribute `format`.
pub const FORMAT: &str = "pcapae-codes";
/// Version of the layout that this code writes.
pub const VERSION: u32 = 1;

/// What was encoded, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodesDescription {
    /// The model, as JSON.
    pub model: String,
    /// The dataset's name and sources, as JSON.
    pub dataset: String,
    /// Fragments in the dataset.
    pub fragments: u64,
    /// Fragments in a window.
    pub frames: u64,
    /// Every how many windows there is a code; 1 where there is one for each.
    pub stride: u64,
    /// Bytes in a fragment, and their shape.
    pub size: FragmentSize,
    /// How packets became fragments; `None` where the dataset, in the original's layout, does not say.
    pub mode: Option<Mode>,
}

impl CodesDescription {
    /// A description of the codes that `model`, as JSON, gives of every `stride`-th window of `frames` fragments of `dataset`.
    pub fn new(dataset: &Dataset, model: String, frames: u64, stride: u64) -> CodesDescription {
        let mut description = json!({ "name": dataset.name() });
        if let Some(sources) = dataset.sources() {
            // What is no JSON is kept as the text that it is.
            description["sources"] = serde_json::from_str(sources).unwrap_or_else(|_| Value::from(sources));
        }
        CodesDescription {
            model,
            dataset: description.to_string(),
            fragments: dataset.len() as u64,
            frames,
            stride,
            size: dataset.size(),
            mode: dataset.mode(),
        }
    }
}

/// Which bytes of a window came from which packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowSegment {
    /// The packet's number, from 1.
    pub packet: u64,
    /// Offset of the first byte in the packet.
    pub packet_offset: u64,
    /// Offset of the first byte in the window: fragments lie one after the other.
    pub window_offset: u64,
    /// How many bytes; 0 where only the packet's padding lies in the window.
    pub length: u64,
}
