//! Local outlier factor: an anomaly lies where rows are sparser than around its neighbours.

use serde::{Deserialize, Serialize};

use super::rows::{rows_of_width, training_rows};
use super::{Auto, Contamination, Detector, Samples};
use crate::error::Fault;
use crate::named_arrays::NamedArrays;
use crate::numeric::MetricName;
use crate::numeric::Parts;
use crate::numeric::{Neighbour, Neighbourhood};
use crate::{Error, Result};

/// The offset where `contamination` is `auto`.
const AUTO_OFFSET: f64 = 1.5;

/// Added to the mean reach, so that rows with many doubles have a density; scikit-learn's value.
const LEAST_REACH: f64 = 1e-10;

/// Parameters of a local outlier factor, named and preset as scikit-learn's `LocalOutlierFactor` for novelty detection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LocalOutlierFactorConfig {
    /// How many neighbours, from 1, fewer than there are training samples; default 20.
    pub n_neighbors: usize,
    /// Accepted, so that scikit-learn's blueprints can be read: the search is always exact.
    pub algorithm: String,
    /// Accepted, so that scikit-learn's blueprints can be read.
    pub leaf_size: usize,
    /// The distance; default `minkowski`.
    pub metric: MetricName,
    /// The power of the Minkowski distance, from 1; default 2, the Euclidean distance.
    pub p: f64,
    /// Where the threshold is; default `auto`, 1.5.
    pub contamination: Contamination,
    /// Accepted, so that scikit-learn's blueprints can be read: the numbers are the same for any number of threads.
    pub n_jobs: Option<i64>,
    /// Must be true, as it is by default: samples that were not fitted to are scored.
    pub novelty: bool,
}

impl Default for LocalOutlierFactorConfig {
    fn default() -> Self {
        LocalOutlierFactorConfig {
            n_neighbors: 20,
            algorithm: "auto".into(),
            leaf_size: 30,
            metric: MetricName::Minkowski,
            p: 2.0,
            contamination: Contamination::Auto(Auto::Auto),
            n_jobs: None,
            novelty: true,
        }
    }
}

impl LocalOutlierFactorConfig {
    /// Refuses parameters out of range, by name.
    pub fn check(&self) -> Result<()> {
        if self.n_neighbors == 0 {
            return Err(Error::setting("n_neighbors", 0, "a number from 1"));
        }
        if !self.novelty {
            return Err(Error::setting("novelty", false, "true: what is scored are samples that were not fitted to"));
        }
        if !["auto", "ball_tree", "kd_tree", "brute"].contains(&self.algorithm.as_str()) {
            return Err(Error::setting("algorithm", &self.algorithm, "auto, ball_tree, kd_tree or brute"));
        }
        self.metric.distance(self.p)?;
        self.contamination.check()
    }

    /// Finds the neighbours of every sample. Refuses parameters out of range, no more samples than `n_neighbors`, and numbers that are not
    /// finite.
    pub fn fit(&self, samples: &Samples) -> Result<LocalOutlierFactor> {
        self.check()?;
        let rows = training_rows(samples, self.n_neighbors + 1)?.into_owned();
        let neighbourhood = Neighbourhood::new(rows, samples.width(), self.metric.distance(self.p)?);
        let neighbours = self.n_neighbors;
        let farthest = |near: &[Neighbour]| near.last().map_or(0.0, |last| last.distance);
        let near: Vec<(f64, Vec<Neighbour>)> =
            neighbourhood.of_own(neighbours, |_, near| (farthest(near), near.to_vec()));
        let k_distances = near.iter().map(|(k_distance, _)| *k_distance).collect();
        let mut fitted =
            LocalOutlierFactor { neighbourhood, neighbours, k_distances, densities: Vec::new(), offset: AUTO_OFFSET };
        fitted.densities = near.iter().map(|(_, near)| fitted.density(near)).collect();
        let own_scores = || near.iter().map(|(_, near)| fitted.factor(near)).collect();
        fitted.offset = self.contamination.offset(AUTO_OFFSET, own_scores);
        Ok(fitted)
    }
}

/// A fitted local outlier factor. Scores are about 1 for rows as dense as their neighbours, and greater for sparser ones.
///
/// With k(o) the distance of o to its `n_neighbors`-th neighbour, reach(a, o) = max(k(o), d(a, o)), and
/// density(a) = 1 / (mean over the neighbours o of reach(a, o) + 10⁻¹⁰), the score of a is the mean of density(o) / density(a). It is
/// minus scikit-learn's `score_samples`.
///
/// # Source
/// Breunig, Kriegel, Ng, Sander: *LOF: Identifying Density-Based Local Outliers*, SIGMOD 2000, definitions 5 to 7; of equally near
/// rows those that come first are taken, where the paper takes all.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalOutlierFactor {
    neighbourhood: Neighbourhood,
    neighbours: usize,
    /// Of each training row, the distance to its last neighbour.
    k_distances: Vec<f64>,
    densities: Vec<f64>,
    offset: f64,
}

