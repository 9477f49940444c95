//! How well scores rank the anomalous above the normal, whatever the threshold.

use crate::label::Label;

/// Area under the precision-recall curve as average precision: Σₙ (Rₙ − Rₙ₋₁) Pₙ over the distinct scores, from the highest down.
///
/// Precision Pₙ and recall Rₙ are those of flagging every score from the n-th distinct one up; equal scores are flagged together.
/// A random detector scores the base rate, a perfect one 1. This is scikit-learn's `average_precision_score`, without interpolation.
/// `None` if no label is anomalous; unknown labels do not count. Takes scores without NaN.
pub fn average_precision(scored: impl IntoIterator<Item = (f32, Label)>) -> Option<f64> {
    let mut scored: Vec<(f32, bool)> = scored
        .into_iter()
        .filter(|(_, label)| *label != Label::Unknown)
        .map(|(score, label)| (score, label == Label::Anomalous))
        .collect();
    let anomalous = scored.iter().filter(|(_, anomalous)| *anomalous).count();
    if anomalous == 0 {
        return None;
    }
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));

    let (mut flagged, mut found, mut area) = (0, 0, 0.0);
    for equal in scored.chunk_by(|a, b| a.0 == b.0) {
        let newly_found = equal.iter().filter(|(_, anomalous)| *anomalous).count();
        flagged += equal.len();
        found += newly_found;
        area += newly_found as f64 / anomalous as f64 * (found as f64 / flagged as f64);
    }
    Some(area)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Anomalous, Normal, Unknown};

    #[test]
    fn a_perfect_ranking_scores_1_and_unknown_labels_do_not_count() {
        assert_eq!(average_precision([(0.9, Anomalous), (0.95, Unknown), (0.1, Normal), (0.2, Normal)]), Some(1.0));
    }

    #[test]
    fn equal_scores_for_all_score_the_base_rate() {
        assert_eq!(average_precision([(0.5, Anomalous), (0.5, Normal), (0.5, Normal), (0.5, Normal)]), Some(0.25));
    }

    /// `sklearn.metrics.average_precision_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])` is 0.8333…
    #[test]
    fn the_example_of_scikit_learn() {
        let area = average_precision([(0.1, Normal), (0.4, Normal), (0.35, Anomalous), (0.8, Anomalous)]).unwrap();
        assert!((area - 5.0 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn without_anomalies_it_is_undefined() {
        assert_eq!(average_precision([(0.5, Normal)]), None);
    }
}
