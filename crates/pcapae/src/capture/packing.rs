//! How a capture is packed, found by its first bytes and never by its name, and the unpackers.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use serde::{Deserialize, Serialize};

use super::raw::Raw;

/// How the bytes of a capture file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip, one or more members (RFC 1952).
    Gzip,
    /// Zstandard frames (RFC 8878).
    Zstd,
    /// LZ4 frames.
    Lz4,
}

impl Packing {
    fn of(head: &[u8]) -> Packing {
        match head {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
            [0x04, 0x22, 0x4d, 0x18, ..] => Packing::Lz4,
            _ => Packing::Plain,
        }
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Packing::Plain => "plain",
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
            Packing::Lz4 => "lz4",
        })
    }
}

/// A capture's bytes after unpacking.
pub(super) enum Unpacked {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<BufReader<Raw>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Raw>>>),
    Lz4(Box<FrameDecoder<Lz4Frames>>),
}

impl Unpacked {
    /// Looks at the first bytes and chooses the unpacker.
    pub(super) fn open(mut raw: Raw) -> io::Result<Unpacked> {
        let packing = Packing::of(raw.peek(4)?);
        let packed = |raw| BufReader::with_capacity(PACKED_BUFFER, raw);
        Ok(match packing {
            Packing::Plain => Unpacked::Plain(raw),
            Packing::Gzip => Unpacked::Gzip(Box::new(MultiGzDecoder::new(packed(raw)))),
            Packing::Zstd => Unpacked::Zstd(Box::new(zstd::Decoder::with_buffer(packed(raw))?)),
            Packing::Lz4 => {
                Unpacked::Lz4(Box::new(FrameDecoder::new(Lz4Frames { packed: packed(raw), starved: false })))
            }
        })
    }

    pub(super) fn packing(&self) -> Packing {
        match self {
            Unpacked::Plain(_) => Packing::Plain,
            Unpacked::Gzip(_) => Packing::Gzip,
            Unpacked::Zstd(_) => Packing::Zstd,
            Unpacked::Lz4(_) => Packing::Lz4,
        }
    }

    pub(super) fn raw(&mut self) -> &mut Raw {
        match self {
            Unpacked::Plain(raw) => raw,
            Unpacked::Gzip(decoder) => decoder.get_mut().get_mut(),
            Unpacked::Zstd(decoder) => decoder.get_mut().get_mut(),
            Unpacked::Lz4(decoder) => decoder.get_mut().packed.get_mut(),
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        match self {
            Unpacked::Plain(raw) => raw.read,
            Unpacked::Gzip(decoder) => decoder.get_ref().get_ref().read,
            Unpacked::Zstd(decoder) => decoder.get_ref().get_ref().read,
            Unpacked::Lz4(decoder) => decoder.get_ref().packed.get_ref().read,
        }
    }
}

impl Read for Unpacked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpacked::Plain(raw) => raw.read(into),
            Unpacked::Gzip(decoder) => decoder.read(into),
            Unpacked::Zstd(decoder) => decoder.read(into),
            Unpacked::Lz4(decoder) => read_lz4(decoder, into),
        }
    }
}

/// What lies between the LZ4 unpacker and the file: notes when the unpacker was refused bytes it asked for.
pub(super) struct Lz4Frames {
    packed: BufReader<Raw>,
    starved: bool,
}

impl Read for Lz4Frames {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.packed.read(into)?;
        self.starved |= got == 0 && !into.is_empty();
        Ok(got)
    }
}

/// Packed bytes read at a time.
const PACKED_BUFFER: usize = 1 << 17;

/// Goes on with the next frame at the end of one, and tells an end of file within a frame from a proper end.
fn read_lz4(decoder: &mut FrameDecoder<Lz4Frames>, into: &mut [u8]) -> io::Result<usize> {
    loop {
        let got = decoder.read(into)?;
        if got > 0 || into.is_empty() {
            return Ok(got);
        }
        let frames = decoder.get_mut();
        if frames.starved {
            // Asked for bytes and got none: at a frame's border that is never so, there the end is looked for here.
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the last LZ4 frame has no end"));
        }
        if frames.packed.fill_buf()?.is_empty() {
            return Ok(0);
        }
    }
}
