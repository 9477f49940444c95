//! Thresholds from the highest scores of blocks of normal traffic.

use std::collections::BTreeMap;

use nohash_hasher::IntMap;

use crate::detectors::{Margin, UnknownCell};

/// Blocks that a cell must have packets in for a threshold of its own.
const BLOCKS_NEEDED: usize = 3;

/// From the standard deviation of maxima to the scale of their Gumbel distribution: √6 / π.
const GUMBEL_SCALE: f64 = 0.779_696_801_233_676;

/// The highest score of each block of normal traffic, cell by cell, each as if its block had not been learned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BlockMaxima {
    cells: BTreeMap<u64, BTreeMap<u32, f32>>,
}

/// What a score must exceed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The highest that normal traffic is known to reach.
    pub highest: f32,
    /// Above this it is an alert: the highest, and a margin.
    pub threshold: f32,
}

impl Limit {
    /// How far a score exceeds the highest, in margins: above 1 it is an alert. Of counts, how many more there are than in normal traffic.
    pub fn strength(&self, score: f32) -> f32 {
        let margin = self.threshold - self.highest;
        if margin > 0.0 { (score - self.highest) / margin } else { 1.0 + (score - self.highest) }
    }
}

/// The limits of all cells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    of_cells: IntMap<u64, Limit>,
    elsewhere: Option<Limit>,
}

impl Limits {
    /// The limit in a cell; `None` where nothing is an alert.
    pub fn get(&self, cell: u64) -> Option<Limit> {
        self.of_cells.get(&cell).copied().or(self.elsewhere)
    }
}

impl BlockMaxima {
    /// Takes the score of a normal packet of a block.
    pub fn add(&mut self, cell: u64, block: u32, score: f32) {
        let highest = self.cells.entry(cell).or_default().entry(block).or_insert(f32::NEG_INFINITY);
        *highest = highest.max(score);
    }

    /// Cell, block and highest score, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32, f32)> + '_ {
        let of_cell = |(cell, blocks): (&u64, &BTreeMap<u32, f32>)| {
            let cell = *cell;
            blocks.iter().map(move |(block, highest)| (cell, *block, *highest)).collect::<Vec<_>>()
        };
        self.cells.iter().flat_map(of_cell)
    }

    /// The limits that follow from these maxima, or from those of all blocks but one.
    ///
    /// Where blocks are exchangeable, the maximum of a further block exceeds the j-th highest of K with probability at most j / (K + 1). With a
    /// [Gumbel](Margin::Gumbel) margin the threshold is `scales` of the maxima's scale above the highest, which counts as no more than the
    /// threshold of the other blocks; a cell in fewer than 3 blocks
    /// has the highest threshold of all.
    ///
    /// # Source
    /// Gumbel, *Statistics of Extremes*, 1958, method of moments: scale = √6 / π · standard deviation.
    pub fn limits(&self, rule: (Margin, UnknownCell), scales: f64, without: Option<u32>) -> Limits {
        let of_cell = |maxima: &BTreeMap<u32, f32>| -> Vec<f32> {
            maxima.iter().filter(|(block, _)| Some(**block) != without).map(|(_, highest)| *highest).collect()
        };
        let cells: Vec<(u64, Vec<f32>)> = self.cells.iter().map(|(cell, maxima)| (*cell, of_cell(maxima))).collect();
        match rule.0 {
            Margin::SecondHighest => {
                let limits = cells.iter().map(|(cell, maxima)| (*cell, second_highest(maxima)));
                Limits { of_cells: limits.collect(), elsewhere: Some(Limit { highest: 0.0, threshold: 0.0 }) }
            }
            Margin::Gumbel(floor) => {
                let limit = |(_, maxima): &(u64, Vec<f32>)| gumbel(maxima, floor, scales);
                let highest =
                    cells.iter().filter_map(limit).reduce(|a, b| if b.threshold > a.threshold { b } else { a });
                let own = |(cell, maxima): &(u64, Vec<f32>)| {
                    let own = if maxima.len() >= BLOCKS_NEEDED { gumbel(maxima, floor, scales) } else { highest };
                    // Of a block that is held out nothing is known where no other block has packets.
                    own.filter(|_| !maxima.is_empty()).map(|limit| (*cell, limit))
                };
                let elsewhere = highest.filter(|_| rule.1 == UnknownCell::Highest);
                Limits { of_cells: cells.iter().filter_map(own).collect(), elsewhere }
            }
        }
    }
}

