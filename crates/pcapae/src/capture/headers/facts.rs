//! What detectors may know of a packet beside its bytes: time, length, service, direction and the two ends.

use super::link::{Network, ether};
use super::{Dissection, Endpoint};

/// A service: EtherType, IP protocol and the lower of the two ports, each 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Service {
    /// After VLAN tags and MPLS labels; 0 for what has none, as LLC and what cannot be read.
    pub ethertype: u16,
    /// After IPv6 extension headers.
    pub ip_protocol: u8,
    /// Of TCP, UDP and SCTP; 0 in IP fragments after the first.
    pub port: u16,
}

/// Towards the end with the lower port, or away from it; without ports, towards the end with the higher address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// A request, as a rule.
    ToService,
    /// An answer, as a rule.
    FromService,
}

/// A connection: a service between two endpoints, both directions, in any protocol. Without IP, the endpoints are link addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Connection {
    service: Service,
    ends: [Endpoint; 2],
}

/// What is known of a packet beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketFacts {
    /// Capture time in nanoseconds since 1970.
    pub time_ns: i64,
    /// How many bytes were captured.
    pub length: u32,
    /// The service that is spoken.
    pub service: Service,
    /// Which way the packet goes.
    pub direction: Direction,
    /// The sender: IP address and port, or link address.
    pub source: Endpoint,
    /// The receiver.
    pub destination: Endpoint,
}

impl Dissection<'_> {
    /// The facts of the packet, captured at `time_ns` with `length` bytes. What cannot be read is 0 or [`Endpoint::Unknown`].
    pub fn facts(&self, length: u32, time_ns: i64) -> PacketFacts {
        let layers = self.layers();
        let (service, (source, destination)) = match &layers.network {
            Network::Ip(_, Ok(ip)) => {
                let ethertype = if ip.source.is_ipv6() { ether::IPV6 } else { ether::IPV4 };
                let port = ip.ports.map_or(0, |(source, destination)| source.min(destination));
                (Service { ethertype, ip_protocol: ip.protocol, port }, Endpoint::of_ip(ip))
            }
            other => {
                let ethertype = if let Network::Other(ethertype, _) = other { *ethertype } else { 0 };
                let ends = (Endpoint::on_link(layers.source), Endpoint::on_link(layers.destination));
                (Service { ethertype, ..Service::default() }, ends)
            }
        };
        let direction = direction(source, destination);
        PacketFacts { time_ns, length, service, direction, source, destination }
    }
}

impl PacketFacts {
    /// The connection that the packet belongs to.
    pub fn connection(&self) -> Connection {
        let mut ends = [self.source, self.destination];
        ends.sort_unstable();
        Connection { service: self.service, ends }
    }
}

fn direction(source: Endpoint, destination: Endpoint) -> Direction {
    let port = |end| match end {
        Endpoint::Ip(_, port) => port,
        Endpoint::Mac(_) | Endpoint::Unknown => None,
    };
    let to_service = match (port(source), port(destination)) {
        (Some(from), Some(to)) if from != to => to < from,
        _ => destination >= source,
    };
    if to_service { Direction::ToService } else { Direction::FromService }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::LinkType;

    /// A TCP packet over IPv4 over Ethernet from 10.0.0.1 to 10.0.0.2.
    fn tcp(from: u16, to: u16) -> Vec<u8> {
        let mut packet = vec![2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 0x08, 0x00];
        packet.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(from.to_be_bytes().into_iter().chain(to.to_be_bytes()));
        packet.extend([0; 16]);
        packet
    }

    fn facts(data: &[u8]) -> PacketFacts {
        Dissection::new(LinkType::ETHERNET, data).facts(data.len() as u32, 7)
    }

    #[test]
    fn a_request_and_its_answer_are_one_connection_in_two_directions() {
        let (request, answer) = (facts(&tcp(40_000, 502)), facts(&tcp(502, 40_000)));
        assert_eq!(request.service, Service { ethertype: 0x0800, ip_protocol: 6, port: 502 });
        assert_eq!((request.direction, answer.direction), (Direction::ToService, Direction::FromService));
        assert_eq!(request.service, answer.service);
        // Both sent by 10.0.0.1, so not each other's answer.
        assert_ne!(request.connection(), answer.connection());
        let back = PacketFacts { source: request.destination, destination: request.source, ..request };
        assert_eq!(request.connection(), back.connection());
    }

    #[test]
    fn without_ip_the_ends_are_link_addresses() {
        let goose = facts(&[2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 0x88, 0xb8, 0, 0]);
        assert_eq!(goose.service, Service { ethertype: 0x88b8, ip_protocol: 0, port: 0 });
        assert_eq!((goose.source, goose.destination), (Endpoint::Mac([1; 6]), Endpoint::Mac([2; 6])));
        assert_eq!((goose.time_ns, goose.length, goose.direction), (7, 16, Direction::ToService));
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let cut = facts(&[1, 2, 3]);
        assert_eq!((cut.service, cut.source), (Service::default(), Endpoint::Unknown));
    }

    #[test]
    fn the_first_bytes_are_enough() {
        let mut long = tcp(40_000, 502);
        let short = long.clone();
        long[17] = 200;
        long.resize(214, 9);
        let of_front = Dissection::new(LinkType::ETHERNET, &long[..64]).facts(214, 7);
        assert_eq!(of_front, facts(&long));
        assert_eq!(of_front.service, facts(&short).service);
    }
}
