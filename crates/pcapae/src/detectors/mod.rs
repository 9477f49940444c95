//! Detectors: fitted to normal traffic, kept in a file, and scoring. One file a detector.
//!
//! A higher score is more anomalous, everywhere. Nothing here knows the model.

mod samples;

mod blocks;

mod signal;

mod token;

mod detector;

mod rows;

mod contamination;

mod isolation_forest;

mod local_outlier_factor;

mod k_nearest_neighbours;

mod mahalanobis;

mod principal_components;

mod one_class_svm;

mod fact_numbers;

mod scoring_head;

mod position_histogram;

mod length_rarity;

mod inter_arrival;

mod novelty;

mod length_back_off;

mod sequence;

mod closed_positions;

mod rate;

#[cfg(test)]
mod row_mean;

mod blueprint;

mod sample_file;

mod fitted;

mod stream;

pub use blocks::{BLOCKS, Blocks};
pub use blueprint::{Blueprint, Input};
pub(crate) use blueprint::{detector_and_parameters, plain, read_text};
pub use closed_positions::{ClosedPositions, ClosedPositionsConfig};
pub use contamination::{Auto, Contamination};
pub use detector::{Detector, Scorer};
pub(crate) use fitted::FittedRecord;
pub use fitted::{Fitted, ScoreSink};
pub use inter_arrival::{Before, GAPS_REMEMBERED, GapClock, InterArrival, InterArrivalConfig};
pub use isolation_forest::{IsolationForest, IsolationForestConfig, MaxFeatures, MaxSamples, Verbosity};
pub use k_nearest_neighbours::{Aggregation, KNearestNeighbours, KNearestNeighboursConfig};
pub use length_back_off::{LengthBackOff, LengthBackOffConfig};
pub use length_rarity::{LengthRarity, LengthRarityConfig};
pub use local_outlier_factor::{LocalOutlierFactor, LocalOutlierFactorConfig};
pub use mahalanobis::{CovarianceName, Mahalanobis, MahalanobisConfig};
pub use novelty::{Novelty, NoveltyConfig, NoveltyKind};
pub use one_class_svm::{Gamma, GammaRule, KernelName, OneClassSvm, OneClassSvmConfig};
pub use position_histogram::{DEVIATION_FLOOR, PositionHistogram, PositionHistogramConfig};
pub use principal_components::{Components, PrincipalComponents, PrincipalComponentsConfig};
pub use rate::{Rate, RateConfig};
pub use sample_file::{Rows, SampleFile, further_columns};
pub(crate) use sample_file::{packets_of_window, score_row};
pub use samples::Samples;
pub use scoring_head::{PositionSums, ScoringHead, Standardisation};
pub use sequence::{Sequence, SequenceConfig};
pub use signal::{Aspect, Margin, PacketRow, Signal, SignalSink, SignalStream, UnknownCell};
pub(crate) use stream::RowStream;
pub use stream::{FragmentScorer, ScoredFragment, ScoredSink, WindowOf};
pub(crate) use token::GroupedBy;
#[cfg(test)]
pub(crate) mod fixtures;
