//! Training: gradient steps over windows until the validation loss no longer falls.
//!
//! [`fit`] trains a model in one go. [`Training`] can be stopped between two steps, saved, and resumed; [`Observer`] sees every step
//! and epoch. Beside the weights and the optimizer's moments, everything follows from the configuration and the history: the order
//! of the windows and the dropout from the seed and the number of the epoch or step, the learning rate from the step and the losses
//! so far. So no state of a random stream is saved, and a resumed training equals an uninterrupted one.

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
pub use schedule::{Schedule, StepParameters, StepPosition};
pub use training::{Observer, Outcome, Step, Training, fit};
