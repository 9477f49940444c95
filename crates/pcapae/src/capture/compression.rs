//! How a capture is compressed, found by its first bytes, never by its name; and the decompressors.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use serde::{Deserialize, Serialize};

use super::raw::Raw;

/// How the bytes of a capture file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip, one or more members (RFC 1952).
    Gzip,
    /// Zstandard frames (RFC 8878).
    Zstd,
    /// LZ4 frames.
    Lz4,
}

impl Compression {
    fn of(head: &[u8]) -> Compression {
        match head {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            [0x04, 0x22, 0x4d, 0x18, ..] => Compression::Lz4,
            _ => Compression::Plain,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::Plain => "plain",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Lz4 => "lz4",
        })
    }
}

/// A capture's bytes after decompression.
pub(super) enum Decompressed {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<BufReader<Raw>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Raw>>>),
    Lz4(Box<FrameDecoder<Lz4Frames>>),
}

impl Decompressed {
    /// Looks at the first bytes and chooses the decompressor.
    pub(super) fn open(mut raw: Raw) -> io::Result<Decompressed> {
        let compression = Compression::of(raw.peek(4)?);
        let compressed = |raw| BufReader::with_capacity(COMPRESSED_BUFFER, raw);
        Ok(match compression {
            Compression::Plain => Decompressed::Plain(raw),
            Compression::Gzip => Decompressed::Gzip(Box::new(MultiGzDecoder::new(compressed(raw)))),
            Compression::Zstd => Decompressed::Zstd(Box::new(zstd::Decoder::with_buffer(compressed(raw))?)),
            Compression::Lz4 => Decompressed::Lz4(Box::new(FrameDecoder::new(Lz4Frames {
                compressed: compressed(raw),
                starved: false,
            }))),
        })
    }

    pub(super) fn compression(&self) -> Compression {
        match self {
            Decompressed::Plain(_) => Compression::Plain,
            Decompressed::Gzip(_) => Compression::Gzip,
            Decompressed::Zstd(_) => Compression::Zstd,
            Decompressed::Lz4(_) => Compression::Lz4,
        }
    }

    pub(super) fn raw(&mut self) -> &mut Raw {
        match self {
            Decompressed::Plain(raw) => raw,
            Decompressed::Gzip(decoder) => decoder.get_mut().get_mut(),
            Decompressed::Zstd(decoder) => decoder.get_mut().get_mut(),
            Decompressed::Lz4(decoder) => decoder.get_mut().compressed.get_mut(),
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        match self {
            Decompressed::Plain(raw) => raw.read,
            Decompressed::Gzip(decoder) => decoder.get_ref().get_ref().read,
            Decompressed::Zstd(decoder) => decoder.get_ref().get_ref().read,
            Decompressed::Lz4(decoder) => decoder.get_ref().compressed.get_ref().read,
        }
    }
}

impl Read for Decompressed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Decompressed::Plain(raw) => raw.read(into),
            Decompressed::Gzip(decoder) => decoder.read(into),
            Decompressed::Zstd(decoder) => decoder.read(into),
            Decompressed::Lz4(decoder) => read_lz4(decoder, into),
        }
    }
}

/// The file below the LZ4 decompressor; notes when the decompressor asked for bytes and got none.
pub(super) struct Lz4Frames {
    compressed: BufReader<Raw>,
    starved: bool,
}

impl Read for Lz4Frames {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.compressed.read(into)?;
        self.starved |= got == 0 && !into.is_empty();
        Ok(got)
    }
}

/// Compressed bytes read at a time.
const COMPRESSED_BUFFER: usize = 1 << 17;

/// Goes on with the next frame at the end of one; an end of file within a frame is an error.
fn read_lz4(decoder: &mut FrameDecoder<Lz4Frames>, into: &mut [u8]) -> io::Result<usize> {
    loop {
        let got = decoder.read(into)?;
        if got > 0 || into.is_empty() {
            return Ok(got);
        }
        let frames = decoder.get_mut();
        if frames.starved {
            // Never so between two frames: there `fill_buf` below finds the end first.
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the last LZ4 frame has no end"));
        }
        if frames.compressed.fill_buf()?.is_empty() {
            return Ok(0);
        }
    }
}
