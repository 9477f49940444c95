//! Early stopping: when the validation loss has not fallen for some epochs (Prechelt, *Early Stopping – But When?*, 1998).

/// Follows the validation loss from epoch to epoch.
#[derive(Debug, Clone)]
pub struct EarlyStopping {
    patience: usize,
    best: f64,
    /// Epochs since the best.
    waited: usize,
}

/// What a validation loss means for the training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The smallest so far: keep these weights.
    Best,
    /// Not the smallest, but within patience.
    Wait,
    /// Patience is exhausted.
    Stop,
}

impl EarlyStopping {
    /// Stops after `patience` epochs in a row without a strictly smaller loss.
    pub fn new(patience: usize) -> EarlyStopping {
        EarlyStopping { patience, best: f64::INFINITY, waited: 0 }
    }

    /// Records an epoch's validation loss; NaN is never the best.
    pub fn observe(&mut self, loss: f64) -> Verdict {
        if loss < self.best {
            self.best = loss;
            self.waited = 0;
            return Verdict::Best;
        }
        self.waited += 1;
        if self.waited >= self.patience { Verdict::Stop } else { Verdict::Wait }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Best, Stop, Wait};
    use super::*;

    #[test]
    fn it_waits_for_a_strictly_smaller_loss() {
        let mut stopping = EarlyStopping::new(2);
        let verdicts = [3.0, 2.0, 2.0, 1.0, f64::NAN, 1.0].map(|loss| stopping.observe(loss));
        assert_eq!(verdicts, [Best, Best, Wait, Best, Wait, Stop]);
    }
}
