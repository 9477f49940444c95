//! `pcapae learn` and `pcapae detect` as a user runs them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

use serde_json::Value;
use support::{pcapae, sentence, stderr, stdout, write_capture};

/// Number of the first alien packet in the odd capture, and how many follow each other.
const ALIENS: std::ops::Range<u64> = 101..111;

/// A Modbus/TCP request or answer, as one master and one plant say them all day.
fn usual(i: usize) -> Vec<u8> {
    let (hosts, ports) =
        if i.is_multiple_of(2) { ([1, 2], [0xc0, 0x01, 0x01, 0xf6]) } else { ([2, 1], [0x01, 0xf6, 0xc0, 0x01]) };
    let [from, to] = hosts;
    let ethernet = [2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0];
    let ip = [0x45, 0, 0, 52, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, from, 10, 0, 0, to];
    let tcp = [0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0];
    let modbus = [0, (i % 5) as u8, 0, 0, 0, 6, 1, 3, 0, 16, 0, 2];
    [&ethernet[..], &ip, &ports, &tcp, &modbus].concat()
}

/// A long UDP packet from a host that nobody knows, full of high bytes.
fn alien() -> Vec<u8> {
    let mut packet = usual(0);
    packet[6..12].fill(0xee);
    packet[23] = 17;
    packet[26..30].copy_from_slice(&[192, 168, 7, 7]);
    packet[16..18].copy_from_slice(&[1, 0]);
    packet.resize(270, 0xf7);
    packet
}

struct Plant {
    folder: tempfile::TempDir,
    normal: PathBuf,
    odd: PathBuf,
    labels: PathBuf,
}

