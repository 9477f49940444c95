//! A detector that exists in the tests only goes everywhere, and is named in three places: its file, the room, the registry.

#![allow(clippy::unwrap_used, reason = "clippy allows it in test functions only, not in their helpers")]

use std::fs;
use std::io::Cursor;
use std::path::Path;

use crate::capture::{Captures, LinkType, Packet, PcapNgWriter};
use crate::detectors::{Blueprint, Fitted, Rows, Samples};
use crate::label::{Label, Labels};
use crate::monitor::{Bundle, DetectorPlan, Keep, LearnConfig, learn};
use crate::report::{HtmlReport, ReportEvidence, event_json};

const NAME: &str = "RowMean";

/// Packets of equal bytes, low ones, but for the last.
fn captures(last: u8) -> Captures {
    let mut file = Vec::new();
    let mut capture = PcapNgWriter::new(&mut file).unwrap();
    let interface = capture.interface(LinkType::ETHERNET, "").unwrap();
    for number in 1..=200_u64 {
        let value = if number == 200 { last } else { (number % 5) as u8 };
        let (time_ns, data) = (number as i64, &[value; 64]);
        let packet = Packet { number, time_ns, link: LinkType::ETHERNET, interface, wire_length: 64, data };
        capture.packet(interface, &packet, "").unwrap();
    }
    capture.finish().unwrap();
    Captures::from_reader("plant.pcapng", Cursor::new(file))
}

#[test]
fn is_fitted_scores_and_survives_its_file() {
    let blueprint = Blueprint::from_yaml("row-mean:\n  offset: 1.5");
    let samples = Samples::of_numbers(vec![0.0, 1.0, 0.5, 0.5], 2);
    let rows = Rows::Codes { width: 2, model: None };
    let fitted = Fitted::fit_samples(&blueprint.unwrap(), &samples, rows).unwrap();
    let again = Fitted::from_bytes(&fitted.to_bytes().unwrap()).unwrap();
    assert_eq!(again.score(&samples).unwrap(), [1.5, 1.5]);
}

#[test]
fn is_learned_detects_and_is_reported() {
    let plan: DetectorPlan = "row-mean".parse().unwrap();
    let config = LearnConfig { detectors: vec![plan], explain: false, ..LearnConfig::default() };
    let learned = learn(captures(3), &config, &()).unwrap().bundle;
    let bundle = Bundle::from_bytes(&learned.to_bytes().unwrap()).unwrap();
    assert!(bundle.detectors.names().eq([NAME]));
    let detection = bundle.detect(captures(250), Labels::All(Label::Unknown), Keep::Packets, &()).unwrap();
    let events = &detection.events;
    assert_eq!((events.len(), &events[0].packets[..]), (1, &[200][..]));
    let json = event_json(&events[0], &bundle.id, &detection.captures, None);
    assert_eq!(
        (&json["pcapae"]["kind"], &json["pcapae"]["shares"][NAME]),
        (&format!("{NAME}/score").into(), &1.0.into())
    );
    let evidence = ReportEvidence::NotKept("");
    let page = HtmlReport { bundle: (&bundle, "plant"), detection: &detection, evidence };
    assert!(page.render().unwrap().contains(NAME));
}

#[test]
fn is_named_in_its_file_its_room_and_the_registry() {
    fn names(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                names(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                if text.contains(NAME) || text.contains("row_mean") {
                    found.push(path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string());
                }
            }
        }
    }
    let mut found = Vec::new();
    for folder in ["src", "../pcapae-cli/src"] {
        names(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    found.retain(|path| !path.ends_with("new_detector.rs"));
    found.sort();
    assert_eq!(found, ["src/detectors/blueprint.rs", "src/detectors/mod.rs", "src/detectors/row_mean.rs"]);
}
