//! Packets that never were, for the tests of detectors that look at facts.

use std::net::Ipv4Addr;

use super::Samples;
use crate::capture::headers::{Direction, Endpoint, PacketFacts, Service};

/// A TCP packet of `length` bytes from port 40,000 of 10.0.0.`source` to `port` of 10.0.0.`destination`, at time 0.
pub(crate) fn packet(source: u8, destination: u8, port: u16, length: u32) -> PacketFacts {
    let end = |host: u8, port: u16| Endpoint::Ip(Ipv4Addr::new(10, 0, 0, host).into(), Some(port));
    PacketFacts {
        time_ns: 0,
        length,
        service: Service { ethertype: 0x0800, ip_protocol: 6, port },
        direction: Direction::ToService,
        source: end(source, 40_000),
        destination: end(destination, port),
    }
}

/// Rows of four zero bytes with these facts.
pub(crate) fn samples(facts: &[PacketFacts]) -> Samples {
    Samples::of_bytes(vec![0; 4 * facts.len()], 4).with_facts(facts.to_vec())
}
