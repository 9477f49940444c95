//! Running the program, and captures to run it on.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program with these arguments.
pub fn pcapae(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pcapae"));
    command.args(arguments);
    command
}

/// What a run wrote to standard error.
pub fn stderr(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}

/// What a run wrote to standard output.
pub fn stdout(run: &Output) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// Checks that a run was refused with one sentence and at most a hint, after any warnings.
pub fn sentence(run: &Output) {
    let console = stderr(run);
    let kinds: Vec<&str> = console.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
    let refusals = kinds.iter().filter(|kind| **kind == "error").count();
    assert_eq!(refusals, 1, "{console}");
    assert!(kinds.iter().all(|kind| ["error", "hint", "warning"].contains(kind)), "{console}");
    assert!(!console.contains("panicked") && !console.contains('\x1b'), "{console}");
}

/// Writes a pcap of Ethernet frames, 10 ms apart.
pub fn write_capture(folder: &Path, name: &str, packets: &[&[u8]]) -> PathBuf {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 262_144, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for (packet, i) in packets.iter().zip(0u32..) {
        let length = packet.len() as u32;
        for word in [1_700_000_000 + i / 100, i % 100 * 10_000, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend_from_slice(packet);
    }
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Checks that a run printed nothing and was refused with one sentence that has `expected` in it.
#[track_caller]
pub fn assert_refused(run: &Output, expected: &str) {
    assert_eq!(run.status.code(), Some(1), "{}", stderr(run));
    assert!(stderr(run).contains(expected), "{expected:?} is not in {}", stderr(run));
    assert_eq!(stdout(run), "");
    sentence(run);
}

/// Writes `NAME.pcap`, and with these options its dataset of fragments of 256 bytes, `NAME.h5`; the last `odd` packets are labelled anomalous.
pub fn write_dataset(folder: &Path, name: &str, packets: &[Vec<u8>], odd: usize, options: &[&str]) {
    let slices: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
    let capture = write_capture(folder, &format!("{name}.pcap"), &slices);
    let labels = folder.join("labels.csv");
    fs::write(&labels, "-1\n".repeat(packets.len() - odd) + &"1\n".repeat(odd)).unwrap();
    let mut run = pcapae(&["dataset", "--fragment-size", "256"]);
    run.args(options).arg("-g").arg(&labels).arg("-o").arg(folder.join(format!("{name}.h5"))).arg(capture);
    let run = run.output().unwrap();
    assert!(run.status.success(), "{}", stderr(&run));
}
