//! The network: a convolutional recurrent autoencoder of few channels, forward and backward, in plain Rust.
//!
//! ```text
//! frames ─► conv ─► cell ─► conv/2 ─► cell ─► … ─► code          encoder, stage 1 … S; the code is the last state
//!                    │state             │state       │state
//! frames ◄─ conv ◄─ cell ◄─ deconv·2 ◄─ cell ◄─ … ◄─ cell ◄─ nothing   decoder, stage S … 1
//! ```
//!
//! The last state of an encoder cell is the first of the decoder cell of the same stage; the decoder's top cell gets no
//! input, and in the first step the encoder's cells have no state. Both absences are `Option`s, not zeros: what would be
//! multiplied by zero is not computed.
//!
//! The arithmetic is written once, in `stencil.rs`, without fused multiply-add and in a fixed order of summation, so the same
//! weights and input give the same bytes on every processor and with any number of threads.
//!
//! Kopp, *Representation Learning for Content-Sensitive Anomaly Detection in Industrial Networks*, 2022; the recurrent
//! cell: Ballas et al., *Delving Deeper into Convolutional Networks for Learning Video Representations*, 2016.

mod config;

mod parameters;

mod planes;

mod stencil;

mod phases;

mod activation;

mod group_norm;

mod conv;

mod transposed_conv;

mod gate;

mod gru;

mod encoder;

mod decoder;

mod autoencoder;

mod checkpoint;

mod pickle;

mod torch_file;

mod torch_checkpoint;

mod file;

pub use autoencoder::{Autoencoder, CODE_SIZE, LossAndGradient};
pub use checkpoint::CheckpointError;
pub use config::{Cell, Frames, ModelConfig, Norm, Side};
pub use file::open;
pub use parameters::{Parameters, TensorShape};
