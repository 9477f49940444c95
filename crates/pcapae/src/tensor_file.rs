//! Reading and writing safetensors files with the library's metadata; the same content always gives the same bytes.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::Value;

use crate::error::{Fault, Place};
use crate::{Error, Result};

/// A longer header no safetensors file has: the library refuses it too.
const HEADER_BYTES_MAX: u64 = 100_000_000;

/// The entry of the header that holds texts.
const METADATA: &str = "__metadata__";

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

    /// Of bytes, row-major.
    pub fn of_u8(name: impl Into<String>, shape: &[usize], values: &[u8]) -> FileTensor {
        FileTensor { name: name.into(), shape: shape.to_vec(), kind: Dtype::U8, bytes: values.to_vec() }
    }

    /// Of whole numbers of 32 bits, row-major.
    pub fn of_u32(name: impl Into<String>, shape: &[usize], values: &[u32]) -> FileTensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        FileTensor { name: name.into(), shape: shape.to_vec(), kind: Dtype::U32, bytes }
    }

    /// Of whole numbers of 64 bits, row-major.
    pub fn of_u64(name: impl Into<String>, shape: &[usize], values: &[u64]) -> FileTensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        FileTensor { name: name.into(), shape: shape.to_vec(), kind: Dtype::U64, bytes }
    }

    /// Of 64-bit floats, row-major.
    pub fn of_f64(name: impl Into<String>, shape: &[usize], values: &[f64]) -> FileTensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        FileTensor { name: name.into(), shape: shape.to_vec(), kind: Dtype::F64, bytes }
    }
}

/// The bytes of the file.
///
/// # Errors
///
/// A tensor whose shape and number of values differ.
pub(crate) fn tensor_file(tensors: &[FileTensor], metadata: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut views = Vec::with_capacity(tensors.len());
    for FileTensor { name, shape, kind, bytes } in tensors {
        let view = TensorView::new(*kind, shape.clone(), bytes).map_err(Error::unwritable("tensors"))?;
        views.push((name.as_str(), view));
    }
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let file = serialize(views, Some(metadata)).map_err(Error::unwritable("tensors"))?;
    with_sorted_header(file).map_err(Error::unwritable("tensors"))
}

/// The entry `format` of the metadata of the file at `path`; `None` if it is not a safetensors file or has no such entry. Reads no more than
/// the header.
///
/// # Errors
///
/// The file cannot be opened or read.
pub fn format_of(path: &Path) -> Result<Option<String>> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let mut header = Vec::new();
    file.by_ref().take(8).read_to_end(&mut header).map_err(Error::io("read", path))?;
    let Ok(length) = header.as_slice().try_into().map(u64::from_le_bytes) else { return Ok(None) };
    if length > HEADER_BYTES_MAX {
        return Ok(None);
    }
    header.clear();
    file.take(length).read_to_end(&mut header).map_err(Error::io("read", path))?;
    let header = serde_json::from_slice::<Value>(&header).unwrap_or_default();
    Ok(header[METADATA]["format"].as_str().map(str::to_owned))
}

/// The bytes of the tensor `name`.
///
/// # Errors
///
/// It is missing or of another type; so below.
pub(crate) fn u8_values(name: &str, tensors: &SafeTensors) -> Result<Vec<u8>, Fault> {
    values::<1, _>((name, Dtype::U8), tensors, |[byte]| byte)
}

/// The numbers of the tensor `name`.
pub(crate) fn u32_values(name: &str, tensors: &SafeTensors) -> Result<Vec<u32>, Fault> {
    values((name, Dtype::U32), tensors, u32::from_le_bytes)
}

/// The numbers of the tensor `name`.
pub(crate) fn u64_values(name: &str, tensors: &SafeTensors) -> Result<Vec<u64>, Fault> {
    values((name, Dtype::U64), tensors, u64::from_le_bytes)
}

fn values<const N: usize, T>(
    (name, kind): (&str, Dtype),
    tensors: &SafeTensors,
    of: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, Fault> {
    let tensor = tensors.tensor(name).map_err(|_| Place::Array(name.into()).missing())?;
    if tensor.dtype() != kind {
        return Err(Place::Array(name.into()).found(tensor.dtype(), kind.to_string()));
    }
    Ok(tensor.data().as_chunks::<N>().0.iter().copied().map(of).collect())
}

/// The metadata of a file.
///
/// # Errors
///
/// It has another format, or none of these versions.
pub(crate) fn metadata(bytes: &[u8], format: &str, versions: &[&str]) -> Result<HashMap<String, String>, Fault> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(Fault::parser)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    for (key, expected) in [("format", &[format][..]), ("version", versions)] {
        let got = metadata.get(key).ok_or_else(|| Place::Entry(key.into()).missing())?;
        if !expected.contains(&got.as_str()) {
            return Err(Place::Entry(key.into()).found(got, expected.join(" or ")));
        }
    }
    Ok(metadata)
}

/// The same safetensors file with the entries of its header sorted by name.
///
/// The safetensors crate writes the metadata in the order of a hash map, which differs from run to run.
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
