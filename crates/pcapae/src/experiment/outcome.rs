//! What came of a run.

use super::matrix::Run;
use crate::Result;
use crate::metrics::{Evaluated, Evaluation, Measures, Ranking};
use crate::report::{Image, precision_recall_chart, score_chart};

/// A run and what came of it.
#[derive(Debug)]
pub struct RunOutcome {
    /// What was run.
    pub run: Run,
    /// Its evaluation; otherwise why there is none.
    pub outcome: Result<Evaluation>,
}

/// Two images of a run.
#[derive(Debug, Clone)]
pub struct Charts {
    /// Scores over time, with threshold and labels.
    pub scores: Image,
    /// Precision over recall.
    pub precision_recall: Image,
}

impl RunOutcome {
    /// The measures by packet, or by row where packets are not known.
    pub fn measures(&self) -> Option<&Measures> {
        self.outcome.as_ref().ok().map(measures)
    }
}

/// The measures by packet, or by row where packets are not known.
fn measures(evaluation: &Evaluation) -> &Measures {
    evaluation.packets.as_ref().unwrap_or(&evaluation.rows)
}

impl Charts {
    /// Of an evaluation, by packet where packets are known.
    ///
    /// # Errors
    ///
    /// A picture cannot be drawn.
    pub fn of(evaluated: &Evaluated) -> Result<Charts> {
        let table = evaluated.packets.as_ref().unwrap_or(&evaluated.rows);
        let ranking = Ranking::of(table.scores().iter().copied().zip(table.labels().iter().copied()));
        Ok(Charts {
            scores: score_chart(table, evaluated.evaluation.threshold)?,
            precision_recall: precision_recall_chart(&ranking, &measures(&evaluated.evaluation).confusion)?,
        })
    }
}
