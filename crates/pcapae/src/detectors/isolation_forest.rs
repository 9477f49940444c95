//! Isolation forest: an anomaly is what few random splits set apart from everything else.

mod tree;

use std::collections::BTreeSet;

use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::tree::{Tree, get_trees, mean_path, put_trees};
use super::rows::{rows_of_width, training_rows};
use super::{Auto, Contamination, Detector, Samples};
use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;
use crate::{Error, Result};

/// Most samples of a tree where `max_samples` is `auto`, as in the paper.
const AUTO_SAMPLES: usize = 256;

/// The offset where `contamination` is `auto`: the score of a sample whose way is of mean length.
const AUTO_OFFSET: f64 = 0.5;

/// More trees than this are refused.
const TREES_MAX: usize = 100_000;

/// Rows that one thread scores at a time: few enough to stay in the cache while all trees pass.
const BLOCK: usize = 256;

/// Parameters of an isolation forest, named and preset as scikit-learn's `IsolationForest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IsolationForestConfig {
    /// How many trees, 1 to 100,000; default 100.
    pub n_estimators: usize,
    /// Samples of which each tree is grown; default `auto`, 256 or all if there are fewer.
    pub max_samples: MaxSamples,
    /// Where the threshold is; default `auto`, 0.5: samples with a way shorter than the mean lie above it.
    pub contamination: Contamination,
    /// Features of which each tree may take some: a number from 1, or a share above 0 up to 1.0; default 1.0, all.
    pub max_features: MaxFeatures,
    /// Whether a tree's samples are drawn with replacement; default no. A sample drawn twice counts once in the tree, as in
    /// scikit-learn 1.9.
    pub bootstrap: bool,
    /// Accepted, so that scikit-learn's blueprints can be read: the numbers are the same for any number of threads.
    pub n_jobs: Option<i64>,
    /// The seed; default none, which is 0, so that the same samples always give the same forest.
    pub random_state: Option<u64>,
    /// Accepted, so that scikit-learn's blueprints can be read: the library prints nothing. A number, or yes or no.
    pub verbose: Verbosity,
    /// Accepted, so that scikit-learn's blueprints can be read: there is no earlier fit to go on from.
    pub warm_start: bool,
}

impl Default for IsolationForestConfig {
    fn default() -> Self {
        IsolationForestConfig {
            n_estimators: 100,
            max_samples: MaxSamples::Auto(Auto::Auto),
            contamination: Contamination::Auto(Auto::Auto),
            max_features: MaxFeatures::Share(1.0),
            bootstrap: false,
            n_jobs: None,
            random_state: None,
            verbose: Verbosity::Level(0),
            warm_start: false,
        }
    }
}

/// How much scikit-learn prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Verbosity {
    /// Something, or nothing.
    Any(bool),
    /// The more the higher.
    Level(u32),
}

/// Samples of which a tree is grown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MaxSamples {
    /// 256, or all if there are fewer.
    Auto(Auto),
    /// So many, from 1; all if there are fewer.
    Count(usize),
    /// This share of all, above 0 up to 1.
    Share(f64),
}

/// Features of which a tree may take some.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MaxFeatures {
    /// So many, from 1.
    Count(usize),
    /// This share of all, above 0 up to 1; at least one.
    Share(f64),
}

impl IsolationForestConfig {
    /// Refuses parameters out of range, by name.
    pub fn check(&self) -> Result<()> {
        let share = |share: f64| share > 0.0 && share <= 1.0;
        if !(1..=TREES_MAX).contains(&self.n_estimators) {
            return Err(Error::setting("n_estimators", self.n_estimators, "1 to 100000"));
        }
        match self.max_samples {
            MaxSamples::Count(0) => Err(Error::setting("max_samples", 0, "auto, a number from 1 or a share up to 1.0")),
            MaxSamples::Share(s) if !share(s) => {
                Err(Error::setting("max_samples", s, "auto, a number from 1 or a share up to 1.0"))
            }
            _ => Ok(()),
        }?;
        match self.max_features {
            MaxFeatures::Count(0) => Err(Error::setting("max_features", 0, "a number from 1 or a share up to 1.0")),
            MaxFeatures::Share(s) if !share(s) => {
                Err(Error::setting("max_features", s, "a number from 1 or a share up to 1.0"))
            }
            _ => Ok(()),
        }?;
        self.contamination.check()
    }

