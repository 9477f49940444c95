//! How tightly a score encloses the data, without labels: excess mass and mass volume.
//!
//! A row is enclosed at the level u if its score is at most u. The mass P(u) is the share of the data that is enclosed, the volume V(u) the share of
//! points drawn evenly from the box around the data. A good score encloses much mass in little volume.
//!
//! # Source
//! Goix: *How to Evaluate the Quality of Unsupervised Anomaly Detection Algorithms?*, ICML Anomaly Detection Workshop 2016.

/// The excess mass is looked at while it is above this, as in the paper.
const EXCESS_MASS_MIN: f64 = 0.9;
/// And for weights of the volume up to this: a score that encloses the mass in no measurable volume has no end of its own.
const WEIGHT_MAX: f64 = 100.0;
/// The masses whose volume is looked at, as in the paper.
const MASSES: [f64; 2] = [0.9, 0.999];

/// Area under the excess mass: ∫ EM(t) dt from t = 0 to where EM(t) = 0.9 or t = 100, with EM(t) = maxᵤ (P(u) − t·V(u)).
///
/// Higher is better; from 0 to 100. `scores` are those of the data, `of_points` those of points drawn evenly from the box around it; a higher
/// score is more anomalous. The integral is exact: EM is piecewise linear. `None` without scores or points.
pub fn excess_mass(scores: &[f64], of_points: &[f64]) -> Option<f64> {
    // The levels that no other beats for any t, from the least volume to the most.
    let mut best: Vec<(f64, f64)> = Vec::new();
    for (mass, volume) in levels(scores, of_points)? {
        let slope = |a: (f64, f64), b: (f64, f64)| (b.0 - a.0) / (b.1 - a.1);
        while let Some(&last) = best.last() {
            let beaten = match best.len() {
                _ if last.1 == volume => true,
                1 => false,
                n => slope(best[n - 2], last) <= slope(last, (mass, volume)),
            };
            if !beaten {
                break;
            }
            best.pop();
        }
        best.push((mass, volume));
    }
    let (mut area, mut weight) = (0.0, 0.0);
    for i in (0..best.len()).rev() {
        let (mass, volume) = best[i];
        let next = match i.checked_sub(1).map(|i| best[i]) {
            Some((mass_below, volume_below)) => (mass - mass_below) / (volume - volume_below),
            None => WEIGHT_MAX,
        };
        let ends = if volume > 0.0 { (mass - EXCESS_MASS_MIN) / volume } else { f64::INFINITY };
        let end = next.min(ends).min(WEIGHT_MAX).max(weight);
        // Where nothing is enclosed, the excess mass is 0 and no longer looked at.
        if mass >= EXCESS_MASS_MIN {
            area += (end - weight) * (mass - volume * (weight + end) / 2.0);
        }
        if end < next || end == WEIGHT_MAX {
            break;
        }
        weight = end;
    }
    Some(area)
}

/// Mean volume that encloses a mass from 0.9 to 0.999: ∫ MV(α) dα / 0.099 with MV(α) = min {V(u): P(u) ≥ α}.
///
/// Lower is better; from 0 to 1. The integral is exact: MV is a step function. `None` without scores or points.
pub fn mass_volume(scores: &[f64], of_points: &[f64]) -> Option<f64> {
    let (mut before, mut area) = (0.0, 0.0);
    for (mass, volume) in levels(scores, of_points)? {
        let [from, to] = MASSES;
        area += volume * (f64::min(mass, to) - f64::max(before, from)).max(0.0);
        before = mass;
    }
    Some(area / (MASSES[1] - MASSES[0]))
}

/// Mass and volume enclosed at each distinct score, from the lowest.
fn levels(scores: &[f64], of_points: &[f64]) -> Option<Vec<(f64, f64)>> {
    if scores.is_empty() || of_points.is_empty() {
        return None;
    }
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (scores, points) = (sorted(scores), sorted(of_points));
    let (mut mass, mut volume) = (0, 0);
    let level = |equal: &[f64]| {
        mass += equal.len();
        while points.get(volume).is_some_and(|point| *point <= equal[0]) {
            volume += 1;
        }
        (mass as f64 / scores.len() as f64, volume as f64 / points.len() as f64)
    };
    Some(scores.chunk_by(|a, b| a == b).map(level).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn share_up_to(level: f64, of: &[f64]) -> f64 {
        of.iter().filter(|value| **value <= level).count() as f64 / of.len() as f64
    }

    /// The paper's formula at one t.
    fn excess_at(t: f64, scores: &[f64], points: &[f64]) -> f64 {
        scores.iter().map(|&u| share_up_to(u, scores) - t * share_up_to(u, points)).fold(0.0, f64::max)
    }

    /// By steps of t.
    fn excess_by_steps(scores: &[f64], points: &[f64]) -> f64 {
        let step = 0.01;
        let excess = (0..10_000).map(|i| excess_at((f64::from(i) + 0.5) * step, scores, points));
        excess.take_while(|excess| *excess >= EXCESS_MASS_MIN).map(|excess| excess * step).sum()
    }

    fn volume_by_steps(scores: &[f64], points: &[f64]) -> f64 {
        let volume = |i: i32| {
            let mass = 0.9 + 0.099 * (f64::from(i) + 0.5) / 2000.0;
            let enough = scores.iter().filter(|&&u| share_up_to(u, scores) >= mass);
            enough.map(|&u| share_up_to(u, points)).fold(f64::INFINITY, f64::min)
        };
        (0..2000).map(volume).sum::<f64>() / 2000.0
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn both_are_what_the_formulas_give(
            scores in prop::collection::vec(0i8..12, 1..30), points in prop::collection::vec(0i8..14, 1..20),
        ) {
            let [scores, points] = [scores, points].map(|values| values.into_iter().map(f64::from).collect::<Vec<_>>());
            let area = excess_mass(&scores, &points).unwrap();
            let expected = excess_by_steps(&scores, &points);
            prop_assert!((area - expected).abs() < 0.02, "{} {}", area, expected);
            let volume = mass_volume(&scores, &points).unwrap();
            prop_assert!((volume - volume_by_steps(&scores, &points)).abs() < 0.002);
        }
    }

    #[test]
    fn enclosing_the_data_in_less_volume_is_better() {
        let data: Vec<f64> = (0..1000).map(f64::from).collect();
        let [tight, loose, none]: [Vec<f64>; 3] =
            [990.0, 500.0, -1.0].map(|start| (0..1000).map(|i| start + f64::from(i) * 3.0).collect());
        assert!(excess_mass(&data, &tight) > excess_mass(&data, &loose));
        assert!(mass_volume(&data, &tight) < mass_volume(&data, &loose));
        assert!(excess_mass(&data, &none) < excess_mass(&data, &loose));
        assert_eq!(excess_mass(&data, &[2000.0]), Some(100.0));
        assert_eq!(mass_volume(&data, &[2000.0]), Some(0.0));
        assert_eq!(mass_volume(&[1.0; 5], &[1.0; 3]), Some(1.0));
        assert_eq!((excess_mass(&[], &[1.0]), mass_volume(&[1.0], &[])), (None, None));
    }
}
