//! Flow mode: per TCP or UDP conversation, the first bytes of each packet's transport segment, concatenated and cut.
//!
//! Flows come out in a fixed order: TCP by first packet, then UDP by first packet. A capture may hold more flows than
//! memory, so nothing is kept per flow: what a packet gives to its flow is a record, and two external sorts, first by
//! five-tuple, then by the flow's first packet, bring the records into the order in which they are cut.

use super::external_sort::ExternalSort;
use super::{Fragment, FragmentSize, Fragmenter, Segment, Semantics, Sink};
use crate::Result;
use crate::capture::Packet;
use crate::capture::headers::{self, LeftOutCounts, Transport};
use crate::flow::FlowKey;
use crate::label::Label;

/// What a packet gives to its flow at most: the first bytes of its transport segment, header included.
pub const SEGMENT_BYTES: usize = 64;
/// Segments up to this length are padded to it, longer ones to [`SEGMENT_BYTES`].
pub const SHORT_SEGMENT_BYTES: usize = 32;

/// Bytes of a five-tuple's key.
const KEY: usize = FlowKey::BYTES;
/// Bytes of a [`Contribution`].
const CONTRIBUTION: usize = 8 + 1 + 4 + 1 + SEGMENT_BYTES;
/// Bytes by which flows are ordered in the end: protocol and first packet.
const RANK: usize = 1 + 8;

/// Gathers the packets of each conversation, both directions together.
pub struct FlowFragmenter {
    size: FragmentSize,
    semantics: Semantics,
    by_key: ExternalSort<{ KEY + CONTRIBUTION }>,
    left_out: LeftOutCounts,
}

impl FlowFragmenter {
    /// Cuts fragments of `size`. Temporary space is used where the records outgrow memory.
    pub fn new(size: FragmentSize, semantics: Semantics) -> FlowFragmenter {
        FlowFragmenter { size, semantics, by_key: ExternalSort::new(), left_out: LeftOutCounts::default() }
    }

    /// The records in the order in which they are cut: each with the rank of its flow.
    fn by_rank(by_key: ExternalSort<{ KEY + CONTRIBUTION }>) -> Result<ExternalSort<{ RANK + CONTRIBUTION }>> {
        let mut by_rank = ExternalSort::new();
        let mut key = None;
        let mut rank = [0; RANK];
        for record in by_key.into_sorted()? {
            let record = record?;
            let (record_key, contribution) = record.split_at(KEY);
            if key.as_ref().is_none_or(|key: &[u8; KEY]| key != record_key) {
                key = record_key.try_into().ok();
                // The first record of a key is that of the flow's first packet: its number leads the contribution.
                rank[0] = record_key[0];
                rank[1..].copy_from_slice(&contribution[..8]);
            }
            by_rank.push(concatenated(&rank, contribution))?;
        }
        Ok(by_rank)
    }
}

impl Fragmenter for FlowFragmenter {
    fn push(&mut self, packet: &Packet<'_>, label: Label, _sink: &mut Sink<'_>) -> Result<()> {
        let transport = match self.semantics {
            Semantics::Complete => headers::transport(packet.link, packet.data),
            Semantics::Compat => headers::transport_compat(packet.data),
        };
        match transport {
            Ok(transport) => {
                let contribution = Contribution::new(packet.number, label, &transport);
                let key = FlowKey::new(&transport).to_bytes();
                self.by_key.push(concatenated(&key, &contribution.to_bytes()))?;
            }
            Err(reason) => self.left_out.count(reason),
        }
        Ok(())
    }

    fn finish(self: Box<Self>, sink: &mut Sink<'_>) -> Result<LeftOutCounts> {
        let mut cutter = Cutter::new(self.size, self.semantics);
        let mut rank = None;
        for record in Self::by_rank(self.by_key)?.into_sorted()? {
            let record = record?;
            let (record_rank, contribution) = record.split_at(RANK);
            if rank.as_ref().is_some_and(|rank: &[u8; RANK]| rank != record_rank) {
                cutter.end_flow(sink)?;
            }
            rank = record_rank.try_into().ok();
            cutter.push(&Contribution::from_bytes(contribution), sink)?;
        }
        cutter.end_flow(sink)?;
        Ok(self.left_out)
    }
}

/// `head` and `tail` as one record, which is exactly as long as both.
fn concatenated<const N: usize>(head: &[u8], tail: &[u8]) -> [u8; N] {
    let mut record = [0; N];
    record[..head.len()].copy_from_slice(head);
    record[head.len()..].copy_from_slice(tail);
    record
}

