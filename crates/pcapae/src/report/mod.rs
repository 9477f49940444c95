//! What people and programs read of a detection: alerts merged into events.

mod event;

mod json;

mod scores;

mod summary;

pub use event::{EVENT_GAP_NS, Event, events};
pub use json::{event_json, summary_json, timestamp};
pub use scores::scores_csv;
pub use summary::Summary;
