//! Fragments and label rows against the digests of what the thesis's `pcap2ds` gives.
//!
//! The digests are not part of the project: where the folder with them is absent, the test says so and passes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::fmt::Write;
use std::path::Path;

use pcapae::capture::headers::Dissection;
use pcapae::capture::{Captures, Packet};
use pcapae::fragment::{Cutting, Fragment, FragmentSize, Mask, Mode, Receiver, Semantics, Shape};
use pcapae::label::{GroundTruth, Label, Labels};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Cases in which the original skips packets or flows that we read.
fn differs_on_purpose(case: &str) -> bool {
    case.starts_with("small_spb_")
}

/// Digests of all fragment bytes, and of the label rows `"{fragment},{packet},{label}\n"` sorted by packet.
#[derive(Default)]
struct Digests {
    data: Sha256,
    labels: Sha256,
    fragments: u64,
}

impl Receiver for Digests {
    fn packet(
        &mut self,
        _packet: &Packet<'_>,
        _masked: &[u8],
        _headers: &Dissection<'_>,
        _label: Label,
    ) -> pcapae::Result<()> {
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> pcapae::Result<()> {
        self.data.update(fragment.bytes);
        let mut rows: Vec<(u64, i8)> = fragment.segments.iter().map(|s| (s.packet, s.label.to_i8())).collect();
        rows.sort_unstable();
        rows.dedup();
        for (packet, label) in rows {
            self.labels.update(format!("{},{packet},{label}\n", self.fragments));
        }
        self.fragments += 1;
        Ok(())
    }
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn run_case(captures_folder: &Path, case: &Value) -> Digests {
    let arguments: Vec<&str> = case["extra"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
    let labels = match arguments.iter().position(|&argument| argument == "-g") {
        Some(at) => Labels::File(GroundTruth::open(&captures_folder.join(arguments[at + 1])).unwrap()),
        None if arguments.contains(&"--bad") => Labels::All(Label::Anomalous),
        None => Labels::All(Label::Normal),
    };
    let mode = serde_json::from_value::<Mode>(case["mode"].clone()).unwrap();
    let size = FragmentSize::new(case["chunk"].as_u64().unwrap() as usize, Shape::Square).unwrap();
    let mut captures = Captures::open(&[captures_folder.join(case["cap"].as_str().unwrap())]).unwrap();
    let mut digests = Digests::default();
    let cutting = Cutting { mode, size, semantics: Semantics::Compat, mask: Mask::NONE };
    cutting.cut(&mut captures, labels, &mut digests, &()).unwrap();
    digests
}

#[test]
fn compat_equals_the_original_in_every_golden_case() {
    let Some(golden) = test_needs::shared("reference/golden/pcap2ds") else { return };
    let index: Value = serde_json::from_slice(&std::fs::read(golden.join("index.json")).unwrap()).unwrap();
    let mut compared = 0;
    for (name, case) in index.as_object().unwrap() {
        if case["rc"] != 0 || differs_on_purpose(name) {
            continue;
        }
        let digests = run_case(&golden.join("caps"), case);
        assert_eq!(digests.fragments, case["n"], "{name}: fragments");
        assert_eq!(hex(digests.data), case["data_sha256"], "{name}: bytes");
        assert_eq!(hex(digests.labels), case["labels_sha256"], "{name}: labels");
        compared += 1;
    }
    assert!(compared >= 40, "only {compared} cases were compared");
}
