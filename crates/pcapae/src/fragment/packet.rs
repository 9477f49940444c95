//! Packet mode: the first bytes of each packet, zero-padded; one fragment a packet.

use super::{Fragment, FragmentSize, Fragmenter, Segment, Sink};
use crate::Result;
use crate::capture::Packet;
use crate::capture::headers::LeftOutCounts;
use crate::label::Label;

/// Gives each packet its own fragment; what is longer than a fragment is cut off.
#[derive(Debug)]
pub struct PacketFragmenter {
    fragment: Vec<u8>,
}

impl PacketFragmenter {
    /// Cuts fragments of `size`.
    pub fn new(size: FragmentSize) -> PacketFragmenter {
        PacketFragmenter { fragment: vec![0; size.bytes()] }
    }
}

impl Fragmenter for PacketFragmenter {
    fn push(&mut self, packet: &Packet<'_>, label: Label, sink: &mut Sink<'_>) -> Result<()> {
        let length = packet.data.len().min(self.fragment.len());
        self.fragment[..length].copy_from_slice(&packet.data[..length]);
        self.fragment[length..].fill(0);
        let whole =
            Segment { packet: packet.number, label, packet_offset: 0, fragment_offset: 0, length: length as u32 };
        sink(Fragment { bytes: &self.fragment, segments: &[whole], flow: None })
    }

    fn finish(self: Box<Self>, _sink: &mut Sink<'_>) -> Result<LeftOutCounts> {
        Ok(LeftOutCounts::default())
    }
}
