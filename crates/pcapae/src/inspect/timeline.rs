//! Traffic over time, in bins that widen with the capture.

use super::Traffic;

/// Most bins of a timeline; with more, neighbours are joined.
pub const BINS_MAX: usize = 1024;
/// Width of a bin to begin with, 1 ms.
const FIRST_WIDTH_NS: i64 = 1_000_000;

/// Packets and bytes in bins of equal width without a break, at most [`BINS_MAX`]. Bins begin at multiples of their width since 1970, whatever
/// the order of the packets.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    width_ns: i64,
    /// Number of the first bin, in widths since 1970.
    first: i64,
    bins: Vec<Traffic>,
}

impl Timeline {
    /// No traffic yet.
    pub fn new() -> Timeline {
        Timeline { width_ns: FIRST_WIDTH_NS, first: 0, bins: Vec::new() }
    }

    /// Counts a packet of `bytes` bytes at a time in nanoseconds since 1970.
    #[inline]
    pub fn add(&mut self, time_ns: i64, bytes: usize) {
        let index = time_ns.div_euclid(self.width_ns).wrapping_sub(self.first);
        match usize::try_from(index).ok().and_then(|index| self.bins.get_mut(index)) {
            Some(bin) => bin.add(bytes),
            None => self.add_outside(time_ns, bytes),
        }
    }

    #[cold]
    fn add_outside(&mut self, time_ns: i64, bytes: usize) {
        let mut number = time_ns.div_euclid(self.width_ns);
        if self.bins.is_empty() {
            self.first = number;
        }
        let last = |timeline: &Timeline| timeline.first + timeline.bins.len().max(1) as i64 - 1;
        while number.max(last(self)).abs_diff(number.min(self.first)) >= BINS_MAX as u64 {
            self.widen();
            number = time_ns.div_euclid(self.width_ns);
        }
        if number < self.first {
            let before = (self.first - number) as usize;
            self.bins.splice(0..0, std::iter::repeat_n(Traffic::default(), before));
            self.first = number;
        }
        let index = (number - self.first) as usize;
        if self.bins.len() <= index {
            self.bins.resize(index + 1, Traffic::default());
        }
        self.bins[index].add(bytes);
    }

    /// Joins neighbours to bins of twice the width.
    fn widen(&mut self) {
        let first = self.first.div_euclid(2);
        let mut bins: Vec<Traffic> = Vec::with_capacity(self.bins.len() / 2 + 1);
        for (number, bin) in (self.first..).zip(&self.bins) {
            let index = (number.div_euclid(2) - first) as usize;
            if bins.len() <= index {
                bins.push(Traffic::default());
            }
            bins[index].join(*bin);
        }
        (self.first, self.bins) = (first, bins);
        // The range of an i64 has fewer than 2^44 milliseconds, which 35 doublings bring below the most bins.
        self.width_ns *= 2;
    }

    /// Width of a bin in seconds.
    pub fn width_seconds(&self) -> f64 {
        self.width_ns as f64 / 1e9
    }

    /// When the first bin begins, in nanoseconds since 1970.
    pub fn start_ns(&self) -> i64 {
        self.first.saturating_mul(self.width_ns)
    }

    /// All bins, in the order of time; those without packets too.
    pub fn bins(&self) -> &[Traffic] {
        &self.bins
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_packet_is_in_the_bin_of_its_time(times in prop::collection::vec(
            prop_oneof![any::<i64>(), 0..5_000_000_000i64, Just(i64::MIN), Just(i64::MAX)], 0..40,
        )) {
            let mut timeline = Timeline::new();
            for &time in &times {
                timeline.add(time, 10);
            }
            prop_assert!(timeline.bins().len() <= BINS_MAX);
            for (number, bin) in (timeline.first..).zip(timeline.bins()) {
                let inside = times.iter().filter(|time| time.div_euclid(timeline.width_ns) == number).count() as u64;
                prop_assert_eq!(*bin, Traffic { packets: inside, bytes: 10 * inside });
            }
            prop_assert_eq!(timeline.bins().iter().map(|bin| bin.packets).sum::<u64>(), times.len() as u64);
        }
    }

    #[test]
    fn bins_are_as_narrow_as_their_number_allows() {
        let mut timeline = Timeline::new();
        for millisecond in 0..1025 {
            timeline.add(millisecond * 1_000_000, 1);
        }
        assert_eq!((timeline.width_seconds(), timeline.bins().len(), timeline.start_ns()), (0.002, 513, 0));
    }
}
