//! `pcapae evaluate` as a user runs it.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use support::{pcapae, sentence, stderr, stdout};

const HEADER: &str = "window,first_packet,last_packet,time_ns,score,label\n";

/// Attacks are packets 1001 to 1100 and 2001 to 2100 of 3000.
fn is_attack(packet: usize) -> bool {
    (1001..=1100).contains(&packet) || (2001..=2100).contains(&packet)
}

/// Numbers from 0 to 1 without any order to them: splitmix64.
fn noise(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as f64 / u64::MAX as f64
}

/// Scores of one packet a row, a second apart.
fn scores(folder: &Path, name: &str, rows: impl Iterator<Item = (f64, i8)>) -> PathBuf {
    let lines: String = rows
        .enumerate()
        .map(|(at, (score, label))| {
            let (packet, time) = (at + 1, at as u64 * 1_000_000_000);
            let label = if label == 0 { String::new() } else { label.to_string() };
            format!("{at},{packet},{packet},{time},{score},{label}\n")
        })
        .collect();
    let path = folder.join(name);
    fs::write(&path, format!("{HEADER}{lines}")).unwrap();
    path
}

struct Tables {
    folder: tempfile::TempDir,
    perfect: PathBuf,
    random: PathBuf,
    benign: PathBuf,
    more_benign: PathBuf,
}

fn tables() -> Tables {
    let folder = tempfile::tempdir().unwrap();
    let label = |packet| if is_attack(packet) { 1 } else { -1 };
    let normal = |seed: u64| 0.5 * noise(seed);
    let perfect = (1..=3000).map(|packet| (normal(packet as u64) + f64::from(label(packet) + 1), label(packet)));
    let perfect = scores(folder.path(), "perfect.csv", perfect);
    let random = (1..=3000).map(|packet| (noise(packet as u64 + 10_000), label(packet)));
    let random = scores(folder.path(), "random.csv", random);
    let benign = scores(folder.path(), "benign.csv", (0..1500).map(|i| (normal(i + 50_000), -1)));
    let more_benign = scores(folder.path(), "more_benign.csv", (0..2000).map(|i| (normal(i + 70_000), 0)));
    Tables { folder, perfect, random, benign, more_benign }
}

impl Tables {
    fn evaluate(&self, scores: &Path, further: &[&str]) -> Output {
        pcapae(&["evaluate"]).arg(scores).arg("--calibration").arg(&self.benign).args(further).output().unwrap()
    }

