//! The options of `pcapae report`.

use std::path::PathBuf;

use clap::Parser;

use super::{CaptureArgs, ThreadsArg};

/// Write what does not fit in new captures as a page for the browser that needs no network.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae report plant.pcapae today.pcap -o report.html
  pcapae report plant.pcapae exercise.pcap -o report.html -g exercise.labels.csv

It is the page that detect --report writes, without the table on the terminal.")]
pub struct ReportArgs {
    /// A bundle made by learn.
    #[arg(value_name = "PLANT.pcapae")]
    pub bundle: PathBuf,

    #[command(flatten)]
    pub input: CaptureArgs,

    /// The page to write.
    #[arg(short, long, value_name = "REPORT.html")]
    pub output: PathBuf,

    /// Ground truth: CSV with one row per packet, in the first column -1 normal, 1 anomalous or 0 unknown.
    #[arg(short = 'g', long = "labels", alias = "ground", value_name = "LABELS.csv")]
    pub ground_truth: Option<PathBuf>,

    /// Replace the output if it exists.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}
