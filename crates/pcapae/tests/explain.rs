//! Explanations as a whole: relevance is conserved, gradients are those of the function, and the bytes that matter are found.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod shared;

use std::fs::File;
use std::io::BufReader;

use npyz::NpyFile;
use npyz::npz::NpzArchive;
use pcapae::explain::{
    Baseline, CodeScore, Composite, ErrorRule, Explainer, Explanation, Method, NormRule, ProductRule, Rule, Sampling,
    Target,
};
use pcapae::fragment::Shape;
use pcapae::model::{Autoencoder, Cell, Frames, Head, ModelConfig, Norm, PredictFrames, Side};

/// Bytes that look like nothing in particular.
fn window(config: &ModelConfig, seed: usize) -> Vec<u8> {
    let size = config.window_frames() * config.side.fragment_size();
    (0..size).map(|i| ((i + seed * 7919).wrapping_mul(2_654_435_761) >> 7) as u8).collect()
}

fn explain(model: &Autoencoder, window: &[u8], target: &Target, method: &Method) -> Explanation {
    Explainer::new(model).explain(window, target, method, &()).unwrap()
}

/// Both cells, 1 and 3 frames, lines, prediction, every head, with and without normalisation.
fn configs() -> Vec<ModelConfig> {
    let base = ModelConfig::new(Side::Sixteen);
    let three = Frames::try_from(3).unwrap();
    vec![
        base,
        ModelConfig { frames: three, ..base },
        ModelConfig { cell: Cell::Lstm, ..base },
        ModelConfig { cell: Cell::Lstm, frames: three, ..base },
        ModelConfig { norm: Norm::None, ..base },
        ModelConfig { shape: Shape::Line, head: Head::Sigmoid, ..base },
        ModelConfig { head: Head::Categorical, ..base },
        ModelConfig { predict_frames: PredictFrames::try_from(2).unwrap(), ..base },
    ]
}

fn absorbed(explanation: &Explanation) -> f64 {
    explanation.bias.iter().find(|bias| bias.place == Explanation::ABSORBED).unwrap().relevance
}

fn targets<'a>(config: &ModelConfig) -> Vec<Target<'a>> {
    let mut targets = vec![Target::Score { frame: config.emitted_frames() - 1 }, Target::Code { entry: 17 }];
    if config.head != Head::Categorical {
        targets.push(Target::Brightest);
    }
    targets
}

#[test]
fn relevance_of_bytes_and_biases_add_up_to_the_target() {
    for config in configs() {
        let model = Autoencoder::new(config, 11);
        let window = window(&config, 1);
        for target in targets(&config) {
            for name in Composite::NAMES {
                for product in [ProductRule::SignalTakeAll, ProductRule::Half, ProductRule::Proportional] {
                    let method = Method::Lrp(Composite { product, ..Composite::named(name).unwrap() });
                    let e = explain(&model, &window, &target, &method);
                    let size: f64 = e.relevance.iter().flatten().map(|r| r.abs()).sum();
                    println!(
                        "{:?} {:?} {} frames, {method}, {}: {:.4} = {:.4} bytes + {:.4} biases, of which {:.1e} absorbed; size {size:.3}",
                        config.cell,
                        config.head,
                        e.frames(),
                        e.target,
                        e.target_value,
                        e.of_bytes(),
                        e.of_biases(),
                        absorbed(&e)
                    );
                    let sum = e.of_bytes() + e.of_biases();
                    assert!((sum - e.target_value).abs() < 1e-6 * size.max(1.0), "{config:?} {method} {}", e.target);
                }
            }
        }
    }
}
