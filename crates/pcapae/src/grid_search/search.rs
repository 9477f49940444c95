//! The search itself: every combination fitted, validated and ranked.

use std::ops::Range;

use super::projection::{Projection, measure};
use super::trial::rank;
use super::{Candidate, Criterion, Grid, Marks, Trial};
use crate::detectors::{Blueprint, Detector, SampleFile, Samples};
use crate::label::Label;
use crate::metrics::{Ranking, rank_correlation};
use crate::progress::Progress;
use crate::{Error, Result};

/// How to measure; the defaults of the library and of the program are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchConfig {
    /// Parts of the training that are compared for the stability; default 3, with fewer than 2 there is none.
    pub parts: usize,
    /// Times that a few coordinates are drawn for excess mass and mass volume; default 10, with 0 there are none.
    pub draws: usize,
    /// Points that are drawn from the box around the data; default 10,000.
    pub points: usize,
    /// Seed of what is drawn; default 1994.
    pub seed: u64,
}

impl Default for SearchConfig {
    fn default() -> Self {
        SearchConfig { parts: 3, draws: 10, points: 10_000, seed: 1994 }
    }
}

/// All combinations with their marks and ranks.
#[derive(Debug)]
pub struct Search {
    /// The names of the parameters that vary.
    pub varied: Vec<String>,
    /// In the order of the grid.
    pub trials: Vec<Trial>,
    /// What decided.
    pub criterion: Criterion,
    /// Share of the anomalous among the labelled validation rows, which is the average precision of a random detector; `None` without labels.
    pub base_rate: Option<f64>,
    /// Whether the validation begins before the training ends; `None` where times are not known.
    pub overlapping: Option<bool>,
}

impl Search {
    /// The best combination, of several equal ones the first in the grid; `None` where none could be fitted.
    pub fn best(&self) -> Option<&Trial> {
        self.trials.iter().find(|trial| trial.rank == Some(1))
    }

    /// How many share the first rank.
    pub fn ties(&self) -> usize {
        self.trials.iter().filter(|trial| trial.rank == Some(1)).count()
    }

    /// The trials, the best first, those that could not be fitted last; else in the order of the grid.
    pub fn in_order(&self) -> Vec<&Trial> {
        let mut trials: Vec<&Trial> = self.trials.iter().collect();
        trials.sort_by_key(|trial| trial.rank.unwrap_or(usize::MAX));
        trials
    }
}

/// Checks that two files go together.
///
/// # Errors
///
/// A file has no rows, or the rows of the validation are of another kind than those of the training.
pub fn check_files(training: &SampleFile, validation: &SampleFile) -> Result<()> {
    training.check_rows()?;
    validation.check_rows()?;
    let (wanted, got) = (training.rows(), validation.rows());
    if wanted.go_with(&got) {
        return Ok(());
    }
    let path = validation.path().to_owned();
    Err(Error::OtherRows { path, got: got.to_string(), expected: wanted.to_string() })
}

/// Fits every combination of `grid` to the rows of `training`, measures it on those of `validation`, and ranks them all.
///
/// Both files are held in memory. A combination that cannot be fitted is a trial without marks, not the end of the search. Progress counts
/// combinations. The same seed gives the same result.
///
/// # Errors
///
/// As [`check_files`]; a file cannot be read; or `progress` asked to stop.
pub fn search(
    grid: &Grid,
    training: &SampleFile,
    validation: &SampleFile,
    config: &SearchConfig,
    progress: &dyn Progress,
) -> Result<Search> {
    check_files(training, validation)?;
    let material = Material::read(training, validation, config)?;
    let base_rate = material.base_rate();
    let criterion = if base_rate.is_some() { Criterion::AveragePrecision } else { Criterion::MeanRank };
    progress.begin("searching", Some(grid.candidates.len() as u64));
    let mut trials = Vec::with_capacity(grid.candidates.len());
    for candidate in &grid.candidates {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        trials.push(material.trial(candidate));
        progress.advance(1);
        let failed = trials.iter().filter(|trial: &&Trial| trial.outcome.is_err()).count();
        progress.remark(&format!("{} of {}, {failed} not fitted", trials.len(), grid.candidates.len()));
    }
    rank(&mut trials, criterion);
    Ok(Search { varied: grid.varied.clone(), trials, criterion, base_rate, overlapping: material.overlapping })
}

