//! An evaluation for programs: as JSON, and as one row of a table of results to compare runs by.

use std::path::Path;

use serde_json::{Value, json};

use crate::metrics::{Evaluation, Measures};

/// The columns, in their order.
pub const EVALUATION_HEADER: [&str; 34] = [
    "scores",
    "calibration",
    "check",
    "labels",
    "rule",
    "threshold",
    "calibrated_on",
    "wanted_rate",
    "check_rate",
    "false_positive_rate",
    "rows",
    "base_rate",
    "average_precision",
    "roc_auc",
    "precision",
    "recall",
    "f1",
    "matthews",
    "packet_base_rate",
    "packet_average_precision",
    "packet_precision",
    "packet_recall",
    "packet_f1",
    "attacks",
    "attacks_found",
    "false_alarms",
    "own_events",
    "false_alarms_per_hour",
    "false_events_per_day",
    "packets_per_event",
    "median_seconds_to_detect",
    "etap",
    "etar",
    "version",
];

/// Where the numbers of an evaluation come from.
#[derive(Debug, Clone, Copy)]
pub struct EvaluationSources<'a> {
    /// The scores that were evaluated.
    pub scores: &'a Path,
    /// The scores that the threshold was calibrated on.
    pub calibration: Option<&'a Path>,
    /// The further normal scores.
    pub check: Option<&'a Path>,
    /// The ground truth.
    pub labels: Option<&'a Path>,
}

/// An evaluation as a JSON object: where its numbers come from, and all fields of [`Evaluation`]; undefined values are null.
pub fn evaluation_json(evaluation: &Evaluation, sources: &EvaluationSources<'_>) -> Value {
    let path = |path: Option<&Path>| path.map(|path| path.display().to_string());
    let mut object = json!({
        "scores": path(Some(sources.scores)),
        "calibration": path(sources.calibration),
        "check": path(sources.check),
        "labels": path(sources.labels),
    });
    if let (Some(fields), Value::Object(numbers)) = (object.as_object_mut(), json!(evaluation)) {
        fields.extend(numbers);
    }
    object
}

/// The cells under [`EVALUATION_HEADER`]; empty where undefined. Columns without a prefix are by row.
pub fn evaluation_row(evaluation: &Evaluation, sources: &EvaluationSources<'_>) -> Vec<String> {
    let path = |path: Option<&Path>| path.map_or_else(String::new, |path| path.display().to_string());
    let number = |number: Option<f64>| number.map_or_else(String::new, |number| number.to_string());
    let of_packets = |value: fn(&Measures) -> Option<f64>| number(evaluation.packets.as_ref().and_then(value));
    let (rows, episodes, rates) = (&evaluation.rows, &evaluation.episodes, &evaluation.false_alarms);
    let cells: [String; EVALUATION_HEADER.len()] = [
        path(Some(sources.scores)),
        path(sources.calibration),
        path(sources.check),
        path(sources.labels),
        evaluation.rule.to_string(),
        evaluation.threshold.to_string(),
        rates.calibration.rows.to_string(),
        number(rates.wanted),
        number(rates.check.and_then(|rate| rate.share())),
        number(rows.false_positive_rate),
        (rows.confusion.anomalous() + rows.confusion.normal()).to_string(),
        number(rows.base_rate),
        number(rows.average_precision),
        number(rows.roc_auc),
        number(rows.precision),
        number(rows.recall),
        number(rows.f1),
        number(rows.matthews),
        of_packets(|packets| packets.base_rate),
        of_packets(|packets| packets.average_precision),
        of_packets(|packets| packets.precision),
        of_packets(|packets| packets.recall),
        of_packets(|packets| packets.f1),
        (episodes.noticed + episodes.missed).to_string(),
        episodes.noticed.to_string(),
        episodes.false_events.to_string(),
        episodes.own_events.to_string(),
        number(episodes.false_events_per_hour),
        number(episodes.false_events_per_day),
        number(episodes.packets_per_event),
        number(episodes.median_seconds_to_detect),
        number(evaluation.time_aware.precision),
        number(evaluation.time_aware.recall),
        env!("CARGO_PKG_VERSION").to_owned(),
    ];
    cells.into()
}
