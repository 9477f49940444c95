//! One stream of packets over all captures given.

use std::collections::VecDeque;
use std::io::Read;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::buffer::Buffer;
use super::clock::Clock;
use super::open_capture::{Input, OpenCapture, STANDARD_INPUT};
use super::{CaptureSummary, LinkType, Packet, Record, list};
use crate::{Error, Result};

/// The packets of any number of captures, in order, with one numbering.
///
/// # Example
///
/// ```no_run
/// use pcapae::capture::Captures;
///
/// let mut captures = Captures::open(&["monday.pcap.gz".into(), "tuesday.pcapng".into()])?;
/// while let Some(packet) = captures.next_packet()? {
///     println!("{} {} {}", packet.number, packet.time_ns, packet.data.len());
/// }
/// for warning in &captures.summary().warnings {
///     println!("{warning}");
/// }
/// # Ok::<(), pcapae::Error>(())
/// ```
pub struct Captures {
    waiting: VecDeque<Input>,
    total_bytes: Option<u64>,
    current: Option<OpenCapture>,
    buffer: Buffer,
    summary: CaptureSummary,
    clock: Clock,
    /// Numbers of the packets that are given.
    wanted: RangeInclusive<u64>,
}

impl Captures {
    /// Opens captures: pcap or pcapng files, plain or compressed with gzip, zstd or lz4; `-` for standard input; and
    /// text files that list captures, one a line.
    ///
    /// # Errors
    ///
    /// A file cannot be opened, is a list that names what is not there, or `-` is given twice. All inputs are checked
    /// before the first one is read; what is in them shows while reading.
    pub fn open(paths: &[PathBuf]) -> Result<Captures> {
        let mut waiting = VecDeque::new();
        let mut total_bytes = Some(0);
        for path in paths {
            if path == Path::new(STANDARD_INPUT) {
                if waiting.iter().any(|input| matches!(input, Input::Pipe)) {
                    return Err(Error::StandardInputTwice);
                }
                waiting.push_back(Input::Pipe);
                total_bytes = None;
                continue;
            }
            for file in list::expand(path)? {
                let metadata = file.metadata().map_err(Error::io("open", &file))?;
                let length = metadata.is_file().then_some(metadata.len());
                total_bytes = total_bytes.zip(length).map(|(sum, more)| sum + more);
                waiting.push_back(Input::File(file));
            }
        }
        Ok(Captures::over(waiting, total_bytes))
    }

    /// Reads one capture from anything that gives bytes; `name` stands for it in messages.
    pub fn from_reader(name: impl Into<PathBuf>, reader: impl Read + Send + 'static) -> Captures {
        Captures::over(VecDeque::from([Input::Reader(name.into(), Box::new(reader))]), None)
    }

    /// The same captures with only the packets of these numbers given, numbered anew from 1. The others are read and counted too.
    ///
    /// Panics where the numbers begin with 0.
    pub fn only(self, packets: RangeInclusive<u64>) -> Captures {
        assert_ne!(*packets.start(), 0, "packets count from 1");
        Captures { wanted: packets, ..self }
    }

