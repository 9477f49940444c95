//! Ctrl-C and `kill` stop the program soon, and leave no half-written output.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::pcapae;

/// How long the program may take to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// A pcap's header, and one packet of 100 bytes with the header of its record.
fn header_and_packet() -> (Vec<u8>, Vec<u8>) {
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    let packet = [words(&[1_700_000_000, 0, 100, 100]), vec![7; 100]].concat();
    (words(&[0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 262_144, 1]), packet)
}

/// Runs a command that reads packets from a pipe that never ends and writes to a folder, sends it the signal while it is at it,
/// and checks how it ends.
fn stopped_by(signal: &str, arguments: &[&str]) {
    stopped_while_fed(500, signal, arguments);
}

/// The same with so many packets at a time, which is every 10 ms.
fn stopped_while_fed(packets: usize, signal: &str, arguments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mut child = pcapae(arguments)
        .arg("-o")
        .arg(folder.path().join("out"))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let feeding = std::thread::spawn(move || {
        let (header, packet) = header_and_packet();
        let packets = packet.repeat(packets);
        // Ends when the program has gone and nobody reads any more.
        let _ = pipe.write_all(&header);
        if packets.is_empty() {
            std::thread::sleep(PATIENCE);
        }
        while !packets.is_empty() && pipe.write_all(&packets).is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let began = Instant::now();
    while fs::read_dir(folder.path()).unwrap().count() == 0 {
        assert!(began.elapsed() < PATIENCE, "{arguments:?} never began to write");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "{arguments:?} ended before the signal");
    let sent = Instant::now();
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if sent.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{arguments:?} does not stop on {signal}");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    feeding.join().unwrap();
    let mut console = String::new();
    child.stderr.take().unwrap().read_to_string(&mut console).unwrap();
    assert_eq!(status.code(), Some(1), "{console}");
    assert!(console.contains("nothing was written") && console.lines().count() == 1, "{console}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{arguments:?} left something behind");
}

#[test]
fn ctrl_c_stops_a_dataset() {
    stopped_by("-INT", &["dataset"]);
}

#[test]
fn sigterm_stops_a_dataset_in_flow_mode() {
    stopped_by("-TERM", &["dataset", "-m", "flow"]);
}

#[test]
fn ctrl_c_stops_learning_while_it_reads() {
    stopped_by("-INT", &["learn"]);
}

#[test]
fn a_pipe_that_gives_nothing_does_not_keep_it_from_stopping() {
    stopped_while_fed(0, "-INT", &["dataset"]);
}

#[test]
fn a_quiet_network_does_not_keep_it_from_stopping() {
    stopped_while_fed(1, "-TERM", &["dataset"]);
}
