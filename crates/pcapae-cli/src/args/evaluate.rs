//! The command line of `pcapae evaluate`.

use std::path::PathBuf;

use clap::Parser;
use pcapae::calibration::ThresholdRule;

/// Measure how good scores are, at a threshold calibrated on scores of normal traffic and independently of a threshold.
///
/// Scores are CSV with a header and at least the column score, as detect --scores writes; a higher score is more anomalous.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae detect plant.pcapae normal.pcap --scores normal.csv
  pcapae detect plant.pcapae exercise.pcap --scores exercise.csv
  pcapae evaluate exercise.csv --calibration normal.csv -g exercise.labels.csv -o evaluation
  pcapae evaluate exercise.csv --calibration normal.csv -g exercise.labels.csv --threshold quantile:0.99 --results results.csv

DIR gets evaluation.json, true_positives.csv, false_positives.csv and misses.csv with packet numbers, scores.png and
precision_recall.png.")]
pub struct EvaluateArgs {
    /// The scores to evaluate.
    #[arg(value_name = "SCORES.csv")]
    pub scores: PathBuf,

    /// Scores of normal traffic that nothing was trained on; the threshold is calibrated on them alone.
    #[arg(long, value_name = "BENIGN.csv")]
    pub calibration: Option<PathBuf>,

    /// Scores of further normal traffic, to see how many of them exceed the threshold.
    #[arg(long, value_name = "MORE_BENIGN.csv")]
    pub check: Option<PathBuf>,

    /// How the threshold is calibrated: conformal:RATE, quantile:Q, sigma:K, max, pareto:RATE or value:X.
    #[arg(long, value_name = "RULE", default_value = "conformal:0.001", allow_hyphen_values = true)]
    pub threshold: String,

    /// Ground truth instead of the column label: CSV with one row per packet, in the first column -1 normal, 1 anomalous or 0 unknown,
    /// in the second, optionally, the name of the attack.
    #[arg(short = 'g', long = "labels", alias = "ground", value_name = "LABELS.csv")]
    pub ground_truth: Option<PathBuf>,

    /// Also VUS-PR, with buffers of up to ROWS rows around attacks [default: 100 rows]; the only slow measure.
    #[arg(long, value_name = "ROWS", num_args = 0..=1, require_equals = true, default_missing_value = "100", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub vus_pr: Option<u32>,

    /// The folder to write to; created if missing.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Append a row with all numbers to this table; created if missing.
    #[arg(long, value_name = "RESULTS.csv")]
    pub results: Option<PathBuf>,

    /// Print all numbers as one JSON object.
    #[arg(long)]
    pub json: bool,

    /// Replace files in DIR.
    #[arg(long)]
    pub force: bool,
}

impl EvaluateArgs {
    /// The rule for the threshold.
    pub fn rule(&self) -> pcapae::Result<ThresholdRule> {
        self.threshold.parse()
    }
}
