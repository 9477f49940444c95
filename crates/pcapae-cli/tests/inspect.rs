//! `pcapae inspect` as a user runs it.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use support::{pcapae, sentence, stderr, stdout, write_capture};

/// A UDP packet between two hosts of a plant.
fn udp(from: u8, to: u8, port: u16, length: usize) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    let link = [2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0];
    let ip = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, from, 10, 0, 0, to];
    let mut packet = [&link[..], &ip, &[0xc0, 0, high, low, 0, 8, 0, 0]].concat();
    packet.resize(length, 0);
    packet
}

fn capture(folder: &Path, name: &str, packets: &[Vec<u8>]) -> PathBuf {
    write_capture(folder, name, &packets.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

struct Plant {
    folder: tempfile::TempDir,
    normal: PathBuf,
    attacked: PathBuf,
}

fn plant() -> Plant {
    let folder = tempfile::tempdir().unwrap();
    let mut packets: Vec<Vec<u8>> =
        (0..300).map(|i| if i % 3 == 0 { udp(1, 2, 53, 80) } else { udp(2, 1, 47_808, 60) }).collect();
    let normal = capture(folder.path(), "normal.pcap", &packets);
    packets.truncate(100);
    packets.extend((0..100).map(|i| udp(9, 1, 20_001 + i, 42)));
    // Malformed: there is no IP of version 3.
    packets.push([&udp(9, 1, 53, 60)[..14], &[0x30; 46]].concat());
    let attacked = capture(folder.path(), "attacked.pcap", &packets);
    Plant { folder, normal, attacked }
}

fn inspect(arguments: &[&Path], further: &[&str]) -> Output {
    pcapae(&["inspect"]).args(arguments).args(further).output().unwrap()
}

fn json(run: &Output) -> Value {
    assert_eq!(run.status.code(), Some(0), "{}", stderr(run));
    serde_json::from_str(&stdout(run)).unwrap()
}

/// The packets of a name in a list of counts.
fn packets(counts: &Value, name: &str) -> u64 {
    let list = counts["list"].as_array().unwrap();
    list.iter().find(|item| item["name"] == name).map_or(0, |item| item["packets"].as_u64().unwrap())
}

#[test]
fn everything_in_a_capture_is_counted() {
    let plant = plant();
    let found = json(&inspect(&[&plant.normal], &["--json"]));
    assert_eq!((&found["packets"], &found["bytes"]), (&300.into(), &(100 * 80 + 200 * 60).into()));
    assert_eq!(found["seconds"], 2.99);
    assert_eq!(packets(&found["services"], "UDP BACnet"), 200);
    assert_eq!(packets(&found["services"], "UDP DNS"), 100);
    assert_eq!(packets(&found["conversations"], "10.0.0.1 10.0.0.2"), 300);
    let host = &found["hosts"]["list"][0];
    assert_eq!((&host["name"], &host["sent"], &host["received"]), (&"10.0.0.1".into(), &100.into(), &200.into()));
    assert_eq!(found["sizes"]["packets"], serde_json::json!([[60, 200], [80, 100]]));
    let bins = found["timeline"]["packets"].as_array().unwrap();
    assert_eq!(bins.iter().map(|bin| bin.as_u64().unwrap()).sum::<u64>(), 300);
    let bytes = found["byte_values"]["counts"].as_array().unwrap();
    assert_eq!(bytes.iter().map(|count| count.as_u64().unwrap()).sum::<u64>(), found["bytes"]);
    assert_eq!(found["gaps"][0]["nanoseconds"], 10_000_000);
    assert_eq!(found["left_out"], serde_json::json!({}));

    let text = stdout(&inspect(&[&plant.attacked], &[]));
    for word in ["Overview", "UDP BACnet", "10.0.0.9", "malformed", "entropy of bytes", "42 bytes"] {
        assert!(text.contains(word), "{word:?} is not in\n{text}");
    }
    assert!(!text.contains('\x1b'), "colours in a pipe");
}

#[test]
fn two_captures_stand_side_by_side() {
    let plant = plant();
    let compare = ["--compare", plant.attacked.to_str().unwrap()];
    let found = json(&inspect(&[&plant.normal], &[&compare[..], &["--json"]].concat()));
    let comparison = &found["comparison"];
    assert_eq!(comparison["hosts"][0], serde_json::json!({ "different": 0, "packets": 0 }));
    assert!(comparison["hosts"][1]["different"].as_u64().unwrap() >= 1, "{comparison}");
    assert_eq!(comparison["services"][1]["different"], 101);
    assert_eq!(comparison["sizes"][1], serde_json::json!({ "different": 1, "packets": 100 }));
    let same = json(&inspect(&[&plant.normal], &["--compare", plant.normal.to_str().unwrap(), "--json"]));
    for distance in same["comparison"]["distances"].as_object().unwrap().values() {
        assert!(distance.as_f64().unwrap() < 1e-12, "{distance}");
    }
    let text = stdout(&inspect(&[&plant.normal], &compare));
    let host = text.lines().find(|line| line.contains("10.0.0.9") && !line.contains('–')).unwrap();
    assert!(host.trim_end().ends_with("second"), "{host}");
    assert!(text.contains("Jensen-Shannon"), "{text}");
}

#[test]
fn the_folder_holds_a_page_a_picture_and_the_numbers() {
    let plant = plant();
    let folder = plant.folder.path().join("inspection");
    let further = ["--compare", plant.attacked.to_str().unwrap(), "-o", folder.to_str().unwrap(), "--quiet"];
    let run = inspect(&[&plant.normal], &further);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let page = fs::read_to_string(folder.join("inspection.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("10.0.0.9"), "{page}");
    assert!(!page.contains("http") && !page.contains("<script"), "the page asks for something");
    assert!(fs::read(folder.join("inspection.png")).unwrap().starts_with(b"\x89PNG"));
    let numbers: Value = serde_json::from_str(&fs::read_to_string(folder.join("inspection.json")).unwrap()).unwrap();
    assert_eq!(numbers["second"]["packets"], 201);
    let again = inspect(&[&plant.normal], &further);
    assert_eq!(again.status.code(), Some(1));
    sentence(&again);
    assert_eq!(inspect(&[&plant.normal], &[&further[..], &["--force"]].concat()).status.code(), Some(0));
}

#[test]
fn damage_is_a_warning_and_what_is_no_capture_is_refused() {
    let plant = plant();
    let bytes = fs::read(&plant.normal).unwrap();
    let cut = plant.folder.path().join("cut.pcap");
    fs::write(&cut, &bytes[..bytes.len() - 30]).unwrap();
    let run = inspect(&[&cut], &["--json"]);
    assert_eq!(json(&run)["packets"], 299);
    assert!(stderr(&run).contains("the capture ends within"), "{}", stderr(&run));
    let none = capture(plant.folder.path(), "none.pcap", &[]);
    let found = json(&inspect(&[&none], &["--compare", plant.normal.to_str().unwrap(), "--json"]));
    assert!(found["first"]["seconds"].is_null() && found["comparison"]["distances"]["hosts"].is_null(), "{found}");

    let text = plant.folder.path().join("text");
    fs::write(&text, "this is no capture\n").unwrap();
    let folder = plant.folder.path().join("folder");
    for arguments in [vec![text.as_path()], vec![&plant.folder.path().join("absent")]] {
        let run = inspect(&arguments, &["-o", folder.to_str().unwrap()]);
        assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(1), ""), "{}", stderr(&run));
        sentence(&run);
        assert!(!folder.exists());
    }
    let twice = inspect(&[Path::new("-")], &["--compare", "-"]);
    assert!(stderr(&twice).contains("only once"), "{}", stderr(&twice));
}

#[test]
fn captures_of_every_kind_end_in_tables_or_in_one_sentence() {
    let Some(folder) = test_needs::shared("captures/robust") else { return };
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let run = inspect(&[&path], &["--quiet", "--compare", path.to_str().unwrap()]);
        match run.status.code() {
            Some(0) => assert!(stdout(&run).contains("Overview"), "{}", path.display()),
            Some(1) => sentence(&run),
            code => assert_eq!(code, Some(0), "{}: {}", path.display(), stderr(&run)),
        }
    }
}
