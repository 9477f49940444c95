//! `pcapae explain --alert` as a user runs it.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::Value;
use support::{assert_refused, pcapae, sentence, stderr, stdout, write_capture};

/// Where the function code of [`usual`] lies.
const FUNCTION: usize = 61;

/// A Modbus/TCP request between two hosts that nobody else talks to.
fn usual(i: usize) -> Vec<u8> {
    let ethernet = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let ip = [0x45, 0, 0, 52, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let tcp = [0xc0, 1, 1, 0xf6, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0];
    let modbus = [0, (i % 5) as u8, 0, 0, 0, 6, 1, 3, 0, 16, 0, 2];
    [&ethernet[..], &ip, &tcp, &modbus].concat()
}

struct Plant {
    folder: tempfile::TempDir,
    capture: PathBuf,
}

/// Three packets in a row, and one much later, have another function code.
fn is_odd(number: usize) -> bool {
    (101..104).contains(&number) || number == 2000
}

fn plant(options: &[&str]) -> Plant {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, packets: &[Vec<u8>]| {
        write_capture(folder.path(), name, &packets.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    let normal = write("normal.pcap", &(0..600).map(usual).collect::<Vec<_>>());
    let odd = |number: usize| {
        let mut packet = usual(number);
        if is_odd(number) {
            packet[FUNCTION] = 0xfe;
        }
        packet
    };
    let capture = write("today.pcap", &(1..=2200).map(odd).collect::<Vec<_>>());
    let plant = Plant { folder, capture };
    let run = pcapae(&["learn", "--epochs", "12", "--margin", "1", "-o"])
        .arg(plant.path("plant.pcapae"))
        .arg(normal)
        .args(options)
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    plant
}

impl Plant {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn explain(&self, options: &[&str]) -> Output {
        let mut run = pcapae(&["explain"]);
        run.arg(self.path("plant.pcapae")).arg(&self.capture).args(options).output().unwrap()
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

    /// The events that detect prints.
    fn events(&self) -> Vec<Value> {
        let run = pcapae(&["detect", "--json"]).arg(self.path("plant.pcapae")).arg(&self.capture).output().unwrap();
        let lines: Vec<Value> = stdout(&run).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.into_iter().filter(|line| line["event_type"] == "alert").collect()
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

#[test]
fn an_alert_is_explained_by_the_number_that_detect_gives_it() {
    let plant = plant(&[]);
    let events = plant.events();
    let found = events.iter().find(|event| event["pcapae"]["first_packet"] == 101).unwrap();
    let number = found["pcapae"]["number"].as_u64().unwrap().to_string();
    let json = plant.json(&["--alert", &number]);
    assert_eq!(json["alert"], found["pcapae"]["number"]);
    assert_eq!(json["packets"], found["pcapae"]["packets"]);
    assert_eq!(json["explained"], json["packets"]);
    let windows = json["windows"].as_array().unwrap();
    assert_eq!(windows.len(), json["packets"].as_array().unwrap().len());
    // In every window relevance adds up to the score; over all of them shares add up to 1, weighted by how much relevance there is.
    let (mut all, mut of_function) = (0.0, 0.0);
    for window in windows {
        let relevance: Vec<f64> = window["relevance"].as_array().unwrap().iter().flat_map(numbers).collect();
        let sum = relevance.iter().sum::<f64>() + numbers(&window["bias_relevance"]).iter().sum::<f64>();
        assert!((sum - window["target_value"].as_f64().unwrap()).abs() < 1e-9);
        all += relevance.iter().map(|r| r.abs()).sum::<f64>();
        of_function += relevance[FUNCTION].abs();
    }
    let fields = json["fields"].as_array().unwrap();
    let share = |field: &Value| field["share"].as_f64().unwrap();
    assert!((fields.iter().map(share).sum::<f64>() - 1.0).abs() < 1e-9);
    let functions = fields.iter().filter(|field| field["name"] == "Modbus function code");
    assert!((functions.map(share).sum::<f64>() - of_function / all).abs() < 1e-9);
    let summary = json["summary"].as_str().unwrap();
    assert!(summary.contains("% of the relevance lies in") && summary.ends_with("packets 101–2,000"), "{summary}");
    // Of the score itself, the planted byte has more than the bytes beside it.
    let json = plant.json(&["--alert", &number, "--method", "residual"]);
    let of_name = |name: &str| {
        let fields = json["fields"].as_array().unwrap().iter().filter(|field| field["name"] == name);
        fields.map(share).sum::<f64>()
    };
    let beside = ["Modbus unit", "Modbus register address", "Modbus length"].map(of_name);
    assert!(beside.iter().all(|other| of_name("Modbus function code") > *other), "{json}");
}

#[test]
fn an_alert_is_shown_drawn_and_bounded() {
    let plant = plant(&[]);
    let view = stdout(&plant.explain(&["--alert", "1", "--packets", "2"]));
    assert!(view.starts_with("alert 1 (packets 101-2000), packet 10"), "{view}");
    assert!(view.contains("explained are 2 packets of 4") && view.contains("% of the relevance lies in"), "{view}");
    assert!(view.contains("ClosedPositions") && view.contains("0000  02 00 00 00 00 02"), "{view}");
    let (picture, numbers) = (plant.path("a.png"), plant.path("a.json"));
    let run = plant.explain(&["--alert", "1", "-o", picture.to_str().unwrap()]);
    assert!(run.status.success() && stdout(&run).is_empty(), "{}", stderr(&run));
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    assert!(plant.explain(&["--alert", "1", "-q", "-o", numbers.to_str().unwrap()]).status.success());
    let json: Value = serde_json::from_slice(&fs::read(&numbers).unwrap()).unwrap();
    assert_eq!(json["windows"][0]["frames"], 1);
}

#[test]
fn in_byte_mode_with_several_frames_alerts_are_explained_too() {
    let plant = plant(&["-m", "byte", "--frames", "2"]);
    let json = plant.json(&["--alert", "1"]);
    for window in json["windows"].as_array().unwrap() {
        assert_eq!((&window["frames"], window["relevance"].as_array().unwrap().len()), (&2.into(), 2));
        let packets = window["packets"].as_array().unwrap();
        assert!(packets.iter().any(|packet| json["explained"].as_array().unwrap().contains(packet)), "{packets:?}");
    }
    assert!(json["fields"].as_array().unwrap().iter().any(|field| field["name"] == "Modbus function code"));
}

#[test]
fn what_cannot_be_explained_is_refused_and_leaves_nothing() {
    let plant = plant(&["--detectors", "position-histogram"]);
    plant.refused(&["--alert", "1"], "its model is missing");
    let plant = self::plant(&[]);
    let picture = plant.path("a.png");
    assert_eq!(plant.events().len(), 1);
    plant.refused(
        &["--alert", "0", "-o", picture.to_str().unwrap()],
        "alert 0: expected 1, the only one that detect raises",
    );
    plant.refused(&["--alert", "99"], "alert 99");
    assert!(!picture.exists());
    assert_eq!(plant.explain(&["--alert", "1", "--packet", "1"]).status.code(), Some(2));
    assert_eq!(plant.explain(&["--packet", "1", "--packets", "1"]).status.code(), Some(2));
    let mut piped = pcapae(&["explain", "--alert", "1"]);
    let run = piped.arg(plant.path("plant.pcapae")).arg("-").stdin(Stdio::null()).output().unwrap();
    assert!(run.status.code() == Some(1) && stderr(&run).contains("read twice"), "{}", stderr(&run));
    let other = plant.path("other.pcap");
    fs::write(&other, "no capture").unwrap();
    let run = pcapae(&["explain", "--alert", "1"]).arg(plant.path("plant.pcapae")).arg(&other).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    sentence(&run);
    // A quiet capture raises none.
    let quiet = write_capture(plant.folder.path(), "quiet.pcap", &[&usual(0)]);
    let run = pcapae(&["explain", "--alert", "1"]).arg(plant.path("plant.pcapae")).arg(quiet).output().unwrap();
    assert!(run.status.code() == Some(1) && stderr(&run).contains("it raises none"), "{}", stderr(&run));
}
