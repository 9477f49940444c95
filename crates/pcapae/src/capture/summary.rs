//! What was read, and what was wrong with it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Compression, LinkType};

/// What is known of a stream of captures besides its packets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureSummary {
    /// The captures in the order in which they were read.
    pub sources: Vec<Source>,
    /// Packets in all captures together.
    pub packets: u64,
    /// The earliest and the latest time of a packet, in nanoseconds since 1970; `None` without packets.
    pub time_range_ns: Option<(i64, i64)>,
    /// What was wrong, in the order found; time that runs backwards comes last.
    pub warnings: Vec<Warning>,
}

/// One capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The path as given, or `-` for standard input.
    pub path: PathBuf,
    /// SHA-256 of the file as given, before any decompression; hexadecimal, lower case.
    pub sha256: String,
    /// Length of the file as given, in bytes.
    pub bytes: u64,
    /// Packets read from it.
    pub packets: u64,
    /// Packets by link type.
    pub link_types: BTreeMap<LinkType, u64>,
    /// The capture format.
    pub container: Container,
    /// How the file is compressed.
    #[serde(rename = "packing")]
    pub compression: Compression,
}

/// A capture format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// The classic format.
    Pcap,
    /// The next generation.
    PcapNg,
}

/// A position in a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The capture.
    pub path: PathBuf,
    /// Bytes from its start, after decompression.
    pub offset: u64,
    /// How the file is compressed.
    pub compression: Compression,
    /// Packets read from this capture before that.
    pub packets: u64,
}

/// A fault; the packets before it are used. `Display` is one sentence with the position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Warning {
    /// The capture ends in the middle of something, as when the program that wrote it was stopped.
    CutShort {
        /// Where the unfinished part begins.
        position: Position,
        /// What is unfinished: "a packet's header".
        within: String,
    },
    /// The bytes contradict the format; the rest of this capture was not read.
    Damaged {
        /// Where the impossible bytes begin.
        position: Position,
        /// What is wrong there.
        reason: String,
    },
    /// A packet is older than the one before it. Packets keep their order in the file.
    TimeBackwards {
        /// The first such packet, counted over all captures.
        first_packet: u64,
        /// The capture it is in.
        path: PathBuf,
        /// How many such packets there are.
        count: u64,
        /// The largest step back, in nanoseconds.
        largest_step_ns: u64,
    },
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: byte {}", self.path.display(), self.offset)?;
        if self.compression != Compression::Plain {
            write!(f, " of the capture inside the {} file", self.compression)?;
        }
        match self.packets {
            1 => write!(f, ", after 1 packet"),
            packets => write!(f, ", after {packets} packets"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::CutShort { position, within } => write!(f, "{position}: the capture ends within {within}"),
            Warning::Damaged { position, reason } => {
                write!(f, "{position}: damaged, the rest of this capture is skipped: {reason}")
            }
            Warning::TimeBackwards { first_packet, path, count, largest_step_ns } => {
                let step = *largest_step_ns as f64 / 1e9;
                write!(f, "{}: packet {first_packet} is older than the one before it", path.display())?;
                match count {
                    1 => write!(f, ", by {step} s"),
                    _ => write!(f, ", the first of {count} such packets; the largest step back is {step} s"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_sentences_with_a_place() {
        let position = Position { path: "a.pcap.gz".into(), offset: 40, compression: Compression::Gzip, packets: 1 };
        assert_eq!(
            Warning::CutShort { position, within: "a packet's header".to_owned() }.to_string(),
            "a.pcap.gz: byte 40 of the capture inside the gzip file, after 1 packet: the capture ends within a packet's header"
        );
        let backwards =
            Warning::TimeBackwards { first_packet: 3, path: "a.pcap".into(), count: 2, largest_step_ns: 1_500_000_000 };
        assert_eq!(
            backwards.to_string(),
            "a.pcap: packet 3 is older than the one before it, the first of 2 such packets; the largest step back is 1.5 s"
        );
    }

    #[test]
    fn a_source_survives_json() {
        let source = Source {
            path: "a".into(),
            sha256: "00".to_owned(),
            bytes: 1,
            packets: 2,
            link_types: BTreeMap::from([(LinkType::ETHERNET, 2)]),
            container: Container::PcapNg,
            compression: Compression::Zstd,
        };
        let text = serde_json::to_string(&source).unwrap();
        assert_eq!(serde_json::from_str::<Source>(&text).unwrap(), source);
    }
}
