//! The classic capture format: a file header of 24 bytes, then records.
//!
//! Reference: draft-ietf-opsawg-pcap. Both byte orders, micro- and nanoseconds, and the variant of Alexey Kuznetzov
//! with 24 bytes before each packet.

use std::io::Read;

use super::buffer::Buffer;
use super::{LONGEST_PACKET, LinkType, Record, Stop};
use crate::error::{Fault, Place};

/// Length of the file header in bytes.
pub(super) const HEADER: usize = 24;

/// What a pcap file's header says of its records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds in a unit of a record's sub-second field.
    unit_ns: i64,
    record_header: usize,
    /// Before version 2.4 the two lengths of a record could be the other way round.
    minor: u16,
    link: LinkType,
}

/// Byte order of a file's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    #[inline]
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let field = [bytes[at], bytes[at + 1]];
        match self {
            Order::Little => u16::from_le_bytes(field),
            Order::Big => u16::from_be_bytes(field),
        }
    }

    #[inline]
    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let field = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        match self {
            Order::Little => u32::from_le_bytes(field),
            Order::Big => u32::from_be_bytes(field),
        }
    }
}

/// True where the first four bytes are a pcap file's, in any byte order.
pub(super) fn is_pcap(magic: [u8; 4]) -> bool {
    variant(magic).is_some()
}

impl Pcap {
    /// Reads the file header.
    pub(super) fn new(header: &[u8; HEADER]) -> Result<Pcap, Fault> {
        let Some((order, unit_ns, record_header)) = variant([header[0], header[1], header[2], header[3]]) else {
            return Err(Fault::found("another format", "pcap"));
        };
        let (major, minor) = (order.u16(header, 4), order.u16(header, 6));
        if major != 2 {
            return Err(Place::Entry("version".into()).found(format!("pcap {major}.{minor}"), "pcap 2.x"));
        }
        // The upper 16 bits hold the length of the frame check sequence and reserved flags.
        let link = LinkType(order.u32(header, 20) & 0xffff);
        Ok(Pcap { order, unit_ns, record_header, minor, link })
    }

    /// The next record.
    #[inline]
    pub(super) fn next(&self, buffer: &mut Buffer, source: &mut impl Read) -> Result<Record, Stop> {
        let header = buffer.fill(source, self.record_header);
        if header.len() < self.record_header {
            return Err(if header.is_empty() { Stop::End } else { Stop::Cut("a packet's header") });
        }
        let seconds = i64::from(self.order.u32(header, 0));
        let fraction = i64::from(self.order.u32(header, 4));
        let mut length = self.order.u32(header, 8);
        let mut on_wire = self.order.u32(header, 12);
        if self.minor < 3 || (self.minor == 3 && length > on_wire) {
            std::mem::swap(&mut length, &mut on_wire);
        }
        let length = length as usize;
        if length > LONGEST_PACKET {
            return Err(Stop::Damage(format!(
                "a packet of {length} bytes, more than the {LONGEST_PACKET} that can be"
            )));
        }
        let whole = self.record_header + length;
        if buffer.fill(source, whole).len() < whole {
            return Err(Stop::Cut("a packet's bytes"));
        }
        let range = buffer.consume(whole);
        Ok(Record {
            // At most 2^32 seconds and 2^32 microseconds: far below the limit of an i64.
            time_ns: Some(seconds * 1_000_000_000 + fraction * self.unit_ns),
            link: self.link,
            interface: 0,
            wire_length: on_wire.max(length as u32),
            bytes: range.start + self.record_header..range.end,
        })
    }
}

fn variant(magic: [u8; 4]) -> Option<(Order, i64, usize)> {
    let of = |number: u32| match number {
        0xa1b2_c3d4 => Some((1000, 16)),
        0xa1b2_3c4d => Some((1, 16)),
        // Kuznetzov's: interface index, protocol and packet type follow the lengths.
        0xa1b2_cd34 => Some((1000, 24)),
        _ => None,
    };
    let little = of(u32::from_le_bytes(magic)).map(|(unit, header)| (Order::Little, unit, header));
    little.or_else(|| of(u32::from_be_bytes(magic)).map(|(unit, header)| (Order::Big, unit, header)))
}
