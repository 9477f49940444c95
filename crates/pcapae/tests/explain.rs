//! Explanations as a whole: relevance is conserved, gradients are those of the function, and the bytes that matter are found.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::fs::File;
use std::io::BufReader;
use std::sync::OnceLock;

use npyz::NpyFile;
use npyz::npz::NpzArchive;
use pcapae::dataset::Windows;
use pcapae::detectors::{IsolationForestConfig, KernelName, OneClassSvmConfig, Samples};
use pcapae::engine::Engine;
use pcapae::explain::{
    Baseline, CodeScore, Composite, ErrorRule, Explainer, Explanation, Method, NormRule, ProductRule, Rule, Sampling,
    Target,
};
use pcapae::fragment::Shape;
use pcapae::model::{Autoencoder, Cell, Frames, Head, ModelConfig, Norm, PredictFrames, Side};
use pcapae::train::{TrainConfig, fit};
use rand::SeedableRng;
use rand::seq::SliceRandom;

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

fn targets<'a>(config: &ModelConfig) -> Vec<Target<'a>> {
    let mut targets = vec![Target::Score { frame: config.emitted_frames() - 1 }, Target::Code { entry: 17 }];
    if config.head != Head::Categorical {
        targets.push(Target::Brightest);
    }
    targets
}

/// Few combinations of everything, so that the test is quick.
fn composites() -> Vec<Composite> {
    let epsilon_plus = Composite::named("epsilon-plus").unwrap();
    let mut composites: Vec<Composite> = Composite::NAMES.iter().map(|name| Composite::named(name).unwrap()).collect();
    composites.push(Composite { product: ProductRule::Half, ..epsilon_plus.clone() });
    composites.push(Composite { product: ProductRule::Proportional, ..epsilon_plus.clone() });
    composites.push(Composite { norm: NormRule::Pass, ..epsilon_plus.clone() });
    composites.push(Composite { error: ErrorRule::Reconstruction, ..epsilon_plus });
    composites.push(Composite::of_rule(Rule::WSquare));
    composites
}

#[test]
fn relevance_of_bytes_and_biases_add_up_to_the_target() {
    for (number, config) in configs().into_iter().enumerate() {
        let model = Autoencoder::new(config, 11);
        let window = window(&config, number);
        for target in targets(&config) {
            // All of them for the score, which goes through the whole network.
            let score = matches!(target, Target::Score { .. });
            for composite in composites().into_iter().step_by(if score { 1 } else { 5 }) {
                let e = explain(&model, &window, &target, &Method::Lrp(composite.clone()));
                let place = format!("{config:?}, {composite}, {}", e.target);
                assert_eq!(e.relevance.len(), config.window_frames(), "{place}");
                let error = (e.of_bytes() + e.of_biases() - e.target_value).abs();
                assert!(error < 1e-9 * size(&e).max(1.0), "{place}: {error}");
                // And hardly anything got lost on the way: these rules conserve.
                let lost = e.bias.iter().find(|bias| bias.place == Explanation::ABSORBED).unwrap().relevance.abs();
                assert!(lost < 1e-3 * e.target_value.abs(), "{place}: {lost} of {}", e.target_value);
            }
        }
    }
}

fn size(explanation: &Explanation) -> f64 {
    explanation.relevance.iter().flatten().map(|r| r.abs()).sum()
}

#[test]
fn the_model_is_as_it_was() {
    let config = ModelConfig::new(Side::Sixteen);
    let model = Autoencoder::new(config, 11);
    let before = model.parameters().clone();
    explain(&model, &window(&config, 1), &Target::Score { frame: 0 }, &Method::Lrp(Composite::default()));
    assert_eq!(*model.parameters(), before);
}

