//! `pcapae explain`: which bytes, and why.

mod alert;
mod detector;
mod fragment;
mod settings;
mod shown;
mod view;

use std::process::ExitCode;

use crate::args::ExplainArgs;
use crate::progress::Talk;

/// Explains a fragment, a packet or an alert; shows it, or writes it as a picture or as JSON.
pub fn run(args: &ExplainArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    match args.alert {
        Some(number) => alert::run(args, number, talk),
        None => fragment::run(args, talk),
    }
}
