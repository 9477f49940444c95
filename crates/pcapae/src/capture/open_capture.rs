//! The capture that is being read: opened, recognised by its first bytes, read to its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::buffer::Buffer;
use super::compression::{Compression, Decompressed};
use super::pcap::{self, Pcap};
use super::pcapng::{self, BadStart, PcapNgReader};
use super::raw::Raw;
use super::{Container, LinkType, Position, Record, Source, Stop, Warning};
use crate::error::{Fault, FileKind};
use crate::{Error, Result};

/// The name of standard input among paths.
pub(super) const STANDARD_INPUT: &str = "-";

/// Where a capture comes from.
pub(super) enum Input {
    File(PathBuf),
    /// Standard input.
    Pipe,
    Reader(PathBuf, Box<dyn Read + Send>),
}

/// The capture that is being read.
pub(super) struct OpenCapture {
    path: PathBuf,
    stream: Decompressed,
    format: Format,
    packets: u64,
    links: LinkCounts,
}

enum Format {
    Pcap(Pcap),
    PcapNg(PcapNgReader),
}

impl OpenCapture {
    /// Opens an input and reads the capture's own header.
    pub(super) fn start(input: Input, buffer: &mut Buffer) -> Result<OpenCapture> {
        let (path, reader): (PathBuf, Box<dyn Read + Send>) = match input {
            Input::File(path) => {
                let file = File::open(&path).map_err(Error::io("open", &path))?;
                (path, Box::new(file))
            }
            Input::Pipe => (PathBuf::from(STANDARD_INPUT), Box::new(io::stdin())),
            Input::Reader(name, reader) => (name, reader),
        };
        let mut stream = Decompressed::open(Raw::new(reader)).map_err(Error::io("read", &path))?;
        buffer.restart();
        let format = recognise(&path, &mut stream, buffer)?;
        Ok(OpenCapture { path, stream, format, packets: 0, links: LinkCounts::default() })
    }

    /// The next packet, in the buffer, or why there is none.
    #[inline]
    pub(super) fn next(&mut self, buffer: &mut Buffer) -> Result<Record, Stop> {
        match &mut self.format {
            Format::Pcap(pcap) => pcap.next(buffer, &mut self.stream),
            Format::PcapNg(section) => section.next(buffer, &mut self.stream),
        }
    }

    /// Counts a packet that was found.
    #[inline]
    pub(super) fn count(&mut self, link: LinkType) {
        self.packets += 1;
        self.links.count(link);
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes taken so far from the file as given.
    pub(super) fn bytes_read(&self) -> u64 {
        self.stream.bytes_read()
    }

    /// Reads the rest for the hash, and turns the reason for the end into a warning.
    pub(super) fn close(mut self, stop: Stop, buffer: &Buffer) -> Result<(Source, Option<Warning>)> {
        let compression = self.stream.compression();
        let raw = self.stream.raw();
        if let Some(failure) = raw.failure.take() {
            return Err(Error::io("read", &self.path)(failure));
        }
        let sha256 = raw.finish().map_err(Error::io("read", &self.path))?;
        let bytes = raw.read;
        let position =
            || Position { path: self.path.clone(), offset: buffer.offset(), compression, packets: self.packets };
        let warning = match (stop, buffer.failure()) {
            // The decompressor gave up: what it gave before is intact, what was to follow is unknown.
            (Stop::End | Stop::Cut(_), Some(failure)) => Some(match failure.kind() {
                io::ErrorKind::UnexpectedEof => {
                    Warning::CutShort { position: position(), within: format!("its {compression} data") }
                }
                _ => Warning::Damaged { position: position(), reason: format!("its {compression} data, {failure}") },
            }),
            (Stop::End, None) => None,
            (Stop::Cut(within), None) => Some(Warning::CutShort { position: position(), within: within.to_owned() }),
            (Stop::Damage(reason), _) => Some(Warning::Damaged { position: position(), reason }),
        };
        let container = match self.format {
            Format::Pcap(_) => Container::Pcap,
            Format::PcapNg(_) => Container::PcapNg,
        };
        let link_types = self.links.finish();
        let source =
            Source { path: self.path, sha256, bytes, packets: self.packets, link_types, container, compression };
        Ok((source, warning))
    }
}

/// Reads a capture's own header, or says what the file is instead.
fn recognise(path: &Path, stream: &mut Decompressed, buffer: &mut Buffer) -> Result<Format> {
    let unreadable = FileKind::Capture.unreadable(path);
    let head = buffer.fill(stream, pcap::HEADER);
    let result = match head {
        &[a, b, c, d, ..] if pcap::is_pcap([a, b, c, d]) => match head.first_chunk() {
            Some(header) => {
                let format = Pcap::new(header).map_err(unreadable)?;
                buffer.consume(pcap::HEADER);
                return Ok(Format::Pcap(format));
            }
            None => format!("a pcap file cut within its header, {} of {} bytes", head.len(), pcap::HEADER),
        },
        &[a, b, c, d, ..] if u32::from_be_bytes([a, b, c, d]) == pcapng::SECTION_HEADER => {
            match PcapNgReader::open(buffer, stream) {
                Ok(section) => return Ok(Format::PcapNg(section)),
                Err(BadStart::Unsupported(fault)) => return Err(unreadable(fault)),
                Err(BadStart::NoHeader(found)) => found.to_owned(),
            }
        }
        head => describe(head, stream.compression()),
    };
    if let Some(failure) = stream.raw().failure.take() {
        return Err(Error::io("read", path)(failure));
    }
    let found = match (buffer.failure(), stream.compression()) {
        (Some(failure), compression) => format!("a damaged {compression} file ({failure})"),
        (None, Compression::Plain) => result,
        (None, compression) => format!("a {compression} file with {result} inside"),
    };
    Err(unreadable(Fault::found(found, "a capture")))
}

/// What a file that is not a capture seems to be.
fn describe(head: &[u8], compression: Compression) -> String {
    let known = match head {
        [] if compression == Compression::Plain => "an empty file",
        [] => "nothing",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "an xz file, which must be decompressed first",
        [b'B', b'Z', b'h', ..] => "a bzip2 file, which must be decompressed first",
        [b'P', b'K', 3, 4, ..] => "a zip file, which must be unzipped first",
        head if head.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => "text",
        head => {
            let first: String = head.iter().take(4).map(|byte| format!(" {byte:02x}")).collect();
            return format!("an unknown format that begins with{first}");
        }
    };
    known.to_owned()
}

/// Packets by link type. Nearly all packets of a capture have the same one, so the latest is counted outside the map.
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
