//! Files of `torch.save`: a pickle, and the storages that its tensors lie in.
//!
//! Since PyTorch 1.6 the file is a zip whose entries are stored unpacked: `data.pkl`, and `data/KEY` for each storage.
//! Before, and on request since, it is a line of pickles (magic number, version, system, the object, the keys), then each
//! storage as its number of elements and its bytes.

use std::collections::HashMap;

use flate2::Crc;

use super::pickle::{Pickle, Value};
use crate::error::{Fault, Place};

/// How a zip begins.
const ZIP: &[u8] = b"PK\x03\x04";

/// How a file from before PyTorch 1.6 begins: a pickle of protocol 2 with a magic number of ten bytes.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The version that follows the magic number.
const LEGACY_VERSION: Value = Value::Int(1001);

/// A file of `torch.save`, taken apart; no tensor is read yet.
#[derive(Debug)]
pub(super) struct TorchFile<'a> {
    /// The object that was saved.
    pub pickle: Pickle,
    /// The bytes of each storage, by its key.
    pub storages: HashMap<String, &'a [u8]>,
}

impl<'a> TorchFile<'a> {
    /// Whether the first bytes are those of such a file (or of any other zip).
    pub fn is_recognised(bytes: &[u8]) -> bool {
        bytes.starts_with(ZIP) || bytes.starts_with(LEGACY)
    }

    pub fn open(bytes: &'a [u8]) -> Result<TorchFile<'a>, Fault> {
        if bytes.starts_with(ZIP) {
            open_zip(bytes)
        } else if bytes.starts_with(LEGACY) {
            open_legacy(bytes)
        } else {
            Err(Fault::found("a file of another format", "a file of torch.save"))
        }
    }
}

/// The type of a storage's elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    Bf16,
    /// Integers and truth values, of so many bytes.
    Other(usize),
}

impl Element {
    /// The elements of a storage of this class.
    pub fn of_class(name: &str) -> Option<Element> {
        Some(match name.strip_prefix("torch.")?.strip_suffix("Storage")? {
            "Double" => Element::F64,
            "Float" => Element::F32,
            "Half" => Element::F16,
            "BFloat16" => Element::Bf16,
            "Long" => Element::Other(8),
            "Int" => Element::Other(4),
            "Short" => Element::Other(2),
            "Char" | "Byte" | "Bool" => Element::Other(1),
            _ => return None,
        })
    }

    pub fn size(self) -> usize {
        match self {
            Element::F64 => 8,
            Element::F32 => 4,
            Element::F16 | Element::Bf16 => 2,
            Element::Other(size) => size,
        }
    }

    /// An element as a 32-bit float, if it is one at all and `bytes` has its size.
    pub fn read(self, bytes: &[u8]) -> Option<f32> {
        Some(match self {
            Element::F64 => f64::from_le_bytes(bytes.try_into().ok()?) as f32,
            Element::F32 => f32::from_le_bytes(bytes.try_into().ok()?),
            Element::F16 => from_half(u16::from_le_bytes(bytes.try_into().ok()?)),
            Element::Bf16 => f32::from_bits(u32::from(u16::from_le_bytes(bytes.try_into().ok()?)) << 16),
            Element::Other(_) => return None,
        })
    }
}

/// IEEE 754 binary16: a sign, 5 bits of exponent (bias 15), 10 bits of fraction.
fn from_half(bits: u16) -> f32 {
    let fraction = f32::from(bits & 0x3ff);
    let size = match i32::from(bits >> 10 & 0x1f) {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1024.0 + fraction) * 2f32.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// What a pickle says of a storage: `("storage", class, key, place, elements, ...)`.
pub(super) fn storage_of<'p>(pickle: &'p Pickle, value: &Value) -> Option<(&'p str, Element)> {
    let Value::Persistent(id) = value else { return None };
    match pickle.first(pickle.get(*id))? {
        [Value::Text(kind), Value::Global(class), Value::Text(key)] if kind == "storage" => {
            Some((key, Element::of_class(class)?))
        }
        _ => None,
    }
}

fn open_zip(bytes: &[u8]) -> Result<TorchFile<'_>, Fault> {
    let entries = entries(bytes)?;
    let folder = entries.keys().filter_map(|name| name.strip_suffix("data.pkl")).min_by_key(|folder| folder.len());
    let folder = folder.ok_or_else(|| Fault::found("another zip", "one of torch.save"))?;
    if let Some(order) = entries.get(&format!("{folder}byteorder")).filter(|order| **order != b"little") {
        let order = String::from_utf8_lossy(&order[..order.len().min(20)]);
        return Err(Place::Entry("byte order".into()).found(format!("{order:?}"), "\"little\""));
    }
    let (pickle, _) = Pickle::read(entries.get(&format!("{folder}data.pkl")).copied().unwrap_or_default())?;
    let data = format!("{folder}data/");
    let storages = entries.iter().filter_map(|(name, bytes)| Some((name.strip_prefix(&data)?.to_owned(), *bytes)));
    Ok(TorchFile { storages: storages.collect(), pickle })
}

