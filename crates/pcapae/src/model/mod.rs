//! Models as files: an autoencoder, what it was trained on, and the formats that it is kept in.
//!
//! The network itself, its configuration and its parameters are those of [`engine`](crate::engine).

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

pub use autoencoder::Autoencoder;
pub use file::{is_safetensors, open};
#[cfg(feature = "torch")]
pub use onnx::Part;
pub use pcapae_engine::{
    CODE_SIZE, Cell, Frames, Head, ModelConfig, Network, Norm, Parameters, PredictFrames, Side, TensorShape,
};
pub use trained_on::TrainedOn;
