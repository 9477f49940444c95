//! The conversation inside a packet: only what flows and alerts need.
//!
//! [`transport`] is strict: a packet is in a flow, or left out for a [`SkipReason`] reason. [`transport_compat`] decides
//! as the original did, bit for bit. [`conversation`] is lax: it says of any packet who talks to whom, as far as can
//! be seen. Tunnels (GRE, IP in IP) are not unwrapped.

mod anatomy;

mod compat;

mod conversation;

mod facts;

mod fields;

mod industrial;

mod internet;

mod skip_reason;

mod link;

mod service;

mod transport;

pub use anatomy::{NamedField, named_fields, named_segment};
pub use compat::transport_compat;
pub use conversation::{Conversation, Endpoint, conversation};
pub use facts::{Connection, Direction, PacketFacts, Service};
pub use fields::{HeaderField, header_fields};
pub use skip_reason::{SkipCounts, SkipReason};
pub use transport::{Protocol, Transport, transport};

/// Two bytes in network order; the caller has checked that they are there.
#[inline]
fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
