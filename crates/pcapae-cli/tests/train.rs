//! `pcapae train` as a user runs it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::{pcapae, sentence, stderr, write_capture};
use tempfile::TempDir;

/// Datasets to train on, in a folder of their own.
struct Bench {
    folder: TempDir,
}

impl Bench {
    /// `train.h5` with 40 fragments of 256 bytes and `validation.h5` with 12, in packet mode.
    fn new() -> Bench {
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        bench.dataset("train.h5", 40, &["-m", "packet", "--fragment-size", "256"]);
        bench.dataset("validation.h5", 12, &["-m", "packet", "--fragment-size", "256"]);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn dataset(&self, name: &str, packets: usize, options: &[&str]) {
        let packets: Vec<Vec<u8>> = (0..packets)
            .map(|i| (0..256).map(|at| if at % 16 < 5 { 200 } else { (at / 16 + i % 3) as u8 }).collect())
            .collect();
        let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
        let capture = write_capture(self.folder.path(), "capture.pcap", &packets);
        let run =
            pcapae(&["dataset", "--force", "-o"]).arg(self.path(name)).args(options).arg(capture).output().unwrap();
        assert!(run.status.success(), "{}", stderr(&run));
        fs::remove_file(self.path("capture.pcap")).unwrap();
    }

    /// `pcapae train train.h5 -v validation.h5` with more arguments, in the folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = pcapae(&["train", "train.h5", "-v", "validation.h5"]);
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    fn train(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    fn trained(&self, arguments: &[&str]) -> String {
        let run = self.train(arguments);
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        stderr(&run)
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], expected: &str) {
        let run = self.train(arguments);
        assert_eq!(run.status.code(), Some(1), "{arguments:?}: {}", stderr(&run));
        assert!(stderr(&run).contains(expected), "{expected:?} is not in {}", stderr(&run));
        sentence(&run);
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// So many epochs of five steps.
const SHORT: [&str; 4] = ["-b", "8", "--epochs", "3"];

#[test]
fn a_training_leaves_models_history_and_chart() {
    let bench = Bench::new();
    let console = bench.trained(&[&SHORT[..], &["-o", "a/plant", "--tensorboard"]].concat());
    assert_eq!(console.lines().count(), 4, "{console}");
    assert!(
        console.starts_with("epoch 1 of 3: loss ") && console.contains("plant/best.safetensors: epoch "),
        "{console}"
    );
    let files = ["best.safetensors", "history.csv", "last.safetensors", "loss.png", "tensorboard"];
    assert_eq!(names(&bench.path("a/plant")), files);
    let events = names(&bench.path("a/plant/tensorboard/plant"));
    assert!(events.len() == 1 && events[0].contains("tfevents"), "{events:?}");
    let history = String::from_utf8(bench.read("a/plant/history.csv")).unwrap();
    let steps: Vec<&str> = history.lines().skip(1).map(|row| row.split(',').nth(1).unwrap()).collect();
    assert_eq!(steps, ["5", "10", "15"], "{history}");
    assert!(bench.read("a/plant/loss.png").starts_with(b"\x89PNG"));
}

#[test]
fn the_same_seed_gives_the_same_files_and_another_seed_others() {
    let bench = Bench::new();
    let train = |folder: &str, options: &[&str]| {
        bench.trained(&[&SHORT[..], &["-q", "-o", folder], options].concat());
        [bench.read(&format!("{folder}/best.safetensors")), bench.read(&format!("{folder}/last.safetensors"))]
    };
    let one = train("one", &[]);
    assert!(one == train("two", &["-t", "1"]));
    assert!(one != train("three", &["--seed", "2"]));
}

#[test]
fn every_option_is_taken() {
    let bench = Bench::new();
    for options in [
        &["--cell", "LSTM", "--frames", "2", "--scheduler", "step", "--no-shuffle"] as &[&str],
        &["--predict-frames", "2", "--optimizer", "sgd", "--scheduler", "plateau", "--clip", "0", "--stride", "2"],
        &["--loss", "bce", "--no-norm", "--dropout", "0.1", "--scheduler", "constant", "--fraction", "0.5"],
        // The original's names.
        &[
            "--finput",
            "2",
            "--foutput",
            "1",
            "--optim",
            "adamW",
            "--clipping",
            "5",
            "--batch_size",
            "16",
            "--learn_rate",
            "0.01",
        ],
        &["--no_bn", "--workers", "1", "--noTensorboard", "--patience", "2", "--cell", "GRU", "--optim", "adam"],
    ] {
        let given = |name: &str| options.contains(&name);
        let batch: &[&str] = if given("--batch_size") { &[] } else { &["-b", "16"] };
        let run = pcapae(&["train", "train.h5", "--vali", "validation.h5", "-o", "plant", "--epochs", "1", "--force"])
            .args(batch)
            .args(options)
            .current_dir(bench.folder.path())
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(0), "{options:?}: {}", stderr(&run));
    }
}

#[test]
fn lines_are_trained_on_too() {
    let bench = Bench::new();
    bench.dataset("train.h5", 9, &["--fragment-size", "256", "--one-d"]);
    bench
        .refused(&["-o", "plant"], "validation.h5 has square fragments of 256 bytes, but train.h5 has one-dimensional");
    bench.dataset("validation.h5", 3, &["--fragment-size", "256", "--one-d"]);
    bench.trained(&["-o", "plant", "--epochs", "1"]);
}

#[test]
fn a_longer_training_goes_on_in_its_folder() {
    let bench = Bench::new();
    let steady = ["-b", "8", "--scheduler", "constant"];
    bench.trained(&[&steady[..], &["-o", "whole", "--epochs", "4"]].concat());
    bench.trained(&[&steady[..], &["-o", "parts", "--epochs", "2"]].concat());
    bench.refused(&["-o", "parts"], "parts holds a training already");
    bench.trained(&["--resume", "parts", "--epochs", "4"]);
    for file in ["best.safetensors", "last.safetensors"] {
        assert!(bench.read(&format!("whole/{file}")) == bench.read(&format!("parts/{file}")), "{file}");
    }
    let epochs =
        |folder: &str| String::from_utf8(bench.read(&format!("{folder}/history.csv"))).unwrap().lines().count();
    assert_eq!((epochs("whole"), epochs("parts")), (5, 5));
    // A training that is over stays as it is, also in another folder.
    bench.trained(&["--resume", "parts/last.safetensors", "-o", "copy"]);
    assert!(bench.read("copy/last.safetensors") == bench.read("parts/last.safetensors"));
    assert!(bench.read("copy/history.csv") == bench.read("parts/history.csv"));
}

#[cfg(unix)]
#[test]
fn a_training_stopped_by_ctrl_c_and_resumed_equals_one_that_never_stopped() {
    let bench = Bench::new();
    bench.dataset("train.h5", 400, &["-m", "packet", "--fragment-size", "256"]);
    let options = ["-b", "4", "--epochs", "16", "--patience", "16", "--dropout", "0.1"];
    bench.trained(&[&options[..], &["-o", "whole"]].concat());
    let mut child = bench.command(&[&options[..], &["-o", "parts"]].concat()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !bench.path("parts/history.csv").exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "no epoch was ever over");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(30));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let status = child.wait().unwrap();
    let mut console = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut console).unwrap();
    assert_eq!(status.code(), Some(1), "{console}");
    let warning = console.lines().last().unwrap();
    assert!(warning.starts_with("warning: stopped in epoch "), "{console}");
    // The command that it names goes on.
    let command = warning.split("pcapae train ").nth(1).unwrap();
    assert!(command.ends_with(" -o parts --resume parts/last.safetensors"), "{command}");
    let words: Vec<&str> = command.split(' ').collect();
    let run = pcapae(&["train"]).args(words).current_dir(bench.folder.path()).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    for file in ["best.safetensors", "last.safetensors"] {
        assert!(bench.read(&format!("whole/{file}")) == bench.read(&format!("parts/{file}")), "{file}");
    }
}

