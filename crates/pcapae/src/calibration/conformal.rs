//! From scores to p-values: how many normal scores are as high.

/// Share of the calibration scores, the highest, that say how fast the tail falls.
const TAIL_SHARE: f64 = 0.1;

/// Scores of held-back normal traffic, by which new scores become p-values.
#[derive(Debug, Clone, PartialEq)]
pub struct Conformal {
    /// Ascending, at least one.
    scores: Vec<f64>,
    /// Mean excess of the highest tenth over the scores below them.
    scale: f64,
}

impl Conformal {
    /// Calibrates on scores of normal traffic; `None` if there are none. Scores are finite.
    pub fn calibrate(mut scores: Vec<f64>) -> Option<Conformal> {
        scores.sort_unstable_by(f64::total_cmp);
        let scale = tail_scale(&scores)?;
        Some(Conformal { scores, scale })
    }

    /// The calibration scores, ascending.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// The conformal p-value, p = (1 + #{calibration ≥ score}) / (n + 1), above 0, at most 1.
    ///
    /// For a normal score that is exchangeable with the calibration scores, p ≤ α has a probability of at most α.
    ///
    /// # Source
    /// Vovk, Gammerman, Shafer: *Algorithmic Learning in a Random World*, 2005 (inductive conformal prediction).
    pub fn p_value(&self, score: f64) -> f64 {
        let as_high = self.scores.len() - self.below(score);
        (1 + as_high) as f64 / (self.scores.len() + 1) as f64
    }

    /// −ln p, in nats, and more for scores above all calibration scores, so that they keep their order.
    ///
    /// All scores above the highest, m, have the p-value 1 / (n + 1). Here they get −ln p + ln(1 + (score − m) / scale): the tail of a generalised
    /// Pareto distribution of shape 1, whose scale is the mean excess of the highest tenth. The shape is a choice, the
    /// cautious one: n scores say nothing about probabilities far below 1/n, and with a heavy tail one
    /// detector that is far out does not outvote all others. Only ranks beyond 1 / (n + 1) depend on it.
    ///
    /// # Source
    /// Excess over a high threshold: Pickands, *Statistical Inference Using Extreme Order Statistics*, Annals of Statistics 1975.
    pub fn surprise(&self, score: f64) -> f64 {
        let highest = self.scores.last().copied().unwrap_or(score);
        // Of p = 1, −ln p is −0.
        tail(-self.p_value(score).ln() + 0.0, score - highest, self.scale)
    }

    /// [`surprise`](Self::surprise) of one of the calibration scores, as if the others were all.
    pub fn surprise_left_out(&self, score: f64) -> f64 {
        let n = self.scores.len();
        let [.., before, highest] = self.scores[..] else { return 0.0 };
        // It is one of those that are as high, and takes the place of the one that is added.
        let p = (n - self.below(score)).max(1) as f64 / n as f64;
        let highest_other = if score < highest { highest } else { before };
        tail(-p.ln(), score - highest_other, self.scale)
    }

    /// How many calibration scores are below `score`.
    fn below(&self, score: f64) -> usize {
        self.scores.partition_point(|&other| other < score)
    }
}

fn tail(surprise: f64, excess: f64, scale: f64) -> f64 {
    if excess > 0.0 { surprise + (excess / scale).ln_1p() } else { surprise }
}

/// Mean excess of the highest tenth over the highest score below them; where that is 0, the standard deviation, and where all scores
/// are equal, 1. `None` without scores.
fn tail_scale(ascending: &[f64]) -> Option<f64> {
    let n = ascending.len();
    let above = (n as f64 * TAIL_SHARE).ceil() as usize;
    let base = *ascending.get((n - above).saturating_sub(1))?;
    let mean = |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
    let excess = mean(&mut ascending[n - above..].iter().map(|score| score - base), above);
    let centre = mean(&mut ascending.iter().copied(), n);
    let deviation = mean(&mut ascending.iter().map(|score| (score - centre).powi(2)), n).sqrt();
    let usable = |scale: &f64| scale.is_finite() && *scale > 0.0;
    Some([excess, deviation].into_iter().find(usable).unwrap_or(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn calibrated(scores: &[f64]) -> Conformal {
        Conformal::calibrate(scores.to_vec()).unwrap()
    }

    #[test]
    fn the_p_value_counts_what_is_as_high() {
        let conformal = calibrated(&[3.0, 1.0, 2.0, 2.0]);
        assert_eq!(
            [0.0, 1.0, 1.5, 2.0, 3.0, 3.1].map(|score| conformal.p_value(score)),
            [1.0, 1.0, 0.8, 0.8, 0.4, 0.2]
        );
        assert_eq!(Conformal::calibrate(Vec::new()), None);
    }

    #[test]
    fn beyond_the_highest_the_order_is_kept_and_below_it_is_the_p_value() {
        let conformal = calibrated(&(0..100).map(f64::from).collect::<Vec<_>>());
        assert_eq!(conformal.surprise(50.0), -conformal.p_value(50.0).ln());
        // The highest tenth, 90 to 99, exceeds 89 by 5.5 on average.
        assert!((conformal.surprise(99.0 + 5.5) - 101f64.ln() - 2f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn equal_scores_calibrate_too() {
        let conformal = calibrated(&[2.0; 5]);
        assert_eq!(conformal.surprise(2.0), 0.0);
        assert!((conformal.surprise(3.0) - 6f64.ln() - 2f64.ln()).abs() < 1e-12);
        assert_eq!(calibrated(&[2.0]).surprise_left_out(2.0), 0.0);
    }

    proptest! {
        #[test]
        fn higher_scores_are_never_less_surprising_and_beyond_the_highest_more(
            scores in prop::collection::vec(0i32..50, 1..60), a in 0i32..100, b in 0i32..100,
        ) {
            let conformal = calibrated(&scores.iter().map(|&score| score.into()).collect::<Vec<_>>());
            let (low, high) = (f64::from(a.min(b)), f64::from(a.max(b)));
            prop_assert!(conformal.surprise(low) <= conformal.surprise(high));
            prop_assert!(conformal.surprise(high) >= -conformal.p_value(high).ln());
            if low > f64::from(*scores.iter().max().unwrap()) && low < high {
                prop_assert!(conformal.surprise(low) < conformal.surprise(high));
            }
        }

        #[test]
        fn a_score_left_out_is_judged_by_the_others(scores in prop::collection::vec(0i32..50, 2..60), at: usize) {
            let scores: Vec<f64> = scores.iter().map(|&score| score.into()).collect();
            let at = at % scores.len();
            let conformal = calibrated(&scores);
            let mut others = scores.clone();
            others.remove(at);
            let others = calibrated(&others);
            let expected = tail(
                -others.p_value(scores[at]).ln(), scores[at] - others.scores.last().unwrap(), conformal.scale,
            );
            prop_assert!((conformal.surprise_left_out(scores[at]) - expected).abs() < 1e-12);
        }
    }
}