#[test]
fn the_value_is_that_of_the_engine() {
    for config in configs() {
        let model = Autoencoder::new(config, 4);
        let window = window(&config, 2);
        let frame = config.emitted_frames() - 1;
        let e = explain(&model, &window, &Target::Score { frame }, &Method::Residual);
        let residual = Engine::new(&model).residual(&[&window]);
        let size = config.side.fragment_size();
        let score: f32 = residual[frame * size..].iter().sum::<f32>() / size as f32;
        assert!((e.target_value - f64::from(score)).abs() < 1e-5 * e.target_value, "{config:?}");
        assert!((e.of_bytes() - e.target_value).abs() < 1e-12);
        for (pixel, r) in e.relevance.last().unwrap().iter().enumerate() {
            let expected = f64::from(residual[frame * size + pixel]) / size as f64;
            assert!((r - expected).abs() < 1e-6, "{config:?} {pixel}");
        }
    }
}

/// The gradient along the bytes against differences of the function: f(x + 1/255) − f(x − 1/255) over 2/255.
#[test]
fn the_gradient_is_that_of_the_function() {
    for config in configs() {
        // With a categorical head the byte is a class as well, and jumps.
        if config.head == Head::Categorical {
            continue;
        }
        let model = Autoencoder::new(config, 4);
        let window = window(&config, 2);
        for target in [Target::Score { frame: 0 }, Target::Code { entry: 3 }] {
            let gradient = explain(&model, &window, &target, &Method::Gradient).relevance.concat();
            let scale = gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
            for place in (0..window.len()).step_by(97).filter(|place| (1..255).contains(&window[*place])) {
                let at = |byte: u8| {
                    let mut window = window.clone();
                    window[place] = byte;
                    explain(&model, &window, &target, &Method::Gradient).target_value
                };
                let slope = (at(window[place] + 1) - at(window[place] - 1)) / 2.0 * 255.0;
                let error = (slope - gradient[place]).abs();
                assert!(error < 0.02 * scale, "{config:?} {place}: {slope} {}", gradient[place]);
            }
        }
    }
}

#[test]
fn integrated_gradients_add_up_to_the_difference_to_the_baseline() {
    for config in configs().into_iter().take(4) {
        let model = Autoencoder::new(config, 4);
        let window = window(&config, 2);
        let method = Method::IntegratedGradients { steps: 64, baseline: Baseline::Reconstruction };
        let e = explain(&model, &window, &Target::Score { frame: 0 }, &method);
        let error = (e.of_bytes() + e.of_biases() - e.target_value).abs();
        assert!(error < 0.02 * (e.target_value - e.of_biases()).abs(), "{config:?}: {error} {e:?}");
    }
}

#[test]
fn occlusion_is_the_fall_where_a_byte_is_replaced() {
    let config = ModelConfig { frames: Frames::try_from(2).unwrap(), ..ModelConfig::new(Side::Sixteen) };
    let model = Autoencoder::new(config, 4);
    let window = window(&config, 2);
    let target = Target::Score { frame: 1 };
    let e = explain(&model, &window, &target, &Method::Occlusion { baseline: Baseline::Zeros });
    let engine = Engine::new(&model);
    let score = |window: &[u8]| engine.residual(&[window])[256..].iter().map(|r| f64::from(*r)).sum::<f64>() / 256.0;
    for place in [0, 100, 255, 256, 400, 511] {
        let mut replaced = window.clone();
        replaced[place] = 0;
        let expected = score(&window) - score(&replaced);
        assert!((e.relevance[place / 256][place % 256] - expected).abs() < 1e-7, "{place}");
    }
}

fn npy(path: std::path::PathBuf) -> Vec<f32> {
    NpyFile::new(BufReader::new(File::open(path).unwrap())).unwrap().into_vec().unwrap()
}

