//! The one buffer that packets are read in.

use std::io::{self, Read};
use std::ops::Range;

/// A stretch of a byte stream held in memory. Bytes consumed stay where they are until the next [`Buffer::fill`].
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Position of `start` in the stream, in bytes.
    offset: u64,
    /// Set once the stream gave its last byte or failed.
    ended: bool,
    /// What the stream failed with.
    failure: Option<io::Error>,
}

/// Read at a time; small enough to stay in a core's cache.
const FIRST_SIZE: usize = 1 << 18;

impl Buffer {
    pub(super) fn new() -> Buffer {
        Buffer { bytes: Vec::new(), start: 0, end: 0, offset: 0, ended: false, failure: None }
    }

    /// Forgets everything, for the next stream; keeps the memory.
    pub(super) fn restart(&mut self) {
        (self.start, self.end, self.offset, self.ended, self.failure) = (0, 0, 0, false, None);
    }

    /// Position of the next byte in the stream.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// What the stream failed with, once all bytes before the failure are consumed or too few.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    /// Makes at least `wanted` bytes available where the stream has them, and returns all that are.
    ///
    /// The buffer grows with the bytes that arrive, not with what a damaged header asks for.
    #[inline]
    pub(super) fn fill(&mut self, source: &mut impl Read, wanted: usize) -> &[u8] {
        if self.end - self.start < wanted {
            self.refill(source, wanted);
        }
        &self.bytes[self.start..self.end]
    }

    /// Steps over `count` available bytes and says where they lie, for [`Buffer::at`].
    #[inline]
    pub(super) fn consume(&mut self, count: usize) -> Range<usize> {
        let from = self.start;
        self.start = (from + count).min(self.end);
        self.offset += (self.start - from) as u64;
        from..self.start
    }

    /// The bytes in a range that [`Buffer::consume`] returned, or in a part of it, since the last fill.
    #[inline]
    pub(super) fn at(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    #[cold]
    fn refill(&mut self, source: &mut impl Read, wanted: usize) {
        if self.bytes.is_empty() {
            self.bytes.resize(FIRST_SIZE, 0);
        }
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < wanted && !self.ended {
            if self.end == self.bytes.len() {
                self.bytes.resize(self.bytes.len() * 2, 0);
            }
            match source.read(&mut self.bytes[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(got) => self.end += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    self.ended = true;
                }
            }
        }
    }
}
