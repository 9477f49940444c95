//! `pcapae reduce`: a dataset to codes without a model, or to a map.

mod map;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use pcapae::Error;
use pcapae::dataset::Dataset;
use pcapae::detectors::SampleFile;
use pcapae::error::{Fault, FileKind};
use pcapae::reduce::{Quality, Reducer, Reduction};
use serde_json::json;

use super::dense_table::{align_right, dense_table};
use super::fit::warn_of_anomalies;
use super::input::{counted, output};
use crate::args::{ApplyArgs, FitReducerArgs, ReduceArgs, ReduceCommand};
use crate::progress::{Console, print};

/// Fits and reduces, or applies what was fitted, or draws a map.
pub fn run(args: &ReduceArgs, console: &Console) -> anyhow::Result<ExitCode> {
    match &args.command {
        ReduceCommand::Pca(args) => fit(&args.fit, &args.reduction(), console),
        ReduceCommand::Ica(args) => fit(&args.fit, &args.reduction(), console),
        ReduceCommand::KernelPca(args) => fit(&args.fit, &args.reduction(), console),
        ReduceCommand::SparsePca(args) => fit(&args.fit, &args.reduction(), console),
        ReduceCommand::RandomProjection(args) => fit(&args.fit, &args.reduction(), console),
        ReduceCommand::Apply(args) => apply(args, console),
        ReduceCommand::Map(args) => map::run(args, console),
    }
}

/// What the table says.
struct Outcome<'a> {
    reduction: &'a Reduction,
    /// `None` where it was fitted before.
    fitting_seconds: Option<f64>,
    reducing_seconds: f64,
    quality: Quality,
}

fn fit(args: &FitReducerArgs, reduction: &Reduction, console: &Console) -> anyhow::Result<ExitCode> {
    args.codes.threads.apply()?;
    reduction.check()?;
    let input = SampleFile::open(&args.dataset)?;
    let codes = output(&args.output, args.codes.force, [&args.dataset])?;
    let inputs = [&args.dataset, &args.output];
    let kept = args.save.as_deref().map(|place| output(place, args.codes.force, inputs)).transpose()?;
    refuse_same_place("--save", &args.output, args.save.as_ref())?;
    warn_of_anomalies(&input, console)?;
    let dataset = fragments(input)?;
    let start = Instant::now();
    let reducer = Reducer::fit(reduction, &dataset, args.frames, console)?;
    let fitting_seconds = Some(start.elapsed().as_secs_f64());
    let start = Instant::now();
    let quality = reducer.reduce(&dataset, args.codes.stride, codes.path(), console)?;
    let reducing_seconds = start.elapsed().as_secs_f64();
    if let Some(kept) = kept {
        kept.write(&reducer.to_bytes()?)?;
    }
    codes.keep()?;
    console.clear();
    report_fit(&reducer, console);
    let outcome = Outcome { reduction, fitting_seconds, reducing_seconds, quality };
    show(&outcome, &args.output, args.codes.json, console)
}

fn apply(args: &ApplyArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.codes.threads.apply()?;
    let reducer = Reducer::open(&args.reducer)?;
    let dataset = fragments(SampleFile::open(&args.dataset)?)?;
    reducer.check(&dataset)?;
    let codes = output(&args.output, args.codes.force, [&args.reducer, &args.dataset])?;
    let start = Instant::now();
    let quality = reducer.reduce(&dataset, args.codes.stride, codes.path(), console)?;
    let reducing_seconds = start.elapsed().as_secs_f64();
    codes.keep()?;
    console.clear();
    let outcome = Outcome { reduction: reducer.reduction(), fitting_seconds: None, reducing_seconds, quality };
    show(&outcome, &args.output, args.codes.json, console)
}

/// The dataset of a file; says so where it holds codes.
fn fragments(input: SampleFile) -> pcapae::Result<Dataset> {
    match input {
        SampleFile::Fragments(dataset) => Ok(dataset),
        SampleFile::Codes(codes) => {
            let fault = Fault::found("a file of codes, which `pcapae reduce map` draws", "fragments");
            Err(FileKind::Dataset.unreadable(codes.path())(fault))
        }
    }
}

/// Both outputs begin in temporary files, so only their names show that one would replace the other.
fn refuse_same_place(setting: &'static str, output: &Path, other: Option<&PathBuf>) -> pcapae::Result<()> {
    match other {
        Some(other) if other == output => Err(Error::Setting {
            setting,
            got: other.display().to_string(),
            expected: "another file than that of --output".into(),
            remedy: None,
        }),
        _ => Ok(()),
    }
}

fn report_fit(reducer: &Reducer, console: &Console) {
    let windows = counted(reducer.count(), "window");
    match reducer.reduction().max_samples() {
        Some(most) if (most as u64) < reducer.count() => {
            console.say(format_args!("fitted to {most} of {windows}, drawn at random; --sample changes that"));
        }
        _ => {}
    }
    if !reducer.converged() {
        console.warn("the search stopped at --max-iter before it reached --tol");
    }
}

fn show(outcome: &Outcome<'_>, codes: &Path, as_json: bool, console: &Console) -> anyhow::Result<ExitCode> {
    match as_json {
        true => print(&format!("{}\n", json_of(outcome)))?,
        false => print(&table_of(outcome))?,
    }
    let Outcome { quality, reduction, .. } = outcome;
    let numbers = counted(reduction.components() as u64, "number");
    console.say(format_args!("{}: {} of {numbers}", codes.display(), counted(quality.windows, "code")));
    Ok(ExitCode::SUCCESS)
}

fn table_of(outcome: &Outcome<'_>) -> String {
    let header = ["method", "seconds to fit", "to reduce", "reconstruction error", "entropy of codes"];
    let mut table = dense_table(header);
    let Outcome { reduction, fitting_seconds, reducing_seconds, quality } = outcome;
    table.add_row([
        reduction.title(),
        fitting_seconds.map_or("–".into(), |seconds| format!("{seconds:.2}")),
        format!("{reducing_seconds:.2}"),
        quality.reconstruction_error.map_or("–".into(), |error| format!("{error:.3e}")),
        format!("{:.2} bits", quality.entropy),
    ]);
    align_right(&mut table, 1..=header.len() - 1);
    format!("{table}\n")
}

fn json_of(outcome: &Outcome<'_>) -> serde_json::Value {
    let Outcome { reduction, fitting_seconds, reducing_seconds, quality } = outcome;
    json!({
        "method": reduction.name(),
        "parameters": reduction.parameters(),
        "windows": quality.windows,
        "fitting_seconds": fitting_seconds,
        "reducing_seconds": reducing_seconds,
        "reconstruction_error": quality.reconstruction_error,
        "entropy": quality.entropy,
    })
}
