//! The longest times without a packet.

use serde::Serialize;

/// How many gaps are kept.
const KEPT: usize = 10;

/// The time between a packet and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// How long, in nanoseconds.
    pub nanoseconds: u64,
    /// Number of the packet after it.
    pub before_packet: u64,
    /// Capture time of that packet, in nanoseconds since 1970.
    pub until_ns: i64,
}

/// The longest gaps. Where time runs backwards there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gaps {
    last_ns: Option<i64>,
    /// The longest first; equal ones in the order of packets.
    longest: Vec<Gap>,
}

impl Gaps {
    /// Takes the time of the next packet.
    #[inline]
    pub fn add(&mut self, packet: u64, time_ns: i64) {
        if let Some(last) = self.last_ns.replace(time_ns)
            && time_ns > last
        {
            let nanoseconds = time_ns.abs_diff(last);
            if self.longest.len() < KEPT || self.longest.last().is_some_and(|gap| gap.nanoseconds < nanoseconds) {
                self.keep(Gap { nanoseconds, before_packet: packet, until_ns: time_ns });
            }
        }
    }

    fn keep(&mut self, gap: Gap) {
        let place = self.longest.partition_point(|other| other.nanoseconds >= gap.nanoseconds);
        self.longest.insert(place, gap);
        self.longest.truncate(KEPT);
    }

    /// The ten longest gaps, the longest first.
    pub fn longest(&self) -> &[Gap] {
        &self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_longest_are_kept(times in prop::collection::vec(0i64..1000, 0..60)) {
            let mut gaps = Gaps::default();
            for (packet, &time) in (1..).zip(&times) {
                gaps.add(packet, time);
            }
            let mut expected: Vec<(u64, u64)> = (2..)
                .zip(times.windows(2))
                .filter(|(_, pair)| pair[1] > pair[0])
                .map(|(packet, pair)| ((pair[1] - pair[0]) as u64, packet))
                .collect();
            expected.sort_by_key(|(length, packet)| (std::cmp::Reverse(*length), *packet));
            expected.truncate(KEPT);
            let found: Vec<(u64, u64)> = gaps.longest().iter().map(|gap| (gap.nanoseconds, gap.before_packet)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
