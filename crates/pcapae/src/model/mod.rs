//! The network: a convolutional recurrent autoencoder of few channels.
//!
//! ```text
//! frames ─► conv ─► cell ─► conv/2 ─► cell ─► … ─► code          encoder, stage 1 … S; the code is the last state
//!                    │state             │state       │state
//! frames ◄─ conv ◄─ cell ◄─ deconv·2 ◄─ cell ◄─ … ◄─ cell ◄─ nothing   decoder, stage S … 1
//! ```
//!
//! The last state of an encoder cell is the first of the decoder cell of the same stage; the decoder's top cell gets no
//! input, and in the first step the encoder's cells have no state.
//!
//! Here the network is *defined*: its configuration, its weights and their files, and every layer in double precision, as a
//! graph that can be walked backwards. [`engine`](crate::engine) computes the same numbers a thousand times faster.
//!
//! Kopp, *Representation Learning for Content-Sensitive Anomaly Detection in Industrial Networks*, 2022; the recurrent
//! cells: Ballas et al., *Delving Deeper into Convolutional Networks for Learning Video Representations*, 2016, and Shi et al.,
//! *Convolutional LSTM Network*, 2015.

mod config;

mod parameters;

mod architecture;

mod graph;

mod gradient;

mod definition;

mod trained_on;

mod autoencoder;

mod checkpoint;

#[cfg(feature = "torch")]
mod pickle;

#[cfg(feature = "torch")]
mod torch_file;

#[cfg(feature = "torch")]
mod torch_checkpoint;

mod file;

#[cfg(feature = "torch")]
mod onnx;

pub(crate) use architecture::{Architecture, CellParameters, ConvParameters, NormParameters, NormedConv, stride};
pub use autoencoder::{Autoencoder, CODE_SIZE, Exact};
pub use checkpoint::CheckpointError;
pub(crate) use config::{BYTE_VALUES, CATEGORICAL_CHANNELS, FIRST_CHANNELS, Grid, STATE_CHANNELS};
pub use config::{Cell, Frames, Head, ModelConfig, Norm, PredictFrames, Side};
pub(crate) use definition::{Recording, conv_window, transposed_window};
pub use file::{is_safetensors, open};
pub(crate) use gradient::{conv_back, transposed_conv_back};
pub(crate) use graph::{Graph, Map, Node, Op, Window, conv, group_moments, transposed_conv};
#[cfg(feature = "torch")]
pub use onnx::Part;
pub use parameters::{Parameters, TensorShape};
pub use trained_on::TrainedOn;
