//! Metrics and thresholds beside those of scikit-learn and numpy, on fresh random scores with ties.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::hash::{BuildHasher, RandomState};

use pcapae::calibration::ThresholdRule;
use pcapae::label::Label;
use pcapae::metrics::{Confusion, Ranking, TimeAwareConfig, time_aware};
use pcapae::scores::{ScoreRow, ScoreTable};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// Reads scores and a threshold; prints the metrics of scikit-learn as JSON, and eTaP and eTaR of faster_etapr.
const METRICS: &str = r#"
import csv, json, sys
import numpy as np
from sklearn import metrics
# A package below faster_etapr imports this, which scikit-learn 1.9 has no more; eTaP and eTaR do not use it.
metrics._ranking._binary_clf_curve = None
from faster_etapr import evaluate_from_preds
rows = list(csv.DictReader(open(sys.argv[1])))
x = np.array([float(row["score"]) for row in rows])
y = np.array([row["label"] == "1" for row in rows]).astype(int)
flagged = (x > float(sys.argv[2])).astype(int)
precision, recall, _ = metrics.precision_recall_curve(y, x)
fpr, tpr, _ = metrics.roc_curve(y, x, drop_intermediate=False)
eta = evaluate_from_preds(y_hat=flagged, y=y, theta_p=0.5, theta_r=0.1)
result = dict(
    average_precision=metrics.average_precision_score(y, x), roc_auc=metrics.roc_auc_score(y, x),
    precision=metrics.precision_score(y, flagged), recall=metrics.recall_score(y, flagged),
    f1=metrics.f1_score(y, flagged), matthews=metrics.matthews_corrcoef(y, flagged),
    confusion=metrics.confusion_matrix(y, flagged).ravel().tolist(),
    precision_recall=np.stack([recall, precision], axis=1)[:-1][::-1].tolist(),
    roc=np.stack([fpr, tpr], axis=1).tolist(),
    quantile=np.quantile(x, 0.97), sigma=x.mean() + 1.5 * x.std(),
    eta=[eta["eta/precision"], eta["eta/recall"]])
print(json.dumps(result))
"#;

/// Random scores, many of them equal; anomalies in runs, with scores a little higher.
fn random_scores(rng: &mut impl Rng) -> ScoreTable {
    let rows = rng.random_range(50..2000);
    let distinct = [5.0, 50.0, 1e6][rng.random_range(0..3usize)];
    let mut anomalous = false;
    let row = |window| {
        if rng.random_bool(0.1) {
            anomalous = !anomalous;
        }
        let score = rng.random_range(0.0..1.0) + if anomalous { 0.3 } else { 0.0 };
        let label = if anomalous { Label::Anomalous } else { Label::Normal };
        ScoreRow {
            window,
            first_packet: None,
            last_packet: None,
            time_ns: None,
            score: f64::round(score * distinct) / distinct,
            label,
        }
    };
    (0..rows).map(row).collect()
}

/// Runs of rows for which something holds.
fn runs(rows: impl Iterator<Item = bool>) -> Vec<std::ops::Range<usize>> {
    let rows: Vec<bool> = rows.collect();
    let mut start = 0;
    let runs = rows.chunk_by(|a, b| a == b).filter_map(|run| {
        start += run.len();
        run[0].then_some(start - run.len()..start)
    });
    runs.collect()
}

#[test]
fn metrics_are_those_of_scikit_learn() {
    let Some(python) = test_needs::python(&["sklearn", "faster_etapr"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scores.csv");
    for _ in 0..3 {
        let seed = RandomState::new().hash_one(0);
        let table = random_scores(&mut ChaCha8Rng::seed_from_u64(seed));
        let threshold = table.scores()[table.len() / 3];
        std::fs::write(&file, table.to_csv().unwrap()).unwrap();
        let expected = python.run(METRICS, [file.as_os_str(), threshold.to_string().as_ref()], "");
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let close = |name: &str, got: f64| {
            let expected = expected[name].as_f64().unwrap();
            assert!((got - expected).abs() < 1e-9, "seed {seed}: {name} is {got} instead of {expected}");
        };
        let ranking = Ranking::of(table.rows().map(|row| (row.score, row.label)));
        let mut confusion = Confusion::default();
        table.rows().for_each(|row| confusion.add(row.label, row.score > threshold));
        close("average_precision", ranking.average_precision().unwrap());
        close("roc_auc", ranking.roc_auc().unwrap());
        // Where these are undefined scikit-learn warns and gives 0.
        close("precision", confusion.precision().unwrap_or(0.0));
        close("recall", confusion.recall().unwrap());
        close("f1", confusion.f1().unwrap());
        close("matthews", confusion.matthews().unwrap_or(0.0));
        let counts =
            [confusion.true_negatives, confusion.false_positives, confusion.false_negatives, confusion.true_positives];
        assert_eq!(expected["confusion"], serde_json::json!(counts));
        for (name, curve) in [("precision_recall", ranking.precision_recall_curve()), ("roc", ranking.roc_curve())] {
            let theirs = expected[name].as_array().unwrap();
            // scikit-learn's curve of precision and recall ends where everything is found.
            assert!(theirs.len() <= curve.len(), "seed {seed}: {name}");
            for (point, got) in theirs.iter().zip(curve) {
                let (x, y) = (point[0].as_f64().unwrap(), point[1].as_f64().unwrap());
                assert!((got.0 - x).abs() < 1e-9 && (got.1 - y).abs() < 1e-9, "seed {seed}: {name}, {got:?} {point}");
            }
        }
        let threshold_of = |rule: &str| rule.parse::<ThresholdRule>().unwrap().threshold(table.scores()).unwrap();
        close("quantile", threshold_of("quantile:0.97"));
        close("sigma", threshold_of("sigma:1.5"));
        let anomalies = runs(table.rows().map(|row| row.label == Label::Anomalous));
        let alerts = runs(table.rows().map(|row| row.score > threshold));
        let eta = time_aware(&anomalies, &alerts, &TimeAwareConfig::default());
        for (got, expected) in [eta.precision, eta.recall].into_iter().zip(expected["eta"].as_array().unwrap()) {
            let (got, expected) = (got.unwrap_or(0.0), expected.as_f64().unwrap());
            assert!((got - expected).abs() < 1e-9, "seed {seed}: {got} instead of {expected}");
        }
    }
}
