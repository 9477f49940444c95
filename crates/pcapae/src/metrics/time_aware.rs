//! Precision and recall of ranges of time instead of points: an anomaly is found if enough of it is flagged by alerts that are mostly right.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// When a range counts, shares from 0 to 1. The defaults are those of the authors' program.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeAwareConfig {
    /// θₚ: an alert is right if at least this share of it is anomalous. Default 0.5.
    pub theta_p: f64,
    /// θᵣ: an anomaly is found if at least this share of it is flagged. Default 0.1.
    pub theta_r: f64,
}

impl Default for TimeAwareConfig {
    fn default() -> Self {
        TimeAwareConfig { theta_p: 0.5, theta_r: 0.1 }
    }
}

/// Enhanced time-series aware precision and recall, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TimeAware {
    /// eTaP; `None` without alerts.
    pub precision: Option<f64>,
    /// eTaR; `None` without anomalies.
    pub recall: Option<f64>,
    /// The harmonic mean of both; 0 where only one of them is defined, `None` where none is.
    pub f1: Option<f64>,
    /// Anomalies that are found.
    pub found: usize,
    /// Alerts that are right.
    pub right: usize,
}

/// eTaP and eTaR of alerts against anomalies, both runs of rows in order, none empty, none overlapping another of its kind.
///
/// The share of a range is how much of it overlaps with ranges of the other kind that still count. An anomaly stops counting when its share is
/// below θᵣ, an alert where its share is below θₚ, until nothing changes. Each that counts is worth (1 + share) / 2. Recall is the mean over
/// anomalies, precision the mean over alerts weighted by the square root of their lengths.
///
/// # Source
/// Hwang, Yun, Kim, Min: *Do You Know Existing Accuracy Metrics Overrate Time-Series Anomaly Detections?*, 2022, with δ = 0: nothing after an
/// anomaly counts as part of it.
pub fn time_aware(anomalies: &[Range<usize>], alerts: &[Range<usize>], config: &TimeAwareConfig) -> TimeAware {
    let overlaps = overlaps(anomalies, alerts);
    let mut anomaly_side = Side::new(anomalies, config.theta_r);
    let mut alert_side = Side::new(alerts, config.theta_p);
    for (index, overlap) in overlaps.iter().enumerate() {
        anomaly_side.add(overlap.anomaly, index, overlap.rows);
        alert_side.add(overlap.alert, index, overlap.rows);
    }
    prune(&overlaps, &mut anomaly_side, &mut alert_side);

    let mean = |worths: Vec<f64>, weight: fn(usize) -> f64, ranges: &[Range<usize>]| {
        let weights: Vec<f64> = ranges.iter().map(|range| weight(range.len())).collect();
        let sum: f64 = worths.iter().zip(&weights).map(|(worth, weight)| worth * weight).sum();
        (!ranges.is_empty()).then(|| sum / weights.iter().sum::<f64>())
    };
    let recall = mean(anomaly_side.worths(), |_| 1.0, anomalies);
    let precision = mean(alert_side.worths(), |rows| (rows as f64).sqrt(), alerts);
    let f1 = match (precision, recall) {
        (None, None) => None,
        (Some(precision), Some(recall)) if precision + recall > 0.0 => {
            Some(2.0 * precision * recall / (precision + recall))
        }
        _ => Some(0.0),
    };
    TimeAware { precision, recall, f1, found: anomaly_side.counting(), right: alert_side.counting() }
}

/// Rows that an anomaly and an alert have in common.
struct Overlap {
    anomaly: usize,
    alert: usize,
    rows: usize,
}

fn overlaps(anomalies: &[Range<usize>], alerts: &[Range<usize>]) -> Vec<Overlap> {
    let (mut anomaly, mut alert, mut found) = (0, 0, Vec::new());
    while let (Some(a), Some(b)) = (anomalies.get(anomaly), alerts.get(alert)) {
        let rows = a.end.min(b.end).saturating_sub(a.start.max(b.start));
        if rows > 0 {
            found.push(Overlap { anomaly, alert, rows });
        }
        if a.end <= b.end { anomaly += 1 } else { alert += 1 }
    }
    found
}

