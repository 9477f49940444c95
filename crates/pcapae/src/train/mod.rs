//! Training: gradient steps over windows until the validation loss no longer falls.
//!
//! [`fit`] trains a model in one go. [`Training`] can be stopped between two steps, saved, and taken up again; [`Observer`] is told
//! of every step and epoch. What a training needs beyond weights and the optimiser's memory follows from its configuration and
//! its history: the order of the windows and what is dropped out from seed and number of the epoch or step, the learning rate
//! from the step and the losses so far. So there is no random state to be saved, and a resumed training equals one that never
//! stopped.

mod clip;

mod optimizer;

mod history;

mod early_stopping;

mod schedule;

mod config;

mod training;

mod checkpoint;

pub use clip::clip_norm;
pub use config::{Order, TrainConfig};
pub use early_stopping::{EarlyStopping, Verdict};
pub use history::{Epoch, History};
pub use optimizer::{Optimizer, OptimizerState};
pub use schedule::{Moment, Pace, Schedule};
pub use training::{Observer, Outcome, Step, Training, fit};
