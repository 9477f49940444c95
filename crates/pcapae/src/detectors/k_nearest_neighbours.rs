//! Distance to the nearest neighbours: an anomaly is far from everything that was normal.

use serde::{Deserialize, Serialize};

use super::rows::{rows_of_width, training_rows};
use super::{Detector, Samples};
use crate::error::Fault;
use crate::named_arrays::NamedArrays;
use crate::numeric::MetricName;
use crate::numeric::Parts;
use crate::numeric::{Neighbour, Neighbourhood};
use crate::{Error, Result};

/// Which neighbours are looked at, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KNearestNeighboursConfig {
    /// How many neighbours, from 1, at most as many as there are training samples; default 5.
    pub n_neighbors: usize,
    /// From their distances to the score; default `largest`.
    pub method: Aggregation,
    /// The distance; default `minkowski`.
    pub metric: MetricName,
    /// The power of the Minkowski distance, from 1; default 2, the Euclidean distance.
    pub p: f64,
}

/// From the distances of the nearest to one score; names as in PyOD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregation {
    /// The distance of the last of them.
    #[default]
    Largest,
    /// The mean.
    Mean,
    /// The middle one, or the mean of the two in the middle.
    Median,
}

impl Default for KNearestNeighboursConfig {
    fn default() -> Self {
        KNearestNeighboursConfig { n_neighbors: 5, method: Aggregation::Largest, metric: MetricName::Minkowski, p: 2.0 }
    }
}

impl KNearestNeighboursConfig {
    /// Refuses parameters out of range, by name.
    pub fn check(&self) -> Result<()> {
        self.metric.distance(self.p)?;
        match self.n_neighbors {
            0 => Err(Error::Setting {
                setting: "n_neighbors",
                got: "0".into(),
                expected: "a number from 1".into(),
                remedy: None,
            }),
            _ => Ok(()),
        }
    }

    /// Keeps the samples. Refuses parameters out of range, fewer samples than neighbours, and numbers that are not finite.
    pub fn fit(&self, samples: &Samples) -> Result<KNearestNeighbours> {
        self.check()?;
        let rows = training_rows(samples, self.n_neighbors)?.into_owned();
        let neighbourhood = Neighbourhood::new(rows, samples.width(), self.metric.distance(self.p)?);
        Ok(KNearestNeighbours { neighbourhood, neighbours: self.n_neighbors, method: self.method })
    }
}

/// Fitted nearest neighbours. The score is a distance, 0 for a row that was fitted to as often as there are neighbours.
///
/// # Source
/// Ramaswamy, Rastogi, Shim: *Efficient Algorithms for Mining Outliers from Large Data Sets*, SIGMOD 2000, for the largest; Angiulli,
/// Pizzuti: *Fast Outlier Detection in High Dimensional Spaces*, PKDD 2002, for the mean.
#[derive(Debug, Clone, PartialEq)]
pub struct KNearestNeighbours {
    neighbourhood: Neighbourhood,
    neighbours: usize,
    method: Aggregation,
}

impl KNearestNeighbours {
    /// The detector of these numbers, for rows of `width` numbers; otherwise, in a few words, what is wrong with them.
    pub fn from_arrays(config: &KNearestNeighboursConfig, width: usize, numbers: &NamedArrays) -> Result<Self, Fault> {
        config.check()?;
        let distance = config.metric.distance(config.p)?;
        let neighbourhood = Neighbourhood::from_arrays(numbers, width, config.n_neighbors, distance)?;
        Ok(KNearestNeighbours { neighbourhood, neighbours: config.n_neighbors, method: config.method })
    }

    fn aggregate(&self, near: &[Neighbour]) -> f64 {
        let count = near.len();
        match self.method {
            Aggregation::Largest => near[count - 1].distance,
            Aggregation::Mean => near.iter().map(|other| other.distance).sum::<f64>() / count as f64,
            Aggregation::Median => (near[(count - 1) / 2].distance + near[count / 2].distance) / 2.0,
        }
    }

    /// The weight of the distance of the neighbour of each rank, of so many.
    fn weights(&self, count: usize) -> Vec<f64> {
        let mut weights = vec![0.0; count];
        match self.method {
            Aggregation::Largest => weights[count - 1] = 1.0,
            Aggregation::Mean => weights.fill(1.0 / count as f64),
            Aggregation::Median => [(count - 1) / 2, count / 2].into_iter().for_each(|rank| weights[rank] += 0.5),
        }
        weights
    }
}

impl Detector for KNearestNeighbours {
    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        let rows = rows_of_width(samples, self.neighbourhood.width())?;
        Ok(self.neighbourhood.of_each(&rows, self.neighbours, |_, near| self.aggregate(near)))
    }

    /// As its distances: the share of a number is that of its power in their sums, the neighbours held constant.
    fn parts(&self, row: &[f64]) -> Option<Parts> {
        let near = self.neighbourhood.parts(row, self.neighbours)?;
        let mut parts = Parts::none(row.len());
        for (weight, (_, of_distance)) in self.weights(near.len()).into_iter().zip(&near) {
            parts.add(weight, of_distance);
        }
        Some(parts)
    }

    fn numbers(&self) -> NamedArrays {
        self.neighbourhood.numbers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_makes_its_own_score_of_the_distances() {
        let samples = Samples::of_numbers(vec![0.0, 1.0, 3.0, 100.0], 1);
        for (method, expected) in
            [(Aggregation::Largest, 3.0), (Aggregation::Mean, 4.0 / 3.0), (Aggregation::Median, 1.0)]
        {
            let config = KNearestNeighboursConfig { n_neighbors: 3, method, ..Default::default() };
            let fitted = config.fit(&samples).unwrap();
            assert_eq!(fitted.score(&samples.rows(0..1)).unwrap(), [expected]);
        }
    }
}
