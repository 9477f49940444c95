//! The outcomes of an experiment side by side: a row a run, mean and spread over seeds, and two images.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::RunOutcome;
use crate::report::{Cell, HeatMap};
use crate::{Error, Result};

/// The measures of a run, in the order of the table's columns; those of rows are of packets where packets are known.
pub const MEASURES: [&str; 12] = [
    "average_precision",
    "roc_auc",
    "base_rate",
    "recall",
    "false_positive_rate",
    "precision",
    "f1",
    "matthews",
    "check_false_positive_rate",
    "attacks_found",
    "false_alarms_per_hour",
    "etap_etar_f1",
];

/// The columns of the table for people: where they are among [`MEASURES`], and what they are called.
const SHOWN: [(usize, &str); 7] = [
    (0, "AP"),
    (1, "AUC"),
    (3, "recall"),
    (4, "false positives"),
    (8, "false positives, further normal"),
    (7, "MCC"),
    (9, "attacks noticed"),
];

/// Mean and spread of a measure over the seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// `None` where the measure is undefined for a seed.
    pub mean: Option<f64>,
    /// The standard deviation, with one less than the number of seeds in the denominator; `None` of one seed.
    pub deviation: Option<f64>,
}

impl Spread {
    fn of(values: &[Option<f64>]) -> Spread {
        let Some(values) = values.iter().copied().collect::<Option<Vec<f64>>>().filter(|values| !values.is_empty())
        else {
            return Spread { mean: None, deviation: None };
        };
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Spread { mean: Some(mean), deviation: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()) }
    }
}

/// The runs that differ in their seed only.
#[derive(Debug, Clone)]
pub struct TableRow {
    /// How packets were cut.
    pub cutting: String,
    /// What was scored, and how.
    pub scorer: String,
    /// How many seeds.
    pub runs: usize,
    /// Of each of [`MEASURES`].
    pub spreads: Vec<Spread>,
    /// Why there is no evaluation, of the first run that has none.
    pub refused: Option<String>,
}

/// The measures of a run, in the order of [`MEASURES`].
fn measures(outcome: &RunOutcome) -> Vec<Option<f64>> {
    let (Ok(evaluation), Some(rows)) = (&outcome.outcome, outcome.measures()) else {
        return vec![None; MEASURES.len()];
    };
    vec![
        rows.average_precision,
        rows.roc_auc,
        rows.base_rate,
        rows.recall,
        rows.false_positive_rate,
        rows.precision,
        rows.f1,
        rows.matthews,
        evaluation.false_alarms.check.and_then(|rate| rate.share()),
        evaluation.episodes.recall,
        evaluation.episodes.false_events_per_hour,
        evaluation.time_aware.f1,
    ]
}

/// Runs that differ in their seed only, one row each, in the order in which they first come.
pub fn table(outcomes: &[RunOutcome]) -> Vec<TableRow> {
    let mut groups: Vec<((String, String), Vec<&RunOutcome>)> = Vec::new();
    for outcome in outcomes {
        let name = (outcome.run.cutting.name(), outcome.run.scorer.name());
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, runs)) => runs.push(outcome),
            None => groups.push((name, vec![outcome])),
        }
    }
    let row = |((cutting, scorer), runs): ((String, String), Vec<&RunOutcome>)| {
        let values: Vec<Vec<Option<f64>>> = runs.iter().map(|run| measures(run)).collect();
        let spread = |i: usize| Spread::of(&values.iter().map(|run| run[i]).collect::<Vec<_>>());
        TableRow {
            cutting,
            scorer,
            runs: runs.len(),
            spreads: (0..MEASURES.len()).map(spread).collect(),
            refused: runs.iter().find_map(|run| run.outcome.as_ref().err().map(ToString::to_string)),
        }
    };
    groups.into_iter().map(row).collect()
}

/// A row a run: its settings, its seed, threshold, confusion and [`MEASURES`]; empty where undefined.
///
/// # Errors
///
/// The table cannot be written.
pub fn runs_csv(outcomes: &[RunOutcome]) -> Result<Vec<u8>> {
    let fixed =
        ["cutting", "scorer", "seed", "threshold", "true_positives", "false_positives", "misses", "true_negatives"];
    let header = fixed.into_iter().chain(MEASURES).chain(["refused"]).map(str::to_owned).collect();
    let mut rows = vec![header];
    for outcome in outcomes {
        let run = &outcome.run;
        let mut row = vec![run.cutting.name(), run.scorer.name(), run.seed.to_string()];
        match (&outcome.outcome, outcome.measures()) {
            (Ok(evaluation), Some(measures)) => {
                let confusion = &measures.confusion;
                row.push(evaluation.threshold.to_string());
                let counts = [
                    confusion.true_positives,
                    confusion.false_positives,
                    confusion.false_negatives,
                    confusion.true_negatives,
                ];
                row.extend(counts.map(|count| count.to_string()));
            }
            _ => row.extend(std::iter::repeat_n(String::new(), fixed.len() - 3)),
        }
        row.extend(measures(outcome).into_iter().map(number));
        row.push(outcome.outcome.as_ref().err().map(ToString::to_string).unwrap_or_default());
        rows.push(row);
    }
    csv_of(rows)
}