    /// The next packet; `None` after the last one of the last capture.
    ///
    /// A capture that is cut or damaged ends with the last packet before the fault, and a [`Warning`](super::Warning) in the summary;
    /// the next capture follows.
    ///
    /// # Errors
    ///
    /// A file is no capture, or one of an unknown version, or the operating system cannot read it. The stream is over
    /// then.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>> {
        match self.advance() {
            Ok(Some(found)) => Ok(Some(Packet {
                number: self.summary.packets - (self.wanted.start() - 1),
                time_ns: found.time_ns,
                link: found.link,
                interface: found.interface,
                wire_length: found.wire_length,
                data: self.buffer.at(found.bytes),
            })),
            Ok(None) => Ok(None),
            Err(refusal) => {
                self.waiting.clear();
                self.current = None;
                Err(refusal)
            }
        }
    }

    /// Bytes read so far from the files as given, for a progress bar against [`Captures::total_bytes`].
    pub fn bytes_read(&self) -> u64 {
        let done: u64 = self.summary.sources.iter().map(|source| source.bytes).sum();
        done + self.current.as_ref().map_or(0, |open| open.bytes_read())
    }

    /// The sum of the files' sizes in bytes; `None` where one is not known, as of standard input.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// What was read. Complete once [`Captures::next_packet`] returned `None`: a capture is listed when it is over.
    pub fn summary(&self) -> &CaptureSummary {
        &self.summary
    }

    /// The same, for keeping.
    pub fn into_summary(self) -> CaptureSummary {
        self.summary
    }

    fn over(waiting: VecDeque<Input>, total_bytes: Option<u64>) -> Captures {
        Captures {
            waiting,
            total_bytes,
            current: None,
            buffer: Buffer::new(),
            summary: CaptureSummary::default(),
            clock: Clock::default(),
            wanted: 1..=u64::MAX,
        }
    }

    #[inline]
    fn advance(&mut self) -> Result<Option<Found>> {
        loop {
            let Some(open) = &mut self.current else {
                let Some(input) = self.waiting.pop_front() else {
                    self.summary.warnings.extend(self.clock.backwards.take());
                    return Ok(None);
                };
                self.current = Some(OpenCapture::start(input, &mut self.buffer)?);
                continue;
            };
            match open.next(&mut self.buffer) {
                Ok(record) => {
                    open.count(record.link);
                    self.summary.packets += 1;
                    let time_ns = record.time_ns.or(self.clock.last_ns).unwrap_or(0);
                    self.clock.tick(time_ns, self.summary.packets, open.path());
                    self.summary.time_range_ns = self.clock.range_ns;
                    if !self.wanted.contains(&self.summary.packets) {
                        continue;
                    }
                    let Record { link, interface, wire_length, bytes, .. } = record;
                    return Ok(Some(Found { time_ns, link, interface, wire_length, bytes }));
                }
                Err(stop) => {
                    if let Some(open) = self.current.take() {
                        let (source, warning) = open.close(stop, &self.buffer)?;
                        self.summary.sources.push(source);
                        self.summary.warnings.extend(warning);
                    }
                }
            }
        }
    }
}

struct Found {
    time_ns: i64,
    link: LinkType,
    interface: u32,
    wire_length: u32,
    bytes: std::ops::Range<usize>,
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use proptest::prelude::*;

    use super::super::Warning;
    use super::super::fixtures::{self, CaptureFormat, PacketFixture};
    use super::*;