fn plant() -> Plant {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, packets: &[Vec<u8>]| {
        write_capture(folder.path(), name, &packets.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    let normal = write("normal.pcap", &(0..600).map(usual).collect::<Vec<_>>());
    let odd: Vec<Vec<u8>> =
        (1..=200u64).map(|i| if ALIENS.contains(&i) { alien() } else { usual(i as usize) }).collect();
    let odd = write("odd.pcap", &odd);
    let rows: String = (1..=200u64).map(|i| if ALIENS.contains(&i) { "1\n" } else { "-1\n" }).collect();
    let labels = folder.path().join("odd.labels.csv");
    fs::write(&labels, rows).unwrap();
    Plant { folder, normal, odd, labels }
}

impl Plant {
    fn trained(&self) -> PathBuf {
        let bundle = self.folder.path().join("plant.pcapae");
        fs::write(&bundle, &*TRAINED).unwrap();
        bundle
    }

    fn learn(&self, name: &str, further: &[&str]) -> PathBuf {
        let bundle = self.folder.path().join(name);
        let run = self.learn_to(&bundle, further);
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        bundle
    }

    fn learn_to(&self, bundle: &Path, further: &[&str]) -> Output {
        pcapae(&["learn"]).args(further).arg("-o").arg(bundle).arg(&self.normal).output().unwrap()
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A bundle that knows the plant, trained once for all tests.
static TRAINED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let plant = plant();
    let well = ["--epochs", "3", "--batch", "4", "--learning-rate", "0.005"];
    fs::read(plant.learn("plant.pcapae", &well)).unwrap()
});

fn detect(bundle: &Path, capture: &Path, further: &[&str]) -> Output {
    pcapae(&["detect"]).arg(bundle).arg(capture).args(further).output().unwrap()
}

fn json_lines(run: &Output) -> Vec<Value> {
    stdout(run).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_does_not_fit_is_alerted_and_what_fits_is_not() {
    let plant = plant();
    let bundle = plant.trained();

    let run = detect(&bundle, &plant.normal, &["--json"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let lines = json_lines(&run);
    let [summary] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&summary["packets"], &summary["alerts"], &summary["events"]), (&600.into(), &0.into(), &0.into()));
    assert!(summary.get("metrics").is_none(), "{summary}");

    let run = detect(&bundle, &plant.odd, &["--json", "-g", plant.labels.to_str().unwrap()]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let lines = json_lines(&run);
    let [event, summary] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&event["event_type"], &event["timestamp"]), (&"alert".into(), &"2023-11-14T22:13:21.000000Z".into()));
    assert_eq!(
        (&event["src_ip"], &event["proto"], &event["pcap_cnt"]),
        (&"192.168.7.7".into(), &"UDP".into(), &101.into())
    );
    let alert = &event["alert"];
    assert_eq!((&alert["signature"], &alert["severity"]), (&"pcapae: service never seen".into(), &2.into()));
    assert!((1_000_000..2_000_000).contains(&alert["signature_id"].as_u64().unwrap()), "{alert}");

    let detail = &event["pcapae"];
    assert_eq!((&detail["number"], &detail["kind"]), (&1.into(), &"Novelty/service".into()));
    let reason = "192.168.7.7 → 10.0.0.2: a service never seen, Modbus/TCP (UDP port 502)";
    assert_eq!(detail["reason"], reason);
    assert_eq!(detail["packets"], Value::from(ALIENS.collect::<Vec<u64>>()));
    let counts =
        ["packet_count", "first_packet", "last_packet", "hosts", "anomalous", "recurrences"].map(|name| &detail[name]);
    assert_eq!(counts, [10, 101, 110, 2, 10, 0].map(Value::from).each_ref());
    assert!(detail["again"].is_null() && detail["more_causes"] == false && detail["top_fields"].is_null(), "{detail}");
    assert!(detail["strength"].as_f64().unwrap() > 1.0, "{detail}");
    assert_eq!(detail["shares"]["Novelty"], 1.0);
    let cause = &detail["causes"][0];
    assert_eq!((&cause["kind"], &cause["cause"]), (&"Novelty/service".into(), &detail["findings"][0]["cause"]));
    assert!(cause["score"].as_f64() > cause["threshold"].as_f64(), "{cause}");
    for (name, digits) in [(&detail["bundle"], 16), (&cause["cause"], 16)] {
        let name = name.as_str().unwrap();
        assert!(name.len() == digits && name.chars().all(|c| c.is_ascii_hexdigit()), "{name}");
    }
    let metrics = &summary["metrics"];
    assert_eq!(
        (&summary["event_type"], &summary["alerts"], &summary["events"]),
        (&"summary".into(), &10.into(), &1.into())
    );
    assert_eq!((&metrics["true_positives"], &metrics["false_negatives"]), (&10.into(), &0.into()), "{summary}");
    assert_eq!(
        (&metrics["recall"], &metrics["precision"], &metrics["average_precision"]),
        (&1.0.into(), &1.0.into(), &1.0.into())
    );
    assert_eq!(metrics["base_rate"], 0.05);
    assert_eq!(
        (&summary["attacks"]["found"], &summary["attacks"]["false_alarms"]),
        (&1.into(), &0.into()),
        "{summary}"
    );
}

#[test]
fn the_table_says_what_happened_and_the_exit_code_that_something_did() {
    let plant = plant();
    let bundle = plant.trained();
    let run = detect(&bundle, &plant.odd, &["--fail-on-alert"]);
    assert_eq!(run.status.code(), Some(3), "{}", stderr(&run));
    let table = stdout(&run);
    assert!(table.contains("192.168.7.7") && table.contains("a service never seen"), "{table}");
    assert!(table.contains("1 event; 10 of 200 packets raise alerts"), "{table}");
    assert!(!table.contains('\x1b'), "colours in a pipe");

    let quiet = write_capture(plant.folder.path(), "one.pcap", &[&usual(0)]);
    let run = detect(&bundle, &quiet, &["--fail-on-alert"]);
    assert_eq!(run.status.code(), Some(0), "{}", stdout(&run));
}

#[test]
fn what_was_not_normal_among_the_learned_is_told_and_can_be_left_out() {
    let plant = plant();
    let learn = |name: &str, further: &[&str]| {
        let run = pcapae(&["learn", "--explainer", "off"])
            .args(further)
            .arg("-o")
            .arg(plant.folder.path().join(name))
            .arg(&plant.odd)
            .output();
        let run = run.unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        stderr(&run)
    };
    let alarms = |name: &str| {
        let run = detect(&plant.folder.path().join(name), &plant.odd, &["--json"]);
        json_lines(&run).last().unwrap()["alerts"].as_u64().unwrap()
    };
    let console = learn("all.pcapae", &[]);
    assert!(console.contains("from 200 packets\n") && console.contains("raises 1 event in 0.00 hours"), "{console}");
    assert!(
        console.contains("192.168.7.7 → 10.0.0.2: a service never seen") && console.contains("learn again without it"),
        "{console}"
    );
    assert_eq!(alarms("all.pcapae"), 0);
    for exclude in ["event:1", "192.168.7.7", "ee:ee:ee:ee:ee:ee", "2023-11-14T22:13:21Z..2023-11-14T22:13:21.095Z"] {
        let console = learn("without.pcapae", &["--exclude", exclude, "--force"]);
        assert!(
            console.contains("from 190 packets, 10 packets excluded") && console.contains("raises 0 events"),
            "{console}"
        );
        assert_eq!(alarms("without.pcapae"), 10, "{exclude}");
    }
}

#[test]
fn a_flood_of_alerts_is_said_to_be_one() {
    let plant = plant();
    let bundle = plant.trained();
    let aliens: Vec<Vec<u8>> = (0..200).map(|i| if i < 150 { alien() } else { usual(i) }).collect();
    let flood = write_capture(plant.folder.path(), "flood.pcap", &aliens.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let run = detect(&bundle, &flood, &[]);
    assert!(stderr(&run).contains("of 200 packets raise alerts: if that is no attack"), "{}", stderr(&run));
    let run = detect(&bundle, &plant.odd, &[]);
    assert!(!stderr(&run).contains("raise alerts"), "{}", stderr(&run));
}

#[test]
fn scores_are_a_csv_with_a_row_a_packet() {
    let plant = plant();
    let bundle = plant.trained();
    let scores = plant.folder.path().join("scores.csv");
    let further = ["--scores", scores.to_str().unwrap(), "-g", plant.labels.to_str().unwrap()];
    assert_eq!(detect(&bundle, &plant.odd, &further).status.code(), Some(0));
    let text = fs::read_to_string(&scores).unwrap();
    let mut lines = text.lines();
    let header = "window,first_packet,last_packet,time_ns,score,label,event,Autoencoder,Novelty,LengthBackOff,Sequence,ClosedPositions,Rate";
    assert_eq!(lines.next(), Some(header));
    for (line, packet) in lines.by_ref().zip(1u64..=200) {
        let fields: Vec<&str> = line.split(',').collect();
        let is_alien = ALIENS.contains(&packet);
        let (number, time) = (packet.to_string(), 1_700_000_000_000_000_000 + (packet - 1) * 10_000_000);
        assert_eq!(fields[..4], [&(packet - 1).to_string(), &number, &number, &time.to_string()]);
        // The highest strength of the five that raise alerts; the autoencoder only explains.
        let strengths: Vec<f64> = fields[8..].iter().map(|score| score.parse().unwrap()).collect();
        let strength: f64 = fields[4].parse().unwrap();
        assert_eq!(strength, strengths.into_iter().fold(0.0, f64::max), "{line}");
        assert_eq!(strength > 1.0, is_alien, "{line}");
        assert_eq!(fields[5..7], if is_alien { ["1", "1"] } else { ["-1", ""] }, "{line}");
        assert!(fields[7].parse::<f64>().unwrap().is_finite(), "{line}");
    }
    assert_eq!(text.lines().count(), 201);

    let run = detect(&bundle, &plant.odd, &further);
    assert_eq!(run.status.code(), Some(1));
    sentence(&run);
    assert!(stderr(&run).contains("--force"), "{}", stderr(&run));
    assert_eq!(detect(&bundle, &plant.odd, &[&further[..], &["--force"]].concat()).status.code(), Some(0));
    assert_eq!(fs::read_to_string(&scores).unwrap(), text);
}

#[test]
fn refusals_are_one_sentence_and_leave_nothing_behind() {
    let plant = plant();
    let bundle = plant.trained();
    let learned = fs::read(&bundle).unwrap();
    let text = plant.folder.path().join("text.pcapae");
    fs::write(&text, "this is no bundle").unwrap();
    let few = write_capture(plant.folder.path(), "few.pcap", &[&usual(1), &usual(2), &usual(3)]);
    let none = write_capture(plant.folder.path(), "none.pcap", &[]);
    let short = plant.folder.path().join("short.csv");
    fs::write(&short, "-1\n-1\n").unwrap();
    let absent = plant.folder.path().join("absent");
    let before = plant.names();
    let refused = |run: Output, expected: &str| {
        assert_eq!(run.status.code(), Some(1), "{expected}: {}", stderr(&run));
        assert!(stderr(&run).contains(expected), "{expected:?} is not in {}", stderr(&run));
        assert_eq!(stdout(&run), "", "{expected}");
        sentence(&run);
        assert_eq!(plant.names(), before, "{expected}");
    };
    let scores = plant.folder.path().join("scores.csv");
    let scores = ["--scores", scores.to_str().unwrap()];
    refused(detect(&text, &plant.odd, &scores), "cannot be read as a bundle");
    refused(detect(&plant.odd, &plant.odd, &scores), "cannot be read as a bundle");
    refused(detect(&absent, &plant.odd, &scores), "absent");
    refused(detect(&bundle, &absent, &scores), "absent");
    refused(detect(&bundle, &text, &scores), "cannot be read as a capture");
    let labels = [&scores[..], &["-g", short.to_str().unwrap()]].concat();
    refused(detect(&bundle, &plant.odd, &labels), "2 rows, fewer than");

    let learn = |capture: &Path, further: &[&str]| {
        pcapae(&["learn", "-o"]).arg(&absent).args(further).arg(capture).output().unwrap()
    };
    refused(learn(&few, &[]), "too few to learn from");
    refused(learn(&none, &[]), "too few to learn from");
    refused(learn(&plant.labels, &[]), "names no file");
    refused(learn(&plant.normal, &["--fragment-size", "100"]), "256, 1024 or 4096");
    refused(learn(&plant.normal, &["--margin", "-1"]), "margin");
    refused(learn(&plant.normal, &["--exclude", "10.0.0.1"]), "too few to learn from");
    refused(learn(&plant.normal, &["--explainer", "off", "--exclude", "event:1"]), "excluded event");
    refused(
        learn(&plant.normal, &["-m", "byte", "--detectors", "histograms"]),
        "only in packet mode is a fragment a packet",
    );
    refused(learn(&plant.normal, &["--epochs", "2", "--learning-rate", "1e30"]), "not a number");
    refused(learn(&plant.normal, &["--epochs", "1", "--batch", "600", "--learning-rate", "1e30"]), "not a number");

    let run = plant.learn_to(&bundle, &[]);
    assert!(stderr(&run).contains("--force"), "{}", stderr(&run));
    refused(run, "exists already");
    assert!(fs::read(&bundle).unwrap() == learned, "the bundle was touched");
}

#[test]
fn the_same_seed_gives_the_same_file_with_any_number_of_threads() {
    let plant = plant();
    let one = fs::read(plant.learn("one.pcapae", &["--epochs", "1", "-t", "1"])).unwrap();
    assert!(one == fs::read(plant.learn("again.pcapae", &["--epochs", "1", "-t", "1"])).unwrap());
    assert!(one == fs::read(plant.learn("two.pcapae", &["--epochs", "1", "-t", "2"])).unwrap());
    assert!(one != fs::read(plant.learn("other.pcapae", &["--epochs", "1", "--seed", "7"])).unwrap());
}

#[test]
fn every_set_of_detectors_learns_and_detects() {
    let plant = plant();
    let alone = ["--detectors", "lengths"];
    let all = [
        "--detectors",
        "gaps,lengths,histograms,autoencoder,novelty,rate",
        "--scoring",
        "top8",
        "--loss",
        "ce",
        "--epochs",
        "1",
    ];
    for further in [&alone[..], &all[..]] {
        let bundle = plant.learn(&format!("{}.pcapae", further.len()), further);
        let run = detect(&bundle, &plant.odd, &["--json"]);
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        let lines = json_lines(&run);
        let (summary, events) = lines.split_last().unwrap();
        assert!(summary["alerts"].as_u64().unwrap() >= 10, "{summary}");
        let event = events.iter().find(|event| event["src_ip"] == "192.168.7.7").unwrap();
        assert_eq!(event["pcapae"]["packets"].as_array().unwrap()[0], 101, "{event}");
        let shares = event["pcapae"]["shares"].as_object().unwrap();
        assert!(shares.contains_key("LengthRarity"), "{event}");
        assert!((shares.values().map(|share| share.as_f64().unwrap()).sum::<f64>() - 1.0).abs() < 0.003, "{event}");
    }
}

#[test]
fn a_bundle_of_an_older_version_says_that_it_must_be_learned_again() {
    let plant = plant();
    let old = plant.folder.path().join("old.pcapae");
    let header = r#"{"__metadata__":{"format":"pcapae-bundle","version":"1"}}"#;
    fs::write(&old, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()).unwrap();
    let run = detect(&old, &plant.odd, &[]);
    assert_eq!(run.status.code(), Some(1));
    sentence(&run);
    assert!(stderr(&run).contains("its version is 1, expected 2"), "{}", stderr(&run));
    assert!(stderr(&run).contains("must be learned again"), "{}", stderr(&run));
}

#[test]
fn every_mode_learns_and_detects() {
    let plant = plant();
    for further in [["-m", "byte", "--frames", "2", "--epochs", "1"], ["-m", "flow", "--frames", "1", "--epochs", "1"]]
    {
        let bundle = plant.learn(&format!("{}.pcapae", further[1]), &further);
        let run = detect(&bundle, &plant.odd, &["--json"]);
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        let lines = json_lines(&run);
        assert_eq!((&lines[0]["pcapae"]["kind"], lines.len()), (&"Novelty/service".into(), 2), "{further:?}");
        assert_eq!((&lines[1]["packets"], &lines[1]["alerts"]), (&200.into(), &10.into()), "{further:?}");
    }
}
