//! What people and programs read: of a detection, alerts merged into events; of a training, its history, curves and pictures.

mod event;

mod community_id;

mod log_line;

mod json;

mod alert_capture;

mod scores;

mod summary;

mod picture;

mod chart;

mod history;

mod loss_curve;

mod training_picture;

mod tensorboard;

pub use alert_capture::alert_capture;
pub use community_id::community_id;
pub use event::{EVENT_GAP_NS, Event, events};
pub use history::{EpochRow, history_csv, read_history};
pub use json::{event_json, summary_json, timestamp};
pub use log_line::{cef_line, syslog_line};
pub use loss_curve::loss_curve;
pub use picture::Picture;
pub use scores::scores_csv;
pub use summary::Summary;
pub use tensorboard::{Ending, HyperParameter, Moment, TensorBoardFile, tensorboard_file_name};
pub use training_picture::{TrainingPicture, entropy_of_code};