/// The entries of a zip whose entries are stored as they are.
///
/// Their sizes must fit into the file all together, so none can unpack to more than there is.
/// APPNOTE.TXT, the specification of zip, sections 4.3.7, 4.3.12 and 4.3.16; no number here can need zip64.
fn entries(bytes: &[u8]) -> Result<HashMap<String, &[u8]>, Fault> {
    let cut = || Fault::found("a zip that is cut or damaged", "a whole one");
    let at_entry = |path: &str, fault: Fault| fault.within(Place::Part(format!("entry {path:?}")));
    let end = bytes.windows(22).rposition(|window| window.starts_with(b"PK\x05\x06")).ok_or_else(cut)? as u64;
    let (count, mut at) = (number(bytes, end + 10, 2).ok_or_else(cut)?, number(bytes, end + 16, 4).ok_or_else(cut)?);
    let (mut entries, mut total) = (HashMap::new(), 0);
    for _ in 0..count {
        let field = |offset, size| number(bytes, at + offset, size).ok_or_else(cut);
        let (signature, method, crc, size) = (field(0, 4)?, field(10, 2)?, field(16, 4)?, field(24, 4)?);
        let (name, extra, comment, local) = (field(28, 2)?, field(30, 2)?, field(32, 2)?, field(42, 4)?);
        if signature != u64::from(u32::from_le_bytes(*b"PK\x01\x02")) {
            return Err(cut());
        }
        let path = String::from_utf8_lossy(part(bytes, at + 46, name).ok_or_else(cut)?).into_owned();
        if method != 0 || field(20, 4)? != size {
            return Err(at_entry(&path, Fault::found("compressed bytes", "uncompressed ones, as torch.save writes")));
        }
        let before = |offset| number(bytes, local + offset, 2).ok_or_else(cut);
        let data = part(bytes, local + 30 + before(26)? + before(28)?, size).ok_or_else(cut)?;
        total += data.len();
        if total > bytes.len() {
            return Err(Fault::found("a zip whose entries overlap", "separate entries"));
        }
        let mut sum = Crc::new();
        sum.update(data);
        // torch.save can leave the checksums out; they are zero then.
        if crc != 0 && u64::from(sum.sum()) != crc {
            return Err(at_entry(&path, Place::Entry("checksum".into()).found(sum.sum(), crc.to_string())));
        }
        entries.insert(path, data);
        at += 46 + name + extra + comment;
    }
    Ok(entries)
}

/// The unsigned little-endian number of `size` bytes at `at`.
fn number(bytes: &[u8], at: u64, size: u64) -> Option<u64> {
    Some(part(bytes, at, size)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn part(bytes: &[u8], at: u64, size: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(at).ok()?..)?.get(..usize::try_from(size).ok()?)
}

fn open_legacy(bytes: &[u8]) -> Result<TorchFile<'_>, Fault> {
    let mut rest = bytes;
    let mut next = || {
        let (pickle, length) = Pickle::read(rest)?;
        rest = &rest[length..];
        Ok::<Pickle, Fault>(pickle)
    };
    let (_magic, version, system, pickle, keys) = (next()?, next()?, next()?, next()?, next()?);
    if *version.root() != LEGACY_VERSION {
        return Err(Place::Entry("version".into()).found("another", "1001, that before PyTorch 1.6"));
    }
    if system.entry(system.root(), "little_endian") != Some(&Value::Bool(true)) {
        return Err(Place::Entry("byte order".into()).found("another", "little-endian"));
    }
    let elements: HashMap<&str, Element> =
        pickle.values().iter().filter_map(|value| storage_of(&pickle, value)).collect();
    let mut storages = HashMap::new();
    let other_keys = || Place::Part("keys of the storages".into()).found("something else", "a list of texts");
    for key in keys.members(keys.root()).ok_or_else(other_keys)? {
        let Value::Text(key) = key else { return Err(other_keys()) };
        let cut = || Place::Part(format!("storage {key}")).found("the end of the file", "more bytes");
        let untyped = || Place::Entry("type".into()).missing().within(Place::Part(format!("storage {key}")));
        let element = elements.get(key.as_str()).ok_or_else(untyped)?;
        let (count, after) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let size = usize::try_from(u64::from_le_bytes(*count)).ok().and_then(|count| count.checked_mul(element.size()));
        let split = size.and_then(|size| after.split_at_checked(size));
        let (data, after) = split.ok_or_else(cut)?;
        storages.insert(key.clone(), data);
        rest = after;
    }
    Ok(TorchFile { pickle, storages })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats_are_exact() {
        // numpy.float16(x).view(numpy.uint16)
        for (bits, value) in
            [(0x3c00, 1.0), (0xc580, -5.5), (0x0001, 5.960_464_5e-8), (0x7bff, 65504.0), (0x8000, -0.0)]
        {
            assert_eq!(from_half(bits).to_bits(), f32::to_bits(value));
        }
        assert_eq!(from_half(0xfc00), f32::NEG_INFINITY);
        assert!(from_half(0x7e00).is_nan());
    }
}
