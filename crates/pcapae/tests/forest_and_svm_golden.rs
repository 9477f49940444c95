//! Isolation forest and one-class support vector machine against numbers of scikit-learn 1.9 (see `golden/README.md` of the shared
//! material), where they are at hand, and against scikit-learn itself, where a Python has it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "this is test code")]

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use npyz::npz::NpzArchive;
use npyz::{Deserialize, NpyFile};
use pcapae::detectors::{
    Contamination, Detector, Gamma, GammaRule, IsolationForest, IsolationForestConfig, KernelName, MaxFeatures,
    MaxSamples, OneClassSvm, OneClassSvmConfig, Samples,
};
use pcapae::named_arrays::NamedArrays;

/// How near scores come, relative to the largest.
const TOLERANCE: f64 = 1e-6;

fn samples(folder: &Path, name: &str) -> Samples {
    let file = BufReader::new(File::open(folder.join(name)).unwrap());
    Samples::of_numbers(NpyFile::new(file).unwrap().into_vec().unwrap(), 64)
}

fn array<T: Deserialize>(path: &Path, name: &str) -> Vec<T> {
    let mut archive = NpzArchive::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    archive.by_name(name).unwrap().unwrap().into_vec().unwrap()
}

#[track_caller]
fn close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f64, |largest, value| largest.max(value.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= tolerance * largest, "{what}[{i}]: {got} instead of {expected}");
    }
}

/// Our scores and offset against minus those of scikit-learn.
#[track_caller]
fn compare(name: &str, folder: &Path, detector: &dyn Detector, offset: f64, tolerance: f64) {
    let path = folder.join(format!("{name}.npz"));
    for set in ["train_500x64", "test_200x64"] {
        let scores: Vec<f64> = detector.score(&samples(folder, &format!("{set}.npy"))).unwrap();
        let part = set.split('_').next().unwrap();
        let expected: Vec<f64> = array(&path, &format!("score_samples_{part}"));
        let expected: Vec<f64> = expected.iter().map(|score| -score).collect();
        close(&format!("{name}, {part}"), &scores, &expected, tolerance);
        let verdicts: Vec<i8> = array(&path, &format!("predict_{part}"));
        for (i, (score, verdict)) in scores.iter().zip(verdicts).enumerate() {
            // At the threshold itself, rounding decides.
            let at_threshold = (score - offset).abs() < 10.0 * tolerance * offset.abs();
            assert!(at_threshold || (*score > offset) == (verdict == -1), "{name}, {part}, {i}");
        }
    }
    close(name, &[offset], &[-array::<f64>(&path, "offset")[0]], tolerance);
}

/// A forest of the trees that scikit-learn grew.
fn golden_forest(folder: &Path, name: &str, max_samples: usize, offset: f64) -> IsolationForest {
    let path = folder.join(format!("{name}_trees.npz"));
    let mut numbers = NamedArrays::default();
    let all = |field: &str| -> Vec<Vec<f64>> {
        let whole = |i: usize| array::<i32>(&path, &format!("{i}_{field}")).into_iter().map(f64::from).collect();
        (0..100).map(whole).collect()
    };
    let nodes = all("n").iter().map(|samples| samples.len() as f64).collect();
    for (field, ours) in [("left", "left"), ("right", "right"), ("feature", "feature"), ("n", "samples")] {
        numbers.put(ours, all(field).concat());
    }
    let threshold = (0..100).flat_map(|i| array::<f64>(&path, &format!("{i}_threshold"))).collect();
    numbers.put("threshold", threshold);
    numbers.put("nodes", nodes);
    numbers.put("max_samples", vec![max_samples as f64]);
    numbers.put("offset", vec![offset]);
    IsolationForest::from_arrays(&IsolationForestConfig::default(), 64, &numbers).unwrap()
}

#[test]
fn the_same_trees_give_scikit_learns_scores() {
    let Some(folder) = test_needs::shared("reference/golden/ad") else { return };
    compare("if_auto", &folder, &golden_forest(&folder, "if_auto", 256, 0.5), 0.5, TOLERANCE);
    let offset = 0.514_631_037_309_845_3;
    compare("if_boot_half", &folder, &golden_forest(&folder, "if_boot_half", 250, offset), offset, TOLERANCE);
}

