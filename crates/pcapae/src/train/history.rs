//! The history of a training: its losses, epoch by epoch.

use serde::{Deserialize, Serialize};

/// The losses of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Mean loss over the training windows, each before its step.
    pub train: f64,
    /// Mean loss over the validation windows after the epoch.
    pub validation: f64,
}

/// The history of a training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Every epoch, in order.
    pub epochs: Vec<Epoch>,
    /// The epoch, from 0, with the least validation loss, the first of equal ones; `None` if no epoch was run.
    pub best: Option<usize>,
}

impl History {
    /// The best epoch.
    pub fn best_epoch(&self) -> Option<Epoch> {
        self.epochs.get(self.best?).copied()
    }
}