/// The second highest of maxima, which are 0 in blocks without any.
fn second_highest(maxima: &[f32]) -> Limit {
    let mut sorted = maxima.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let threshold = sorted.get(1).copied().unwrap_or(0.0);
    Limit { highest: threshold, threshold }
}

/// The highest and a margin; `None` of no maxima. Where there are enough blocks, the highest counts as no more than the threshold that the others give,
/// so that a burst in one block does not move the threshold by more than about its margin.
fn gumbel(maxima: &[f32], floor: f64, scales: f64) -> Option<Limit> {
    let mut sorted = maxima.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let (last, others) = sorted.split_last()?;
    let bound = if others.len() >= BLOCKS_NEEDED { margin(others, floor, scales).threshold } else { f32::INFINITY };
    let highest = last.min(bound);
    Some(margin(&[others, &[highest]].concat(), floor, scales))
}

/// The last of sorted maxima and a margin.
fn margin(sorted: &[f32], floor: f64, scales: f64) -> Limit {
    let n = sorted.len() as f64;
    let highest = sorted.last().copied().unwrap_or_default();
    let mean = sorted.iter().map(|m| f64::from(*m)).sum::<f64>() / n;
    let variance = sorted.iter().map(|m| (f64::from(*m) - mean).powi(2)).sum::<f64>() / n;
    let scale = (GUMBEL_SCALE * variance.sqrt()).max(floor);
    Limit { highest, threshold: (f64::from(highest) + scales * scale) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maxima(of_blocks: &[(u64, u32, f32)]) -> BlockMaxima {
        let mut maxima = BlockMaxima::default();
        of_blocks.iter().for_each(|(cell, block, score)| maxima.add(*cell, *block, *score));
        maxima
    }

    #[test]
    fn of_counts_one_block_does_not_move_the_threshold() {
        let rule = (Margin::SecondHighest, UnknownCell::Highest);
        let maxima = maxima(&[(1, 0, 40.0), (1, 3, 2.0), (2, 5, 7.0)]);
        let limits = maxima.limits(rule, 3.0, None);
        assert_eq!([1, 2, 3].map(|cell| limits.get(cell).unwrap().threshold), [2.0, 0.0, 0.0]);
        let without = maxima.limits(rule, 3.0, Some(3));
        assert_eq!(without.get(1).unwrap().threshold, 0.0);
    }

    #[test]
    fn a_burst_in_one_block_moves_the_threshold_by_about_a_margin() {
        let of_blocks = |burst: f32| [1.0, 2.0, 3.0, 2.0, 1.0, burst];
        let limit = |burst| gumbel(&of_blocks(burst), 0.5, 3.0).unwrap();
        let (without, with) = (limit(2.0).threshold, limit(1e6).threshold);
        assert!(with > without && with - without < 2.0 * (without - 3.0), "{without} {with}");
        assert_eq!(limit(100.0), limit(1e6));
    }

    #[test]
    fn a_margin_is_as_wide_as_blocks_differ_and_not_narrower_than_its_floor() {
        let rule = |unknown| (Margin::Gumbel(0.5), unknown);
        let maxima =
            maxima(&[(1, 0, 1.0), (1, 1, 1.0), (1, 2, 1.0), (2, 0, 5.0), (3, 0, 0.0), (3, 1, 2.0), (3, 2, 4.0)]);
        let limits = maxima.limits(rule(UnknownCell::Silent), 3.0, None);
        assert_eq!(limits.get(1).unwrap(), Limit { highest: 1.0, threshold: 2.5 });
        let spread = 4.0 + 3.0 * (GUMBEL_SCALE * (8.0_f64 / 3.0).sqrt()) as f32;
        assert!((limits.get(3).unwrap().threshold - spread).abs() < 1e-5);
        // In one block only: the highest of all, and of a cell that was not learned as the detector wants it.
        assert_eq!(limits.get(2), limits.get(3));
        assert_eq!(limits.get(4), None);
        assert_eq!(maxima.limits(rule(UnknownCell::Highest), 3.0, None).get(4), limits.get(3));
        assert!((limits.get(3).unwrap().strength(spread) - 1.0).abs() < 1e-6);
    }
}
