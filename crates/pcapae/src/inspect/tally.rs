//! How many packets and bytes there are of each of many things, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;

use serde::Serialize;

/// Most different things of one kind that are counted one by one.
pub const COUNTED_MAX: usize = 100_000;

/// Packets, and the bytes that were captured of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// How many packets.
    pub packets: u64,
    /// How many bytes in them.
    pub bytes: u64,
}

impl Tally {
    /// Counts one packet.
    #[inline]
    pub fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// Adds what was counted elsewhere.
    pub fn join(&mut self, other: Tally) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// A tally for each of the first [`COUNTED_MAX`] different things, exactly, and one for all others together.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts<K: Eq + Hash> {
    counted: HashMap<K, Tally>,
    others: Tally,
    most: usize,
}

impl<K: Eq + Hash + Ord + Copy> Counts<K> {
    /// No counts yet.
    pub fn new() -> Counts<K> {
        Counts::up_to(COUNTED_MAX)
    }

    /// The same with another bound.
    pub(super) fn up_to(most: usize) -> Counts<K> {
        Counts { counted: HashMap::new(), others: Tally::default(), most }
    }

    /// Adds to the tally of one thing.
    pub fn add(&mut self, thing: K, tally: Tally) {
        if let Some(known) = self.counted.get_mut(&thing) {
            known.join(tally);
        } else if self.counted.len() < self.most {
            self.counted.insert(thing, tally);
        } else {
            self.others.join(tally);
        }
    }

    /// The tally of one thing; of nothing where it is not among the counted.
    pub fn of(&self, thing: &K) -> Tally {
        self.counted.get(thing).copied().unwrap_or_default()
    }

    /// How many different things are counted.
    pub fn different(&self) -> usize {
        self.counted.len()
    }

    /// What came after the first [`COUNTED_MAX`]; nothing where all are counted.
    pub fn others(&self) -> Tally {
        self.others
    }

    /// True if all things are counted, so that what is absent was not there.
    pub fn is_complete(&self) -> bool {
        self.others.packets == 0
    }

    /// All counted things, those with the most packets first; equal ones in their own order.
    pub fn ranked(&self) -> Vec<(K, Tally)> {
        let mut all: Vec<(K, Tally)> = self.counted.iter().map(|(thing, tally)| (*thing, *tally)).collect();
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

    fn one(bytes: usize) -> Tally {
        Tally { packets: 1, bytes: bytes as u64 }
    }

    #[test]
    fn the_first_are_counted_exactly_and_the_others_together() {
        let mut counts = Counts::up_to(2);
        for (thing, bytes) in [('b', 10), ('a', 1), ('c', 100), ('a', 2), ('d', 1000)] {
            counts.add(thing, one(bytes));
        }
        assert_eq!(counts.ranked(), [('a', Tally { packets: 2, bytes: 3 }), ('b', one(10))]);
        assert_eq!(counts.others(), Tally { packets: 2, bytes: 1100 });
        assert!(!counts.is_complete());
        assert_eq!((counts.different(), counts.of(&'c')), (2, Tally::default()));
    }
}
