//! Checkpoints of the original, and state dicts, as PyTorch saves them.
//!
//! The original saves its weights with whole Python objects beside them. Of the file only the weights are taken, and the
//! number of frames; the objects are not made, and no code in it or named by it is run.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::autoencoder::Autoencoder;
use super::file::{BYTES_MAX, too_large};
use super::pickle::{Pickle, Value};
use super::torch_file::{TorchFile, storage_of};
use super::{Frames, ModelConfig, PredictFrames};
use crate::error::{Fault, Place};

/// More tensors than this are no state dict of ours, which has at most a hundred.
const TENSORS_MAX: usize = 256;

/// A tensor of more elements than this is none of ours, which have at most 3,200.
const ELEMENTS_MAX: usize = 1 << 16;

/// What `DataParallel` puts before every name.
const PARALLEL: &str = "module.";

/// A tensor as it goes into a model: its axes and its elements, row-major, as little-endian 32-bit floats.
type Tensor = (Vec<usize>, Vec<u8>);

impl Autoencoder {
    /// Reads a checkpoint of the original (`.pth.tar`), or a bare state dict, as `torch.save` writes them.
    ///
    /// A checkpoint says how many frames a window has and whether the decoder predicts; `frames` says it for a bare state
    /// dict, and is ignored otherwise. Tensors of 16 and 64 bits become 32-bit floats. Nothing in the file is trusted or run: of
    /// what it says only tensors and the numbers of frames are used, and these are checked as those of a safetensors file are.
    pub fn from_torch(bytes: &[u8], frames: Option<Frames>) -> Result<Autoencoder, Fault> {
        if bytes.len() > BYTES_MAX {
            return Err(too_large());
        }
        let file = TorchFile::open(bytes)?;
        let root = file.pickle.root();
        let (given, predict_frames) = frames_of(&file.pickle)?.unzip();
        let tensors = state_dict(&file, file.pickle.entry(root, "state_dict").unwrap_or(root))?;
        let weights = as_safetensors(&tensors)?;
        let model = Autoencoder::from_safetensors(&weights, given.or(frames))?;
        let Some(predict_frames) = predict_frames else { return Ok(model) };
        let weights = SafeTensors::deserialize(&weights).map_err(Fault::parser)?;
        Autoencoder::from_tensors(&weights, ModelConfig { predict_frames, ..*model.config() })
    }
}

