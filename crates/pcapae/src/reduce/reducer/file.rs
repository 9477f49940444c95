//! The file of a reducer: one safetensors file with its numbers as 64-bit floats and, as JSON, all the rest.
//!
//! Loading is safe with files from strangers: no code runs, sizes, shapes and ranges are checked.

use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::{Reducer, Reduction};
use crate::detectors::Rows;
use crate::error::{Fault, FileKind, Place};
use crate::model::Frames;
use crate::named_arrays::NamedArrays;
use crate::tensor_file;
use crate::{Error, Result};

/// Value of the metadata entry `format`.
const FORMAT: &str = "pcapae-reducer";
/// Version of the layout that this code writes and reads, the metadata entry `version`.
const VERSION: &str = "1";
/// The metadata entry with the record.
const RECORD: &str = "reducer";

/// The metadata entry `reducer`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    reduction: Reduction,
    rows: Rows,
    frames: Frames,
    count: u64,
    sources: Option<String>,
}

impl Reducer {
    /// The reducer as the bytes of its file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let record = Record {
            reduction: self.reduction.clone(),
            rows: self.rows.clone(),
            frames: self.frames,
            count: self.count,
            sources: self.sources.clone(),
        };
        let record = serde_json::to_string(&record).map_err(Error::unwritable("reducer"))?;
        let metadata = [("format", FORMAT), ("version", VERSION), (RECORD, record.as_str())];
        let tensors: Vec<_> = self.numbers().tensors("").collect();
        tensor_file::tensor_file(&tensors, &metadata)
    }

    /// Reads the file of a reducer; refuses what is none, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Reducer> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Self::from_bytes(&bytes).map_err(FileKind::Reducer.unreadable(path))
    }

    /// Reads the bytes of a reducer's file; says in a few words what is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Reducer, Fault> {
        let metadata = tensor_file::metadata(bytes, FORMAT, &[VERSION])?;
        let record = metadata.get(RECORD).ok_or_else(|| Place::Entry(RECORD.into()).missing())?;
        let Record { reduction, rows, frames, count, sources } = serde_json::from_str(record).map_err(Fault::parser)?;
        rows.check()?;
        if !matches!(rows, Rows::Fragments { .. }) {
            return Err(Place::Entry("rows".into()).found(rows, "fragments"));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(Fault::parser)?;
        let numbers = NamedArrays::from_tensors("", &tensors)?;
        let projection = reduction.read_back(frames.count() * rows.width(), &numbers)?;
        Ok(Reducer { reduction, rows, frames, count, sources, projection })
    }
}
