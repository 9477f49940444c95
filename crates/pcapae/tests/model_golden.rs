//! The network against numbers of the original pcapAE under PyTorch (see `golden/README.md`).
//!
//! `golden/gru16_f1` is part of the repository. The other configurations, and a whole training run, are compared where the
//! full set of golden files is at hand; elsewhere those tests say so and pass.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod shared;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use npyz::npz::NpzArchive;
use npyz::{Deserialize, NpyFile};
use pcapae::model::{Autoencoder, Frames, Norm, Parameters};
use pcapae::train::AdamW;

/// The original's outputs and losses in single precision come this close.
const TOLERANCE: f32 = 1e-5;

/// Its parameters after ten steps of AdamW.
const PARAMETER_TOLERANCE: f32 = 1e-4;

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn full_set(below: &str) -> Option<PathBuf> {
    shared::folder(&format!("reference/golden/{below}"))
}

fn npy<T: Deserialize>(path: PathBuf) -> Vec<T> {
    let file = BufReader::new(File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())));
    NpyFile::new(file).unwrap().into_vec().unwrap()
}

fn npz<T: Deserialize>(path: PathBuf) -> HashMap<String, Vec<T>> {
    let mut archive = NpzArchive::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    let read = |name: String| {
        let values = archive.by_name(&name).unwrap().unwrap().into_vec().unwrap();
        (name, values)
    };
    names.into_iter().map(read).collect()
}

#[track_caller]
fn close(what: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= tolerance, "{what}[{i}]: {got} instead of {expected}");
    }
}

/// Every tensor but the biases in front of a normalisation, whose true gradient is zero: an optimiser turns rounding
/// noise there into moves of up to 5e-3.
#[track_caller]
fn close_parameters(norm: Norm, got: &Parameters, expected: &HashMap<String, Vec<f32>>, tolerance: f32) {
    assert_eq!(got.shapes().len(), expected.len());
    for (name, _, values) in got.tensors() {
        let idle = norm == Norm::Group && (name.ends_with("gates.0.bias") || name.ends_with("can.0.bias"));
        if !idle {
            close(name, values, &expected[name], tolerance);
        }
    }
}

fn load(folder: &Path, frames: usize) -> Autoencoder {
    let bytes = fs::read(folder.join("init_state.safetensors")).unwrap();
    Autoencoder::from_safetensors(&bytes, Some(Frames::try_from(frames).unwrap())).unwrap()
}

fn check(folder: &Path, frames: usize, losses: [f64; 3]) {
    let mut model = load(folder, frames);
    let (norm, size) = (model.config().norm, model.config().window_size());

    let input: Vec<f32> = npy(folder.join("input.npy"));
    let output: Vec<f32> = input.chunks(size).flat_map(|window| model.reconstruct(window)).collect();
    close("output", &output, &npy::<f32>(folder.join("output.npy")), TOLERANCE);
    let codes: Vec<f32> = input.chunks(size).flat_map(|window| model.encode(window)).collect();
    close("code", &codes, &npy::<f32>(folder.join("encode_per_sample.npy")), TOLERANCE);

    let bytes: Vec<u8> = npy(folder.join("input_u8.npy"));
    let windows: Vec<&[u8]> = bytes.chunks(size).collect();
    let gradient = model.loss_and_gradient(&windows).gradient;
    let exact = npz::<f64>(folder.join("grads_step1_f64.npz"));
    let exact = exact.into_iter().map(|(name, g)| (name, g.iter().map(|g| *g as f32).collect())).collect();
    close_parameters(Norm::None, &gradient, &exact, 1e-6);

    let mut adamw = AdamW::new(model.parameters());
    for step in 1..=10 {
        let learned = model.loss_and_gradient(&windows);
        if let Some(i) = [1, 2, 10].iter().position(|s| *s == step) {
            assert!((learned.loss - losses[i]).abs() < 1e-5, "step {step}: {} {}", learned.loss, losses[i]);
        }
        model.update(|values| adamw.step(values, learned.gradient.values(), 1e-3));
        let file = folder.join(format!("params_adamw_step{step}.npz"));
        if file.exists() {
            close_parameters(norm, model.parameters(), &npz(file), PARAMETER_TOLERANCE);
        }
    }
}

