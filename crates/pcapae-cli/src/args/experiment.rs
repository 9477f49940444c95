//! The arguments of `pcapae experiment`.

use std::path::PathBuf;

use clap::Parser;

use super::ThreadsArg;

/// Run a whole plan: captures to a table of what each detector finds, over settings and seeds.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae experiment plans/demo.yaml --captures testbed/captures -o demo-experiment
  pcapae experiment my-plant.yaml -o results

Every stage leaves a file in OUT/cache, and what is there is not made again: a stopped experiment goes on where it was, and a changed
plan computes what is new. GUIDE.md says how a plan is written.")]
pub struct ExperimentArgs {
    /// The plan.
    #[arg(value_name = "PLAN.yaml")]
    pub plan: PathBuf,

    /// The folder of the captures that the plan names; else they are sought beside the plan.
    #[arg(long, value_name = "FOLDER")]
    pub captures: Option<PathBuf>,

    /// The folder for tables, images and the cache; results of an earlier run are replaced.
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,

    /// Print the table as JSON instead.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}
