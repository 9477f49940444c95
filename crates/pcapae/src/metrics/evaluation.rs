//! The evaluation of a table of scores at a threshold: by row, by packet and by attack.

use std::ops::Range;

use serde::Serialize;

use super::{
    Episode, EpisodeMeasures, Measures, Observation, TimeAware, TimeAwareConfig, episodes, time_aware,
    volume_under_precision_recall,
};
use crate::calibration::ThresholdRule;
use crate::label::{Label, PacketLabels};
use crate::scores::{RowPackets, ScoreRow, ScoreTable};
use crate::{Error, Result};

/// What is measured, and by what.
#[derive(Debug, Clone, Copy)]
pub struct EvaluationInput<'a> {
    /// The scores to evaluate, with labels of their own or by `truth`.
    pub scores: &'a ScoreTable,
    /// Scores of held-back normal traffic, which the threshold is calibrated on; unknown labels count as normal.
    pub calibration: &'a ScoreTable,
    /// Scores of further normal traffic, to see how often normal rows exceed the threshold.
    pub check: Option<&'a ScoreTable>,
    /// What the ground truth says of each packet; it replaces the labels of `scores`.
    pub truth: Option<&'a PacketLabels>,
}

/// How to measure.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EvaluationConfig {
    /// The rule for the threshold. Default `conformal:0.001`.
    pub threshold: ThresholdRule,
    /// What counts as found by eTaP and eTaR.
    pub time_aware: TimeAwareConfig,
    /// Longest buffer of VUS-PR, in rows; `None` leaves VUS-PR out, which takes as many passes over the anomalous rows. Default `None`.
    pub buffer_max: Option<usize>,
}

/// An evaluation, and the tables that it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// All numbers.
    pub evaluation: Evaluation,
    /// The scores, with the labels that counted.
    pub rows: ScoreTable,
    /// A row a packet, where it is known which packets each row holds.
    pub packets: Option<ScoreTable>,
}

/// All numbers of an evaluation. What is undefined is `None`, null in JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The rule for the threshold, as text.
    pub rule: ThresholdRule,
    /// Rows above it are flagged.
    pub threshold: f64,
    /// Calibration scores with which the rule can promise its rate, where it needs so many.
    pub calibration_needed: Option<usize>,
    /// How often normal rows exceed the threshold.
    pub false_alarms: FalseAlarms,
    /// Row by row.
    pub rows: Measures,
    /// Packet by packet, the score of a packet being that of its highest row.
    pub packets: Option<Measures>,
    /// Why there are no measures by packet.
    pub no_packets: Option<String>,
    /// Attacks as wholes: of packets, or, where there are none, of rows.
    #[serde(rename = "events")]
    pub episodes: EpisodeMeasures,
    /// The attacks, in the order of time.
    pub attacks: Vec<Episode>,
    /// eTaP and eTaR, over ranges of packets, or of rows.
    pub time_aware: TimeAware,
    /// VUS-PR, if asked for.
    pub volume: Option<Volume>,
}

/// Wanted and achieved rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FalseAlarms {
    /// The share of normal rows that the rule lets exceed the threshold, where it says so.
    pub wanted: Option<f64>,
    /// Of the calibration scores themselves.
    pub calibration: Rate,
    /// Of the further normal traffic.
    pub check: Option<Rate>,
    /// Of the normal rows among the scores evaluated.
    pub evaluated: Rate,
}

/// A share with what it is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// Rows above the threshold.
    pub flagged: u64,
    /// All rows.
    pub rows: u64,
}

impl Rate {
    /// The share, 0 to 1; `None` of nothing.
    pub fn share(&self) -> Option<f64> {
        (self.rows > 0).then(|| self.flagged as f64 / self.rows as f64)
    }

    fn of(table: &ScoreTable, threshold: f64) -> Rate {
        let flagged = table.scores().iter().filter(|score| **score > threshold).count() as u64;
        Rate { flagged, rows: table.len() as u64 }
    }
}

