//! A small convolutional recurrent autoencoder, defined once as a readable reference and computed fast by vector kernels.
//!
//! ```text
//! frames ─► conv ─► cell ─► conv/2 ─► cell ─► … ─► code              encoder, stage 1 … S; the code is the last state
//!                    │state             │state       │state
//! frames ◄─ conv ◄─ cell ◄─ deconv·2 ◄─ cell ◄─ … ◄─ cell ◄─ zeros   decoder, stage S … 1
//! ```
//!
//! The last state of an encoder cell initialises the decoder cell of the same stage; the decoder's top cell has no input, and
//! in the first step the encoder's cells have no state.
//!
//! * [`Network`] is a [configuration](ModelConfig) with [parameters](Parameters).
//! * [`reference`](mod@reference) computes it in double precision, layer by layer, as a graph that can be walked backwards.
//! * [`Engine`] computes the same numbers about a thousand times faster: inference, loss and gradient.
//! * [`simd`] has the vector types that the kernels are written against.
//!
//! Kopp, *Representation Learning for Content-Sensitive Anomaly Detection in Industrial Networks*, 2022; the recurrent
//! cells: Ballas et al., *Delving Deeper into Convolutional Networks for Learning Video Representations*, 2016, and Shi et al.,
//! *Convolutional LSTM Network*, 2015.

#![allow(unsafe_code, reason = "vector instructions, and inner loops whose bounds are checked beforehand")]

mod error;

mod network;

pub mod reference;

pub mod simd;

mod aligned;

mod feature_maps;

mod output;

mod direct_conv;

mod phases;

mod conv_layer;

mod purpose;

mod weights;

mod winograd;

mod cell_conv;

mod gate_convs;

mod norm;

mod tape;

mod gru;

mod lstm;

mod cell;

mod categorical;

mod loss;

mod layers;

mod workspace;

mod dropout;

mod cost;

mod engine;

#[doc(hidden)]
pub mod kernel_benchmark;

#[doc(hidden)]
pub mod peak;

#[cfg(test)]
mod fixtures;

pub use cost::Cost;
pub use dropout::Dropout;
pub use engine::Engine;
pub use error::InvalidSetting;
pub use network::{
    Architecture, BYTE_VALUES, CATEGORICAL_CHANNELS, CODE_SIZE, Cell, CellParameters, ConvGeometry, ConvParameters,
    FIRST_CHANNELS, Frames, Grid, Head, ModelConfig, Network, Norm, NormParameters, NormedConv, Parameters,
    PredictFrames, STATE_CHANNELS, Shape, Side, TensorShape,
};
pub use simd::Instructions;