    /// Grows the trees, each with random numbers of its own, so that threads do not matter. Refuses parameters out of range, no
    /// samples, numbers that are not finite, and more `max_features` than there are.
    ///
    /// Splits are those of scikit-learn's `ExtraTreeRegressor` with the random splitter; the depth is at most ⌈log₂ samples⌉.
    pub fn fit(&self, samples: &Samples) -> Result<IsolationForest> {
        self.check()?;
        let rows = training_rows(samples, 1)?;
        let (count, width) = (samples.len(), samples.width());
        let per_tree = self.samples_of_a_tree(count);
        let features = match self.max_features {
            MaxFeatures::Count(features) => features,
            MaxFeatures::Share(share) => ((share * width as f64) as usize).max(1),
        };
        if features > width {
            return Err(Error::setting("max_features", features, format!("at most {width}, the width of the samples")));
        }
        let max_depth = (per_tree.max(2) as f64).log2().ceil() as usize;
        let grow = |tree: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.random_state.unwrap_or(0));
            rng.set_stream(tree as u64);
            let chosen = self.draw(count, per_tree, &mut rng);
            let features = sample(&mut rng, width, features).into_vec();
            Tree::grow(&rows, width, chosen, features, max_depth, &mut rng)
        };
        let trees = (0..self.n_estimators).into_par_iter().map(grow).collect();
        let mut forest = IsolationForest { width, max_samples: per_tree, offset: AUTO_OFFSET, trees };
        forest.offset = self.contamination.offset(AUTO_OFFSET, || forest.scores(&rows));
        Ok(forest)
    }

    fn samples_of_a_tree(&self, count: usize) -> usize {
        match self.max_samples {
            MaxSamples::Auto(_) => count.min(AUTO_SAMPLES),
            MaxSamples::Count(samples) => count.min(samples),
            MaxSamples::Share(share) => ((share * count as f64) as usize).max(1),
        }
    }

    fn draw(&self, count: usize, per_tree: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
        if self.bootstrap {
            let drawn: BTreeSet<usize> = (0..per_tree).map(|_| rng.random_range(0..count)).collect();
            drawn.into_iter().collect()
        } else {
            sample(rng, count, per_tree).into_vec()
        }
    }
}

/// A fitted isolation forest. Scores are above 0 up to 1.
///
/// The score of a row is 2^(−E(h) / c(n)): h is the length of its way in a tree, E the mean over the trees, and c(n) the mean length
/// for the n samples of which a tree is grown. About 0.5 is unremarkable. It is minus scikit-learn's `score_samples`.
///
/// # Source
/// Liu, Ting, Zhou: *Isolation Forest*, ICDM 2008, formula 2.
#[derive(Debug, Clone, PartialEq)]
pub struct IsolationForest {
    width: usize,
    max_samples: usize,
    offset: f64,
    trees: Vec<Tree>,
}

impl IsolationForest {
    /// The threshold that `contamination` gives: a score above it is an alert. Minus scikit-learn's `offset_`.
    pub fn offset(&self) -> f64 {
        self.offset
    }