    fn json(&self, scores: &Path, further: &[&str]) -> Value {
        let run = self.evaluate(scores, &[further, &["--json"]].concat());
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        serde_json::from_str(&stdout(&run)).unwrap()
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[test]
fn a_perfect_detector_scores_1_through_the_whole_chain() {
    let tables = tables();
    let check = tables.more_benign.to_str().unwrap();
    // The highest of 1500 normal scores is just below 0.5, and perfect scores of attacks are above 2.
    let found = tables.json(&tables.perfect, &["--threshold", "value:1", "--check", check, "--vus-pr=10"]);
    for unit in ["rows", "packets"] {
        for measure in ["precision", "recall", "f1", "matthews", "average_precision", "roc_auc"] {
            assert_eq!(found[unit][measure], 1.0, "{unit} {measure}: {found}");
        }
        assert_eq!((&found[unit]["true_positives"], &found[unit]["false_positives"]), (&200.into(), &0.into()));
        assert_eq!(found[unit]["base_rate"], 200.0 / 3000.0);
    }
    assert_eq!((&found["events"]["found"], &found["events"]["missed"]), (&2.into(), &0.into()));
    assert_eq!((&found["time_aware"]["precision"], &found["time_aware"]["recall"]), (&1.0.into(), &1.0.into()));
    assert_eq!(found["attacks"][1]["first_packet"], 2001);
    assert_eq!(found["attacks"][1]["seconds_to_detect"], 0.0);
    assert!(found["volume"]["value"].as_f64().unwrap() > 0.98, "{found}");
    assert_eq!(found["false_alarms"]["check"]["rows"], 2000);

    let opposite =
        scores(tables.folder.path(), "opposite.csv", (1..=3000).map(|p| (0.4, if is_attack(p) { -1 } else { 1 })));
    let found = tables.json(&opposite, &["--threshold", "value:0.5"]);
    assert!(found["rows"]["precision"].is_null(), "{found}");
    assert_eq!(found["rows"]["recall"], 0.0);
}

#[test]
fn a_random_detector_is_worth_the_base_rate() {
    let found = tables().json(&tables().random, &[]);
    let number = |measure: &str| found["rows"][measure].as_f64().unwrap();
    assert!((number("average_precision") - number("base_rate")).abs() < 0.02, "{found}");
    assert!((number("roc_auc") - 0.5).abs() < 0.05, "{found}");
    assert!(number("matthews").abs() < 0.06, "{found}");
}

#[test]
fn the_achieved_rate_stands_beside_the_wanted_one() {
    let tables = tables();
    let check = tables.more_benign.to_str().unwrap();
    let found = tables.json(&tables.perfect, &["--threshold", "conformal:0.02", "--check", check]);
    let rates = &found["false_alarms"];
    assert_eq!(rates["wanted"], 0.02);
    let check = rates["check"]["flagged"].as_f64().unwrap() / 2000.0;
    assert!((0.01..0.03).contains(&check), "{rates}");
    let run = tables.evaluate(&tables.perfect, &["--threshold", "quantile:0.99"]);
    let text = stdout(&run);
    assert!(text.contains("1.000 %  wanted") && text.contains("of the normal rows evaluated"), "{text}");
    assert!(!text.contains('\x1b'), "colours in a pipe");
    let few = tables.evaluate(&tables.perfect, &["--threshold", "conformal:0.0001"]);
    assert!(stderr(&few).contains("1500 calibration scores are too few"), "{}", stderr(&few));
}

#[test]
fn the_folder_holds_numbers_lists_and_pictures() {
    let tables = tables();
    let folder = tables.place("evaluation");
    let output = ["--threshold", "quantile:0.99", "-o", folder.to_str().unwrap()];
    let run = tables.evaluate(&tables.perfect, &output);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let numbers: Value = serde_json::from_str(&read("evaluation.json")).unwrap();
    let packets = |name: &str| -> Vec<usize> {
        let text = read(name);
        assert!(text.starts_with(HEADER), "{text}");
        text.lines().skip(1).map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect()
    };
    assert_eq!(packets("true_positives.csv"), (1..=3000).filter(|packet| is_attack(*packet)).collect::<Vec<_>>());
    let false_positives = packets("false_positives.csv");
    assert_eq!(false_positives.len(), numbers["packets"]["false_positives"]);
    assert!(!false_positives.is_empty() && !false_positives.iter().any(|packet| is_attack(*packet)));
    assert!(packets("misses.csv").is_empty());
    for name in ["scores.png", "precision_recall.png"] {
        assert!(fs::read(folder.join(name)).unwrap().starts_with(b"\x89PNG"), "{name}");
    }
    let again = tables.evaluate(&tables.perfect, &output);
    assert_eq!(again.status.code(), Some(1));
    sentence(&again);
    assert_eq!(tables.evaluate(&tables.perfect, &[&output[..], &["--force"]].concat()).status.code(), Some(0));
}

#[test]
fn a_ground_truth_labels_tables_without_labels_and_names_attacks() {
    let tables = tables();
    let unlabelled = scores(tables.folder.path(), "unlabelled.csv", (1..=4).map(|i| (f64::from(i), 0)));
    let labels = tables.place("labels.csv");
    fs::write(&labels, "-1\n-1\n1,scan\n1,flood\n-1\n").unwrap();
    let found = tables.json(&unlabelled, &["-g", labels.to_str().unwrap(), "--threshold", "value:3"]);
    assert_eq!(found["attacks"][0]["name"], "scan");
    assert_eq!((&found["attacks"][0]["flagged"], &found["attacks"][1]["flagged"]), (&0.into(), &1.into()));
    assert_eq!((&found["packets"]["unscored"], &found["packets"]["true_negatives"]), (&1.into(), &3.into()));
}

#[test]
fn results_gain_a_row_a_run_also_when_two_write_at_once() {
    let tables = tables();
    let results = tables.place("results.csv");
    let begin = || {
        let mut command = pcapae(&["evaluate", "--quiet", "--results"]);
        command.arg(&results).arg(&tables.random).arg("--calibration").arg(&tables.benign);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let runs: Vec<_> = (0..6).map(|_| begin()).collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    let text = fs::read_to_string(&results).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 7, "{text}");
    assert!(lines[0].starts_with("scores,calibration,"), "{text}");
    assert!(lines[1..].iter().all(|line| line == &lines[1] && line.split(',').count() == lines[0].split(',').count()));

    fs::write(&results, &text[..text.len() - 30]).unwrap();
    let run = tables.evaluate(&tables.random, &["--results", results.to_str().unwrap()]);
    assert!(stderr(&run).contains("torn"), "{}", stderr(&run));
    assert_eq!(fs::read_to_string(&results).unwrap(), text);

    fs::write(&results, "name,other\n1,2\n").unwrap();
    let run = tables.evaluate(&tables.random, &["--results", results.to_str().unwrap()]);
    assert_eq!(run.status.code(), Some(1));
    sentence(&run);
    assert_eq!(fs::read_to_string(&results).unwrap(), "name,other\n1,2\n");
}

#[test]
fn what_cannot_be_evaluated_is_refused_in_one_sentence() {
    let tables = tables();
    let write = |name: &str, text: &str| {
        let path = tables.place(name);
        fs::write(&path, text).unwrap();
        path
    };
    let short = write("short.csv", "-1\n1\n");
    let infinite = write("infinite.csv", "score,label\n0.1,-1\ninf,1\n");
    let none = write("none.csv", "score\n0.1\n0.2\n");
    let both = write("both.csv", "score,label\n0.1,-1\n0.2,1\n");
    let folder = tables.place("folder");
    let refused = |run: Output, expected: &str| {
        assert_eq!(run.status.code(), Some(1), "{expected}: {}", stderr(&run));
        assert!(stderr(&run).contains(expected), "{expected:?} is not in {}", stderr(&run));
        assert_eq!(stdout(&run), "", "{expected}");
        sentence(&run);
        assert!(!folder.exists(), "{expected}");
    };
    let output = ["-o", folder.to_str().unwrap()];
    let run = |scores: &Path, further: &[&str]| tables.evaluate(scores, &[&output[..], further].concat());
    refused(run(&infinite, &[]), "line 3: `score` is inf");
    refused(run(&none, &[]), "none of their 2 rows has a label");
    refused(run(&tables.benign, &[]), "is given as scores and as calibration");
    refused(run(&tables.place("absent.csv"), &[]), "absent.csv");
    refused(
        run(&tables.perfect, &["--check", both.to_str().unwrap()]),
        "row 2 of the check scores is labelled anomalous",
    );
    refused(run(&tables.perfect, &["--threshold", "mean:3"]), "expected conformal:RATE");
    refused(run(&tables.perfect, &["-g", short.to_str().unwrap()]), "has 2 rows");
    refused(run(&none, &["-g", short.to_str().unwrap()]), "row 1 has no first_packet");
    let with = |calibration: &Path| {
        pcapae(&["evaluate"]).arg(&tables.random).args(output).arg("--calibration").arg(calibration).output().unwrap()
    };
    refused(with(&tables.perfect), "row 1001 (packet 1001) of the calibration scores is labelled anomalous");
    refused(with(&write("empty.csv", "score\n")), "there is none");
    refused(pcapae(&["evaluate"]).arg(&tables.random).args(output).output().unwrap(), "calibration is missing");
}
