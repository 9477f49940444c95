//! How often each byte value occurs, and their entropy.

/// Counts of the 256 values over all captured bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteValues {
    counts: [u64; 256],
}

impl ByteValues {
    /// Counts the bytes of a packet.
    pub fn add(&mut self, bytes: &[u8]) {
        // Four tables, so that equal bytes in a row do not wait for each other's count.
        if bytes.len() < 512 {
            for &byte in bytes {
                self.counts[usize::from(byte)] += 1;
            }
            return;
        }
        let mut tables = [[0u32; 256]; 4];
        let (fours, rest) = bytes.as_chunks::<4>();
        for four in fours {
            for (table, byte) in tables.iter_mut().zip(four) {
                table[usize::from(*byte)] += 1;
            }
        }
        for (value, count) in self.counts.iter_mut().enumerate() {
            *count += tables.iter().map(|table| u64::from(table[value])).sum::<u64>();
        }
        self.add(rest);
    }

    /// How often each value occurs, from 0 to 255.
    pub fn counts(&self) -> &[u64; 256] {
        &self.counts
    }

    /// Entropy H = −Σ p log₂ p of the values, in bits a byte: 0 if all are equal, 8 if all values occur equally often. `None` without bytes.
    pub fn entropy(&self) -> Option<f64> {
        let all = self.counts.iter().sum::<u64>();
        (all > 0).then(|| entropy(self.counts.iter().map(|count| *count as f64 / all as f64)))
    }
}

/// H = −Σ p log₂ p, in bits.
pub(super) fn entropy(shares: impl Iterator<Item = f64>) -> f64 {
    shares.filter(|share| *share > 0.0).map(|share| -share * share.log2()).sum::<f64>().max(0.0)
}

impl Default for ByteValues {
    fn default() -> Self {
        ByteValues { counts: [0; 256] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(bytes: &[u8]) -> ByteValues {
        let mut values = ByteValues::default();
        values.add(bytes);
        values
    }

    #[test]
    fn entropy_is_that_of_the_values() {
        assert_eq!(of(&[]).entropy(), None);
        assert_eq!(of(&[7; 100]).entropy(), Some(0.0));
        assert_eq!(of(&(0..=255).collect::<Vec<u8>>()).entropy(), Some(8.0));
        assert_eq!(of(&[1, 1, 2, 3]).entropy(), Some(1.5));
    }

    proptest! {
        #[test]
        fn bytes_are_counted_one_by_one(bytes in prop::collection::vec(any::<u8>(), 0..1600)) {
            let values = of(&bytes);
            for (value, count) in (0..=255u8).zip(values.counts()) {
                prop_assert_eq!(*count, bytes.iter().filter(|byte| **byte == value).count() as u64);
            }
        }
    }
}
