//! The volume under the surface of precision and recall over buffers around anomalies, which tolerates alerts that are a little early or late.

use std::ops::Range;

use rayon::prelude::*;

use crate::label::Label;

/// VUS-PR: the mean, over buffers ℓ = 0, 1, …, `buffer_max`, of the area under the range-aware precision-recall curve. Higher is better.
///
/// `scored` are rows in the order of time; those of unknown label are left out first. Scores must not be NaN. For a buffer ℓ, a row at distance
/// d ≤ ⌊ℓ/2⌋ from the nearest anomalous row has the label √(1 − d/ℓ), an anomalous one 1, any other 0. With S the flagged rows:
///
/// * precision = Σ_S label / |S|,
/// * recall = min(1, Σ_S label / P) · (share of the runs of labels above 0 with a flagged row), P = mean of Σ label without and with buffer,
/// * area = Σₖ (Rₖ − Rₖ₋₁) Pₖ over all distinct scores, from the highest down, as in average precision.
///
/// A perfect detector scores 1 with no buffer, and less than that with one, the less the shorter the anomalies are: compare a detector's
/// value with that of the labels used as scores. `None` if nothing is anomalous.
///
/// # Source
/// Paparrizos, Boniol, Palpanas, Tsay, Elmore, Franklin: *Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series
/// Anomaly Detection*, 2022. The authors' program takes 250 thresholds and trapezoids, adds up the buffers of neighbouring anomalies,
/// and lets a buffer after an anomaly be one row shorter than the one before; the values differ a little.
pub fn volume_under_precision_recall(scored: &[(f64, Label)], buffer_max: usize) -> Option<f64> {
    let known: Vec<(f64, Label)> = scored.iter().copied().filter(|(_, label)| *label != Label::Unknown).collect();
    let runs = runs(&known);
    if runs.is_empty() {
        return None;
    }
    let order = Order::of(&known);
    let areas: Vec<f64> = (0..=buffer_max).into_par_iter().map(|buffer| area(&order, &runs, buffer)).collect();
    Some(areas.iter().sum::<f64>() / areas.len() as f64)
}

/// Runs of anomalous rows.
fn runs(known: &[(f64, Label)]) -> Vec<Range<usize>> {
    let mut start = 0;
    let runs = known.chunk_by(|a, b| a.1 == b.1).filter_map(|run| {
        let range = start..start + run.len();
        start = range.end;
        (run[0].1 == Label::Anomalous).then_some(range)
    });
    runs.collect()
}

/// Which of the distinct scores, from the highest down, each row has.
struct Order {
    step_of: Vec<u32>,
    /// How many rows are flagged from each distinct score up.
    flagged: Vec<u64>,
}

impl Order {
    fn of(known: &[(f64, Label)]) -> Order {
        let mut rows: Vec<usize> = (0..known.len()).collect();
        rows.sort_unstable_by(|&a, &b| known[b].0.total_cmp(&known[a].0));
        let mut order = Order { step_of: vec![0; known.len()], flagged: Vec::new() };
        let mut flagged = 0;
        for equal in rows.chunk_by(|&a, &b| known[a].0 == known[b].0) {
            for &row in equal {
                order.step_of[row] = order.flagged.len() as u32;
            }
            flagged += equal.len() as u64;
            order.flagged.push(flagged);
        }
        order
    }
}

/// The area under the curve for one buffer. Only rows with a label above 0 change precision times recall, so only they are looked at.
fn area(order: &Order, runs: &[Range<usize>], buffer: usize) -> f64 {
    let reach = buffer / 2;
    let rows = order.step_of.len();
    let mut labels: Vec<(u32, f64)> = Vec::new();
    // Of each run of labels above 0, the highest score.
    let mut first_steps: Vec<u32> = Vec::new();
    let mut end_before = 0;
    for (index, run) in runs.iter().enumerate() {
        let start = run.start.saturating_sub(reach).max(end_before);
        let next = runs.get(index + 1).map_or(usize::MAX, |next| next.start);
        let end = (run.end + reach).min(rows).min(next);
        let is_new = index == 0 || start > end_before;
        let mut first = if is_new { u32::MAX } else { first_steps.pop().unwrap_or(u32::MAX) };
        for row in start..end {
            let after = if row >= run.end { row + 1 - run.end } else { run.start.saturating_sub(row) };
            let distance = after.min(next.saturating_sub(row));
            let label = if distance == 0 { 1.0 } else { (1.0 - distance as f64 / buffer as f64).sqrt() };
            labels.push((order.step_of[row], label));
            first = first.min(order.step_of[row]);
        }
        first_steps.push(first);
        end_before = end;
    }
    labels.sort_unstable_by_key(|(step, _)| *step);
    first_steps.sort_unstable();

    let anomalous: usize = runs.iter().map(Range::len).sum();
    let positive = (anomalous as f64 + labels.iter().map(|(_, label)| label).sum::<f64>()) / 2.0;
    let (mut caught, mut met, mut recall, mut area) = (0.0, 0, 0.0, 0.0);
    for equal in labels.chunk_by(|a, b| a.0 == b.0) {
        let step = equal[0].0;
        caught += equal.iter().map(|(_, label)| label).sum::<f64>();
        while first_steps.get(met).is_some_and(|first| *first <= step) {
            met += 1;
        }
        let recall_now = (caught / positive).min(1.0) * met as f64 / first_steps.len() as f64;
        area += (recall_now - recall) * caught / order.flagged[step as usize] as f64;
        recall = recall_now;
    }
    area
}

