//! What the headers of a packet say: only what flows, detectors and alerts need.
//!
//! [`Dissection`] reads a packet's headers once; all else is a view of it. The words, as they are used everywhere:
//!
//! - *service*: EtherType, IP protocol and the lower port ([`Service`]);
//! - *transport*: the TCP or UDP header of a packet and what follows it ([`Transport`]);
//! - *flow*: the packets of one five-tuple, both directions ([`FlowKey`](crate::flow::FlowKey));
//! - *connection*: a service between two endpoints, both directions, in any protocol ([`Connection`]);
//! - *conversation*: who talks to whom in what protocol, for people to read ([`Conversation`]).
//!
//! A packet is in a flow, or skipped for a [`SkipReason`]; [`transport_compat`](Dissection::transport_compat) decides as the original did, bit
//! for bit. Tunnels
//! (GRE, IP in IP) are not unwrapped.

mod compat;

mod conversation;

mod dissection;

mod facts;

mod fields;

mod industrial;

mod ip;

mod link;

mod named_fields;

mod service;

mod skip_reason;

mod transport;

#[cfg(test)]
pub(crate) mod fixtures;

pub use conversation::{Conversation, Endpoint};
pub use dissection::Dissection;
pub use facts::{Arp, Connection, Direction, PacketFacts, Service};
pub use fields::HeaderField;
pub use named_fields::{NamedField, named_transport};
pub use service::service;
pub use skip_reason::{SkipCounts, SkipReason};
pub use transport::{Protocol, Transport};

/// Two bytes in network order; the caller has checked that they are there.
#[inline]
fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