#[test]
fn weights_without_a_training_begin_a_new_one() {
    let bench = Bench::new();
    bench.trained(&[&SHORT[..], &["-o", "old"]].concat());
    let console = bench.trained(&["--retrain", "old/best.safetensors", "-o", "new", "--epochs", "1"]);
    assert!(console.contains("warning: old/best.safetensors holds weights but no training"), "{console}");
    bench.refused(&["--resume", "old/best.safetensors", "-o", "lstm", "--cell", "lstm"], "cell lstm, but");
    let original = concat!(env!("CARGO_MANIFEST_DIR"), "/../pcapae/tests/golden/torch/checkpoint.pth.tar");
    let console = bench.trained(&["--retrain", original, "-o", "imported", "--epochs", "1"]);
    assert!(console.contains("checkpoint.pth.tar holds weights but no training"), "{console}");
}

#[test]
fn bad_input_is_refused_in_one_sentence_and_leaves_nothing_behind() {
    let bench = Bench::new();
    bench.dataset("other_size.h5", 5, &["-m", "packet", "--fragment-size", "1024"]);
    bench.dataset("other_mode.h5", 5, &["-m", "byte", "--fragment-size", "256"]);
    bench.dataset("strange_size.h5", 5, &["-m", "packet", "--fragment-size", "64"]);
    bench.dataset("empty.h5", 0, &["-m", "packet", "--fragment-size", "256"]);
    fs::write(bench.path("text.h5"), "no dataset").unwrap();
    bench.trained(&[&SHORT[..], &["-o", "done"]].concat());
    let last = bench.read("done/last.safetensors");
    fs::write(bench.path("cut.safetensors"), &last[..last.len() - 9]).unwrap();
    let before = names(bench.folder.path());

    let refused = |train: &str, validation: &str, options: &[&str], expected: &str| {
        let run = pcapae(&["train", train, "-v", validation])
            .args(options)
            .current_dir(bench.folder.path())
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(1), "{expected:?}: {}", stderr(&run));
        assert!(stderr(&run).contains(expected), "{expected:?} is not in {}", stderr(&run));
        sentence(&run);
        assert_eq!(names(bench.folder.path()), before, "{expected}");
    };
    let (train, new) = ("train.h5", &["-o", "out"][..]);
    refused(train, "other_size.h5", new, "other_size.h5 has square fragments of 1024 bytes, but train.h5 has square");
    refused(
        train,
        "other_mode.h5",
        new,
        "other_mode.h5 has fragments cut in byte mode, but train.h5 has fragments cut in packet",
    );
    refused("strange_size.h5", "strange_size.h5", new, "fragment size of a model 64: expected 256, 1024 or 4096");
    refused(train, "empty.h5", new, "empty.h5 holds no fragment");
    refused("empty.h5", train, new, "empty.h5 holds no fragment");
    refused("text.h5", train, new, "text.h5 cannot be read as a dataset");
    refused("absent.h5", train, new, "absent.h5");
    refused(train, "validation.h5", &["-o", "out", "--frames", "13"], "there is no window of validation data");
    refused(train, "validation.h5", &["-o", "out", "--frames", "40", "--predict-frames", "1"], "of training data");
    refused(train, "validation.h5", &["-o", "out", "--fraction", "0.01"], "there is no window of training data");
    refused(train, "validation.h5", &["-o", "out", "--fraction", "2"], "fraction of the windows 2");
    refused(train, "validation.h5", &["-o", "out", "--dropout", "1"], "dropout 1");
    refused(train, "validation.h5", &["-o", "train.h5/out"], "cannot create train.h5/out");
    refused(train, "validation.h5", &["-o", "done"], "done holds a training already");
    refused(train, "validation.h5", &["--resume", "absent"], "cannot open absent");
    refused(train, "validation.h5", &["--resume", "/dev/null", "-o", "out"], "/dev/null");
    refused(train, "validation.h5", &["--resume", "cut.safetensors", "-o", "out"], "cut.safetensors");
    refused(train, "validation.h5", &["--resume", "text.h5", "-o", "out"], "text.h5");
    refused(
        train,
        "validation.h5",
        &["--resume", "done", "--frames", "2"],
        "frames 2, but the training was begun with 1",
    );
    refused(train, "validation.h5", &["--resume", "done", "-b", "9"], "batch 9, but the training was begun with 8");
    refused(
        train,
        "validation.h5",
        &["--resume", "done", "--stride", "2"],
        "stride 2, but the training was begun with 1",
    );
    refused("validation.h5", train, &["--resume", "done"], "these data give 12 windows to train on");
    refused("other_size.h5", "other_size.h5", &["--resume", "done"], "but the model in done/last.safetensors has");
    refused("other_mode.h5", "other_mode.h5", &["--resume", "done"], "has fragments cut in byte mode");
}

#[test]
fn a_loss_that_runs_away_is_refused_with_its_batch() {
    let bench = Bench::new();
    bench.refused(
        &["-o", "wild", "--learning-rate", "1e30", "--clip", "0"],
        "the loss is not a number in epoch 1, batch ",
    );
}