#[test]
fn support_vectors_are_those_of_scikit_learn() {
    let Some(folder) = test_needs::shared("reference/golden/ad") else { return };
    let training = samples(&folder, "train_500x64.npy");
    let auto = Gamma::Rule(GammaRule::Auto);
    let tight = OneClassSvmConfig { nu: 0.2, tol: 1e-5, ..Default::default() };
    for (name, config) in [
        ("svm_blueprint", OneClassSvmConfig { degree: 8, ..Default::default() }),
        ("svm_rbf_nu0.1_tol1e-6", OneClassSvmConfig { nu: 0.1, tol: 1e-6, ..Default::default() }),
        ("svm_linear_nu0.2", OneClassSvmConfig { kernel: KernelName::Linear, ..tight.clone() }),
        ("svm_sigmoid_nu0.2", OneClassSvmConfig { kernel: KernelName::Sigmoid, coef0: 0.1, gamma: auto, ..tight }),
    ] {
        let svm = config.fit(&training).unwrap();
        compare(name, &folder, &svm, svm.offset(), TOLERANCE);
        let expected: Vec<f64> = array(&folder.join(format!("{name}.npz")), "dual_coef");
        let alpha = &svm.numbers().get("alpha", &[None]).unwrap().values.clone();
        close(&format!("{name}, alpha"), alpha, &expected, TOLERANCE);
        let read = OneClassSvm::from_arrays(&config, 64, &svm.numbers()).unwrap();
        assert_eq!(read, svm);
    }
}

/// Ranks, ties sharing their mean, and their correlation.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |values: &[f64]| -> Vec<f64> {
        let rank = |value: &f64| {
            let below = values.iter().filter(|other| *other < value).count();
            let same = values.iter().filter(|other| *other == value).count();
            below as f64 + (same as f64 - 1.0) / 2.0
        };
        values.iter().map(rank).collect()
    };
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    product(&a, &b) / (product(&a, &a) * product(&b, &b)).sqrt()
}

const FORESTS: &str = "
import sys, json, numpy as np
from sklearn.ensemble import IsolationForest
train, test, bootstrap = json.load(sys.stdin)
train, test = (np.array(x, dtype='f4').reshape(-1, 64) for x in (train, test))
more = dict(bootstrap=True, max_samples=0.5, max_features=0.5) if bootstrap else {}
scores = [IsolationForest(random_state=seed, **more).fit(train).score_samples(test) for seed in range(12)]
json.dump([(-s).tolist() for s in scores], sys.stdout)
";

#[test]
fn our_forests_rank_as_scikit_learns_do_among_themselves() {
    let Some(folder) = test_needs::shared("reference/golden/ad") else { return };
    let Some(python) = test_needs::python(&["sklearn"]) else { return };
    let [training, test] = ["train_500x64.npy", "test_200x64.npy"].map(|name| samples(&folder, name));
    for bootstrap in [false, true] {
        let input = serde_json::json!([*training.numbers(), *test.numbers(), bootstrap]).to_string();
        let theirs: Vec<Vec<f64>> = serde_json::from_str(&python.run(FORESTS, [""; 0], &input)).unwrap();
        let fit = |seed| {
            let base = IsolationForestConfig { random_state: Some(seed), ..Default::default() };
            let config = match bootstrap {
                false => base,
                true => IsolationForestConfig {
                    bootstrap,
                    max_samples: MaxSamples::Share(0.5),
                    max_features: MaxFeatures::Share(0.5),
                    contamination: Contamination::Share(0.05),
                    ..base
                },
            };
            config.fit(&training).unwrap().score(&test).unwrap()
        };
        let ours: Vec<Vec<f64>> = (0..12).map(fit).collect();
        let pairs = |a: &[Vec<f64>], b: &[Vec<f64>], same: bool| {
            let all = a.iter().enumerate().flat_map(|(i, a)| b.iter().enumerate().map(move |(j, b)| (i, a, j, b)));
            let values: Vec<f64> =
                all.filter(|(i, _, j, _)| !same || i < j).map(|(_, a, _, b)| spearman(a, b)).collect();
            values.iter().sum::<f64>() / values.len() as f64
        };
        let (own, theirs, across) =
            (pairs(&ours, &ours, true), pairs(&theirs, &theirs, true), pairs(&ours, &theirs, false));
        eprintln!("Spearman among ours {own:.4}, among scikit-learn's {theirs:.4}, across {across:.4}");
        assert!(across > theirs - 0.01, "{across} across, {theirs} among scikit-learn's");
        assert!((own - theirs).abs() < 0.02, "{own} among ours, {theirs} among scikit-learn's");
    }
}
