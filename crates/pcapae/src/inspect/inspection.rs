//! One pass over captures that counts what is in them.

use std::collections::HashMap;

use super::{ByteValues, Counts, Gaps, ServiceName, Sizes, Timeline, Traffic};
use crate::capture::headers::{Conversation, Endpoint, SkipCounts};
use crate::capture::{CaptureSummary, Captures, Packet};
use crate::progress::Progress;
use crate::{Error, Result};

/// Packets between two calls to the progress.
const STEP: u64 = 4096;
/// Streams that are counted before they are added to hosts, pairs of hosts and services.
const STREAMS_MAX: usize = 1 << 16;

/// What is in captures.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// The files, their link types, the time they span, and what was wrong with them.
    pub captures: CaptureSummary,
    /// All packets.
    pub all: Traffic,
    /// Traffic over time.
    pub timeline: Timeline,
    /// Lengths of packets.
    pub sizes: Sizes,
    /// Values of all bytes.
    pub byte_values: ByteValues,
    /// By protocol: "TCP", "ARP".
    pub protocols: Counts<&'static str>,
    /// By service, or by the lower port.
    pub services: Counts<ServiceName>,
    /// By host: packets that it sent or received.
    pub hosts: Counts<Endpoint>,
    /// By host: packets that it sent.
    pub senders: Counts<Endpoint>,
    /// By pair of hosts, both directions; the lower address first.
    pub host_pairs: Counts<[Endpoint; 2]>,
    /// The longest silences.
    pub gaps: Gaps,
    /// Packets that are in no TCP or UDP flow, by reason: the malformed and cut ones among them.
    pub skipped: SkipCounts,
}

impl Inspection {
    /// Seconds from the earliest packet to the latest; `None` without packets.
    pub fn seconds(&self) -> Option<f64> {
        self.captures.time_range_ns.map(|(first, last)| last.abs_diff(first) as f64 / 1e9)
    }

    /// Packets a second over all that time; `None` where it is 0.
    pub fn packets_per_second(&self) -> Option<f64> {
        self.seconds().filter(|seconds| *seconds > 0.0).map(|seconds| self.all.packets as f64 / seconds)
    }
}

/// Reads all captures once.
///
/// Memory does not grow with the captures: of hosts, pairs of hosts and services the first [`COUNTED_MAX`](super::COUNTED_MAX) each are counted
/// exactly, later ones together.
///
/// # Errors
///
/// What [`Captures::next_packet`] refuses, and [`Error::Interrupted`].
pub fn inspect(mut captures: Captures, progress: &dyn Progress) -> Result<Inspection> {
    progress.begin("inspecting", captures.total_bytes());
    let mut pass = Pass::default();
    let mut read = 0;
    while let Some(packet) = captures.next_packet()? {
        let number = packet.number;
        pass.take(&packet);
        if number.is_multiple_of(STEP) {
            let now = captures.bytes_read();
            progress.advance(now - read);
            read = now;
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
        }
    }
    progress.advance(captures.bytes_read() - read);
    pass.put_streams();
    Ok(Inspection { captures: captures.into_summary(), ..pass.inspection })
}

/// A sender, a receiver and a service: counted together first, since packets are many and streams few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Stream {
    source: Endpoint,
    destination: Endpoint,
    service: ServiceName,
}

#[derive(Default)]
struct Pass {
    inspection: Inspection,
    streams: HashMap<Stream, Traffic>,
}

