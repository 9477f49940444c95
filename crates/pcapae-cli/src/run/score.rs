//! `pcapae score`: a dataset or codes to a table of scores.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use pcapae::dataset::Dataset;
use pcapae::detectors::{Fitted, SampleFile, ScoreSink, ScoringHead, further_columns};
use pcapae::error::{Fault, FileKind};
use pcapae::residual::WindowScorer;
use pcapae::scores::{ScoreRow, ScoreWriter};
use pcapae::{Error, Result};

use super::input::{counted, output};
use crate::args::{ModelArgs, ScoreArgs};
use crate::progress::Console;

/// Scores, then puts the table in its place.
pub fn run(args: &ScoreArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let inputs = [&args.scorer, &args.input].into_iter().chain(&args.standardise);
    let file = output(&args.output, args.force, inputs)?;
    let work = Work::of(args, console)?;
    let unfinished = File::create(file.path()).with_context(|| format!("cannot write {}", args.output.display()))?;
    let mut writer = ScoreWriter::new(BufWriter::new(unfinished), work.further_columns())?;
    let mut summary = Summary { threshold: work.own_threshold(), ..Summary::default() };
    let rows = work.score(
        &mut |row, further| {
            summary.take(row);
            writer.write(row, further)
        },
        console,
    )?;
    writer.finish()?.into_inner().map_err(|error| Error::io("write", &args.output)(error.into_error()))?;
    file.keep()?;
    console.clear();
    console.say(format_args!("{}: {}{}", args.output.display(), counted(rows, "score"), summary.text()));
    Ok(ExitCode::SUCCESS)
}

/// What scores what, checked to go together.
enum Work {
    Detector { fitted: Box<Fitted>, input: SampleFile },
    Model { scorer: Box<WindowScorer>, dataset: Dataset },
}

impl Work {
    fn of(args: &ScoreArgs, console: &Console) -> Result<Work> {
        if Fitted::is_recognised(&args.scorer)? {
            if args.scoring.is_some() || args.frames.is_some() {
                return Err(no_model(args));
            }
            let fitted = Box::new(Fitted::open(&args.scorer)?);
            let input = SampleFile::open(&args.input)?;
            fitted.check(&input)?;
            return Ok(Work::Detector { fitted, input });
        }
        let model = ModelArgs { path: args.scorer.clone(), frames: args.frames }.load()?;
        let dataset = dataset(&args.input)?;
        let normal = args.standardise.as_deref().map(self::dataset).transpose()?;
        let head = match (args.scoring.unwrap_or(ScoringHead::Mean), &normal) {
            (ScoringHead::Top { k, .. }, Some(_)) => ScoringHead::Top { k, standardised: true },
            (_, Some(_)) => return Err(nothing_to_standardise()),
            (head, None) => head,
        };
        for dataset in [Some(&dataset), normal.as_ref()].into_iter().flatten() {
            pcapae::residual::check(&model, dataset)?;
        }
        let scorer = Box::new(WindowScorer::new(model, head, normal.as_ref(), console)?);
        Ok(Work::Model { scorer, dataset })
    }

    fn own_threshold(&self) -> Option<f64> {
        match self {
            Work::Detector { fitted, .. } => fitted.own_threshold(),
            Work::Model { .. } => None,
        }
    }

    fn further_columns(&self) -> &'static [&'static str] {
        match self {
            Work::Detector { input, .. } => input.further_columns(),
            Work::Model { dataset, .. } => further_columns(dataset.mode()),
        }
    }

    fn score(&self, sink: &mut ScoreSink<'_>, console: &Console) -> Result<u64> {
        match self {
            Work::Detector { fitted, input } => fitted.score_file(input, sink, console),
            Work::Model { scorer, dataset } => scorer.score(dataset, sink, console),
        }
    }
}

/// A dataset for a model; says so where it is a file of codes.
fn dataset(path: &Path) -> Result<Dataset> {
    match SampleFile::open(path)? {
        SampleFile::Fragments(dataset) => Ok(dataset),
        SampleFile::Codes(_) => {
            Err(FileKind::Dataset.unreadable(path)(Fault::found("a file of codes", "fragments, which a model scores")))
        }
    }
}

fn no_model(args: &ScoreArgs) -> Error {
    Error::Setting {
        setting: if args.scoring.is_some() { "--scoring" } else { "--frames" },
        got: "is given".into(),
        expected: "none, since a detector says itself how it scores".into(),
        remedy: None,
    }
}

fn nothing_to_standardise() -> Error {
    Error::Setting {
        setting: "--scoring",
        got: "mean or sum".into(),
        expected: "topK with --standardise".into(),
        remedy: Some("leave --standardise out, or give --scoring top8".into()),
    }
}

/// What to say of the scores.
#[derive(Default)]
struct Summary {
    threshold: Option<f64>,
    range: Option<[f64; 2]>,
    above: u64,
}

impl Summary {
    fn take(&mut self, row: &ScoreRow) {
        let [low, high] = self.range.unwrap_or([row.score; 2]);
        self.range = Some([low.min(row.score), high.max(row.score)]);
        self.above += u64::from(self.threshold.is_some_and(|threshold| row.score > threshold));
    }

    fn text(&self) -> String {
        let range = self.range.map_or_else(String::new, |[low, high]| format!(" from {low:.4} to {high:.4}"));
        match self.threshold {
            Some(threshold) => format!("{range}, {} above the detector's own threshold {threshold:.4}", self.above),
            None => range,
        }
    }
}
