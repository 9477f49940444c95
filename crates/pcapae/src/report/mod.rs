//! What people and programs read: of a detection, alerts merged into events; of an explanation, JSON and a picture; of a training, its history, curves and pictures.

mod event;

mod json;

mod scores;

mod summary;

mod picture;

mod chart;

mod history;

mod loss_curve;

mod tiles;

mod training_picture;

mod explanation;

mod explanation_picture;

mod tensorboard;

pub use event::{EVENT_GAP_NS, Event, events};
pub use explanation::explanation_json;
pub use explanation_picture::ExplanationPicture;
pub use history::{EpochRow, history_csv, read_history};
pub use json::{event_json, summary_json, timestamp};
pub use loss_curve::loss_curve;
pub use picture::Picture;
pub use scores::scores_csv;
pub use summary::Summary;
pub use tensorboard::{Ending, HyperParameter, Moment, TensorBoardFile, tensorboard_file_name};
pub use training_picture::{TrainingPicture, entropy_of_code};
