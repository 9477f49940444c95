//! The bundle's file: one safetensors file with the model's tensors, the calibration scores and, as JSON, all the rest.
//!
//! Loading is safe with files from strangers: no code runs, sizes and shapes are checked.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};

use super::{Bundle, Lesson};
use crate::detect::Threshold;
use crate::fragment::{Cutting, FragmentSize, Mask, Mode, Semantics, Shape};
use crate::model::{Autoencoder, ModelConfig};
use crate::{Error, Result};

/// Value of the metadata entry `format`.
const FORMAT: &str = "pcapae-bundle";
/// Version of the layout that this code writes and reads, the metadata entry `version`.
const VERSION: &str = "1";
/// A longer header no safetensors file has: the library refuses it too.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// Name of the tensor with the calibration scores, f32 `[n]`.
const CALIBRATION: &str = "calibration.scores";

/// The metadata entry `bundle`.
#[derive(Serialize, Deserialize)]
struct Record {
    mode: Mode,
    fragment_size: usize,
    shape: Shape,
    semantics: Semantics,
    #[serde(default)]
    mask: Mask,
    model: ModelConfig,
    threshold: Threshold,
    lesson: Lesson,
}

impl Bundle {
    /// The bundle as the bytes of its file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let Cutting { mode, size, semantics, mask } = self.cutting;
        let record = Record {
            mode,
            fragment_size: size.bytes(),
            shape: size.shape(),
            semantics,
            mask,
            model: *self.model.config(),
            threshold: self.threshold,
            lesson: self.lesson.clone(),
        };
        let record = serde_json::to_string(&record)
            .map_err(|error| Error::Unwritable { what: "bundle", reason: error.to_string() })?;
        let metadata = [("format", FORMAT), ("version", VERSION), ("bundle", record.as_str())];
        let shape = [self.calibration.len()];
        let calibration: (&str, &[usize], &[f32]) = (CALIBRATION, &shape, &self.calibration);
        self.model.to_safetensors_with(&[calibration], &metadata)
    }

    /// Whether the file at `path` says that it is a bundle; it may be damaged for all that. Reads no more than its header.
    pub fn is_recognised(path: &Path) -> Result<bool> {
        let mut file = File::open(path).map_err(Error::io("open", path))?;
        let mut header = Vec::new();
        file.by_ref().take(8).read_to_end(&mut header).map_err(Error::io("read", path))?;
        let Ok(length) = header.as_slice().try_into().map(u64::from_le_bytes) else { return Ok(false) };
        if length > HEADER_BYTES_MAX {
            return Ok(false);
        }
        header.clear();
        file.take(length).read_to_end(&mut header).map_err(Error::io("read", path))?;
        let header = serde_json::from_slice::<serde_json::Value>(&header).unwrap_or_default();
        Ok(header["__metadata__"]["format"] == FORMAT)
    }

    /// Reads a bundle file; refuses what is none, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Bundle> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Self::from_bytes(&bytes).map_err(|reason| Error::NotABundle { path: path.to_owned(), reason })
    }

    /// Reads the bytes of a bundle file; says in a few words what is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle, String> {
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| format!("it is not a safetensors file ({error})"))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        for (key, expected) in [("format", FORMAT), ("version", VERSION)] {
            let got = metadata.get(key).map_or("missing", String::as_str);
            if got != expected {
                return Err(format!("its {key} is {got}, expected {expected}"));
            }
        }
        let record = metadata.get("bundle").ok_or("its metadata has no entry `bundle`")?;
        let record: Record = serde_json::from_str(record).map_err(|error| error.to_string())?;
        let size = FragmentSize::new(record.fragment_size, record.shape).map_err(|error| error.to_string())?;
        let taken = record.model.side.fragment_size();
        if size.bytes() != taken {
            return Err(format!("its fragments have {} bytes, its model takes {taken}", size.bytes()));
        }
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let calibration = tensors.tensor(CALIBRATION).map_err(|error| error.to_string())?;
        if calibration.dtype() != Dtype::F32 {
            return Err(format!("`{CALIBRATION}` is {:?}, expected F32", calibration.dtype()));
        }
        let calibration: Vec<f32> =
            calibration.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        // Scores are mean squared errors.
        let is_score = |value: &f32| value.is_finite() && *value >= 0.0;
        if let Some(value) = calibration.iter().find(|value| !is_score(value)) {
            return Err(format!("`{CALIBRATION}` holds {value}, which is no score"));
        }
        if !is_score(&record.threshold.value) {
            return Err(format!("its threshold is {}, which is no score", record.threshold.value));
        }
        let model = Autoencoder::from_tensors(&tensors, record.model).map_err(|error| error.to_string())?;
        let cutting = Cutting { mode: record.mode, size, semantics: record.semantics, mask: record.mask };
        Ok(Bundle { cutting, model, calibration, threshold: record.threshold, lesson: record.lesson })
    }
}
