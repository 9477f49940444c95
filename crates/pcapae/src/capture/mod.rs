//! Bytes to packets: pcap and pcapng files, compressed or not, one after the other as one stream.
//!
//! [`Captures`] opens files, lists of files and standard input and lends one [`Packet`] after the other; what it read
//! and what was wrong with it is in the [`CaptureSummary`]. [`headers`] reads what a packet's headers say.
//!
//! The containers are read from one reused buffer, so memory does not grow with the capture: pcap and pcapng are a
//! few fixed fields before each packet, and only a reader of our own can say at which byte a file is damaged.

mod buffer;

mod captures;

mod clock;

pub mod headers;

mod link_type;

mod list;

mod open_capture;

mod compression;

mod pcap;

mod pcapng;

mod raw;

mod summary;

#[cfg(test)]
pub(crate) mod fixtures;

pub use captures::Captures;
pub use compression::Compression;
use headers::Dissection;
pub use link_type::LinkType;
pub use pcapng::PcapNgWriter;
pub use summary::{CaptureSummary, Container, Position, Source, Warning};

/// The longest packet that is accepted, in bytes: Wireshark's limit, far above any frame a network carries.
/// A record that claims more is damage.
pub const LONGEST_PACKET: usize = 262_144;

/// One captured packet, borrowed from the reader until the next one is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Counts from 1 over all captures given, as Wireshark's `frame.number` does within one file.
    pub number: u64,
    /// Capture time in nanoseconds since 1970-01-01T00:00:00Z. A pcapng simple packet block has none: it gets the
    /// time of the packet before it, or 0.
    pub time_ns: i64,
    /// The type of the link-layer header that the bytes begin with.
    pub link: LinkType,
    /// The interface that it was captured on: its number within its capture, over all sections, from 0. Always 0 in pcap.
    pub interface: u32,
    /// How long it was on the wire, in bytes: at least as many as were captured.
    pub wire_length: u32,
    /// The captured bytes, link-layer header included.
    pub data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Its headers, which are read when they are first used.
    pub fn dissect(&self) -> Dissection<'a> {
        Dissection::new(self.link, self.data)
    }
}

/// What a container's reader found: where in the buffer the packet's bytes are, and what it says of them.
struct Record {
    /// `None` where the container gives no time.
    time_ns: Option<i64>,
    link: LinkType,
    interface: u32,
    wire_length: u32,
    bytes: std::ops::Range<usize>,
}

/// Why a container's reader gives no further packet.
enum Stop {
    /// The capture ended where it should.
    End,
    /// The bytes end in the middle of this.
    Cut(&'static str),
    /// The bytes contradict the format in this way.
    Damage(String),
}
