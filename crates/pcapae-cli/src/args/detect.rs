//! The options of `pcapae detect`.

use std::path::PathBuf;

use clap::Parser;

use super::{CaptureArgs, ThreadsArg};

/// Find what does not fit in new captures.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae detect plant.pcapae today.pcap
  pcapae detect plant.pcapae today.pcap --json | jq -r 'select(.pcapae).pcapae.reason'
  pcapae detect plant.pcapae exercise.pcap -g exercise.labels.csv
  pcapae detect plant.pcapae today.pcap --report report.html
  pcapae detect plant.pcapae today.pcap -o alerts --syslog

Exit code: 0 done, 1 refused, 2 wrong usage, 3 with --fail-on-alert where there is an alert.")]
pub struct DetectArgs {
    /// A bundle made by learn.
    #[arg(value_name = "PLANT.pcapae")]
    pub bundle: PathBuf,

    #[command(flatten)]
    pub input: CaptureArgs,

    /// Ground truth: CSV with one row per packet, in the first column -1 normal, 1 anomalous or 0 unknown.
    #[arg(short = 'g', long = "labels", alias = "ground", value_name = "LABELS.csv")]
    pub ground_truth: Option<PathBuf>,

    /// Print all events as JSON lines, and a summary as the last line.
    #[arg(long)]
    pub json: bool,

    /// Also write alerts.jsonl (Suricata's EVE) and alerts.pcapng (the packets concerned, with a comment each) into this folder. Reads the
    /// captures twice.
    #[arg(short, long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,

    /// Also write alerts.syslog there, lines of RFC 5424.
    #[arg(long, requires = "output")]
    pub syslog: bool,

    /// Also write alerts.cef there, lines of the Common Event Format.
    #[arg(long, requires = "output")]
    pub cef: bool,

    /// Also write the strength of every packet, its event, and the scores of all detectors.
    #[arg(long, value_name = "SCORES.csv")]
    pub scores: Option<PathBuf>,

    /// Also write a report for the browser: strength over time, events, and the bytes of alerts. It needs no network.
    ///
    /// Captures that are files are read a second time for the bytes; of standard input none are shown.
    #[arg(long, value_name = "REPORT.html")]
    pub report: Option<PathBuf>,

    /// Show at most this many events in the table, the strongest.
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub top: usize,

    /// Exit with code 3 if there is an alert.
    #[arg(long)]
    pub fail_on_alert: bool,

    /// Replace outputs that exist.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}