#[cfg(test)]
mod tests {
    use super::super::Ranking;
    use super::*;
    use Label::{Anomalous, Normal, Unknown};
    use proptest::prelude::*;

    fn label(buffer: usize, row: usize, known: &[(f64, Label)]) -> f64 {
        let distances = (0..known.len()).filter(|&i| known[i].1 == Anomalous).map(|i| i.abs_diff(row));
        match distances.min() {
            Some(0) => 1.0,
            Some(distance) if distance <= buffer / 2 => (1.0 - distance as f64 / buffer as f64).sqrt(),
            _ => 0.0,
        }
    }

    /// The definition, threshold by threshold, every sum anew.
    fn by_definition(scored: &[(f64, Label)], buffer_max: usize) -> Option<f64> {
        let known: Vec<_> = scored.iter().copied().filter(|row| row.1 != Unknown).collect();
        let anomalous = known.iter().filter(|row| row.1 == Anomalous).count() as f64;
        let mut thresholds: Vec<f64> = known.iter().map(|row| row.0).collect();
        thresholds.sort_by(|a, b| b.total_cmp(a));
        thresholds.dedup();
        let mut volume = 0.0;
        for buffer in 0..=buffer_max {
            let labels: Vec<f64> = (0..known.len()).map(|row| label(buffer, row, &known)).collect();
            let mut segments: Vec<Vec<usize>> = Vec::new();
            for row in (0..known.len()).filter(|&row| labels[row] > 0.0) {
                match segments.last_mut() {
                    Some(last) if last.last() == Some(&(row - 1)) => last.push(row),
                    _ => segments.push(vec![row]),
                }
            }
            let positive = (anomalous + labels.iter().sum::<f64>()) / 2.0;
            let mut before = 0.0;
            for threshold in &thresholds {
                let flagged = |row: &usize| known[*row].0 >= *threshold;
                let caught: f64 = (0..known.len()).filter(flagged).map(|row| labels[row]).sum();
                let met = segments.iter().filter(|segment| segment.iter().any(flagged)).count() as f64;
                let recall = (caught / positive).min(1.0) * met / segments.len() as f64;
                volume += (recall - before) * caught / (0..known.len()).filter(flagged).count() as f64;
                before = recall;
            }
        }
        (anomalous > 0.0).then_some(volume / (buffer_max + 1) as f64)
    }

    proptest! {
        #[test]
        fn the_volume_is_that_of_the_definition(
            scored in prop::collection::vec((0..9i8, 0..12usize), 0..60), buffer_max in 0..20usize,
        ) {
            let label = |index: usize| [Anomalous, Anomalous, Unknown].get(index).copied().unwrap_or(Normal);
            let scored: Vec<_> = scored.into_iter().map(|(score, index)| (f64::from(score), label(index))).collect();
            match (volume_under_precision_recall(&scored, buffer_max), by_definition(&scored, buffer_max)) {
                (Some(volume), Some(expected)) => prop_assert!((volume - expected).abs() < 1e-9, "{} {}", volume, expected),
                (volume, expected) => prop_assert_eq!(volume, expected),
            }
        }
    }

    fn of(score: impl Fn(usize, Label) -> f64, buffer_max: usize) -> f64 {
        let label = |row: usize| if (100..140).contains(&row) { Anomalous } else { Normal };
        let scored: Vec<_> = (0..400).map(|row| (score(row, label(row)), label(row))).collect();
        volume_under_precision_recall(&scored, buffer_max).unwrap()
    }

    #[test]
    fn a_perfect_detector_scores_1_without_buffer_and_nearly_so_with_one() {
        let perfect = |_, label| if label == Anomalous { 1.0 } else { 0.0 };
        assert_eq!(of(perfect, 0), 1.0);
        assert!((0.9..1.0).contains(&of(perfect, 10)), "{}", of(perfect, 10));
    }

    #[test]
    fn equal_scores_score_the_base_rate_without_buffer() {
        assert!((of(|_, _| 1.0, 0) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn a_late_detector_loses_less_with_a_buffer() {
        let late = |row, _| if (104..144).contains(&row) { 1.0 } else { 0.0 };
        let scored =
            (0..400).map(|row| (late(row, Normal), if (100..140).contains(&row) { Anomalous } else { Normal }));
        assert!(of(late, 0) <= Ranking::of(scored).average_precision().unwrap());
        assert!(of(late, 20) > of(late, 0));
    }

    #[test]
    fn without_anomalies_it_is_undefined() {
        assert_eq!(volume_under_precision_recall(&[(1.0, Normal), (2.0, Unknown)], 5), None);
    }
}
