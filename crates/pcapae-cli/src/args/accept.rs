//! The options of `pcapae accept`.

use std::path::PathBuf;

use clap::Parser;

/// Take events that detect raised as normal from now on.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae detect plant.pcapae today.pcap --json > today.jsonl
  pcapae accept plant.pcapae today.jsonl --alert 3 --reason 'pump 2 has a new network card'
  pcapae accept plant.pcapae --list
  pcapae accept plant.pcapae --revoke 1

The bundle is changed in its place. What is accepted is what caused the events, not their packets: anything else is an alert as before.")]
pub struct AcceptArgs {
    /// The bundle that raised them.
    #[arg(value_name = "PLANT.pcapae")]
    pub bundle: PathBuf,

    /// The events, as detect writes them with --json or into alerts.jsonl.
    #[arg(value_name = "ALERTS.jsonl", required_unless_present_any = ["list", "revoke"], requires = "alert")]
    pub alerts: Option<PathBuf>,

    /// The number of an event; may be given more than once.
    #[arg(long, value_name = "N", requires = "alerts")]
    pub alert: Vec<usize>,

    /// Why it is normal; kept with the date.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub reason: String,

    /// List what was accepted.
    #[arg(long, conflicts_with_all = ["alerts", "revoke"])]
    pub list: bool,

    /// Take back what was accepted, by its number in the list.
    #[arg(long, value_name = "N", conflicts_with = "alerts")]
    pub revoke: Option<usize>,
}