/// The ranges of one kind.
struct Side {
    lengths: Vec<usize>,
    /// Rows of each that overlap with ranges that count.
    covered: Vec<usize>,
    /// Its overlaps, which lie next to each other in the list of all.
    overlaps: Vec<Range<usize>>,
    removed: Vec<bool>,
    theta: f64,
}

impl Side {
    fn new(ranges: &[Range<usize>], theta: f64) -> Side {
        let n = ranges.len();
        let lengths = ranges.iter().map(Range::len).collect();
        Side { lengths, covered: vec![0; n], overlaps: vec![0..0; n], removed: vec![false; n], theta }
    }

    fn add(&mut self, range: usize, overlap: usize, rows: usize) {
        if self.covered[range] == 0 {
            self.overlaps[range].start = overlap;
        }
        self.overlaps[range].end = overlap + 1;
        self.covered[range] += rows;
    }

    fn share(&self, range: usize) -> f64 {
        self.covered[range] as f64 / self.lengths[range] as f64
    }

    /// A range without overlap counts only if its threshold is 0, and is worth half then, as in the authors' program.
    fn counts(&self, range: usize) -> bool {
        self.share(range) >= self.theta
    }

    fn counting(&self) -> usize {
        (0..self.lengths.len()).filter(|&range| self.counts(range)).count()
    }

    fn worths(&self) -> Vec<f64> {
        let worth = |range| if self.counts(range) { (1.0 + self.share(range)) / 2.0 } else { 0.0 };
        (0..self.lengths.len()).map(worth).collect()
    }
}

