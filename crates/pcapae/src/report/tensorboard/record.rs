//! TFRecord, the framing of event files: a length, its checksum, the bytes, their checksum.

use std::io::{self, Write};

use crc::{CRC_32_ISCSI, Crc};

/// CRC-32C, the Castagnoli polynomial (RFC 3720, appendix B.4).
const CRC_32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
/// What TFRecord adds to a checksum, so that bytes which contain checksums can be checked themselves.
const MASK: u32 = 0xa282_ead8;

/// Writes one record at once, so that a run that is killed leaves whole records and at most one piece.
pub fn write_record(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(bytes.len() + 16);
    record.extend(length);
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(bytes);
    record.extend(masked_crc(bytes).to_le_bytes());
    out.write_all(&record)
}

/// The checksum as TFRecord stores it: turned right by 15 bits, plus a constant.
fn masked_crc(bytes: &[u8]) -> u32 {
    CRC_32C.checksum(bytes).rotate_right(15).wrapping_add(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of RFC 3720, appendix B.4, and the usual check value.
    #[test]
    fn checksums_are_those_of_the_standard() {
        let upwards: Vec<u8> = (0..32).collect();
        let downwards: Vec<u8> = (0..32).rev().collect();
        let cases: [(&[u8], u32); 5] = [
            (b"123456789", 0xe306_9283),
            (&[0; 32], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&upwards, 0x46dd_794e),
            (&downwards, 0x113f_db5c),
        ];
        for (bytes, checksum) in cases {
            assert_eq!(CRC_32C.checksum(bytes), checksum, "{bytes:?}");
        }
    }

    /// The record that TensorBoard's own writer makes of this event:
    /// `RecordWriter(file).write(Event(file_version="brain.Event:2").SerializeToString())`.
    #[test]
    fn a_record_is_that_of_tensorboards_own_writer() {
        let mut record = Vec::new();
        write_record(&mut record, b"\x1a\x0dbrain.Event:2").unwrap();
        assert_eq!(record, *b"\x0f\0\0\0\0\0\0\0mS+\x09\x1a\x0dbrain.Event:2\xfc\x98Q)");
    }
}