impl Pass {
    fn take(&mut self, packet: &Packet<'_>) {
        let Inspection { all, timeline, sizes, byte_values, gaps, skipped, .. } = &mut self.inspection;
        let length = packet.data.len();
        all.add(length);
        timeline.add(packet.time_ns, length);
        sizes.add(length);
        byte_values.add(packet.data);
        gaps.add(packet.number, packet.time_ns);
        let headers = packet.dissect();
        if let Err(reason) = headers.transport() {
            skipped.count(reason);
        }
        let conversation = headers.conversation();
        let service = ServiceName::of(&conversation);
        let Conversation { source, destination, .. } = conversation;
        let stream = Stream { source: source.host(), destination: destination.host(), service };
        if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&stream) {
            self.put_streams();
        }
        self.streams.entry(stream).or_default().add(length);
    }

    fn put_streams(&mut self) {
        let Inspection { protocols, services, hosts, senders, host_pairs, .. } = &mut self.inspection;
        // In an order of their own, so that what is beyond the bound does not depend on the map's.
        let mut streams: Vec<(Stream, Traffic)> = self.streams.drain().collect();
        streams.sort_unstable_by_key(|(Stream { source, destination, service }, traffic)| {
            (std::cmp::Reverse(traffic.packets), *source, *destination, *service)
        });
        for (Stream { source, destination, service }, traffic) in streams {
            protocols.add(service.protocol, traffic);
            services.add(service, traffic);
            senders.add(source, traffic);
            hosts.add(source, traffic);
            if destination != source {
                hosts.add(destination, traffic);
            }
            host_pairs.add([source.min(destination), source.max(destination)], traffic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::LinkType;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn ethernet(from: u8, to: u8, port: u16, length: usize) -> Vec<u8> {
        let [high, low] = port.to_be_bytes();
        let link = [2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0];
        let ip = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, from, 10, 0, 0, to];
        let udp = [0xc0, 0, high, low, 0, 8, 0, 0];
        let mut packet = [&link[..], &ip, &udp].concat();
        packet.resize(length, 0);
        packet
    }

    fn inspected(packets: &[(u32, Vec<u8>)]) -> Inspection {
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        let mut bytes = words(&[0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 262_144, 1]);
        for (milliseconds, data) in packets {
            let length = data.len() as u32;
            bytes.extend(words(&[milliseconds / 1000, milliseconds % 1000 * 1000, length, length]));
            bytes.extend(data);
        }
        inspect(Captures::from_reader("test", Cursor::new(bytes)), &()).unwrap()
    }

    #[test]
    fn everything_is_counted_once() {
        let arp = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[8, 6]].concat();
        let found = inspected(&[
            (0, ethernet(1, 2, 53, 60)),
            (10, ethernet(2, 1, 53, 80)),
            (5010, ethernet(1, 3, 30_001, 60)),
            (5000, arp),
        ]);
        assert_eq!(found.all, Traffic { packets: 4, bytes: 214 });
        assert_eq!(found.seconds(), Some(5.01));
        let services: Vec<String> =
            found.services.ranked().iter().map(|(name, traffic)| format!("{name} {}", traffic.packets)).collect();
        assert_eq!(services, ["UDP DNS 2", "ARP 1", "UDP port 30001 1"]);
        let hosts: Vec<String> =
            found.hosts.ranked().iter().map(|(host, traffic)| format!("{host} {}", traffic.packets)).collect();
        assert_eq!(hosts, ["10.0.0.1 3", "10.0.0.2 2", "10.0.0.3 1", "02:00:00:00:00:01 1", "ff:ff:ff:ff:ff:ff 1"]);
        assert_eq!(found.host_pairs.different(), 3);
        assert_eq!(found.senders.of(&found.hosts.ranked()[0].0).packets, 2);
        assert_eq!(found.skipped.to_string(), "1 not IP");
        assert_eq!(found.gaps.longest()[0].before_packet, 3);
        assert_eq!(found.captures.warnings.len(), 1);
        assert_eq!(found.sizes.counts().collect::<Vec<_>>(), [(14, 1), (60, 2), (80, 1)]);
    }

    #[test]
    fn more_streams_than_are_held_are_counted_too() {
        let packets: Vec<(i64, Vec<u8>)> =
            (0..70_000u32).map(|i| (0, ethernet(1, 2, (i % 48_000 + 1000) as u16, 42))).collect();
        let mut pass = Pass::default();
        for (number, (time_ns, data)) in (1..).zip(&packets) {
            pass.take(&Packet {
                number,
                time_ns: *time_ns,
                link: LinkType(1),
                interface: 0,
                wire_length: data.len() as u32,
                data,
            });
        }
        pass.put_streams();
        assert_eq!(pass.inspection.protocols.of(&"UDP").packets, 70_000);
        assert!(pass.streams.is_empty());
    }

    proptest! {
        #[test]
        fn arbitrary_packets_are_all_counted(packets in prop::collection::vec(
            (prop::sample::select(vec![0u32, 1, 12, 101, 113, 147, 228, 276]), any::<i64>(), prop::collection::vec(any::<u8>(), 0..90)), 0..20,
        )) {
            let mut pass = Pass::default();
            for (number, (link, time_ns, data)) in (1..).zip(&packets) {
                pass.take(&Packet { number, time_ns: *time_ns, link: LinkType(*link), interface: 0, wire_length: data.len() as u32, data });
            }
            pass.put_streams();
            let found = &pass.inspection;
            let all = packets.len() as u64;
            let sum = |ranked: Vec<Traffic>| ranked.iter().map(|traffic| traffic.packets).sum::<u64>();
            prop_assert_eq!(found.all.packets, all);
            prop_assert_eq!(sum(found.protocols.ranked().into_iter().map(|ranked| ranked.1).collect()), all);
            prop_assert_eq!(sum(found.services.ranked().into_iter().map(|ranked| ranked.1).collect()), all);
            prop_assert_eq!(sum(found.senders.ranked().into_iter().map(|ranked| ranked.1).collect()), all);
            prop_assert_eq!(sum(found.host_pairs.ranked().into_iter().map(|ranked| ranked.1).collect()), all);
            prop_assert_eq!(found.byte_values.counts().iter().sum::<u64>(), found.all.bytes);
            prop_assert_eq!(sum(found.timeline.bins().to_vec()), all);
        }
    }
}
