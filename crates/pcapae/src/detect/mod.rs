//! From errors to verdicts: detectors, their scores, scores of packets, and the threshold above which a score is an alert.
//!
//! A higher score is more anomalous, everywhere. Nothing here knows the model.

mod samples;

mod numbers;

mod parts;

mod detector;

mod rows;

mod contamination;

mod distance;

mod neighbours;

mod moments;

mod eigen;

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

mod conformal;

mod combination;

mod connection;

mod packet_scores;

mod reconstruction;

mod threshold;

mod blueprint;

mod sample_file;

mod fitted;

pub use blueprint::Blueprint;
pub(crate) use blueprint::{detector_and_parameters, read_text};
pub use combination::Combination;
pub use conformal::Conformal;
pub use connection::{CONNECTIONS_REMEMBERED, ConnectionScores, PACKETS_TOGETHER};
pub use contamination::{Auto, Contamination};
pub use detector::{Detector, Scorer};
pub(crate) use distance::Distance;
pub use distance::MetricName;
pub(crate) use eigen::{Eigen, leading};
pub use fitted::{Fitted, ScoreSink};
pub use inter_arrival::{Before, GAPS_REMEMBERED, GapClock, InterArrival, InterArrivalConfig};
pub use isolation_forest::{IsolationForest, IsolationForestConfig, MaxFeatures, MaxSamples, Verbosity};
pub use k_nearest_neighbours::{Aggregation, KNearestNeighbours, KNearestNeighboursConfig};
pub use length_rarity::{LengthRarity, LengthRarityConfig};
pub use local_outlier_factor::{LocalOutlierFactor, LocalOutlierFactorConfig};
pub use mahalanobis::{CovarianceName, Mahalanobis, MahalanobisConfig};
pub(crate) use moments::Moments;
pub(crate) use neighbours::Neighbourhood;
pub use numbers::{Array, Numbers};
pub(crate) use one_class_svm::Kernel;
pub use one_class_svm::{Gamma, GammaRule, KernelName, OneClassSvm, OneClassSvmConfig};
pub use packet_scores::PacketScores;
pub use parts::Parts;
pub use position_histogram::{DEVIATION_FLOOR, PositionHistogram, PositionHistogramConfig};
pub use principal_components::{Components, PrincipalComponents, PrincipalComponentsConfig};
pub use reconstruction::reconstruction_error;

pub use sample_file::{Rows, SampleFile, further_columns};
pub(crate) use sample_file::{packets_of_window, score_row};
pub use samples::Samples;
pub use scoring_head::{PositionSums, ScoringHead, Standardisation};
pub use threshold::{FalseAlarmRate, ParetoTail, Threshold, ThresholdRule};
#[cfg(test)]
pub(crate) mod specimen;