/// A row for each [`TableRow`], with mean and deviation of each measure; empty where undefined.
///
/// # Errors
///
/// The table cannot be written.
pub fn table_csv(rows: &[TableRow]) -> Result<Vec<u8>> {
    let columns = MEASURES.iter().flat_map(|name| [(*name).to_owned(), format!("{name}_deviation")]);
    let header = ["cutting", "scorer", "runs"].map(str::to_owned).into_iter().chain(columns).collect();
    let mut all: Vec<Vec<String>> = vec![header];
    for row in rows {
        let spreads = row.spreads.iter().flat_map(|spread| [number(spread.mean), number(spread.deviation)]);
        all.push([row.cutting.clone(), row.scorer.clone(), row.runs.to_string()].into_iter().chain(spreads).collect());
    }
    csv_of(all)
}

/// The table as JSON: mean and deviation of each of [`MEASURES`] by name, null where undefined.
pub fn table_json(name: &str, rows: &[TableRow]) -> Value {
    let row = |row: &TableRow| {
        let measures = MEASURES.iter().zip(&row.spreads);
        let measures: Map<String, Value> = measures
            .map(|(name, spread)| ((*name).to_owned(), json!({ "mean": spread.mean, "deviation": spread.deviation })))
            .collect();
        let TableRow { cutting, scorer, runs, refused, .. } = row;
        json!({ "cutting": cutting, "scorer": scorer, "runs": runs, "refused": refused, "measures": measures })
    };
    json!({ "name": name, "rows": rows.iter().map(row).collect::<Vec<_>>() })
}

fn csv_of(rows: Vec<Vec<String>>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(Error::unwritable("table"))?;
    }
    writer.into_inner().map_err(Error::unwritable("table"))
}

fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The table for people, in Markdown; a measure with its deviation after ±, `–` where undefined.
pub fn table_markdown(name: &str, rows: &[TableRow]) -> String {
    let mut text = format!("# {name}\n");
    let mut last = None;
    for row in rows {
        if last != Some(&row.cutting) {
            let of_cutting = rows.iter().filter(|other| other.cutting == row.cutting);
            let base = of_cutting.filter_map(|row| row.spreads[2].mean).next();
            let base = base.map_or("unknown".into(), |rate| format!("{rate:.3}"));
            let columns: String = SHOWN.iter().fold(String::new(), |text, (_, name)| text + " " + name + " |");
            // Writing to a String does not fail.
            let _ = write!(
                text,
                "\n## {}\n\nBase rate {base}.\n\n| scored |{columns}\n|---|{}\n",
                row.cutting,
                "---:|".repeat(SHOWN.len())
            );
            last = Some(&row.cutting);
        }
        let cells: String = match &row.refused {
            Some(reason) => format!(" {reason} |{}", " |".repeat(SHOWN.len() - 1)),
            None => SHOWN.iter().fold(String::new(), |text, (i, _)| text + " " + &cell(row.spreads[*i]) + " |"),
        };
        let _ = writeln!(text, "| {} |{cells}", row.scorer);
    }
    text
}

fn cell(Spread { mean, deviation }: Spread) -> String {
    match (mean, deviation) {
        (None, _) => "–".into(),
        (Some(mean), None) => format!("{mean:.3}"),
        (Some(mean), Some(deviation)) => format!("{mean:.3} ± {deviation:.3}"),
    }
}

/// Mean average precision of every scorer in every way of cutting, as an image.
pub fn summary_map(name: &str, rows: &[TableRow]) -> HeatMap {
    let unique = |of: fn(&TableRow) -> &String| {
        let mut names: Vec<String> = Vec::new();
        for row in rows {
            if !names.contains(of(row)) {
                names.push(of(row).clone());
            }
        }
        names
    };
    let (columns, scorers) = (unique(|row| &row.cutting), unique(|row| &row.scorer));
    let of = |scorer: &String, cutting: &String| {
        rows.iter().find(|row| row.scorer == *scorer && row.cutting == *cutting).and_then(|row| row.spreads[0].mean)
    };
    let cells = |scorer: &String| columns.iter().map(|cutting| Cell::of_share(of(scorer, cutting))).collect();
    let rows = scorers.iter().map(|scorer| (scorer.clone(), cells(scorer))).collect();
    HeatMap { title: format!("{name}: average precision"), columns, rows }
}

/// The confusion matrix of every run, each count as a share of what is anomalous or normal, as a chart.
pub fn confusion_map(name: &str, outcomes: &[RunOutcome]) -> HeatMap {
    let columns = ["found", "missed", "false alarm", "normal"].map(str::to_owned).to_vec();
    let row = |outcome: &RunOutcome| {
        let confusion = &outcome.measures()?.confusion;
        let cell =
            |count: u64, of: u64| Cell { share: (of > 0).then(|| count as f64 / of as f64), text: count.to_string() };
        let (anomalous, normal) = (confusion.anomalous(), confusion.normal());
        let cells = vec![
            cell(confusion.true_positives, anomalous),
            cell(confusion.false_negatives, anomalous),
            cell(confusion.false_positives, normal),
            cell(confusion.true_negatives, normal),
        ];
        let run = &outcome.run;
        Some((format!("{}, {}, seed {}", run.cutting.name(), run.scorer.name(), run.seed), cells))
    };
    HeatMap { title: format!("{name}: confusion"), columns, rows: outcomes.iter().filter_map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_mean_and_deviation_and_undefined_if_one_value_is() {
        assert_eq!(Spread::of(&[Some(1.0), Some(3.0)]), Spread { mean: Some(2.0), deviation: Some(2f64.sqrt()) });
        assert_eq!(Spread::of(&[Some(1.0)]), Spread { mean: Some(1.0), deviation: None });
        assert_eq!(Spread::of(&[Some(1.0), None]).mean, None);
        assert_eq!(Spread::of(&[]).mean, None);
        assert_eq!(cell(Spread::of(&[Some(0.5), Some(0.5)])), "0.500 ± 0.000");
    }
}
