//! One file a subcommand.

mod dataset;
mod input;

use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::progress::Talk;

/// Runs the command that the user asked for.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let talk = Talk::new(args.quiet)?;
    match args.command {
        Command::Dataset(args) => dataset::run(args, &talk),
    }
}
