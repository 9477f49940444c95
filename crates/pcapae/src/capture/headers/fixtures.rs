//! Facts of made-up packets, for tests.

use std::net::Ipv4Addr;

use super::{Direction, Endpoint, PacketFacts, Service};

/// A TCP packet of `length` bytes from port 40,000 of 10.0.0.`source` to `port` of 10.0.0.`destination`, at time 0.
pub(crate) fn packet(source: u8, destination: u8, port: u16, length: u32) -> PacketFacts {
    let end = |host: u8, port: u16| Endpoint::Ip(Ipv4Addr::new(10, 0, 0, host).into(), Some(port));
    PacketFacts {
        time_ns: 0,
        length,
        wire_length: length,
        service: Service { ethertype: 0x0800, ip_protocol: 6, port },
        direction: Direction::ToService,
        source: end(source, 40_000),
        destination: end(destination, port),
        link_source: Some([2, 0, 0, 0, 0, source]),
        link_destination: Some([2, 0, 0, 0, 0, destination]),
        arp: None,
        tcp_flags: Some(0x18),
        has_payload: true,
        network_offset: 14,
        transport_offset: 34,
    }
}
