//! Flow keys: which packets belong to one flow.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

pub use crate::capture::headers::Protocol;
use crate::capture::headers::Transport;

/// The five-tuple of a flow, the same for both directions.
///
/// Two packets are of one flow if and only if their keys are equal. VLAN ids and MPLS labels are not part of it, and
/// it has no end: a five-tuple that is used again goes on in the same flow, as in the original. Keys are in a total
/// order (protocol, then the smaller endpoint, then the larger one) that says nothing of time.
///
/// As bytes it is the IP protocol number, then two endpoints, the smaller first: the address in 16 bytes (IPv4 as
/// `::ffff:a.b.c.d`) and the port, both in network byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey([u8; FlowKey::BYTES]);

impl FlowKey {
    /// Length of a key in bytes.
    pub const BYTES: usize = 37;

    /// The key of the flow that a packet belongs to.
    pub fn new(transport: &Transport<'_>) -> FlowKey {
        let (first, second) = (endpoint_bytes(transport.source), endpoint_bytes(transport.destination));
        let (smaller, larger) = if first <= second { (first, second) } else { (second, first) };
        let mut bytes = [0; FlowKey::BYTES];
        bytes[0] = transport.protocol.number();
        bytes[1..19].copy_from_slice(&smaller);
        bytes[19..].copy_from_slice(&larger);
        FlowKey(bytes)
    }

    /// The key as bytes; equal keys have equal bytes, and bytes are in the order of keys.
    pub fn to_bytes(self) -> [u8; FlowKey::BYTES] {
        self.0
    }

    /// The transport protocol.
    pub fn protocol(self) -> Protocol {
        if self.0[0] == Protocol::Tcp.number() { Protocol::Tcp } else { Protocol::Udp }
    }

    /// Both ends, the smaller first.
    pub fn endpoints(self) -> [(IpAddr, u16); 2] {
        [endpoint(&self.0[1..19]), endpoint(&self.0[19..])]
    }
}

impl From<&Transport<'_>> for FlowKey {
    fn from(transport: &Transport<'_>) -> FlowKey {
        FlowKey::new(transport)
    }
}

impl fmt::Display for FlowKey {
    /// `TCP 10.0.0.1:502 – 10.0.0.2:49152`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.endpoints().map(std::net::SocketAddr::from);
        write!(f, "{} {first} – {second}", self.protocol())
    }
}

fn endpoint_bytes((address, port): (IpAddr, u16)) -> [u8; 18] {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    let mut bytes = [0; 18];
    bytes[..16].copy_from_slice(&address.octets());
    bytes[16..].copy_from_slice(&port.to_be_bytes());
    bytes
}

fn endpoint(bytes: &[u8]) -> (IpAddr, u16) {
    let address: [u8; 16] = bytes.first_chunk().copied().unwrap_or_default();
    let port: [u8; 2] = bytes.last_chunk().copied().unwrap_or_default();
    (Ipv6Addr::from(address).to_canonical(), u16::from_be_bytes(port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(protocol: Protocol, source: (IpAddr, u16), destination: (IpAddr, u16)) -> Transport<'static> {
        Transport { protocol, source, destination, bytes: &[], offset: 0 }
    }

    fn ends() -> impl Strategy<Value = ((IpAddr, u16), (IpAddr, u16))> {
        let four = (any::<[u8; 4]>(), any::<u16>()).prop_map(|(a, p)| (IpAddr::from(a), p));
        let six = (any::<[u8; 16]>(), any::<u16>()).prop_map(|(a, p)| (IpAddr::from(a).to_canonical(), p));
        prop_oneof![(four.clone(), four), (six.clone(), six)]
    }

    proptest! {
        #[test]
        fn both_directions_have_one_key((a, b) in ends()) {
            let there = FlowKey::new(&packet(Protocol::Tcp, a, b));
            prop_assert_eq!(there, FlowKey::new(&packet(Protocol::Tcp, b, a)));
            prop_assert_ne!(there, FlowKey::new(&packet(Protocol::Udp, a, b)));
            let mut ends = there.endpoints();
            let mut given = [a, b];
            ends.sort();
            given.sort();
            prop_assert_eq!(ends, given);
        }
    }

    #[test]
    fn a_key_shows_as_people_write_it() {
        let key = FlowKey::new(&packet(Protocol::Tcp, ([10, 0, 0, 2].into(), 49152), ([10, 0, 0, 1].into(), 502)));
        assert_eq!(key.to_string(), "TCP 10.0.0.1:502 – 10.0.0.2:49152");
    }
}
