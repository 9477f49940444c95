//! How surprising a model finds each window of a dataset: its residual, brought to one score by a head.

use crate::dataset::{Dataset, WantedWindows};
use crate::detectors::{
    DEVIATION_FLOOR, PositionSums, ScoreSink, ScoringHead, Standardisation, further_columns, packets_of_window,
    score_row,
};
use crate::encode::checked_windows;
use crate::engine::Engine;
use crate::model::{Autoencoder, Head};
use crate::progress::Progress;
use crate::{Error, Result};

/// Smallest deviation by which a squared error is divided: that of a reconstruction which is eight byte values off, (8 / 255)². A
/// position that never varies counts a change of that size once.
const SQUARED_ERROR_FLOOR: f32 = 1e-3;

/// A model that scores windows.
///
/// The residual has a value for each byte of the frames that the decoder gives: (x − x̂)² with bytes divided by 255, or −ln p of the byte for a
/// model with a categorical head. A window's score is what the scoring head makes of all of them.
#[derive(Debug)]
pub struct ResidualScorer {
    model: Autoencoder,
    engine: Engine,
    head: ScoringHead,
    usual: Option<Standardisation>,
}

/// Refuses a dataset whose fragments have another size or shape than the model takes, and one without a window; gives the number of
/// windows.
pub fn check(model: &Autoencoder, dataset: &Dataset) -> Result<usize> {
    checked_windows(model, dataset, model.config().window_frames())
}

impl ResidualScorer {
    /// A scorer by `model` and `head`. A head that standardises looks at what is usual in `normal`, a dataset of normal traffic that the model was
    /// not trained on; others need none. Progress counts windows.
    ///
    /// Refuses a head that standardises without `normal`, and a dataset that does not suit the model.
    pub fn new(
        model: Autoencoder,
        head: ScoringHead,
        normal: Option<&Dataset>,
        progress: &dyn Progress,
    ) -> Result<ResidualScorer> {
        head.check()?;
        let engine = Engine::new(&model);
        let mut scorer = ResidualScorer { model, engine, head, usual: None };
        if head.is_standardised() {
            let lacking =
                Error::Lacking { detector: "standardised scoring head", lacking: "a dataset of normal traffic" };
            scorer.usual = Some(scorer.standardisation(normal.ok_or(lacking)?, progress)?);
        }
        Ok(scorer)
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
        self.wanted(dataset).each_block(
            |block| {
                let residuals = self.engine.residual(&block.bytes_of_windows());
                let score = |residual: &[f32]| self.head.score(residual, self.usual.as_ref());
                residuals.chunks(self.positions()).map(score).collect::<Vec<f64>>()
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

    fn standardisation(&self, normal: &Dataset, progress: &dyn Progress) -> Result<Standardisation> {
        let windows = check(&self.model, normal)?;
        progress.begin("standardising", Some(windows as u64));
        let mut sums = PositionSums::default();
        self.wanted(normal).each_block(
            |block| self.engine.residual(&block.bytes_of_windows()),
            |block, residuals| {
                residuals.chunks(self.positions()).for_each(|residual| sums.add(residual));
                progress.advance(block.windows.len() as u64);
                Ok(())
            },
            progress,
        )?;
        Ok(sums.standardisation(match self.model.config().head {
            Head::Categorical => DEVIATION_FLOOR,
            _ => SQUARED_ERROR_FLOOR,
        }))
    }

    fn wanted<'a>(&self, dataset: &'a Dataset) -> WantedWindows<'a> {
        WantedWindows { dataset, frames: self.model.config().window_frames(), stride: 1 }
    }

    /// Values in a window's residual.
    fn positions(&self) -> usize {
        self.model.config().emitted_frames() * self.model.config().side.fragment_size()
    }
}
