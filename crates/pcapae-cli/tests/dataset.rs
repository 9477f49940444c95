//! `pcapae dataset` as a user runs it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{pcapae, sentence, stderr, write_capture};

#[test]
fn every_shared_capture_ends_in_a_dataset_or_a_sentence_and_leaves_nothing_else() {
    let Some(captures) = test_needs::shared("captures") else { return };
    let mut files: Vec<PathBuf> = ["robust", "ics"]
        .iter()
        .flat_map(|folder| fs::read_dir(captures.join(folder)).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_none_or(|extension| extension != "tsv"))
        .collect();
    files.sort();
    assert!(files.len() >= 150, "only {} captures", files.len());
    for file in files {
        for mode in ["byte", "packet", "flow"] {
            let folder = tempfile::tempdir().unwrap();
            let output = folder.path().join("out.h5");
            let run = pcapae(&["dataset", "-m", mode, "-o"]).arg(&output).arg(&file).output().unwrap();
            let place = format!("{} in {mode} mode: {}", file.display(), stderr(&run));
            let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            match run.status.code() {
                Some(0) => assert_eq!(left, ["out.h5"], "{place}"),
                Some(1) => {
                    assert!(left.is_empty(), "{place} left {left:?}");
                    sentence(&run);
                }
                other => panic!("exit code {other:?}: {place}"),
            }
        }
    }
}

#[test]
fn refusals_are_one_sentence_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let capture = write_capture(folder.path(), "a.pcap", &[&[1; 60], &[2; 70]]);
    let short = folder.path().join("short.csv");
    fs::write(&short, "-1\n").unwrap();
    let text = folder.path().join("text.pcap");
    fs::write(&text, "this is not a capture").unwrap();
    let empty = folder.path().join("empty.pcap");
    fs::write(&empty, "").unwrap();
    let absent = folder.path().join("absent.pcap");
    let before = fs::read_dir(folder.path()).unwrap().count();

    let refused = |arguments: &[&str], capture: &Path, expected: &str| {
        let output = folder.path().join("out.h5");
        let run = pcapae(&["dataset", "-o"]).arg(&output).args(arguments).arg(capture).output().unwrap();
        assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
        assert!(stderr(&run).contains(expected), "{expected:?} is not in {}", stderr(&run));
        sentence(&run);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before, "{expected}");
    };
    refused(&["--fragment-size", "1000"], &capture, "perfect square");
    refused(&["-g", short.to_str().unwrap()], &capture, "fewer");
    refused(&["-g", "absent.csv"], &capture, "absent.csv");
    refused(&[], &text, "not a capture");
    refused(&[], &empty, "empty");
    refused(&[], &absent, "absent.pcap");
}

#[test]
fn an_existing_output_survives_a_failing_run() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.h5");
    let capture = write_capture(folder.path(), "a.pcap", &[&[1; 60]]);
    fs::write(&output, "precious").unwrap();
    let run = pcapae(&["dataset", "-o"]).arg(&output).arg(&capture).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(stderr(&run).contains("--force"), "{}", stderr(&run));
    let short = folder.path().join("short.csv");
    fs::write(&short, "").unwrap();
    let run = pcapae(&["dataset", "--force", "-g"]).arg(&short).arg("-o").arg(&output).arg(&capture).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(fs::read(&output).unwrap(), b"precious");
    let run = pcapae(&["dataset", "--force", "-o"]).arg(&output).arg(&capture).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert!(fs::read(&output).unwrap().starts_with(b"\x89HDF"));
}