fn check_full(name: &str, frames: usize) {
    let Some(folder) = full_set("model") else { return };
    let index: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
    let losses = [0, 1, 9].map(|step| index[name]["adamw_losses"][step].as_f64().unwrap());
    check(&folder.join(name), frames, losses);
}

#[test]
fn the_committed_numbers_of_side_16_are_met() {
    check(&committed().join("gru16_f1"), 1, [0.070_158_943_5, 0.063_519_142_6, 0.041_659_481_8]);
}

#[test]
fn side_16_equals_the_original() {
    check_full("gru16_f1", 1);
}

#[test]
fn side_16_with_three_frames_equals_the_original() {
    check_full("gru16_f3", 3);
}

#[test]
fn side_32_equals_the_original() {
    check_full("gru32_f1", 1);
}

#[test]
fn side_32_without_normalisation_equals_the_original() {
    check_full("gru32_f1_nobn", 1);
}

#[test]
fn the_training_curve_of_the_original_is_followed_over_three_epochs() {
    let Some(folder) = full_set("train") else { return };
    let run = folder.join("gru_step");
    let train: Vec<u8> = npy(folder.join("train_u8_256x32x32.npy"));
    let validation: Vec<u8> = npy(folder.join("vali_u8_128x32x32.npy"));
    let train: Vec<&[u8]> = train.chunks(1024).collect();
    let validation: Vec<&[u8]> = validation.chunks(1024).collect();
    let curve: serde_json::Value = serde_json::from_slice(&fs::read(run.join("curve.json")).unwrap()).unwrap();
    let mut model = load(&run, 1);
    let mut adamw = AdamW::new(model.parameters());
    for epoch in curve["log"].as_array().unwrap() {
        for (batch, expected) in train.chunks(32).zip(epoch["train_batch_mse"].as_array().unwrap()) {
            let learned = model.loss_and_gradient(batch);
            assert!((learned.loss - expected.as_f64().unwrap()).abs() < 1e-5);
            model.update(|values| adamw.step(values, learned.gradient.values(), 1e-3));
        }
        let expected = epoch["vali_mean_mse"].as_f64().unwrap();
        assert!((model.loss(&validation) - expected).abs() < 1e-5);
    }
    close_parameters(Norm::Group, model.parameters(), &npz(run.join("final_state.npz")), PARAMETER_TOLERANCE);
}

/// `cargo test --release -p pcapae --test model_golden -- --ignored --nocapture`: windows per second with all threads.
#[test]
#[ignore = "a measurement, not a test"]
fn speed() {
    use pcapae::model::{ModelConfig, Side};
    use std::time::Instant;

    for (side, frames, count) in [(Side::Sixteen, 1, 4096), (Side::ThirtyTwo, 1, 1024), (Side::ThirtyTwo, 3, 512)] {
        let config = ModelConfig { frames: Frames::try_from(frames).unwrap(), ..ModelConfig::new(side) };
        let mut model = Autoencoder::new(config, 1);
        let bytes: Vec<u8> = (0..count * config.window_size()).map(|i| ((i * i) >> 5) as u8).collect();
        let windows: Vec<&[u8]> = bytes.chunks(config.window_size()).collect();
        let per_second = |start: Instant| windows.len() as f64 / start.elapsed().as_secs_f64();
        for round in 0..3 {
            let start = Instant::now();
            model.loss(&windows);
            let forward = per_second(start);
            let start = Instant::now();
            model.encode_all(&windows);
            let encode = per_second(start);
            let (start, mut adamw) = (Instant::now(), AdamW::new(model.parameters()));
            for batch in windows.chunks(128) {
                let learned = model.loss_and_gradient(batch);
                model.update(|values| adamw.step(values, learned.gradient.values(), 1e-3));
            }
            let train = per_second(start);
            println!(
                "{side:?} × {frames}, {round}: forward {forward:.0}, encode {encode:.0}, train {train:.0} windows/s"
            );
        }
    }
}
