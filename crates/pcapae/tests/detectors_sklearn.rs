//! Local outlier factor against numbers of scikit-learn 1.9 where they are at hand (see `golden/README.md` of the shared material), and the
//! distance and covariance detectors against scikit-learn itself, where a Python has it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use npyz::NpyFile;
use npyz::npz::NpzArchive;
use pcapae::detectors::{
    Contamination, Detector, KNearestNeighboursConfig, LocalOutlierFactorConfig, MahalanobisConfig,
    PrincipalComponentsConfig, Samples,
};
use pcapae::numeric::MetricName;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How near scores come, relative to the largest.
const TOLERANCE: f64 = 1e-6;

fn samples(folder: &Path, name: &str) -> Samples {
    let file = BufReader::new(File::open(folder.join(name)).unwrap());
    Samples::of_numbers(NpyFile::new(file).unwrap().into_vec().unwrap(), 64)
}

#[track_caller]
fn close(what: &str, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f64, |largest, value| largest.max(value.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= TOLERANCE * largest, "{what}[{i}]: {got} instead of {expected}");
    }
}

/// Numbers of either precision.
fn array_of(file: NpyFile<impl std::io::Read>) -> Vec<f64> {
    if file.dtype().descr().contains("f4") {
        file.into_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
    } else {
        file.into_vec().unwrap()
    }
}

#[test]
fn outlier_factors_are_those_of_scikit_learn() {
    let Some(folder) = test_needs::shared("reference/golden/ad") else { return };
    let training = samples(&folder, "train_500x64.npy");
    let ten = LocalOutlierFactorConfig { n_neighbors: 10, ..Default::default() };
    let small = Contamination::Share(0.00001);
    for (name, config) in [
        ("lof_blueprint", LocalOutlierFactorConfig { contamination: small, ..Default::default() }),
        ("lof_brute_k10_auto", ten.clone()),
        ("lof_ball_tree_k10_auto", ten),
        ("lof_cosine", LocalOutlierFactorConfig { metric: MetricName::Cosine, ..Default::default() }),
        (
            "lof_k40_p1_c0.1",
            LocalOutlierFactorConfig {
                n_neighbors: 40,
                p: 1.0,
                contamination: Contamination::Share(0.1),
                ..Default::default()
            },
        ),
    ] {
        let fitted = config.fit(&training).unwrap();
        let array = |field: &str| -> Vec<f64> {
            let mut archive = NpzArchive::open(folder.join(format!("{name}.npz"))).unwrap();
            array_of(archive.by_name(field).unwrap().unwrap())
        };
        close(name, &[fitted.offset()], &[-array("offset")[0]]);
        for set in ["train_500x64", "test_200x64"] {
            let scores = fitted.score(&samples(&folder, &format!("{set}.npy"))).unwrap();
            let part = set.split('_').next().unwrap();
            let expected: Vec<f64> = array(&format!("score_samples_{part}")).iter().map(|score| -score).collect();
            close(&format!("{name}, {part}"), &scores, &expected);
        }
    }
}

/// Rows in three clouds, the last of them flat.
fn cloud(rng: &mut ChaCha8Rng, rows: usize, width: usize) -> Vec<f32> {
    let mut all = Vec::with_capacity(rows * width);
    for row in 0..rows {
        let centre = (row % 3) as f32;
        for column in 0..width {
            let spread = if row % 3 == 2 && column % 2 == 0 { 0.0 } else { 1.0 };
            all.push(centre + spread * (rng.random::<f32>() - 0.5));
        }
    }
    all
}

/// What scikit-learn gives of `training` and `new`, rows of 12 numbers.
const SCRIPT: &str = r#"
import sys, json, numpy as np
from sklearn.neighbors import NearestNeighbors, LocalOutlierFactor
from sklearn.covariance import LedoitWolf, EmpiricalCovariance
from sklearn.decomposition import PCA
given = json.load(sys.stdin)
train, new = (np.array(given[name], dtype=np.float32).reshape(-1, 12).astype(np.float64) for name in ("train", "new"))
near = NearestNeighbors(n_neighbors=7).fit(train).kneighbors(new)[0]
residual = lambda pca: ((new - pca.inverse_transform(pca.transform(new))) ** 2).sum(axis=1)
json.dump({
    'KNearestNeighbours {"n_neighbors": 7}': near[:, -1].tolist(),
    'KNearestNeighbours {"n_neighbors": 7, "method": "mean"}': near.mean(axis=1).tolist(),
    'KNearestNeighbours {"n_neighbors": 7, "method": "median"}': np.median(near, axis=1).tolist(),
    'KNearestNeighbours {"n_neighbors": 3, "p": 3}': NearestNeighbors(n_neighbors=3, p=3).fit(train).kneighbors(new)[0][:, -1].tolist(),
    'LocalOutlierFactor {"n_neighbors": 15, "metric": "l1"}': (-LocalOutlierFactor(n_neighbors=15, metric="l1", novelty=True).fit(train).score_samples(new)).tolist(),
    'Mahalanobis {}': LedoitWolf().fit(train).mahalanobis(new).tolist(),
    'Mahalanobis {"covariance": "empirical"}': EmpiricalCovariance().fit(train).mahalanobis(new).tolist(),
    'PrincipalComponents {"n_components": 5}': residual(PCA(5, svd_solver="full").fit(train)).tolist(),
    'PrincipalComponents {"n_components": 0.9}': residual(PCA(0.9, svd_solver="full").fit(train)).tolist(),
}, sys.stdout)
"#;

#[test]
fn scores_are_those_of_scikit_learn_on_fresh_data() {
    let Some(python) = test_needs::python(&["sklearn"]) else { return };
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (train, new) = (cloud(&mut rng, 700, 12), cloud(&mut rng, 90, 12));
    let given = serde_json::json!({ "train": train, "new": new }).to_string();
    let output = python.run(SCRIPT, [""; 0], &given);
    let expected: std::collections::BTreeMap<String, Vec<f64>> = serde_json::from_str(&output).unwrap();
    assert_eq!(expected.len(), 9);
    let (train, new) = (Samples::of_numbers(train, 12), Samples::of_numbers(new, 12));
    for (detector, expected) in expected {
        close(&detector, &fitted(&detector, &train).score(&new).unwrap(), &expected);
    }
}

/// The detector of a name and its parameters as JSON.
fn fitted(detector: &str, train: &Samples) -> Box<dyn Detector> {
    fn read<T: serde::de::DeserializeOwned>(parameters: &str) -> T {
        serde_json::from_str(parameters).unwrap()
    }
    let (name, parameters) = detector.split_once(' ').unwrap();
    match name {
        "KNearestNeighbours" => Box::new(read::<KNearestNeighboursConfig>(parameters).fit(train).unwrap()),
        "LocalOutlierFactor" => Box::new(read::<LocalOutlierFactorConfig>(parameters).fit(train).unwrap()),
        "Mahalanobis" => Box::new(read::<MahalanobisConfig>(parameters).fit(train).unwrap()),
        "PrincipalComponents" => Box::new(read::<PrincipalComponentsConfig>(parameters).fit(train).unwrap()),
        other => panic!("no detector {other}"),
    }
}
