//! One file a subcommand.

mod accept;
mod alert_files;
mod dataset;
mod demo;
mod dense_table;
mod detect;
mod encode;
mod evaluate;
mod evaluation_table;
mod event_table;
mod experiment;
mod explain;
mod export;
mod fit;
mod grid_search;
mod html_report;
mod input;
mod inspect;
mod learn;
mod model;
mod reduce;
mod report;
mod score;
mod second_look;
mod train;

use std::process::ExitCode;

use crate::args::{Args, Command};
use crate::progress::Console;

/// Runs the command that the user asked for.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let console = Console::new(args.quiet)?;
    match args.command {
        Command::Learn(args) => learn::run(&args, &console),
        Command::Detect(args) => detect::run(args, &console),
        Command::Accept(args) => accept::run(&args, &console),
        Command::Report(args) => report::run(&args, &console),
        Command::Demo(args) => demo::run(args, &console),
        Command::Dataset(args) => dataset::run(args, &console),
        Command::Encode(args) => encode::run(args, &console),
        Command::Reduce(args) => reduce::run(&args, &console),
        Command::Fit(args) => fit::run(&args, &console),
        Command::Score(args) => score::run(&args, &console),
        Command::GridSearch(args) => grid_search::run(&args, &console),
        Command::Evaluate(args) => evaluate::run(&args, &console),
        Command::Experiment(args) => experiment::run(args, &console),
        Command::Inspect(args) => inspect::run(&args, &console),
        Command::Export(args) => export::run(args, &console),
        Command::Explain(args) => explain::run(&args, &console),
        Command::Train(args) => train::run(&args, &console),
    }
}
