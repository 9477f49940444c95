//! What all detectors have in common.

use super::{Aspect, Samples, SignalStream};
use crate::Result;
use crate::capture::headers::Endpoint;
use crate::named_arrays::NamedArrays;
use crate::numeric::Parts;

/// Gives the scores of samples that follow each other.
pub type Scorer<'a> = Box<dyn FnMut(&Samples) -> Result<Vec<f64>> + 'a>;

/// A detector that was fitted to samples of normal traffic.
pub trait Detector: Send + Sync + std::fmt::Debug {
    /// The score of each row of `samples`, which are of the width that the detector was fitted to; higher is more anomalous.
    ///
    /// Refuses samples that lack what the detector looks at, as bytes or the facts of packets.
    fn score(&self, samples: &Samples) -> Result<Vec<f64>>;

    /// All that was fitted, so that a detector read from it gives the same scores.
    fn numbers(&self) -> NamedArrays;

    /// What the score of one row is made of, a value a number or byte of it, higher is more anomalous; `None` where it is not.
    fn position_values(&self, row: &Samples) -> Option<Vec<f32>> {
        let numbers: Vec<f64> = row.numbers().iter().map(|number| f64::from(*number)).collect();
        Some(self.parts(&numbers)?.shares.iter().map(|share| *share as f32).collect())
    }

    /// What each number of a row has to do with its score; `None` where the score has no closed form that shares it out, or the row is of
    /// another width.
    fn parts(&self, _row: &[f64]) -> Option<Parts> {
        None
    }

