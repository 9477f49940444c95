//! Lengths of packets.

/// How many packets there are of each length, as captured: exactly, since no packet is longer than 262,144 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sizes {
    packets: Vec<u64>,
}

impl Sizes {
    /// Counts a packet of a length in bytes.
    #[inline]
    pub fn add(&mut self, length: usize) {
        if self.packets.len() <= length {
            self.packets.resize(length + 1, 0);
        }
        self.packets[length] += 1;
    }

    /// Length and number of packets, for all lengths that occur, the shortest first.
    pub fn counts(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.packets.iter().copied().enumerate().filter(|(_, packets)| *packets > 0)
    }

    /// How many packets have a length.
    pub fn of(&self, length: usize) -> u64 {
        self.packets.get(length).copied().unwrap_or(0)
    }

    /// The shortest length that at least a share of the packets, 0 to 1, does not exceed; `None` without packets.
    pub fn quantile(&self, share: f64) -> Option<usize> {
        let all: u64 = self.packets.iter().sum();
        let wanted = ((all as f64 * share).ceil() as u64).clamp(1, all.max(1));
        let mut seen = 0;
        self.counts().find_map(|(length, packets)| {
            seen += packets;
            (seen >= wanted).then_some(length)
        })
    }

    /// Mean length in bytes; `None` without packets.
    pub fn mean(&self) -> Option<f64> {
        let all: u64 = self.packets.iter().sum();
        let bytes: u64 = self.counts().map(|(length, packets)| length as u64 * packets).sum();
        (all > 0).then(|| bytes as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_lengths_that_there_are() {
        let mut sizes = Sizes::default();
        assert_eq!((sizes.quantile(0.5), sizes.mean()), (None, None));
        for length in [60, 0, 1500, 60] {
            sizes.add(length);
        }
        let quantiles = [0.0, 0.25, 0.5, 0.75, 0.76, 1.0].map(|share| sizes.quantile(share).unwrap());
        assert_eq!(quantiles, [0, 0, 60, 60, 1500, 1500]);
        assert_eq!(sizes.mean(), Some(405.0));
        assert_eq!(sizes.counts().collect::<Vec<_>>(), [(0, 1), (60, 2), (1500, 1)]);
        assert_eq!(sizes.of(9000), 0);
    }
}