#[test]
fn captures_come_from_standard_input_and_from_lists_too() {
    let folder = tempfile::tempdir().unwrap();
    let capture = write_capture(folder.path(), "a.pcap", &[&[1; 60], &[2; 70]]);
    let list = folder.path().join("list.txt");
    fs::write(&list, "a.pcap\n\na.pcap\n").unwrap();
    let output = folder.path().join("list.h5");
    let run = pcapae(&["dataset", "-m", "packet", "-o"]).arg(&output).arg(&list).output().unwrap();
    assert!(stderr(&run).contains("4 fragments"), "{}", stderr(&run));
    let output = folder.path().join("stdin.h5");
    let run = pcapae(&["dataset", "-m", "packet", "-o"])
        .arg(&output)
        .arg("-")
        .stdin(fs::File::open(&capture).unwrap())
        .output()
        .unwrap();
    assert!(stderr(&run).contains("2 fragments"), "{}", stderr(&run));
}

#[test]
fn the_same_input_gives_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let capture = write_capture(folder.path(), "a.pcap", &[&[1; 60], &[2; 70]]);
    let build = |name: &str| {
        let output = folder.path().join(name);
        assert!(pcapae(&["dataset", "-n", "same", "-o"]).arg(&output).arg(&capture).status().unwrap().success());
        fs::read(output).unwrap()
    };
    assert!(build("one.h5") == build("two.h5"));
}

/// Reads both layouts with h5py, an independent implementation, and re-assembles the packets from their provenance.
const READ_BACK: &str = r#"
import sys, h5py, numpy as np
arrays, original, flow = (h5py.File(name) for name in sys.argv[1:4])
packets = [bytes([i % 251]) * (40 + 13 * i) for i in range(60)]
assert arrays.attrs["format"] == "pcapae-dataset" and arrays.attrs["mode"] == "byte", dict(arrays.attrs)
fragments, offsets, segments = arrays["fragments"][:], arrays["segment_offsets"][:], arrays["segments"][:]
assert fragments.dtype == np.uint8 and fragments.shape[1:] == (16, 16)
assert offsets[0] == 0 and offsets[-1] == len(segments) and len(offsets) == len(fragments) + 1
rebuilt = [bytearray() for _ in packets]
for i, fragment in enumerate(fragments.reshape(len(fragments), -1)):
    for packet, at, start, length in segments[offsets[i]:offsets[i + 1]]:
        assert at == len(rebuilt[packet - 1])
        rebuilt[packet - 1] += fragment[start:start + length].tobytes()
assert [bytes(p) for p in rebuilt] == packets
assert arrays["packets/time_ns"].shape == (60,) and list(arrays["packets/label"][:3]) == [1, 1, 1]
assert len(original) == len(b"".join(packets)) // 256
for i in range(len(original)):
    data, label = original[f"{i}/data"], original[f"{i}/label"]
    assert data.shape == (1, 16, 16) and data.dtype == np.uint8 and label.dtype == np.int32
    assert (data[0] == fragments[i]).all() and (label[:, 1] == 1).all()
    assert list(label[:, 0]) == [s[0] for s in segments[offsets[i]:offsets[i + 1]]]
assert flow["fragments"].shape == (0, 32, 32) and flow["flow"].shape == (0,)
"#;

#[test]
fn h5py_reads_both_layouts() {
    let Some(python) = test_needs::python(&["h5py"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let packets: Vec<Vec<u8>> = (0..60usize).map(|i| vec![(i % 251) as u8; 40 + 13 * i]).collect();
    let packets: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
    let capture = write_capture(folder.path(), "a.pcap", &packets);
    let build = |name: &str, arguments: &[&str]| {
        let output = folder.path().join(name);
        let run = pcapae(&["dataset", "-o"]).arg(&output).args(arguments).arg(&capture).output().unwrap();
        assert!(run.status.success(), "{}", stderr(&run));
        output
    };
    let arrays = build("arrays.h5", &["--fragment-size", "256", "--label", "anomaly"]);
    let original = build("original.h5", &["--fragment-size", "256", "--bad", "--compat", "--layout", "original"]);
    let flow = build("flow.h5", &["-m", "flow"]);
    python.run(READ_BACK, [arrays, original, flow], "");
}