    /// Scores samples in pieces as if they were one. A detector for which it matters what came before overrides this.
    fn scorer(&self) -> Scorer<'_> {
        Box::new(|samples| self.score(samples))
    }

    /// The threshold that the detector's own parameters give: a score above it is an alert. Minus scikit-learn's `offset_`; `None` where
    /// there is no such parameter.
    fn own_threshold(&self) -> Option<f64> {
        None
    }

    /// What it watches, each with thresholds of its own.
    fn aspects(&self) -> &'static [Aspect] {
        &[Aspect::SCORE]
    }

    /// The detector at work on single packets; `None` of one that only scores rows, each of which is one signal.
    fn signals(&self) -> Option<Box<dyn SignalStream + '_>> {
        None
    }

    /// The hardware address that a host had in normal traffic, of a detector that knows it.
    fn hardware_of(&self, _host: Endpoint) -> Option<[u8; 6]> {
        None
    }

    /// A detector that knows what this one knows and what is in `samples`, which are in blocks; `None` where samples cannot be added.
    ///
    /// # Errors
    ///
    /// The samples are not what it looks at.
    fn fit_further(&self, _samples: &Samples) -> Result<Option<Box<dyn Detector>>> {
        Ok(None)
    }

    /// The host that had a hardware address in normal traffic, of a detector that knows it.
    fn host_of(&self, _hardware: [u8; 6]) -> Option<Endpoint> {
        None
    }

    /// Forgets what came in which block of the recording, once nothing needs to be held out any more.
    fn forget_blocks(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::super::{
        Aggregation, Components, Gamma, KNearestNeighboursConfig, KernelName, LocalOutlierFactorConfig,
        MahalanobisConfig, OneClassSvmConfig, PrincipalComponentsConfig,
    };
    use super::*;
    use crate::numeric::MetricName;

    const WIDTH: usize = 6;
    /// A row that is usual but for its fourth number.
    const ROW: [f64; WIDTH] = [0.05, -0.1, 0.02, 0.9, 0.1, 0.03];

    fn samples() -> Samples {
        let wave = |i: usize| ((i * 7919 % 101) as f32 / 101.0 - 0.5) * 0.4;
        Samples::of_numbers((0..200 * WIDTH).map(wave).collect(), WIDTH)
    }

    fn score(detector: &dyn Detector, row: &[f64]) -> f64 {
        let row = row.iter().map(|value| *value as f32).collect();
        detector.score(&Samples::of_numbers(row, WIDTH)).unwrap()[0]
    }

    /// Every detector with a closed form.
    fn detectors() -> Vec<(String, Box<dyn Detector>)> {
        // With all components, nothing would be left.
        let components = PrincipalComponentsConfig { n_components: Components::Count(2) };
        let mut all: Vec<(String, Box<dyn Detector>)> = vec![
            ("Mahalanobis".into(), Box::new(MahalanobisConfig::default().fit(&samples()).unwrap())),
            ("PCA".into(), Box::new(components.fit(&samples()).unwrap())),
        ];
        for kernel in [KernelName::Linear, KernelName::Rbf] {
            let config = OneClassSvmConfig { kernel, gamma: Gamma::Value(3.0), ..Default::default() };
            all.push((format!("SVM {kernel:?}"), Box::new(config.fit(&samples()).unwrap())));
        }
        for (metric, p) in [(MetricName::Euclidean, 2.0), (MetricName::Manhattan, 1.0), (MetricName::Minkowski, 3.0)] {
            for method in [Aggregation::Largest, Aggregation::Mean, Aggregation::Median] {
                let config = KNearestNeighboursConfig { n_neighbors: 4, method, metric, p };
                all.push((format!("kNN {metric:?} {method:?}"), Box::new(config.fit(&samples()).unwrap())));
            }
            let config = LocalOutlierFactorConfig { metric, p, ..Default::default() };
            all.push((format!("LOF {metric:?}"), Box::new(config.fit(&samples()).unwrap())));
        }
        all
    }

    #[test]
    fn shares_and_constant_add_up_to_the_score() {
        for (name, detector) in detectors() {
            for row in [ROW, [0.0; WIDTH], [0.1, 0.1, 0.1, 0.1, -0.1, 0.0]] {
                let parts = detector.parts(&row).unwrap();
                let (sum, value) = (parts.shares.iter().sum::<f64>() + parts.constant, score(&*detector, &row));
                assert!((sum - value).abs() < 1e-5 * value.abs().max(0.1), "{name}: {sum} is not {value}");
            }
        }
    }

    #[test]
    fn the_gradient_is_that_by_differences() {
        const STEP: f64 = 1.0 / 1024.0;
        for (name, detector) in detectors() {
            let gradient = detector.parts(&ROW).unwrap().gradient;
            let largest = gradient.iter().fold(0.0, |most: f64, derivative| most.max(derivative.abs()));
            for (k, derivative) in gradient.iter().enumerate() {
                let moved = |by: f64| {
                    let mut row = ROW;
                    row[k] += by;
                    score(&*detector, &row)
                };
                let difference = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                assert!(
                    (derivative - difference).abs() < 0.02 * largest,
                    "{name}, {k}: {derivative} is not {difference}"
                );
            }
        }
    }

    #[test]
    fn the_unusual_number_has_the_largest_share() {
        // A linear machine knows no distance, and components may explain the unusual number.
        for (name, detector) in detectors().into_iter().filter(|(name, _)| name != "SVM Linear" && name != "PCA") {
            let shares = detector.parts(&ROW).unwrap().shares;
            assert!(shares.iter().enumerate().all(|(k, share)| k == 3 || *share < shares[3]), "{name}: {shares:?}");
        }
    }

    #[test]
    fn without_a_closed_form_or_of_another_width_there_are_none() {
        let cosine = KNearestNeighboursConfig { metric: MetricName::Cosine, ..Default::default() };
        assert_eq!(cosine.fit(&samples()).unwrap().parts(&ROW), None);
        let poly = OneClassSvmConfig { kernel: KernelName::Poly, ..Default::default() };
        assert_eq!(poly.fit(&samples()).unwrap().parts(&ROW), None);
        for (name, detector) in detectors() {
            assert_eq!(detector.parts(&ROW[1..]), None, "{name}");
        }
    }

    #[test]
    fn parts_add_up_by_their_weights() {
        let mut sum = Parts::none(2);
        sum.add(2.0, &Parts { shares: vec![1.0, 0.0], constant: 3.0, gradient: vec![0.0, 0.5] });
        assert_eq!(sum, Parts { shares: vec![2.0, 0.0], constant: 6.0, gradient: vec![0.0, 1.0] });
    }
}
