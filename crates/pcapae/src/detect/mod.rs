//! From errors to verdicts: detectors, their scores, scores of packets, and the threshold above which a score is an alert.
//!
//! A higher score is more anomalous, everywhere. Nothing here knows the model.

mod samples;

mod numbers;

mod detector;

mod rows;

mod isolation_forest;

mod one_class_svm;

mod packet_scores;

mod reconstruction;

mod threshold;

pub use detector::Detector;
pub use isolation_forest::{Auto, Contamination, IsolationForest, IsolationForestConfig, MaxFeatures, MaxSamples};
pub use numbers::{Array, Numbers};
pub use one_class_svm::{Gamma, GammaRule, KernelName, OneClassSvm, OneClassSvmConfig};
pub use packet_scores::PacketScores;
pub use reconstruction::reconstruction_error;
pub use samples::Samples;
pub use threshold::{FalseAlarmRate, ParetoTail, Threshold, ThresholdRule};
