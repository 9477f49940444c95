//! Packets and bytes by key (a host, a service), counted in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;

use serde::Serialize;

/// How many different keys of one kind are counted exactly.
pub const COUNTED_MAX: usize = 100_000;

/// Packets, and the bytes that were captured of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Traffic {
    /// How many packets.
    pub packets: u64,
    /// How many bytes in them.
    pub bytes: u64,
}

impl Traffic {
    /// Counts one packet.
    #[inline]
    pub fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// Adds what was counted elsewhere.
    pub fn join(&mut self, other: Traffic) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// The traffic of each of the first [`COUNTED_MAX`] different keys exactly, and of all others together.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts<K: Eq + Hash> {
    counted: HashMap<K, Traffic>,
    others: Traffic,
    most: usize,
}

impl<K: Eq + Hash + Ord + Copy> Counts<K> {
    /// No counts yet.
    pub fn new() -> Counts<K> {
        Counts::up_to(COUNTED_MAX)
    }

    /// The same with another bound.
    pub(super) fn up_to(most: usize) -> Counts<K> {
        Counts { counted: HashMap::new(), others: Traffic::default(), most }
    }

    /// Adds traffic of one key.
    pub fn add(&mut self, key: K, traffic: Traffic) {
        if let Some(known) = self.counted.get_mut(&key) {
            known.join(traffic);
        } else if self.counted.len() < self.most {
            self.counted.insert(key, traffic);
        } else {
            self.others.join(traffic);
        }
    }

    /// The traffic of one key; zero where it is not counted.
    pub fn of(&self, key: &K) -> Traffic {
        self.counted.get(key).copied().unwrap_or_default()
    }

    /// How many different keys are counted.
    pub fn different(&self) -> usize {
        self.counted.len()
    }

    /// What came after the first [`COUNTED_MAX`]; nothing where all are counted.
    pub fn others(&self) -> Traffic {
        self.others
    }

    /// True if all keys are counted, so that a key that is absent did not occur.
    pub fn is_complete(&self) -> bool {
        self.others.packets == 0
    }

    /// All counted keys, those with the most packets first; equal ones in order of the keys.
    pub fn ranked(&self) -> Vec<(K, Traffic)> {
        let mut all: Vec<(K, Traffic)> = self.counted.iter().map(|(key, traffic)| (*key, *traffic)).collect();
        all.sort_unstable_by(|a, b| b.1.packets.cmp(&a.1.packets).then(a.0.cmp(&b.0)));
        all
    }
}

impl<K: Eq + Hash + Ord + Copy> Default for Counts<K> {
    fn default() -> Self {
        Counts::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: usize) -> Traffic {
        Traffic { packets: 1, bytes: bytes as u64 }
    }

    #[test]
    fn the_first_are_counted_exactly_and_the_others_together() {
        let mut counts = Counts::up_to(2);
        for (key, bytes) in [('b', 10), ('a', 1), ('c', 100), ('a', 2), ('d', 1000)] {
            counts.add(key, one(bytes));
        }
        assert_eq!(counts.ranked(), [('a', Traffic { packets: 2, bytes: 3 }), ('b', one(10))]);
        assert_eq!(counts.others(), Traffic { packets: 2, bytes: 1100 });
        assert!(!counts.is_complete());
        assert_eq!((counts.different(), counts.of(&'c')), (2, Traffic::default()));
    }
}
