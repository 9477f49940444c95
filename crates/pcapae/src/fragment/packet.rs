//! Packet mode: the first bytes of each packet, zero-padded; one fragment a packet.

use super::{Fragment, FragmentSize, Fragmenter, Segment, Sink};
use crate::Result;
use crate::capture::Packet;
use crate::capture::headers::{Dissection, SkipCounts};
use crate::label::Label;

/// Makes a fragment of each packet; longer packets are cut off.
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
    fn push(
        &mut self,
        packet: &Packet<'_>,
        _headers: &Dissection<'_>,
        label: Label,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let length = packet.data.len().min(self.fragment.len());
        self.fragment[..length].copy_from_slice(&packet.data[..length]);
        self.fragment[length..].fill(0);
        let whole =
            Segment { packet: packet.number, label, packet_offset: 0, fragment_offset: 0, length: length as u32 };
        sink(Fragment { bytes: &self.fragment, segments: &[whole], flow: None })
    }

    fn finish(self: Box<Self>, _sink: &mut Sink<'_>) -> Result<SkipCounts> {
        Ok(SkipCounts::default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::capture::LinkType;
    use crate::fragment::Shape;

    proptest! {
        #[test]
        fn every_packet_gives_its_first_bytes_padded_with_zeros(
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
            size in 1usize..50,
        ) {
            let mut fragments = Vec::new();
            let mut sink = |fragment: Fragment<'_>| {
                fragments.push((fragment.bytes.to_vec(), fragment.segments.to_vec(), fragment.flow));
                Ok(())
            };
            let mut fragmenter = Box::new(PacketFragmenter::new(FragmentSize::new(size, Shape::Line).unwrap()));
            for (data, number) in packets.iter().zip(1..) {
                let packet = Packet { number, time_ns: 0, link: LinkType::ETHERNET, interface: 0, wire_length: data.len() as u32, data };
                fragmenter.push(&packet, &packet.dissect(), Label::Normal, &mut sink).unwrap();
            }
            prop_assert_eq!(fragmenter.finish(&mut sink).unwrap().total(), 0);
            let expected: Vec<_> = packets.iter().zip(1..).map(|(data, packet)| {
                let bytes: Vec<u8> = data.iter().copied().chain(std::iter::repeat(0)).take(size).collect();
                let length = if data.len() < size { data.len() } else { size } as u32;
                let whole = Segment { packet, label: Label::Normal, packet_offset: 0, fragment_offset: 0, length };
                (bytes, vec![whole], None)
            }).collect();
            prop_assert_eq!(fragments, expected);
        }
    }

    #[test]
    fn an_empty_packet_keeps_its_place() {
        let mut fragmenter = PacketFragmenter::new(FragmentSize::new(16, Shape::Square).unwrap());
        let packet =
            Packet { number: 5, time_ns: 0, link: LinkType::ETHERNET, interface: 0, wire_length: 0, data: &[] };
        let mut sink = |fragment: Fragment<'_>| {
            assert_eq!((fragment.bytes, fragment.segments.len()), (&[0; 16][..], 1));
            assert_eq!((fragment.segments[0].packet, fragment.segments[0].length), (5, 0));
            Ok(())
        };
        fragmenter.push(&packet, &packet.dissect(), Label::Unknown, &mut sink).unwrap();
    }
}