/// Removes ranges that do not count from the other side's shares until all that are left count. The order does not matter: shares only fall.
fn prune(overlaps: &[Overlap], anomalies: &mut Side, alerts: &mut Side) {
    let mut doubtful: Vec<(bool, usize)> = (0..anomalies.lengths.len()).map(|range| (true, range)).collect();
    doubtful.extend((0..alerts.lengths.len()).map(|range| (false, range)));
    while let Some((is_anomaly, range)) = doubtful.pop() {
        let (own, other) = if is_anomaly { (&mut *anomalies, &mut *alerts) } else { (&mut *alerts, &mut *anomalies) };
        if own.counts(range) || own.removed[range] {
            continue;
        }
        own.removed[range] = true;
        own.covered[range] = 0;
        for overlap in &overlaps[own.overlaps[range].clone()] {
            let partner = if is_anomaly { overlap.alert } else { overlap.anomaly };
            if !other.removed[partner] {
                other.covered[partner] -= overlap.rows;
                doubtful.push((!is_anomaly, partner));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs of 1.
    fn runs(points: &[u8]) -> Vec<Range<usize>> {
        let mut start = 0;
        let runs = points.chunk_by(|a, b| a == b).filter_map(|run| {
            start += run.len();
            (run[0] == 1).then_some(start - run.len()..start)
        });
        runs.collect()
    }

    fn of(labels: &[u8], alerts: &[u8]) -> TimeAware {
        time_aware(&runs(labels), &runs(alerts), &TimeAwareConfig::default())
    }

    /// ```python
    /// faster_etapr.evaluate_from_preds(y=labels, y_hat=alerts, theta_p=0.5, theta_r=0.1)    # version 0.1.2
    /// ```
    /// gives `eta/precision` 0.46476766302377037 and `eta/recall` 0.3875 for these, the example of its page.
    #[test]
    fn the_example_of_another_program() {
        let labels = [0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 1];
        let alerts = [0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0];
        let got = of(&labels, &alerts);
        assert!((got.precision.unwrap() - 0.464_767_663_023_770_37).abs() < 1e-12, "{got:?}");
        assert!((got.recall.unwrap() - 0.3875).abs() < 1e-12, "{got:?}");
        assert!((got.f1.unwrap() - 0.422_631_239_539_301_1).abs() < 1e-12, "{got:?}");
        assert_eq!((got.found, got.right), (2, 2));
    }

    #[test]
    fn a_perfect_detector_scores_1_and_one_of_opposite_sign_0() {
        let labels = [0, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 0];
        let perfect = of(&labels, &labels);
        assert_eq!((perfect.precision, perfect.recall, perfect.f1), (Some(1.0), Some(1.0), Some(1.0)));
        let opposite = of(&labels, &labels.map(|label| 1 - label));
        assert_eq!((opposite.precision, opposite.recall, opposite.f1), (Some(0.0), Some(0.0), Some(0.0)));
    }

    #[test]
    fn what_is_undefined_is_none() {
        let silent = of(&[0, 1], &[0, 0]);
        assert_eq!((silent.precision, silent.recall, silent.f1), (None, Some(0.0), Some(0.0)));
        let normal = of(&[0, 0], &[0, 1]);
        assert_eq!((normal.precision, normal.recall, normal.f1), (Some(0.0), None, Some(0.0)));
        assert_eq!(of(&[0], &[0]).f1, None);
    }

    /// An alert that is mostly wrong finds nothing, and a sliver of an anomaly is not found by an alert that is right.
    #[test]
    fn an_alert_that_covers_everything_is_not_a_find() {
        let mut labels = [0; 100];
        labels[40..60].fill(1);
        let everything = of(&labels, &[1; 100]);
        assert_eq!((everything.precision, everything.recall), (Some(0.0), Some(0.0)));
        let mut sliver = [0; 100];
        sliver[59] = 1;
        assert_eq!(of(&labels, &sliver).recall, Some(0.0));
        sliver[58] = 1;
        assert_eq!(of(&labels, &sliver).recall, Some(0.55));
    }

    /// The definition by a matrix of overlaps, one sweep after the other until nothing changes.
    fn by_definition(
        anomalies: &[Range<usize>],
        alerts: &[Range<usize>],
        config: &TimeAwareConfig,
    ) -> [Option<f64>; 2] {
        let common = |a: &Range<usize>, b: &Range<usize>| a.clone().filter(|row| b.contains(row)).count() as f64;
        let mut matrix: Vec<Vec<f64>> =
            anomalies.iter().map(|a| alerts.iter().map(|b| common(a, b)).collect()).collect();
        let row = |matrix: &[Vec<f64>], a: usize| matrix[a].iter().sum::<f64>() / anomalies[a].len() as f64;
        let column =
            |matrix: &[Vec<f64>], b: usize| matrix.iter().map(|row| row[b]).sum::<f64>() / alerts[b].len() as f64;
        for _ in 0..=anomalies.len() + alerts.len() {
            for a in (0..anomalies.len()).filter(|&a| row(&matrix, a) < config.theta_r).collect::<Vec<_>>() {
                matrix[a].fill(0.0);
            }
            for b in (0..alerts.len()).filter(|&b| column(&matrix, b) < config.theta_p).collect::<Vec<_>>() {
                matrix.iter_mut().for_each(|row| row[b] = 0.0);
            }
        }
        let worth = |share: f64, theta: f64| if share >= theta { (1.0 + share) / 2.0 } else { 0.0 };
        let weight = |b: usize| (alerts[b].len() as f64).sqrt();
        let precision = (0..alerts.len()).map(|b| worth(column(&matrix, b), config.theta_p) * weight(b)).sum::<f64>()
            / (0..alerts.len()).map(weight).sum::<f64>();
        let recall =
            (0..anomalies.len()).map(|a| worth(row(&matrix, a), config.theta_r)).sum::<f64>() / anomalies.len() as f64;
        [(!alerts.is_empty()).then_some(precision), (!anomalies.is_empty()).then_some(recall)]
    }

    proptest! {
        #[test]
        fn the_numbers_are_those_of_the_definition(
            points in prop::collection::vec((0..2u8, 0..2u8), 0..120), theta_p in 0.01f64..1.0, theta_r in 0.01f64..1.0,
        ) {
            let (labels, alerts): (Vec<u8>, Vec<u8>) = points.into_iter().unzip();
            let (anomalies, alerts) = (runs(&labels), runs(&alerts));
            let config = TimeAwareConfig { theta_p, theta_r };
            let got = time_aware(&anomalies, &alerts, &config);
            for (got, expected) in [got.precision, got.recall].into_iter().zip(by_definition(&anomalies, &alerts, &config)) {
                match (got, expected) {
                    (Some(got), Some(expected)) => prop_assert!((got - expected).abs() < 1e-9, "{} {}", got, expected),
                    (got, expected) => prop_assert_eq!(got, expected),
                }
            }
        }
    }
}
