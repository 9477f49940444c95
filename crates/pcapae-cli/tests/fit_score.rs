//! `pcapae fit`, `pcapae score` and `pcapae grid-search` as a user runs them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use pcapae::detectors::{Blueprint, Fitted};
use pcapae::label::Label;
use pcapae::model::{Autoencoder, Frames, ModelConfig, Side};
use pcapae::scores::{RowPackets, ScoreTable};
use support::{pcapae, sentence, stderr, stdout, write_capture, write_dataset};

/// A folder with two captures of 60 packets as datasets in packet mode, `train.h5` and `test.h5`, whose codes are `train-codes.h5` and
/// `test-codes.h5`. The last 10 packets of the test are unlike all others and labelled so.
struct Plant {
    folder: tempfile::TempDir,
}

const PACKETS: usize = 60;
const ATTACK: usize = 10;

/// A UDP packet over Ethernet: one host asks another, payloads alike.
fn packet(i: usize, odd: bool) -> Vec<u8> {
    let payload: Vec<u8> = match odd {
        false => (0..40).map(|byte| (byte * 3 + i % 4) as u8).collect(),
        true => (0..90).map(|byte| (byte * 151 + i * 77) as u8).collect(),
    };
    let mut packet = vec![1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0];
    packet.extend([0x45, 0, 0, (28 + payload.len()) as u8, 0, i as u8, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend([156, 64, 1, 246, 0, (8 + payload.len()) as u8, 0, 0]);
    packet.extend(payload);
    packet
}

impl Plant {
    fn new() -> Plant {
        let plant = Plant { folder: tempfile::tempdir().unwrap() };
        plant.dataset("train", 0, &["-m", "packet"]);
        plant.dataset("test", ATTACK, &["-m", "packet"]);
        let frames = Frames::try_from(1).unwrap();
        let model = Autoencoder::new(ModelConfig { frames, ..ModelConfig::new(Side::Sixteen) }, 3);
        fs::write(plant.path("model.safetensors"), model.to_safetensors().unwrap()).unwrap();
        fs::write(plant.path("bare.safetensors"), model.to_safetensors_with(&[], &[]).unwrap()).unwrap();
        for name in ["train", "test"] {
            let (from, to) = (format!("{name}.h5"), format!("{name}-codes.h5"));
            plant.ok(&["encode"], &["model.safetensors", &from], &["-o"], &to);
        }
        plant
    }

    fn dataset(&self, name: &str, odd: usize, options: &[&str]) {
        let packets: Vec<Vec<u8>> = (0..PACKETS).map(|i| packet(i, i >= PACKETS - odd)).collect();
        write_dataset(self.folder.path(), name, &packets, odd, options);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        name.to_owned()
    }

    /// Runs a command with some options, then files of the folder, further options, and a last file.
    fn run(&self, command: &[&str], files: &[&str], options: &[&str], last: &str) -> Output {
        let files = files.iter().map(|name| self.path(name));
        pcapae(command).args(files).args(options).arg(self.path(last)).output().unwrap()
    }

    fn ok(&self, command: &[&str], files: &[&str], options: &[&str], last: &str) -> Output {
        let run = self.run(command, files, options, last);
        assert!(run.status.success(), "{}", stderr(&run));
        run
    }

    fn fit(&self, yaml: &str, input: &str) -> Output {
        let blueprint = self.write("blueprint.yaml", yaml);
        self.ok(&["fit", "--force"], &[&blueprint, input], &["-o"], "detector.safetensors")
    }

    fn score(&self, scorer: &str, input: &str, options: &[&str]) -> ScoreTable {
        let options = [options, &["--force", "-o"]].concat();
        self.ok(&["score"], &[scorer, input], &options, "scores.csv");
        ScoreTable::open(&self.path("scores.csv")).unwrap()
    }

    #[track_caller]
    fn refused(&self, command: &[&str], files: &[&str], expected: &str) {
        let run = self.run(command, files, &["-o"], "refused.out");
        assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
        assert!(stderr(&run).contains(expected), "{expected:?} is not in {}", stderr(&run));
        sentence(&run);
        assert!(!self.path("refused.out").is_file());
    }
}

/// Share of pairs of an anomalous and a normal row in the right order.
fn order(table: &ScoreTable) -> f64 {
    pcapae::metrics::Ranking::of(table.rows().map(|row| (row.score, row.label))).roc_auc().unwrap()
}

fn example(name: &str) -> String {
    fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../blueprints")).join(name)).unwrap()
}

#[test]
fn a_detector_on_codes_finds_what_does_not_fit() {
    let plant = Plant::new();
    let run = plant.fit("LocalOutlierFactor:\n  n_neighbors: 10\n  contamination: 0", "train-codes.h5");
    assert!(stderr(&run).contains("LocalOutlierFactor, fitted to 60 rows: codes of 64 numbers"), "{}", stderr(&run));
    let table = plant.score("detector.safetensors", "test-codes.h5", &[]);
    assert_eq!(table.len(), PACKETS);
    assert_eq!(order(&table), 1.0);
    let row = table.row(PACKETS - 1);
    assert_eq!((row.window, row.first_packet, row.last_packet), (59, Some(60), Some(60)));
    assert_eq!((row.time_ns, row.label), (Some(1_700_000_000_590_000_000), Label::Anomalous));
}

#[test]
fn detectors_on_raw_bytes_are_the_baseline() {
    let plant = Plant::new();
    // A forest splits between what it has seen: what lies far outside is no further away to it.
    for (name, least) in [
        ("isolation_forest", 0.85),
        ("k_nearest_neighbours", 1.0),
        ("principal_components", 1.0),
        ("position_histogram", 1.0),
        ("length_rarity", 1.0),
    ] {
        plant.fit(&example(&format!("{name}.yaml")), "train.h5");
        let table = plant.score("detector.safetensors", "test.h5", &["-t", "1"]);
        assert_eq!(table.len(), PACKETS);
        assert!(order(&table) >= least, "{name}: {}", order(&table));
    }
    plant.fit(&example("inter_arrival.yaml"), "train.h5");
    assert_eq!(plant.score("detector.safetensors", "test.h5", &[]).len(), PACKETS);
}

#[test]
fn scores_of_conversations_that_cross_list_their_packets() {
    let plant = Plant::new();
    // Two conversations in turn, so that a fragment holds every other packet of a stretch.
    let crossing: Vec<Vec<u8>> = (0..PACKETS)
        .map(|i| {
            let mut packet = packet(i, false);
            packet[35] += (i % 2) as u8;
            packet
        })
        .collect();
    let packets: Vec<&[u8]> = crossing.iter().map(Vec::as_slice).collect();
    write_capture(plant.folder.path(), "crossing.pcap", &packets);
    plant.ok(&["dataset", "--fragment-size", "256", "-m", "flow"], &["crossing.pcap"], &["-o"], "crossing.h5");
    plant.ok(&["encode"], &["model.safetensors", "crossing.h5"], &["-o"], "crossing-codes.h5");
    plant.fit("PrincipalComponents", "crossing-codes.h5");
    for (scorer, input) in [("model.safetensors", "crossing.h5"), ("detector.safetensors", "crossing-codes.h5")] {
        let table = plant.score(scorer, input, &[]);
        let packets = RowPackets::of(&table).unwrap();
        assert!(packets.ranges(0).eq([1..=1, 3..=3, 5..=5, 7..=7]), "{scorer}");
        assert_eq!(packets.table().len(), PACKETS, "{scorer}");
    }
}

#[test]
fn a_seed_makes_another_forest_and_the_same_seed_the_same_bytes() {
    let plant = Plant::new();
    let fit = |options: &[&str]| {
        let blueprint = plant.write("blueprint.yaml", "IsolationForest:\n  n_estimators: 5\n  random_state: 1");
        let options = [options, &["--force", "-o"]].concat();
        plant.ok(&["fit"], &[&blueprint, "train-codes.h5"], &options, "detector.safetensors");
        fs::read(plant.path("detector.safetensors")).unwrap()
    };
    assert!(fit(&[]) == fit(&["--seed", "1", "-t", "1"]));
    assert!(fit(&[]) != fit(&["--seed", "2"]));
    let detector = Fitted::from_bytes(&fit(&["--seed", "7"])).unwrap();
    assert_eq!(detector.blueprint().parameters()["random_state"], 7);
}

#[test]
fn a_model_gives_its_residual() {
    let plant = Plant::new();
    let mean = plant.score("model.safetensors", "test.h5", &[]);
    assert_eq!(mean.len(), PACKETS);
    let bare = plant.score("bare.safetensors", "test.h5", &["--frames", "1", "--scoring", "mean"]);
    assert_eq!(bare, mean);
    let sum = plant.score("model.safetensors", "test.h5", &["--head", "sum"]);
    assert!((sum.scores()[0] - 256.0 * mean.scores()[0]).abs() < 1e-3);
    let standardise = plant.path("train.h5");
    let options = ["--scoring", "top8", "--standardise", standardise.to_str().unwrap()];
    assert_eq!(order(&plant.score("model.safetensors", "test.h5", &options)), 1.0);
}

#[test]
fn a_bundle_scores_datasets_too() {
    let plant = Plant::new();
    let learn = ["learn", "--epochs", "1", "-o"];
    let run = pcapae(&learn).arg(plant.path("plant.pcapae")).arg(plant.path("train.pcap")).output().unwrap();
    assert!(run.status.success(), "{}", stderr(&run));
    plant.dataset("masked", ATTACK, &["-m", "packet", "--mask", "volatile"]);
    assert_eq!(plant.score("plant.pcapae", "masked.h5", &["--quiet"]).len(), PACKETS);

    let unlike = "test.h5 has fragments with no field masked, but what the model was trained on has fragments with ";
    for command in ["score", "encode"] {
        plant.refused(&[command], &["plant.pcapae", "test.h5"], unlike);
    }
    plant.dataset("bytes", ATTACK, &["-m", "byte", "--mask", "volatile"]);
    plant.refused(&["score"], &["plant.pcapae", "bytes.h5"], "bytes.h5 has fragments cut in byte mode, but");
}

#[test]
fn what_cannot_be_fitted_or_scored_is_refused_in_one_sentence() {
    let plant = Plant::new();
    let blueprint = |yaml: &str| plant.write("b.yaml", yaml);
    let forest = |parameter: &str| blueprint(&format!("IsolationForest:\n  {parameter}\n"));
    let unfit = |yaml: &str, input: &str, expected: &str| plant.refused(&["fit"], &[yaml, input], expected);
    unfit(&forest("trees: 3"), "train-codes.h5", "unknown parameter `trees`");
    unfit(&forest("n_estimators: 0"), "train-codes.h5", "n_estimators 0");
    unfit(&forest("max_features: 65"), "train-codes.h5", "max_features 65");
    unfit(&blueprint("Forest:"), "train-codes.h5", "expected one of IsolationForest, LocalOutlierFactor, OneClassSVM");
    unfit(&blueprint("LocalOutlierFactor:\n  n_neighbors: 60"), "train-codes.h5", "60");
    unfit(&blueprint("LengthRarity"), "train-codes.h5", "facts of packets");
    unfit(&forest("verbose: 1"), "train.pcap", "train.pcap");
    unfit(&forest("verbose: 1"), "absent.h5", "absent.h5");
    unfit("absent.yaml", "train.h5", "absent.yaml");

    plant.fit("Mahalanobis", "train-codes.h5");
    let unscored = |scorer: &str, input: &str, expected: &str| plant.refused(&["score"], &[scorer, input], expected);
    unscored("detector.safetensors", "test.h5", "fitted to codes of 64 numbers");
    let whole = fs::read(plant.path("detector.safetensors")).unwrap();
    fs::write(plant.path("cut.safetensors"), &whole[..whole.len() - 9]).unwrap();
    unscored("cut.safetensors", "test-codes.h5", "cut.safetensors cannot be read as a detector");
    fs::write(plant.path("foreign.safetensors"), "precious").unwrap();
    unscored("foreign.safetensors", "test-codes.h5", "foreign.safetensors");
    unscored("model.safetensors", "test-codes.h5", "found a file of codes, expected fragments, which a model scores");
    unscored("bare.safetensors", "test.h5", "its number of frames is missing");
    plant.refused(&["score", "--scoring", "mean"], &["detector.safetensors", "test-codes.h5"], "--scoring is given");
    plant.fit("Mahalanobis", "train.h5");
    plant.dataset("byte", 0, &["-m", "byte"]);
    plant.dataset("masked", 0, &["-m", "packet", "--mask", "volatile"]);
    unscored("detector.safetensors", "byte.h5", "in byte mode");
    unscored("detector.safetensors", "masked.h5", "masked");
    unscored("model.safetensors", "absent.h5", "absent.h5");

    let usage = pcapae(&["score", "a", "b", "-o", "c", "--scoring", "top0"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    let (existing, text) = ("scores.csv", "precious");
    plant.write(existing, text);
    let run = plant.run(&["score"], &["detector.safetensors", "test.h5"], &["-o"], existing);
    assert_eq!(run.status.code(), Some(1));
    assert!(stderr(&run).contains("--force"), "{}", stderr(&run));
    assert_eq!(fs::read_to_string(plant.path(existing)).unwrap(), text);
}

#[test]
fn the_best_of_a_grid_is_written_out_for_fit() {
    let plant = Plant::new();
    let grid =
        plant.write("grid.yaml", "LocalOutlierFactor:\n  n_neighbors: [5, 70, 10]\n  metric: [euclidean, cosine]\n");
    let search = |validation: &str, options: &[&str]| {
        let validation = plant.path(validation);
        let options = [options, &["-v", validation.to_str().unwrap(), "--force", "-o"]].concat();
        plant.ok(&["grid-search"], &[&grid, "train-codes.h5"], &options, "search")
    };
    let run = search("test-codes.h5", &["--draws", "2"]);
    let (table, console) = (stdout(&run), stderr(&run));
    assert!(table.contains("n_neighbors") && table.contains("not fitted"), "{table}");
    assert!(console.contains("2 combinations could not be fitted"), "{console}");
    assert!(console.contains("of 6 combinations by the average precision; one at random has 0.1667"), "{console}");
    let csv = fs::read_to_string(plant.path("search/results.csv")).unwrap();
    assert_eq!(csv.lines().count(), 7, "{csv}");
    let best = Blueprint::open(&plant.path("search/best.yaml")).unwrap();
    assert_eq!(best.name(), "LocalOutlierFactor");
    plant.ok(&["fit"], &["search/best.yaml", "train-codes.h5"], &["-o"], "best.safetensors");

    let run = search("train-codes.h5", &["--quiet", "--draws", "0"]);
    assert!(stderr(&run).contains("the validation begins before the training ends"), "{}", stderr(&run));
    let run = search("train-codes.h5", &["--draws", "1", "--parts", "2", "--json"]);
    assert_eq!(stdout(&run).lines().count(), 6, "{}", stdout(&run));
    for line in stdout(&run).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["LocalOutlierFactor"]["n_neighbors"].is_u64() && line["average_precision"].is_null());
        assert!(line["rank"].is_u64() || line["refusal"].is_string(), "{line}");
    }
}

#[test]
fn a_grid_that_cannot_be_searched_is_refused_in_one_sentence() {
    let plant = Plant::new();
    let refused = |yaml: &str, validation: &str, expected: &str| {
        let grid = plant.write("grid.yaml", yaml);
        let validation = plant.path(validation);
        let command = ["grid-search", "-v", validation.to_str().unwrap()];
        plant.refused(&command, &[&grid, "train-codes.h5"], expected);
    };
    refused("OneClassSVM:\n  nu: [0.1, 1.5]", "test-codes.h5", "nu 1.5");
    refused("OneClassSVM:\n  mu: [0.1]", "test-codes.h5", "unknown parameter `mu`");
    refused("OneClassSVM:\n  nu: 0.1", "test.h5", "fitted to codes of 64 numbers");
    refused("LocalOutlierFactor:\n  n_neighbors: [60, 70]", "test-codes.h5", "none of 2 combinations could be fitted");
}
