//! The network against its statement in PyTorch, `benches/torch/network.py` (see `golden/README.md`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use npyz::npz::NpzArchive;
use npyz::{Deserialize, NpyFile};
use pcapae::engine::Engine;
use pcapae::model::{Autoencoder, ModelConfig};
use safetensors::SafeTensors;
use serde_json::Value;

/// The definition computes in double precision, as the statement does, on pixels that were rounded to single precision.
const EXACT_TOLERANCE: f64 = 1e-6;

/// Outputs, codes and the loss of the engine.
const TOLERANCE: f64 = 1e-5;

/// Gradients of the engine.
const GRADIENT_TOLERANCE: f64 = 1e-6;

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

#[track_caller]
fn close(what: &str, got: impl IntoIterator<Item = f64>, expected: &[f64], tolerance: f64) {
    let got: Vec<f64> = got.into_iter().collect();
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.into_iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= tolerance, "{what}[{i}]: {got} instead of {expected}");
    }
}

fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let weights = fs::read(folder.join("init_state.safetensors")).unwrap();
    let weights = SafeTensors::deserialize(&weights).unwrap();
    let config: ModelConfig = serde_json::from_value(json(folder.join("config.json"))).unwrap();
    let model = Autoencoder::from_tensors(&weights, config).unwrap();
    let bytes: Vec<u8> = npy(folder.join("input_u8.npy"));
    let windows: Vec<&[u8]> = bytes.chunks(config.window_frames() * config.side.fragment_size()).collect();
    let (outputs, codes) = (npy::<f64>(folder.join("output_f64.npy")), npy::<f64>(folder.join("codes_f64.npy")));
    let loss = json(folder.join("loss.json"))["loss"].as_f64().unwrap();
    let gradients = npz(folder.join("grads_f64.npz"));
    let tensors = model.parameters().shapes();
    assert_eq!(gradients.len(), tensors.len());

    let exact = model.network().reference(&windows);
    close("exact output", exact.outputs.concat(), &outputs, EXACT_TOLERANCE);
    close("exact code", exact.codes.concat(), &codes, EXACT_TOLERANCE);
    close("exact loss", [exact.loss], &[loss], EXACT_TOLERANCE);
    for tensor in tensors {
        let gradient = exact.gradient[tensor.range.clone()].iter().copied();
        close(&tensor.name, gradient, &gradients[&tensor.name], EXACT_TOLERANCE);
    }

    let mut engine = Engine::new(&model);
    close("output", engine.reconstruct(&windows).into_iter().map(f64::from), &outputs, TOLERANCE);
    close("code", engine.encode(&windows).concat().into_iter().map(f64::from), &codes, TOLERANCE);
    let mut gradient = model.parameters().zeros_like();
    close("loss", [engine.loss_and_gradient(&windows, None, &mut gradient)], &[loss], TOLERANCE);
    for (name, _, values) in gradient.tensors() {
        close(name, values.iter().map(|value| f64::from(*value)), &gradients[name], GRADIENT_TOLERANCE);
    }
}

#[test]
fn an_lstm_of_two_frames_equals_its_statement() {
    check("lstm16_f2");
}

#[test]
fn a_one_dimensional_gru_equals_its_statement() {
    check("gru16_line");
}

#[test]
fn a_gru_that_predicts_equals_its_statement() {
    check("gru16_predict");
}

#[test]
fn a_gru_with_a_sigmoid_and_cross_entropy_equals_its_statement() {
    check("gru16_sigmoid");
}

#[test]
fn a_gru_without_normalisation_equals_its_statement() {
    check("gru16_no_norm");
}

#[test]
fn an_lstm_without_normalisation_equals_its_statement() {
    check("lstm16_no_norm");
}
