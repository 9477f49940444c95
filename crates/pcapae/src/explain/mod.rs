//! Which bytes, and why: the relevance of every byte for a score, a code or a detector's score.
//!
//! ```text
//! window ─► recorded graph ─► target ─► rules, layer by layer backwards ─► relevance of every byte ─► packet, offset, header field
//! ```
//!
//! Rules are data ([`Rule`]), a composite says which rule is used for which layer ([`Composite`]), and one engine walks the recorded computation
//! backwards. Nothing here changes the model, and no knowledge of protocols enters detection: fields get their names afterwards.

mod rule;

mod composite;

mod linear;

mod backward;

mod code_score;

mod target;

mod method;

mod explanation;

mod occlusion;

mod explainer;

mod dataset_window;

mod fields;

mod alert;

pub use alert::{Aim, ExplainedWindow, explain_windows, joined_fields};
pub use code_score::{CodeScore, CodeShares, Sampling};
pub use composite::{Composite, ErrorRule, NormRule, ProductRule};
pub use dataset_window::DatasetWindow;
pub use explainer::Explainer;
pub use explanation::{BiasRelevance, Explanation};
pub use fields::{FieldRelevance, NameRelevance, by_name, fields, summary};
pub use method::{Baseline, Method};
pub use rule::Rule;
pub use target::Target;
