//! TCP and UDP: ports, and the segment that flows are made of.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::internet::internet;
use super::link::{Network, peel};
use super::{LeftOut, be16};
use crate::capture::LinkType;

/// A transport protocol whose conversations are flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl Protocol {
    /// The IP protocol number: 6 or 17.
    pub fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Protocol> {
        match number {
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        })
    }
}

/// A packet of a TCP or UDP conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport<'a> {
    /// Which of the two.
    pub protocol: Protocol,
    /// Address and port of the sender.
    pub source: (IpAddr, u16),
    /// Address and port of the receiver.
    pub destination: (IpAddr, u16),
    /// Transport header and payload, as the IP length cuts them and as far as they were captured.
    pub segment: &'a [u8],
    /// Where the segment begins in the packet, in bytes.
    pub offset: usize,
}

/// Finds the TCP or UDP segment of a packet.
///
/// Link layers are Ethernet, raw IP, BSD loopback and Linux cooked captures; VLAN tags, MPLS labels and PPPoE are
/// peeled off. The IP length cuts off Ethernet padding, a length of 0 takes everything; UDP's own length is not
/// looked at. Of a fragmented IP packet only the first fragment has ports.
///
/// # Errors
///
/// The reason why the packet is in no flow. A TCP header whose data offset is below 5, or an unfinished transport
/// header, is one.
pub fn transport(link: LinkType, data: &[u8]) -> Result<Transport<'_>, LeftOut> {
    let packet = match peel(link, data).network {
        Network::Ip(packet) => packet,
        Network::Other(..) | Network::Llc(_) => return Err(LeftOut::NotIp),
        Network::Broken(reason) => return Err(reason),
    };
    let internet = internet(packet)?;
    let protocol = Protocol::from_number(internet.protocol).ok_or(LeftOut::OtherProtocol)?;
    if internet.later_fragment {
        return Err(LeftOut::LaterFragment);
    }
    let segment = internet.payload;
    let (source, destination) =
        ports(protocol, segment).map_err(|reason| if internet.cut { reason } else { LeftOut::Malformed })?;
    Ok(Transport {
        protocol,
        source: (internet.source, source),
        destination: (internet.destination, destination),
        segment,
        offset: segment.as_ptr() as usize - data.as_ptr() as usize,
    })
}

/// Source and destination port of a segment whose header is whole, without TCP's options.
pub(super) fn ports(protocol: Protocol, segment: &[u8]) -> Result<(u16, u16), LeftOut> {
    let shortest = match protocol {
        Protocol::Tcp => 20,
        Protocol::Udp => 8,
    };
    if segment.len() < shortest {
        return Err(LeftOut::Cut);
    }
    if protocol == Protocol::Tcp && segment[12] >> 4 < 5 {
        return Err(LeftOut::Malformed);
    }
    Ok((be16(segment, 0), be16(segment, 2)))
}
