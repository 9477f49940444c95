//! A safetensors file of named tensors: the same content gives the same bytes.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView, serialize};

use super::checkpoint::CheckpointError;
use crate::Result;

/// A tensor on its way to a file.
pub(crate) struct FileTensor {
    name: String,
    shape: Vec<usize>,
    kind: Dtype,
    bytes: Vec<u8>,
}

impl FileTensor {
    /// Of 32-bit floats, row-major.
    pub fn of_f32(name: impl Into<String>, shape: &[usize], values: &[f32]) -> FileTensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        FileTensor { name: name.into(), shape: shape.to_vec(), kind: Dtype::F32, bytes }
    }

    /// Of 64-bit floats, row-major.
    pub fn of_f64(name: impl Into<String>, shape: &[usize], values: &[f64]) -> FileTensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        FileTensor { name: name.into(), shape: shape.to_vec(), kind: Dtype::F64, bytes }
    }
}

/// The bytes of the file. Refuses tensors whose shape and number of values differ.
pub(crate) fn tensor_file(tensors: &[FileTensor], metadata: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut views = Vec::with_capacity(tensors.len());
    for FileTensor { name, shape, kind, bytes } in tensors {
        let view = TensorView::new(*kind, shape.clone(), bytes).map_err(CheckpointError::Container)?;
        views.push((name.as_str(), view));
    }
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let file = serialize(views, Some(metadata)).map_err(CheckpointError::Container)?;
    Ok(with_sorted_header(file).map_err(CheckpointError::Config)?)
}

/// The same safetensors file with the entries of its header sorted by name.
///
/// The library writes the metadata in the order of a hash map, which is another one in every run; the same model shall give the
/// same bytes.
fn with_sorted_header(mut file: Vec<u8>) -> Result<Vec<u8>, serde_json::Error> {
    let (length, rest) = file.split_at_mut(8);
    let length = length.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    let header: BTreeMap<String, BTreeMap<String, serde_json::Value>> = serde_json::from_slice(&rest[..length])?;
    let mut sorted = serde_json::to_vec(&header)?;
    // Equal entries in another order are of equal length, but for the spaces at the end.
    sorted.resize(length, b' ');
    rest[..length].copy_from_slice(&sorted);
    Ok(file)
}
