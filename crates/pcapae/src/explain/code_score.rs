//! A detector's score on a code: its value, its gradient, and the share of each of the code's numbers.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::detectors::{Detector, Samples};
use crate::numeric::Parts;
use crate::{Error, Result};

/// Step of the gradient by differences, in single precision.
const STEP: f32 = 1.0 / 256.0;

/// A fitted detector, whose score of a code is taken apart.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum CodeScore<'a> {
    /// By the closed form that the detector has ([`Detector::parts`]): one-class support vector machines with linear or radial kernel, nearest
    /// neighbours and the local outlier factor, Mahalanobis distance, principal components. Where it has none, by sampling.
    Detector(&'a dyn Detector, Sampling<'a>),
    /// By sampling in any case: Shapley values over orders in which the numbers of a reference are replaced by the code's.
    ///
    /// Štrumbelj & Kononenko, *Explaining Prediction Models and Individual Predictions with Feature Contributions*, 2014. The score of the
    /// reference is a constant; shares and constant add up to the score exactly, whatever the number of orders.
    Sampled(&'a dyn Detector, Sampling<'a>),
}

/// How a score is sampled.
#[derive(Debug, Clone, Copy)]
pub struct Sampling<'a> {
    /// A usual code, as the mean of many: what a number is replaced by.
    pub reference: &'a [f32],
    /// Orders, from 1; each takes a score for every number. 64 give shares with an error of about a tenth.
    pub orders: usize,
    /// Seed of the orders.
    pub seed: u64,
}

/// A score taken apart; the shares and the constant add up to it.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeShares {
    /// The share of each of the code's numbers.
    pub shares: Vec<f64>,
    /// What does not depend on the code.
    pub constant: f64,
}

impl CodeScore<'_> {
    /// True where the shares are sampled, false where they are a closed form.
    pub fn is_sampled(&self) -> bool {
        self.parts(&vec![0.0; self.sampling().reference.len()]).is_none()
    }

    /// The score; higher is more anomalous. Refuses codes of another width than the detector's.
    pub fn value(&self, code: &[f64]) -> Result<f64> {
        Ok(self.scores(&single(code))?[0])
    }

    /// Scores of codes, one after the other, of the width of the reference.
    pub(super) fn scores(&self, codes: &[f32]) -> Result<Vec<f64>> {
        let (CodeScore::Detector(detector, sampling) | CodeScore::Sampled(detector, sampling)) = self;
        detector.score(&Samples::of_numbers(codes.to_vec(), sampling.reference.len()))
    }

    /// The score taken apart.
    pub fn shares(&self, code: &[f64]) -> Result<CodeShares> {
        match self.parts(code) {
            Some(Parts { shares, constant, .. }) => Ok(CodeShares { shares, constant }),
            None => self.sampled(code, self.sampling()),
        }
    }

    /// The gradient of the score at a code: by its formula if it has one, else by differences.
    pub(super) fn gradient(&self, code: &[f64]) -> Result<Vec<f64>> {
        if let Some(Parts { gradient, .. }) = self.parts(code) {
            return Ok(gradient);
        }
        let code = single(code);
        let moved = |by: f32| {
            (0..code.len())
                .flat_map(|k| {
                    let mut moved = code.clone();
                    moved[k] += by;
                    moved
                })
                .collect::<Vec<f32>>()
        };
        let (above, below) = (self.scores(&moved(STEP))?, self.scores(&moved(-STEP))?);
        Ok(above.iter().zip(below).map(|(above, below)| (above - below) / f64::from(2.0 * STEP)).collect())
    }

    fn parts(&self, code: &[f64]) -> Option<Parts> {
        match self {
            CodeScore::Detector(detector, _) => detector.parts(code),
            CodeScore::Sampled(..) => None,
        }
    }

    fn sampling(&self) -> &Sampling<'_> {
        let (CodeScore::Detector(_, sampling) | CodeScore::Sampled(_, sampling)) = self;
        sampling
    }

    fn sampled(&self, code: &[f64], sampling: &Sampling) -> Result<CodeShares> {
        let width = code.len();
        if sampling.reference.len() != width || sampling.orders == 0 {
            return Err(Error::Setting {
                setting: "reference code",
                got: format!("{} numbers, {} orders", sampling.reference.len(), sampling.orders),
                expected: format!("{width} numbers, at least one order"),
                remedy: None,
            });
        }
        let code = single(code);
        let mut rng = ChaCha8Rng::seed_from_u64(sampling.seed);
        let mut order: Vec<usize> = (0..width).collect();
        let mut result = CodeShares { constant: self.scores(sampling.reference)?[0], ..CodeShares::of(width) };
        for _ in 0..sampling.orders {
            order.shuffle(&mut rng);
            let mut now = sampling.reference.to_vec();
            let mut codes = now.clone();
            for &k in &order {
                now[k] = code[k];
                codes.extend(&now);
            }
            let scores = self.scores(&codes)?;
            for (&k, step) in order.iter().zip(scores.windows(2)) {
                result.shares[k] += (step[1] - step[0]) / sampling.orders as f64;
            }
        }
        Ok(result)
    }
}

