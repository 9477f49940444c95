//! The name of every byte of a packet, for people who read which bytes mattered. Detection does not use it.

use std::fmt;
use std::ops::Range;

use super::industrial::{goose, over_port};
use super::ip::{IpPacket, protocol};
use super::link::{Network, ether};
use super::{Dissection, SkipReason, be16};
use crate::capture::LinkType;

/// Bytes without a name of their own are named in pieces of this many.
const PIECE: usize = 4;

/// Some bytes of a packet and their name: `Modbus function code`, or `payload +12` where only their position is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedField {
    /// "Modbus", "IPv4", "payload".
    pub protocol: &'static str,
    /// "function code"; empty where only the position is known.
    pub name: &'static str,
    /// Offset of the first byte in what has no names.
    pub within: usize,
    /// Where it lies in the packet.
    pub range: Range<usize>,
}

impl fmt::Display for NamedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            "" => write!(f, "{} +{}", self.protocol, self.within),
            name => write!(f, "{} {name}", self.protocol),
        }
    }
}

impl Dissection<'_> {
    /// The names of all bytes, from the first to the last: what cannot be read is `payload`.
    pub fn named_fields(&self) -> Vec<NamedField> {
        let mut names = Names::new(self.data);
        link_header(self.link_type, &mut names);
        match &self.layers().network {
            Network::Ip(packet, ip) => {
                tags(self.offset_of(packet), &mut names);
                ip_fields(packet, ip, &mut names);
            }
            Network::Other(ethertype, body) => {
                tags(self.offset_of(body), &mut names);
                match *ethertype {
                    ether::ARP => names.table("ARP", ARP),
                    ether::GOOSE => goose(&mut names),
                    ether::PROFINET => names.table("PROFINET", &[("frame id", 2)]),
                    _ => {}
                }
            }
            Network::Llc(body) => {
                tags(self.offset_of(body), &mut names);
                names.table("LLC", &[("DSAP", 1), ("SSAP", 1), ("control", 1)]);
            }
            Network::Broken(_) => {}
        }
        names.finish()
    }
}

/// The names of the bytes from a TCP or UDP header on, which begins at `at` in its packet; the headers before it are not known. It is
/// taken for UDP where UDP's length is at least that of its header and fits what is there, else for TCP.
pub fn named_transport(bytes: &[u8], at: usize) -> Vec<NamedField> {
    let mut names = Names::new(bytes);
    let is_udp = bytes.len() >= 8 && {
        let length = usize::from(be16(bytes, 4));
        length >= 8 && (length == bytes.len() || (bytes.len() == 64 && length > 64))
    };
    let ports = (bytes.len() >= 4).then(|| (be16(bytes, 0), be16(bytes, 2)));
    transport(if is_udp { protocol::UDP } else { protocol::TCP }, ports, &mut names);
    let mut fields = names.finish();
    fields.iter_mut().for_each(|field| field.range = field.range.start + at..field.range.end + at);
    fields
}

