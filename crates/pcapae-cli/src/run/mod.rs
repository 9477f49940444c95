//! One file a subcommand.

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
use crate::progress::Talk;

/// Runs the command that the user asked for.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let talk = Talk::new(args.quiet)?;
    match args.command {
        Command::Learn(args) => learn::run(&args, &talk),
        Command::Detect(args) => detect::run(args, &talk),
        Command::Report(args) => report::run(&args, &talk),
        Command::Demo(args) => demo::run(args, &talk),
        Command::Dataset(args) => dataset::run(args, &talk),
        Command::Encode(args) => encode::run(args, &talk),
        Command::Reduce(args) => reduce::run(&args, &talk),
        Command::Fit(args) => fit::run(&args, &talk),
        Command::Score(args) => score::run(&args, &talk),
        Command::GridSearch(args) => grid_search::run(&args, &talk),
        Command::Evaluate(args) => evaluate::run(&args, &talk),
        Command::Experiment(args) => experiment::run(args, &talk),
        Command::Inspect(args) => inspect::run(&args, &talk),
        Command::Export(args) => export::run(args, &talk),
        Command::Explain(args) => explain::run(&args, &talk),
        Command::Train(args) => train::run(&args, &talk),
    }
}
