//! Files of `torch.save` (see `golden/README.md`): read as what they are, and nothing in them is run.

#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::fs;
use std::path::{Path, PathBuf};

use pcapae::Error;
use pcapae::model::{Autoencoder, Frames, open};
use proptest::prelude::*;
use pytorch_reader::{DType, PytorchReader};

/// What the command in the hostile files would create.
const TRACE: &str = "pcapae-ran-a-pickle";

fn golden(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(below)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(golden(&format!("torch/{name}"))).unwrap()
}

fn frames(count: usize) -> Option<Frames> {
    Some(Frames::try_from(count).unwrap())
}

fn original() -> Autoencoder {
    open(&golden("gru16_f1/init_state.safetensors"), frames(1)).unwrap()
}

/// Whether `got` has the weights of the original, rounded to this relative precision.
#[track_caller]
fn has_the_weights(got: &Autoencoder, precision: f32) {
    let original = original();
    for ((name, _, got), (_, _, expected)) in got.parameters().tensors().zip(original.parameters().tensors()) {
        for (got, expected) in got.iter().zip(expected) {
            // Below 2⁻¹⁴ a 16-bit float has fewer digits.
            assert!(
                (got - expected).abs() <= expected.abs() * precision + precision / 16384.0,
                "{name}: {got} {expected}"
            );
        }
    }
}

fn refusal(bytes: &[u8]) -> String {
    Autoencoder::from_torch(bytes, frames(1)).unwrap_err().to_string()
}

#[test]
fn a_checkpoint_of_the_original_brings_weights_and_frames() {
    let model = Autoencoder::from_torch(&bytes("checkpoint.pth.tar"), None).unwrap();
    assert_eq!(model.config().frames.count(), 3);
    has_the_weights(&model, 0.0);
    let told_otherwise = Autoencoder::from_torch(&bytes("checkpoint.pth.tar"), frames(2)).unwrap();
    assert_eq!(told_otherwise.config().frames.count(), 3);
}

#[test]
fn a_file_from_before_the_zip_format_is_read() {
    let model = Autoencoder::from_torch(&bytes("legacy.pth"), frames(2)).unwrap();
    assert_eq!(model.config().frames.count(), 2);
    has_the_weights(&model, 0.0);
    let error = Autoencoder::from_torch(&bytes("legacy.pth"), None).unwrap_err();
    assert!(error.to_string().contains("frames"), "{error}");
}

#[test]
fn floats_of_any_size_and_the_names_of_parallel_modules_are_read() {
    let model = Autoencoder::from_torch(&bytes("mixed.pth"), frames(1)).unwrap();
    has_the_weights(&model, 1.0 / 256.0);
}

#[test]
fn a_pickle_that_would_run_a_command_runs_nothing() {
    let command = refusal(&bytes("hostile.pth"));
    assert_eq!(command, "found a call of posix.system (which was not made), expected a state dict");
    let model = Autoencoder::from_torch(&bytes("hostile_meta.pth.tar"), None).unwrap();
    assert_eq!(model.config().frames.count(), 2);
    has_the_weights(&model, 1.0 / 2048.0);
    assert!(!Path::new(TRACE).exists());
}

/// The crate `pytorch-reader` is a second opinion. It is not what reads files for users: it copies what a pickle asks for
/// again, and the bounds that it sets to that leave out names of classes and shapes of tensors.
#[test]
fn another_reader_finds_the_same_tensors() {
    for (name, key) in
        [("checkpoint.pth.tar", Some("state_dict")), ("legacy.pth", None), ("hostile_meta.pth.tar", Some("state_dict"))]
    {
        let model = Autoencoder::from_torch(&bytes(name), frames(1)).unwrap();
        let reader = PytorchReader::from_bytes(bytes(name), key).unwrap();
        assert_eq!(reader.len(), model.parameters().shapes().len());
        for (tensor, shape, values) in model.parameters().tensors() {
            let other = reader.get(tensor).unwrap();
            assert_eq!(other.shape(), shape);
            if other.dtype() == DType::F32 {
                let ours: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                assert!(other.read().unwrap() == ours, "{name}: {tensor}");
            }
        }
    }
}

#[test]
fn a_model_is_recognised_by_its_first_bytes_and_not_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let misnamed = folder.path().join("model.safetensors");
    fs::write(&misnamed, bytes("checkpoint.pth.tar")).unwrap();
    has_the_weights(&open(&misnamed, None).unwrap(), 0.0);
    let misnamed = folder.path().join("model.pth.tar");
    fs::write(&misnamed, original().to_safetensors().unwrap()).unwrap();
    has_the_weights(&open(&misnamed, None).unwrap(), 0.0);
}

#[test]
fn every_refusal_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let large = [&100u64.to_le_bytes()[..], b"{", &vec![b' '; 5 << 20]].concat();
    let cases: [(&str, &[u8], &str); 6] = [
        ("empty", b"", "found a file of another format, expected a safetensors file or a file of torch.save"),
        ("capture", &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0], "found a file of another format"),
        ("zip", b"PK\x03\x04", "found a zip that is cut or damaged"),
        ("header", &large[..100], ""),
        ("large", &large, "found a larger file, expected at most 4194304 bytes"),
        ("command", &bytes("hostile.pth"), "found a call of posix.system"),
    ];
    for (name, bytes, reason) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = open(&path, frames(1)).unwrap_err().to_string();
        let expected = format!("{} cannot be read as a model: {reason}", path.display());
        assert!(error.starts_with(&expected), "{error}");
    }
    let missing = open(&folder.path().join("missing"), None).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }) && missing.to_string().contains("missing"), "{missing}");
}

/// The bytes with `to` written over the beginning of every `from`.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn a_zip_that_would_unpack_is_refused() {
    let packed = replaced(bytes("hostile.pth"), b"PK\x01\x02\0\0\0\0\x08\x08\0\0", b"PK\x01\x02\0\0\0\0\x08\x08\x08\0");
    let refusal = refusal(&packed);
    assert!(refusal.ends_with("found compressed bytes, expected uncompressed ones, as torch.save writes"), "{refusal}");
}

#[test]
fn a_wrong_checksum_is_refused() {
    let damaged = replaced(bytes("hostile.pth"), b"posix", b"Posix");
    let refusal = refusal(&damaged);
    assert!(refusal.starts_with("entry ") && refusal.contains("its checksum is "), "{refusal}");
}

#[test]
fn every_cut_is_refused() {
    for (name, step) in [("hostile.pth", 1), ("checkpoint.pth.tar", 211), ("legacy.pth", 211), ("mixed.pth", 211)] {
        let whole = bytes(name);
        for end in (0..whole.len()).step_by(step) {
            assert!(Autoencoder::from_torch(&whole[..end], frames(1)).is_err(), "{name} cut at {end}");
        }
    }
}

proptest! {
    #[test]
    fn no_change_of_bytes_makes_it_panic(
        name in prop::sample::select(vec!["checkpoint.pth.tar", "legacy.pth", "hostile_meta.pth.tar"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, any::<u8>()), 1..4),
    ) {
        let mut bytes = bytes(name);
        for (at, quarter, to) in changes {
            // The beginning and the end hold what can be misunderstood; the middle is weights.
            let length = if quarter == 0 { bytes.len() } else { bytes.len().min(24_000) };
            let at = at.index(length);
            let at = if quarter == 3 { bytes.len() - 1 - at } else { at };
            bytes[at] = to;
        }
        let _ = Autoencoder::from_torch(&bytes, frames(1));
    }
}
