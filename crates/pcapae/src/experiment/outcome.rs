//! What came of a run.

use super::matrix::Run;
use crate::Result;
use crate::metrics::{Evaluated, Measures, Ranking};
use crate::report::{Picture, precision_recall_chart, score_chart};

/// A run and what came of it.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    /// What was run.
    pub run: Run,
    /// Its evaluation; otherwise, in a sentence, why there is none.
    pub outcome: Result<Evaluated, String>,
}

/// Two pictures of a run.
#[derive(Debug, Clone)]
pub struct Charts {
    /// Scores over time, with threshold and labels.
    pub scores: Picture,
    /// Precision over recall.
    pub precision_recall: Picture,
}

impl RunOutcome {
    /// The measures by packet, or by row where packets are not known.
    pub fn measures(&self) -> Option<&Measures> {
        let evaluated = self.outcome.as_ref().ok()?;
        Some(evaluated.evaluation.packets.as_ref().unwrap_or(&evaluated.evaluation.rows))
    }

    /// Its pictures, by packet where packets are known; `None` where there is no evaluation.
    pub fn charts(&self) -> Result<Option<Charts>> {
        let (Ok(evaluated), Some(measures)) = (&self.outcome, self.measures()) else { return Ok(None) };
        let table = evaluated.packets.as_ref().unwrap_or(&evaluated.rows);
        let ranking = Ranking::of(table.scores().iter().copied().zip(table.labels().iter().copied()));
        Ok(Some(Charts {
            scores: score_chart(table, evaluated.evaluation.threshold)?,
            precision_recall: precision_recall_chart(&ranking, &measures.confusion)?,
        }))
    }
}
