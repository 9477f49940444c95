//! Models as files: an autoencoder, what it was trained on, and the formats that it is kept in.
//!
//! The network itself, its configuration and its parameters are those of [`engine`](crate::engine).

mod trained_on;

mod autoencoder;

mod checkpoint;

mod pickle;

mod torch_file;

mod torch_checkpoint;

mod file;

mod onnx;

pub use autoencoder::Autoencoder;
pub use file::{is_safetensors, open};
pub use onnx::Part;
pub use pcapae_engine::{
    CODE_SIZE, Cell, Frames, Head, ModelConfig, Network, Norm, Parameters, PredictFrames, Side, TensorShape,
};
pub use trained_on::TrainedOn;
