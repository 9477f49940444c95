//! Learns what normal traffic on an industrial network looks like from raw bytes, and flags what does not fit.
//!
//! ```
//! use pcapae::prelude::*;
//!
//! // A plant in small: a station asks a controller for one of eight registers, over and over.
//! let plant = |odd: Option<u16>| -> std::io::Result<Captures> {
//!     let mut file = Vec::new();
//!     let mut capture = PcapNgWriter::new(&mut file)?;
//!     capture.interface(LinkType::ETHERNET, "plant")?;
//!     for number in 1..=1000_u16 {
//!         let value = if odd == Some(number) { 0xee } else { (number % 8) as u8 };
//!         let mut data = vec![2, 2, 2, 2, 2, 2, 4, 4, 4, 4, 4, 4, 8, 0];
//!         data.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
//!         data.extend([0x9c, 0x40, 0x01, 0xf6, 0, 20, 0, 0, value, value, value, value, 0, 0, 0, 0, 0, 0, 0, 0]);
//!         let (time_ns, wire_length) = (i64::from(number) * 1_000_000, data.len() as u32);
//!         let packet = Packet { number: number.into(), time_ns, link: LinkType::ETHERNET, interface: 0, wire_length, data: &data };
//!         capture.packet(0, &packet, "")?;
//!     }
//!     capture.finish()?;
//!     Ok(Captures::from_reader("plant.pcapng", std::io::Cursor::new(file)))
//! };
//!
//! // By default an autoencoder is trained that explains alerts; here nothing is to be explained.
//! let config = LearnConfig { explain: false, ..LearnConfig::default() };
//! let bundle = learn(plant(None)?, &config, &())?.bundle;
//!
//! let detection = bundle.detect(plant(Some(500))?, Labels::All(Label::Unknown), Keep::Events, &())?;
//! assert_eq!(detection.events[0].packets, [500]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Captures::open`](capture::Captures::open) reads files, [`Bundle::save`](monitor::Bundle::save) and [`Bundle::open`](monitor::Bundle::open) keep
//! what was learned. Every stage can be used alone:
//!
//! ```text
//! capture ─► fragment ─► dataset ─► model, train ─► code ─► detectors ─► scores ─► calibration ─► alerts ─► events ─► report
//! ```
//!
//! A higher score is more anomalous, everywhere. What takes long reports to a [`Progress`](progress::Progress), and stops when that asks it to; `&()`
//! is one that does neither.
//!
//! Features, off by default: `report` (charts, pages, logs), `research` (reductions, grid search, experiments) and `torch` (PyTorch's files, ONNX).

#![forbid(unsafe_code)]

// Every way the library refuses, with the place.
pub mod error;

// How long work reports its progress and is asked to stop.
pub mod progress;

// Files that appear whole or not at all.
pub mod atomic_file;

// CSV files that gain a row a run.
pub mod append_table;

// safetensors files with metadata.
pub mod tensor_file;

// Arrays by name: the state of a fitted detector or reducer.
pub mod named_arrays;

// Distances, neighbours, moments, eigenvectors, kernels.
pub mod numeric;

// Captures to packets, packets to headers.
pub mod capture;

// The five-tuple as a key that sorts.
pub mod flow;

// Normal, anomalous, unknown; ground-truth files.
pub mod label;

// What is in captures, and how two differ.
pub mod inspect;

// Packets to fragments of a fixed size.
pub mod fragment;

// The HDF5 file of fragments; windows over them.
pub mod dataset;

// The HDF5 file of codes.
pub mod code;

// The autoencoder, its configuration and its files.
pub mod model;

// A dataset and a model to codes.
pub mod encode;

// Optimisers, schedules, early stopping, and a training that can be resumed.
pub mod train;

// The table of scores and its CSV file.
pub mod scores;

// Detectors: a registry, fitted ones in files, scores of rows and of streams.
pub mod detectors;

// Limits by blocks of time, thresholds, and when scores are an alert.
pub mod calibration;

// The autoencoder as a detector: a fragment's window and its score.
pub mod residual;

// Other ways from windows to codes; maps of them.
#[cfg(feature = "research")]
pub mod reduce;

// Learn, detect, alerts, events, evidence, and the bundle file.
pub mod monitor;

// Which bytes made a score.
pub mod explain;

// How good alerts and scores are.
pub mod metrics;

// All combinations of a detector's parameters.
#[cfg(feature = "research")]
pub mod grid_search;

// Events, explanations and results as JSON, CSV, charts and pages.
#[cfg(feature = "report")]
pub mod report;

// Plans of whole experiments.
#[cfg(feature = "research")]
pub mod experiment;

// What most programs need: `use pcapae::prelude::*`.
pub mod prelude;

#[cfg(all(test, feature = "report"))]
mod new_detector;

pub use error::{Error, Result};
pub use pcapae_engine as engine;
