//! Flow mode: per flow, the first bytes of each packet from its TCP or UDP header on, concatenated and cut.
//!
//! Flows come out in a fixed order: TCP by first packet, then UDP by first packet. A capture may hold more flows than
//! memory, so nothing is kept per flow: what a packet contributes to its flow is a record, and two external sorts, first by
//! five-tuple, then by the flow's first packet, bring the records into the order in which they are cut.

use super::external_sort::ExternalSort;
use super::{Fragment, FragmentSize, Fragmenter, Segment, Semantics, Sink};
use crate::Result;
use crate::capture::Packet;
use crate::capture::headers::{Dissection, SkipCounts, Transport};
use crate::flow::FlowKey;
use crate::label::Label;

/// Maximum number of bytes that a packet contributes to its flow: the first ones from its TCP or UDP header on.
pub const TRANSPORT_BYTES: usize = 64;
/// Fewer bytes, up to this many, are padded to it, more to [`TRANSPORT_BYTES`].
pub const SHORT_TRANSPORT_BYTES: usize = 32;

/// Bytes of a five-tuple's key.
const KEY: usize = FlowKey::BYTES;
/// Bytes of a [`Contribution`].
const CONTRIBUTION: usize = 8 + 1 + 4 + 1 + TRANSPORT_BYTES;
/// Bytes by which flows are ordered in the end: protocol and first packet.
const RANK: usize = 1 + 8;

/// Gathers the packets of each flow.
pub struct FlowFragmenter {
    size: FragmentSize,
    semantics: Semantics,
    by_key: ExternalSort<{ KEY + CONTRIBUTION }>,
    skipped: SkipCounts,
}

impl FlowFragmenter {
    /// Cuts fragments of `size`. Temporary space is used where the records outgrow memory.
    pub fn new(size: FragmentSize, semantics: Semantics) -> FlowFragmenter {
        FlowFragmenter { size, semantics, by_key: ExternalSort::new(), skipped: SkipCounts::default() }
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
    fn push(
        &mut self,
        packet: &Packet<'_>,
        headers: &Dissection<'_>,
        label: Label,
        _sink: &mut Sink<'_>,
    ) -> Result<()> {
        let transport = match self.semantics {
            Semantics::Complete => headers.transport(),
            Semantics::Compat => headers.transport_compat(),
        };
        match transport {
            Ok(transport) => {
                let key = FlowKey::new(&transport).to_bytes();
                let contribution = Contribution::new(packet, label, &transport);
                self.by_key.push(concatenated(&key, &contribution.to_bytes()))?;
            }
            Err(reason) => self.skipped.count(reason),
        }
        Ok(())
    }

    fn finish(self: Box<Self>, sink: &mut Sink<'_>) -> Result<SkipCounts> {
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
        Ok(self.skipped)
    }
}

/// `head` and `tail` as one record, which is exactly as long as both.
fn concatenated<const N: usize>(head: &[u8], tail: &[u8]) -> [u8; N] {
    let mut record = [0; N];
    record[..head.len()].copy_from_slice(head);
    record[head.len()..].copy_from_slice(tail);
    record
}

/// What one packet contributes to its flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Contribution {
    packet: u64,
    label: Label,
    /// Offset of the TCP or UDP header in the packet.
    packet_offset: u32,
    /// How many of `bytes` are the packet's; the rest is zero.
    length: u8,
    bytes: [u8; TRANSPORT_BYTES],
}

impl Contribution {
    /// From a packet whose fields may be masked, with its transport before masking.
    fn new(packet: &Packet<'_>, label: Label, transport: &Transport<'_>) -> Contribution {
        let (offset, length) = (transport.offset, transport.bytes.len().min(TRANSPORT_BYTES));
        let mut bytes = [0; TRANSPORT_BYTES];
        bytes[..length].copy_from_slice(&packet.data[offset..offset + length]);
        Contribution { packet: packet.number, label, packet_offset: offset as u32, length: length as u8, bytes }
    }

