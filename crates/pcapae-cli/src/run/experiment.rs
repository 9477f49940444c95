//! `pcapae experiment`: a plan to tables and images.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use pcapae::atomic_file::{AtomicFile, Existing};
use pcapae::experiment::{
    Charts, Plan, RunOutcome, confusion_map, run as run_plan, runs_csv, summary_map, table, table_csv, table_json,
    table_markdown,
};
use pcapae::metrics::Evaluated;
use pcapae::progress::Progress;
use pcapae::report::Image;

use super::input::counted;
use crate::args::ExperimentArgs;
use crate::failure::REFUSED;
use crate::progress::{Console, print, remove_if_stopped};

/// Checks the plan, runs it, and writes what came of it.
pub fn run(args: ExperimentArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let plan = Plan::open(&args.plan, args.captures.as_deref())?;
    let (runs, out) = (plan.runs().len(), args.output.as_path());
    let charts = out.join("runs");
    fs::create_dir_all(&charts).map_err(pcapae::Error::io("create", &charts))?;
    console.let_work_end();
    let counting = Counting { console, done: AtomicUsize::new(0), runs };
    let mut outcomes = Vec::with_capacity(runs);
    let run = run_plan(&plan, out.join("cache"), &counting, &mut |run, outcome| {
        if let (Ok(evaluated), true) = (&outcome, run.seed == plan.seeds[0]) {
            write_charts(&charts, outcomes.len() + 1, evaluated)?;
        }
        counting.one_more();
        outcomes.push(RunOutcome { run, outcome: outcome.map(|evaluated| evaluated.evaluation) });
        write_tables(out, &plan.name, &outcomes)
    });
    console.clear();
    match run {
        Err(pcapae::Error::Interrupted) => {
            console.warn("stopped; the same command goes on from here");
            return Ok(ExitCode::from(REFUSED));
        }
        run => run?,
    }
    write_pictures(out, &plan.name, &outcomes)?;
    let refused = outcomes.iter().filter(|outcome| outcome.outcome.is_err()).count();
    if refused > 0 {
        console.warn(format_args!("{} refused; the table says why", counted(refused as u64, "run")));
    }
    let rows = table(&outcomes);
    match args.json {
        true => print(&format!("{}\n", table_json(&plan.name, &rows)))?,
        false => print(&table_markdown(&plan.name, &rows))?,
    }
    console.say(format_args!("{}: tables and images of {}", out.display(), counted(runs as u64, "run")));
    Ok(ExitCode::SUCCESS)
}

fn write_tables(out: &Path, name: &str, outcomes: &[RunOutcome]) -> pcapae::Result<()> {
    let rows = table(outcomes);
    write(&out.join("runs.csv"), &runs_csv(outcomes)?)?;
    write(&out.join("table.csv"), &table_csv(&rows)?)?;
    write(&out.join("table.md"), table_markdown(name, &rows).as_bytes())
}

/// After the last run only: images of many rows take longer than a run from the cache.
fn write_pictures(out: &Path, name: &str, outcomes: &[RunOutcome]) -> pcapae::Result<()> {
    write_picture(&out.join("summary.png"), &summary_map(name, &table(outcomes)).image())?;
    write_picture(&out.join("confusion.png"), &confusion_map(name, outcomes).image())
}

fn write_charts(folder: &Path, number: usize, evaluated: &Evaluated) -> pcapae::Result<()> {
    let charts = Charts::of(evaluated)?;
    write_picture(&folder.join(format!("{number:03}-scores.png")), &charts.scores)?;
    write_picture(&folder.join(format!("{number:03}-precision-recall.png")), &charts.precision_recall)
}

fn write_picture(place: &Path, image: &Image) -> pcapae::Result<()> {
    write(place, &image.png().map_err(pcapae::Error::io("write", place))?)
}

fn write(place: &Path, bytes: &[u8]) -> pcapae::Result<()> {
    let file = AtomicFile::create(place, Existing::Replace)?;
    remove_if_stopped(file.path());
    file.write(bytes)
}

/// Says in front of every stage which run it is for.
struct Counting<'a> {
    console: &'a Console,
    done: AtomicUsize,
    runs: usize,
}

impl Counting<'_> {
    fn one_more(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Progress for Counting<'_> {
    fn begin(&self, what: &str, total: Option<u64>) {
        let run = self.done.load(Ordering::Relaxed) + 1;
        self.console.begin(&format!("run {run} of {}: {what}", self.runs), total);
    }

    fn advance(&self, units: u64) {
        self.console.advance(units);
    }

    fn remark(&self, text: &str) {
        self.console.remark(text);
    }

    fn interrupted(&self) -> bool {
        self.console.interrupted()
    }
}
