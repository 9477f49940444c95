//! Whole experiments: from captures to a table of what each detector finds, over modes, sizes, masks, models, detectors and seeds.
//!
//! A [`Plan`] says what to try. Every stage (dataset, training, codes, fit, scores) leaves a file in a cache, named by all that went into
//! it; what is there is taken, so a stopped experiment goes on and a changed plan computes only what is new.
//!
//! Models and detectors see normal traffic only, thresholds are calibrated on normal traffic that neither saw, and the labelled captures are
//! looked at last and only to report.

mod plan;

mod matrix;

mod cache;

mod stages;

mod outcome;

mod table;

pub use matrix::{Coder, CuttingAxes, ModelAxes, Run, Scorer};
pub use outcome::{Charts, RunOutcome};
pub use plan::{Part, Plan, PlanCaptures};
pub use table::{
    MEASURES, Spread, TableRow, confusion_map, runs_csv, summary_map, table, table_csv, table_json, table_markdown,
};

use std::path::PathBuf;

use crate::label::PacketLabels;
use crate::metrics::{Evaluated, EvaluationConfig, EvaluationInput, evaluate};
use crate::progress::Progress;
use crate::scores::ScoreTable;
use crate::{Error, Result};
use cache::{Cache, Made};
use stages::Stages;

/// Runs all of a plan, with the files of all stages in the folder `cache`, and hands over each outcome as it comes, in the order of
/// [`Plan::runs`]; a run that was refused, say because a detector looks at packets and rows are none, is handed over with its reason.
///
/// # Errors
///
/// Captures or labels cannot be read, the disk is full, or `progress` asked to stop. What was made until then stays in the cache.
pub fn run(
    plan: &Plan,
    cache: PathBuf,
    progress: &dyn Progress,
    told: &mut dyn FnMut(Run, Result<Evaluated>) -> Result<()>,
) -> Result<()> {
    let stages = Stages::new(Cache::open(cache)?, plan, progress);
    let truth = plan.captures.eval.labels.as_deref().map(PacketLabels::open).transpose()?;
    let config = EvaluationConfig { threshold: plan.threshold, ..EvaluationConfig::default() };
    for run in plan.runs() {
        match evaluated(&stages, &run, truth.as_ref(), &config) {
            Err(error) if !is_of_the_run(&error) => return Err(error),
            outcome => told(run, outcome)?,
        }
    }
    Ok(())
}

fn evaluated(
    stages: &Stages<'_>,
    run: &Run,
    truth: Option<&PacketLabels>,
    config: &EvaluationConfig,
) -> Result<Evaluated> {
    let scored = stages.scores(run)?;
    let open = |made: &Made| ScoreTable::open(&made.path);
    let (scores, calibration) = (open(&scored.eval)?, open(&scored.predict)?);
    let check = scored.check.as_ref().map(open).transpose()?;
    let input = EvaluationInput { scores: &scores, calibration: &calibration, check: check.as_ref(), truth };
    match evaluate(input, config) {
        // Of windows that lie across each other it is not known which packets they hold: their own labels count then.
        Err(Error::Unevaluable { .. }) => evaluate(EvaluationInput { truth: None, ..input }, config),
        result => result,
    }
}

/// Whether a refusal says that the settings of one run do not go together; others may.
fn is_of_the_run(error: &Error) -> bool {
    matches!(
        error,
        Error::Setting { .. }
            | Error::Lacking { .. }
            | Error::NoWindows { .. }
            | Error::NoFragments { .. }
            | Error::NoThreshold { .. }
            | Error::Unevaluable { .. }
    )
}