impl CodeShares {
    fn of(width: usize) -> CodeShares {
        CodeShares { shares: vec![0.0; width], constant: 0.0 }
    }
}

fn single(code: &[f64]) -> Vec<f32> {
    code.iter().map(|c| *c as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::{Gamma, KernelName, OneClassSvmConfig};

    fn samples() -> Samples {
        let wave = |i: usize| ((i * 7919 % 101) as f32 / 101.0 - 0.5) * 0.4;
        Samples::of_numbers((0..200 * 6).map(wave).collect(), 6)
    }

    /// A code that is usual but for its fourth number.
    const CODE: [f64; 6] = [0.05, -0.1, 0.0, 0.9, 0.1, 0.02];

    #[test]
    fn shares_and_constant_add_up_to_the_score_for_every_kernel() {
        for kernel in [KernelName::Linear, KernelName::Rbf, KernelName::Poly, KernelName::Sigmoid] {
            let config = OneClassSvmConfig { kernel, gamma: Gamma::Value(3.0), ..Default::default() };
            let svm = config.fit(&samples()).unwrap();
            let sampling = Sampling { reference: &[0.0; 6], orders: 20, seed: 1 };
            let score = CodeScore::Detector(&svm, sampling);
            let taken_apart = score.shares(&CODE).unwrap();
            let sum = taken_apart.shares.iter().sum::<f64>() + taken_apart.constant;
            let value = score.value(&CODE).unwrap();
            assert!((sum - value).abs() < 1e-5 * value.abs().max(1.0), "{kernel:?}: {sum} {value}");
        }
    }

    #[test]
    fn the_unusual_number_has_the_largest_share() {
        let config = OneClassSvmConfig { gamma: Gamma::Value(3.0), ..Default::default() };
        let svm = config.fit(&samples()).unwrap();
        let sampling = Sampling { reference: &[0.0; 6], orders: 20, seed: 1 };
        for score in [CodeScore::Detector(&svm, sampling), CodeScore::Sampled(&svm, sampling)] {
            let shares = score.shares(&CODE).unwrap().shares;
            assert!(shares[3] > 0.8 * shares.iter().map(|share| share.abs()).sum::<f64>(), "{shares:?}");
        }
    }

    #[test]
    fn the_gradient_by_formula_is_that_by_differences() {
        for kernel in [KernelName::Linear, KernelName::Rbf] {
            let config = OneClassSvmConfig { kernel, gamma: Gamma::Value(3.0), ..Default::default() };
            let svm = config.fit(&samples()).unwrap();
            let sampling = Sampling { reference: &[0.0; 6], orders: 1, seed: 1 };
            let exact = CodeScore::Detector(&svm, sampling).gradient(&CODE).unwrap();
            let close = CodeScore::Sampled(&svm, sampling).gradient(&CODE).unwrap();
            let largest = exact.iter().fold(0.0, |most: f64, derivative| most.max(derivative.abs()));
            for (a, b) in exact.iter().zip(close) {
                assert!((a - b).abs() < 1e-2 * largest, "{kernel:?}: {a} {b}");
            }
        }
    }

    #[test]
    fn a_code_of_another_width_is_refused() {
        let svm = OneClassSvmConfig::default().fit(&samples()).unwrap();
        let score = CodeScore::Detector(&svm, Sampling { reference: &[0.0; 5], orders: 1, seed: 1 });
        assert!(score.shares(&[0.0; 5]).is_err());
    }
}