/// A file of bare weights: so names, shapes and values are checked in one place.
fn as_safetensors(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, Fault> {
    let mut views = Vec::with_capacity(tensors.len());
    for (name, (shape, bytes)) in tensors {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(Fault::parser)?;
        views.push((name, view));
    }
    serialize(views, None).map_err(Fault::parser)
}

/// The frames that the encoder takes and those that the decoder predicts, from `meta`: the encoder's layers, the decoder's,
/// and these two numbers.
fn frames_of(pickle: &Pickle) -> Result<Option<(Frames, PredictFrames)>, Fault> {
    let meta = pickle.entry(pickle.root(), "meta").and_then(|meta| pickle.first(meta));
    let Some([_, _, Value::Int(given), Value::Int(predicted)]) = meta else { return Ok(None) };
    // What is negative or too large for this machine is too large for a window as well.
    let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    Ok(Some((Frames::try_from(count(*given))?, PredictFrames::try_from(count(*predicted))?)))
}

fn state_dict(file: &TorchFile, dict: &Value) -> Result<BTreeMap<String, Tensor>, Fault> {
    let Value::Dict(pairs) = dict else {
        return Err(Fault::found(describe(&file.pickle, dict), "a state dict"));
    };
    if pairs.len() > TENSORS_MAX {
        let found = format!("a state dict of {} entries", pairs.len());
        return Err(Fault::found(found, format!("at most {TENSORS_MAX}")));
    }
    let mut tensors = BTreeMap::new();
    for (name, value) in pairs {
        let Value::Text(name) = file.pickle.get(*name) else {
            return Err(Fault::found("a state dict with other names", "texts"));
        };
        let tensor = tensor(file, file.pickle.get(*value)).map_err(|fault| fault.within(Place::Array(name.clone())))?;
        tensors.insert(name.strip_prefix(PARALLEL).unwrap_or(name).to_owned(), tensor);
    }
    Ok(tensors)
}

/// The tensor `_rebuild_tensor_v2(storage, offset, shape, strides, ...)`, bare or as a parameter.
fn tensor(file: &TorchFile, value: &Value) -> Result<Tensor, Fault> {
    let pickle = &file.pickle;
    let none = || Fault::found(describe(pickle, value), "a tensor");
    let mut found = call(pickle, value).ok_or_else(none)?;
    if found.0 == "torch._utils._rebuild_parameter" {
        let [data] = pickle.first(found.1).ok_or_else(none)?;
        found = call(pickle, data).ok_or_else(none)?;
    }
    let ("torch._utils._rebuild_tensor_v2", Some([storage, Value::Int(offset), shape, strides])) =
        (found.0, pickle.first(found.1))
    else {
        return Err(none());
    };
    let (key, element) = storage_of(pickle, storage).ok_or_else(|| Place::Entry("storage".into()).missing())?;
    let bytes = file.storages.get(key).ok_or_else(|| Place::Entry(format!("storage {key}")).missing())?;
    let axes = |value| sizes(pickle, value).ok_or_else(|| Fault::found("another shape", "at most four axes"));
    let (shape, strides) = (axes(shape)?, axes(strides)?);
    let count = shape.iter().try_fold(1usize, |count, axis| count.checked_mul(*axis));
    let count = count.filter(|count| *count <= ELEMENTS_MAX && shape.len() == strides.len());
    let expected = format!("at most {ELEMENTS_MAX} elements, and a stride for each axis");
    let count = count.ok_or_else(|| Fault::found(format!("the shape {shape:?}"), expected))?;
    let outside = || Fault::found("values outside its storage", "values within it");
    let offset = usize::try_from(*offset).map_err(|_| outside())?;
    let mut values = Vec::with_capacity(4 * count);
    for index in 0..count {
        let found = element_at(&shape, &strides, offset, index)
            .and_then(|at| at.checked_mul(element.size()))
            .and_then(|at| bytes.get(at..)?.get(..element.size()))
            .ok_or_else(outside)?;
        let value = element.read(found).ok_or_else(|| Fault::found("other values", "floats"))?;
        values.extend(value.to_le_bytes());
    }
    Ok((shape, values))
}

/// Where in its storage the element `index`, row-major, of a tensor lies.
fn element_at(shape: &[usize], strides: &[usize], offset: usize, mut index: usize) -> Option<usize> {
    let mut at = offset;
    for (axis, stride) in shape.iter().zip(strides).rev() {
        at = at.checked_add((index % axis).checked_mul(*stride)?)?;
        index /= axis;
    }
    Some(at)
}

/// At most four sizes, as every tensor of the network has.
fn sizes(pickle: &Pickle, value: &Value) -> Option<Vec<usize>> {
    let members = pickle.members(value).filter(|members| members.len() <= 4)?;
    let size = |value: &Value| if let Value::Int(size) = value { usize::try_from(*size).ok() } else { None };
    members.map(size).collect()
}

/// Who would be called, with what.
fn call<'p>(pickle: &'p Pickle, value: &Value) -> Option<(&'p str, &'p Value)> {
    let Value::Call { callee, arguments } = value else { return None };
    let Value::Global(name) = pickle.get(*callee) else { return None };
    Some((name, pickle.get(*arguments)))
}

