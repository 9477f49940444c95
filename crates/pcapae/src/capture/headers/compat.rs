//! Which packets the original put into flows, bit for bit.
//!
//! The original let the Python library dpkt (1.9.8) dissect every packet as Ethernet. What follows are dpkt's rules
//! as observed, its peculiarities included; where dpkt raised an exception, and the original's whole run ended, the
//! packet counts as malformed.

use std::net::{IpAddr, Ipv4Addr};

use super::link::ether;
use super::transport::ports;
use super::{Dissection, Protocol, SkipReason, Transport, be16};

impl<'a> Dissection<'a> {
    /// The same as the original found it: every packet is read as Ethernet, IPv4 only, and the version in the IP header is not checked.
    ///
    /// # Errors
    ///
    /// The reason why the packet is in no flow. Which packets are skipped is exact; the original gave no reasons.
    pub fn transport_compat(&self) -> Result<Transport<'a>, SkipReason> {
        let packet = ethernet(self.data)?;
        let header = packet.get(..20).ok_or(SkipReason::Cut)?;
        let header_length = usize::from(header[0] & 0x0f) * 4;
        if header_length < 20 {
            return Err(SkipReason::Malformed);
        }
        let end = match usize::from(be16(header, 2)) {
            0 => packet.len(),
            total => total.min(packet.len()),
        };
        let protocol = Protocol::from_number(header[9]).ok_or(SkipReason::OtherProtocol)?;
        if be16(header, 6) & 0x1fff != 0 {
            return Err(SkipReason::LaterFragment);
        }
        // A length below the header's, or beyond what was captured, leaves nothing.
        let bytes = packet.get(header_length..end).unwrap_or_default();
        let (source, destination) = ports(protocol, bytes)?;
        let address =
            |at: usize| IpAddr::from(Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]));
        Ok(Transport {
            protocol,
            source: (address(12), source),
            destination: (address(16), destination),
            bytes,
            offset: self.offset_of(packet) + header_length,
        })
    }
}

/// The IPv4 packet in a frame.
fn ethernet(mut frame: &[u8]) -> Result<&[u8], SkipReason> {
    loop {
        let (header, body) = frame.split_at_checked(14).ok_or(SkipReason::Malformed)?;
        let kind = be16(header, 12);
        if kind > ether::LONGEST_LENGTH {
            return network(kind, body);
        }
        if matches!(header[..5], [0x01 | 0x03, 0x00, 0x0c, 0x00, 0x00]) {
            // Cisco ISL: 26 bytes, then another frame.
            frame = frame.get(26..).ok_or(SkipReason::Malformed)?;
            continue;
        }
        return Err(match body {
            [0xff, 0xff, ..] => SkipReason::NotIp,
            _ if kind == 0 => SkipReason::NotIp,
            // LLC: at least three bytes, eight with SNAP. Cut to the length field before it is read.
            _ => match &body[..body.len().min(usize::from(kind))] {
                [] | [_] | [_, _] => SkipReason::Malformed,
                [0xaa, 0xaa, ..] if body.len().min(usize::from(kind)) < 8 => SkipReason::Malformed,
                _ => SkipReason::NotIp,
            },
        });
    }
}

/// Steps over tags and labels in two passes: the second one goes on where the first one stopped.
fn network(mut kind: u16, mut rest: &[u8]) -> Result<&[u8], SkipReason> {
    for _ in 0..2 {
        if ether::VLAN.contains(&kind) {
            // Two tags at most, and a second one only after 802.1Q's number.
            for _ in 0..2 {
                let (tag, more) = rest.split_at_checked(4).ok_or(SkipReason::Malformed)?;
                (kind, rest) = (be16(tag, 2), more);
                if kind != ether::VLAN[0] {
                    break;
                }
            }
        } else if kind == ether::MPLS || kind == ether::MPLS_MULTICAST {
            rest = labels(rest)?;
            // dpkt guesses what follows: an IPv4 header without options, an IPv6 header, or else Ethernet if long enough.
            match rest.first() {
                None => return Err(SkipReason::Malformed),
                Some(0x45) => return Ok(rest),
                Some(first) if first >> 4 == 6 => return Err(SkipReason::Ipv6),
                Some(_) if rest.len() >= 14 => return Err(SkipReason::NotIp),
                Some(_) => {}
            }
        }
        match kind {
            ether::IPV4 => return Ok(rest),
            ether::IPV6 => return Err(SkipReason::Ipv6),
            _ => {}
        }
    }
    Err(SkipReason::NotIp)
}

/// Steps over up to 24 labels.
fn labels(mut rest: &[u8]) -> Result<&[u8], SkipReason> {
    const MOST_LABELS: usize = 24;
    for _ in 0..MOST_LABELS {
        let (label, more) = rest.split_at_checked(4).ok_or(SkipReason::Malformed)?;
        rest = more;
        if label[2] & 1 == 1 {
            break;
        }
    }
    Ok(rest)
}
