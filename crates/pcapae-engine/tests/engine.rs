//! The engine against the reference implementation, with every set of instructions that this processor has.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use pcapae_engine::reference::Evaluation;
use pcapae_engine::{Cell, Engine, Frames, Head, Instructions, ModelConfig, Network, Norm, PredictFrames, Shape, Side};

/// Bytes with flat stretches, as packets have them.
fn windows(config: &ModelConfig, count: usize) -> Vec<Vec<u8>> {
    let byte = |i: usize| if i % 97 < 30 { 0 } else { (i.wrapping_mul(2_654_435_761) >> 7) as u8 };
    let size = config.window_frames() * config.side.fragment_size();
    (0..count).map(|w| (0..size).map(|i| byte(i + w * 7919)).collect()).collect()
}

#[track_caller]
fn close(what: &str, got: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(*got) - expected).abs();
        assert!(error <= tolerance, "{what}[{i}]: {got} instead of {expected}");
    }
}

#[track_caller]
fn check_with(instructions: Instructions, model: &Network, windows: &[&[u8]], exact: &Evaluation, what: &str) {
    let mut engine = Engine::with_instructions(model, instructions);
    for (code, exact) in engine.encode(windows).iter().zip(&exact.codes) {
        close(&format!("{what}: code"), code, exact, 1e-5);
    }
    close(&format!("{what}: output"), &engine.reconstruct(windows), &exact.outputs.concat(), 1e-5);
    let residuals = match model.config().head {
        Head::Sigmoid => squared_errors(model.config(), windows, exact),
        Head::Linear | Head::Categorical => exact.losses.concat(),
    };
    close(&format!("{what}: residual"), &engine.residual(windows), &residuals, 1e-5);
    assert!((engine.loss(windows) - exact.loss).abs() < 1e-6, "{what}: loss");
    let mut gradient = model.parameters().zeros_like();
    let loss = engine.loss_and_gradient(windows, None, &mut gradient);
    assert!((loss - exact.loss).abs() < 1e-6, "{what}: training loss");
    let largest = exact.gradient.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
    for tensor in model.parameters().shapes() {
        let range = tensor.range.clone();
        let what = format!("{what}: {}", tensor.name);
        close(&what, &gradient.values()[range.clone()], &exact.gradient[range], 3e-5 * largest);
    }
}

fn squared_errors(config: &ModelConfig, windows: &[&[u8]], exact: &Evaluation) -> Vec<f64> {
    let size = config.emitted_frames() * config.side.fragment_size();
    let targets = windows.iter().flat_map(|window| &window[window.len() - size..]);
    exact.outputs.concat().iter().zip(targets).map(|(y, x)| (y - f64::from(*x) / 255.0).powi(2)).collect()
}

#[track_caller]
fn check(config: ModelConfig, counts: &[usize]) {
    let model = Network::new(config, 7);
    let most = *counts.iter().max().unwrap();
    let bytes = windows(&config, most);
    for &count in counts {
        let windows: Vec<&[u8]> = bytes[..count].iter().map(Vec::as_slice).collect();
        let exact = model.reference(&windows);
        for instructions in Instructions::available() {
            let what = format!("{instructions}, {count} windows, {config:?}");
            check_with(instructions, &model, &windows, &exact, &what);
        }
    }
}

fn base() -> ModelConfig {
    ModelConfig::new(Side::Sixteen)
}

fn frames(count: usize) -> Frames {
    Frames::try_from(count).unwrap()
}

#[test]
fn a_gru_is_as_the_reference_for_batches_of_all_sizes() {
    check(base(), &[1, 2, 3, 5, 9, 17, 33]);
}

#[test]
fn a_gru_over_several_frames_is_as_the_reference() {
    check(ModelConfig { frames: frames(3), ..base() }, &[1, 4]);
}

#[test]
fn an_lstm_is_as_the_reference() {
    check(ModelConfig { cell: Cell::Lstm, ..base() }, &[1, 3]);
    check(ModelConfig { cell: Cell::Lstm, frames: frames(3), ..base() }, &[2]);
}

#[test]
fn networks_without_normalisation_are_as_the_reference() {
    check(ModelConfig { norm: Norm::None, ..base() }, &[2]);
    check(ModelConfig { norm: Norm::None, cell: Cell::Lstm, frames: frames(2), ..base() }, &[2]);
}

#[test]
fn lines_are_as_the_reference() {
    check(ModelConfig { shape: Shape::Line, ..base() }, &[1, 3]);
    check(ModelConfig { shape: Shape::Line, cell: Cell::Lstm, frames: frames(2), ..base() }, &[2]);
}

#[test]
fn predictions_are_as_the_reference() {
    let ahead = |count: usize| PredictFrames::try_from(count).unwrap();
    check(ModelConfig { predict_frames: ahead(1), ..base() }, &[2]);
    check(ModelConfig { predict_frames: ahead(3), frames: frames(2), cell: Cell::Lstm, ..base() }, &[2]);
}

#[test]
fn a_sigmoid_head_is_as_the_reference() {
    check(ModelConfig { head: Head::Sigmoid, ..base() }, &[1, 3]);
    check(ModelConfig { head: Head::Categorical, ..base() }, &[1, 3, 17]);
    check(ModelConfig { head: Head::Categorical, shape: Shape::Line, frames: frames(2), ..base() }, &[2]);
    check(ModelConfig { head: Head::Categorical, predict_frames: PredictFrames::try_from(1).unwrap(), ..base() }, &[5]);
}

#[test]
fn larger_sides_are_as_the_reference() {
    check(ModelConfig::new(Side::ThirtyTwo), &[2]);
    check(ModelConfig { cell: Cell::Lstm, ..ModelConfig::new(Side::SixtyFour) }, &[1]);
}
