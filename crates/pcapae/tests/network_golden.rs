//! The network against its statement in PyTorch, `benches/torch/network.py` (see `golden/README.md`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use npyz::npz::NpzArchive;
use npyz::{Deserialize, NpyFile};
use pcapae::model::{Autoencoder, ModelConfig};
use safetensors::SafeTensors;
use serde_json::Value;

/// Outputs, codes and the loss; the golden numbers are in double precision.
const TOLERANCE: f64 = 1e-5;

/// Gradients.
const GRADIENT_TOLERANCE: f64 = 1e-6;

/// Fields of `config.json` that the configuration does not have, and the only value that a network has so far.
const FIXED: [(&str, &str); 3] = [("shape", r#""square""#), ("predict_frames", "0"), ("head", r#""linear""#)];

fn npy<T: Deserialize>(path: PathBuf) -> Vec<T> {
    NpyFile::new(BufReader::new(File::open(path).unwrap())).unwrap().into_vec().unwrap()
}

fn npz(path: PathBuf) -> HashMap<String, Vec<f64>> {
    let mut archive = NpzArchive::open(path).unwrap();
    let names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    names.into_iter().map(|name| (name.clone(), archive.by_name(&name).unwrap().unwrap().into_vec().unwrap())).collect()
}

fn json(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn config(folder: &Path) -> ModelConfig {
    let mut config = json(folder.join("config.json"));
    for (field, value) in FIXED {
        let found = config.as_object_mut().unwrap().remove(field).unwrap();
        assert_eq!(found.to_string(), value, "{field}");
    }
    serde_json::from_value(config).unwrap()
}

#[track_caller]
fn close(what: &str, got: impl IntoIterator<Item = f32>, expected: &[f64], tolerance: f64) {
    let got: Vec<f32> = got.into_iter().collect();
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.into_iter().zip(expected).enumerate() {
        assert!((f64::from(got) - expected).abs() <= tolerance, "{what}[{i}]: {got} instead of {expected}");
    }
}

fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let weights = fs::read(folder.join("init_state.safetensors")).unwrap();
    let weights = SafeTensors::deserialize(&weights).unwrap();
    let model = Autoencoder::from_tensors(&weights, config(&folder)).unwrap();

    let bytes: Vec<u8> = npy(folder.join("input_u8.npy"));
    let windows: Vec<&[u8]> = bytes.chunks(model.config().window_size()).collect();
    let pixels = |window: &[u8]| window.iter().map(|byte| f32::from(*byte) / 255.0).collect::<Vec<f32>>();
    let output = windows.iter().flat_map(|window| model.reconstruct(&pixels(window)));
    close("output", output, &npy::<f64>(folder.join("output_f64.npy")), TOLERANCE);
    let codes = windows.iter().flat_map(|window| model.encode(&pixels(window)));
    close("code", codes, &npy::<f64>(folder.join("codes_f64.npy")), TOLERANCE);

    let learned = model.loss_and_gradient(&windows);
    let loss = json(folder.join("loss.json"))["loss"].as_f64().unwrap();
    assert!((learned.loss - loss).abs() <= TOLERANCE, "{} instead of {loss}", learned.loss);
    let gradients = npz(folder.join("grads_f64.npz"));
    assert_eq!(gradients.len(), learned.gradient.shapes().len());
    for (name, _, values) in learned.gradient.tensors() {
        close(name, values.iter().copied(), &gradients[name], GRADIENT_TOLERANCE);
    }
}

#[test]
fn a_gru_without_normalisation_equals_its_statement() {
    check("gru16_no_norm");
}