    /// The forest of these numbers, for rows of `width` numbers; otherwise, in a few words, what is wrong with them.
    pub fn from_arrays(config: &IsolationForestConfig, width: usize, numbers: &NamedArrays) -> Result<Self, Fault> {
        config.check()?;
        let trees = get_trees(numbers, width)?;
        if width == 0 || trees.len() != config.n_estimators {
            return Err(
                Place::Array("nodes".into()).found(format!("{} trees", trees.len()), config.n_estimators.to_string())
            );
        }
        let max_samples = numbers.scalar("max_samples")?;
        if !(max_samples >= 1.0 && max_samples <= f64::from(u32::MAX) && max_samples.fract() == 0.0) {
            return Err(Place::Array("max_samples".into()).found(max_samples, "a number of samples"));
        }
        let offset = numbers.scalar("offset")?;
        Ok(IsolationForest { width, max_samples: max_samples as usize, offset, trees })
    }

    fn scores(&self, rows: &[f32]) -> Vec<f64> {
        let usual = self.trees.len() as f64 * mean_path(self.max_samples);
        let mut scores = vec![0.0; rows.len() / self.width];
        scores.par_chunks_mut(BLOCK).zip(rows.par_chunks(BLOCK * self.width)).for_each(|(lengths, rows)| {
            for tree in &self.trees {
                for (length, row) in lengths.iter_mut().zip(rows.chunks(self.width)) {
                    *length += tree.path_length(row);
                }
            }
            // Trees of a single sample tell nothing apart: scikit-learn's ratio is then 1.
            lengths.iter_mut().for_each(|length| {
                *length = if usual > 0.0 { (-*length / usual).exp2() } else { 0.5 };
            });
        });
        scores
    }
}