/// A few words for what stands where something else should.
fn describe(pickle: &Pickle, value: &Value) -> String {
    match value {
        Value::Call { callee, .. } => match pickle.get(*callee) {
            Value::Global(name) => {
                format!("a call of {} (which was not made)", name.chars().take(60).collect::<String>())
            }
            _ => "a call (which was not made)".to_owned(),
        },
        Value::Dict(_) => "a dictionary".to_owned(),
        Value::List(_) | Value::Tuple(_) => "a list".to_owned(),
        _ => "a single value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        [&[0x8c, text.len() as u8], text.as_bytes()].concat()
    }

    fn int(value: i32) -> Vec<u8> {
        [&b"J"[..], &value.to_le_bytes()].concat()
    }

    fn tuple(members: &[Vec<u8>]) -> Vec<u8> {
        [b"(".to_vec(), members.concat(), b"t".to_vec()].concat()
    }

    fn ints(values: &[i32]) -> Vec<u8> {
        tuple(&values.iter().map(|value| int(*value)).collect::<Vec<_>>())
    }

    /// A file in the format before 1.6: the tensor `t` of six floats 0 … 5, seen through offset, shape and strides.
    fn file(offset: i32, shape: Vec<u8>, strides: &[i32]) -> Vec<u8> {
        let id = tuple(&[text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text("0"), text("cpu"), int(6)]);
        let storage = [id, b"Q".to_vec()].concat();
        let arguments = tuple(&[storage, int(offset), shape, ints(strides)]);
        let object =
            [b"}".to_vec(), text("t"), b"ctorch._utils\n_rebuild_tensor_v2\n".to_vec(), arguments, b"Rs.".to_vec()];
        let parts: [&[u8]; 6] = [
            b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
            b"M\xe9\x03.",
            b"}\x8c\x0dlittle_endian\x88s.",
            &object.concat(),
            b"]\x8c\x010a.",
            &6u64.to_le_bytes(),
        ];
        let values = (0..6u8).flat_map(|value| f32::from(value).to_le_bytes()).collect();
        [parts.concat(), values].concat()
    }

    fn read(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>), Fault> {
        let file = TorchFile::open(bytes)?;
        let (shape, values) = state_dict(&file, file.pickle.root())?.remove("t").unwrap();
        Ok((shape, values.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
    }

    #[test]
    fn a_tensor_is_gathered_along_its_strides() {
        let check = |offset, shape: &[usize], strides: &[i32], expected: &[f32]| {
            let axes: Vec<i32> = shape.iter().map(|axis| *axis as i32).collect();
            assert_eq!(read(&file(offset, ints(&axes), strides)).unwrap(), (shape.to_vec(), expected.to_vec()));
        };
        check(0, &[2, 3], &[3, 1], &[0., 1., 2., 3., 4., 5.]);
        check(0, &[3, 2], &[1, 3], &[0., 3., 1., 4., 2., 5.]);
        check(4, &[2], &[1], &[4., 5.]);
        check(2, &[3], &[0], &[2., 2., 2.]);
        check(5, &[], &[], &[5.]);
        check(5, &[0, 7], &[1, 1], &[]);
    }

    #[test]
    fn a_tensor_that_claims_more_than_there_is_is_refused() {
        let check = |offset, shape: &[i32], strides: &[i32], expected: &str| {
            assert_eq!(
                read(&file(offset, ints(shape), strides)).unwrap_err().to_string(),
                format!("`t` holds {expected}")
            );
        };
        check(1, &[6], &[1], "values outside its storage, expected values within it");
        check(0, &[2], &[i32::MAX], "values outside its storage, expected values within it");
        check(-1, &[1], &[1], "values outside its storage, expected values within it");
        check(0, &[1 << 17], &[0], "the shape [131072], expected at most 65536 elements, and a stride for each axis");
        check(
            0,
            &[i32::MAX; 4],
            &[0; 4],
            "the shape [2147483647, 2147483647, 2147483647, 2147483647], expected at most 65536 elements, and a stride for each axis",
        );
        check(0, &[2, 2], &[1], "the shape [2, 2], expected at most 65536 elements, and a stride for each axis");
        check(0, &[1; 5], &[1; 5], "another shape, expected at most four axes");
        check(0, &[-1], &[1], "another shape, expected at most four axes");
    }

    #[test]
    fn what_other_readers_copy_again_and_again_costs_nothing() {
        let kept = |times| {
            [b"(".to_vec(), ints(&vec![1; 100_000]), b"q\x01".to_vec(), b"h\x01".repeat(times), b"t".to_vec()].concat()
        };
        let bytes = file(0, kept(1_000_000), &[1]);
        assert_eq!(read(&bytes).unwrap_err().to_string(), "`t` holds another shape, expected at most four axes");
    }

    #[test]
    fn a_checkpoint_says_what_the_decoder_predicts() {
        let frames = |given, predicted| {
            let numbers = [b"NN".to_vec(), int(given), int(predicted)];
            let root = [b"}".to_vec(), text("meta"), tuple(&numbers), b"s.".to_vec()].concat();
            let (given, predicted) = frames_of(&Pickle::read(&root).unwrap().0)?.unwrap();
            Ok::<_, Fault>((given.count(), predicted.count()))
        };
        assert_eq!(frames(3, 0).unwrap(), (3, 0));
        assert_eq!(frames(1, 1).unwrap(), (1, 1));
        for (given, predicted) in [(0, 0), (-1, 0), (1, -1), (1, 257)] {
            assert!(frames(given, predicted).is_err(), "{given} {predicted}");
        }
    }
}
