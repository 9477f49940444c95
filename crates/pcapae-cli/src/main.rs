//! `pcapae`: learns what normal traffic looks like from raw bytes and flags what does not fit.

#![forbid(unsafe_code)]

mod args;
mod failure;
mod progress;
mod run;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    match run::run(args) {
        Ok(code) => code,
        Err(error) => failure::explain(&error),
    }
}
