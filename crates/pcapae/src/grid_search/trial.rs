//! One combination of a grid and how it did; the order of all of them.

use super::Candidate;
use crate::Result;
use crate::metrics::ranks;

/// A combination and how it did.
#[derive(Debug)]
pub struct Trial {
    /// The combination.
    pub candidate: Candidate,
    /// How it did; or why it could not be fitted or could not score the validation.
    pub outcome: Result<Marks>,
    /// 1 for the best, 2 for the next, …; equal ones share a rank. `None` where it could not be fitted.
    pub rank: Option<usize>,
}

/// How a combination did; `None` is undefined.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marks {
    /// Area under the precision-recall curve; higher is better.
    pub average_precision: Option<f64>,
    /// Mean rank correlation between detectors fitted to different parts of the training; higher is better.
    pub stability: Option<f64>,
    /// Higher is better.
    pub excess_mass: Option<f64>,
    /// Lower is better.
    pub mass_volume: Option<f64>,
    /// Why something is undefined.
    pub remarks: Vec<String>,
}

/// What decides which combination is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// The area under the precision-recall curve.
    AveragePrecision,
    /// The mean of the ranks in stability, excess mass and mass volume.
    MeanRank,
}

/// Gives every trial that was fitted its rank.
pub(super) fn rank(trials: &mut [Trial], criterion: Criterion) {
    let fitted: Vec<usize> = (0..trials.len()).filter(|&i| trials[i].outcome.is_ok()).collect();
    // The lower the better.
    let cost: Vec<f64> = match criterion {
        Criterion::AveragePrecision => places(trials, &fitted, |marks| marks.average_precision.map(|mark| -mark)),
        Criterion::MeanRank => {
            let of_each = [
                places(trials, &fitted, |marks| marks.stability.map(|mark| -mark)),
                places(trials, &fitted, |marks| marks.excess_mass.map(|mark| -mark)),
                places(trials, &fitted, |marks| marks.mass_volume),
            ];
            (0..fitted.len()).map(|i| of_each.iter().map(|places| places[i]).sum()).collect()
        }
    };
    for (i, &trial) in fitted.iter().enumerate() {
        trials[trial].rank = Some(1 + cost.iter().filter(|other| **other < cost[i]).count());
    }
}

/// The place of each of the trials `fitted` by one mark, of which less is better; undefined marks share the last places.
fn places(trials: &[Trial], fitted: &[usize], mark: impl Fn(&Marks) -> Option<f64>) -> Vec<f64> {
    let marks = fitted.iter().map(|&i| trials[i].outcome.as_ref().ok().and_then(&mark).unwrap_or(f64::INFINITY));
    ranks(&marks.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detectors::Blueprint;

    fn trials(marks: &[Option<[f64; 4]>]) -> Vec<Trial> {
        let trial = |marks: &Option<[f64; 4]>| Trial {
            candidate: Candidate { blueprint: Blueprint::from_yaml("IsolationForest").unwrap(), values: Vec::new() },
            outcome: marks.ok_or(crate::Error::Interrupted).map(|[precision, stability, mass, volume]| Marks {
                average_precision: Some(precision),
                stability: Some(stability),
                excess_mass: (mass >= 0.0).then_some(mass),
                mass_volume: Some(volume),
                remarks: Vec::new(),
            }),
            rank: None,
        };
        marks.iter().map(trial).collect()
    }

    fn ranked(criterion: Criterion, marks: &[Option<[f64; 4]>]) -> Vec<Option<usize>> {
        let mut trials = trials(marks);
        rank(&mut trials, criterion);
        trials.iter().map(|trial| trial.rank).collect()
    }

    #[test]
    fn with_labels_the_precision_decides_and_equal_ones_share_a_rank() {
        let marks = [Some([0.5, 1.0, 1.0, 0.0]), None, Some([0.9, 0.0, 0.0, 1.0]), Some([0.9, 0.1, 0.0, 1.0])];
        assert_eq!(ranked(Criterion::AveragePrecision, &marks), [Some(3), None, Some(1), Some(1)]);
    }

    #[test]
    fn without_labels_the_mean_of_three_ranks_decides_and_what_is_undefined_comes_last() {
        let marks = [Some([0.0, 0.9, 5.0, 0.2]), Some([0.0, 0.8, 6.0, 0.1]), Some([0.0, 0.9, -1.0, 0.3])];
        // Places 1.5 + 2 + 2, 3 + 1 + 1, 1.5 + 3 + 3.
        assert_eq!(ranked(Criterion::MeanRank, &marks), [Some(2), Some(1), Some(3)]);
    }
}
