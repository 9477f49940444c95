//! Several detectors as one: Fisher's sum of their p-values.

use super::Conformal;

/// Detectors whose scores are made p-values, added, and the sum made a p-value again.
///
/// The statistic is X = −2 Σ ln p over the detectors. If they were independent, X would follow χ² with 2k degrees of freedom; they
/// look at the same packet and are not, so X is calibrated on held-back normal traffic, on which no detector was calibrated.
///
/// # Source
/// Fisher: *Statistical Methods for Research Workers*, 1925, §21.1 (in the 4th edition, 1932).
#[derive(Debug, Clone, PartialEq)]
pub struct Combination {
    detectors: Vec<Conformal>,
    sum: Conformal,
}

impl Combination {
    /// Calibrates the sum on scores of normal traffic, for each packet those of all detectors, in the detectors' order; `None` without
    /// packets.
    pub fn calibrate<'a>(
        detectors: Vec<Conformal>,
        packets: impl Iterator<Item = &'a [Option<f64>]>,
    ) -> Option<Combination> {
        let sums = packets.map(|scores| statistic(&shares_of(&detectors, scores)));
        let sum = Conformal::calibrate(sums.collect())?;
        Some(Combination { detectors, sum })
    }

    /// A combination that was calibrated before.
    pub fn of(detectors: Vec<Conformal>, sum: Conformal) -> Combination {
        Combination { detectors, sum }
    }

    /// The calibrations of the detectors.
    pub fn detectors(&self) -> &[Conformal] {
        &self.detectors
    }

    /// The calibration of their sum.
    pub fn sum(&self) -> &Conformal {
        &self.sum
    }

    /// What each detector adds to the sum: −2 ln p, with a tail beyond its highest calibration score; 0 where it gives no score.
    pub fn shares(&self, scores: &[Option<f64>]) -> Vec<f64> {
        shares_of(&self.detectors, scores)
    }

    /// −ln of the combined p-value of a packet with these shares.
    pub fn surprise(&self, shares: &[f64]) -> f64 {
        self.sum.surprise(statistic(shares))
    }

    /// The same for one of the packets that the sum was calibrated on, as if the others were all.
    pub fn surprise_left_out(&self, shares: &[f64]) -> f64 {
        self.sum.surprise_left_out(statistic(shares))
    }
}

fn shares_of(detectors: &[Conformal], scores: &[Option<f64>]) -> Vec<f64> {
    let share =
        |(detector, score): (&Conformal, &Option<f64>)| score.map_or(0.0, |score| 2.0 * detector.surprise(score));
    detectors.iter().zip(scores).map(share).collect()
}

fn statistic(shares: &[f64]) -> f64 {
    shares.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn uniform(rng: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
        (0..count).map(|_| rng.random_range(0.0..1.0)).collect()
    }

    #[test]
    fn the_sum_is_fishers_and_its_p_value_is_counted() {
        let detectors: Vec<Conformal> =
            [vec![1.0, 2.0, 3.0], vec![10.0, 20.0]].into_iter().filter_map(Conformal::calibrate).collect();
        let packets = [[1.0, 10.0], [3.0, 10.0], [2.0, 20.0]].map(|scores| scores.map(Some));
        let combination = Combination::calibrate(detectors, packets.iter().map(|packet| &packet[..])).unwrap();
        // p of 3 among 1, 2, 3 is 2/4; of 10 among 10, 20 it is 3/3.
        let shares = combination.shares(&[Some(3.0), Some(10.0)]);
        assert!((shares[0] - 2.0 * 2f64.ln()).abs() < 1e-12 && shares[1] == 0.0, "{shares:?}");
        // Sums of the three packets: 0, 2 ln 2, −2 ln(3/4 · 2/3): the last two are equal, up to rounding.
        let p = (-combination.surprise(&combination.shares(&[Some(1.0), Some(10.0)]))).exp();
        assert!((p - 1.0).abs() < 1e-12, "{p}");
    }

    #[test]
    fn dependent_detectors_keep_their_promise_all_the_same() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        // Two detectors that always agree: Fisher's χ² would be far too sure.
        let detector = Conformal::calibrate(uniform(&mut rng, 2000)).unwrap();
        let packets: Vec<[Option<f64>; 2]> =
            uniform(&mut rng, 2000).into_iter().map(|score| [Some(score); 2]).collect();
        let combination =
            Combination::calibrate(vec![detector.clone(), detector], packets.iter().map(|packet| &packet[..])).unwrap();
        let new = uniform(&mut rng, 20_000);
        let alarms =
            new.iter().filter(|&&score| combination.surprise(&combination.shares(&[Some(score); 2])) >= -0.01f64.ln());
        let rate = alarms.count() as f64 / new.len() as f64;
        assert!((0.005..0.02).contains(&rate), "{rate}");
    }
}
