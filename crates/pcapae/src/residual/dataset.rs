//! The score of each window of a dataset.

use super::ResidualScore;
use crate::dataset::{Dataset, WantedWindows};
use crate::detectors::{PositionSums, ScoreSink, ScoringHead, further_columns, packets_of_window, score_row};
use crate::encode::checked_windows;
use crate::engine::Engine;
use crate::model::Autoencoder;
use crate::progress::Progress;
use crate::{Error, Result};

/// Scores the windows of datasets by a model's residual.
///
/// A window's score is what the scoring head makes of the residual of all frames that the decoder gives.
#[derive(Debug)]
pub struct WindowScorer {
    model: Autoencoder,
    engine: Engine,
    score: ResidualScore,
}

/// Refuses a dataset whose fragments have another size or shape than the model takes, and one without a window; gives the number of
/// windows.
pub fn check(model: &Autoencoder, dataset: &Dataset) -> Result<usize> {
    checked_windows(model, dataset, model.config().window_frames())
}

impl WindowScorer {
    /// A scorer by `model` and `head`. A head that standardises looks at what is usual in `normal`, a dataset of normal traffic that the model was
    /// not trained on; others need none. Progress counts windows.
    ///
    /// Refuses a head that standardises without `normal`, and a dataset that does not suit the model.
    pub fn new(
        model: Autoencoder,
        head: ScoringHead,
        normal: Option<&Dataset>,
        progress: &dyn Progress,
    ) -> Result<WindowScorer> {
        let engine = Engine::new(&model);
        let sums = || {
            let lacking =
                Error::Lacking { detector: "standardised scoring head", lacking: "a dataset of normal traffic" };
            residual_sums(&model, &engine, normal.ok_or(lacking)?, progress)
        };
        let score = ResidualScore::new(head, model.config().head, sums)?;
        Ok(WindowScorer { model, engine, score })
    }

    /// Scores all windows of `dataset` and hands them to `sink`, in order; gives their number. Progress counts windows. What
    /// [`check`] refuses is refused.
    ///
    /// Neighbouring windows overlap in all fragments but one. The scores are the same with any number of threads.
    pub fn score(&self, dataset: &Dataset, sink: &mut ScoreSink<'_>, progress: &dyn Progress) -> Result<u64> {
        let windows = check(&self.model, dataset)?;
        progress.begin("scoring", Some(windows as u64));
        let listed = !further_columns(dataset.mode()).is_empty();
        let mut number = 0;
        all_windows(&self.model, dataset).each_block(
            |block| {
                let residuals = self.engine.residual(&block.bytes_of_windows());
                let score = |residual: &[f32]| self.score.score(residual);
                residuals.chunks(positions(&self.model)).map(score).collect::<Vec<f64>>()
            },
            |block, scores| {
                for (window, score) in block.windows.iter().zip(&scores) {
                    let origin = block.provenance.origin(window.clone());
                    let list = listed.then(|| packets_of_window(&block.provenance, window.clone()));
                    sink(&score_row(number, origin, *score), list.as_deref().as_slice())?;
                    number += 1;
                }
                progress.advance(scores.len() as u64);
                Ok(())
            },
            progress,
        )?;
        Ok(number as u64)
    }
}

/// Sums, over the windows of a dataset of normal traffic, of the residual of each byte.
fn residual_sums(
    model: &Autoencoder,
    engine: &Engine,
    normal: &Dataset,
    progress: &dyn Progress,
) -> Result<PositionSums> {
    let windows = check(model, normal)?;
    progress.begin("standardising", Some(windows as u64));
    let mut sums = PositionSums::default();
    all_windows(model, normal).each_block(
        |block| engine.residual(&block.bytes_of_windows()),
        |block, residuals| {
            residuals.chunks(positions(model)).for_each(|residual| sums.add(residual));
            progress.advance(block.windows.len() as u64);
            Ok(())
        },
        progress,
    )?;
    Ok(sums)
}

fn all_windows<'a>(model: &Autoencoder, dataset: &'a Dataset) -> WantedWindows<'a> {
    WantedWindows { dataset, frames: model.config().window_frames(), stride: 1 }
}

/// Values in a window's residual.
fn positions(model: &Autoencoder) -> usize {
    model.config().emitted_frames() * model.config().side.fragment_size()
}