/// VUS-PR over rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Volume {
    /// Longest buffer, in rows.
    pub buffer_max: usize,
    /// Of the scores.
    pub value: Option<f64>,
    /// Of the labels themselves as scores: about as much as a detector can have, which is less than 1.
    pub of_labels: Option<f64>,
}

/// The outcome for a packet or row whose label is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Anomalous and flagged.
    TruePositive,
    /// Normal but flagged.
    FalsePositive,
    /// Anomalous but not flagged.
    Miss,
    /// Normal and not flagged.
    TrueNegative,
}

impl Outcome {
    /// `None` where the label is unknown.
    pub fn of(label: Label, flagged: bool) -> Option<Outcome> {
        match (label, flagged) {
            (Label::Anomalous, true) => Some(Outcome::TruePositive),
            (Label::Anomalous, false) => Some(Outcome::Miss),
            (Label::Normal, true) => Some(Outcome::FalsePositive),
            (Label::Normal, false) => Some(Outcome::TrueNegative),
            (Label::Unknown, _) => None,
        }
    }
}

impl Evaluated {
    /// The packets of an outcome, each with its score and `window`; where packets are not known, the rows.
    pub fn list(&self, outcome: Outcome) -> ScoreTable {
        let table = self.packets.as_ref().unwrap_or(&self.rows);
        let is = |row: &ScoreRow| Outcome::of(row.label, row.score > self.evaluation.threshold) == Some(outcome);
        table.only(|index| is(&table.row(index)))
    }
}

/// Measures scores at the threshold that the calibration scores give.
///
/// With labels of one kind only, measures that need both are undefined. Refused: no labels; a calibration or check row that is anomalous; a ground truth that ends before the last packet,
/// or comes with rows whose packets are not known; calibration scores that give no threshold.
pub fn evaluate(input: EvaluationInput<'_>, config: &EvaluationConfig) -> Result<Evaluated> {
    all_benign(input.calibration, "calibration")?;
    if let Some(check) = input.check {
        all_benign(check, "check")?;
    }
    let rows = labelled(input.scores, input.truth)?;
    labelled_rows(&rows)?;
    let rule = config.threshold;
    let threshold = rule.threshold(input.calibration.scores())?;
    let (packets, no_packets) = match RowPackets::of(&rows) {
        Ok(packets) => (Some(by_packet(packets, input.truth)), None),
        Err(reason) => (None, Some(reason.to_string())),
    };
    let of_rows = Measures::of(&rows, threshold);
    let of_packets = packets.as_ref().map(|packets| match input.truth {
        Some(truth) => Measures::of(packets, threshold).with_unscored(packets, truth),
        None => Measures::of(packets, threshold),
    });
    let truth = input.truth.filter(|_| packets.is_some());
    let observations = Observation::of_table(packets.as_ref().unwrap_or(&rows), threshold, truth);
    let (attacks, episodes) = episodes(&observations);
    let normal = of_rows.confusion;
    let evaluation = Evaluation {
        rule,
        threshold,
        calibration_needed: rule.scores_needed(),
        false_alarms: FalseAlarms {
            wanted: rule.wanted_rate(),
            calibration: Rate::of(input.calibration, threshold),
            check: input.check.map(|check| Rate::of(check, threshold)),
            evaluated: Rate { flagged: normal.false_positives, rows: normal.normal() },
        },
        rows: of_rows,
        packets: of_packets,
        no_packets,
        episodes,
        attacks,
        time_aware: of_ranges(&observations, &config.time_aware),
        volume: config.buffer_max.map(|buffer_max| volume(&rows, buffer_max)),
    };
    Ok(Evaluated { evaluation, rows, packets })
}

fn refused(reason: String, remedy: &str) -> Error {
    Error::Unevaluable { reason, remedy: Some(remedy.into()) }
}

fn all_benign(table: &ScoreTable, which: &str) -> Result<()> {
    let Some(at) = table.labels().iter().position(|label| *label == Label::Anomalous) else { return Ok(()) };
    let packet = table.row(at).first_packet.map_or(String::new(), |packet| format!(" (packet {packet})"));
    Err(refused(
        format!("row {}{packet} of the {which} scores is labelled anomalous", at + 1),
        "thresholds are calibrated, and their rates checked, on scores of normal traffic that nothing was trained on",
    ))
}