/// What one packet gives to its flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Contribution {
    packet: u64,
    label: Label,
    /// Offset of the transport segment in the packet.
    packet_offset: u32,
    /// How many of `bytes` are the packet's; the rest is zero.
    length: u8,
    bytes: [u8; SEGMENT_BYTES],
}

impl Contribution {
    fn new(packet: u64, label: Label, transport: &Transport<'_>) -> Contribution {
        let length = transport.segment.len().min(SEGMENT_BYTES);
        let mut bytes = [0; SEGMENT_BYTES];
        bytes[..length].copy_from_slice(&transport.segment[..length]);
        Contribution { packet, label, packet_offset: transport.offset as u32, length: length as u8, bytes }
    }

    /// The bytes with their padding: 32 or 64.
    fn padded(&self) -> &[u8] {
        let padded = if usize::from(self.length) <= SHORT_SEGMENT_BYTES { SHORT_SEGMENT_BYTES } else { SEGMENT_BYTES };
        &self.bytes[..padded]
    }

    /// The packet number leads and is big-endian, so that records sort by packet.
    fn to_bytes(self) -> [u8; CONTRIBUTION] {
        let mut record = [0; CONTRIBUTION];
        record[..8].copy_from_slice(&self.packet.to_be_bytes());
        record[8] = self.label.to_i8() as u8;
        record[9..13].copy_from_slice(&self.packet_offset.to_be_bytes());
        record[13] = self.length;
        record[14..].copy_from_slice(&self.bytes);
        record
    }

    fn from_bytes(record: &[u8]) -> Contribution {
        let big_endian = |range: std::ops::Range<usize>| record[range].iter().fold(0, |n, &b| n << 8 | u64::from(b));
        let mut bytes = [0; SEGMENT_BYTES];
        bytes.copy_from_slice(&record[14..]);
        Contribution {
            packet: big_endian(0..8),
            label: Label::from_i8(record[8] as i8).unwrap_or_default(),
            packet_offset: big_endian(9..13) as u32,
            length: record[13],
            bytes,
        }
    }
}

/// Concatenates the contributions of one flow after the other and cuts.
struct Cutter {
    size: usize,
    semantics: Semantics,
    /// Bytes of the flow that are not cut yet.
    pending: Vec<u8>,
    segments: Vec<Segment>,
    flow: u64,
}

impl Cutter {
    fn new(size: FragmentSize, semantics: Semantics) -> Cutter {
        Cutter { size: size.bytes(), semantics, pending: Vec::new(), segments: Vec::new(), flow: 0 }
    }

    fn push(&mut self, contribution: &Contribution, sink: &mut Sink<'_>) -> Result<()> {
        self.segments.push(Segment {
            packet: contribution.packet,
            label: contribution.label,
            packet_offset: contribution.packet_offset,
            fragment_offset: self.pending.len() as u32,
            length: u32::from(contribution.length),
        });
        self.pending.extend_from_slice(contribution.padded());
        match self.semantics {
            Semantics::Complete => {
                while self.pending.len() >= self.size {
                    self.cut(sink)?;
                }
            }
            // The original looks once a packet: fragments smaller than a contribution lag behind.
            Semantics::Compat if self.pending.len() >= self.size => self.cut(sink)?,
            Semantics::Compat => {}
        }
        Ok(())
    }

    /// Hands on the first `size` bytes and keeps the rest, with its segments.
    fn cut(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        let size = self.size as u32;
        let inside = self.segments.partition_point(|segment| segment.fragment_offset < size);
        let mut rest: Vec<Segment> = self.segments[inside..].to_vec();
        if let Some(last) = self.segments[..inside].last().copied() {
            let reach = if inside < self.segments.len() {
                self.segments[inside].fragment_offset
            } else {
                self.pending.len() as u32
            };
            if reach > size {
                let taken = last.length.min(size - last.fragment_offset);
                rest.insert(
                    0,
                    Segment {
                        packet_offset: last.packet_offset + taken,
                        fragment_offset: size,
                        length: last.length - taken,
                        ..last
                    },
                );
                self.segments[inside - 1].length = taken;
            }
        }
        let fragment =
            Fragment { bytes: &self.pending[..self.size], segments: &self.segments[..inside], flow: Some(self.flow) };
        sink(fragment)?;
        self.pending.drain(..self.size);
        for segment in &mut rest {
            segment.fragment_offset -= size;
        }
        self.segments = rest;
        Ok(())
    }

    fn end_flow(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        if !self.pending.is_empty() && self.semantics == Semantics::Complete {
            self.pending.resize(self.size, 0);
            self.cut(sink)?;
        }
        self.pending.clear();
        self.segments.clear();
        self.flow += 1;
        Ok(())
    }
}
