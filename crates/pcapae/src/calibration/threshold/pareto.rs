//! The tail of scores as a generalised Pareto distribution, to look beyond the highest score seen.

use crate::numeric::quantile;

/// Scores above this quantile are the tail, as in Siffer et al., 2017.
const TAIL_QUANTILE: f64 = 0.98;
/// Fewer scores in the tail than this say nothing of its shape.
const TAIL_MIN: usize = 10;
/// Below this shape, estimates of greatest likelihood do not exist or are not regular (Smith, 1985).
const SHAPE_MIN: f64 = -0.5;
/// Places at which the likelihood is looked at before the best of them is refined.
const PLACES: usize = 800;

/// Why scores have no tail, or the tail no such score.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TailError {
    /// There is no score.
    #[error("there is none")]
    NoScores,
    /// Too few scores for a tail.
    #[error("only {tail} of {scores} exceed their 98 % quantile, and a tail needs {TAIL_MIN}")]
    TooFew {
        /// Scores in the tail.
        tail: usize,
        /// All scores.
        scores: usize,
    },
    /// The score lies below the tail.
    #[error("the rate {rate} is not below the share of scores in the tail, {share:.4}")]
    BelowTail {
        /// The share of scores that should exceed it.
        rate: f64,
        /// The share of scores in the tail.
        share: f64,
    },
    /// The score is larger than any number.
    #[error("the tail has no end")]
    Endless,
}

/// A generalised Pareto distribution fitted to the excesses of scores over a high one.
///
/// An excess y has the distribution function 1 − (1 + γ y / σ)^(−1/γ), or 1 − e^(−y/σ) where γ is 0. Of all n scores, Nₜ exceed t; a share q
/// of new ones is then expected above z = t + σ/γ ((q n / Nₜ)^(−γ) − 1).
///
/// The fit is by greatest likelihood, in one variable θ = γ/σ as Grimshaw, 1993: for given θ, γ(θ) = mean of ln(1 + θ y), and the likelihood
/// per excess is −ln(γ/θ) − γ − 1. Its greatest value is found by a search over a grid and then by golden section, for γ ≥ −½.
///
/// # Source
/// Siffer, Fouque, Termier, Largouet: *Anomaly Detection in Streams with Extreme Value Theory*, 2017 (the calibration step of SPOT).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParetoTail {
    /// t: the score at which the tail begins.
    pub start: f64,
    /// Nₜ / n: the share of scores in the tail.
    pub share: f64,
    /// γ: above 0 the tail is heavy, below 0 it ends.
    pub shape: f64,
    /// σ: how far the tail reaches.
    pub scale: f64,
}

impl ParetoTail {
    /// Fits the tail of `sorted`, from the lowest score to the highest, above their 98 % quantile.
    ///
    /// # Errors
    ///
    /// There are no scores, or too few in the tail.
    pub fn fit(sorted: &[f64]) -> Result<ParetoTail, TailError> {
        if sorted.is_empty() {
            return Err(TailError::NoScores);
        }
        let start = quantile(sorted, TAIL_QUANTILE);
        let tail = &sorted[sorted.partition_point(|score| *score <= start)..];
        if tail.len() < TAIL_MIN {
            return Err(TailError::TooFew { tail: tail.len(), scores: sorted.len() });
        }
        let excesses: Vec<f64> = tail.iter().map(|score| score - start).collect();
        let (shape, scale) = fit_excesses(&excesses);
        Ok(ParetoTail { start, share: tail.len() as f64 / sorted.len() as f64, shape, scale })
    }

