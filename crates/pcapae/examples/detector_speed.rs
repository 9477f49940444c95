//! How fast detectors are: `cargo run --release -p pcapae --example detector_speed FILE`, with 20,000 rows of 64 little-endian floats.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "this is an example")]

use std::time::Instant;

use pcapae::detect::{Detector, IsolationForestConfig, OneClassSvmConfig, Samples};

fn main() {
    let bytes = std::fs::read(std::env::args().nth(1).unwrap()).unwrap();
    let numbers = bytes.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
    let samples = Samples::of_numbers(numbers, 64);
    for _ in 0..3 {
        let start = Instant::now();
        let forest = IsolationForestConfig::default().fit(&samples).unwrap();
        let fit = start.elapsed();
        forest.score(&samples).unwrap();
        println!("isolation forest: fit {fit:?}, score {:?}", start.elapsed() - fit);
    }
    let start = Instant::now();
    let svm = OneClassSvmConfig::default().fit(&samples).unwrap();
    let fit = start.elapsed();
    let scores = svm.score(&samples).unwrap();
    println!(
        "one-class SVM: fit {fit:?}, score {:?}, offset {}, first {}",
        start.elapsed() - fit,
        svm.offset(),
        scores[0]
    );
}
