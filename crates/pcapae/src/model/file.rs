//! A model file of any kind, recognised by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Frames;
use super::autoencoder::Autoencoder;
use super::torch_checkpoint::{BYTES_MAX, too_large};
use super::torch_file::TorchFile;
use crate::error::{Fault, FileKind};
use crate::{Error, Result};

/// Reads a model: a file of ours, a bare state dict as safetensors, or a checkpoint or state dict of `torch.save`.
///
/// `frames` says how many frames a window has where the file does not.
///
/// # Errors
///
/// The file cannot be read or is not a model; or nothing says how many frames a window has.
pub fn open(path: &Path, frames: Option<Frames>) -> Result<Autoencoder> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io("open", path))?;
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    read(&bytes, frames).map_err(FileKind::Model.unreadable(path))
}

fn read(bytes: &[u8], frames: Option<Frames>) -> Result<Autoencoder, Fault> {
    if is_safetensors(bytes) && bytes.len() <= BYTES_MAX {
        Autoencoder::from_safetensors(bytes, frames)
    } else if TorchFile::is_recognised(bytes) {
        Autoencoder::from_torch(bytes, frames)
    } else if is_safetensors(bytes) {
        Err(too_large())
    } else {
        Err(Fault::found("a file of another format", "a safetensors file or a file of torch.save"))
    }
}

/// Whether bytes look like a safetensors file, which begins with the length of its header in eight bytes, and the header with a
/// brace.
pub fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}
