//! Where in a packet the header fields lie that change from packet to packet or from host to host.

use std::ops::Range;

use super::Dissection;
use super::ip::{IpPacket, protocol};
use super::link::{Network, ether};
use crate::capture::LinkType;

/// Header fields that say when or by whom a packet was sent, rather than what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HeaderField {
    /// Hardware addresses, in Ethernet's header, in that of Linux cooked captures, and in ARP.
    LinkAddresses,
    /// IPv4 and IPv6 addresses, also in ARP.
    IpAddresses,
    /// The identification of IPv4.
    IpId,
    /// Time to live of IPv4, hop limit of IPv6.
    Ttl,
    /// Source and destination port of TCP, UDP and SCTP.
    Ports,
    /// TCP's sequence number.
    TcpSequence,
    /// TCP's acknowledgement number.
    TcpAcknowledgement,
    /// TCP's window.
    TcpWindow,
    /// Value and echo of TCP's timestamps option.
    TcpTimestamps,
    /// Of IPv4, TCP, UDP, SCTP, ICMP and ICMPv6.
    Checksums,
}

impl HeaderField {
    /// All fields.
    pub const ALL: [HeaderField; 10] = [
        HeaderField::LinkAddresses,
        HeaderField::IpAddresses,
        HeaderField::IpId,
        HeaderField::Ttl,
        HeaderField::Ports,
        HeaderField::TcpSequence,
        HeaderField::TcpAcknowledgement,
        HeaderField::TcpWindow,
        HeaderField::TcpTimestamps,
        HeaderField::Checksums,
    ];

    /// The word for it: "tcp-sequence".
    pub fn name(self) -> &'static str {
        match self {
            HeaderField::LinkAddresses => "link-addresses",
            HeaderField::IpAddresses => "ip-addresses",
            HeaderField::IpId => "ip-id",
            HeaderField::Ttl => "ttl",
            HeaderField::Ports => "ports",
            HeaderField::TcpSequence => "tcp-sequence",
            HeaderField::TcpAcknowledgement => "tcp-acknowledgement",
            HeaderField::TcpWindow => "tcp-window",
            HeaderField::TcpTimestamps => "tcp-timestamps",
            HeaderField::Checksums => "checksums",
        }
    }
}

impl Dissection<'_> {
    /// Calls `each` with every header field that is there, and where in the packet it lies. A field that is cut off is given as far as
    /// it goes. Tunnels are not unwrapped.
    pub fn header_fields(&self, mut each: impl FnMut(HeaderField, Range<usize>)) {
        let length = self.data.len();
        let mut each = |field, range: Range<usize>| {
            let range = range.start.min(length)..range.end.min(length);
            if !range.is_empty() {
                each(field, range);
            }
        };
        link_addresses(self.link_type, &mut each);
        match &self.layers().network {
            Network::Ip(packet, ip) => {
                let at = self.offset_of(packet);
                ip_fields(packet, at, &mut each);
                if let Ok(ip) = ip
                    && !ip.later_fragment
                {
                    transport_fields(ip, at + ip.payload_offset, &mut each);
                }
            }
            Network::Other(ether::ARP, body) if body.starts_with(&[0, 1, 8, 0, 6, 4]) => {
                let at = self.offset_of(body);
                for (field, range) in [
                    (HeaderField::LinkAddresses, 8..14),
                    (HeaderField::IpAddresses, 14..18),
                    (HeaderField::LinkAddresses, 18..24),
                    (HeaderField::IpAddresses, 24..28),
                ] {
                    each(field, at + range.start..at + range.end);
                }
            }
            Network::Other(..) | Network::Llc(_) | Network::Broken(_) => {}
        }
    }
}

fn link_addresses(link_type: LinkType, each: &mut impl FnMut(HeaderField, Range<usize>)) {
    match link_type {
        LinkType::ETHERNET => each(HeaderField::LinkAddresses, 0..12),
        LinkType::LINUX_SLL => each(HeaderField::LinkAddresses, 6..14),
        LinkType::LINUX_SLL2 => each(HeaderField::LinkAddresses, 12..20),
        _ => {}
    }
}

/// Fields of an IP header that begins at `at`.
fn ip_fields(packet: &[u8], at: usize, each: &mut impl FnMut(HeaderField, Range<usize>)) {
    let fields: &[(HeaderField, Range<usize>)] = match packet.first().map(|byte| byte >> 4) {
        Some(4) => &[
            (HeaderField::IpId, 4..6),
            (HeaderField::Ttl, 8..9),
            (HeaderField::Checksums, 10..12),
            (HeaderField::IpAddresses, 12..20),
        ],
        Some(6) => &[(HeaderField::Ttl, 7..8), (HeaderField::IpAddresses, 8..40)],
        _ => return,
    };
    for (field, range) in fields {
        each(*field, at + range.start..at + range.end);
    }
}

