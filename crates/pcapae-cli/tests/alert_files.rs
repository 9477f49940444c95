//! The files of `pcapae detect -o FOLDER`, read back by other programs where they are there.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use support::{pcapae, sentence, stderr, write_capture};

/// Number of the odd packet in the second capture.
const ODD: usize = 5;

/// A Modbus/TCP request.
fn usual(i: usize) -> Vec<u8> {
    let ethernet = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let ip = [0x45, 0, 0, 52, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let tcp = [0xc0, 1, 1, 0xf6, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0];
    let modbus = [0, (i % 5) as u8, 0, 0, 0, 6, 1, 3, 0, 16, 0, 2];
    [&ethernet[..], &ip, &tcp, &modbus].concat()
}

struct Plant {
    folder: tempfile::TempDir,
    captures: [PathBuf; 2],
}

fn plant() -> Plant {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, packets: &[Vec<u8>]| {
        write_capture(folder.path(), name, &packets.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    let normal = write("normal.pcap", &(0..600).map(usual).collect::<Vec<_>>());
    let mut odd: Vec<Vec<u8>> = (0..20).map(usual).collect();
    odd[ODD - 1][54..].fill(0xee);
    let captures = [write("first.pcap", &(0..10).map(usual).collect::<Vec<_>>()), write("second.pcap", &odd)];
    let bundle = folder.path().join("plant.pcapae");
    let learn = ["learn", "--detectors", "histograms,lengths", "-o"];
    let run = pcapae(&learn).arg(&bundle).arg(&normal).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    Plant { folder, captures }
}

impl Plant {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn detect(&self, further: &[&str]) -> Output {
        let mut detect = pcapae(&["detect"]);
        detect.arg(self.path("plant.pcapae")).args(&self.captures).arg("-o").arg(self.path("alerts")).args(further);
        detect.output().unwrap()
    }

    fn detected(&self) -> Vec<Value> {
        let run = self.detect(&["--syslog", "--cef"]);
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        let lines = fs::read_to_string(self.path("alerts/alerts.jsonl")).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn a_line_says_which_packet_of_which_capture() {
    let plant = plant();
    let events = plant.detected();
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    let detail = &event["pcapae"];
    assert_eq!((&detail["first_packet"], &detail["packets"]), (&(10 + ODD).into(), &vec![10 + ODD].into()), "{event}");
    assert_eq!(
        (&detail["kind"], &detail["findings"][0]["kind"]),
        (&detail["causes"][0]["kind"], &"PositionHistogram/score".into())
    );
    assert!(detail["reason"].as_str().unwrap().starts_with("10.0.0.1 → 10.0.0.2 Modbus"), "{event}");
    assert_eq!(event["pcap_cnt"], ODD);
    assert!(event["pcap_filename"].as_str().unwrap().ends_with("second.pcap"));
    assert_eq!((&event["src_ip"], &event["dest_port"]), (&"10.0.0.1".into(), &502.into()));
    for (name, begin) in [("alerts.syslog", "<108>1 2023-"), ("alerts.cef", "CEF:0|pcapae|")] {
        let text = fs::read_to_string(plant.path("alerts").join(name)).unwrap();
        assert!(text.lines().count() == 1 && text.starts_with(begin), "{text}");
    }
}

#[test]
fn the_fields_that_mattered_are_told_where_the_captures_are_read_twice() {
    let plant = plant();
    let event = &plant.detected()[0];
    let fields = event["pcapae"]["top_fields"].as_array().unwrap();
    let share = |field: &Value| field["share"].as_f64().unwrap();
    assert!(!fields.is_empty() && fields.len() <= 8, "{event}");
    assert!(fields.windows(2).all(|pair| share(&pair[0]) >= share(&pair[1])), "{event}");
    // All bytes from the Modbus header on are odd, and the first of it tells no protocol any more.
    assert!(fields.iter().all(|field| field["name"].as_str().unwrap().starts_with("Modbus")), "{event}");
    let run = pcapae(&["detect", "--json"]).arg(plant.path("plant.pcapae")).args(&plant.captures).output().unwrap();
    let line: Value = serde_json::from_str(String::from_utf8_lossy(&run.stdout).lines().next().unwrap()).unwrap();
    assert!(line["pcapae"]["top_fields"].is_null(), "{line}");
}

#[test]
fn lengths_on_the_wire_and_interfaces_are_kept() {
    let plant = plant();
    // A pcapng with two interfaces: the odd packet comes from the second, and was cut when it was captured.
    let mut odd = usual(0);
    odd[54..].fill(0xee);
    let block = |kind: u32, body: &[u8]| {
        let body = [body, &vec![0; body.len().next_multiple_of(4) - body.len()]].concat();
        let length = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &body, &length].concat()
    };
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let packet = |interface: u32, data: &[u8], wire: u32| {
        let head = words(&[interface, 0x0006_0000, 0, data.len() as u32, wire]);
        block(6, &[&head[..], data].concat())
    };
    let parts = [
        block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX])),
        block(1, &words(&[1, 0])),
        block(1, &words(&[1, 0])),
        packet(0, &usual(1), 66),
        packet(1, &odd, 1514),
        packet(0, &odd, 66),
    ];
    let capture = plant.path("third.pcapng");
    fs::write(&capture, parts.concat()).unwrap();
    let run = pcapae(&["detect"])
        .arg(plant.path("plant.pcapae"))
        .args([&plant.captures[1], &capture])
        .arg("-o")
        .arg(plant.path("alerts"))
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let written = plant.path("alerts/alerts.pcapng");
    let mut captures = pcapae::capture::Captures::open(std::slice::from_ref(&written)).unwrap();
    let mut found = Vec::new();
    while let Some(packet) = captures.next_packet().unwrap() {
        found.push((packet.interface, packet.wire_length, packet.data.len()));
    }
    let last_three: Vec<_> = found.iter().rev().take(2).rev().copied().collect();
    assert_eq!(found[0], (0, 66, 66), "{found:?}");
    assert_eq!(last_three, [(1, 1514, 66), (2, 66, 66)], "{found:?}");
    let fields = ["frame.len", "frame.cap_len", "frame.interface_description"];
    let Some(text) = tshark(&written, &fields) else { return };
    let cut: Vec<&str> = text.lines().find(|line| line.starts_with("1514")).unwrap().split('\t').collect();
    assert_eq!(cut[1], "66");
    assert!(cut[2].starts_with("interface 1 of ") && cut[2].ends_with("third.pcapng"), "{text}");
}

#[test]
fn every_line_is_what_the_schema_says() {
    let plant = plant();
    plant.detected();
    let Some(python) = test_needs::python(&["jsonschema"]) else { return };
    let check = "import json, sys, jsonschema\nfor line in open(sys.argv[2]): jsonschema.validate(json.loads(line), json.load(open(sys.argv[1])))";
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/alerts.schema.json");
    python.run(check, [Path::new(schema), &plant.path("alerts/alerts.jsonl")], "");
}

/// The fields of every packet, as tshark reads them; `None` where it is not there.
#[track_caller]
fn tshark(capture: &Path, fields: &[&str]) -> Option<String> {
    let tshark = test_needs::program("PCAPAE_TEST_TSHARK", &["tshark"])?;
    let fields = fields.iter().flat_map(|field| ["-e", field]);
    let run = Command::new(tshark).args(["-T", "fields"]).args(fields).arg("-r").arg(capture).output().unwrap();
    assert!(run.status.success(), "{}", stderr(&run));
    Some(String::from_utf8(run.stdout).unwrap())
}

#[test]
fn tshark_reads_the_odd_packet_with_its_time_and_the_reason() {
    let plant = plant();
    let count = plant.detected()[0]["pcapae"]["packets"].as_array().unwrap().len();
    let fields = ["frame.time_epoch", "frame.len", "frame.comment", "ip.src"];
    let Some(text) = tshark(&plant.path("alerts/alerts.pcapng"), &fields) else { return };
    assert_eq!(text.lines().count(), count);
    let cells: Vec<&str> = text.lines().next().unwrap().split('\t').collect();
    let in_capture = tshark(&plant.captures[1], &["frame.time_epoch"]).unwrap();
    let time = |text: &str| text.trim_end_matches('0').to_owned();
    assert_eq!(time(cells[0]), time(in_capture.lines().nth(ODD - 1).unwrap()));
    assert_eq!((cells[1], cells[3]), ("66", "10.0.0.1"));
    assert!(
        cells[2].starts_with(&format!(
            "pcapae alert 1 (PositionHistogram/score), packet {}: 10.0.0.1 → 10.0.0.2 ",
            10 + ODD
        )),
        "{text}"
    );
}

#[test]
fn what_is_there_is_kept_and_standard_input_is_refused() {
    let plant = plant();
    let first = plant.detected();
    let run = plant.detect(&[]);
    assert_eq!(run.status.code(), Some(1));
    sentence(&run);
    assert!(stderr(&run).contains("--force"), "{}", stderr(&run));
    assert_eq!(plant.detect(&["--syslog", "--cef", "--force"]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(plant.path("alerts/alerts.jsonl")).unwrap().lines().count(), first.len());

    let run = pcapae(&["detect"]).arg(plant.path("plant.pcapae")).args(["-", "-o"]).arg(plant.path("other")).output();
    let run = run.unwrap();
    assert_eq!(run.status.code(), Some(1));
    sentence(&run);
    assert!(stderr(&run).contains("read twice") && !plant.path("other").exists(), "{}", stderr(&run));
}
