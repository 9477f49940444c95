//! A recording in contiguous blocks of equally many packets: the unit by which normal traffic is exchangeable.
//!
//! Packets come in bursts, so neighbours tell nothing new of each other; blocks of minutes do.

use std::ops::Range;

/// Blocks that a recording is divided into.
pub const BLOCKS: u32 = 10;

/// The division of a recording into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    packets: usize,
    count: u32,
}

impl Blocks {
    /// `packets` packets in `count` blocks, at least one.
    pub fn new(packets: usize, count: u32) -> Blocks {
        Blocks { packets, count: count.max(1) }
    }

    /// How many blocks there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The block of a packet, by its index from 0.
    pub fn block(&self, packet: usize) -> u32 {
        (packet as u64 * u64::from(self.count) / self.packets.max(1) as u64) as u32
    }

    /// The packets of a block, as indices from 0.
    pub fn packets(&self, block: u32) -> Range<usize> {
        let start = |block: u32| (u64::from(block) * self.packets as u64).div_ceil(u64::from(self.count)) as usize;
        start(block)..start(block + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_packet_is_in_the_one_block_that_holds_it(packets in 1usize..500, count in 1u32..12) {
            let blocks = Blocks::new(packets, count);
            let mut before = 0;
            for block in 0..count {
                let held = blocks.packets(block);
                prop_assert_eq!(held.start, before);
                before = held.end;
                prop_assert!(held.clone().all(|packet| blocks.block(packet) == block));
                prop_assert!(held.len() as u64 * u64::from(count) <= packets as u64 + u64::from(count));
            }
            prop_assert_eq!(before, packets);
        }
    }
}
