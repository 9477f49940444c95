//! `pcapae explain`: which bytes, and why.

mod alert;
mod detector;
mod fragment;
mod settings;
mod shown;
mod view;

use std::process::ExitCode;

use crate::args::ExplainArgs;
use crate::progress::Console;

/// Explains a fragment, a packet or an alert; shows it, or writes it as an image or as JSON.
pub fn run(args: &ExplainArgs, console: &Console) -> anyhow::Result<ExitCode> {
    match args.alert {
        Some(number) => alert::run(args, number, console),
        None => fragment::run(args, console),
    }
}