    /// The score that a share `rate` of new scores exceeds.
    ///
    /// # Errors
    ///
    /// The score lies below the tail, or is larger than any number.
    pub fn exceeded_by(&self, rate: f64) -> Result<f64, TailError> {
        if rate >= self.share {
            return Err(TailError::BelowTail { rate, share: self.share });
        }
        // expm1(γ x) / γ keeps its digits where γ is small, and becomes x where it is 0.
        let x = (self.share / rate).ln();
        let reach = if self.shape == 0.0 { x } else { (self.shape * x).exp_m1() / self.shape };
        let value = self.start + self.scale * reach;
        if value.is_finite() { Ok(value) } else { Err(TailError::Endless) }
    }
}

/// γ and σ of greatest likelihood, for excesses above 0.
fn fit_excesses(excesses: &[f64]) -> (f64, f64) {
    let highest = excesses.iter().copied().fold(0.0, f64::max);
    let units: Vec<f64> = excesses.iter().map(|excess| excess / highest).collect();
    let mean = units.iter().sum::<f64>() / units.len() as f64;
    let shape = |theta: f64| units.iter().map(|unit| (theta * unit).ln_1p()).sum::<f64>() / units.len() as f64;
    let scale = |theta: f64, shape: f64| if theta == 0.0 { mean } else { shape / theta };
    // With the highest excess as unit, θ is above −1. A walk in even steps of ln(1 + θ) comes near that end and goes far from it.
    let theta = |step: f64| step.exp_m1();
    let likelihood = |step: f64| {
        let theta = theta(step);
        let shape = shape(theta);
        if shape < SHAPE_MIN { f64::NEG_INFINITY } else { -scale(theta, shape).ln() - shape - 1.0 }
    };
    // From a tail that ends just above the highest excess to one in which most excesses are nothing beside it.
    let (first, last) = (-14.0, 42.0);
    let step = (last - first) / PLACES as f64;
    let places = (0..=PLACES).map(|place| first + step * place as f64);
    let best = places
        .map(|place| (place, likelihood(place)))
        .fold((0.0, f64::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best });
    let theta = theta(golden_section(likelihood, best.0 - step, best.0 + step));
    let shape = shape(theta);
    (shape, scale(theta, shape) * highest)
}