/// What the original's LRP gave: its rules were never called, so that it is the plain gradient of the brightest output.
#[test]
fn the_gradient_of_the_brightest_pixel_is_what_the_original_gave() {
    let Some(folder) = test_needs::shared("reference/golden/lrp") else { return };
    let mut model = Autoencoder::new(ModelConfig::new(Side::ThirtyTwo), 0);
    let mut weights = NpzArchive::open(folder.join("model_state.npz")).unwrap();
    for tensor in model.parameters().shapes().to_vec() {
        let values: Vec<f32> = weights.by_name(&tensor.name).unwrap().unwrap().into_vec().unwrap();
        model.values_mut()[tensor.range].copy_from_slice(&values);
    }
    let window: Vec<u8> = npy(folder.join("input.npy")).iter().map(|x| (x * 255.0).round() as u8).collect();
    let e = explain(&model, &window, &Target::Brightest, &Method::Gradient);
    let expected = npy(folder.join("relevance_as_is.npy"));
    assert!((e.target_value - 0.997_070_6).abs() < 1e-5);
    for (place, (got, expected)) in e.relevance[0].iter().zip(&expected).enumerate() {
        assert!((got - f64::from(*expected)).abs() < 1e-5, "{place}: {got} {expected}");
    }
    // And what it should have given is conserved.
    let lrp = explain(&model, &window, &Target::Brightest, &Method::Lrp(Composite::default()));
    assert!((lrp.of_bytes() + lrp.of_biases() - lrp.target_value).abs() < 1e-6 * size(&lrp).max(1.0));
    assert!(size(&lrp) < 10.0, "{}", size(&lrp));
}

/// A polling plant: headers that stay, a counter, an address of a register out of four, values that move slowly; then zeros.
fn fragment(i: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; 256];
    for (at, byte) in bytes[..54].iter_mut().enumerate() {
        *byte = (at * 37 + 11) as u8;
    }
    bytes[18..20].copy_from_slice(&(i as u16).to_be_bytes());
    bytes[54..62].copy_from_slice(&[0, (i % 251) as u8, 0, 0, 0, 40, 1, 3]);
    bytes[62] = 40 + 30 * (i % 4) as u8;
    for (at, byte) in bytes[63..100].iter_mut().enumerate() {
        *byte = (128.0 + 40.0 * ((i as f64) * 0.05 + at as f64).sin()) as u8;
    }
    bytes
}

/// The default model, trained on that plant once for all tests.
fn plant_model() -> &'static Autoencoder {
    static MODEL: OnceLock<Autoencoder> = OnceLock::new();
    MODEL.get_or_init(|| trained(ModelConfig::new(Side::Sixteen)))
}

/// A small model that was trained on that plant.
fn trained(config: ModelConfig) -> Autoencoder {
    let fragments: Vec<u8> = (0..600).flat_map(fragment).collect();
    let mut model = Autoencoder::new(config, 1);
    let training = TrainConfig { epochs: 60, batch: 16, learning_rate: 3e-3, ..TrainConfig::default() };
    let frames = config.window_frames();
    let windows = Windows::over_run(&fragments, 256, frames);
    let validation = windows.only(|window| window.start >= 500);
    let windows = windows.only(|window| window.end <= 500);
    fit(&mut model, &windows, &validation, &training, &()).unwrap();
    model
}

/// The area under the target's value while bytes are replaced in an order, four at a time, relative to where it began.
fn flipping(value: &dyn Fn(&[u8]) -> f64, window: &[u8], replacement: &[u8], order: &[usize]) -> f64 {
    let mut window = window.to_vec();
    let (start, mut area) = (value(&window), 0.0);
    for places in order.chunks(4).take(16) {
        places.iter().for_each(|place| window[*place] = replacement[*place]);
        area += value(&window) / start / 16.0;
    }
    area
}

fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
    order
}