type Table = [(&'static str, usize)];

const ETHERNET: &Table = &[("destination", 6), ("source", 6), ("type", 2)];
const SLL: &Table = &[("packet type", 2), ("hardware type", 2), ("address length", 2), ("source", 8), ("protocol", 2)];
const SLL2: &Table = &[
    ("protocol", 2),
    ("reserved", 2),
    ("interface", 4),
    ("hardware type", 2),
    ("packet type", 1),
    ("address length", 1),
    ("source", 8),
];
const ARP: &Table = &[
    ("hardware type", 2),
    ("protocol type", 2),
    ("hardware length", 1),
    ("protocol length", 1),
    ("operation", 2),
    ("sender hardware address", 6),
    ("sender IP address", 4),
    ("target hardware address", 6),
    ("target IP address", 4),
];
const IPV4: &Table = &[
    ("version and header length", 1),
    ("service", 1),
    ("total length", 2),
    ("identification", 2),
    ("flags and fragment offset", 2),
    ("time to live", 1),
    ("protocol", 1),
    ("checksum", 2),
    ("source", 4),
    ("destination", 4),
];
const IPV6: &Table = &[
    ("version, class and flow", 4),
    ("payload length", 2),
    ("next header", 1),
    ("hop limit", 1),
    ("source", 16),
    ("destination", 16),
];
const TCP: &Table = &[
    ("source port", 2),
    ("destination port", 2),
    ("sequence number", 4),
    ("acknowledgement number", 4),
    ("header length", 1),
    ("flags", 1),
    ("window", 2),
    ("checksum", 2),
    ("urgent pointer", 2),
];
const UDP: &Table = &[("source port", 2), ("destination port", 2), ("length", 2), ("checksum", 2)];
const ICMP: &Table = &[("type", 1), ("code", 1), ("checksum", 2), ("identifier and sequence", 4)];

fn link_header(link_type: LinkType, names: &mut Names) {
    match link_type {
        LinkType::ETHERNET => names.table("Ethernet", ETHERNET),
        LinkType::LINUX_SLL => names.table("cooked", SLL),
        LinkType::LINUX_SLL2 => names.table("cooked", SLL2),
        LinkType::NULL | LinkType::LOOP => names.table("loopback", &[("family", 4)]),
        _ => {}
    }
}

/// What is stacked between the link header and `start`.
fn tags(start: usize, names: &mut Names) {
    while names.at >= 2 && names.at + 4 <= start {
        if !ether::VLAN.contains(&be16(names.data, names.at - 2)) {
            break;
        }
        names.table("VLAN", &[("tag", 2), ("type", 2)]);
    }
    names.unnamed("encapsulation", start);
}

fn ip_fields(packet: &[u8], ip: &Result<IpPacket<'_>, SkipReason>, names: &mut Names) {
    let start = names.at;
    let (version, table) = match packet.first().map(|byte| byte >> 4) {
        Some(4) => ("IPv4", IPV4),
        Some(6) => ("IPv6", IPV6),
        _ => return,
    };
    names.table(version, table);
    let Some(ip) = ip.as_ref().ok().filter(|ip| !ip.payload.is_empty()) else { return };
    let payload = start + ip.payload_offset;
    names.until(version, "options", payload);
    let end = names.data.len();
    names.end = payload + ip.payload.len();
    if !ip.later_fragment {
        transport(ip.protocol, ip.ports, names);
    }
    names.unnamed("payload", names.end);
    names.end = end;
    names.until("Ethernet", "padding", end);
}

/// The transport header that comes next, and what its ports say that it carries.
fn transport(number: u8, ports: Option<(u16, u16)>, names: &mut Names) {
    let start = names.at;
    match number {
        protocol::TCP => {
            names.table("TCP", TCP);
            let header = names.data.get(start + 12).map_or(0, |byte| usize::from(byte >> 4) * 4);
            names.until("TCP", "options", (start + header).min(names.end));
        }
        protocol::UDP => names.table("UDP", UDP),
        protocol::ICMP | protocol::ICMP_V6 => {
            let name = if number == protocol::ICMP { "ICMP" } else { "ICMPv6" };
            names.table(name, ICMP);
            return;
        }
        _ => return,
    }
    if let Some((source, destination)) = ports {
        over_port(source, destination, names);
    }
}

/// Names for bytes, given from the first to the last.
pub(super) struct Names<'a> {
    data: &'a [u8],
    /// The first byte without a name.
    at: usize,
    /// Where names must end for now.
    end: usize,
    fields: Vec<NamedField>,
}

impl<'a> Names<'a> {
    fn new(data: &'a [u8]) -> Names<'a> {
        Names { data, at: 0, end: data.len(), fields: Vec::new() }
    }

    /// The bytes without names.
    pub fn rest(&self) -> &'a [u8] {
        &self.data[self.at..self.end]
    }

    /// Names and lengths, one after the other, as far as bytes go.
    pub fn table(&mut self, protocol: &'static str, table: &Table) {
        for (name, length) in table {
            self.until(protocol, name, self.at + length);
        }
    }

    /// One name for the next `length` bytes in pieces.
    pub fn pieces(&mut self, protocol: &'static str, length: usize) {
        self.unnamed(protocol, self.at.saturating_add(length));
    }

    /// One name up to a place.
    fn until(&mut self, protocol: &'static str, name: &'static str, place: usize) {
        let end = place.min(self.end);
        if end > self.at {
            self.fields.push(NamedField { protocol, name, within: 0, range: self.at..end });
            self.at = end;
        }
    }

    /// Pieces without names up to a place.
    fn unnamed(&mut self, protocol: &'static str, place: usize) {
        let (start, end) = (self.at, place.min(self.end));
        for at in (start..end).step_by(PIECE) {
            let range = at..(at + PIECE).min(end);
            self.fields.push(NamedField { protocol, name: "", within: at - start, range });
        }
        self.at = end.max(start);
    }

    fn finish(mut self) -> Vec<NamedField> {
        self.unnamed("payload", self.data.len());
        self.fields
    }
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::*;

    fn tcp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ethernet2([1; 6], [2; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(from, to, 1, 1)
            .write(&mut packet, payload)
            .unwrap();
        packet
    }

    /// The name of the byte at `at`.
    fn name(packet: &[u8], at: usize) -> String {
        let fields = Dissection::new(LinkType::ETHERNET, packet).named_fields();
        fields.iter().find(|field| field.range.contains(&at)).unwrap().to_string()
    }

    #[test]
    fn a_modbus_request_is_named_from_link_to_value() {
        let packet = tcp(40_000, 502, &[0, 1, 0, 0, 0, 6, 1, 6, 0, 40, 1, 200]);
        for (at, expected) in [
            (0, "Ethernet destination"),
            (7, "Ethernet source"),
            (13, "Ethernet type"),
            (18, "IPv4 identification"),
            (22, "IPv4 time to live"),
            (30, "IPv4 destination"),
            (34, "TCP source port"),
            (38, "TCP sequence number"),
            (47, "TCP flags"),
            (54, "Modbus transaction id"),
            (60, "Modbus unit id"),
            (61, "Modbus function code"),
            (62, "Modbus register address"),
            (65, "Modbus value"),
        ] {
            assert_eq!(name(&packet, at), expected, "{at}");
        }
    }

    #[test]
    fn tags_padding_and_payload_without_names_have_a_place() {
        let mut tagged = tcp(40_000, 9, &[7; 6]);
        tagged.splice(12..12, [0x81, 0, 0, 5]);
        tagged.extend([0; 3]);
        assert_eq!(name(&tagged, 14), "VLAN tag");
        assert_eq!(name(&tagged, 17), "VLAN type");
        assert_eq!(name(&tagged, 58), "payload +0");
        assert_eq!(name(&tagged, 63), "payload +4");
        assert_eq!(name(&tagged, 64), "Ethernet padding");
        let arp = [[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 6].as_slice(), &[0; 28]].concat();
        assert_eq!((name(&arp, 21), name(&arp, 38)), ("ARP operation".into(), "ARP target IP address".into()));
    }

    #[test]
    fn a_transport_header_alone_is_named_by_what_it_says() {
        let packet = tcp(40_000, 502, &[0, 1, 0, 0, 0, 6, 1, 6, 0, 40, 1, 200]);
        let fields = named_transport(&packet[34..], 34);
        assert_eq!(fields[0].to_string(), "TCP source port");
        assert!(fields.iter().any(|field| field.to_string() == "Modbus function code" && field.range == (61..62)));
        let udp = [0x9c, 0x40, 0, 53, 0, 10, 0, 0, 1, 2];
        assert_eq!(named_transport(&udp, 34)[2].to_string(), "UDP length");
    }

    proptest! {
        #[test]
        fn every_byte_has_one_name_whatever_the_bytes(
            data in prop::collection::vec(any::<u8>(), 0..200),
            front in prop::sample::select(vec![vec![], tcp(9, 502, &[]), tcp(102, 9, &[]), tcp(9, 20_000, &[]), tcp(2404, 9, &[]),
                tcp(9, 44_818, &[]), vec![1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x88, 0xb8]]),
            length in any::<u8>(),
        ) {
            let mut packet = [front, data].concat();
            if packet.len() > 17 && packet[12..14] == [8, 0] {
                packet[17] = length.max(20);
            }
            let fields = Dissection::new(LinkType::ETHERNET, &packet).named_fields();
            let mut end = 0;
            for field in &fields {
                prop_assert_eq!(field.range.start, end);
                prop_assert!(field.range.end > end);
                end = field.range.end;
            }
            prop_assert_eq!(end, packet.len());
            let fields = named_transport(&packet, 7);
            prop_assert_eq!(fields.last().map_or(7, |field| field.range.end), packet.len() + 7);
        }
    }
}
