//! Packets that are not learned from, though they are in the captures.

use std::fmt;
use std::net::IpAddr;

use crate::capture::headers::{Endpoint, PacketFacts};

/// What is left out of the captures that are learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// All packets from one capture time to another, in nanoseconds since 1970, both included.
    Time(i64, i64),
    /// All packets that a host with this IP address sends or receives.
    Address(IpAddr),
    /// All packets that a host with this hardware address sends or receives.
    Hardware([u8; 6]),
    /// The packets of an event among those that `learn` tells of the same captures, by its number from 1.
    Event(usize),
}

impl Exclusion {
    /// Whether a packet with these facts is left out; an event is not known by facts.
    pub(super) fn excludes(&self, facts: &PacketFacts) -> bool {
        match self {
            Exclusion::Time(first, last) => (*first..=*last).contains(&facts.time_ns),
            Exclusion::Address(address) => {
                let host = Endpoint::Ip(*address, None);
                facts.sender() == host || facts.receiver() == host
            }
            Exclusion::Hardware(address) => {
                let claimed = facts.arp.map(|arp| arp.sender_hardware);
                [facts.link_source, facts.link_destination, claimed].contains(&Some(*address))
            }
            Exclusion::Event(_) => false,
        }
    }
}

/// A host by its address, a time in nanoseconds since 1970, an event by its number.
impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exclusion::Time(first, last) => write!(f, "of packets from {first} to {last} ns since 1970"),
            Exclusion::Address(address) => write!(f, "of the host {address}"),
            Exclusion::Hardware(address) => write!(f, "of the host {}", Endpoint::Mac(*address)),
            Exclusion::Event(number) => write!(f, "of event {number}"),
        }
    }
}