/// Bach et al. 2015; Samek et al. 2017: replace the most relevant bytes first, and the value must fall faster than in any order by chance.
fn check_flipping(model: &Autoencoder) {
    let config = model.config();
    let engine = Engine::new(model);
    let frame = config.emitted_frames() - 1;
    let window: Vec<u8> = (300..300 + config.window_frames()).flat_map(fragment).collect();
    let mut attacked = window.clone();
    let last = attacked.len() - 256;
    for (at, byte) in [(61, 90), (62, 200), (63, 255), (64, 255), (70, 0), (71, 0), (150, 77)] {
        attacked[last + at] = byte;
    }
    let mean = |residual: &[f32]| residual[frame * 256..].iter().map(|r| f64::from(*r)).sum::<f64>() / 256.0;
    let score = |window: &[u8]| mean(&engine.residual(&[window]));
    let target = Target::Score { frame };
    let chance: Vec<f64> =
        (0..20).map(|seed| flipping(&score, &attacked, &window, &shuffled(window.len(), seed))).collect();
    let best = chance.iter().copied().fold(f64::INFINITY, f64::min);
    for composite in Composite::NAMES {
        let e = explain(model, &attacked, &target, &Method::Lrp(Composite::named(composite).unwrap()));
        let area = flipping(&score, &attacked, &window, &e.ranking());
        assert!(area < best, "{composite}: {area} {best}");
    }
    // The same for the highest number of the code, where no byte has a part of its own, with zeros.
    let codes = engine.encode(&[&attacked]);
    let entry = (0..64).max_by(|a, b| codes[0][*a].total_cmp(&codes[0][*b])).unwrap();
    let value = |window: &[u8]| f64::from(engine.encode(&[window])[0][entry]);
    let zeros = vec![0; window.len()];
    let chance: Vec<f64> =
        (0..20).map(|seed| flipping(&value, &attacked, &zeros, &shuffled(window.len(), seed))).collect();
    let mean = chance.iter().sum::<f64>() / 20.0;
    let e = explain(model, &attacked, &Target::Code { entry }, &Method::Lrp(Composite::default()));
    let relevance = e.relevance.concat();
    let mut order: Vec<usize> = (0..window.len()).collect();
    order.sort_by(|a, b| relevance[*b].total_cmp(&relevance[*a]));
    let area = flipping(&value, &attacked, &zeros, &order);
    assert!(area < mean - 0.02, "the code: {area} {mean}");
}

#[test]
fn replacing_relevant_bytes_first_beats_every_order_by_chance() {
    let base = ModelConfig::new(Side::Sixteen);
    check_flipping(plant_model());
    check_flipping(&trained(ModelConfig { cell: Cell::Lstm, frames: Frames::try_from(3).unwrap(), ..base }));
}

#[test]
fn a_planted_byte_is_among_the_most_relevant() {
    let model = plant_model();
    for (at, byte) in [(7, 255), (30, 255), (40, 0), (61, 90), (62, 255), (80, 255), (120, 200), (200, 90)] {
        let mut window = fragment(321);
        window[at] = byte;
        for name in Composite::NAMES {
            let method = Method::Lrp(Composite::named(name).unwrap());
            let e = explain(model, &window, &Target::Score { frame: 0 }, &method);
            let rank = e.ranking().iter().position(|place| *place == at).unwrap();
            assert!(rank < 8, "byte {at}, {name}: place {rank} of 256");
        }
    }
}

/// Adebayo et al., *Sanity Checks for Saliency Maps*, 2018: an explanation that does not depend on the weights explains nothing.
#[test]
fn other_weights_give_another_map() {
    let config = ModelConfig::new(Side::Sixteen);
    let (model, random) = (plant_model(), &Autoencoder::new(config, 99));
    let window = fragment(321);
    for composite in Composite::NAMES {
        for target in [Target::Score { frame: 0 }, Target::Code { entry: 5 }] {
            let method = Method::Lrp(Composite::named(composite).unwrap());
            let [a, b] = [model, random].map(|model| explain(model, &window, &target, &method).relevance.concat());
            let similarity = rank_correlation(&a, &b);
            assert!(similarity < 0.9, "{composite}, {}: {similarity}", target.name());
        }
    }
}