impl LocalOutlierFactor {
    /// The threshold that `contamination` gives: a score above it is an alert. Minus scikit-learn's `offset_`.
    pub fn offset(&self) -> f64 {
        self.offset
    }

    /// The detector of these numbers, for rows of `width` numbers; otherwise, in a few words, what is wrong with them.
    pub fn from_arrays(config: &LocalOutlierFactorConfig, width: usize, numbers: &NamedArrays) -> Result<Self, Fault> {
        config.check()?;
        let distance = config.metric.distance(config.p)?;
        let neighbourhood = Neighbourhood::from_arrays(numbers, width, config.n_neighbors + 1, distance)?;
        let count = neighbourhood.len();
        Ok(LocalOutlierFactor {
            neighbourhood,
            neighbours: config.n_neighbors,
            k_distances: numbers.get("k_distances", &[Some(count)])?.values.clone(),
            densities: numbers.get("densities", &[Some(count)])?.values.clone(),
            offset: numbers.scalar("offset")?,
        })
    }

    fn density(&self, near: &[Neighbour]) -> f64 {
        let reach = near.iter().map(|other| other.distance.max(self.k_distances[other.row]));
        1.0 / (reach.sum::<f64>() / near.len() as f64 + LEAST_REACH)
    }

    fn factor(&self, near: &[Neighbour]) -> f64 {
        let densities: f64 = near.iter().map(|other| self.densities[other.row]).sum();
        densities / near.len() as f64 / self.density(near)
    }
}

impl Detector for LocalOutlierFactor {
    fn own_threshold(&self) -> Option<f64> {
        Some(self.offset)
    }

    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        let rows = rows_of_width(samples, self.neighbourhood.width())?;
        Ok(self.neighbourhood.of_each(&rows, self.neighbours, |_, near| self.factor(near)))
    }

    /// The score is the mean density of the neighbours times the mean reach: the reaches that are distances are shared out as such, the
    /// neighbours held constant; those that are a neighbour's own, and the least reach, are a constant.
    fn parts(&self, row: &[f64]) -> Option<Parts> {
        let near = self.neighbourhood.parts(row, self.neighbours)?;
        let count = near.len() as f64;
        let density = near.iter().map(|(other, _)| self.densities[other.row]).sum::<f64>() / count;
        let mut parts = Parts { constant: density * LEAST_REACH, ..Parts::none(row.len()) };
        for (other, of_distance) in &near {
            match self.k_distances[other.row] {
                own if own > other.distance => parts.constant += density * own / count,
                _ => parts.add(density / count, of_distance),
            }
        }
        Some(parts)
    }

    fn numbers(&self) -> NamedArrays {
        let mut numbers = self.neighbourhood.numbers();
        numbers.put("k_distances", self.k_distances.clone());
        numbers.put("densities", self.densities.clone());
        numbers.put("offset", vec![self.offset]);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_rows_and_two_neighbours_by_hand() {
        let samples = Samples::of_numbers(vec![0.0, 1.0, 2.0, 10.0], 1);
        let config = LocalOutlierFactorConfig { n_neighbors: 2, ..Default::default() };
        let fitted = config.fit(&samples).unwrap();
        assert_eq!(fitted.k_distances, [2.0, 1.0, 2.0, 9.0]);
        // Reaches of 0: max(1, 1) and max(2, 2); of 1: 2 and 2; of 2: 1 and 2; of 10: 8 and 9.
        for (density, expected) in fitted.densities.iter().zip([1.0 / 1.5, 1.0 / 2.0, 1.0 / 1.5, 1.0 / 8.5]) {
            assert!((density - expected).abs() < 1e-9);
        }
        let far = fitted.score(&Samples::of_numbers(vec![12.0], 1)).unwrap()[0];
        // Neighbours 10 and 2: reaches 9 and 10.
        assert!((far - (1.0 / 8.5 + 1.0 / 1.5) / 2.0 * 9.5).abs() < 1e-8, "{far}");
    }

    #[test]
    fn too_few_samples_and_parameters_out_of_range_are_refused_by_name() {
        let samples = Samples::of_numbers(vec![0.0; 20], 1);
        let refusal = LocalOutlierFactorConfig::default().fit(&samples).unwrap_err().to_string();
        assert_eq!(refusal, "number of training samples 20: expected at least 21");
        let bad = LocalOutlierFactorConfig { p: 0.5, ..Default::default() };
        assert!(bad.check().unwrap_err().to_string().contains("p 0.5"));
    }
}
