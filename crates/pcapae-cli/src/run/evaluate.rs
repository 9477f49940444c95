//! `pcapae evaluate`: how good scores are.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pcapae::Error;
use pcapae::append_table::{LastRow, append_row};
use pcapae::atomic_file::AtomicFile;
use pcapae::calibration::ThresholdRule;
use pcapae::label::PacketLabels;
use pcapae::metrics::{Evaluated, EvaluationConfig, EvaluationInput, Outcome, Ranking, evaluate};
use pcapae::report::{
    EVALUATION_HEADER, EvaluationSources, Image, evaluation_json, evaluation_row, precision_recall_chart, score_chart,
};
use pcapae::scores::ScoreTable;

use super::evaluation_table::text;
use super::input::output;
use crate::args::EvaluateArgs;
use crate::progress::{Console, print};

/// Measures the scores, writes what is asked for and prints the table.
pub fn run(args: &EvaluateArgs, console: &Console) -> anyhow::Result<ExitCode> {
    let rule = args.rule()?;
    check_paths(args, rule)?;
    let truth = args.ground_truth.as_deref().map(PacketLabels::open).transpose()?;
    let scores = ScoreTable::open(&args.scores)?;
    let calibration = args.calibration.as_deref().map(ScoreTable::open).transpose()?.unwrap_or_default();
    let check = args.check.as_deref().map(ScoreTable::open).transpose()?;
    let input =
        EvaluationInput { scores: &scores, calibration: &calibration, check: check.as_ref(), truth: truth.as_ref() };
    let buffer_max = args.vus_pr.map(|rows| rows as usize);
    let config = EvaluationConfig { threshold: rule, buffer_max, ..EvaluationConfig::default() };
    let evaluated = evaluate(input, &config)?;
    warn_of(&evaluated, console);

    let sources = EvaluationSources {
        scores: &args.scores,
        calibration: args.calibration.as_deref(),
        check: args.check.as_deref(),
        labels: args.ground_truth.as_deref(),
    };
    let folder = args.output.as_deref().map(|folder| Folder::create(folder, args)).transpose()?;
    let files = folder.map(|folder| Ok::<_, Error>((contents(&evaluated, &sources)?, folder))).transpose()?;
    if let Some(results) = &args.results {
        let row = evaluation_row(&evaluated.evaluation, &sources);
        if append_row(results, &EVALUATION_HEADER, &row)? == LastRow::Torn {
            console.warn(format_args!("{}: the last row was torn, and was removed", results.display()));
        }
    }
    if let Some((contents, folder)) = files {
        folder.write(&contents)?;
    }
    let printed = match args.json {
        true => evaluation_json(&evaluated.evaluation, &sources).to_string() + "\n",
        false => text(&evaluated.evaluation),
    };
    print(&printed)?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses a threshold without calibration scores, and scores that are their own calibration.
fn check_paths(args: &EvaluateArgs, rule: ThresholdRule) -> pcapae::Result<()> {
    if args.calibration.is_none() && !matches!(rule, ThresholdRule::Value(_)) {
        return Err(Error::Setting {
            setting: "calibration",
            got: "is missing".into(),
            expected: format!("scores of normal traffic to calibrate the threshold {rule} on"),
            remedy: Some("give --calibration BENIGN.csv, or a number with --threshold value:X".into()),
        });
    }
    let named =
        [("scores", Some(&args.scores)), ("calibration", args.calibration.as_ref()), ("check", args.check.as_ref())];
    let files: Vec<(&str, PathBuf)> =
        named.iter().filter_map(|(name, path)| Some((*name, path.as_ref()?.canonicalize().ok()?))).collect();
    for (index, (name, path)) in files.iter().enumerate() {
        if let Some((other, _)) = files[..index].iter().find(|(_, other)| other == path) {
            return Err(Error::Unevaluable {
                reason: format!("{} is given as {other} and as {name}", path.display()),
                remedy: Some(
                    "scores that a threshold was calibrated on do not show how good it is; give scores of other traffic"
                        .into(),
                ),
            });
        }
    }
    Ok(())
}

fn warn_of(evaluated: &Evaluated, console: &Console) {
    let evaluation = &evaluated.evaluation;
    match (evaluation.rows.confusion.normal(), evaluation.rows.confusion.anomalous()) {
        (0, anomalous) => console.warn(format_args!("all {anomalous} labels are anomalous: only misses are measured")),
        (normal, 0) => console.warn(format_args!("all {normal} labels are normal: only false alarms are measured")),
        _ => {}
    }
    let scores = evaluation.false_alarms.calibration.rows;
    if let Some(needed) = evaluation.calibration_needed.filter(|needed| (*needed as u64) > scores) {
        console.warn(format_args!(
            "{scores} calibration scores are too few for {}, which needs {needed}; the threshold is the highest of them",
            evaluation.rule
        ));
    }
    if let Some(reason) = &evaluation.no_packets {
        console.say(format_args!("nothing is measured by packet: {reason}"));
    }
}

/// The names of the files, in the order of their contents.
const FILES: [&str; 6] = [
    "evaluation.json",
    "true_positives.csv",
    "false_positives.csv",
    "misses.csv",
    "scores.png",
    "precision_recall.png",
];

fn contents(evaluated: &Evaluated, sources: &EvaluationSources<'_>) -> pcapae::Result<[Vec<u8>; FILES.len()]> {
    let evaluation = &evaluated.evaluation;
    let rows = &evaluated.rows;
    let list = |outcome| evaluated.list(outcome).to_csv();
    let png = |picture: Image| picture.png().map_err(Error::unwritable("chart"));
    let ranking = Ranking::of(rows.scores().iter().copied().zip(rows.labels().iter().copied()));
    Ok([
        (format!("{:#}\n", evaluation_json(evaluation, sources))).into_bytes(),
        list(Outcome::TruePositive)?,
        list(Outcome::FalsePositive)?,
        list(Outcome::Miss)?,
        png(score_chart(rows, evaluation.threshold)?)?,
        png(precision_recall_chart(&ranking, &evaluation.rows.confusion)?)?,
    ])
}

/// The files of the folder, all begun before the first is written.
struct Folder(Vec<AtomicFile>);

impl Folder {
    fn create(folder: &Path, args: &EvaluateArgs) -> pcapae::Result<Folder> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let inputs =
            || [&args.scores].into_iter().chain(&args.calibration).chain(&args.check).chain(&args.ground_truth);
        let files = FILES.iter().map(|name| output(&folder.join(name), args.force, inputs()));
        Ok(Folder(files.collect::<pcapae::Result<_>>()?))
    }

    fn write(self, contents: &[Vec<u8>; FILES.len()]) -> pcapae::Result<()> {
        self.0.into_iter().zip(contents).try_for_each(|(file, bytes)| file.write(bytes))
    }
}
