//! Measures the engine: windows per second in forward, encode and a training step, as one JSON line per case.
//!
//! `cargo run --release --example engine_speed -- [CELL] [SECONDS] [INSTRUCTIONS]`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::time::Instant;

use pcapae::engine::{Engine, Instructions};
use pcapae::model::{Autoencoder, Cell, Frames, ModelConfig, Side};
use pcapae::train::{Optimizer, OptimizerState, Pace};

fn median(seconds: f64, mut work: impl FnMut()) -> f64 {
    work();
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.len() < 3 || start.elapsed().as_secs_f64() < seconds {
        let one = Instant::now();
        work();
        times.push(one.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let cell = if arguments.get(1).is_some_and(|cell| cell == "lstm") { Cell::Lstm } else { Cell::Gru };
    let seconds: f64 = arguments.get(2).map_or(1.0, |text| text.parse().unwrap());
    let wanted = arguments.get(3).cloned().unwrap_or(Instructions::best().to_string());
    let instructions = Instructions::available().into_iter().find(|i| i.to_string() == wanted).unwrap();
    for frames in [1, 3] {
        let config =
            ModelConfig { cell, frames: Frames::try_from(frames).unwrap(), ..ModelConfig::new(Side::ThirtyTwo) };
        for batch in [1, 2, 32, 128, 512] {
            let mut model = Autoencoder::new(config, 1);
            let mut engine = Engine::with_instructions(&model, instructions);
            let bytes: Vec<u8> = (0..batch * config.window_size()).map(|i| ((i * i) >> 5) as u8).collect();
            let windows: Vec<&[u8]> = bytes.chunks(config.window_size()).collect();
            let encode = median(seconds, || drop(engine.encode(&windows)));
            let forward = median(seconds, || drop(engine.reconstruct(&windows)));
            let (mut adamw, mut gradient) = (
                OptimizerState::new(Optimizer::AdamW, model.parameters().values().len()),
                model.parameters().zeros_like(),
            );
            let train = median(seconds, || {
                engine.loss_and_gradient(&windows, None, &mut gradient);
                adamw.step(model.values_mut(), gradient.values(), Pace { rate: 1e-5, beta1: 0.9 });
                engine.load(model.parameters());
            });
            let [forward, encode, train] = [forward, encode, train].map(|time| batch as f64 / time);
            println!(
                "{{\"frames\":{frames},\"batch\":{batch},\"forward\":{forward:.0},\"encode\":{encode:.0},\"train\":{train:.0}}}"
            );
        }
    }
}
