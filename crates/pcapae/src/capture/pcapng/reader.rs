//! From blocks to packets.
//!
//! Read are section headers, interface descriptions and the three kinds of packet block (enhanced, simple, and the obsolete one); every
//! other block is stepped over.

use std::io::Read;

use super::super::buffer::Buffer;
use super::super::pcap::Order;
use super::super::{LONGEST_PACKET, LinkType, Record, Stop};
use super::{
    BLOCK_FRAME, BYTE_ORDER_MAGIC, ENHANCED_PACKET, INTERFACE_DESCRIPTION, OPTION_TIME_RESOLUTION, SECTION_HEADER,
};
use crate::error::{Fault, Place};

const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;

const OPTION_TIME_OFFSET: u16 = 14;

/// The longest block that is accepted, in bytes. Wireshark's limit is 16 MiB; key logs may be longer.
const LONGEST_BLOCK: usize = 64 << 20;

/// The section that is being read.
#[derive(Debug)]
pub(in crate::capture) struct PcapNgReader {
    order: Order,
    interfaces: Vec<Interface>,
    /// Interfaces of the sections before.
    interfaces_before: u32,
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link: LinkType,
    /// Limit on captured bytes; 0 for none.
    snap_length: u32,
    resolution: Resolution,
    offset_seconds: i64,
}

/// The unit of an interface's time stamps, in seconds.
#[derive(Debug, Clone, Copy)]
enum Resolution {
    /// 10 to the minus this.
    Decimal(u32),
    /// 2 to the minus this.
    Binary(u32),
}

/// Why a file's first section cannot be read.
pub(in crate::capture) enum BadStart {
    /// A version of the format that is not known.
    Unsupported(Fault),
    /// Not a section header at all, or only its beginning.
    NoHeader(&'static str),
}

impl PcapNgReader {
    /// Reads the section header that a file starts with.
    pub(in crate::capture) fn open(buffer: &mut Buffer, source: &mut impl Read) -> Result<PcapNgReader, BadStart> {
        let mut section = PcapNgReader { order: Order::Little, interfaces: Vec::new(), interfaces_before: 0 };
        let length = match section.block(buffer, source) {
            Ok((_, length)) => length,
            Err(Stop::Damage(_)) => return Err(BadStart::NoHeader("a pcapng file with a damaged section header")),
            Err(_) => return Err(BadStart::NoHeader("a pcapng file cut within its section header")),
        };
        section.begin(buffer.fill(source, length)).map_err(BadStart::Unsupported)?;
        buffer.consume(length);
        Ok(section)
    }

    /// The next packet.
    pub(in crate::capture) fn next(&mut self, buffer: &mut Buffer, source: &mut impl Read) -> Result<Record, Stop> {
        loop {
            let (kind, length) = self.block(buffer, source)?;
            let block = buffer.fill(source, length);
            let body = &block[8..length - 4];
            let packet = match kind {
                ENHANCED_PACKET => self.enhanced(body)?,
                SIMPLE_PACKET => self.simple(body)?,
                OBSOLETE_PACKET => self.obsolete(body)?,
                _ => {
                    match kind {
                        SECTION_HEADER => {
                            self.begin(block).map_err(|fault| Stop::Damage(format!("a section: {fault}")))?
                        }
                        INTERFACE_DESCRIPTION => self.interfaces.push(interface(self.order, body)?),
                        _ => {}
                    }
                    buffer.consume(length);
                    continue;
                }
            };
            let start = buffer.consume(length).start + 8 + packet.at;
            return Ok(Record {
                time_ns: packet.time_ns,
                link: packet.link,
                interface: self.interfaces_before.saturating_add(packet.interface),
                wire_length: packet.wire_length.max(packet.length as u32),
                bytes: start..start + packet.length,
            });
        }
    }

    /// Makes the next block available as a whole and checks its frame; returns its type and total length.
    #[inline]
    fn block(&self, buffer: &mut Buffer, source: &mut impl Read) -> Result<(u32, usize), Stop> {
        let head = buffer.fill(source, BLOCK_FRAME);
        if head.len() < BLOCK_FRAME {
            return Err(if head.is_empty() { Stop::End } else { Stop::Cut("a block's header") });
        }
        let kind = self.order.u32(head, 0);
        // A section header brings its own byte order, after its length.
        let order = if kind == SECTION_HEADER { section_order(head)? } else { self.order };
        let length = order.u32(head, 4) as usize;
        let shortest = if kind == SECTION_HEADER { 28 } else { BLOCK_FRAME };
        if length < shortest || !length.is_multiple_of(4) || length > LONGEST_BLOCK {
            return Err(Stop::Damage(format!("a block that claims to be {length} bytes long")));
        }
        let block = buffer.fill(source, length);
        if block.len() < length {
            return Err(Stop::Cut("a block"));
        }
        let again = order.u32(block, length - 4) as usize;
        if again != length {
            return Err(Stop::Damage(format!("a block whose two lengths differ, {length} and {again}")));
        }
        Ok((kind, length))
    }

    /// Starts a section: its interfaces count from 0 again.
    fn begin(&mut self, block: &[u8]) -> Result<(), Fault> {
        let Ok(order) = section_order(block) else {
            return Err(Fault::found("an unknown byte order", "little or big endian"));
        };
        let (major, minor) = (order.u16(block, 12), order.u16(block, 14));
        // 1.2 was written by some programs and is 1.0.
        if major != 1 || !(minor == 0 || minor == 2) {
            let version = format!("pcapng {major}.{minor}");
            return Err(Place::Entry("version".into()).found(version, "pcapng 1.0"));
        }
        self.order = order;
        self.interfaces_before = self.interfaces_before.saturating_add(self.interfaces.len() as u32);
        self.interfaces.clear();
        Ok(())
    }

