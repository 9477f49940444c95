//! Community ID: an identifier of a flow that other tools compute, too.

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest, Sha1};

use crate::capture::headers::{Conversation, Endpoint};

/// The Community ID, version 1 with seed 0, of the endpoints of a TCP, UDP or SCTP packet, the same in both directions; `None` of anything else.
///
/// # Source
/// Kreibich: *Community ID Flow Hashing*, specification of version 1, github.com/corelight/community-id-spec.
pub fn community_id(conversation: &Conversation) -> Option<String> {
    let protocol = match conversation.protocol {
        "TCP" => 6,
        "UDP" => 17,
        "SCTP" => 132,
        _ => return None,
    };
    let end = |endpoint: Endpoint| match endpoint {
        Endpoint::Ip(IpAddr::V4(address), Some(port)) => Some((address.octets().to_vec(), port)),
        Endpoint::Ip(IpAddr::V6(address), Some(port)) => Some((address.octets().to_vec(), port)),
        _ => None,
    };
    let mut ends = [end(conversation.source)?, end(conversation.destination)?];
    ends.sort();
    let [(low, low_port), (high, high_port)] = ends;
    let mut hash = Sha1::new();
    hash.update([0, 0]);
    hash.update(low);
    hash.update(high);
    hash.update([protocol, 0]);
    hash.update(low_port.to_be_bytes());
    hash.update(high_port.to_be_bytes());
    Some(format!("1:{}", BASE64_STANDARD.encode(hash.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversation(source: &str, destination: &str, ports: (u16, u16), protocol: &'static str) -> Conversation {
        let end = |address: &str, port| Endpoint::Ip(address.parse().unwrap(), Some(port));
        let (source, destination) = (end(source, ports.0), end(destination, ports.1));
        Conversation { source, destination, protocol, service: None }
    }

    /// The baseline of the specification's reference implementation.
    #[test]
    fn ids_are_those_of_the_specification_in_both_directions() {
        let tcp = "1:LQU9qZlK+B5F3KDmev6m5PMibrg=";
        let known = [
            (conversation("128.232.110.120", "66.35.250.204", (34855, 80), "TCP"), tcp),
            (conversation("66.35.250.204", "128.232.110.120", (80, 34855), "TCP"), tcp),
            (conversation("192.168.1.52", "8.8.8.8", (54585, 53), "UDP"), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        ];
        for (conversation, id) in known {
            assert_eq!(community_id(&conversation).as_deref(), Some(id));
        }
    }

    #[test]
    fn what_has_no_ports_has_no_id() {
        let arp = Conversation { source: Endpoint::Mac([1; 6]), ..conversation("::1", "::2", (1, 2), "ARP") };
        assert_eq!(community_id(&arp), None);
    }
}
