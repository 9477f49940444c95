//! The bytes of a capture as given: counted, hashed, and peeked at before they are read.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// A capture's own bytes, before any decompression.
pub(super) struct Raw {
    source: Box<dyn Read + Send>,
    /// Peeked bytes, at most a few.
    head: Vec<u8>,
    head_given: usize,
    hash: Sha256,
    /// Bytes taken from the source so far.
    pub(super) read: u64,
    /// The operating system's error, kept apart from what a decompressor makes of it.
    pub(super) failure: Option<io::Error>,
}

impl Raw {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Raw {
        Raw { source, head: Vec::new(), head_given: 0, hash: Sha256::new(), read: 0, failure: None }
    }

    /// The first bytes, at most `count`, fewer where there are no more; they will be read again.
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.head.len() < count {
            let mut piece = [0; 64];
            let wanted = (count - self.head.len()).min(piece.len());
            match self.take(&mut piece[..wanted])? {
                0 => break,
                got => self.head.extend_from_slice(&piece[..got]),
            }
        }
        Ok(&self.head)
    }

    /// Reads and hashes what is left, so that the hash covers the whole file. Hexadecimal, lower case.
    pub(super) fn finish(&mut self) -> io::Result<String> {
        // Peeked bytes are hashed already.
        self.head_given = self.head.len();
        let mut piece = vec![0; 1 << 16];
        while self.take(&mut piece)? > 0 {}
        Ok(self.hash.finalize_reset().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn take(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.source.read(into) {
                Ok(got) => {
                    self.hash.update(&into[..got]);
                    self.read += got as u64;
                    return Ok(got);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(io::Error::new(error.kind(), error.to_string()));
                    return Err(error);
                }
            }
        }
    }
}

impl Read for Raw {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let ahead = &self.head[self.head_given..];
        if ahead.is_empty() {
            return self.take(into);
        }
        let count = ahead.len().min(into.len());
        into[..count].copy_from_slice(&ahead[..count]);
        self.head_given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_covers_what_was_never_read_and_what_was_only_looked_at() {
        let mut raw = Raw::new(Box::new(&b"abc"[..]));
        assert_eq!(raw.peek(2).unwrap(), b"ab");
        // FIPS 180-2, appendix B.1.
        assert_eq!(raw.finish().unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(raw.read, 3);
    }

    #[test]
    fn bytes_looked_at_are_read_again() {
        let mut raw = Raw::new(Box::new(&b"abcdef"[..]));
        raw.peek(4).unwrap();
        let mut all = Vec::new();
        raw.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abcdef");
    }
}
