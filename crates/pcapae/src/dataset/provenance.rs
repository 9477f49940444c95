//! All that a dataset knows of some of its fragments apart from their bytes.

use std::ops::Range;

use crate::fragment::Segment;
use crate::label::Label;

/// Where a run of fragments came from, when, and what the ground truth says of it.
///
/// Fragments go by their index in the dataset, and only those of [`fragments`](Self::fragments) are known: asking for
/// another panics, as a slice does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    pub(super) first: usize,
    /// Where the rows of each fragment end.
    pub(super) ends: Vec<usize>,
    pub(super) rows: Rows,
    /// Capture time of each fragment's first packet.
    pub(super) times: Option<Vec<i64>>,
    pub(super) flows: Option<Vec<u64>>,
}

/// At least one row a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rows {
    /// In the order they lie in the fragment.
    Segments(Vec<Segment>),
    /// Packets without the place of their bytes.
    Packets(Vec<(u64, Label)>),
}

/// What is known of a fragment, or of a window of fragments, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Lowest number of a packet in it, from 1.
    pub first_packet: u64,
    /// Highest number of a packet in it.
    pub last_packet: u64,
    /// Capture time of the first packet in nanoseconds since 1970, where the dataset has times.
    pub time_ns: Option<i64>,
    /// Anomalous if a packet in it is; else normal if any packet is known to be; else unknown.
    pub label: Label,
    /// The flow, in flow mode.
    pub flow: Option<u64>,
}

impl Provenance {
    /// The fragments that this is about.
    pub fn fragments(&self) -> Range<usize> {
        self.first..self.first + self.ends.len()
    }

    /// Where the bytes of a fragment came from, in the order they lie in it; `None` where the dataset, in the
    /// [original's layout](super::Layout::Original), knows packets only.
    pub fn segments(&self, fragment: usize) -> Option<&[Segment]> {
        match &self.rows {
            Rows::Segments(segments) => Some(&segments[self.rows_of(fragment)]),
            Rows::Packets(_) => None,
        }
    }

    /// The packets with bytes in a fragment and their labels, one for each of its segments.
    pub fn packets(&self, fragment: usize) -> Vec<(u64, Label)> {
        let rows = self.rows_of(fragment);
        match &self.rows {
            Rows::Segments(segments) => segments[rows].iter().map(|segment| (segment.packet, segment.label)).collect(),
            Rows::Packets(packets) => packets[rows].to_vec(),
        }
    }

    /// What is known of a window of fragments, or of a single one, as a whole; `None` for an empty window.
    pub fn origin(&self, window: Range<usize>) -> Option<Origin> {
        window.map(|fragment| self.origin_of(fragment)).reduce(|a, b| {
            let earlier = if b.first_packet < a.first_packet { b } else { a };
            Origin {
                first_packet: earlier.first_packet,
                last_packet: a.last_packet.max(b.last_packet),
                time_ns: earlier.time_ns,
                label: a.label.max(b.label),
                flow: a.flow,
            }
        })
    }

    /// The label of each fragment.
    pub fn labels(&self) -> Vec<Label> {
        self.fragments().map(|fragment| self.origin_of(fragment).label).collect()
    }

    /// Capture time of each fragment's first packet in nanoseconds since 1970, where the dataset has times.
    pub fn times(&self) -> Option<&[i64]> {
        self.times.as_deref()
    }

    /// The flow of each fragment, in flow mode.
    pub fn flows(&self) -> Option<&[u64]> {
        self.flows.as_deref()
    }

    fn origin_of(&self, fragment: usize) -> Origin {
        let mut origin = Origin {
            first_packet: u64::MAX,
            last_packet: 0,
            time_ns: self.times.as_ref().map(|times| times[fragment - self.first]),
            label: Label::Unknown,
            flow: self.flows.as_ref().map(|flows| flows[fragment - self.first]),
        };
        for (packet, label) in self.packets(fragment) {
            origin.first_packet = origin.first_packet.min(packet);
            origin.last_packet = origin.last_packet.max(packet);
            origin.label = origin.label.max(label);
        }
        origin
    }

    fn rows_of(&self, fragment: usize) -> Range<usize> {
        let i = fragment - self.first;
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        start..self.ends[i]
    }
}
