//! Training: gradient steps over shuffled windows until the validation loss no longer falls.

mod adamw;

mod clip;

mod schedule;

mod early_stopping;

mod trainer;

pub use adamw::AdamW;
pub use clip::clip_norm;
pub use early_stopping::{EarlyStopping, Verdict};
pub use schedule::Schedule;
pub use trainer::{Epoch, History, TrainConfig, fit};
