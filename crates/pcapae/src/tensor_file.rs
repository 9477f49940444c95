//! safetensors files of ours: what they say they are, and arrays of 64-bit floats in them.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::{Error, Result};

/// A longer header no safetensors file has: the library refuses it too.
const HEADER_BYTES_MAX: u64 = 100_000_000;

/// The entry of the header that holds texts.
const METADATA: &str = "__metadata__";

/// An array on its way to a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileArray<'a> {
    pub name: &'a str,
    pub shape: &'a [usize],
    /// Row-major.
    pub values: &'a [f64],
}

/// The bytes of a file with these texts and arrays; the same content gives the same bytes.
pub(crate) fn to_bytes<'a>(metadata: &[(&str, &str)], arrays: impl Iterator<Item = FileArray<'a>>) -> Vec<u8> {
    let metadata: BTreeMap<&str, &str> = metadata.iter().copied().collect();
    let (mut header, mut data) = (BTreeMap::from([(METADATA.to_owned(), json!(metadata))]), Vec::new());
    for array in arrays {
        let begin = data.len();
        data.extend(array.values.iter().flat_map(|value| value.to_le_bytes()));
        let entry = json!({ "dtype": "F64", "shape": array.shape, "data_offsets": [begin, data.len()] });
        header.insert(array.name.to_owned(), entry);
    }
    let mut header = json!(header).to_string().into_bytes();
    // Numbers begin at a multiple of their size, as readers that map the file want it.
    header.resize(header.len().next_multiple_of(size_of::<f64>()), b' ');
    [&(header.len() as u64).to_le_bytes(), header.as_slice(), &data].concat()
}

/// What the file at `path` says in its entry `format`; `None` where it is no safetensors file, or has none. Reads no more than the header.
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

/// The texts in a file's header; says in a few words where it has another format or version.
pub(crate) fn metadata(bytes: &[u8], format: &str, version: &str) -> Result<HashMap<String, String>, String> {
    let (_, header) =
        SafeTensors::read_metadata(bytes).map_err(|error| format!("it is not a safetensors file ({error})"))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    for (key, expected) in [("format", format), ("version", version)] {
        let got = metadata.get(key).map_or("missing", String::as_str);
        if got != expected {
            return Err(format!("its {key} is {got}, expected {expected}"));
        }
    }
    Ok(metadata)
}
