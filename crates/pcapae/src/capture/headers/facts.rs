//! What detectors may know of a packet beside its bytes: time, length, service, direction and the two ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::conversation::arp;
use super::ip::protocol;
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
    /// How many bytes it had on the wire; as many as were captured where that is not known.
    pub wire_length: u32,
    /// The service that is spoken.
    pub service: Service,
    /// Which way the packet goes.
    pub direction: Direction,
    /// The sender: IP address and port, or link address.
    pub source: Endpoint,
    /// The receiver.
    pub destination: Endpoint,
    /// The sender's address on the link, where there is one.
    pub link_source: Option<[u8; 6]>,
    /// The receiver's address on the link.
    pub link_destination: Option<[u8; 6]>,
    /// What an ARP packet for IPv4 over Ethernet says.
    pub arp: Option<Arp>,
    /// The flags of a TCP segment: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub tcp_flags: Option<u8>,
    /// Whether anything follows the TCP header; true without TCP.
    pub has_payload: bool,
    /// Where the header of the network layer, IP or ARP, begins in the packet; 0 without one.
    pub network_offset: u16,
    /// Where the TCP, UDP or SCTP header begins in the packet; 0 without one.
    pub transport_offset: u16,
}

/// What an ARP packet for IPv4 over Ethernet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// The hardware address that the sender claims.
    pub sender_hardware: [u8; 6],
    /// The IP address that the sender claims.
    pub sender: Endpoint,
    /// The IP address that is asked for, or answered to.
    pub target: Endpoint,
}

impl Dissection<'_> {
    /// The facts of the packet, captured at `time_ns` with `length` of its `wire_length` bytes. What cannot be read is 0 or
    /// [`Endpoint::Unknown`].
    pub fn facts(&self, length: u32, wire_length: u32, time_ns: i64) -> PacketFacts {
        let layers = self.layers();
        let on_link = (Endpoint::on_link(layers.source), Endpoint::on_link(layers.destination));
        let mut facts = PacketFacts {
            time_ns,
            length,
            wire_length,
            service: Service::default(),
            direction: Direction::ToService,
            source: on_link.0,
            destination: on_link.1,
            link_source: layers.source,
            link_destination: layers.destination,
            arp: None,
            tcp_flags: None,
            has_payload: true,
            network_offset: 0,
            transport_offset: 0,
        };
        let offset = |at: usize| u16::try_from(at).unwrap_or(0);
        match &layers.network {
            Network::Ip(packet, Ok(ip)) => {
                facts.service.ethertype = if ip.source.is_ipv6() { ether::IPV6 } else { ether::IPV4 };
                facts.service.ip_protocol = ip.protocol;
                (facts.source, facts.destination) = Endpoint::of_ip(ip);
                facts.network_offset = offset(self.offset_of(packet));
                if let Some((source, destination)) = ip.ports {
                    facts.service.port = source.min(destination);
                    facts.transport_offset = offset(self.offset_of(packet) + ip.payload_offset);
                }
                if let (protocol::TCP, false, Some([header_words, flags])) =
                    (ip.protocol, ip.later_fragment, ip.payload.get(12..14))
                {
                    facts.tcp_flags = Some(*flags);
                    facts.has_payload = ip.payload.len() > usize::from(header_words >> 4) * 4;
                }
            }
            Network::Other(ethertype, body) => {
                facts.service.ethertype = *ethertype;
                facts.arp = Arp::read(*ethertype, body);
                facts.network_offset = offset(self.offset_of(body));
            }
            _ => {}
        }
        facts.direction = direction(facts.source, facts.destination);
        facts
    }
}

impl Arp {
    fn read(ethertype: u16, body: &[u8]) -> Option<Arp> {
        let conversation = (ethertype == ether::ARP).then(|| arp(body)).flatten()?;
        let sender_hardware = *body.get(8..14)?.first_chunk()?;
        let (sender, target) = (conversation.source, conversation.destination);
        Some(Arp { operation: u16::from_be_bytes([body[6], body[7]]), sender_hardware, sender, target })
    }
}

impl PacketFacts {
    /// The connection that the packet belongs to.
    pub fn connection(&self) -> Connection {
        let mut ends = [self.source, self.destination];
        ends.sort_unstable();
        Connection { service: self.service, ends }
    }

    /// The same facts, as if link or IP addresses were zeros.
    pub fn without_addresses(mut self, link: bool, ip: bool) -> PacketFacts {
        let zeroed = |end: Endpoint| match end {
            Endpoint::Ip(IpAddr::V4(_), port) if ip => Endpoint::Ip(Ipv4Addr::UNSPECIFIED.into(), port),
            Endpoint::Ip(IpAddr::V6(_), port) if ip => Endpoint::Ip(Ipv6Addr::UNSPECIFIED.into(), port),
            Endpoint::Mac(_) if link => Endpoint::Mac([0; 6]),
            other => other,
        };
        (self.source, self.destination) = (zeroed(self.source), zeroed(self.destination));
        if let Some(arp) = &mut self.arp {
            (arp.sender, arp.target) = (zeroed(arp.sender), zeroed(arp.target));
            if link {
                arp.sender_hardware = [0; 6];
            }
        }
        if link {
            self.link_source = self.link_source.map(|_| [0; 6]);
            self.link_destination = self.link_destination.map(|_| [0; 6]);
        }
        self.direction = direction(self.source, self.destination);
        self
    }

    /// The host that speaks, without its port; of ARP, the IP address that it claims.
    pub fn sender(&self) -> Endpoint {
        self.arp.map_or(self.source.host(), |arp| arp.sender)
    }

    /// The host that is spoken to, without its port; of ARP, the IP address that is asked for.
    pub fn receiver(&self) -> Endpoint {
        self.arp.map_or(self.destination.host(), |arp| arp.target)
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
        Dissection::new(LinkType::ETHERNET, data).facts(data.len() as u32, data.len() as u32, 7)
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
        let of_front = Dissection::new(LinkType::ETHERNET, &long[..64]).facts(214, 214, 7);
        assert_eq!(of_front, facts(&long));
        assert_eq!(of_front.service, facts(&short).service);
    }
}
