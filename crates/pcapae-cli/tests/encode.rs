//! `pcapae encode` and `pcapae export` as a user runs them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use pcapae::code::Codes;
use pcapae::fragment::Mode;
use pcapae::label::Label;
use pcapae::model::{Autoencoder, Frames, ModelConfig, Side};
use support::{pcapae, sentence, stderr, write_capture};

/// A folder with a dataset, `in.h5`, of 40 packets in fragments of 256 bytes, those from 20 on anomalous.
struct Plant {
    folder: tempfile::TempDir,
}

impl Plant {
    fn new(options: &[&str]) -> Plant {
        let folder = tempfile::tempdir().unwrap();
        let packets: Vec<Vec<u8>> = (0..40usize).map(|i| (0..60 + i).map(|byte| (byte * i) as u8).collect()).collect();
        let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
        let capture = write_capture(folder.path(), "a.pcap", &packets);
        let labels = folder.path().join("labels.csv");
        fs::write(&labels, "-1\n".repeat(20) + &"1\n".repeat(20)).unwrap();
        let plant = Plant { folder };
        let build = ["dataset", "--fragment-size", "256", "-m", "packet", "-g", labels.to_str().unwrap(), "-o"];
        let run = pcapae(&build).arg(plant.path("in.h5")).args(options).arg(capture).output().unwrap();
        assert!(run.status.success(), "{}", stderr(&run));
        plant
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn model(&self, frames: usize) -> Autoencoder {
        let frames = Frames::try_from(frames).unwrap();
        let model = Autoencoder::new(ModelConfig { frames, ..ModelConfig::new(Side::Sixteen) }, 3);
        fs::write(self.path("model.safetensors"), model.to_safetensors().unwrap()).unwrap();
        fs::write(self.path("bare.safetensors"), model.to_safetensors_with(&[], &[]).unwrap()).unwrap();
        model
    }

    fn encode(&self, model: &str, options: &[&str]) -> Output {
        let mut run = pcapae(&["encode"]);
        run.arg(self.path(model)).arg(self.path("in.h5")).arg("-o").arg(self.path("codes.h5")).args(options);
        run.output().unwrap()
    }

    /// Codes of a run that must succeed.
    fn codes(&self, model: &str, options: &[&str]) -> Codes {
        let run = self.encode(model, options);
        assert!(run.status.success(), "{}", stderr(&run));
        Codes::open(&self.path("codes.h5")).unwrap()
    }

    #[track_caller]
    fn refused(&self, model: &str, options: &[&str], expected: &str) {
        let run = self.encode(model, options);
        assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
        assert!(stderr(&run).contains(expected), "{expected:?} is not in {}", stderr(&run));
        sentence(&run);
        assert!(!self.path("codes.h5").exists());
    }
}

#[test]
fn codes_come_with_their_packets_and_labels() {
    let plant = Plant::new(&[]);
    plant.model(3);
    let codes = plant.codes("model.safetensors", &["--stride", "2", "-t", "1"]);
    assert_eq!((codes.len(), codes.width()), (19, 64));
    let description = codes.description().unwrap();
    assert_eq!((description.mode, description.frames, description.stride), (Some(Mode::Packet), 3, 2));
    let origin = codes.origin(9).unwrap();
    assert_eq!((origin.first_packet, origin.last_packet, origin.label), (19, 21, Label::Anomalous));
    assert_eq!(codes.origin(8).unwrap().label, Label::Normal);
}

#[test]
fn weights_without_a_configuration_give_the_same_codes() {
    for options in [&[][..], &["--layout", "original"]] {
        let plant = Plant::new(options);
        plant.model(2);
        let codes = plant.codes("model.safetensors", &[]).values().to_vec();
        assert_eq!(plant.codes("bare.safetensors", &["--frames", "2", "--force"]).values(), codes);
    }
}

#[test]
fn a_bundle_gives_codes_of_its_model() {
    let plant = Plant::new(&["--mask", "volatile"]);
    let learn = ["learn", "--epochs", "1", "-o"];
    let run = pcapae(&learn).arg(plant.path("plant.pcapae")).arg(plant.path("a.pcap")).output().unwrap();
    assert!(run.status.success(), "{}", stderr(&run));
    assert_eq!(plant.codes("plant.pcapae", &["--quiet"]).len(), 40);
}

#[test]
fn what_cannot_be_encoded_is_refused_in_one_sentence() {
    let plant = Plant::new(&[]);
    plant.model(3);
    let other = Autoencoder::new(ModelConfig::new(Side::ThirtyTwo), 3).to_safetensors().unwrap();
    fs::write(plant.path("other.safetensors"), other).unwrap();
    plant.refused("other.safetensors", &[], "16 × 16 bytes, but the model has an input of 32 × 32 bytes");
    plant.refused("model.safetensors", &["--frames", "2"], "expected 3, as the model was trained");
    plant.refused("bare.safetensors", &[], "its number of frames is missing");
    plant.refused("bare.safetensors", &["--frames", "41"], "shorter than 41 frames");
    plant.refused("absent.safetensors", &[], "absent.safetensors");
    plant.refused("a.pcap", &[], "a.pcap cannot be read as a model");
    fs::write(plant.path("codes.h5"), "precious").unwrap();
    let run = plant.encode("model.safetensors", &[]);
    assert_eq!(run.status.code(), Some(1));
    assert!(stderr(&run).contains("--force"), "{}", stderr(&run));
    assert_eq!(fs::read(plant.path("codes.h5")).unwrap(), b"precious");
}

#[test]
fn the_number_of_threads_changes_no_byte_of_the_codes() {
    let plant = Plant::new(&[]);
    plant.model(3);
    let bytes = |threads| {
        plant.codes("model.safetensors", &["--force", "-t", threads]);
        fs::read(plant.path("codes.h5")).unwrap()
    };
    assert!(bytes("1") == bytes("3"));
}

fn export(model: &Path, to: &Path, options: &[&str]) -> Output {
    pcapae(&["export"]).arg(model).arg("-o").arg(to).args(options).output().unwrap()
}

#[test]
fn a_model_is_exported_in_either_format() {
    let plant = Plant::new(&[]);
    let model = plant.model(2);
    let (from, to) = (plant.path("bare.safetensors"), plant.path("out"));
    let run = export(&from, &to, &["--frames", "2", "--format", "safetensors"]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(fs::read(&to).unwrap() == model.to_safetensors().unwrap());
    let run = export(&from, &to, &["--frames", "2"]);
    assert_eq!(run.status.code(), Some(1));
    sentence(&run);
    let sizes = ["encoder", "autoencoder"].map(|part| {
        let run = export(&from, &to, &["--frames", "2", "--part", part, "--force"]);
        assert!(run.status.success(), "{}", stderr(&run));
        fs::metadata(&to).unwrap().len()
    });
    assert!(sizes[0] < sizes[1]);
    let run = export(&from, &to, &["--frames", "2", "--part", "encoder", "--format", "safetensors", "--force"]);
    assert_eq!(run.status.code(), Some(1));
    sentence(&run);
}

/// The encoder's codes by ONNX Runtime against those of `pcapae encode`, both as files.
const COMPARE: &str = r#"
import sys, h5py, numpy as np, onnxruntime
onnx, dataset, codes = sys.argv[1:]
fragments = h5py.File(dataset)["fragments"][:].astype(np.float32) / 255
frames = np.stack([fragments[:-1], fragments[1:]], axis=1)[:, :, None]
got, = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"]).run(None, {"frames": frames})
expected = h5py.File(codes)["codes"][:]
assert got.shape == expected.shape and np.abs(got - expected).max() < 1e-4, np.abs(got - expected).max()
"#;

#[test]
fn an_exported_encoder_gives_the_codes_of_encode() {
    let Some(python) = test_needs::python(&["h5py", "onnxruntime"]) else { return };
    let plant = Plant::new(&[]);
    plant.model(2);
    plant.codes("model.safetensors", &[]);
    let onnx = plant.path("encoder.onnx");
    assert!(export(&plant.path("model.safetensors"), &onnx, &["--part", "encoder"]).status.success());
    let files = [onnx, plant.path("in.h5"), plant.path("codes.h5")];
    python.run(COMPARE, files, "");
}
