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
                if total_bytes.is_none() && waiting.iter().any(|input| matches!(input, Input::Pipe)) {
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
