//! TCP and UDP: ports, and the bytes that flows are made of.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::ip::protocol;
use super::link::Network;
use super::{Dissection, SkipReason, be16};

/// A transport protocol whose packets are in flows.
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
            Protocol::Tcp => protocol::TCP,
            Protocol::Udp => protocol::UDP,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Protocol> {
        match number {
            protocol::TCP => Some(Protocol::Tcp),
            protocol::UDP => Some(Protocol::Udp),
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

/// The TCP or UDP header of a packet and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transport<'a> {
    /// Which of the two.
    pub protocol: Protocol,
    /// Address and port of the sender.
    pub source: (IpAddr, u16),
    /// Address and port of the receiver.
    pub destination: (IpAddr, u16),
    /// Header and payload, as the IP length cuts them and as far as they were captured.
    pub bytes: &'a [u8],
    /// Where the header begins in the packet, in bytes.
    pub offset: usize,
}

impl<'a> Dissection<'a> {
    /// The TCP or UDP header of the packet and what follows it.
    ///
    /// Link layers are Ethernet, raw IP, BSD loopback and Linux cooked captures; VLAN tags, MPLS labels and PPPoE are
    /// stepped over. The IP length cuts off Ethernet padding, a length of 0 takes everything; UDP's own length is not
    /// looked at. Of a fragmented IP packet only the first fragment has ports.
    ///
    /// # Errors
    ///
    /// The reason why the packet is in no flow. A TCP header whose data offset is below 5, or an unfinished transport
    /// header, is one.
    pub fn transport(&self) -> Result<Transport<'a>, SkipReason> {
        let (packet, ip) = match &self.layers().network {
            Network::Ip(packet, Ok(ip)) => (packet, ip),
            Network::Ip(_, Err(reason)) | Network::Broken(reason) => return Err(*reason),
            Network::Other(..) | Network::Llc(_) => return Err(SkipReason::NotIp),
        };
        let protocol = Protocol::from_number(ip.protocol).ok_or(SkipReason::OtherProtocol)?;
        if ip.later_fragment {
            return Err(SkipReason::LaterFragment);
        }
        let (source, destination) =
            ports(protocol, ip.payload).map_err(|reason| if ip.cut { reason } else { SkipReason::Malformed })?;
        Ok(Transport {
            protocol,
            source: (ip.source, source),
            destination: (ip.destination, destination),
            bytes: ip.payload,
            offset: self.offset_of(packet) + ip.payload_offset,
        })
    }
}