fn labelled_rows(rows: &ScoreTable) -> Result<()> {
    let remedy = "labels come from the column label, or from a ground truth with a row per packet";
    match rows.labels().iter().filter(|label| **label != Label::Unknown).count() {
        0 if rows.is_empty() => Err(refused("there is no row".into(), remedy)),
        0 => Err(refused(format!("none of their {} rows has a label", rows.len()), remedy)),
        _ => Ok(()),
    }
}

fn labelled(scores: &ScoreTable, truth: Option<&PacketLabels>) -> Result<ScoreTable> {
    let Some(truth) = truth else { return Ok(scores.clone()) };
    let packets = RowPackets::of(scores).map_err(|reason| {
        refused(
            format!("the ground truth is by packet, but {reason}"),
            "leave the ground truth out and label the rows in their column label",
        )
    })?;
    if packets.highest() > truth.len() {
        let (rows, highest) = (truth.len(), packets.highest());
        return Err(refused(
            format!("the ground truth has {rows} rows, but the scores are of packets up to {highest}"),
            "a ground truth has one row per packet, in file order, without a header",
        ));
    }
    let labels = packets.labels(truth);
    Ok(scores.clone().with_labels(labels))
}

fn by_packet(packets: RowPackets<'_>, truth: Option<&PacketLabels>) -> ScoreTable {
    let table = packets.table();
    let Some(truth) = truth else { return table };
    let labels = table.rows().map(|row| truth.label(row.first_packet.unwrap_or_default())).collect();
    table.with_labels(labels)
}

fn of_ranges(observations: &[Observation], config: &TimeAwareConfig) -> TimeAware {
    let known: Vec<&Observation> = observations.iter().filter(|known| known.label != Label::Unknown).collect();
    let anomalies = ranges(&known, |observation| observation.label == Label::Anomalous);
    time_aware(&anomalies, &ranges(&known, |observation| observation.flagged), config)
}

fn ranges(observations: &[&Observation], belongs: impl Fn(&Observation) -> bool) -> Vec<Range<usize>> {
    let mut end = 0;
    let ranges = observations.chunk_by(|a, b| belongs(a) == belongs(b)).map(|range| {
        end += range.len();
        (belongs(range[0]), end - range.len()..end)
    });
    ranges.filter(|(belongs, _)| *belongs).map(|(_, range)| range).collect()
}

