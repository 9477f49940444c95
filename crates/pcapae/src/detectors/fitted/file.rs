//! The file of a fitted detector: one safetensors file with its numbers as 64-bit floats and, as JSON, all the rest.
//!
//! Loading is safe with files from strangers: no code runs, sizes, shapes and ranges are checked.

use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::super::{Blueprint, Rows};
use super::Fitted;
use crate::error::{Fault, FileKind, Place};
use crate::named_arrays::NamedArrays;
use crate::tensor_file;
use crate::{Error, Result};

/// Value of the metadata entry `format`.
const FORMAT: &str = "pcapae-detector";
/// Version of the layout that this code writes and reads, the metadata entry `version`.
const VERSION: &str = "1";
/// The metadata entry with the record.
const RECORD: &str = "detector";

/// What a file says of a fitted detector beside its arrays: the metadata entry `detector`, and an entry of a bundle.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FittedRecord {
    pub blueprint: Blueprint,
    rows: Rows,
    count: u64,
    sources: Option<String>,
    /// For people and other programs: it follows from the numbers.
    #[serde(default)]
    own_threshold: Option<f64>,
}

impl Fitted {
    /// The detector as the bytes of its file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let record = serde_json::to_string(&self.record()).map_err(Error::unwritable("detector"))?;
        let metadata = [("format", FORMAT), ("version", VERSION), (RECORD, record.as_str())];
        let tensors: Vec<_> = self.detector.numbers().tensors("").collect();
        tensor_file::tensor_file(&tensors, &metadata)
    }

    /// What files say of it beside its arrays.
    pub(crate) fn record(&self) -> FittedRecord {
        FittedRecord {
            blueprint: self.blueprint.clone(),
            rows: self.rows.clone(),
            count: self.count,
            sources: self.sources.clone(),
            own_threshold: self.detector.own_threshold(),
        }
    }

    /// The detector of which a file says this, with these arrays.
    pub(crate) fn from_record(record: FittedRecord, arrays: &NamedArrays) -> Result<Fitted, Fault> {
        record.rows.check()?;
        let detector = record.blueprint.read_back(record.rows.width(), arrays)?;
        let FittedRecord { blueprint, rows, count, sources, .. } = record;
        Ok(Fitted { blueprint, rows, count, sources, detector })
    }

    /// Whether the file at `path` says that it is a fitted detector; it may be damaged for all that. Reads no more than its header.
    pub fn is_recognised(path: &Path) -> Result<bool> {
        Ok(tensor_file::format_of(path)?.as_deref() == Some(FORMAT))
    }

    /// Reads the file of a detector; refuses what is none, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Fitted> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Self::from_bytes(&bytes).map_err(FileKind::Detector.unreadable(path))
    }

    /// Reads the bytes of a detector's file; says in a few words what is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Fitted, Fault> {
        let metadata = tensor_file::metadata(bytes, FORMAT, &[VERSION])?;
        let record = metadata.get(RECORD).ok_or_else(|| Place::Entry(RECORD.into()).missing())?;
        let record: FittedRecord = serde_json::from_str(record).map_err(Fault::parser)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(Fault::parser)?;
        Fitted::from_record(record, &NamedArrays::from_tensors("", &tensors)?)
    }
}

impl FittedRecord {
    /// Of a detector that a bundle of version 3 holds.
    pub(crate) fn of_blueprint(blueprint: Blueprint, rows: Rows, count: u64) -> FittedRecord {
        FittedRecord { blueprint, rows, count, sources: None, own_threshold: None }
    }
}
