//! What a packet is, as numbers that detectors count: 64-bit hashes of facts.

use std::net::IpAddr;

use nohash_hasher::IntMap;
use twox_hash::XxHash3_64;

use crate::capture::headers::{Direction, Endpoint, PacketFacts, Service};
use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;

/// A table by tokens, which are hashes already.
pub(super) type TokenMap<V> = IntMap<u64, V>;

/// The hash (XXH3, 64 bits) of numbers; `tag` sets apart what is counted.
pub(super) fn token<const N: usize>(tag: u8, parts: [u64; N]) -> u64 {
    let mut bytes = [0; 64];
    bytes[0] = tag;
    for (bytes, part) in bytes[8..].chunks_exact_mut(8).zip(parts) {
        bytes.copy_from_slice(&part.to_le_bytes());
    }
    XxHash3_64::oneshot(&bytes[..8 * (N + 1)])
}

/// A host's hash.
pub(super) fn host(host: Endpoint) -> u64 {
    let words = |bytes: &[u8; 16]| {
        let (high, low) = bytes.split_at(8);
        [high, low].map(|half| half.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    };
    match host {
        Endpoint::Ip(IpAddr::V4(address), _) => token(1, [u64::from(u32::from(address))]),
        Endpoint::Ip(IpAddr::V6(address), _) => token(2, words(&address.octets())),
        Endpoint::Mac(address) => token(3, [hardware(address)]),
        Endpoint::Unknown => 0,
    }
}

/// A hardware address as a number.
pub(super) fn hardware(address: [u8; 6]) -> u64 {
    address.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// What most detectors count of a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens {
    /// The service.
    pub service: u64,
    /// The service and direction.
    pub group: u64,
    /// The host that speaks.
    pub sender: u64,
    /// The host that is spoken to.
    pub receiver: u64,
    /// Service and two hosts, in either direction.
    pub conversation: u64,
    /// Service, two hosts and their ports, in either direction.
    pub connection: u64,
    /// Service, and two hosts in this direction.
    pub one_way: u64,
    /// Bytes on the wire.
    pub length: u64,
}

impl Tokens {
    pub fn of(facts: &PacketFacts) -> Tokens {
        let Service { ethertype, ip_protocol, port } = facts.service;
        let service = u64::from(ethertype) << 24 | u64::from(ip_protocol) << 16 | u64::from(port);
        let to_service = match port {
            0 => facts.sender() < facts.receiver(),
            _ => facts.direction == Direction::ToService,
        };
        let group = service << 1 | u64::from(to_service);
        let (sender, receiver) = (host(facts.sender()), host(facts.receiver()));
        let port = |end: Endpoint| match end {
            Endpoint::Ip(_, Some(port)) => u64::from(port),
            _ => 0,
        };
        let ends = (sender ^ port(facts.source) << 48, receiver ^ port(facts.destination) << 48);
        Tokens {
            service,
            group,
            sender,
            receiver,
            conversation: token(4, [service, sender.min(receiver), sender.max(receiver)]),
            connection: token(5, [service, ends.0.min(ends.1), ends.0.max(ends.1)]),
            one_way: token(6, [group, sender, receiver]),
            length: u64::from(facts.wire_length),
        }
    }
}

/// What rows that are no single packets are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct GroupedBy {
    /// Service and direction.
    pub group: u64,
    /// Service and two hosts, in either direction.
    pub conversation: u64,
}

impl GroupedBy {
    pub fn of(facts: &PacketFacts) -> GroupedBy {
        let Tokens { group, conversation, .. } = Tokens::of(facts);
        GroupedBy { group, conversation }
    }
}

/// Tokens in a file: two halves of 32 bits each, `[n, 2]`.
pub(super) fn put_tokens(arrays: &mut NamedArrays, name: &str, tokens: impl Iterator<Item = u64>) {
    let halves: Vec<f64> = tokens.flat_map(|token| [(token >> 32) as f64, f64::from(token as u32)]).collect();
    arrays.put_shaped(name, &[halves.len() / 2, 2], halves);
}

