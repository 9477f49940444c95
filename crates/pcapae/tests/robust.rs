//! Reads other people's captures, which lie beside the repository and are not part of it.

#![allow(clippy::unwrap_used, reason = "clippy allows it in test functions only, not in their helpers")]

use std::fs;
use std::path::Path;

use pcapae::capture::Captures;

/// Files that are refused, and why: none of them has a count in the index.
const REFUSED: &[(&str, &str)] = &[
    ("far-future-time_1__shb-option-too-long.pcapng", "damaged section header"),
    ("capinfos-error_5__pcap-invalid-version-1.pcap", "its version is pcap 1.4"),
    ("invalid-version-or-option_0__pcapng-invalid-vers-1.pcapng", "its version is pcapng 0.1"),
    ("invalid-version-or-option_1__pcapng-invalid-vers-2.pcapng", "its version is pcapng 1.1"),
    ("empty-file_0__zero.pcap", "empty"),
    ("magic-only_0__4bytes.pcap", "cut within its header"),
    ("header-cut_0__23bytes.pcap", "cut within its header"),
    ("text_0__not_a_capture.pcap", "text"),
];

/// Reads a capture to its end and dissects every packet in every way; the count, or the refusal.
fn count(path: &Path) -> Result<u64, String> {
    let mut captures = Captures::open(&[path.to_owned()]).map_err(|refusal| refusal.to_string())?;
    while let Some(packet) = captures.next_packet().map_err(|refusal| refusal.to_string())? {
        let headers = packet.dissect();
        let _ = (headers.transport(), headers.transport_compat());
        headers.conversation();
    }
    let summary = captures.into_summary();
    assert_eq!(summary.sources[0].bytes, fs::metadata(path).unwrap().len(), "all of the file is hashed");
    for warning in &summary.warnings {
        assert!(warning.to_string().contains(&path.display().to_string()));
    }
    Ok(summary.packets)
}

#[test]
fn robust_captures_give_as_many_packets_as_capinfos_counts() {
    let Some(captures) = test_needs::shared("captures") else { return };
    let folder = captures.join("robust");
    let index = fs::read_to_string(folder.join("INDEX.tsv")).unwrap();
    let mut files = 0;
    for row in index.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let (file, expected) = (columns[0], columns[5].parse::<u64>().ok());
        let found = count(&folder.join(file));
        match (REFUSED.iter().find(|(refused, _)| *refused == file), found) {
            (Some((_, reason)), Err(refusal)) => assert!(refusal.contains(reason), "{refusal}"),
            (None, Ok(found)) => assert!(expected.is_none_or(|expected| found == expected), "{file}: {found}"),
            (_, other) => panic!("{file}: {other:?}"),
        }
        files += 1;
    }
    assert_eq!(files, fs::read_dir(&folder).unwrap().count() - 1, "every file is in the index");
}

#[test]
fn industrial_captures_are_read_whole() {
    let Some(captures) = test_needs::shared("captures") else { return };
    for (file, expected) in [
        ("bacnet_example.pcap", 3257),
        ("enip_cip_example.pcap", 776),
        ("open62541_browse_next.pcap", 752),
        ("profinet_io_cm_connect.pcapng", 328),
        ("snap7.pcap", 64),
    ] {
        assert_eq!(count(&captures.join("ics").join(file)), Ok(expected), "{file}");
    }
}
