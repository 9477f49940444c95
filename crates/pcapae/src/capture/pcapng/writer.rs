//! From packets to blocks: one section, with times in nanoseconds.

use std::io::{self, Write};

use super::{
    BLOCK_FRAME, BYTE_ORDER_MAGIC, ENHANCED_PACKET, INTERFACE_DESCRIPTION, OPTION_TIME_RESOLUTION, SECTION_HEADER,
};
use crate::capture::{LinkType, Packet};

const OPTION_COMMENT: u16 = 1;
const OPTION_DESCRIPTION: u16 = 3;
const OPTION_USER_APPLICATION: u16 = 4;

/// Longer texts are cut: an option's length is a number of 16 bits.
const LONGEST_TEXT: usize = 4096;
/// Times in units of 10⁻⁹ s.
const NANOSECONDS: u8 = 9;

/// Writes a pcapng file in one section, in little-endian order.
#[derive(Debug)]
pub struct PcapNgWriter<W> {
    writer: W,
    interfaces: u32,
}

impl<W: Write> PcapNgWriter<W> {
    /// Begins the file, with this program as the one that wrote it.
    pub fn new(writer: W) -> io::Result<PcapNgWriter<W>> {
        let mut file = PcapNgWriter { writer, interfaces: 0 };
        let mut body = Vec::new();
        body.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        // Version 1.0.
        body.extend([1, 0, 0, 0]);
        // The section's length is not known.
        body.extend((-1i64).to_le_bytes());
        text(OPTION_USER_APPLICATION, concat!("pcapae ", env!("CARGO_PKG_VERSION")), &mut body);
        file.block(SECTION_HEADER, body)?;
        Ok(file)
    }

    /// Adds an interface with a description of at most 4,096 bytes, and gives its number. Of the link type the lower 16 bits are written.
    pub fn interface(&mut self, link_type: LinkType, description: &str) -> io::Result<u32> {
        let mut body = Vec::new();
        body.extend((link_type.0 as u16).to_le_bytes());
        // Reserved, and no limit on the length of packets.
        body.extend([0; 6]);
        text(OPTION_DESCRIPTION, description, &mut body);
        option(OPTION_TIME_RESOLUTION, &[NANOSECONDS], &mut body);
        self.block(INTERFACE_DESCRIPTION, body)?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    /// Adds a packet of an interface, given by the number that [`interface`](Self::interface) gave, with a comment of at most 4,096 bytes.
    pub fn packet(&mut self, interface: u32, packet: &Packet<'_>, comment: &str) -> io::Result<()> {
        let (time, length) = (packet.time_ns as u64, packet.data.len() as u32);
        let mut body = Vec::new();
        for word in [interface, (time >> 32) as u32, time as u32, length, packet.wire_length] {
            body.extend(word.to_le_bytes());
        }
        body.extend(packet.data);
        pad(&mut body);
        text(OPTION_COMMENT, comment, &mut body);
        self.block(ENHANCED_PACKET, body)
    }

    /// Flushes the writer.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Writes a block whose options end here.
    fn block(&mut self, kind: u32, mut body: Vec<u8>) -> io::Result<()> {
        body.extend([0; 4]);
        let length = ((body.len() + BLOCK_FRAME) as u32).to_le_bytes();
        self.writer.write_all(&[&kind.to_le_bytes()[..], &length, &body, &length].concat())
    }
}

fn text(code: u16, text: &str, to: &mut Vec<u8>) {
    option(code, &text.as_bytes()[..text.floor_char_boundary(LONGEST_TEXT)], to);
}

fn option(code: u16, value: &[u8], to: &mut Vec<u8>) {
    to.extend(code.to_le_bytes());
    to.extend((value.len() as u16).to_le_bytes());
    to.extend(value);
    pad(to);
}

/// Everything in pcapng is a multiple of 32 bits long.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::capture::{Captures, Warning, fixtures};

    proptest! {
        #[test]
        fn what_is_written_reads_back(packets in fixtures::packets(), comment in ".{0,20}") {
            let mut bytes = Vec::new();
            let mut file = PcapNgWriter::new(&mut bytes).unwrap();
            for (packet, number) in packets.iter().zip(1..) {
                let interface = file.interface(packet.link, &"é".repeat(LONGEST_TEXT)).unwrap();
                let (time_ns, link, data) = (packet.time_ns, packet.link, &packet.data);
                let wire_length = data.len() as u32 + 3;
                file.packet(interface, &Packet { number, time_ns, link, interface, wire_length, data }, &comment).unwrap();
            }
            file.finish().unwrap();
            let mut captures = Captures::from_reader("written", Cursor::new(bytes));
            for (packet, number) in packets.iter().zip(1..) {
                let read = captures.next_packet().unwrap().unwrap();
                prop_assert_eq!((read.number, read.interface), (number, number as u32 - 1));
                prop_assert_eq!((read.time_ns, read.link, read.data), (packet.time_ns, packet.link, &packet.data[..]));
                prop_assert_eq!(read.wire_length, packet.data.len() as u32 + 3);
            }
            prop_assert!(captures.next_packet().unwrap().is_none());
            let warnings = &captures.summary().warnings;
            prop_assert!(warnings.iter().all(|warning| matches!(warning, Warning::TimeBackwards { .. })), "{warnings:?}");
        }
    }
}
