//! A model file of any kind, recognised by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::autoencoder::Autoencoder;
use super::checkpoint::CheckpointError;
use super::config::Frames;
#[cfg(feature = "torch")]
use super::torch_file::TorchFile;
use crate::{Error, Result};

/// The largest file that is taken for a model: eight times an LSTM's for side 64 with optimiser and objects.
pub(super) const BYTES_MAX: usize = 4 << 20;

/// Reads a model: a file of ours, a bare state dict as safetensors, or, with the feature `torch`, a checkpoint or state dict
/// of `torch.save`.
///
/// `frames` says how many frames a window has where the file does not. Every refusal names the file.
pub fn open(path: &Path, frames: Option<Frames>) -> Result<Autoencoder> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io("open", path))?;
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    read(&bytes, frames).map_err(|error| match error {
        Error::Checkpoint { reason, remedy } => Error::NotAModel { path: path.to_owned(), reason, remedy },
        Error::Setting { .. } => Error::NotAModel { path: path.to_owned(), reason: error.to_string(), remedy: None },
        other => other,
    })
}

fn read(bytes: &[u8], frames: Option<Frames>) -> Result<Autoencoder> {
    if is_safetensors(bytes) && bytes.len() <= BYTES_MAX {
        return Autoencoder::from_safetensors(bytes, frames);
    }
    #[cfg(feature = "torch")]
    if TorchFile::is_recognised(bytes) {
        return Autoencoder::from_torch(bytes, frames);
    }
    if is_safetensors(bytes) {
        return Err(CheckpointError::TooLarge { most: BYTES_MAX }.into());
    }
    Err(CheckpointError::Unrecognised.into())
}

/// Whether bytes look like a safetensors file, which begins with the length of its header in eight bytes, and the header with a
/// brace.
pub fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}
