//! `pcapae detect --report` and `pcapae report`: the page is whole, keeps to itself, and can be used.

#![allow(clippy::unwrap_used, reason = "this is test code")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use support::{pcapae, sentence, stderr, stdout, write_capture};

/// What a browser would run if a file's name were not escaped.
const NASTY: &str = "<img src=x onerror=pwned=1>&\"'{{ 1 }}.pcap";

/// A Modbus/TCP request, as one master asks all day.
fn usual(i: usize) -> Vec<u8> {
    let ethernet = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let ip = [0x45, 0, 0, 52, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let tcp = [0xc0, 1, 0x01, 0xf6, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0];
    let modbus = [0, (i % 5) as u8, 0, 0, 0, 6, 1, 3, 0, 16, 0, 2];
    [&ethernet[..], &ip, &tcp, &modbus].concat()
}

/// The same with a function code that nobody uses, and much behind it that would end a script if it could.
fn odd() -> Vec<u8> {
    let mut packet = usual(0);
    packet[61] = 0x5a;
    packet.extend(b"</script><script>pwned=1</script>".repeat(10));
    packet
}

struct Plant {
    folder: tempfile::TempDir,
    bundle: PathBuf,
    capture: PathBuf,
    labels: PathBuf,
}

fn plant() -> Plant {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, packets: &[Vec<u8>]| {
        write_capture(folder.path(), name, &packets.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    let normal = write("normal.pcap", &(0..600).map(usual).collect::<Vec<_>>());
    let is_odd = |i: usize| (101..105).contains(&i) || i == 2000;
    let packets: Vec<Vec<u8>> = (1..=2200).map(|i| if is_odd(i) { odd() } else { usual(i) }).collect();
    let capture = write(NASTY, &packets);
    let labels = folder.path().join("labels.csv");
    fs::write(&labels, (1..=2200).map(|i| if is_odd(i) { "1\n" } else { "-1\n" }).collect::<String>()).unwrap();
    let bundle = folder.path().join("plant.pcapae");
    let run = pcapae(&["learn", "--epochs", "2", "-o"]).args([&bundle, &normal]).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    Plant { folder, bundle, capture, labels }
}

impl Plant {
    fn place(&self) -> PathBuf {
        self.folder.path().join("report.html")
    }

    fn report(&self, further: &[&str]) -> Output {
        let (place, labels) = (self.place(), self.labels.to_str().unwrap());
        pcapae(&["detect", "-g", labels, "--report"])
            .args([&place, &self.bundle, &self.capture])
            .args(further)
            .output()
            .unwrap()
    }
}

/// The data that the page's script draws.
fn data(page: &str) -> serde_json::Value {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn the_report_is_whole_and_keeps_to_itself() {
    let plant = plant();
    let run = plant.report(&[]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let page = fs::read_to_string(plant.place()).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    for outside in ["http://", "https://", "src=\"", "url(", "@import", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(outside), "{outside} is in the page");
    }
    let data = data(&page);
    assert_eq!(data["timeline"]["packets"], 2200);
    let events = data["events"].as_array().unwrap();
    let of_packet = |number: u64| {
        let mut packets = events.iter().flat_map(|event| event["packets"].as_array().unwrap());
        packets.find(|packet| packet["number"] == number).unwrap()
    };
    for number in [101, 102, 103, 104] {
        let packet = of_packet(number);
        assert_eq!((&packet["length"], &packet["label"]), (&odd().len().into(), &"anomalous".into()));
        let heat = packet["heat"].as_array().unwrap();
        let detectors: Vec<&str> = heat.iter().map(|heat| heat["detector"].as_str().unwrap()).collect();
        assert!(detectors.contains(&"Autoencoder") && detectors.contains(&"ClosedPositions"), "{detectors:?}");
        assert!(heat.iter().all(|heat| heat["hottest"].as_f64().unwrap() > 0.0), "{heat:?}");
        assert!(packet["fields"].as_array().unwrap().iter().any(|field| field[0] == "ip-id"), "{packet}");
    }
    for counted in [
        "of 2200</dd>",
        "such as the ends of long packets",
        "SHA-256",
        "plant.pcapae",
        "by 10 blocks of time, margin 3",
    ] {
        assert!(page.contains(counted), "{counted} is not in the page");
    }
}

#[test]
fn nothing_from_a_capture_becomes_markup() {
    let plant = plant();
    assert_eq!(plant.report(&[]).status.code(), Some(0));
    let page = fs::read_to_string(plant.place()).unwrap();
    assert!(page.contains("&lt;img src=x onerror=pwned=1&gt;"), "the capture's name is not there");
    assert!(!page.contains("<img"));
    assert_eq!(page.matches("</script>").count(), 2, "a script ends where it should not");
    assert!(page.contains("script-src 'sha256-"), "any script may run");
}

#[test]
fn a_report_is_not_replaced_unless_asked_for_and_standard_input_has_no_bytes() {
    let plant = plant();
    assert_eq!(plant.report(&[]).status.code(), Some(0));
    let run = plant.report(&[]);
    assert_eq!(run.status.code(), Some(1));
    sentence(&run);
    assert_eq!(plant.report(&["--force", "--threads", "1"]).status.code(), Some(0));

    let (place, capture) = (plant.place(), fs::File::open(&plant.capture).unwrap());
    let run = pcapae(&["detect", "-", "--force", "--report"])
        .args([&place, &plant.bundle])
        .stdin(Stdio::from(capture))
        .output()
        .unwrap();
    // The bundle comes first: with `-` before it, the program says so.
    assert_eq!(run.status.code(), Some(1), "{}", stdout(&run));
    let capture = fs::File::open(&plant.capture).unwrap();
    let run = pcapae(&["detect", "--force", "--report"])
        .args([&place, &plant.bundle, Path::new("-")])
        .stdin(Stdio::from(capture))
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert!(stderr(&run).contains("not all captures are files"), "{}", stderr(&run));
    let page = fs::read_to_string(&place).unwrap();
    assert!(page.contains("not all captures are files") && page.contains("is not known"));
    assert!(data(&page)["events"][0]["packets"][0]["bytes"].is_null());
}

#[test]
fn captures_without_an_alert_give_a_report_without_events() {
    let folder = tempfile::tempdir().unwrap();
    let [bundle, place] = ["plant.pcapae", "report.html"].map(|name| folder.path().join(name));
    // Every packet begins a connection: so does the only one of the quiet capture.
    let with_port = |i: usize| {
        let mut packet = usual(i);
        packet[34..36].copy_from_slice(&(0xc000 + i as u16).to_be_bytes());
        packet
    };
    let packets: Vec<Vec<u8>> = (0..600).map(with_port).collect();
    let normal = write_capture(folder.path(), "normal.pcap", &packets.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert!(pcapae(&["learn", "--epochs", "2", "-o"]).args([&bundle, &normal]).status().unwrap().success());
    let quiet = write_capture(folder.path(), "quiet.pcap", &[&packets[0]]);
    let run = pcapae(&["detect", "--report"]).args([&place, &bundle, &quiet]).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let page = fs::read_to_string(place).unwrap();
    assert!(page.contains("Nothing exceeds what normal traffic reached"), "{}", stdout(&run));
    assert_eq!(data(&page)["events"].as_array().unwrap().len(), 0);
}

#[test]
fn the_command_of_its_own_writes_the_same_page() {
    let plant = plant();
    assert_eq!(plant.report(&[]).status.code(), Some(0));
    let page = fs::read_to_string(plant.place()).unwrap();
    let (other, labels) = (plant.folder.path().join("other.html"), plant.labels.to_str().unwrap());
    let report = |place: &Path, further: &[&str]| {
        let mut run = pcapae(&["report", "-g", labels]);
        run.args([&plant.bundle, &plant.capture]).arg("-o").arg(place).args(further).output().unwrap()
    };
    let run = report(&other, &[]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert!(stdout(&run).is_empty() && stderr(&run).contains("among 2200 packets"), "{}", stderr(&run));
    assert_eq!(fs::read_to_string(&other).unwrap(), page);
    for (place, further) in [(&other, &[][..]), (&plant.capture, &["--force"])] {
        let run = report(place, further);
        assert_eq!(run.status.code(), Some(1));
        sentence(&run);
    }
    let none = plant.folder.path().join("none.html");
    let run = pcapae(&["report"]).args([&plant.capture, &plant.capture]).arg("-o").arg(&none).output().unwrap();
    assert_eq!((run.status.code(), none.exists()), (Some(1), false));
    sentence(&run);
}

#[test]
fn alerts_have_relevance_fields_and_a_normal_fragment_beside_them() {
    let plant = plant();
    assert_eq!(plant.report(&[]).status.code(), Some(0));
    let data = data(&fs::read_to_string(plant.place()).unwrap());
    let events = data["events"].as_array().unwrap();
    for (event, number) in events.iter().zip(1..) {
        assert_eq!(event["number"], number);
        let shares: f64 = event["fields"].as_array().unwrap().iter().map(|field| field[1].as_f64().unwrap()).sum();
        assert!(shares > 0.3 && shares < 1.0 + 1e-9, "{event}");
        for packet in event["packets"].as_array().unwrap() {
            assert_eq!(packet["relevance"]["rule"], "gamma-box");
            assert!(packet["relevance"]["greatest"].as_f64().unwrap() > 0.0);
            assert!((0.0..=1.0).contains(&packet["relevance"]["elsewhere"].as_f64().unwrap()));
            let normal = &packet["normal"];
            assert!((1..=600).contains(&normal["packet"].as_u64().unwrap()), "{normal}");
            // A usual packet, which is odd by what came before, may be one of those that are kept.
            let is_odd = packet["label"] == "anomalous";
            assert!(!is_odd || normal["distance"].as_f64().unwrap() > 0.0, "{normal}");
            assert!(!is_odd || normal["bytes"] != normal["own"], "{normal}");
        }
    }

    // A bundle that was told to keep none says so.
    let (bundle, place) = (plant.folder.path().join("none.pcapae"), plant.folder.path().join("none.html"));
    let learn = ["learn", "--normal-fragments", "0", "--epochs", "2", "-o"];
    let normal = plant.folder.path().join("normal.pcap");
    assert_eq!(pcapae(&learn).args([&bundle, &normal]).output().unwrap().status.code(), Some(0));
    assert!(fs::metadata(&bundle).unwrap().len() < fs::metadata(&plant.bundle).unwrap().len());
    let run = pcapae(&["report", "-o"]).args([&place, &bundle, &plant.capture]).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let page = fs::read_to_string(&place).unwrap();
    assert!(page.contains("The bundle keeps no normal fragments to compare with."));
    assert!(self::data(&page)["events"][0]["packets"][0]["normal"].is_null());
}

#[test]
fn the_report_can_be_used_in_a_browser() {
    let chromium = test_needs::program("PCAPAE_TEST_CHROMIUM", &["chromium", "chromium-browser", "google-chrome"]);
    let node = test_needs::program("PCAPAE_TEST_NODE", &["node"]);
    let (Some(chromium), Some(node)) = (chromium, node) else { return };
    let plant = plant();
    assert_eq!(plant.report(&[]).status.code(), Some(0));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report_browser/drive.mjs");
    let run = Command::new(node).arg(script).arg(chromium).arg(plant.place()).output().unwrap();
    assert!(run.status.success(), "{}{}", stdout(&run), stderr(&run));
}
