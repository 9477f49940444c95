//! `pcapae explain` as a user runs it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use pcapae::model::{Autoencoder, Cell, Frames, ModelConfig, Side};
use serde_json::Value;
use support::{assert_refused, pcapae, stderr, stdout, write_capture};

/// A Modbus request over TCP over IPv4 over Ethernet.
fn request(i: u8) -> Vec<u8> {
    let mut packet = vec![2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 8, 0];
    packet.extend([0x45, 0, 0, 52, 0, i, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend([0x9c, 0x40, 1, 0xf6, 0, 0, 0, i, 0, 0, 0, 1, 0x50, 0x18, 16, 0, 0, 0, 0, 0]);
    packet.extend([0, i, 0, 0, 0, 6, 1, 6, 0, 40, i, 200]);
    packet
}

struct Plant {
    folder: tempfile::TempDir,
}

impl Plant {
    /// A dataset, `in.h5`, of a capture, and an untrained model for it, `model.safetensors`.
    fn of(capture: &Path, mode: &str, config: ModelConfig, options: &[&str]) -> Plant {
        let plant = Plant { folder: tempfile::tempdir().unwrap() };
        let size = config.side.fragment_size().to_string();
        let build = ["dataset", "--fragment-size", &size, "-m", mode, "-o"];
        let run = pcapae(&build).arg(plant.path("in.h5")).args(options).arg(capture).output().unwrap();
        assert!(run.status.success(), "{}", stderr(&run));
        let model = Autoencoder::new(config, 3);
        fs::write(plant.path("model.safetensors"), model.to_safetensors().unwrap()).unwrap();
        plant
    }

    fn new(mode: &str, config: ModelConfig, options: &[&str]) -> Plant {
        let folder = tempfile::tempdir().unwrap();
        let packets: Vec<Vec<u8>> = (0..40).map(request).collect();
        let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
        Plant::of(&write_capture(folder.path(), "a.pcap", &packets), mode, config, options)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn explain(&self, options: &[&str]) -> Output {
        let mut run = pcapae(&["explain"]);
        run.arg(self.path("model.safetensors")).arg(self.path("in.h5")).args(options).output().unwrap()
    }

    fn json(&self, options: &[&str]) -> Value {
        let run = self.explain(&[options, &["--json"]].concat());
        assert!(run.status.success(), "{}", stderr(&run));
        serde_json::from_slice(&run.stdout).unwrap()
    }

    #[track_caller]
    fn refused(&self, options: &[&str], expected: &str) {
        let run = self.explain(options);
        assert_refused(&run, expected);
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn sum_of_bytes(json: &Value) -> f64 {
    json["relevance"].as_array().unwrap().iter().flat_map(numbers).sum()
}

/// What anyone can check: bytes and biases make the target, and so do the fields, since every byte is in one.
#[track_caller]
fn adds_up(json: &Value) {
    let value = json["target_value"].as_f64().unwrap();
    let bytes = sum_of_bytes(json);
    let sum = bytes + numbers(&json["bias_relevance"]).iter().sum::<f64>();
    assert!((sum - value).abs() < 1e-9, "{sum} {value}");
    assert_eq!(json["bias_relevance"].as_array().unwrap().len(), json["bias_places"].as_array().unwrap().len());
    let fields = json["fields"].as_array().unwrap();
    let total = |key: &str| fields.iter().map(|field| field[key].as_f64().unwrap()).sum::<f64>();
    assert!((total("relevance") - bytes).abs() < 1e-9, "{} {bytes}", total("relevance"));
    assert!((total("share") - 1.0).abs() < 1e-9, "{}", total("share"));
}

fn names(json: &Value) -> BTreeSet<String> {
    json["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

fn three_frames() -> ModelConfig {
    ModelConfig { frames: Frames::try_from(3).unwrap(), cell: Cell::Lstm, ..ModelConfig::new(Side::Sixteen) }
}

#[test]
fn the_numbers_add_up_and_fields_have_their_names() {
    let plant = Plant::new("packet", ModelConfig::new(Side::Sixteen), &[]);
    let json = plant.json(&["--packet", "7"]);
    assert_eq!((&json["fragment"], &json["frames"], &json["side"]), (&6.into(), &1.into(), &16.into()));
    assert_eq!((json["target"].as_str(), json["rule"].as_str()), (Some("score"), Some("gamma-box")));
    adds_up(&json);
    for name in ["Ethernet destination", "IPv4 source", "TCP flags", "Modbus function code", "Modbus value", "padding"]
    {
        assert!(names(&json).contains(name), "{name}: {:?}", names(&json));
    }
    for composite in ["plus-flat", "epsilon-plus", "epsilon"] {
        adds_up(&plant.json(&["--fragment", "6", "--composite", composite, "--target", "code:5"]));
    }
    adds_up(&plant.json(&[
        "--fragment",
        "6",
        "--rule",
        "alpha-beta:2",
        "--gates",
        "half",
        "--error",
        "reconstruction",
    ]));
    assert_eq!(plant.json(&["--fragment", "6", "--target", "brightest", "--method", "gradient"])["rule"], "gradient");
    for method in ["gradient-x-input", "integrated-gradients", "occlusion", "residual"] {
        assert_eq!(plant.json(&["--fragment", "6", "--method", method])["rule"], method);
    }
}

#[test]
fn packets_are_found_across_fragments_and_frames_in_byte_and_flow_mode() {
    let bytes = Plant::new("byte", three_frames(), &[]);
    let json = bytes.json(&["--packet", "20"]);
    assert_eq!(json["relevance"].as_array().unwrap().len(), 3);
    adds_up(&json);
    // Packets of 66 bytes do not end where fragments end: one begins in a fragment before the window.
    assert!(names(&json).contains("Modbus function code"));
    assert!(!names(&json).iter().any(|name| name.starts_with("payload")), "{:?}", names(&json));
    let flows = Plant::new("flow", three_frames(), &[]);
    let json = flows.json(&["--fragment", "0"]);
    adds_up(&json);
    assert!(names(&json).contains("Modbus function code") && names(&json).contains("TCP source port"));
    assert!(!names(&json).contains("IPv4 source"));
    assert_eq!(json["fields"][0]["packet"].as_u64().map(|packet| packet <= 40), Some(true));
}

#[test]
fn a_dataset_without_provenance_is_explained_without_fields() {
    let plant = Plant::new("packet", ModelConfig::new(Side::Sixteen), &["--layout", "original"]);
    let json = plant.json(&["--packet", "7"]);
    assert_eq!((json["fields"].as_array().map(Vec::len), &json["summary"]), (Some(0), &Value::Null));
    assert!(stdout(&plant.explain(&["--fragment", "3"])).contains("does not know which bytes are whose"));
}

#[test]
fn a_picture_and_a_file_of_numbers_are_written_whole_or_not_at_all() {
    let plant = Plant::new("packet", three_frames(), &[]);
    let (picture, numbers) = (plant.path("a.png"), plant.path("a.json"));
    let run = plant.explain(&["--packet", "9", "-o", picture.to_str().unwrap()]);
    assert!(run.status.success() && stdout(&run).is_empty(), "{}", stderr(&run));
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    assert!(plant.explain(&["--packet", "9", "-o", numbers.to_str().unwrap(), "-q"]).status.success());
    adds_up(&serde_json::from_slice(&fs::read(&numbers).unwrap()).unwrap());
    plant.refused(&["--packet", "9", "-o", picture.to_str().unwrap()], "exists already");
    plant.refused(&["--packet", "9", "-o", "a.gif"], "a.gif");
    plant.refused(&["--packet", "900", "-o", plant.path("b.png").to_str().unwrap()], "packet 900");
    assert!(!plant.path("b.png").exists());
    let model = plant.path("model.json");
    fs::copy(plant.path("model.safetensors"), &model).unwrap();
    let mut run = pcapae(&["explain"]);
    run.arg(&model).arg(plant.path("in.h5")).args(["--packet", "9", "--force", "-o"]).arg(&model);
    let run = run.output().unwrap();
    assert!(stderr(&run).contains("is an input"), "{}", stderr(&run));
}

#[test]
fn the_view_has_bytes_and_fields_and_no_colours_in_a_pipe() {
    let plant = Plant::new("packet", ModelConfig::new(Side::Sixteen), &[]);
    let run = plant.explain(&["--packet", "7", "--top", "3"]);
    let view = stdout(&run);
    assert!(view.starts_with("fragment 6 (packet 7): score "), "{view}");
    assert!(view.contains("0000  02 02 02 02 02 02 01 01") && view.contains("% of the relevance lies in"), "{view}");
    assert!(!view.contains('\x1b') && stderr(&run).is_empty(), "{view}");
}

#[test]
fn a_fitted_detector_is_explained_by_its_closed_form_or_by_sampling() {
    let plant = Plant::new("packet", ModelConfig::new(Side::Sixteen), &[]);
    let run = |arguments: &[&str], files: [&str; 3]| {
        let run = pcapae(arguments)
            .args([files[0], files[1]].map(|file| plant.path(file)))
            .arg("-o")
            .arg(plant.path(files[2]))
            .output();
        let run = run.unwrap();
        assert!(run.status.success(), "{}", stderr(&run));
    };
    run(&["encode"], ["model.safetensors", "in.h5", "codes.h5"]);
    let fit = |name: &str, yaml: &str, rows: &str| {
        fs::write(plant.path("blueprint.yaml"), yaml).unwrap();
        run(&["fit", "--force"], ["blueprint.yaml", rows, name]);
        format!("detector:{}", plant.path(name).display())
    };
    for yaml in [
        "OneClassSVM: {kernel: linear}",
        "OneClassSVM: {kernel: rbf}",
        "KNearestNeighbours: {n_neighbors: 3}",
        "LocalOutlierFactor: {n_neighbors: 5}",
        "Mahalanobis",
        "PrincipalComponents",
    ] {
        let target = fit("closed.safetensors", yaml, "codes.h5");
        let json = plant.json(&["--fragment", "7", "--target", &target]);
        let remark = json["remarks"][0].as_str().unwrap();
        assert!(json["target"] == "detector" && remark.ends_with("by a closed form"), "{yaml}: {json}");
        let value = json["target_value"].as_f64().unwrap();
        let sum = sum_of_bytes(&json) + numbers(&json["bias_relevance"]).iter().sum::<f64>();
        assert!((sum - value).abs() < 1e-3 * value.abs().max(1e-3), "{yaml}: {sum} is not {value}");
    }
    let forest = fit("forest.safetensors", "IsolationForest", "codes.h5");
    let json = plant.json(&["--packet", "7", "--target", &forest]);
    let remark = json["remarks"][0].as_str().unwrap();
    assert!(json["target"] == "detector, sampled" && remark.contains("by sampling, over 64 orders"), "{json}");
    let value = json["target_value"].as_f64().unwrap();
    let sum = sum_of_bytes(&json) + numbers(&json["bias_relevance"]).iter().sum::<f64>();
    assert!((sum - value).abs() < 1e-3 * value.abs(), "{sum} is not {value}");
    assert!(stdout(&plant.explain(&["--packet", "7", "--target", &forest])).contains("the mean of 40 codes of"));

    // Detectors of other rows, files that are none, and methods that a detector has not.
    let bytes = fit("bytes.safetensors", "Mahalanobis", "in.h5");
    plant.refused(&["--fragment", "1", "--target", &bytes], "but the detector was fitted to fragments");
    let none = format!("detector:{}", plant.path("in.h5").display());
    plant.refused(&["--fragment", "1", "--target", &none], "in.h5");
    plant.refused(&["--fragment", "1", "--target", &forest, "--method", "residual"], "method residual");
    let other = Autoencoder::new(ModelConfig::new(Side::Sixteen), 4);
    fs::write(plant.path("model.safetensors"), other.to_safetensors().unwrap()).unwrap();
    plant.refused(&["--fragment", "1", "--target", &forest], "but the detector was fitted to codes of 64 numbers");
    assert_eq!(plant.explain(&["--fragment", "1", "--target", "detector:"]).status.code(), Some(2));
}

#[test]
fn what_cannot_be_explained_is_refused_in_one_sentence() {
    let plant = Plant::new("packet", ModelConfig::new(Side::Sixteen), &[]);
    plant.refused(&["--fragment", "40"], "fragment 40: expected 0 to 39");
    plant.refused(&["--packet", "0"], "packet 0");
    plant.refused(&["--packet", "41"], "packet 41");
    plant.refused(&["--fragment", "1", "--target", "code:64"], "entry of the code 64");
    plant.refused(&["--fragment", "1", "--composite", "best"], "composite best");
    plant.refused(&["--fragment", "1", "--rule", "pass"], "rule pass");
    plant.refused(&["--fragment", "1", "--method", "residual", "--target", "code:1"], "method residual");
    // A model of another size, and files of other kinds.
    let other = Autoencoder::new(ModelConfig::new(Side::ThirtyTwo), 1);
    fs::write(plant.path("model.safetensors"), other.to_safetensors().unwrap()).unwrap();
    plant.refused(&["--fragment", "1"], "16 × 16 bytes");
    fs::copy(plant.path("in.h5"), plant.path("model.safetensors")).unwrap();
    plant.refused(&["--fragment", "1"], "cannot be read as a model");
    let plant = Plant::new("packet", ModelConfig::new(Side::Sixteen), &[]);
    fs::write(plant.path("in.h5"), "not a dataset").unwrap();
    plant.refused(&["--fragment", "1"], "in.h5 cannot be read as a dataset");
    // Wrong usage.
    assert_eq!(plant.explain(&[]).status.code(), Some(2));
    assert_eq!(plant.explain(&["--fragment", "1", "--packet", "1"]).status.code(), Some(2));
    assert_eq!(plant.explain(&["--fragment", "1", "--target", "codes"]).status.code(), Some(2));
    assert_eq!(plant.explain(&["--fragment", "1", "--rule", "best"]).status.code(), Some(2));
}

#[test]
fn fields_of_recorded_industrial_traffic_are_named() {
    for (capture, packet, expected) in [
        ("captures/ics/snap7.pcap", 13, "S7comm function"),
        ("captures/ics/enip_cip_example.pcap", 9, "EtherNet/IP command"),
        ("captures/igbe_dnp3/fit.pcap", 100, "DNP3 function code"),
    ] {
        let Some(capture) = test_needs::shared(capture) else { return };
        let plant = Plant::of(&capture, "packet", ModelConfig::new(Side::Sixteen), &[]);
        // Near that packet there is one with the protocol's own header.
        let found = (packet..packet + 20).any(|packet| {
            let json = plant.json(&["--packet", &packet.to_string(), "--method", "residual"]);
            names(&json).contains(expected)
        });
        assert!(found, "{expected} in {}", capture.display());
    }
}
