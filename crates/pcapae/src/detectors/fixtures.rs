//! Samples and packets for the tests of detectors that look at facts.

use std::net::Ipv4Addr;
use std::ops::Range;

use proptest::prelude::*;

use super::{Detector, Samples, Signal};
use crate::capture::headers::fixtures::packet;
use crate::capture::headers::{Arp, Direction, Endpoint, PacketFacts, Service};

/// Rows of four zero bytes with these facts.
pub(crate) fn samples(facts: &[PacketFacts]) -> Samples {
    Samples::of_bytes(vec![0; 4 * facts.len()], 4).with_facts(facts.to_vec())
}

/// The signals of each row that are of a detector at work from the first row on; of rows of a block that `held_out` gives, as if it had not been
/// learned. The threshold is the same everywhere.
pub(crate) fn signals(
    detector: &dyn Detector,
    samples: &Samples,
    threshold: f32,
    held_out: impl Fn(u32) -> Option<u32>,
) -> Vec<Vec<Signal>> {
    let mut stream = detector.signals().expect("it looks at packets one by one");
    let signals = |(row, block)| {
        let mut found = Vec::new();
        stream.packet(row, held_out(block), &mut |signal| {
            found.push(signal);
            threshold
        });
        found
    };
    samples.packets("test").expect("rows are packets").map(signals).collect()
}

/// Packets of few hosts, services and lengths, in both directions, with hardly any time between; some are ARP.
pub(crate) fn traffic(packets: Range<usize>) -> impl Strategy<Value = Vec<PacketFacts>> {
    let drawn = (1u8..4, 1u8..4, 501u16..503, 60u32..63, 0u8..10, 0i64..4_000_000_000);
    prop::collection::vec(drawn, packets).prop_map(|packets| {
        let mut time_ns = 0;
        let facts = |(a, b, port, length, kind, later): (u8, u8, u16, u32, u8, i64)| {
            time_ns += later;
            let facts = PacketFacts { time_ns, ..packet(a, b, port, length) };
            match kind {
                0 => arp(facts, a, b),
                1..5 => answer(facts),
                5 => PacketFacts { tcp_flags: Some(2), has_payload: false, ..facts },
                6 => PacketFacts { link_source: Some([2, 0, 0, 0, 9, a]), ..facts },
                _ => facts,
            }
        };
        packets.into_iter().map(facts).collect()
    })
}

/// The same packet in the other direction.
fn answer(facts: PacketFacts) -> PacketFacts {
    PacketFacts {
        source: facts.destination,
        destination: facts.source,
        link_source: facts.link_destination,
        link_destination: facts.link_source,
        direction: Direction::FromService,
        ..facts
    }
}

/// An ARP request of `a` for `b`.
fn arp(facts: PacketFacts, a: u8, b: u8) -> PacketFacts {
    let hardware = [2, 0, 0, 0, 0, a];
    let host = |last| Endpoint::Ip(Ipv4Addr::new(10, 0, 0, last).into(), None);
    let arp = Arp { operation: 1 + u16::from(a == 3), sender_hardware: hardware, sender: host(a), target: host(b) };
    PacketFacts {
        service: Service { ethertype: 0x0806, ip_protocol: 0, port: 0 },
        source: Endpoint::Mac(hardware),
        destination: Endpoint::Mac([0xff; 6]),
        link_source: Some(hardware),
        link_destination: Some([0xff; 6]),
        arp: Some(arp),
        tcp_flags: None,
        has_payload: true,
        ..facts
    }
}
