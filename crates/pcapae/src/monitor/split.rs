//! Which packets of the captures teach what: four parts, in the order of time.

use serde::{Deserialize, Serialize};

/// Percentage of the packets, from the front, that the detectors are fitted to.
const TRAINING_PERCENT: u64 = 60;
/// Percentage of the packets, after those, that decide when to stop and by which scores are standardised.
const VALIDATION_PERCENT: u64 = 10;
/// Percentage of the packets, after those, that make the scores of each detector p-values. The rest, 20 %, calibrates what the
/// detectors say together, and so the false-alarm rate; it is more because a rate of 1 in 1,000 takes many packets.
const CALIBRATION_PERCENT: u64 = 10;

/// The parts, by the numbers of their last packets; what follows the last one calibrates the detectors together.
///
/// A later part is normal traffic that no earlier step has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Detectors are fitted to packets up to this one.
    pub training_end: u64,
    /// Packets up to this one decide when to stop, and standardise.
    pub validation_end: u64,
    /// Packets up to this one calibrate each detector.
    pub calibration_end: u64,
}

impl Split {
    /// Of captures with so many packets.
    pub(super) fn of(packets: u64) -> Split {
        let percent = |percent: u64| packets * percent / 100;
        Split {
            training_end: percent(TRAINING_PERCENT),
            validation_end: percent(TRAINING_PERCENT + VALIDATION_PERCENT),
            calibration_end: percent(TRAINING_PERCENT + VALIDATION_PERCENT + CALIBRATION_PERCENT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_packets_are_held_back() {
        let split = Split::of(1000);
        assert_eq!((split.training_end, split.validation_end, split.calibration_end), (600, 700, 800));
    }
}
