//! `pcapae reduce` as a user runs it: fitted on normal traffic, applied to other, drawn as a map.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use pcapae::code::Codes;
use pcapae::label::Label;
use support::{pcapae, sentence, stderr, stdout, write_dataset};

/// A folder with two datasets of 60 packets, `train.h5` and `test.h5`. The last 10 packets of the test are unlike all others and labelled so.
struct Plant {
    folder: tempfile::TempDir,
}

const PACKETS: usize = 60;
const ATTACK: usize = 10;

const METHODS: [&str; 5] = ["pca", "ica", "kernel-pca", "sparse-pca", "random-projection"];

/// A packet whose bytes vary in a few ways, or in others.
fn packet(i: usize, odd: bool) -> Vec<u8> {
    let mut packet = vec![1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x88, 0xb5];
    packet.extend((0..100).map(|byte| match odd {
        false => (byte % 5 * i * i + byte / 20 * (i % 7) * 9) as u8,
        true => (byte * 151 + i * 77) as u8,
    }));
    packet
}

impl Plant {
    fn new() -> Plant {
        let plant = Plant { folder: tempfile::tempdir().unwrap() };
        plant.dataset("train", 0, &["-m", "packet"]);
        plant.dataset("test", ATTACK, &["-m", "packet"]);
        plant
    }

