//! What people and programs read: of a detection, alerts merged into events, files and a page; of an explanation, JSON and an image; of a
//! training, its history, curves and images; of an evaluation, its charts and its row in a table of results; of captures, what is in them.

mod top_fields;

mod html;

mod kind;

mod community_id;

mod log_line;

mod json;

mod alert_capture;

mod scores;

mod image;

mod chart;

mod heat_map;

mod axis;

mod history;

mod loss_curve;

mod score_chart;

#[cfg(feature = "research")]
mod map_chart;

mod precision_recall_chart;

mod evaluation;

mod inspection_table;

mod inspection_figure;

mod inspection_page;

mod inspection_json;

mod tiles;

mod training_figure;

mod explanation;

mod explanation_figure;

mod tensorboard;

pub use alert_capture::AlertCapture;
pub use community_id::community_id;
pub use evaluation::{EVALUATION_HEADER, EvaluationSources, evaluation_json, evaluation_row};
pub use explanation::{alert_explanation_json, explanation_json};
pub use explanation_figure::ExplanationFigure;
pub use heat_map::{Cell, HeatMap};
pub use history::{EpochRow, history_csv, read_history};
pub use html::{HtmlReport, ReportEvidence, packets_to_show};
pub use image::Image;
pub use inspection_figure::inspection_figure;
pub use inspection_json::inspection_json;
pub use inspection_page::inspection_page;
pub use inspection_table::{InspectionTable, inspection_tables};
pub use json::{event_json, summary_json, timestamp};
pub use log_line::{cef_line, syslog_line};
pub use loss_curve::loss_curve;
#[cfg(feature = "research")]
pub use map_chart::map_chart;
pub use precision_recall_chart::precision_recall_chart;
pub use score_chart::score_chart;
pub use scores::scores_csv;
pub use tensorboard::{Ending, EventTime, HyperParameter, TensorBoardFile, tensorboard_file_name};
pub use top_fields::{TOP_FIELDS, TopField, top_fields};
pub use training_figure::{TrainingFigure, entropy_of_code};
