//! One file a subcommand.

mod dataset;
mod demo;
mod detect;
mod encode;
mod event_table;
mod explain;
mod export;
mod input;
mod learn;
mod model;
mod train;

use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::progress::Talk;

/// Runs the command that the user asked for.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let talk = Talk::new(args.quiet)?;
    match args.command {
        Command::Learn(args) => learn::run(args, &talk),
        Command::Detect(args) => detect::run(args, &talk),
        Command::Demo(args) => demo::run(args, &talk),
        Command::Dataset(args) => dataset::run(args, &talk),
        Command::Encode(args) => encode::run(args, &talk),
        Command::Export(args) => export::run(args, &talk),
        Command::Explain(args) => explain::run(&args, &talk),
        Command::Train(args) => train::run(&args, &talk),
    }
}
