//! How well do explanations find the bytes that a score depends on? Pixel flipping (Bach et al. 2015, Samek et al. 2017) for every method.
//!
//!     cargo run --release --example explanation_quality -- MODEL.safetensors DATASET.h5 [FIRST]
//!
//! Of 60 fragments from FIRST on, evenly spread, the bytes are replaced by what the model reconstructs, the most relevant first, two at
//! a time; printed is the mean score over the first 32 steps as a share of the first score (lower is better), the share of the bytes
//! among the relevance, and Σ|relevance| of the bytes over the score.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::expect_used, reason = "this is a program for the terminal")]

use pcapae::dataset::Dataset;
use pcapae::engine::Engine;
use pcapae::explain::{Baseline, Composite, ErrorRule, Explainer, Method, Target};
use rand::SeedableRng;
use rand::seq::SliceRandom;

const FRAGMENTS: usize = 60;
const STEPS: usize = 32;
const TOGETHER: usize = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, dataset, rest @ ..] = arguments.as_slice() else { return println!("MODEL DATASET [FIRST]") };
    let model = pcapae::model::open(model.as_ref(), None).unwrap();
    let dataset = Dataset::open(dataset.as_ref()).unwrap();
    let first: usize = rest.first().map_or(0, |first| first.parse().unwrap());
    let frames = model.config().window_frames();
    let step = ((dataset.len() - first - frames) / FRAGMENTS).max(1);
    let windows: Vec<Vec<u8>> = (0..FRAGMENTS)
        .map(|i| {
            let mut bytes = Vec::new();
            dataset.read(first + i * step..first + i * step + frames, &mut bytes).unwrap();
            bytes
        })
        .collect();
    let mut methods: Vec<(String, Method)> = Vec::new();
    for name in Composite::NAMES {
        let composite = Composite::named(name).unwrap();
        let only = Composite { error: ErrorRule::Reconstruction, ..composite.clone() };
        methods.push((name.to_owned(), Method::Lrp(composite)));
        methods.push((format!("{name}, reconstruction"), Method::Lrp(only)));
    }
    for name in ["gradient", "gradient-x-input", "residual"] {
        methods.push((name.to_owned(), Method::named(name).unwrap()));
    }
    methods.push((
        "integrated-gradients".into(),
        Method::IntegratedGradients { steps: 16, baseline: Baseline::Reconstruction },
    ));
    methods.push(("occlusion".into(), Method::named("occlusion").unwrap()));

    let engine = Engine::new(&model);
    let frame = model.config().emitted_frames() - 1;
    let size = model.config().side.fragment_size();
    let score = |window: &[u8]| {
        engine.residual(&[window])[frame * size..].iter().map(|r| f64::from(*r)).sum::<f64>() / size as f64
    };
    let flip = |window: &[u8], order: &[usize]| {
        let reconstruction = engine.reconstruct(&[window]);
        let (mut now, start, mut area) = (window.to_vec(), score(window), 0.0);
        let offset = window.len() - reconstruction.len();
        for places in order.chunks(TOGETHER).take(STEPS) {
            for place in places.iter().filter(|place| **place >= offset) {
                now[*place] = (reconstruction[place - offset].clamp(0.0, 1.0) * 255.0).round() as u8;
            }
            area += score(&now) / start / STEPS as f64;
        }
        area
    };
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut by_chance = 0.0;
    for window in &windows {
        let mut order: Vec<usize> = (0..window.len()).collect();
        order.shuffle(&mut rng);
        by_chance += flip(window, &order) / windows.len() as f64;
    }
    println!("{:60} {by_chance:.3}", "by chance");
    for (name, method) in &methods {
        let (mut area, mut bytes, mut amount) = (0.0, 0.0, 0.0);
        for window in &windows {
            let e = Explainer::new(&model).explain(window, &Target::Score { frame }, method, &()).unwrap();
            area += flip(window, &e.ranking()) / windows.len() as f64;
            bytes += e.of_bytes() / e.target_value / windows.len() as f64;
            amount +=
                e.relevance.iter().flatten().map(|r| r.abs()).sum::<f64>() / e.target_value / windows.len() as f64;
        }
        println!("{name:60} {area:.3} {bytes:8.3} {amount:8.3}");
    }
}
