//! `pcapae experiment`: a plan to tables and pictures, from a clean cache and again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use support::{pcapae, sentence};

/// A plan on the demo's captures that takes seconds.
const PLAN: &str = "
name: small
captures:
  train: { files: [normal.pcap.zst], to: 0.0125 }
  validation: { files: [normal.pcap.zst], from: 0.0125, to: 0.015 }
  fit: { files: [normal.pcap.zst], to: 0.0125 }
  predict: { files: [normal.pcap.zst], from: 0.0125, to: 0.025 }
  check: { files: [normal.pcap.zst], from: 0.025, to: 0.0375 }
  eval: { files: [attack.pcap.zst], labels: attack.labels.csv }
modes: [packet, flow]
training: { epochs: 1 }
residual: [mean, { top: { k: 8, standardised: true } }]
reducers: [{ PCA: { n_components: 16 } }]
codes: [{ IsolationForest: { n_estimators: 20 } }]
bytes: [{ PrincipalComponents: {} }, { PositionHistogram: {} }]
seeds: [1, 2]
";

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testbed/captures")
}

fn files(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.path(), entry.metadata().unwrap().modified().unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_plan_is_run_once_and_then_taken_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, out) = (folder.path().join("plan.yaml"), folder.path().join("out"));
    fs::write(&plan, PLAN).unwrap();
    let run = || {
        let output = pcapae(&["experiment"])
            .arg(&plan)
            .arg("--captures")
            .arg(captures())
            .arg("-o")
            .arg(&out)
            .arg("--json")
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let first = run();
    let rows = first["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2 * 6);
    let row = |cutting: &str, scorer: &str| {
        let is = |row: &&serde_json::Value| {
            row["cutting"].as_str().unwrap().starts_with(cutting) && row["scorer"].as_str().unwrap().starts_with(scorer)
        };
        rows.iter().find(is).unwrap_or_else(|| panic!("no {scorer} in {cutting} mode"))
    };
    let histogram = row("packet", "PositionHistogram");
    let measures = &histogram["measures"];
    assert!(measures["average_precision"]["mean"].as_f64().unwrap() > measures["base_rate"]["mean"].as_f64().unwrap());
    assert_eq!(measures["average_precision"]["deviation"], 0.0, "a histogram has no seed");
    assert!(measures["check_false_positive_rate"]["mean"].is_f64());
    assert!(row("packet", "residual mean")["measures"]["average_precision"]["deviation"].as_f64().unwrap() > 0.0);
    let reduced = row("packet", "IsolationForest (n_estimators 20) on codes, PCA (n_components 16) 1");
    assert!(reduced["measures"]["average_precision"]["mean"].is_f64(), "{reduced}");
    let refused = row("flow", "PositionHistogram");
    assert!(refused["refused"].is_string() && refused["measures"]["recall"]["mean"].is_null(), "{refused}");

    for file in ["runs.csv", "table.csv", "table.md", "summary.png", "confusion.png", "runs/001-scores.png"] {
        assert!(out.join(file).metadata().unwrap().len() > 100, "{file}");
    }
    assert_eq!(fs::read_to_string(out.join("runs.csv")).unwrap().lines().count(), 1 + 2 * 2 * 6);
    let made = files(&out.join("cache"));
    assert_eq!(run(), first);
    assert_eq!(files(&out.join("cache")), made, "made again");
}

/// Without a model nothing is trained.
#[test]
fn reducers_need_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let (place, out) = (folder.path().join("plan.yaml"), folder.path().join("out"));
    let plan = PLAN.replace("residual: [mean, { top: { k: 8, standardised: true } }]", "cells: []");
    fs::write(&place, plan.replace("[packet, flow]", "[packet]").replace("[1, 2]", "[1]")).unwrap();
    let run =
        pcapae(&["experiment"]).arg(&place).arg("--captures").arg(captures()).arg("-o").arg(&out).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let stages: Vec<String> = files(&out.join("cache"))
        .iter()
        .map(|(path, _)| path.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned())
        .collect();
    assert!(stages.iter().any(|stage| stage == "reducer") && stages.iter().all(|stage| stage != "model"), "{stages:?}");
}

#[track_caller]
fn refused(plan: &str, reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (place, out) = (folder.path().join("plan.yaml"), folder.path().join("out"));
    fs::write(&place, plan).unwrap();
    let output =
        pcapae(&["experiment"]).arg(&place).arg("--captures").arg(captures()).arg("-o").arg(&out).output().unwrap();
    sentence(&output);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(reason), "{error}");
    assert!(!out.exists(), "something was begun");
}

#[test]
fn what_is_wrong_with_a_plan_is_said_before_any_work() {
    refused(&PLAN.replace("attack.pcap.zst", "missing.pcap"), "missing.pcap");
    refused(&PLAN.replace("seeds: [1, 2]", "seeds: []"), "`seeds` is empty");
    refused(&PLAN.replace("modes:", "modi:"), "modi");
    refused(&PLAN.replace(", labels: attack.labels.csv", ""), "eval: `labels` is missing");
    refused(&PLAN.replace("to: 0.015", "to: 0.005"), "validation: `from` is 0.0125 and `to` is 0.005");
    refused(&PLAN.replace("n_estimators: 20", "n_estimators: 0"), "n_estimators");
    refused(&PLAN.replace("n_components: 16", "n_components: 0"), "PCA: n_components 0");
    refused(&PLAN.replace("modes:", "cells: []\nmodes:"), "expected a model for `residual`");
    refused(
        &PLAN.replace("codes: [{ IsolationForest: { n_estimators: 20 } }]", ""),
        "a detector for the codes of `reducers`",
    );
    refused("[]", "cannot be read as a plan");
}