impl Detector for IsolationForest {
    fn own_threshold(&self) -> Option<f64> {
        Some(self.offset)
    }

    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        Ok(self.scores(&rows_of_width(samples, self.width)?))
    }

    fn numbers(&self) -> NamedArrays {
        let mut numbers = NamedArrays::default();
        put_trees(&self.trees, &mut numbers);
        numbers.put("max_samples", vec![self.max_samples as f64]);
        numbers.put("offset", vec![self.offset]);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows around zero, and a last one far from them.
    fn rows(count: usize) -> Samples {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut numbers: Vec<f32> = (0..count * 3).map(|_| rng.random_range(-1.0..1.0)).collect();
        numbers.extend([4.0, -4.0, 4.0]);
        Samples::of_numbers(numbers, 3)
    }

    #[test]
    fn a_planted_outlier_has_the_highest_score() {
        let samples = rows(300);
        for config in [
            IsolationForestConfig::default(),
            IsolationForestConfig { bootstrap: true, max_features: MaxFeatures::Count(1), ..Default::default() },
            IsolationForestConfig { max_samples: MaxSamples::Share(0.9), random_state: Some(3), ..Default::default() },
        ] {
            let scores = config.fit(&samples).unwrap().score(&samples).unwrap();
            assert!(scores[..300].iter().all(|score| *score < scores[300]), "{config:?}");
            assert!(scores[300] > 0.6 && scores[300] <= 1.0);
        }
    }

    #[test]
    fn contamination_says_how_many_training_samples_are_above_the_offset() {
        let samples = rows(99);
        for (share, above) in [(0.0, 0), (0.1, 10), (0.5, 50)] {
            let config = IsolationForestConfig { contamination: Contamination::Share(share), ..Default::default() };
            let forest = config.fit(&samples).unwrap();
            let scores = forest.score(&samples).unwrap();
            assert_eq!(scores.iter().filter(|score| **score > forest.offset()).count(), above, "{share}");
        }
    }

    #[test]
    fn threads_do_not_matter_and_seeds_do() {
        let samples = rows(500);
        let fit = |seed, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let config = IsolationForestConfig { random_state: Some(seed), ..Default::default() };
            pool.install(|| config.fit(&samples).unwrap())
        };
        assert_eq!(fit(1, 1), fit(1, 3));
        assert_ne!(fit(1, 1), fit(2, 1));
    }

    #[test]
    fn a_single_sample_and_samples_all_alike_make_a_forest() {
        for count in [1, 2, 50] {
            let samples = Samples::of_numbers(vec![1.0; count * 2], 2);
            let forest = IsolationForestConfig::default().fit(&samples).unwrap();
            assert!(forest.score(&samples).unwrap().iter().all(|score| (*score - 0.5).abs() < 1e-12));
        }
    }

    #[test]
    fn a_forest_survives_its_numbers() {
        let (samples, config) = (rows(100), IsolationForestConfig { n_estimators: 7, ..Default::default() });
        let forest = config.fit(&samples).unwrap();
        let read = IsolationForest::from_arrays(&config, 3, &forest.numbers()).unwrap();
        assert_eq!(read.score(&samples).unwrap(), forest.score(&samples).unwrap());
        assert_eq!(read.numbers(), forest.numbers());
    }

    #[test]
    fn damaged_numbers_are_refused() {
        let config = IsolationForestConfig { n_estimators: 2, ..Default::default() };
        let whole = config.fit(&rows(50)).unwrap().numbers();
        let refusal = |name: &str, at: usize, value: f64| {
            let mut numbers = whole.clone();
            let mut values = whole.get(name, &[None]).unwrap().values.clone();
            values[at] = value;
            numbers.put(name, values);
            IsolationForest::from_arrays(&config, 3, &numbers).unwrap_err().to_string()
        };
        assert!(refusal("left", 0, 1e9).starts_with("`left` holds the children"));
        // A circle, and two parents of one child.
        assert!(refusal("left", 1, 0.0).contains("of node 1"));
        assert!(refusal("left", 0, 2.0).contains("several parents or none"));
        assert_eq!(refusal("feature", 0, 3.0), "`feature` holds 3, expected a feature below 3");
        assert_eq!(refusal("feature", 0, 0.5), "`feature` holds 0.5, expected a feature below 3");
        assert_eq!(refusal("samples", 0, 0.0), "`samples` holds 0, expected a number of samples");
        assert!(refusal("nodes", 0, 1.0).contains("other sizes of trees"));
        assert_eq!(refusal("max_samples", 0, -1.0), "`max_samples` holds -1, expected a number of samples");
        assert_eq!(refusal("threshold", 0, f64::NAN), "`threshold` holds NaN, expected finite numbers");
        assert!(IsolationForest::from_arrays(&config, 3, &NamedArrays::default()).is_err());
        assert_eq!(
            IsolationForest::from_arrays(&IsolationForestConfig::default(), 3, &whole).unwrap_err().to_string(),
            "`nodes` holds 2 trees, expected 100"
        );
    }

    #[test]
    fn parameters_out_of_range_are_refused_by_name() {
        let parse = |json: &str| serde_json::from_str::<IsolationForestConfig>(json).unwrap();
        for (json, name) in [
            (r#"{"n_estimators":0}"#, "n_estimators 0"),
            (r#"{"max_samples":0}"#, "max_samples 0"),
            (r#"{"max_samples":1.5}"#, "max_samples 1.5"),
            (r#"{"max_features":1.5}"#, "max_features 1.5"),
            (r#"{"contamination":0.6}"#, "contamination 0.6"),
        ] {
            let refusal = parse(json).check().unwrap_err().to_string();
            assert!(refusal.starts_with(name), "{refusal}");
        }
        assert_eq!(parse(r#"{"contamination":0}"#).contamination, Contamination::Share(0.0));
        assert_eq!(parse(r#"{"max_samples":1}"#).max_samples, MaxSamples::Count(1));
        assert_eq!(parse(r#"{"max_samples":1.0}"#).max_samples, MaxSamples::Share(1.0));
        assert_eq!(parse(r#"{"max_samples":"auto","contamination":"auto"}"#), IsolationForestConfig::default());
        assert!(serde_json::from_str::<IsolationForestConfig>(r#"{"trees":3}"#).is_err());
        let refused = IsolationForestConfig { max_features: MaxFeatures::Count(4), ..Default::default() }.fit(&rows(9));
        assert!(refused.is_err());
    }
}
