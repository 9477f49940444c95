//! How good alerts and scores are, measured against labels, or against each other where there are none.
//!
//! What is undefined is `None`, never 0 or 1: the precision of a detector that flags nothing, the recall where nothing is anomalous.

mod confusion;

mod ranking;

mod volume;

mod time_aware;

mod episode;

mod measures;

mod evaluation;

mod rank_correlation;

mod mass_and_volume;

mod summary;

pub use confusion::Confusion;
pub use episode::{EPISODE_GAP_NS, Episode, EpisodeMeasures, Observation, episodes};
pub use evaluation::{
    Evaluated, Evaluation, EvaluationConfig, EvaluationInput, FalseAlarms, Outcome, Rate, Volume, evaluate,
};
pub use mass_and_volume::{excess_mass, mass_volume};
pub use measures::{FlaggingEverything, Measures};
pub use rank_correlation::{rank_correlation, ranks};
pub use ranking::{Ranking, Step, average_precision};
pub use summary::Summary;
pub use time_aware::{TimeAware, TimeAwareConfig, time_aware};
pub use volume::volume_under_precision_recall;
