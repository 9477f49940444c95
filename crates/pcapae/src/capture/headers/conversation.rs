//! Who talks to whom, and how: for people who read an alert.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::Dissection;
use super::ip::{IpPacket, protocol};
use super::link::{Network, ether};
use super::service::service;

/// Who talks to whom in what protocol, for people to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conversation {
    /// The sender.
    pub source: Endpoint,
    /// The receiver.
    pub destination: Endpoint,
    /// The protocol as people know it: "TCP", "ARP", "PROFINET".
    pub protocol: &'static str,
    /// The service that one of the ports stands for: "Modbus/TCP". The receiver's port is looked at first.
    pub service: Option<&'static str>,
}

/// One end of a conversation, by the highest address that can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// An IP address, with the port where there is one.
    Ip(IpAddr, Option<u16>),
    /// A hardware address.
    Mac([u8; 6]),
    /// No address at all.
    Unknown,
}

impl Endpoint {
    pub(super) fn on_link(address: Option<[u8; 6]>) -> Endpoint {
        address.map_or(Endpoint::Unknown, Endpoint::Mac)
    }

    /// Source and destination of an IP packet.
    pub(super) fn of_ip(ip: &IpPacket<'_>) -> (Endpoint, Endpoint) {
        let (source, destination) = ip.ports.unzip();
        (Endpoint::Ip(ip.source, source), Endpoint::Ip(ip.destination, destination))
    }

    /// The endpoint without its port: the host.
    pub fn host(self) -> Endpoint {
        match self {
            Endpoint::Ip(address, _) => Endpoint::Ip(address, None),
            other => other,
        }
    }
}

impl fmt::Display for Endpoint {
    /// `10.0.0.1:502`, `[fe80::1]:502`, `fe80::1`, `00:1b:1b:00:00:01` or `?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Ip(address @ IpAddr::V6(_), Some(port)) => write!(f, "[{address}]:{port}"),
            Endpoint::Ip(address, Some(port)) => write!(f, "{address}:{port}"),
            Endpoint::Ip(address, None) => write!(f, "{address}"),
            Endpoint::Mac([a, b, c, d, e, g]) => write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"),
            Endpoint::Unknown => f.write_str("?"),
        }
    }
}

impl Dissection<'_> {
    /// Who talks to whom, as far as it can be seen.
    pub fn conversation(&self) -> Conversation {
        let layers = self.layers();
        let below = |protocol| Conversation {
            source: Endpoint::on_link(layers.source),
            destination: Endpoint::on_link(layers.destination),
            protocol,
            service: None,
        };
        match &layers.network {
            Network::Ip(_, Ok(ip)) => over_ip(ip),
            Network::Ip(_, Err(_)) => below("IP"),
            Network::Other(ether::ARP, body) => arp(body).unwrap_or_else(|| below("ARP")),
            Network::Other(ethertype, _) => below(ether_name(*ethertype)),
            Network::Llc([0x42, 0x42, ..]) => below("STP"),
            Network::Llc(_) => below("LLC"),
            Network::Broken(_) => below("?"),
        }
    }
}

fn over_ip(ip: &IpPacket<'_>) -> Conversation {
    let (source, destination) = Endpoint::of_ip(ip);
    Conversation {
        source,
        destination,
        protocol: ip_name(ip.protocol, ip.source),
        service: ip.ports.and_then(|(source, destination)| service(destination).or_else(|| service(source))),
    }
}

/// Sender and target of an ARP packet for IPv4 over Ethernet.
pub(super) fn arp(body: &[u8]) -> Option<Conversation> {
    let body = body.get(..28).filter(|body| body[..6] == [0, 1, 8, 0, 6, 4])?;
    let address = |at: usize| {
        let address = Ipv4Addr::new(body[at], body[at + 1], body[at + 2], body[at + 3]);
        Endpoint::Ip(address.into(), None)
    };
    Some(Conversation { source: address(14), destination: address(24), protocol: "ARP", service: None })
}

fn ip_name(number: u8, address: IpAddr) -> &'static str {
    match number {
        protocol::ICMP => "ICMP",
        protocol::IGMP => "IGMP",
        4 => "IP in IP",
        protocol::TCP => "TCP",
        protocol::UDP => "UDP",
        41 => "IPv6 in IP",
        46 => "RSVP",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        protocol::ICMP_V6 => "ICMPv6",
        88 => "EIGRP",
        89 => "OSPF",
        103 => "PIM",
        112 => "VRRP",
        protocol::SCTP => "SCTP",
        _ if address.is_ipv6() => "IPv6",
        _ => "IPv4",
    }
}

/// IEEE's registry of EtherTypes, with the names in use.
fn ether_name(kind: u16) -> &'static str {
    match kind {
        0x8035 => "RARP",
        0x8137 => "IPX",
        ether::MPLS | ether::MPLS_MULTICAST => "MPLS",
        0x8863 | ether::PPPOE_SESSION => "PPPoE",
        0x888e => "EAPOL",
        0x8892 => "PROFINET",
        0x88a4 => "EtherCAT",
        0x88ab => "POWERLINK",
        0x88b8 => "GOOSE",
        0x88b9 => "GSE",
        0x88ba => "Sampled Values",
        0x88cc => "LLDP",
        0x88cd => "SERCOS III",
        0x88e3 => "MRP",
        0x88e5 => "MACsec",
        0x88f7 => "PTP",
        0x88fb => "PRP",
        0x892f => "HSR",
        0x9000 => "Loopback test",
        _ => "Ethernet",
    }
}