/// Fields of the transport header that begins at `at`.
fn transport_fields(ip: &IpPacket<'_>, at: usize, each: &mut impl FnMut(HeaderField, Range<usize>)) {
    let end = at + ip.payload.len();
    let mut each = |field, range: Range<usize>| each(field, (at + range.start).min(end)..(at + range.end).min(end));
    match ip.protocol {
        protocol::TCP => {
            each(HeaderField::Ports, 0..4);
            each(HeaderField::TcpSequence, 4..8);
            each(HeaderField::TcpAcknowledgement, 8..12);
            each(HeaderField::TcpWindow, 14..16);
            each(HeaderField::Checksums, 16..18);
            if let Some(range) = tcp_timestamps(ip.payload) {
                each(HeaderField::TcpTimestamps, range);
            }
        }
        protocol::UDP => {
            each(HeaderField::Ports, 0..4);
            each(HeaderField::Checksums, 6..8);
        }
        protocol::SCTP => {
            each(HeaderField::Ports, 0..4);
            each(HeaderField::Checksums, 8..12);
        }
        protocol::ICMP | protocol::IGMP | protocol::ICMP_V6 => each(HeaderField::Checksums, 2..4),
        _ => {}
    }
}

/// Value and echo in the timestamps option (RFC 7323) of a TCP header.
fn tcp_timestamps(tcp: &[u8]) -> Option<Range<usize>> {
    const TIMESTAMPS: [u8; 2] = [8, 10];
    let header = usize::from(tcp.get(12)? >> 4) * 4;
    let mut at = 20;
    while at < header.min(tcp.len()) {
        match tcp[at] {
            // End of options.
            0 => return None,
            // Padding.
            1 => at += 1,
            _ if tcp[at..].starts_with(&TIMESTAMPS) => return Some(at + 2..at + 10),
            // Kind and length; a length below 2 is none.
            _ => at += usize::from(*tcp.get(at + 1)?).max(2),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, TcpOptionElement};
    use proptest::prelude::*;

    use super::*;

    fn found(data: &[u8]) -> Vec<(HeaderField, Range<usize>)> {
        let mut found = Vec::new();
        Dissection::new(LinkType::ETHERNET, data).header_fields(|field, range| found.push((field, range)));
        found
    }

    fn tcp_packet() -> Vec<u8> {
        let mut packet = Vec::new();
        let options =
            [TcpOptionElement::Noop, TcpOptionElement::Noop, TcpOptionElement::Timestamp(0xAABB_CCDD, 0x1122_3344)];
        PacketBuilder::ethernet2([1; 6], [2; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(40_000, 502, 0x0102_0304, 0x0506)
            .ack(0x0708_090A)
            .options(&options)
            .unwrap()
            .write(&mut packet, &[9; 8])
            .unwrap();
        packet
    }

    #[test]
    fn the_fields_of_a_tcp_packet_are_where_they_are() {
        let packet = tcp_packet();
        let bytes_of = |wanted| -> Vec<u8> {
            found(&packet)
                .into_iter()
                .filter(|(field, _)| *field == wanted)
                .flat_map(|(_, at)| packet[at].to_vec())
                .collect()
        };
        assert_eq!(bytes_of(HeaderField::LinkAddresses), [[2; 6], [1; 6]].concat());
        assert_eq!(bytes_of(HeaderField::IpAddresses), [10, 0, 0, 1, 10, 0, 0, 2]);
        assert_eq!(bytes_of(HeaderField::Ttl), [64]);
        assert_eq!(bytes_of(HeaderField::Ports), [0x9C, 0x40, 0x01, 0xF6]);
        assert_eq!(bytes_of(HeaderField::TcpSequence), [1, 2, 3, 4]);
        assert_eq!(bytes_of(HeaderField::TcpAcknowledgement), [7, 8, 9, 10]);
        assert_eq!(bytes_of(HeaderField::TcpWindow), [5, 6]);
        assert_eq!(bytes_of(HeaderField::TcpTimestamps), [0xAA, 0xBB, 0xCC, 0xDD, 0x11, 0x22, 0x33, 0x44]);
        assert_eq!(bytes_of(HeaderField::Checksums), [&packet[24..26], &packet[50..52]].concat());
        assert_eq!(bytes_of(HeaderField::IpId).len(), 2);
    }

    #[test]
    fn the_addresses_in_arp_are_fields() {
        let mut arp = vec![2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
        arp.extend([3; 6].into_iter().chain([4; 4]).chain([5; 6]).chain([6; 4]));
        let ip: Vec<_> = found(&arp).into_iter().filter(|(field, _)| *field == HeaderField::IpAddresses).collect();
        assert_eq!(ip.iter().map(|(_, at)| arp[at.clone()].to_vec()).collect::<Vec<_>>(), [[4; 4], [6; 4]]);
        assert_eq!(found(&arp).iter().filter(|(field, _)| *field == HeaderField::LinkAddresses).count(), 3);
    }

    proptest! {
        #[test]
        fn no_field_lies_outside_and_none_overlap(
            mut data in prop::collection::vec(any::<u8>(), 0..120),
            front in prop::sample::select(vec![vec![], tcp_packet()]),
            keep in 0usize..80,
        ) {
            let front = &front[..keep.min(front.len()).min(data.len())];
            data[..front.len()].copy_from_slice(front);
            let mut taken = vec![false; data.len()];
            for (_, range) in found(&data) {
                prop_assert!(!range.is_empty() && range.end <= data.len());
                for byte in &mut taken[range] {
                    prop_assert!(!std::mem::replace(byte, true));
                }
            }
        }
    }
}