/// Source and destination port of a header that is whole, without TCP's options.
pub(super) fn ports(protocol: Protocol, bytes: &[u8]) -> Result<(u16, u16), SkipReason> {
    let shortest = match protocol {
        Protocol::Tcp => 20,
        Protocol::Udp => 8,
    };
    if bytes.len() < shortest {
        return Err(SkipReason::Cut);
    }
    if protocol == Protocol::Tcp && bytes[12] >> 4 < 5 {
        return Err(SkipReason::Malformed);
    }
    Ok((be16(bytes, 0), be16(bytes, 2)))
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    use super::super::{Conversation, Endpoint};
    use super::*;
    use crate::capture::LinkType;

    fn transport(link_type: LinkType, data: &[u8]) -> Result<Transport<'_>, SkipReason> {
        Dissection::new(link_type, data).transport()
    }

    fn transport_compat(data: &[u8]) -> Result<Transport<'_>, SkipReason> {
        Dissection::new(LinkType::ETHERNET, data).transport_compat()
    }

    fn conversation(link_type: LinkType, data: &[u8]) -> Conversation {
        Dissection::new(link_type, data).conversation()
    }

    fn udp_frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .udp(1234, 502)
            .write(&mut frame, payload)
            .unwrap();
        frame
    }

    /// The frame with bytes between the MAC addresses and the EtherType of IPv4.
    fn tagged(tags: &[u8]) -> Vec<u8> {
        let frame = udp_frame(b"payload");
        [&frame[..12], tags, &frame[14..]].concat()
    }

    fn check_transport(link: LinkType, data: &[u8]) {
        let found = transport(link, data).unwrap();
        assert_eq!(found.bytes, &udp_frame(b"payload")[34..]);
        assert_eq!(&data[found.offset..][..found.bytes.len()], found.bytes);
        assert_eq!((found.source, found.destination), (([10, 0, 0, 1].into(), 1234), ([10, 0, 0, 2].into(), 502)));
    }

    #[test]
    fn tags_labels_sessions_and_link_types_are_decapsulated() {
        let ethernet = LinkType::ETHERNET;
        check_transport(ethernet, &udp_frame(b"payload"));
        check_transport(ethernet, &tagged(&[0x81, 0, 0, 1, 8, 0]));
        check_transport(ethernet, &tagged(&[0x88, 0xa8, 0, 1, 0x91, 0, 0, 2, 0x81, 0, 0, 3, 8, 0]));
        check_transport(ethernet, &tagged(&[0x88, 0x47, 0, 0, 0, 9, 0, 0, 1, 9]));
        check_transport(ethernet, &tagged(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 37, 0, 0x21]));
        check_transport(ethernet, &tagged(&[0, 43, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]));
        let frame = udp_frame(b"payload");
        let packet = &frame[14..];
        for link in [LinkType::RAW, LinkType::RAW_12, LinkType::RAW_14, LinkType::IPV4] {
            check_transport(link, packet);
        }
        check_transport(LinkType::NULL, &[&[2, 0, 0, 0][..], packet].concat());
        check_transport(LinkType::LOOP, &[&[0, 0, 0, 2][..], packet].concat());
        check_transport(LinkType::LINUX_SLL, &[&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0][..], packet].concat());
        let sll2 = [8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        check_transport(LinkType::LINUX_SLL2, &[&sll2[..], packet].concat());
        assert_eq!(transport(LinkType(182), packet), Err(SkipReason::LinkType));
    }

    #[test]
    fn ethernet_padding_is_cut_off_and_length_zero_takes_all() {
        let mut frame = udp_frame(b"payload");
        frame.extend([0; 11]);
        check_transport(LinkType::ETHERNET, &frame);
        frame[16..18].fill(0);
        assert_eq!(transport(LinkType::ETHERNET, &frame).unwrap().bytes.len(), 15 + 11);
    }

    #[test]
    fn fragments_and_broken_headers_are_skipped_with_their_reason() {
        let change = |at: usize, value: u8| {
            let mut frame = udp_frame(b"payload");
            frame[at] = value;
            transport(LinkType::ETHERNET, &frame).map(|found| found.bytes.len())
        };
        assert_eq!(change(20, 0x20), Ok(15));
        assert_eq!(change(21, 1), Err(SkipReason::LaterFragment));
        assert_eq!(change(23, 1), Err(SkipReason::OtherProtocol));
        assert_eq!(change(14, 0x44), Err(SkipReason::Malformed));
        assert_eq!(change(17, 24), Err(SkipReason::Malformed));
        assert_eq!(change(12, 0x99), Err(SkipReason::NotIp));
        let frame = udp_frame(b"payload");
        for (end, reason) in [(13, SkipReason::Cut), (30, SkipReason::Cut), (41, SkipReason::Cut)] {
            assert_eq!(transport(LinkType::ETHERNET, &frame[..end]), Err(reason), "{end}");
        }
        assert!(transport(LinkType::ETHERNET, &frame[..42]).is_ok());
    }

    #[test]
    fn ipv6_extension_headers_are_walked() {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6([1; 16], [2; 16], 64).udp(1, 2).write(&mut frame, b"x").unwrap();
        let (head, transport_bytes) = frame.split_at(54);
        let with = |first: u8, extension: &[u8]| {
            let mut frame = [head, extension, transport_bytes].concat();
            frame[19] += extension.len() as u8;
            frame[20] = first;
            frame
        };
        let hop_and_destination = [&[60, 0, 0, 0, 0, 0, 0, 0][..], &[17, 1][..], &[0; 14][..]].concat();
        for frame in
            [with(0, &hop_and_destination), with(44, &[17, 0, 0, 1, 0, 0, 0, 0]), with(51, &[17, 0, 0, 0, 0, 0, 0, 0])]
        {
            assert_eq!(transport(LinkType::ETHERNET, &frame).unwrap().bytes, transport_bytes);
        }
        let later = with(44, &[17, 0, 0, 8, 0, 0, 0, 0]);
        assert_eq!(transport(LinkType::ETHERNET, &later), Err(SkipReason::LaterFragment));
    }

    #[test]
    fn the_original_knows_neither_ipv6_nor_pppoe_but_some_labels() {
        assert!(transport_compat(&tagged(&[0x81, 0, 0, 1, 0x88, 0x47, 0, 0, 1, 9])).is_ok());
        assert!(transport_compat(&tagged(&[0x81, 0, 0, 1, 0x81, 0, 0, 1, 8, 0])).is_ok());
        assert_eq!(transport_compat(&tagged(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 37, 0, 0x21])), Err(SkipReason::NotIp));
        // Its runs ended here.
        assert_eq!(transport_compat(&[0; 13]), Err(SkipReason::Malformed));
        assert_eq!(transport_compat(&tagged(&[0x88, 0x47, 0, 0, 1, 9])[..18]), Err(SkipReason::Malformed));
    }

    #[test]
    fn conversations_name_both_ends_and_the_service() {
        let found = conversation(LinkType::ETHERNET, &udp_frame(b""));
        assert_eq!(found.source.to_string(), "10.0.0.1:1234");
        assert_eq!((found.protocol, found.service), ("UDP", Some("Modbus/TCP")));
        let profinet = [2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 0x88, 0x92, 0x80, 0];
        let found = conversation(LinkType::ETHERNET, &profinet);
        assert_eq!((found.source, found.protocol), (Endpoint::Mac([4; 6]), "PROFINET"));
        assert_eq!(conversation(LinkType(182), &profinet).source.to_string(), "?");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_transports_lie_in_the_packet(
            link in prop::sample::select(vec![0, 1, 12, 101, 108, 113, 228, 229, 276, 182]),
            kind in prop::sample::select(vec![vec![], vec![8, 0, 0x45], vec![0x86, 0xdd, 0x60], vec![0x81, 0], vec![0x88, 0x47], vec![0x88, 0x64], vec![8, 6]]),
            tail in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            let data = if kind.is_empty() { tail } else { [vec![0; 12], kind, tail].concat() };
            let link = LinkType(link);
            conversation(link, &data);
            for found in [transport(link, &data), transport_compat(&data)].into_iter().flatten() {
                prop_assert_eq!(&data[found.offset..][..found.bytes.len()], found.bytes);
            }
        }

        /// Compared with the crate etherparse.
        #[test]
        fn whole_packets_are_read_as_etherparse_reads_them(
            addresses in any::<([u8; 16], [u8; 16])>(),
            ports in any::<(u16, u16)>(),
            payload in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut frame = Vec::new();
            PacketBuilder::ethernet2([2; 6], [4; 6])
                .single_vlan(7.try_into().unwrap())
                .ipv6(addresses.0, addresses.1, 64)
                .tcp(ports.0, ports.1, 1, 2)
                .write(&mut frame, &payload)
                .unwrap();
            let other = etherparse::LaxSlicedPacket::from_ethernet(&frame).unwrap();
            let Some(etherparse::TransportSlice::Tcp(tcp)) = other.transport else { panic!("TCP") };
            let found = transport(LinkType::ETHERNET, &frame).unwrap();
            prop_assert_eq!(found.bytes, tcp.slice());
            prop_assert_eq!((found.source.1, found.destination.1), (tcp.source_port(), tcp.destination_port()));
            prop_assert_eq!(found.source.0, IpAddr::from(addresses.0));
        }
    }
}
