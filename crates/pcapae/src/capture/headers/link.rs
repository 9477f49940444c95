//! From the link layer up to the network layer: what is in front of IP or of another network layer.

use super::ip::{IpPacket, ip_packet};
use super::{SkipReason, be16};
use crate::capture::LinkType;

/// EtherTypes that matter here.
pub(super) mod ether {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const GOOSE: u16 = 0x88b8;
    pub const PROFINET: u16 = 0x8892;
    pub const IPV6: u16 = 0x86dd;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    /// 802.1Q, 802.1ad, and two older numbers of stacked VLANs.
    pub const VLAN: [u16; 4] = [0x8100, 0x88a8, 0x9100, 0x9200];
    /// Up to this the field is a length, and LLC follows.
    pub const LONGEST_LENGTH: u16 = 1500;
}

/// The layers of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layers<'a> {
    /// Source and destination on the link, where it has such addresses; of SLL only the source is known.
    pub source: Option<[u8; 6]>,
    pub destination: Option<[u8; 6]>,
    pub network: Network<'a>,
}

/// What the link layer carries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Network<'a> {
    /// All bytes of what the layer below says is an IP packet, and what its header says.
    Ip(&'a [u8], Result<IpPacket<'a>, SkipReason>),
    /// Another EtherType and its payload.
    Other(u16, &'a [u8]),
    /// IEEE 802.2 without an EtherType.
    Llc(&'a [u8]),
    /// Ends, or makes no sense, on the way.
    Broken(SkipReason),
}

impl Network<'_> {
    fn ip(packet: &[u8]) -> Network<'_> {
        Network::Ip(packet, ip_packet(packet))
    }
}

/// Steps over the link layer and what may be stacked on it: VLAN tags and MPLS labels of any depth, PPPoE, SNAP.
pub(super) fn decapsulate(link_type: LinkType, data: &[u8]) -> Layers<'_> {
    let bare = |network| Layers { source: None, destination: None, network };
    match link_type {
        LinkType::ETHERNET => match data {
            [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1, rest @ ..] => Layers {
                source: Some([*s0, *s1, *s2, *s3, *s4, *s5]),
                destination: Some([*d0, *d1, *d2, *d3, *d4, *d5]),
                network: ethernet(u16::from_be_bytes([*t0, *t1]), rest),
            },
            _ => bare(Network::Broken(SkipReason::Cut)),
        },
        LinkType::RAW | LinkType::RAW_12 | LinkType::RAW_14 | LinkType::IPV4 | LinkType::IPV6 => {
            bare(Network::ip(data))
        }
        LinkType::NULL | LinkType::LOOP => bare(match data {
            [a, b, c, d, rest @ ..] => loopback([*a, *b, *c, *d], rest),
            _ => Network::Broken(SkipReason::Cut),
        }),
        // Packet type, hardware type, address length, address (8), EtherType.
        LinkType::LINUX_SLL => match data.split_at_checked(16) {
            Some((header, rest)) => Layers {
                source: sll_address(u16::from(header[5]), &header[6..12]),
                destination: None,
                network: sll(be16(header, 2), be16(header, 14), rest),
            },
            None => bare(Network::Broken(SkipReason::Cut)),
        },
        // EtherType, reserved, interface, hardware type, packet type, address length, address (8).
        LinkType::LINUX_SLL2 => match data.split_at_checked(20) {
            Some((header, rest)) => Layers {
                source: sll_address(u16::from(header[11]), &header[12..18]),
                destination: None,
                network: sll(be16(header, 8), be16(header, 0), rest),
            },
            None => bare(Network::Broken(SkipReason::Cut)),
        },
        _ => bare(Network::Broken(SkipReason::LinkType)),
    }
}

/// What follows an EtherType. Every step takes bytes, so the loop ends with them.
fn ethernet(mut kind: u16, mut rest: &[u8]) -> Network<'_> {
    loop {
        match kind {
            ether::IPV4 | ether::IPV6 => return Network::ip(rest),
            kind_of_tag if ether::VLAN.contains(&kind_of_tag) => match rest {
                [_, _, t0, t1, more @ ..] => (kind, rest) = (u16::from_be_bytes([*t0, *t1]), more),
                _ => return Network::Broken(SkipReason::Cut),
            },
            ether::MPLS | ether::MPLS_MULTICAST => return mpls(kind, rest),
            ether::PPPOE_SESSION => return pppoe(rest),
            0..=ether::LONGEST_LENGTH => match rest {
                // SNAP with the organisation code of encapsulated Ethernet (RFC 1042).
                [0xaa, 0xaa, 0x03, 0, 0, 0, t0, t1, more @ ..]
                    if u16::from_be_bytes([*t0, *t1]) > ether::LONGEST_LENGTH =>
                {
                    (kind, rest) = (u16::from_be_bytes([*t0, *t1]), more);
                }
                _ => return Network::Llc(rest),
            },
            other => return Network::Other(other, rest),
        }
    }
}

/// Labels up to the bottom of the stack, then IP by its version. Nothing says what an MPLS packet carries; Ethernet
/// in a pseudowire is not unwrapped.
fn mpls(kind: u16, mut rest: &[u8]) -> Network<'_> {
    while let [_, _, bottom, _, more @ ..] = rest {
        rest = more;
        if bottom & 1 == 1 {
            return match rest.first().map(|byte| byte >> 4) {
                Some(4 | 6) => Network::ip(rest),
                Some(_) => Network::Other(kind, rest),
                None => Network::Broken(SkipReason::Malformed),
            };
        }
    }
    Network::Broken(SkipReason::Cut)
}

/// A PPPoE session: version, code, session, length, then the PPP protocol.
fn pppoe(rest: &[u8]) -> Network<'_> {
    match rest {
        [_, _, _, _, _, _, 0x00, 0x21 | 0x57, more @ ..] => Network::ip(more),
        [_, _, _, _, _, _, _, _, more @ ..] => Network::Other(ether::PPPOE_SESSION, more),
        _ => Network::Broken(SkipReason::Cut),
    }
}

/// The address family before the packet, in either byte order: 2 is IPv4 everywhere, IPv6 has a number of each BSD.
fn loopback(family: [u8; 4], rest: &[u8]) -> Network<'_> {
    let number = u32::from_le_bytes(family);
    let number = if number > 0xffff { number.swap_bytes() } else { number };
    match number {
        2 | 10 | 24 | 28 | 30 => Network::ip(rest),
        _ => Network::Other(0, rest),
    }
}

/// What follows a cooked header. Its field is an EtherType only for hardware that has such.
fn sll(hardware: u16, kind: u16, rest: &[u8]) -> Network<'_> {
    const NETLINK: u16 = 824;
    match (hardware, kind) {
        (NETLINK, _) => Network::Other(0, rest),
        // IEEE 802.2; other numbers this low are not EtherTypes.
        (_, 0x0004) => ethernet(0, rest),
        (_, 0..=ether::LONGEST_LENGTH) => Network::Other(0, rest),
        (_, kind) => ethernet(kind, rest),
    }
}

fn sll_address(length: u16, address: &[u8]) -> Option<[u8; 6]> {
    if length == 6 { address.try_into().ok() } else { None }
}
