//! IPv4 and IPv6: addresses, ports, and the payload as the IP length cuts it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::{SkipReason, be16};

/// IP protocol numbers that matter here.
pub(super) mod protocol {
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMP_V6: u8 = 58;
    pub const SCTP: u8 = 132;
}

/// An IP packet whose header can be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct IpPacket<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// The IP protocol number of the payload, after IPv6 extension headers.
    pub protocol: u8,
    /// A fragment that is not the first.
    pub later_fragment: bool,
    /// What follows the headers, without what follows the packet on the wire (Ethernet padding).
    pub payload: &'a [u8],
    /// Where the payload begins, in bytes from the start of the IP header.
    pub payload_offset: usize,
    /// Source and destination port, where the protocol has them and they were captured.
    pub ports: Option<(u16, u16)>,
    /// Fewer bytes were captured than the header says there are.
    pub cut: bool,
}

/// Reads an IP header; the version is the first nibble.
pub(super) fn ip_packet(packet: &[u8]) -> Result<IpPacket<'_>, SkipReason> {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(packet),
        Some(6) => ipv6(packet),
        Some(_) => Err(SkipReason::Malformed),
        None => Err(SkipReason::Cut),
    }
}

fn ipv4(packet: &[u8]) -> Result<IpPacket<'_>, SkipReason> {
    let header = packet.get(..20).ok_or(SkipReason::Cut)?;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let total = match usize::from(be16(header, 2)) {
        // Left to the network card by segmentation offload: all there is.
        0 => packet.len(),
        total => total,
    };
    if header_length < 20 || total < header_length {
        return Err(SkipReason::Malformed);
    }
    if packet.len() < header_length {
        return Err(SkipReason::Cut);
    }
    let (protocol, later_fragment) = (header[9], be16(header, 6) & 0x1fff != 0);
    let payload = &packet[header_length..total.min(packet.len())];
    Ok(IpPacket {
        source: Ipv4Addr::new(header[12], header[13], header[14], header[15]).into(),
        destination: Ipv4Addr::new(header[16], header[17], header[18], header[19]).into(),
        protocol,
        later_fragment,
        payload,
        payload_offset: header_length,
        ports: ports(protocol, later_fragment, payload),
        cut: total > packet.len(),
    })
}

fn ipv6(packet: &[u8]) -> Result<IpPacket<'_>, SkipReason> {
    let (header, rest) = packet.split_at_checked(40).ok_or(SkipReason::Cut)?;
    let length = match usize::from(be16(header, 4)) {
        // A jumbogram, or segmentation offload: all there is.
        0 => rest.len(),
        length => length,
    };
    let cut = length > rest.len();
    let rest = &rest[..length.min(rest.len())];
    let (protocol, later_fragment, payload) =
        extensions(header[6], rest).ok_or(if cut { SkipReason::Cut } else { SkipReason::Malformed })?;
    let address = |at: Range<usize>| Ipv6Addr::from(*header[at].first_chunk().unwrap_or(&[0; 16])).into();
    Ok(IpPacket {
        source: address(8..24),
        destination: address(24..40),
        protocol,
        later_fragment,
        payload,
        payload_offset: 40 + rest.len() - payload.len(),
        ports: ports(protocol, later_fragment, payload),
        cut,
    })
}

/// Walks the extension headers; `None` where one ends before its end. Each takes 8 bytes or more, so the walk ends.
fn extensions(mut protocol: u8, mut rest: &[u8]) -> Option<(u8, bool, &[u8])> {
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    loop {
        let length = match protocol {
            // Hop by hop, routing, destination, mobility, host identity, shim6: in 8 bytes, the first not counted.
            0 | 43 | 60 | 135 | 139 | 140 => (usize::from(*rest.get(1)?) + 1) * 8,
            FRAGMENT => 8,
            // In 4 bytes, the first two not counted.
            AUTHENTICATION => (usize::from(*rest.get(1)?) + 2) * 4,
            _ => return Some((protocol, false, rest)),
        };
        let (header, more) = rest.split_at_checked(length)?;
        if protocol == FRAGMENT && be16(header, 2) & 0xfff8 != 0 {
            return Some((header[0], true, more));
        }
        (protocol, rest) = (header[0], more);
    }
}

fn ports(protocol: u8, later_fragment: bool, payload: &[u8]) -> Option<(u16, u16)> {
    let has_ports = matches!(protocol, protocol::TCP | protocol::UDP | protocol::SCTP) && !later_fragment;
    (has_ports && payload.len() >= 4).then(|| (be16(payload, 0), be16(payload, 2)))
}
