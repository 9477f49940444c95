//! The next-generation capture format: blocks, in sections, with interfaces.
//!
//! Reference: draft-ietf-opsawg-pcapng.

mod reader;

mod writer;

pub(super) use reader::{BadStart, PcapNgReader};
pub use writer::PcapNgWriter;

/// The block type of a section header, the same in both byte orders.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

/// How a section says in which byte order it is.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Type, total length, and total length again at the end.
const BLOCK_FRAME: usize = 12;

const OPTION_TIME_RESOLUTION: u16 = 9;