fn volume(rows: &ScoreTable, buffer_max: usize) -> Volume {
    let mut scored: Vec<(f64, Label)> = rows.scores().iter().copied().zip(rows.labels().iter().copied()).collect();
    let value = volume_under_precision_recall(&scored, buffer_max);
    for (score, label) in &mut scored {
        *score = if *label == Label::Anomalous { 1.0 } else { 0.0 };
    }
    Volume { buffer_max, value, of_labels: volume_under_precision_recall(&scored, buffer_max) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    /// A row a packet, a second apart.
    fn table(rows: &[(f64, i8)]) -> ScoreTable {
        let row = |(at, &(score, label)): (u64, &(f64, i8))| ScoreRow {
            window: at,
            first_packet: Some(at + 1),
            last_packet: Some(at + 1),
            time_ns: Some(at as i64 * 1_000_000_000),
            score,
            label: Label::from_i8(label).unwrap(),
        };
        (0..).zip(rows).map(row).collect()
    }

    fn input<'a>(scores: &'a ScoreTable, calibration: &'a ScoreTable) -> EvaluationInput<'a> {
        EvaluationInput { scores, calibration, check: None, truth: None }
    }

    fn at(value: f64) -> EvaluationConfig {
        EvaluationConfig { threshold: ThresholdRule::Value(value), buffer_max: Some(4), ..EvaluationConfig::default() }
    }

    fn said(scores: &[(f64, i8)], calibration: &[(f64, i8)]) -> String {
        let (scores, calibration) = (table(scores), table(calibration));
        evaluate(input(&scores, &calibration), &EvaluationConfig::default()).unwrap_err().to_string()
    }

    #[test]
    fn a_perfect_detector_scores_1_everywhere() {
        let rows: Vec<(f64, i8)> = (0..60).map(|i| if (20..30).contains(&i) { (0.9, 1) } else { (0.1, -1) }).collect();
        let (scores, calibration) = (table(&rows), table(&[(0.1, -1); 50]));
        let Evaluated { evaluation, .. } = evaluate(input(&scores, &calibration), &at(0.5)).unwrap();
        for measures in [&evaluation.rows, evaluation.packets.as_ref().unwrap()] {
            let Measures { precision, recall, f1, matthews, average_precision, roc_auc, .. } = *measures;
            assert_eq!([precision, recall, f1, matthews, average_precision, roc_auc], [Some(1.0); 6]);
            assert_eq!(measures.false_positive_rate, Some(0.0));
        }
        let episodes = &evaluation.episodes;
        assert_eq!((episodes.precision, episodes.recall, episodes.f1), (Some(1.0), Some(1.0), Some(1.0)));
        assert_eq!((evaluation.time_aware.precision, evaluation.time_aware.recall), (Some(1.0), Some(1.0)));
        let volume = evaluation.volume.unwrap();
        assert_eq!(volume.value, volume.of_labels);
        let attack = &evaluation.attacks[0];
        assert_eq!(
            (attack.first_packet, attack.last_packet, attack.seconds_to_detect),
            (Some(21), Some(30), Some(0.0))
        );
        assert_eq!(evaluation.false_alarms.evaluated, Rate { flagged: 0, rows: 50 });
    }

    #[test]
    fn what_is_undefined_is_none_and_null() {
        let scores = table(&[(0.1, -1), (0.2, 1)]);
        let silent = evaluate(input(&scores, &ScoreTable::new()), &at(9.0)).unwrap().evaluation;
        assert_eq!((silent.rows.precision, silent.rows.recall, silent.rows.matthews), (None, Some(0.0), None));
        assert_eq!((silent.episodes.precision, silent.time_aware.precision), (None, None));
        assert_eq!(silent.false_alarms.calibration.share(), None);
        let json = serde_json::to_value(&silent).unwrap();
        assert!(json["rows"]["precision"].is_null() && json["rows"]["false_negatives"] == 1, "{json}");
        assert_eq!(json["rule"], "value:9");
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused_with_the_reason() {
        let benign = [(0.1, -1), (0.2, 0)];
        assert_eq!(said(&[], &benign), "the scores cannot be evaluated: there is no row");
        assert!(said(&[(1.0, 0)], &benign).ends_with("none of their 1 rows has a label"));
        let both = [(0.1, -1), (0.2, 1)];
        let expected =
            "the scores cannot be evaluated: row 2 (packet 2) of the calibration scores is labelled anomalous";
        assert_eq!(said(&both, &both), expected);
        assert!(said(&both, &[]).ends_with("there is none"));
    }

    #[test]
    fn with_labels_of_one_kind_what_needs_both_is_undefined() {
        let measured = |rows: &[(f64, i8)]| {
            let (scores, calibration) = (table(rows), table(&[(0.1, -1), (0.2, 0)]));
            let Evaluated { evaluation, .. } = evaluate(input(&scores, &calibration), &at(0.5)).unwrap();
            (evaluation.rows.false_positive_rate, evaluation.rows.recall, evaluation.rows.roc_auc)
        };
        assert_eq!(measured(&[(1.0, -1), (0.1, -1), (1.0, 0)]), (Some(0.5), None, None));
        assert_eq!(measured(&[(1.0, 1), (0.1, 1)]), (None, Some(0.5), None));
    }

    #[test]
    fn a_ground_truth_labels_windows_and_packets_and_names_attacks() {
        let csv = "first_packet,last_packet,score,label,time_ns\n1,2,0.1,,0\n3,4,0.8,,1\n5,6,0.2,,2\n";
        let scores = ScoreTable::from_reader(Path::new("scores.csv"), csv.as_bytes()).unwrap();
        let truth = |rows: &'static str| PacketLabels::from_reader(Path::new("truth.csv"), rows.as_bytes()).unwrap();
        let known = truth("-1\n-1\n1,scan\n-1\n-1\n-1\n1,flood\n-1\n");
        let calibration = ScoreTable::new();
        let with = |truth| EvaluationInput { truth: Some(truth), ..input(&scores, &calibration) };
        let done = evaluate(with(&known), &at(0.5)).unwrap();
        assert_eq!(done.rows.labels(), [Label::Normal, Label::Anomalous, Label::Normal]);
        let packets = done.evaluation.packets.as_ref().unwrap();
        // Packet 4 shares a window with the attack; packets 7 and 8 have no score.
        assert_eq!((packets.confusion.true_positives, packets.confusion.false_positives), (1, 1));
        assert_eq!((packets.confusion.false_negatives, packets.confusion.true_negatives, packets.unscored), (1, 5, 2));
        assert_eq!(packets.flagging_everything.average_precision, Some(1.0 / 6.0));
        assert_eq!(done.evaluation.attacks[0].name.as_deref(), Some("scan"));
        assert_eq!(done.list(Outcome::FalsePositive).row(0).first_packet, Some(4));
        assert_eq!(done.list(Outcome::TruePositive).len() + done.list(Outcome::Miss).len(), 1);

        let short = evaluate(with(&truth("-1\n1\n")), &at(0.5)).unwrap_err().to_string();
        assert!(short.ends_with("the ground truth has 2 rows, but the scores are of packets up to 6"), "{short}");
    }

    proptest! {
        /// Lists, rates and confusion agree, and scores that know nothing of the labels are worth the base rate.
        #[test]
        fn the_numbers_agree_with_each_other(
            rows in prop::collection::vec((0..20i8, -1..=1i8), 2..80),
            benign in prop::collection::vec(0..20i8, 1..40), share in 0.0f64..1.0,
        ) {
            let rows: Vec<(f64, i8)> = rows.into_iter().map(|(score, label)| (score.into(), label)).collect();
            prop_assume!([-1, 1].iter().all(|kind| rows.iter().any(|(_, label)| label == kind)));
            let benign: Vec<(f64, i8)> = benign.into_iter().map(|score| (score.into(), -1)).collect();
            let (scores, calibration) = (table(&rows), table(&benign));
            let config = EvaluationConfig { threshold: ThresholdRule::Quantile(share), ..EvaluationConfig::default() };
            let done = evaluate(EvaluationInput { check: Some(&calibration), ..input(&scores, &calibration) }, &config).unwrap();
            let (evaluation, threshold) = (&done.evaluation, done.evaluation.threshold);
            let count = |kind: i8, flagged: bool| {
                rows.iter().filter(|(score, label)| *label == kind && (*score > threshold) == flagged).count()
            };
            prop_assert_eq!(done.list(Outcome::TruePositive).len(), count(1, true));
            prop_assert_eq!(done.list(Outcome::FalsePositive).len(), count(-1, true));
            prop_assert_eq!(done.list(Outcome::Miss).len(), count(1, false));
            prop_assert_eq!(done.list(Outcome::TrueNegative).len(), count(-1, false));
            prop_assert_eq!(evaluation.rows.unlabelled as usize, rows.iter().filter(|row| row.1 == 0).count());
            prop_assert_eq!(&evaluation.rows, evaluation.packets.as_ref().unwrap());
            prop_assert_eq!(evaluation.false_alarms.check, Some(evaluation.false_alarms.calibration));
            prop_assert_eq!(evaluation.false_alarms.evaluated.share(), evaluation.rows.false_positive_rate);
            let equal: Vec<(f64, i8)> = rows.iter().map(|row| (1.0, row.1)).collect();
            let equal = evaluate(input(&table(&equal), &calibration), &at(0.0)).unwrap().evaluation.rows;
            prop_assert!((equal.average_precision.unwrap() - equal.base_rate.unwrap()).abs() < 1e-12);
            prop_assert_eq!(equal.roc_auc, Some(0.5));
        }
    }
}
