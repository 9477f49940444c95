//! Fragments held in memory, with their provenance.

use std::ops::Range;

use super::{Fragment, Segment};

/// Fragments one after the other, each with its segments and its flow.
#[derive(Debug, Clone, Default)]
pub struct FragmentTable {
    fragment_size: usize,
    bytes: Vec<u8>,
    segments: Vec<Segment>,
    /// Where the segments of each fragment end in `segments`.
    segment_ends: Vec<usize>,
    flows: Vec<u64>,
}

impl FragmentTable {
    /// An empty table of fragments of `fragment_size` bytes.
    pub fn new(fragment_size: usize) -> FragmentTable {
        FragmentTable { fragment_size, ..FragmentTable::default() }
    }

    /// Adds a fragment. Outside flow mode all fragments belong to one run, as if of one flow.
    pub fn push(&mut self, fragment: Fragment<'_>) {
        self.bytes.extend_from_slice(fragment.bytes);
        self.segments.extend_from_slice(fragment.segments);
        self.segment_ends.push(self.segments.len());
        self.flows.push(fragment.flow.unwrap_or(0));
    }

    /// How many fragments there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// True if there is no fragment.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// The bytes of all fragments.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of a range of fragments.
    pub fn bytes_of(&self, fragments: Range<usize>) -> &[u8] {
        &self.bytes[fragments.start * self.fragment_size..fragments.end * self.fragment_size]
    }

    /// The flow of each fragment.
    pub fn flows(&self) -> &[u64] {
        &self.flows
    }

    /// Where the bytes of fragment `i` came from.
    pub fn segments(&self, i: usize) -> &[Segment] {
        let start = if i == 0 { 0 } else { self.segment_ends[i - 1] };
        &self.segments[start..self.segment_ends[i]]
    }

    /// Fragment `i`.
    pub fn fragment(&self, i: usize) -> Fragment<'_> {
        Fragment { bytes: self.bytes_of(i..i + 1), segments: self.segments(i), flow: Some(self.flows[i]) }
    }

    /// Forgets all but the last `kept` fragments.
    pub fn keep_last(&mut self, kept: usize) {
        let dropped = self.len() - kept;
        let dropped_segments = if dropped == 0 { 0 } else { self.segment_ends[dropped - 1] };
        self.bytes.drain(..dropped * self.fragment_size);
        self.segments.drain(..dropped_segments);
        self.segment_ends.drain(..dropped);
        self.segment_ends.iter_mut().for_each(|end| *end -= dropped_segments);
        self.flows.drain(..dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Label;

    #[test]
    fn the_last_fragments_survive_with_their_segments() {
        let segment =
            |packet| Segment { packet, label: Label::Unknown, packet_offset: 0, fragment_offset: 0, length: 2 };
        let mut table = FragmentTable::new(2);
        for i in 0..4u8 {
            let segments: Vec<Segment> = (0..=u64::from(i)).map(segment).collect();
            table.push(Fragment { bytes: &[i, i], segments: &segments, flow: Some(7) });
        }
        table.keep_last(1);
        assert_eq!(table.len(), 1);
        assert_eq!(table.bytes(), [3, 3]);
        assert_eq!(table.segments(0).len(), 4);
        table.keep_last(0);
        assert!(table.is_empty());
    }
}
