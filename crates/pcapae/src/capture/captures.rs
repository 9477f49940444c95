//! One stream of packets over all captures given.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::buffer::Buffer;
use super::packing::{Packing, Unpacked};
use super::pcap::{self, Pcap};
use super::pcapng::{self, BadStart, PcapNg};
use super::raw::Raw;
use super::{CaptureSummary, Container, LinkType, Packet, Place, Record, Source, Stop, Warning, list};
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
    current: Option<Open>,
    buffer: Buffer,
    summary: CaptureSummary,
    clock: Clock,
}

impl Captures {
    /// Opens captures: pcap or pcapng files, plain or packed with gzip, zstd or lz4; `-` for standard input; and
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

    /// The next packet; `None` after the last one of the last capture.
    ///
    /// A capture that is cut or damaged ends with the last packet before the fault, and a [`Warning`] in the summary;
    /// the next capture follows.
    ///
    /// # Errors
    ///
    /// A file is no capture, or one of an unknown version, or the operating system cannot read it. The stream is over
    /// then.
    pub fn next_packet(&mut self) -> Result<Option<Packet<'_>>> {
        match self.advance() {
            Ok(Some(found)) => Ok(Some(Packet {
                number: self.summary.packets,
                time_ns: found.time_ns,
                link: found.link,
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
        done + self.current.as_ref().map_or(0, |open| open.stream.bytes_read())
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
                self.current = Some(Open::start(input, &mut self.buffer)?);
                continue;
            };
            match open.next(&mut self.buffer) {
                Ok(record) => {
                    open.packets += 1;
                    open.links.count(record.link);
                    self.summary.packets += 1;
                    let time_ns = record.time_ns.or(self.clock.last_ns).unwrap_or(0);
                    self.clock.tick(time_ns, self.summary.packets, &open.path);
                    self.summary.time_range_ns = self.clock.range_ns;
                    return Ok(Some(Found { time_ns, link: record.link, bytes: record.bytes }));
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

const STANDARD_INPUT: &str = "-";

enum Input {
    File(PathBuf),
    Pipe,
    Reader(PathBuf, Box<dyn Read + Send>),
}

struct Found {
    time_ns: i64,
    link: LinkType,
    bytes: std::ops::Range<usize>,
}

/// The capture that is being read.
struct Open {
    path: PathBuf,
    stream: Unpacked,
    format: Format,
    packets: u64,
    links: LinkCounts,
}

enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
}

impl Open {
    fn start(input: Input, buffer: &mut Buffer) -> Result<Open> {
        let (path, reader): (PathBuf, Box<dyn Read + Send>) = match input {
            Input::File(path) => {
                let file = File::open(&path).map_err(Error::io("open", &path))?;
                (path, Box::new(file))
            }
            Input::Pipe => (PathBuf::from(STANDARD_INPUT), Box::new(io::stdin())),
            Input::Reader(name, reader) => (name, reader),
        };
        let mut stream = Unpacked::open(Raw::new(reader)).map_err(Error::io("read", &path))?;
        buffer.restart();
        let format = recognise(&path, &mut stream, buffer)?;
        Ok(Open { path, stream, format, packets: 0, links: LinkCounts::default() })
    }

    #[inline]
    fn next(&mut self, buffer: &mut Buffer) -> Result<Record, Stop> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next(buffer, &mut self.stream),
            Format::PcapNg(section) => section.next(buffer, &mut self.stream),
        }
    }

    /// Reads the rest for the hash, and puts the reason for the end into words.
    fn close(mut self, stop: Stop, buffer: &Buffer) -> Result<(Source, Option<Warning>)> {
        let packing = self.stream.packing();
        let raw = self.stream.raw();
        if let Some(failure) = raw.failure.take() {
            return Err(Error::io("read", &self.path)(failure));
        }
        let sha256 = raw.finish().map_err(Error::io("read", &self.path))?;
        let bytes = raw.read;
        let place = || Place { path: self.path.clone(), offset: buffer.offset(), packing, packets: self.packets };
        let warning = match (stop, buffer.failure()) {
            // The unpacker gave up: what it gave before is whole, what it would have given is not known.
            (Stop::End | Stop::Cut(_), Some(failure)) => Some(match failure.kind() {
                io::ErrorKind::UnexpectedEof => {
                    Warning::CutShort { place: place(), within: format!("its {packing} data") }
                }
                _ => Warning::Damaged { place: place(), reason: format!("its {packing} data, {failure}") },
            }),
            (Stop::End, None) => None,
            (Stop::Cut(within), None) => Some(Warning::CutShort { place: place(), within: within.to_owned() }),
            (Stop::Damage(reason), _) => Some(Warning::Damaged { place: place(), reason }),
        };
        let container = match self.format {
            Format::Pcap(_) => Container::Pcap,
            Format::PcapNg(_) => Container::PcapNg,
        };
        let link_types = self.links.finish();
        let source = Source { path: self.path, sha256, bytes, packets: self.packets, link_types, container, packing };
        Ok((source, warning))
    }
}

/// Reads a capture's own header, or says what the file is instead.
fn recognise(path: &Path, stream: &mut Unpacked, buffer: &mut Buffer) -> Result<Format> {
    let refuse = |found: String| Error::NotACapture { path: path.to_owned(), found };
    let unsupported = |found: String| Error::UnsupportedCapture { path: path.to_owned(), found };
    let head = buffer.fill(stream, pcap::HEADER);
    let result = match head {
        &[a, b, c, d, ..] if pcap::is_pcap([a, b, c, d]) => match head.first_chunk() {
            Some(header) => {
                let format = Pcap::new(header).map_err(unsupported)?;
                buffer.consume(pcap::HEADER);
                return Ok(Format::Pcap(format));
            }
            None => format!("a pcap file cut within its header, {} of {} bytes", head.len(), pcap::HEADER),
        },
        &[a, b, c, d, ..] if u32::from_be_bytes([a, b, c, d]) == pcapng::SECTION_HEADER => {
            match PcapNg::open(buffer, stream) {
                Ok(section) => return Ok(Format::PcapNg(section)),
                Err(BadStart::Unsupported(found)) => return Err(unsupported(found)),
                Err(BadStart::NoHeader(found)) => found.to_owned(),
            }
        }
        head => describe(head, stream.packing()),
    };
    if let Some(failure) = stream.raw().failure.take() {
        return Err(Error::io("read", path)(failure));
    }
    Err(refuse(match (buffer.failure(), stream.packing()) {
        (Some(failure), packing) => format!("a damaged {packing} file ({failure})"),
        (None, Packing::Plain) => result,
        (None, packing) => format!("a {packing} file with {result} inside"),
    }))
}

/// What a file seems to be that is no capture.
fn describe(head: &[u8], packing: Packing) -> String {
    let known = match head {
        [] if packing == Packing::Plain => "empty",
        [] => "nothing",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "an xz file; unpack it first",
        [b'B', b'Z', b'h', ..] => "a bzip2 file; unpack it first",
        [b'P', b'K', 3, 4, ..] => "a zip file; unpack it first",
        head if head.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => "text",
        head => {
            let first: String = head.iter().take(4).map(|byte| format!(" {byte:02x}")).collect();
            return format!("of an unknown format that begins with{first}");
        }
    };
    known.to_owned()
}

/// Packets by link type. Nearly all packets of a capture have the same one, so the last one is counted apart.
#[derive(Default)]
struct LinkCounts {
    counts: BTreeMap<LinkType, u64>,
    last: Option<(LinkType, u64)>,
}

impl LinkCounts {
    #[inline]
    fn count(&mut self, link: LinkType) {
        match &mut self.last {
            Some((last, count)) if *last == link => *count += 1,
            _ => {
                self.put_last();
                self.last = Some((link, 1));
            }
        }
    }

    fn put_last(&mut self) {
        if let Some((link, count)) = self.last.take() {
            *self.counts.entry(link).or_default() += count;
        }
    }

    fn finish(mut self) -> BTreeMap<LinkType, u64> {
        self.put_last();
        self.counts
    }
}

/// Follows the packets' times.
#[derive(Default)]
struct Clock {
    last_ns: Option<i64>,
    range_ns: Option<(i64, i64)>,
    backwards: Option<Warning>,
}

impl Clock {
    #[inline]
    fn tick(&mut self, time_ns: i64, packet: u64, path: &Path) {
        match self.last_ns {
            Some(last) if time_ns < last => self.step_back(last.abs_diff(time_ns), packet, path),
            _ => {}
        }
        self.last_ns = Some(time_ns);
        let (first, last) = self.range_ns.unwrap_or((time_ns, time_ns));
        self.range_ns = Some((first.min(time_ns), last.max(time_ns)));
    }

    #[cold]
    fn step_back(&mut self, step_ns: u64, packet: u64, path: &Path) {
        match &mut self.backwards {
            Some(Warning::TimeBackwards { count, largest_step_ns, .. }) => {
                *count += 1;
                *largest_step_ns = step_ns.max(*largest_step_ns);
            }
            _ => {
                self.backwards = Some(Warning::TimeBackwards {
                    first_packet: packet,
                    path: path.to_owned(),
                    count: 1,
                    largest_step_ns: step_ns,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::super::specimen::{self, Dialect, Specimen};
    use super::*;

    /// Every packet of a capture in memory, and the summary or the refusal.
    fn read(bytes: Vec<u8>) -> (Vec<Specimen>, Result<CaptureSummary>) {
        let mut captures = Captures::from_reader("test", io::Cursor::new(bytes));
        let mut packets = Vec::new();
        loop {
            match captures.next_packet() {
                Ok(Some(packet)) => {
                    packets.push(Specimen { time_ns: packet.time_ns, link: packet.link, data: packet.data.to_vec() });
                    assert_eq!(packet.number, packets.len() as u64);
                }
                Ok(None) => return (packets, Ok(captures.into_summary())),
                Err(refusal) => return (packets, Err(refusal)),
            }
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn lz4(bytes: &[u8]) -> Vec<u8> {
        let mut packer = lz4_flex::frame::FrameEncoder::new(Vec::new());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
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

    proptest! {
        #[test]
        fn what_is_written_in_any_dialect_reads_back(
            packets in specimen::packets(),
            dialect in prop::sample::select(Dialect::ALL),
        ) {
            let (found, summary) = read(dialect.write(&packets));
            let expected: Vec<Specimen> = packets.iter().map(|packet| dialect.rounded(packet)).collect();
            prop_assert_eq!(found, expected);
            let summary = summary.unwrap();
            prop_assert_eq!(summary.sources[0].packets, packets.len() as u64);
            let only_time = summary.warnings.iter().all(|warning| matches!(warning, Warning::TimeBackwards { .. }));
            prop_assert!(only_time, "{:?}", summary.warnings);
        }

        #[test]
        fn every_truncation_gives_the_packets_before_it(
            packets in prop::collection::vec(specimen::packet(), 0..4),
            dialect in prop::sample::select(Dialect::ALL),
        ) {
            let whole = dialect.write(&packets);
            let (all, _) = read(whole.clone());
            for end in 0..whole.len() {
                let (found, summary) = read(whole[..end].to_vec());
                prop_assert!(found.len() <= all.len() && found == all[..found.len()], "cut at {end}");
                if let Ok(summary) = summary {
                    let cut = summary.warnings.iter().any(|warning| matches!(warning, Warning::CutShort { .. }));
                    prop_assert!(cut || dialect.is_border(&packets, end), "cut at {end} without a word");
                } else {
                    prop_assert!(found.is_empty(), "cut at {end}");
                }
            }
        }

        #[test]
        fn packed_captures_read_as_plain_ones(packets in specimen::packets(), middle in any::<prop::sample::Index>()) {
            let plain = Dialect::ALL[0].write(&packets);
            let (expected, _) = read(plain.clone());
            for pack in [gzip, zstd, lz4] {
                let (left, right) = plain.split_at(middle.index(plain.len()));
                for packed in [pack(&plain), [pack(left), pack(right)].concat()] {
                    let (found, summary) = read(packed.clone());
                    prop_assert_eq!(&found, &expected);
                    let source = &summary.unwrap().sources[0];
                    prop_assert_eq!(source.bytes, packed.len() as u64);
                }
                // Of one piece only: between two pieces, a cut may leave a whole capture with fewer packets.
                let packed = pack(&plain);
                let (cut, summary) = read(packed[..middle.index(packed.len())].to_vec());
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
            packets in specimen::packets(),
            dialect in prop::sample::select(Dialect::ALL),
            (at, value) in (any::<prop::sample::Index>(), any::<u8>()),
        ) {
            let mut bytes = dialect.write(&packets);
            let at = at.index(bytes.len());
            bytes[at] = value;
            for pack in [gzip, zstd, lz4] {
                let mut packed = pack(&bytes);
                let at = at % packed.len();
                packed[at] ^= value;
                let _ = read(packed);
            }
            let _ = read(bytes);
        }
    }

    fn two_packets() -> Vec<Specimen> {
        let packet = |time_ns| Specimen { time_ns, link: LinkType::ETHERNET, data: vec![7; 60] };
        vec![packet(1_000_000), packet(2_000_000)]
    }

    #[test]
    fn a_packet_longer_than_any_is_damage() {
        let mut bytes = Dialect::ALL[0].write(&two_packets());
        bytes[24 + 16 + 60 + 11] = 0x7f;
        check_damage(bytes, 1, "byte 100, after 1 packet: damaged");
    }

    #[test]
    fn damage_in_gzip_data_is_reported_after_the_packets_before_it() {
        let mut bytes = gzip(&Dialect::ALL[0].write(&two_packets()));
        let end = bytes.len();
        bytes[end - 6] ^= 1;
        check_damage(bytes, 2, "gzip");
    }

    #[test]
    fn what_is_no_capture_is_refused_in_one_sentence() {
        for (bytes, found) in [
            (&b""[..], "it is empty"),
            (b"time,value\n1,2\n", "it is text"),
            (b"\xd4\xc3\xb2\xa1", "cut within its header, 4 of 24 bytes"),
            (b"\xfd7zXZ\0", "an xz file"),
            (b"\x7fELF\x02\x01", "begins with 7f 45 4c 46"),
        ] {
            let refusal = read(bytes.to_vec()).1.unwrap_err().to_string();
            assert!(refusal.starts_with("test is not a capture") && refusal.contains(found), "{refusal}");
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
        let whole = Dialect::ALL[0].write(&two_packets());
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
        let packet = |time_ns| Specimen { time_ns, link: LinkType::ETHERNET, data: vec![] };
        let times = [5_000, 3_000, 4_000, 1_000];
        let (found, summary) = read(Dialect::ALL[0].write(&times.map(packet)));
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