/// What all combinations are fitted to and measured on.
struct Material {
    training: Samples,
    /// Consecutive parts of the training, in the order of time.
    parts: Vec<Samples>,
    validation: Samples,
    labels: Vec<Label>,
    projections: Vec<Projection>,
    overlapping: Option<bool>,
}

impl Material {
    fn read(training: &SampleFile, validation: &SampleFile, config: &SearchConfig) -> Result<Material> {
        let (train, known) = (training.samples(0..training.len())?, Known::of(training)?);
        let (valid, known_of_valid) = (validation.samples(0..validation.len())?, Known::of(validation)?);
        let order = known.in_time();
        let parts = match config.parts {
            0 | 1 => Vec::new(),
            parts => (0..parts).map(|part| train.select(&order[part_of(order.len(), part, parts)])).collect(),
        };
        let overlapping = known.times.iter().max().zip(known_of_valid.times.iter().min());
        Ok(Material {
            projections: Projection::draw(&train, &valid, config),
            parts,
            training: train,
            validation: valid,
            labels: known_of_valid.labels,
            overlapping: overlapping.map(|(last, first)| first < last),
        })
    }

    /// `None` unless the validation has labels of both kinds.
    fn base_rate(&self) -> Option<f64> {
        let count = |label| self.labels.iter().filter(|other| **other == label).count() as f64;
        let (anomalous, normal) = (count(Label::Anomalous), count(Label::Normal));
        (anomalous > 0.0 && normal > 0.0).then(|| anomalous / (anomalous + normal))
    }

    fn trial(&self, candidate: &Candidate) -> Trial {
        let outcome = self.marks(&candidate.blueprint);
        Trial { candidate: candidate.clone(), outcome, rank: None }
    }

    fn marks(&self, blueprint: &Blueprint) -> Result<Marks> {
        let scores = self.scores(blueprint.fit(&self.training)?.as_ref())?;
        let labelled = scores.iter().copied().zip(self.labels.iter().copied());
        let mut marks = Marks {
            average_precision: self.base_rate().and_then(|_| Ranking::of(labelled).average_precision()),
            ..Marks::default()
        };
        match self.stability(blueprint) {
            Ok(stability) => marks.stability = stability,
            Err(refusal) => marks.remarks.push(format!("no stability: {refusal}")),
        }
        measure(&self.projections, blueprint, &mut marks);
        Ok(marks)
    }

    fn scores(&self, detector: &dyn Detector) -> Result<Vec<f64>> {
        let scores = detector.score(&self.validation)?;
        match scores.iter().position(|score| !score.is_finite()) {
            Some(row) => Err(Error::Setting {
                setting: "score of validation row",
                got: format!("{row} is {}", scores[row]),
                expected: "a finite number".into(),
                remedy: None,
            }),
            None => Ok(scores),
        }
    }

    /// `None` where there are fewer than two parts, or a part's scores are all equal.
    fn stability(&self, blueprint: &Blueprint) -> Result<Option<f64>> {
        let scores: Result<Vec<Vec<f64>>> =
            self.parts.iter().map(|part| self.scores(blueprint.fit(part)?.as_ref())).collect();
        let scores = scores?;
        let pairs = (0..scores.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        let alike: Option<Vec<f64>> = pairs.map(|(i, j)| rank_correlation(&scores[i], &scores[j])).collect();
        let alike = alike.filter(|alike| !alike.is_empty());
        Ok(alike.map(|alike| alike.iter().sum::<f64>() / alike.len() as f64))
    }
}

/// The indices of part `part` of `parts` equal ones, as nearly as that goes.
fn part_of(rows: usize, part: usize, parts: usize) -> Range<usize> {
    part * rows / parts..(part + 1) * rows / parts
}

/// Labels, and times where all are known.
struct Known {
    rows: usize,
    labels: Vec<Label>,
    /// Empty where they are not known.
    times: Vec<i64>,
}

impl Known {
    fn of(file: &SampleFile) -> Result<Known> {
        let origins = file.origins(0..file.len())?;
        let times: Option<Vec<i64>> = origins.iter().map(|origin| origin.and_then(|origin| origin.time_ns)).collect();
        Ok(Known {
            rows: origins.len(),
            labels: origins.iter().map(|origin| origin.map(|origin| origin.label).unwrap_or_default()).collect(),
            times: times.unwrap_or_default(),
        })
    }

    /// The rows in the order of time; in that of the file where times are not known or equal.
    fn in_time(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.rows).collect();
        if !self.times.is_empty() {
            rows.sort_by_key(|&row| self.times[row]);
        }
        rows
    }
}
