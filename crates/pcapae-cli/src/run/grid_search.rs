//! `pcapae grid-search`: all combinations of a detector's parameters, and the best one.

use std::process::ExitCode;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};
use pcapae::Error;
use pcapae::detectors::SampleFile;
use pcapae::grid_search::{Criterion, Grid, Search, SearchConfig, Trial, check_files, search};

use super::fit::warn_of_anomalies;
use super::input::{counted, output};
use crate::args::GridSearchArgs;
use crate::progress::{Console, print};

/// Searches, then writes the table and the best blueprint.
pub fn run(args: &GridSearchArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let grid = Grid::open(&args.grid)?;
    let (training, validation) = (SampleFile::open(&args.input)?, SampleFile::open(&args.validation)?);
    check_files(&training, &validation)?;
    std::fs::create_dir_all(&args.output).map_err(Error::io("make", &args.output))?;
    let inputs = [&args.grid, &args.input, &args.validation];
    let results = output(&args.output.join("results.csv"), args.force, inputs)?;
    let best = output(&args.output.join("best.yaml"), args.force, inputs)?;
    warn_of_anomalies(&training, console)?;
    let config =
        SearchConfig { parts: args.parts.into(), draws: args.draws.into(), seed: args.seed, ..SearchConfig::default() };
    let found = search(&grid, &training, &validation, &config, console)?;
    console.clear();
    warn_of(&found, console);
    results.write(&found.to_csv()?)?;
    print(&match args.json {
        true => found.to_json_lines(),
        false => format!("{}\n", table(&found, args.top)),
    })?;
    let Some(trial) = found.best() else {
        anyhow::bail!(
            "none of {} could be fitted; {} says why",
            counted(found.trials.len() as u64, "combination"),
            args.output.join("results.csv").display()
        );
    };
    best.write(trial.candidate.blueprint.to_yaml()?.as_bytes())?;
    console.say(format_args!("{}: {}", args.output.join("best.yaml").display(), verdict(&found, trial)));
    Ok(ExitCode::SUCCESS)
}

fn warn_of(found: &Search, console: &Console) {
    if found.overlapping == Some(true) {
        console.warn("the validation begins before the training ends: later traffic tells more");
    }
    let failed = found.trials.iter().filter(|trial| trial.outcome.is_err()).count() as u64;
    if failed > 0 {
        console.warn(format_args!("{} could not be fitted", counted(failed, "combination")));
    }
}

fn verdict(found: &Search, best: &Trial) -> String {
    let by = match (found.criterion, found.base_rate) {
        (Criterion::AveragePrecision, Some(base_rate)) => {
            format!("the average precision; one at random has {base_rate:.4}")
        }
        (Criterion::AveragePrecision, None) => "the average precision".into(),
        (Criterion::MeanRank, _) => "the mean rank in stability, excess mass and mass volume, without labels".into(),
    };
    let of = counted(found.trials.len() as u64, "combination");
    let name = best.candidate.blueprint.name();
    match found.ties() {
        1 => format!("{name}, the best of {of} by {by}"),
        ties => format!("{name}, the first of {ties} equally good ones of {of} by {by}"),
    }
}

fn table(found: &Search, top: usize) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    let marks = ["average precision", "stability", "excess mass", "mass volume", "remark"];
    let header = ["rank"].into_iter().chain(found.varied.iter().map(String::as_str)).chain(marks);
    table.set_header(header.map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    for trial in found.in_order().into_iter().take(top) {
        table.add_row(trial.cells("–", |number| format!("{number:.4}")));
    }
    let first_mark = 1 + found.varied.len();
    for column in first_mark..first_mark + 4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
