//! Learns what normal traffic on an industrial network looks like from raw bytes, and flags what does not fit.
//!
//! The modules follow the data, in this order; each may use only those above it:
//!
//! ```text
//! capture ─► flow ─► label ─► fragment ─► dataset ─► model ─► engine ─► train ─► detect ─► metrics ─► report
//! packets            verdicts  fixed-size  HDF5       what it  the same           scores    how good   alerts
//!                    of people bytes       file       computes  fast              threshold
//! ```
//!
//! [`explain`] says which bytes made a score, and what they are called.
//!
//! A higher score is more anomalous, everywhere.

#![forbid(unsafe_code)]

pub mod error;

pub mod progress;

pub mod atomic_file;

pub mod append_table;

pub mod tensor_file;

pub mod named_arrays;

pub mod numeric;

pub mod capture;

pub mod flow;

pub mod label;

pub mod inspect;

pub mod fragment;

pub mod dataset;

pub mod code;

pub mod model;

pub mod encode;

pub mod train;

pub mod scores;

pub mod detectors;

pub mod calibration;

pub mod residual;

#[cfg(feature = "research")]
pub mod reduce;

pub mod monitor;

pub mod explain;

pub mod metrics;

#[cfg(feature = "research")]
pub mod grid_search;

#[cfg(feature = "report")]
pub mod report;

#[cfg(feature = "research")]
pub mod experiment;

pub use error::{Error, Result};
pub use pcapae_engine as engine;