/// Where a function with one peak between two places is greatest.
fn golden_section(function: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    const RATIO: f64 = 0.618_033_988_749_894_8;
    const STEPS: usize = 60;
    let (mut left, mut right) = (high - RATIO * (high - low), low + RATIO * (high - low));
    let (mut at_left, mut at_right) = (function(left), function(right));
    for _ in 0..STEPS {
        if at_left > at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - RATIO * (high - low);
            at_left = function(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + RATIO * (high - low);
            at_right = function(right);
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 200 excesses in the middle of equally likely parts of a generalised Pareto distribution.
    fn excesses(shape: f64, scale: f64) -> Vec<f64> {
        (0..200).map(|i| scale * reach(shape, (f64::from(i) + 0.5) / 200.0)).collect()
    }

    /// What a share 1 − `below` of excesses exceeds, in units of the scale.
    fn reach(shape: f64, below: f64) -> f64 {
        if shape == 0.0 { -(-below).ln_1p() } else { ((1.0 - below).powf(-shape) - 1.0) / shape }
    }

    /// Shape and scale of greatest likelihood by scipy 1.17:
    /// ```python
    /// p = (np.arange(1, 201) - .5) / 200
    /// y = genpareto.ppf(p, shape, scale=scale)    # for shape 0: -np.log1p(-p)
    /// f = lambda v: -np.sum(genpareto.logpdf(y, v[0], scale=np.exp(v[1])))
    /// minimize(f, [.3, np.log(y.mean())], method="Nelder-Mead", options=dict(xatol=1e-10, fatol=1e-12, maxiter=20000))
    /// ```
    #[test]
    fn the_fit_is_that_of_scipy() {
        for ((shape, scale), expected) in [
            ((0.4, 2.0), (0.392_140_537_7, 2.010_868_134_2)),
            ((-0.2, 1.0), (-0.212_546_091_2, 1.011_110_466_9)),
            ((0.0, 1.0), (-0.010_467_683_6, 1.008_721_667_1)),
        ] {
            let fitted = fit_excesses(&excesses(shape, scale));
            assert!((fitted.0 - expected.0).abs() < 1e-5 && (fitted.1 - expected.1).abs() < 1e-5, "{fitted:?}");
        }
    }

    #[test]
    fn a_tail_that_ends_at_once_is_held_at_the_smallest_shape() {
        let uniform: Vec<f64> = (1..=200).map(f64::from).collect();
        let (shape, scale) = fit_excesses(&uniform);
        assert!((shape - SHAPE_MIN).abs() < 1e-3 && scale > 0.0, "{shape} {scale}");
    }

    /// Of an exponential distribution the share q exceeds −ln q, far beyond the highest of the scores.
    #[test]
    fn the_tail_of_an_exponential_distribution_is_continued() {
        let scores: Vec<f64> = (0..5000).map(|i| reach(0.0, (f64::from(i) + 0.5) / 5000.0)).collect();
        let tail = ParetoTail::fit(&scores).unwrap();
        for rate in [1e-3, 1e-4, 1e-5] {
            let threshold = tail.exceeded_by(rate).unwrap();
            assert!((threshold / -rate.ln() - 1.0).abs() < 0.1, "{rate}: {threshold}");
        }
    }

    #[test]
    fn what_has_no_tail_is_refused() {
        let said = |scores: &[f64], rate| {
            ParetoTail::fit(scores).and_then(|tail| tail.exceeded_by(rate)).unwrap_err().to_string()
        };
        assert_eq!(said(&[], 0.1), "there is none");
        assert_eq!(said(&[1.0; 900], 0.1), "only 0 of 900 exceed their 98 % quantile, and a tail needs 10");
        let many: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(said(&many, 0.05), "the rate 0.05 is not below the share of scores in the tail, 0.0200");
    }

    proptest! {
        /// No pair of shape and scale nearby is likelier than the fitted one.
        #[test]
        fn nothing_near_the_fit_is_likelier(
            excesses in prop::collection::vec(1e-3f64..1.0, 20..60), power in 0.5f64..4.0,
        ) {
            let excesses: Vec<f64> = excesses.iter().map(|excess| excess.powf(power)).collect();
            let likelihood = |(shape, scale): (f64, f64)| {
                let each = |y: &f64| {
                    let inside = 1.0 + shape * y / scale;
                    if inside <= 0.0 { f64::NEG_INFINITY } else { -scale.ln() - (1.0 + 1.0 / shape) * inside.ln() }
                };
                excesses.iter().map(each).sum::<f64>()
            };
            let fitted = fit_excesses(&excesses);
            // At the smallest shape it is held; near 0 the formula above has no digits left.
            if fitted.0 < SHAPE_MIN + 0.05 || fitted.0.abs() < 0.02 {
                return Ok(());
            }
            for (shape, scale) in [(1.01, 1.0), (0.99, 1.0), (1.0, 1.01), (1.0, 0.99), (1.02, 0.98), (0.98, 1.02)] {
                let near = (fitted.0 * shape, fitted.1 * scale);
                prop_assert!(likelihood(near) <= likelihood(fitted) + 1e-6, "{:?} is likelier than {:?}", near, fitted);
            }
        }

        #[test]
        fn a_smaller_rate_gives_a_higher_threshold(
            mut scores in prop::collection::vec(-1e6f64..1e6, 600..700), rates in (1e-6f64..0.01, 1e-6f64..0.01),
        ) {
            scores.sort_unstable_by(f64::total_cmp);
            let tail = ParetoTail::fit(&scores).unwrap();
            let (less, more) = (rates.0.min(rates.1), rates.0.max(rates.1));
            prop_assert!(tail.exceeded_by(less).unwrap() >= tail.exceeded_by(more).unwrap());
            prop_assert!(tail.exceeded_by(more).unwrap() >= tail.start);
        }
    }
}
