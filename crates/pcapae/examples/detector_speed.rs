//! Times a detector on rows of numbers: `detector_speed DETECTOR TRAIN.f32 NEW.f32 WIDTH` prints seconds to fit and seconds to score.
//!
//! Files hold little-endian floats, row after row. `benches/against_scikit_learn.py` calls it.

#![allow(clippy::print_stdout, reason = "this is an example")]

use std::error::Error;
use std::time::Instant;

use pcapae::detectors::{
    Detector, IsolationForestConfig, KNearestNeighboursConfig, LocalOutlierFactorConfig, MahalanobisConfig,
    OneClassSvmConfig, PrincipalComponentsConfig, Samples,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [detector, train, new, width] = arguments.as_slice() else {
        return Err("expected DETECTOR TRAIN.f32 NEW.f32 WIDTH".into());
    };
    let width = width.parse()?;
    let (train, new) = (read(train, width)?, read(new, width)?);
    let begin = Instant::now();
    let fitted = fit(detector, &train)?;
    let fitting = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let sum: f64 = fitted.score(&new)?.iter().sum();
    println!("{fitting} {} {sum}", begin.elapsed().as_secs_f64());
    Ok(())
}

fn fit(detector: &str, samples: &Samples) -> Result<Box<dyn Detector>, Box<dyn Error>> {
    Ok(match detector {
        "IsolationForest" => Box::new(IsolationForestConfig::default().fit(samples)?),
        "LocalOutlierFactor" => Box::new(LocalOutlierFactorConfig::default().fit(samples)?),
        "OneClassSVM" => Box::new(OneClassSvmConfig::default().fit(samples)?),
        "KNearestNeighbours" => Box::new(KNearestNeighboursConfig::default().fit(samples)?),
        "Mahalanobis" => Box::new(MahalanobisConfig::default().fit(samples)?),
        "PrincipalComponents" => Box::new(PrincipalComponentsConfig::default().fit(samples)?),
        other => return Err(format!("no detector {other}").into()),
    })
}

fn read(path: &str, width: usize) -> Result<Samples, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let numbers = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(Samples::of_numbers(numbers, width))
}