    #[inline]
    fn enhanced(&self, body: &[u8]) -> Result<Block, Stop> {
        if body.len() < 20 {
            return Err(too_short("an enhanced packet block"));
        }
        let word = |at| self.order.u32(body, at);
        let interface = self.interface(word(0))?;
        let length = fits(word(12), body.len() - 20)?;
        let time_ns = Some(interface.time(word(4), word(8)));
        Ok(Block { time_ns, link: interface.link, interface: word(0), wire_length: word(16), at: 20, length })
    }

    fn simple(&self, body: &[u8]) -> Result<Block, Stop> {
        if body.len() < 4 {
            return Err(too_short("a simple packet block"));
        }
        let interface = self.interface(0)?;
        let on_wire = self.order.u32(body, 0);
        let limit = if interface.snap_length == 0 { u32::MAX } else { interface.snap_length };
        let length = fits(on_wire.min(limit), body.len() - 4)?;
        Ok(Block { time_ns: None, link: interface.link, interface: 0, wire_length: on_wire, at: 4, length })
    }

    fn obsolete(&self, body: &[u8]) -> Result<Block, Stop> {
        if body.len() < 20 {
            return Err(too_short("an obsolete packet block"));
        }
        let word = |at| self.order.u32(body, at);
        let number = u32::from(self.order.u16(body, 0));
        let interface = self.interface(number)?;
        let length = fits(word(12), body.len() - 20)?;
        let time_ns = Some(interface.time(word(4), word(8)));
        Ok(Block { time_ns, link: interface.link, interface: number, wire_length: word(16), at: 20, length })
    }

    /// A packet of an interface that was never described has neither a link type nor a unit of time. Stopping there,
    /// as Wireshark and libpcap do, keeps packet numbers equal to theirs.
    #[inline]
    fn interface(&self, number: u32) -> Result<&Interface, Stop> {
        let known = self.interfaces.len();
        self.interfaces
            .get(number as usize)
            .ok_or_else(|| Stop::Damage(format!("a packet of interface {number} where only {known} are described")))
    }
}

/// Where a packet lies in its block's body.
struct Block {
    time_ns: Option<i64>,
    link: LinkType,
    interface: u32,
    wire_length: u32,
    at: usize,
    length: usize,
}

impl Interface {
    /// Nanoseconds since 1970; times that an i64 does not hold become its nearest value.
    #[inline]
    fn time(&self, high: u32, low: u32) -> i64 {
        let ticks = (u64::from(high) << 32) | u64::from(low);
        let ns = match self.resolution {
            Resolution::Decimal(digits @ 0..=9) => i128::from(ticks) * 10_i128.pow(9 - digits),
            Resolution::Decimal(digits) => match 10_i128.checked_pow(digits - 9) {
                Some(divisor) => i128::from(ticks) / divisor,
                None => 0,
            },
            Resolution::Binary(bits) => (i128::from(ticks) * 1_000_000_000) >> bits,
        };
        let ns = ns + i128::from(self.offset_seconds) * 1_000_000_000;
        ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }
}

fn interface(order: Order, body: &[u8]) -> Result<Interface, Stop> {
    if body.len() < 8 {
        return Err(too_short("an interface description"));
    }
    let mut interface = Interface {
        link: LinkType(u32::from(order.u16(body, 0))),
        snap_length: order.u32(body, 4),
        resolution: Resolution::Decimal(6),
        offset_seconds: 0,
    };
    let mut options = &body[8..];
    while options.len() >= 4 {
        let (code, length) = (order.u16(options, 0), order.u16(options, 2) as usize);
        if code == 0 {
            break;
        }
        let Some(value) = options.get(4..4 + length) else {
            return Err(Stop::Damage(format!("an interface description whose option {code} is too long")));
        };
        match (code, value) {
            (OPTION_TIME_RESOLUTION, &[exponent]) if exponent & 0x80 != 0 => {
                interface.resolution = Resolution::Binary(u32::from(exponent & 0x7f));
            }
            (OPTION_TIME_RESOLUTION, &[exponent]) => interface.resolution = Resolution::Decimal(u32::from(exponent)),
            (OPTION_TIME_OFFSET, value) if value.len() == 8 => {
                let (first, second) = (u64::from(order.u32(value, 0)), u64::from(order.u32(value, 4)));
                interface.offset_seconds = match order {
                    Order::Little => (second << 32 | first) as i64,
                    Order::Big => (first << 32 | second) as i64,
                };
            }
            _ => {}
        }
        // Values are padded to 32 bits; the last padding may be missing.
        options = options.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(interface)
}

/// The byte order of a section, from the first 12 bytes of its header.
fn section_order(block: &[u8]) -> Result<Order, Stop> {
    match Order::Little.u32(block, 8) {
        BYTE_ORDER_MAGIC => Ok(Order::Little),
        magic if magic.swap_bytes() == BYTE_ORDER_MAGIC => Ok(Order::Big),
        other => Err(Stop::Damage(format!("a section of unknown byte order {other:#010x}"))),
    }
}

#[inline]
fn fits(length: u32, room: usize) -> Result<usize, Stop> {
    let length = length as usize;
    if length > LONGEST_PACKET {
        return Err(Stop::Damage(format!("a packet of {length} bytes, more than the {LONGEST_PACKET} that can be")));
    }
    if length > room {
        return Err(Stop::Damage(format!("a packet of {length} bytes in a block with room for {room}")));
    }
    Ok(length)
}

fn too_short(what: &str) -> Stop {
    Stop::Damage(format!("{what} that is too short"))
}
