//! Byte mode: the bytes of all packets, link-layer header included, concatenated and cut.

use super::{Fragment, FragmentSize, Fragmenter, Segment, Semantics, Sink};
use crate::Result;
use crate::capture::Packet;
use crate::capture::headers::{Dissection, SkipCounts};
use crate::label::Label;

/// Concatenates packets and cuts; the last piece is zero-padded, so that every packet gets a score.
///
/// With [`Semantics::Compat`] the last piece is dropped, and so is a last piece that is exactly full where the packet
/// that filled it had already filled another.
#[derive(Debug)]
pub struct ByteFragmenter {
    fragment: Vec<u8>,
    filled: usize,
    segments: Vec<Segment>,
    semantics: Semantics,
}

impl ByteFragmenter {
    /// Cuts fragments of `size`.
    pub fn new(size: FragmentSize, semantics: Semantics) -> ByteFragmenter {
        ByteFragmenter { fragment: vec![0; size.bytes()], filled: 0, segments: Vec::new(), semantics }
    }

    fn emit(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        sink(Fragment { bytes: &self.fragment, segments: &self.segments, flow: None })?;
        self.filled = 0;
        self.segments.clear();
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.filled == self.fragment.len()
    }
}

impl Fragmenter for ByteFragmenter {
    fn push(
        &mut self,
        packet: &Packet<'_>,
        _headers: &Dissection<'_>,
        label: Label,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        let mut emitted = false;
        let mut offset = 0;
        while offset < packet.data.len() || (self.is_full() && !emitted) {
            if self.is_full() {
                self.emit(sink)?;
                emitted = true;
                continue;
            }
            let length = (packet.data.len() - offset).min(self.fragment.len() - self.filled);
            self.fragment[self.filled..self.filled + length].copy_from_slice(&packet.data[offset..offset + length]);
            self.segments.push(Segment {
                packet: packet.number,
                label,
                packet_offset: offset as u32,
                fragment_offset: self.filled as u32,
                length: length as u32,
            });
            self.filled += length;
            offset += length;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, sink: &mut Sink<'_>) -> Result<SkipCounts> {
        if self.filled > 0 && self.semantics == Semantics::Complete {
            self.fragment[self.filled..].fill(0);
            self.emit(sink)?;
        }
        Ok(SkipCounts::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::LinkType;
    use crate::fragment::Shape;
    use proptest::prelude::*;

    type Owned = (Vec<u8>, Vec<Segment>);

    fn cut(packets: &[Vec<u8>], size: usize, semantics: Semantics) -> Vec<Owned> {
        let mut fragments = Vec::new();
        let mut sink = |fragment: Fragment<'_>| {
            fragments.push((fragment.bytes.to_vec(), fragment.segments.to_vec()));
            Ok(())
        };
        let size = FragmentSize::new(size, Shape::Line).unwrap();
        let mut fragmenter = Box::new(ByteFragmenter::new(size, semantics));
        for (data, number) in packets.iter().zip(1..) {
            let packet =
                Packet { number, time_ns: 0, link: LinkType(1), interface: 0, wire_length: data.len() as u32, data };
            fragmenter.push(&packet, &packet.dissect(), Label::Unknown, &mut sink).unwrap();
        }
        fragmenter.finish(&mut sink).unwrap();
        fragments
    }

    proptest! {
        #[test]
        fn fragments_are_the_concatenation_cut_in_pieces(
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..30),
            size in 1usize..50,
        ) {
            let fragments = cut(&packets, size, Semantics::Complete);
            let mut expected = packets.concat();
            expected.resize(expected.len().next_multiple_of(size), 0);
            let got: Vec<u8> = fragments.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn every_byte_knows_its_packet_and_offset(
            packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..30),
            size in 1usize..50,
        ) {
            let mut covered: Vec<Vec<u8>> = packets.iter().map(|_| Vec::new()).collect();
            for (bytes, segments) in cut(&packets, size, Semantics::Complete) {
                for s in segments {
                    let packet = s.packet as usize - 1;
                    prop_assert_eq!(covered[packet].len(), s.packet_offset as usize);
                    covered[packet].extend(&bytes[s.fragment_offset as usize..][..s.length as usize]);
                }
            }
            prop_assert_eq!(covered, packets);
        }
    }

    /// How many fragments the thesis's code gives (facts measured on it).
    fn compat_count(lengths: &[usize]) -> usize {
        let packets: Vec<Vec<u8>> = lengths.iter().map(|&length| vec![7; length]).collect();
        cut(&packets, 1024, Semantics::Compat).len()
    }

    #[test]
    fn compat_drops_a_full_tail_after_another_fragment_of_the_same_packet() {
        assert_eq!(compat_count(&[2048]), 1);
        assert_eq!(compat_count(&[3072]), 2);
        assert_eq!(compat_count(&[1024, 1024]), 2);
        assert_eq!(compat_count(&[2048, 1]), 2);
        assert_eq!(compat_count(&[2048, 1024]), 2);
        assert_eq!(compat_count(&[2500]), 2);
        assert_eq!(compat_count(&[1023]), 0);
    }
}