    /// Every packet of a capture in memory, and the summary or the refusal.
    fn read(bytes: Vec<u8>) -> (Vec<PacketFixture>, Result<CaptureSummary>) {
        let mut captures = Captures::from_reader("test", io::Cursor::new(bytes));
        let mut packets = Vec::new();
        loop {
            match captures.next_packet() {
                Ok(Some(packet)) => {
                    packets.push(PacketFixture {
                        time_ns: packet.time_ns,
                        link: packet.link,
                        data: packet.data.to_vec(),
                    });
                    assert_eq!(packet.number, packets.len() as u64);
                }
                Ok(None) => return (packets, Ok(captures.into_summary())),
                Err(refusal) => return (packets, Err(refusal)),
            }
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn lz4(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    fn check_damage(bytes: Vec<u8>, packets: usize, reason: &str) {
        let (found, summary) = read(bytes);
        assert_eq!(found.len(), packets);
        let warnings: Vec<String> = summary.unwrap().warnings.iter().map(Warning::to_string).collect();
        assert!(warnings.iter().any(|warning| warning.contains(reason)), "{warnings:?}");
    }

    /// A pcapng block of little-endian words.
    fn block(kind: u32, words: &[u32]) -> Vec<u8> {
        let length = 12 + 4 * words.len() as u32;
        [&[kind, length][..], words, &[length]].concat().into_iter().flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn packets_have_their_length_on_the_wire_and_their_interface_over_all_sections() {
        let section = block(0x0a0d_0d0a, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]);
        let interface = block(1, &[1, 0]);
        let enhanced = |on: u32, wire| block(6, &[on, 0, 0, 4, wire, 0]);
        let parts = [
            &section[..],
            &interface,
            &interface,
            &enhanced(1, 1500),
            &section,
            &interface,
            &enhanced(0, 60),
            // Less than was captured cannot be.
            &block(2, &[0, 0, 0, 4, 3, 0]),
            &block(3, &[4, 0]),
        ];
        let mut captures = Captures::from_reader("test", io::Cursor::new(parts.concat()));
        let mut found = Vec::new();
        while let Some(packet) = captures.next_packet().unwrap() {
            found.push((packet.interface, packet.wire_length, packet.data.len()));
        }
        assert_eq!(found, [(1, 1500, 4), (2, 60, 4), (2, 4, 4), (2, 4, 4)]);

        let words = [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 64, 1, 0, 0, 4, 900, 0];
        let bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        let mut captures = Captures::from_reader("test", io::Cursor::new(bytes));
        let packet = captures.next_packet().unwrap().unwrap();
        assert_eq!((packet.interface, packet.wire_length, packet.data.len()), (0, 900, 4));
    }

    #[test]
    fn some_of_the_packets_are_numbered_anew() {
        let packet = |byte| PacketFixture { time_ns: 0, link: LinkType(1), data: vec![byte] };
        let bytes = CaptureFormat::ALL[0].write(&[packet(7), packet(8), packet(9)]);
        let mut captures = Captures::from_reader("test", io::Cursor::new(bytes)).only(2..=3);
        let mut found = Vec::new();
        while let Some(packet) = captures.next_packet().unwrap() {
            found.push((packet.number, packet.data[0]));
        }
        assert_eq!(found, [(1, 8), (2, 9)]);
        assert_eq!(captures.summary().packets, 3);
    }

    proptest! {
        #[test]
        fn what_is_written_in_any_format_reads_back(
            packets in fixtures::packets(),
            format in prop::sample::select(CaptureFormat::ALL),
        ) {
            let (found, summary) = read(format.write(&packets));
            let expected: Vec<PacketFixture> = packets.iter().map(|packet| format.rounded(packet)).collect();
            prop_assert_eq!(found, expected);
            let summary = summary.unwrap();
            prop_assert_eq!(summary.sources[0].packets, packets.len() as u64);
            let only_time = summary.warnings.iter().all(|warning| matches!(warning, Warning::TimeBackwards { .. }));
            prop_assert!(only_time, "{:?}", summary.warnings);
        }

        #[test]
        fn every_truncation_gives_the_packets_before_it(
            packets in prop::collection::vec(fixtures::packet(), 0..4),
            format in prop::sample::select(CaptureFormat::ALL),
        ) {
            let whole = format.write(&packets);
            let (all, _) = read(whole.clone());
            for end in 0..whole.len() {
                let (found, summary) = read(whole[..end].to_vec());
                prop_assert!(found.len() <= all.len() && found == all[..found.len()], "cut at {end}");
                if let Ok(summary) = summary {
                    let cut = summary.warnings.iter().any(|warning| matches!(warning, Warning::CutShort { .. }));
                    prop_assert!(cut || format.is_border(&packets, end), "cut at {end} without a word");
                } else {
                    prop_assert!(found.is_empty(), "cut at {end}");
                }
            }
        }

        #[test]
        fn compressed_captures_read_as_plain_ones(packets in fixtures::packets(), middle in any::<prop::sample::Index>()) {
            let plain = CaptureFormat::ALL[0].write(&packets);
            let (expected, _) = read(plain.clone());
            for compress in [gzip, zstd, lz4] {
                let (left, right) = plain.split_at(middle.index(plain.len()));
                for compressed in [compress(&plain), [compress(left), compress(right)].concat()] {
                    let (found, summary) = read(compressed.clone());
                    prop_assert_eq!(&found, &expected);
                    let source = &summary.unwrap().sources[0];
                    prop_assert_eq!(source.bytes, compressed.len() as u64);
                }
                // Of one piece only: between two pieces, a cut may leave a whole capture with fewer packets.
                let compressed = compress(&plain);
                let (cut, summary) = read(compressed[..middle.index(compressed.len())].to_vec());
                prop_assert_eq!(&cut[..], &expected[..cut.len()]);
                prop_assert!(summary.is_err() || !summary.unwrap().warnings.is_empty(), "cut without a word");
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            head in prop::sample::select(vec![
                vec![], vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0], vec![0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4],
                vec![0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0],
                vec![0x1f, 0x8b, 8], vec![0x28, 0xb5, 0x2f, 0xfd], vec![0x04, 0x22, 0x4d, 0x18],
            ]),
            tail in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = read([head, tail].concat());
        }

        #[test]
        fn one_flipped_byte_never_panics(
            packets in fixtures::packets(),
            format in prop::sample::select(CaptureFormat::ALL),
            (at, value) in (any::<prop::sample::Index>(), any::<u8>()),
        ) {
            let mut bytes = format.write(&packets);
            let at = at.index(bytes.len());
            bytes[at] = value;
            for compress in [gzip, zstd, lz4] {
                let mut compressed = compress(&bytes);
                let at = at % compressed.len();
                compressed[at] ^= value;
                let _ = read(compressed);
            }
            let _ = read(bytes);
        }
    }

    fn two_packets() -> Vec<PacketFixture> {
        let packet = |time_ns| PacketFixture { time_ns, link: LinkType::ETHERNET, data: vec![7; 60] };
        vec![packet(1_000_000), packet(2_000_000)]
    }

    #[test]
    fn a_packet_longer_than_any_is_damage() {
        let mut bytes = CaptureFormat::ALL[0].write(&two_packets());
        bytes[24 + 16 + 60 + 11] = 0x7f;
        check_damage(bytes, 1, "byte 100, after 1 packet: damaged");
    }

    #[test]
    fn damage_in_gzip_data_is_reported_after_the_packets_before_it() {
        let mut bytes = gzip(&CaptureFormat::ALL[0].write(&two_packets()));
        let end = bytes.len();
        bytes[end - 6] ^= 1;
        check_damage(bytes, 2, "gzip");
    }

    #[test]
    fn what_is_no_capture_is_refused_in_one_sentence() {
        for (bytes, found) in [
            (&b""[..], "an empty file"),
            (b"time,value\n1,2\n", "found text"),
            (b"\xd4\xc3\xb2\xa1", "cut within its header, 4 of 24 bytes"),
            (b"\xfd7zXZ\0", "an xz file"),
            (b"\x7fELF\x02\x01", "begins with 7f 45 4c 46"),
        ] {
            let refusal = read(bytes.to_vec()).1.unwrap_err().to_string();
            assert!(refusal.starts_with("test cannot be read as a capture") && refusal.contains(found), "{refusal}");
        }
    }

    #[test]
    fn numbers_and_clock_run_on_over_files_and_damage_ends_one_file_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let whole = CaptureFormat::ALL[0].write(&two_packets());
        let paths = [file("cut", &whole[..whole.len() - 1]), file("whole", &whole), file("empty", &whole[..24])];
        let mut captures = Captures::open(&paths).unwrap();
        let mut numbers = Vec::new();
        while let Some(packet) = captures.next_packet().unwrap() {
            numbers.push(packet.number);
        }
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(captures.bytes_read(), captures.total_bytes().unwrap());
        let summary = captures.into_summary();
        assert_eq!(summary.sources.iter().map(|source| source.packets).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(summary.time_range_ns, Some((1_000_000, 2_000_000)));
        assert!(matches!(summary.warnings[..], [Warning::CutShort { .. }]));
    }

    #[test]
    fn time_that_runs_backwards_is_kept_and_counted() {
        let packet = |time_ns| PacketFixture { time_ns, link: LinkType::ETHERNET, data: vec![] };
        let times = [5_000, 3_000, 4_000, 1_000];
        let (found, summary) = read(CaptureFormat::ALL[0].write(&times.map(packet)));
        assert_eq!(found.iter().map(|packet| packet.time_ns).collect::<Vec<_>>(), times);
        let expected =
            Warning::TimeBackwards { first_packet: 2, path: "test".into(), count: 2, largest_step_ns: 3_000 };
        assert_eq!(summary.unwrap().warnings, [expected]);
    }

    #[test]
    fn a_missing_file_and_a_second_standard_input_are_refused_before_reading() {
        assert!(matches!(Captures::open(&["no such file".into()]), Err(Error::Io { .. })));
        assert!(matches!(Captures::open(&["-".into(), "-".into()]), Err(Error::StandardInputTwice)));
    }
}