/// Reads tokens from a file.
pub(super) fn get_tokens(arrays: &NamedArrays, name: &str) -> Result<Vec<u64>, Fault> {
    let halves = arrays.get(name, &[None, Some(2)])?;
    let half = |value: f64| super::fact_numbers::whole(value, 1 << 32).map(|half| half as u64);
    let token = |halves: &[f64]| Ok(half(halves[0])? << 32 | half(halves[1])?);
    let tokens: Result<Vec<u64>, Fault> = halves.values.chunks_exact(2).map(token).collect();
    tokens.map_err(|fault| fault.within(Place::Array(name.into())))
}

/// How often each token was seen, in all blocks and, while learning, in each.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counts {
    totals: TokenMap<u32>,
    of_blocks: TokenMap<u32>,
}

impl Counts {
    pub fn add(&mut self, token: u64, block: u32) {
        let total = self.totals.entry(token).or_default();
        *total = total.saturating_add(1);
        let own = self.of_blocks.entry(in_block(token, block)).or_default();
        *own = own.saturating_add(1);
    }

    /// How often it was seen, outside of the block that is held out.
    pub fn get(&self, token: u64, held_out: Option<u32>) -> u32 {
        let Some(total) = self.totals.get(&token) else { return 0 };
        let own = held_out.and_then(|block| self.of_blocks.get(&in_block(token, block)));
        total.saturating_sub(own.copied().unwrap_or(0))
    }

    /// Forgets what came in which block: nothing can be held out any more.
    pub fn forget_blocks(&mut self) {
        self.of_blocks = TokenMap::default();
    }

    /// Adds what another counted of other traffic, which nothing holds out.
    pub fn merge(&mut self, other: &Counts) {
        for (token, count) in &other.totals {
            let total = self.totals.entry(*token).or_default();
            *total = total.saturating_add(*count);
        }
    }

    pub fn put(&self, arrays: &mut NamedArrays) {
        let mut counts: Vec<(u64, u32)> = self.totals.iter().map(|(token, count)| (*token, *count)).collect();
        counts.sort_unstable();
        put_tokens(arrays, "tokens", counts.iter().map(|(token, _)| *token));
        arrays.put("counts", counts.iter().map(|(_, count)| f64::from(*count)).collect());
    }

    pub fn from_arrays(arrays: &NamedArrays) -> Result<Counts, Fault> {
        let tokens = get_tokens(arrays, "tokens")?;
        let counts = arrays.get("counts", &[Some(tokens.len())])?;
        let count = |value: &f64| super::fact_numbers::whole(*value, 1 << 32).map(|count| count as u32);
        let counts: Result<Vec<u32>, Fault> = counts.values.iter().map(count).collect();
        let counts = counts.map_err(|fault| fault.within(Place::Array("counts".into())))?;
        Ok(Counts { totals: tokens.into_iter().zip(counts).collect(), of_blocks: TokenMap::default() })
    }
}

fn in_block(token: u64, block: u32) -> u64 {
    token.rotate_left(9) ^ u64::from(block + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::headers::fixtures::packet;

    #[test]
    fn both_directions_are_one_conversation_and_one_connection() {
        let request = packet(1, 2, 502, 60);
        let answer = PacketFacts {
            source: request.destination,
            destination: request.source,
            direction: Direction::FromService,
            ..request
        };
        let (request, answer) = (Tokens::of(&request), Tokens::of(&answer));
        assert_eq!((request.conversation, request.connection), (answer.conversation, answer.connection));
        assert_ne!((request.group, request.one_way), (answer.group, answer.one_way));
        assert_ne!(request.connection, Tokens::of(&packet(1, 2, 503, 60)).connection);
    }

    #[test]
    fn what_a_block_counted_is_not_there_when_it_is_held_out() {
        let mut counts = Counts::default();
        for (token, block) in [(7, 0), (7, 1), (7, 1), (8, 1)] {
            counts.add(token, block);
        }
        assert_eq!([None, Some(0), Some(1)].map(|held_out| counts.get(7, held_out)), [3, 2, 1]);
        assert_eq!([None, Some(1)].map(|held_out| counts.get(8, held_out)), [1, 0]);
        counts.forget_blocks();
        let mut arrays = NamedArrays::default();
        counts.put(&mut arrays);
        assert_eq!(Counts::from_arrays(&arrays), Ok(counts));
    }
}