    /// The bytes with their padding: 32 or 64.
    fn padded(&self) -> &[u8] {
        let padded =
            if usize::from(self.length) <= SHORT_TRANSPORT_BYTES { SHORT_TRANSPORT_BYTES } else { TRANSPORT_BYTES };
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
        let mut bytes = [0; TRANSPORT_BYTES];
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
            // The original cuts once per packet, so fragments smaller than a contribution lag behind.
            Semantics::Compat if self.pending.len() >= self.size => self.cut(sink)?,
            Semantics::Compat => {}
        }
        Ok(())
    }

    /// Emits the first `size` bytes and keeps the rest, with its segments.
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

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;
    use crate::capture::LinkType;
    use crate::capture::headers::{Protocol, SkipReason};
    use crate::fragment::Shape;

    /// Protocol and IP version of the flows; those of equal kind differ in a port only.
    const FLOWS: [(Protocol, u8); 6] = [
        (Protocol::Udp, 4),
        (Protocol::Tcp, 4),
        (Protocol::Tcp, 4),
        (Protocol::Udp, 6),
        (Protocol::Tcp, 6),
        (Protocol::Udp, 4),
    ];

    /// Who sends a packet.
    #[derive(Debug, Clone, Copy)]
    enum Kind {
        InFlow { flow: usize, answer: bool },
        Arp,
        Icmp,
    }

    #[derive(Debug, Clone)]
    struct Sent {
        kind: Kind,
        payload: Vec<u8>,
        /// Zeros behind the IP packet, as short Ethernet frames have them.
        trailer: usize,
        label: Label,
    }

    impl Sent {
        fn frame(&self) -> Vec<u8> {
            let mut frame = Vec::new();
            let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
            match self.kind {
                Kind::Arp => frame.extend([&[0xff; 12][..], &[8, 6], &self.payload].concat()),
                Kind::Icmp => link
                    .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
                    .icmpv4_echo_request(1, 2)
                    .write(&mut frame, &self.payload)
                    .unwrap(),
                Kind::InFlow { flow, answer } => {
                    let (protocol, version) = FLOWS[flow];
                    let (mut hosts, mut ports) = ([9, 1], [502, 1000 + flow as u16]);
                    if answer {
                        hosts.reverse();
                        ports.reverse();
                    }
                    let network = match version {
                        4 => link.ipv4([10, 0, 0, hosts[0]], [10, 0, 0, hosts[1]], 64),
                        _ => link.ipv6([hosts[0]; 16], [hosts[1]; 16], 64),
                    };
                    match protocol {
                        Protocol::Tcp => {
                            network.tcp(ports[0], ports[1], 7, 9).write(&mut frame, &self.payload).unwrap();
                        }
                        Protocol::Udp => network.udp(ports[0], ports[1]).write(&mut frame, &self.payload).unwrap(),
                    }
                }
            }
            frame.resize(frame.len() + self.trailer, 0);
            frame
        }

        /// Flow, and the offset and length of the transport.
        fn transport(&self) -> Option<(usize, usize, usize)> {
            let Kind::InFlow { flow, .. } = self.kind else { return None };
            let (protocol, version) = FLOWS[flow];
            let header = if protocol == Protocol::Tcp { 20 } else { 8 };
            Some((flow, if version == 4 { 34 } else { 54 }, header + self.payload.len()))
        }
    }

    fn sent() -> impl Strategy<Value = Sent> {
        let flow = (0..FLOWS.len(), any::<bool>()).prop_map(|(flow, answer)| Kind::InFlow { flow, answer });
        let kind = prop_oneof![8 => flow, 1 => Just(Kind::Arp), 1 => Just(Kind::Icmp)];
        let label = prop::sample::select(vec![Label::Unknown, Label::Normal, Label::Anomalous]);
        (kind, prop::collection::vec(1u8.., 0..90), 0usize..20, label)
            .prop_map(|(kind, payload, trailer, label)| Sent { kind, payload, trailer, label })
    }

    /// A byte of a flow: its value, the packet that gave it or its padding, and where in the packet it lies unless it pads.
    type Traced = (u8, Option<u64>, Option<usize>);

    /// The definition, all in memory: per flow, everything that its packets contribute, one after the other.
    fn flows(packets: &[Sent], with_ipv6: bool) -> Vec<Vec<Vec<Traced>>> {
        let mut flows: Vec<(usize, Vec<Vec<Traced>>)> = Vec::new();
        for (packet, number) in packets.iter().zip(1u64..) {
            let Some((flow, offset, length)) = packet.transport() else { continue };
            if FLOWS[flow].1 == 6 && !with_ipv6 {
                continue;
            }
            let frame = packet.frame();
            let taken = length.min(64);
            let mut given: Vec<Traced> =
                (offset..offset + taken).map(|at| (frame[at], Some(number), Some(at))).collect();
            given.resize(if taken <= 32 { 32 } else { 64 }, (0, Some(number), None));
            match flows.iter_mut().find(|(known, _)| *known == flow) {
                Some((_, flow)) => flow.push(given),
                None => flows.push((flow, vec![given])),
            }
        }
        let (tcp, udp): (Vec<_>, Vec<_>) = flows.into_iter().partition(|(flow, _)| FLOWS[*flow].0 == Protocol::Tcp);
        tcp.into_iter().chain(udp).map(|(_, flow)| flow).collect()
    }

    /// A fragment: its flow, its bytes, and the packets in it in order, each with its label.
    type Traceable = (u64, Vec<Traced>, Vec<(u64, Label)>);

    fn expected(packets: &[Sent], size: usize, semantics: Semantics) -> Vec<Traceable> {
        let mut fragments = Vec::new();
        for (flow, number) in flows(packets, semantics == Semantics::Complete).into_iter().zip(0..) {
            let mut stream = flow.concat();
            let most = match semantics {
                Semantics::Complete => {
                    stream.resize(stream.len().next_multiple_of(size), (0, None, None));
                    usize::MAX
                }
                // Every packet brings at least 32 bytes, so that each cuts one smaller fragment, and one only.
                Semantics::Compat if size < SHORT_TRANSPORT_BYTES => flow.len(),
                Semantics::Compat => usize::MAX,
            };
            for bytes in stream.chunks_exact(size).take(most) {
                let mut holders: Vec<u64> = bytes.iter().filter_map(|(_, packet, _)| *packet).collect();
                holders.dedup();
                let labelled = holders.iter().map(|&packet| (packet, packets[packet as usize - 1].label)).collect();
                fragments.push((number, bytes.to_vec(), labelled));
            }
        }
        fragments
    }

    /// What the fragmenter gives, in the form of the definition.
    fn got(packets: &[Sent], size: FragmentSize, semantics: Semantics) -> (Vec<Traceable>, SkipCounts) {
        let mut fragments = Vec::new();
        let mut sink = |fragment: Fragment<'_>| {
            let mut traced: Vec<Traced> = fragment.bytes.iter().map(|&byte| (byte, None, None)).collect();
            let mut end = 0;
            for segment in fragment.segments {
                let start = segment.fragment_offset as usize;
                assert!(start >= end, "segments overlap or are out of order: {:?}", fragment.segments);
                end = start + segment.length as usize;
                for (byte, at) in traced[start..end].iter_mut().zip(segment.packet_offset as usize..) {
                    (byte.1, byte.2) = (Some(segment.packet), Some(at));
                }
            }
            let labelled = fragment.segments.iter().map(|segment| (segment.packet, segment.label)).collect();
            fragments.push((fragment.flow.unwrap(), traced, labelled));
            Ok(())
        };
        let mut fragmenter = Box::new(FlowFragmenter::new(size, semantics));
        for (packet, number) in packets.iter().zip(1..) {
            let (link, data) = (LinkType::ETHERNET, &packet.frame()[..]);
            let read = Packet { number, time_ns: 0, link, interface: 0, wire_length: data.len() as u32, data };
            fragmenter.push(&read, &read.dissect(), packet.label, &mut sink).unwrap();
        }
        let skipped = fragmenter.finish(&mut sink).unwrap();
        (fragments, skipped)
    }

    fn check(packets: &[Sent], semantics: Semantics) -> Result<(), TestCaseError> {
        for (size, shape) in [(16, Shape::Square), (64, Shape::Square), (100, Shape::Line), (256, Shape::Square)] {
            let size = FragmentSize::new(size, shape).unwrap();
            let mut expected = expected(packets, size.bytes(), semantics);
            // Padding is no byte of the packet, so no segment covers it.
            for (_, bytes, _) in &mut expected {
                bytes.iter_mut().filter(|byte| byte.2.is_none()).for_each(|byte| byte.1 = None);
            }
            let (fragments, skipped) = got(packets, size, semantics);
            prop_assert_eq!(fragments, expected, "{:?}", size);

            let count = |wanted: fn(&Sent) -> bool| packets.iter().filter(|packet| wanted(packet)).count() as u64;
            let counted = |reason| skipped.0.get(&reason).copied().unwrap_or_default();
            prop_assert_eq!(counted(SkipReason::NotIp), count(|packet| matches!(packet.kind, Kind::Arp)));
            prop_assert_eq!(counted(SkipReason::OtherProtocol), count(|packet| matches!(packet.kind, Kind::Icmp)));
            let ipv6 = count(|packet| matches!(packet.transport(), Some((_, 54, _))));
            prop_assert_eq!(counted(SkipReason::Ipv6), if semantics == Semantics::Compat { ipv6 } else { 0 });
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn flows_are_concatenated_and_cut(packets in prop::collection::vec(sent(), 0..40)) {
            check(&packets, Semantics::Complete)?;
        }

        #[test]
        fn compat_drops_remainders_and_cuts_once_a_packet(packets in prop::collection::vec(sent(), 0..40)) {
            check(&packets, Semantics::Compat)?;
        }

        #[test]
        fn a_contribution_survives_its_record(
            packet: u64,
            packet_offset: u32,
            given in prop::collection::vec(any::<u8>(), 0..=TRANSPORT_BYTES),
            label in prop::sample::select(vec![Label::Unknown, Label::Normal, Label::Anomalous]),
        ) {
            let mut bytes = [0; TRANSPORT_BYTES];
            bytes[..given.len()].copy_from_slice(&given);
            let contribution = Contribution { packet, label, packet_offset, length: given.len() as u8, bytes };
            prop_assert_eq!(Contribution::from_bytes(&contribution.to_bytes()), contribution);
        }
    }

    #[test]
    fn a_flow_shorter_than_a_fragment_is_padded_or_in_compat_lost() {
        let packet = Sent {
            kind: Kind::InFlow { flow: 0, answer: false },
            payload: vec![7],
            trailer: 0,
            label: Label::Anomalous,
        };
        let size = FragmentSize::new(256, Shape::Square).unwrap();
        let (fragments, _) = got(std::slice::from_ref(&packet), size, Semantics::Complete);
        assert_eq!(fragments.len(), 1);
        assert_eq!(fragments[0].2, [(1, Label::Anomalous)]);
        assert!(got(&[packet], size, Semantics::Compat).0.is_empty());
    }
}
