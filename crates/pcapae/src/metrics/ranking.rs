//! How well scores rank the anomalous above the normal, whatever the threshold.

use crate::label::Label;

/// Scores from the highest down, with what flagging all down to each would catch.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    steps: Vec<Step>,
}

/// One distinct score, and what flagging everything from it up comes to. Equal scores are flagged together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The score.
    pub score: f64,
    /// Anomalous ones from it up.
    pub true_positives: u64,
    /// Normal ones from it up.
    pub false_positives: u64,
}

impl Step {
    /// How many are flagged.
    pub fn flagged(&self) -> u64 {
        self.true_positives + self.false_positives
    }

    /// Share of the flagged that are anomalous.
    pub fn precision(&self) -> f64 {
        self.true_positives as f64 / self.flagged() as f64
    }
}

impl Ranking {
    /// Ranks scores, which must not be NaN; unknown labels do not count.
    pub fn of(scored: impl IntoIterator<Item = (f64, Label)>) -> Ranking {
        let mut scored: Vec<(f64, bool)> = scored
            .into_iter()
            .filter(|(_, label)| *label != Label::Unknown)
            .map(|(score, label)| (score, label == Label::Anomalous))
            .collect();
        scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let (mut true_positives, mut false_positives) = (0, 0);
        let steps = scored.chunk_by(|a, b| a.0 == b.0).map(|equal| {
            let found = equal.iter().filter(|(_, anomalous)| *anomalous).count() as u64;
            true_positives += found;
            false_positives += equal.len() as u64 - found;
            Step { score: equal[0].0, true_positives, false_positives }
        });
        Ranking { steps: steps.collect() }
    }

    /// The distinct scores, from the highest down.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many are anomalous.
    pub fn anomalous(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.true_positives)
    }

    /// How many are normal.
    pub fn normal(&self) -> u64 {
        self.steps.last().map_or(0, |step| step.false_positives)
    }

    /// Share of the anomalous, which is the average precision of a random detector; `None` if there are no scores.
    pub fn base_rate(&self) -> Option<f64> {
        self.steps.last().map(Step::precision)
    }

    /// Area under the precision-recall curve as average precision: Σₙ (Rₙ − Rₙ₋₁) Pₙ over the distinct scores, from the highest down.
    ///
    /// A random detector scores the base rate, a perfect one 1. This is scikit-learn's `average_precision_score`, without interpolation.
    /// `None` if nothing is anomalous.
    pub fn average_precision(&self) -> Option<f64> {
        let anomalous = self.anomalous();
        let mut found = 0;
        let each = self.steps.iter().map(|step| {
            let newly_found = step.true_positives - found;
            found = step.true_positives;
            newly_found as f64 * step.precision()
        });
        (anomalous > 0).then(|| each.sum::<f64>() / anomalous as f64)
    }

    /// Area under the curve of recall over the false-positive rate: the probability that an anomalous one scores higher than a normal one,
    /// ties counting half (Mann and Whitney, 1947).
    ///
    /// A random detector scores ½, a perfect one 1, one of opposite sign 0. This is scikit-learn's `roc_auc_score`. `None` if
    /// nothing is anomalous, or nothing normal.
    pub fn roc_auc(&self) -> Option<f64> {
        let (anomalous, normal) = (self.anomalous(), self.normal());
        let (mut found, mut falsely, mut doubled) = (0, 0, 0u128);
        for step in &self.steps {
            doubled += u128::from(step.false_positives - falsely) * u128::from(step.true_positives + found);
            (found, falsely) = (step.true_positives, step.false_positives);
        }
        (anomalous > 0 && normal > 0).then(|| doubled as f64 / 2.0 / (anomalous as f64 * normal as f64))
    }

    /// Recall and precision of flagging everything from each distinct score up, from the highest down; empty if nothing is anomalous.
    pub fn precision_recall_curve(&self) -> Vec<(f64, f64)> {
        let anomalous = self.anomalous();
        if anomalous == 0 {
            return Vec::new();
        }
        self.steps.iter().map(|step| (step.true_positives as f64 / anomalous as f64, step.precision())).collect()
    }

    /// False-positive rate and recall, from (0, 0) for flagging nothing, then from the highest distinct score down; empty if nothing
    /// is anomalous, or nothing normal.
    pub fn roc_curve(&self) -> Vec<(f64, f64)> {
        let (anomalous, normal) = (self.anomalous(), self.normal());
        if anomalous == 0 || normal == 0 {
            return Vec::new();
        }
        let rates =
            |step: &Step| (step.false_positives as f64 / normal as f64, step.true_positives as f64 / anomalous as f64);
        [(0.0, 0.0)].into_iter().chain(self.steps.iter().map(rates)).collect()
    }
}

/// The [average precision](Ranking::average_precision) of scores, which must not be NaN; unknown labels do not count.
pub fn average_precision(scored: impl IntoIterator<Item = (f32, Label)>) -> Option<f64> {
    Ranking::of(scored.into_iter().map(|(score, label)| (score.into(), label))).average_precision()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Anomalous, Normal, Unknown};
    use proptest::prelude::*;

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

    /// All pairs of an anomalous and a normal one.
    fn auc_by_pairs(scored: &[(f64, Label)]) -> Option<f64> {
        let of = |label| scored.iter().filter(move |scored| scored.1 == label).map(|scored| scored.0);
        let won = |a: f64, b: f64| {
            if a > b {
                1.0
            } else if a == b {
                0.5
            } else {
                0.0
            }
        };
        let pairs: Vec<f64> = of(Anomalous).flat_map(|a| of(Normal).map(move |b| won(a, b))).collect();
        (!pairs.is_empty()).then(|| pairs.iter().sum::<f64>() / pairs.len() as f64)
    }

    proptest! {
        #[test]
        fn the_area_under_the_roc_curve_is_the_share_of_pairs_in_the_right_order(
            scored in prop::collection::vec((0..12i8, 0..3usize), 0..60)
        ) {
            let label = |index: usize| [Anomalous, Normal, Unknown][index];
            let scored: Vec<_> = scored.into_iter().map(|(score, index)| (f64::from(score), label(index))).collect();
            let ranking = Ranking::of(scored.iter().copied());
            match (ranking.roc_auc(), auc_by_pairs(&scored)) {
                (Some(area), Some(expected)) => {
                    prop_assert!((area - expected).abs() < 1e-12);
                    // And it is the area under the points of the curve.
                    let points = ranking.roc_curve();
                    let trapezoids = points.windows(2).map(|ends| (ends[1].0 - ends[0].0) * (ends[1].1 + ends[0].1) / 2.0);
                    prop_assert!((trapezoids.sum::<f64>() - expected).abs() < 1e-12);
                }
                (area, expected) => prop_assert_eq!(area, expected),
            }
        }
    }

    #[test]
    fn perfect_random_and_inverted_scores() {
        let perfect: Vec<(f64, Label)> =
            (0..100).map(|i| (f64::from(i), if i < 80 { Normal } else { Anomalous })).collect();
        let of = |score: fn(f64) -> f64| Ranking::of(perfect.iter().map(move |&(x, label)| (score(x), label)));
        assert_eq!((of(|x| x).roc_auc(), of(|x| x).average_precision()), (Some(1.0), Some(1.0)));
        assert_eq!((of(|_| 3.0).roc_auc(), of(|_| 3.0).average_precision()), (Some(0.5), Some(0.2)));
        assert_eq!(of(|x| -x).roc_auc(), Some(0.0));
        assert_eq!(of(|x| x).base_rate(), Some(0.2));
        assert_eq!(of(|x| x).precision_recall_curve()[19], (1.0, 1.0));
    }
}