/// Spearman's, of the bytes in front, which are not zero.
fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |values: &[f64]| {
        let mut order: Vec<usize> = (0..100).collect();
        order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
        let mut ranks = vec![0.0; 100];
        order.iter().enumerate().for_each(|(rank, place)| ranks[*place] = rank as f64 - 49.5);
        ranks
    };
    let (a, b) = (ranks(a), ranks(b));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

#[test]
fn a_detectors_score_is_conserved_down_to_the_bytes() {
    let model = plant_model();
    let fragments: Vec<Vec<u8>> = (0..200).map(fragment).collect();
    let windows: Vec<&[u8]> = fragments.iter().map(Vec::as_slice).collect();
    let codes = Engine::new(model).encode(&windows);
    let samples = Samples::of_numbers(codes.as_flattened().to_vec(), 64);
    let reference = codes[0];
    let sampling = Sampling { reference: &reference, orders: 8, seed: 1 };
    let mut window = fragment(321);
    window[62] = 255;
    for kernel in [KernelName::Linear, KernelName::Rbf, KernelName::Poly] {
        let svm = OneClassSvmConfig { kernel, ..OneClassSvmConfig::default() }.fit(&samples).unwrap();
        let target = Target::Detector(CodeScore::Detector(&svm, sampling));
        let e = explain(model, &window, &target, &Method::Lrp(Composite::default()));
        let error = (e.of_bytes() + e.of_biases() - e.target_value).abs();
        assert!(error < 1e-3 * e.target_value.abs(), "{kernel:?}: {error} of {}", e.target_value);
        explain(model, &window, &target, &Method::Occlusion { baseline: Baseline::Zeros });
    }
    let near = pcapae::detectors::KNearestNeighboursConfig::default().fit(&samples).unwrap();
    let far = pcapae::detectors::MahalanobisConfig::default().fit(&samples).unwrap();
    for detector in [&near as &dyn pcapae::detectors::Detector, &far] {
        let target = Target::Detector(CodeScore::Detector(detector, sampling));
        let e = explain(model, &window, &target, &Method::Lrp(Composite::default()));
        let error = (e.of_bytes() + e.of_biases() - e.target_value).abs();
        assert!(error < 1e-3 * e.target_value.abs(), "{error} of {}", e.target_value);
        assert_eq!(e.target, "detector");
    }
    let forest = IsolationForestConfig::default().fit(&samples).unwrap();
    let target = Target::Detector(CodeScore::Detector(&forest, sampling));
    let e = explain(model, &window, &target, &Method::Lrp(Composite::default()));
    assert!((e.of_bytes() + e.of_biases() - e.target_value).abs() < 1e-3 * e.target_value.abs());
    assert_eq!(e.target, "detector, sampled");
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let config = ModelConfig::new(Side::Sixteen);
    let model = Autoencoder::new(config, 1);
    let window = window(&config, 1);
    let refused = |window: &[u8], target: &Target, method: &Method| {
        Explainer::new(&model).explain(window, target, method, &()).unwrap_err().to_string()
    };
    let lrp = Method::Lrp(Composite::default());
    assert_eq!(refused(&window[1..], &Target::Score { frame: 0 }, &lrp), "bytes in a window 255: expected 256");
    assert_eq!(refused(&window, &Target::Score { frame: 1 }, &lrp), "frame 1: expected 0 to 0");
    assert_eq!(refused(&window, &Target::Code { entry: 64 }, &lrp), "entry of the code 64: expected 0 to 63");
    refused(&window, &Target::Code { entry: 0 }, &Method::Residual);
    refused(&window, &Target::Code { entry: 0 }, &Method::Lrp(Composite::of_rule(Rule::Pass)));
    let categorical = Autoencoder::new(ModelConfig { head: Head::Categorical, ..config }, 1);
    assert!(Explainer::new(&categorical).explain(&window, &Target::Brightest, &lrp, &()).is_err());
}
