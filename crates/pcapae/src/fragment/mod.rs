//! Packets to fragments: fixed-size pieces of bytes, each byte with its provenance.
//!
//! Three ways to cut, all streaming:
//!
//! - [`Mode::Byte`]: the bytes of all packets, concatenated and cut;
//! - [`Mode::Packet`]: the first bytes of each packet;
//! - [`Mode::Flow`]: per flow, the first 64 bytes of each packet from its TCP or UDP header on, concatenated and cut.

mod byte;

mod cut;

mod external_sort;

mod flow;

mod mask;

mod packet;

mod size;

mod table;

pub use byte::ByteFragmenter;
pub use cut::{Cutting, Receiver};
pub use flow::FlowFragmenter;
pub use mask::Mask;
pub use packet::PacketFragmenter;
pub use size::{FragmentSize, Shape};
pub use table::FragmentTable;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::capture::Packet;
use crate::capture::headers::{Dissection, SkipCounts};
use crate::label::Label;

/// How packets become fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The captured bytes of all packets, link-layer header included, concatenated and cut.
    Byte,
    /// The first bytes of each packet, zero-padded.
    Packet,
    /// Per flow, the first 64 bytes of each packet from its TCP or UDP header on, concatenated and cut.
    Flow,
}

impl Mode {
    /// Its name in files: "byte", "packet" or "flow".
    pub fn name(self) -> &'static str {
        match self {
            Mode::Byte => "byte",
            Mode::Packet => "packet",
            Mode::Flow => "flow",
        }
    }

    /// The mode with this name; `None` for any other.
    pub fn from_name(name: &str) -> Option<Mode> {
        [Mode::Byte, Mode::Packet, Mode::Flow].into_iter().find(|mode| mode.name() == name)
    }
}

/// Which rules decide the corner cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Semantics {
    /// Every packet gets into a fragment: last pieces are zero-padded, IPv6 and every known link layer is read.
    Complete,
    /// Bit for bit what the thesis's `pcap2ds` gives: remainders are dropped, flows are IPv4 over Ethernet only.
    Compat,
}

/// Provenance: which bytes of a fragment came from which packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Segment {
    /// The packet's number, from 1.
    pub packet: u64,
    /// The packet's label in the ground truth.
    pub label: Label,
    /// Offset of the first byte in the packet.
    pub packet_offset: u32,
    /// Offset of the first byte in the fragment.
    pub fragment_offset: u32,
    /// How many bytes; 0 where only the packet's padding lies in the fragment.
    pub length: u32,
}

/// One fragment, borrowed from its fragmenter until the next is cut.
#[derive(Debug, Clone, Copy)]
pub struct Fragment<'a> {
    /// The bytes, as many as the [`FragmentSize`] says; zeros where no packet had a byte.
    pub bytes: &'a [u8],
    /// Where the bytes came from, in the order they lie in the fragment.
    pub segments: &'a [Segment],
    /// Number of the flow in order of appearance, from 0; `None` outside flow mode.
    pub flow: Option<u64>,
}

impl Fragment<'_> {
    /// Anomalous if a packet with bytes in it is; else normal if any packet is known to be; else unknown.
    pub fn label(&self) -> Label {
        self.segments.iter().map(|segment| segment.label).max().unwrap_or_default()
    }
}

/// Receives fragments one by one; an error stops the cutting.
pub type Sink<'a> = dyn FnMut(Fragment<'_>) -> Result<()> + 'a;

/// Cuts a stream of packets into fragments.
pub trait Fragmenter {
    /// Takes the next packet, in which fields may be masked, with its headers from before, and emits the fragments that are full.
    fn push(&mut self, packet: &Packet<'_>, headers: &Dissection<'_>, label: Label, sink: &mut Sink<'_>) -> Result<()>;

    /// Emits what is still held and says how many packets were skipped, and why.
    fn finish(self: Box<Self>, sink: &mut Sink<'_>) -> Result<SkipCounts>;
}
