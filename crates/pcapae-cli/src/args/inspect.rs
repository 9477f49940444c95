//! The command line of `pcapae inspect`.

use std::path::PathBuf;

use clap::Parser;

use super::CaptureArgs;

/// Show what is in captures: traffic over time, lengths, protocols, hosts, values of bytes, gaps, damage.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae inspect monday.pcap.gz
  pcapae inspect monday.pcap.gz tuesday.pcap.gz --compare attack.pcap -o inspection

DIR gets inspection.html (one page that needs no network), inspection.png and inspection.json.")]
pub struct InspectArgs {
    #[command(flatten)]
    pub input: CaptureArgs,

    /// Captures to compare with: which hosts, services and lengths occur in only one of the two, and how different the two are.
    #[arg(long, value_name = "CAPTURE", num_args = 1..)]
    pub compare: Vec<PathBuf>,

    /// Output folder; created if it does not exist.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Print everything as one JSON object.
    #[arg(long)]
    pub json: bool,

    /// Replace files in DIR.
    #[arg(long)]
    pub force: bool,
}