    fn dataset(&self, name: &str, odd: usize, options: &[&str]) {
        let packets: Vec<Vec<u8>> = (0..PACKETS).map(|i| packet(i, i >= PACKETS - odd)).collect();
        write_dataset(self.folder.path(), name, &packets, odd, options);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `pcapae reduce`, in the folder.
    fn run(&self, arguments: &[&str]) -> Output {
        pcapae(&["reduce"]).args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> Output {
        let run = self.run(arguments);
        assert!(run.status.success(), "{}", stderr(&run));
        run
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], expected: &str) {
        let before = self.files();
        let run = self.run(arguments);
        assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
        assert!(stderr(&run).contains(expected), "{expected:?} is not in {}", stderr(&run));
        sentence(&run);
        assert_eq!(self.files(), before, "something was left behind");
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

#[test]
fn what_is_fitted_to_one_dataset_gives_codes_of_another() {
    let plant = Plant::new();
    for method in METHODS {
        let fit = ["--components", "6", "--force", "--json", "--save", "r.safetensors", "-o", "train-codes.h5"];
        let run = plant.ok(&[&[method, "train.h5"], &fit[..]].concat());
        let said: serde_json::Value = serde_json::from_str(&stdout(&run)).unwrap();
        assert_eq!((&said["windows"], &said["parameters"]["n_components"]), (&60.into(), &6.into()), "{said}");
        assert!(said["fitting_seconds"].is_f64() && said["entropy"].as_f64().unwrap() > 1.0, "{said}");
        let usual = said["reconstruction_error"].as_f64().unwrap();

        let run = plant.ok(&["apply", "r.safetensors", "test.h5", "-o", "codes.h5", "--force", "--json"]);
        let said: serde_json::Value = serde_json::from_str(&stdout(&run)).unwrap();
        assert!(said["fitting_seconds"].is_null(), "{said}");
        assert!(said["reconstruction_error"].as_f64().unwrap() > usual, "{method}: {said}");
        let (train, codes) =
            (Codes::open(&plant.path("train-codes.h5")).unwrap(), Codes::open(&plant.path("codes.h5")).unwrap());
        assert_eq!((codes.len(), codes.width()), (PACKETS, 6));
        assert_eq!(codes.origin(59).unwrap().label, Label::Anomalous);
        // The packets that both have are the same, and so are their codes.
        assert_eq!(codes.code(0), train.code(0), "{method}");
        assert_ne!(codes.code(59), train.code(59), "{method}");
        let again = plant.ok(&["apply", "r.safetensors", "train.h5", "-o", "again.h5", "--force", "-t", "1"]);
        assert!(stdout(&again).contains("reconstruction error"), "{}", stdout(&again));
        assert_eq!(Codes::open(&plant.path("again.h5")).unwrap().values(), train.values(), "{method}");
    }
}

/// The same way as codes of a model: fit, score, and the mismatch of codes that are not comparable.
#[test]
fn detectors_take_the_codes() {
    let plant = Plant::new();
    let components = ["--components", "6", "-o"];
    plant.ok(&[&["pca", "train.h5"], &components[..], &["codes.h5", "--save", "r.safetensors"]].concat());
    plant.ok(&["apply", "r.safetensors", "test.h5", "-o", "test-codes.h5"]);
    plant.ok(&[&["random-projection", "test.h5"], &components[..], &["other.h5"]].concat());
    fs::write(plant.path("b.yaml"), "Mahalanobis:\n").unwrap();
    let run = |arguments: &[&str]| pcapae(arguments).current_dir(plant.folder.path()).output().unwrap();
    let fitted = run(&["fit", "b.yaml", "codes.h5", "-o", "d.safetensors"]);
    assert!(
        fitted.status.success() && stderr(&fitted).contains("codes of 6 numbers of the reducer "),
        "{}",
        stderr(&fitted)
    );
    let scored = run(&["score", "d.safetensors", "test-codes.h5", "-o", "scores.csv"]);
    assert!(scored.status.success(), "{}", stderr(&scored));
    let other = run(&["score", "d.safetensors", "other.h5", "-o", "other.csv"]);
    assert!(stderr(&other).contains("but the detector was fitted to codes of 6 numbers"), "{}", stderr(&other));
}

#[test]
fn options_change_what_is_fitted_and_are_kept() {
    let plant = Plant::new();
    let parameters = |arguments: &[&str]| {
        let rest = ["train.h5", "-o", "c.h5", "--components", "3", "--json", "--force"];
        let run = plant.ok(&[arguments, &rest[..]].concat());
        let said: serde_json::Value = serde_json::from_str(&stdout(&run)).unwrap();
        (said["parameters"].clone(), stderr(&run), fs::read(plant.path("c.h5")).unwrap())
    };
    let (_, _, usual) = parameters(&["ica"]);
    let (said, console, other) =
        parameters(&["ica", "--seed", "7", "--sample", "40", "--max-iter", "1", "--tol", "1e-9"]);
    assert_eq!(said["random_state"], 7);
    assert!(console.contains("fitted to 40 of 60 windows") && console.contains("stopped at --max-iter"), "{console}");
    assert!(usual != other);
    let kernel =
        ["kernel-pca", "--kernel", "poly", "--degree", "2", "--coef0", "0.5", "--gamma", "0.1", "--no-inverse"];
    let (said, _, _) = parameters(&kernel);
    assert_eq!(
        (&said["kernel"], &said["degree"], &said["coef0"], &said["gamma"]),
        (&"poly".into(), &2.into(), &0.5.into(), &0.1.into())
    );
    let (said, _, _) = parameters(&["sparse-pca", "--alpha", "0.2", "--ridge", "0.5"]);
    assert_eq!((&said["alpha"], &said["ridge_alpha"]), (&0.2.into(), &0.5.into()));
    assert!(parameters(&["random-projection", "--seed", "1"]).2 != parameters(&["random-projection"]).2);
    let run = plant.ok(&["pca", "train.h5", "-o", "w.h5", "--components", "3", "--frames", "2", "--stride", "4"]);
    assert!(stderr(&run).contains("w.h5: 15 codes of 3 numbers"), "{}", stderr(&run));
}

#[test]
fn codes_and_datasets_are_drawn() {
    let plant = Plant::new();
    plant.ok(&["pca", "test.h5", "-o", "codes.h5", "--components", "6"]);
    for (input, options) in [
        ("test.h5", &["--perplexity", "5", "--max-iter", "50"][..]),
        ("codes.h5", &["--perplexity", "5"]),
        ("codes.h5", &["--method", "pca", "--sample", "30"]),
    ] {
        let outputs = ["-o", "map.png", "--csv", "map.csv", "--force"];
        let run = plant.ok(&[&["map", input], &outputs[..], options].concat());
        let rows = if options.contains(&"30") { 30 } else { 60 };
        assert!(stderr(&run).contains(&format!("of {rows}")), "{}", stderr(&run));
        let csv = fs::read_to_string(plant.path("map.csv")).unwrap();
        assert!(csv.starts_with("row,x,y,label,first_packet,last_packet\n"), "{csv}");
        assert_eq!(csv.lines().count(), 1 + rows);
        if rows == 60 {
            let last: Vec<&str> = csv.lines().last().unwrap().split(',').collect();
            assert_eq!((last[0], &last[3..]), ("59", &["1", "60", "60"][..]));
        }
        assert!(fs::read(plant.path("map.png")).unwrap().starts_with(b"\x89PNG"));
    }
}

#[test]
fn what_cannot_be_reduced_or_drawn_is_refused_in_one_sentence_and_leaves_nothing() {
    let plant = Plant::new();
    plant.dataset("byte", 0, &["-m", "byte"]);
    plant.ok(&["pca", "train.h5", "-o", "codes.h5", "--components", "6", "--save", "r.safetensors"]);
    for method in METHODS.iter().filter(|method| **method != "random-projection") {
        plant.refused(
            &[method, "train.h5", "-o", "x.h5", "--components", "61", "--save", "x.st"],
            "the number of windows",
        );
    }
    plant.refused(&["pca", "train.h5", "-o", "x.h5", "--components", "300"], "n_components 300: expected at most 256");
    plant.refused(&["pca", "train.h5", "-o", "x.h5", "--frames", "61"], "there is no window");
    plant.refused(&["pca", "codes.h5", "-o", "x.h5"], "found a file of codes");
    plant.refused(&["pca", "train.pcap", "-o", "x.h5"], "train.pcap");
    plant.refused(&["pca", "absent.h5", "-o", "x.h5"], "absent.h5");
    plant.refused(&["pca", "train.h5", "-o", "codes.h5"], "exists already");
    plant.refused(&["pca", "train.h5", "-o", "train.h5", "--force"], "train.h5 is an input");
    plant.refused(&["pca", "train.h5", "-o", "x.h5", "--save", "x.h5", "--components", "2"], "--save x.h5");
    plant.refused(&["kernel-pca", "train.h5", "-o", "x.h5", "--degree", "1001"], "degree 1001");
    plant.refused(
        &["apply", "r.safetensors", "byte.h5", "-o", "x.h5"],
        "in byte mode, but the reducer has been fitted to",
    );
    plant.refused(&["apply", "codes.h5", "train.h5", "-o", "x.h5"], "codes.h5 cannot be read as a reducer");
    let whole = fs::read(plant.path("r.safetensors")).unwrap();
    fs::write(plant.path("cut.safetensors"), &whole[..whole.len() - 9]).unwrap();
    plant.refused(
        &["apply", "cut.safetensors", "train.h5", "-o", "x.h5"],
        "cut.safetensors cannot be read as a reducer",
    );
    plant.refused(&["map", "codes.h5", "-o", "x.png"], "perplexity 30: expected 1 to 19, a third of the other rows");
    plant.refused(&["map", "codes.h5", "-o", "x.png", "--sample", "1", "--method", "pca"], "number of rows 1");
    plant.refused(&["map", "codes.h5", "-o", "x.png", "--method", "pca", "--perplexity", "5"], "--perplexity is given");
    plant.refused(&["map", "train.pcap", "-o", "x.png"], "train.pcap");
    let usage = plant.run(&["pca", "train.h5", "-o", "x.h5", "--seed", "1"]);
    assert_eq!(usage.status.code(), Some(2));
}
