//! A model file of any kind, recognised by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Frames;
use super::autoencoder::Autoencoder;
#[cfg(feature = "torch")]
use super::torch_file::TorchFile;
use crate::error::{Fault, FileKind};
use crate::{Error, Result};

/// The largest file that is taken for a model: eight times an LSTM's for side 64 with optimiser and objects.
pub(super) const BYTES_MAX: usize = 4 << 20;

/// Reads a model: a file of ours, a bare state dict as safetensors, or, with the feature `torch`, a checkpoint or state dict
/// of `torch.save`.
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
        return Autoencoder::from_safetensors(bytes, frames);
    }
    #[cfg(feature = "torch")]
    if TorchFile::is_recognised(bytes) {
        return Autoencoder::from_torch(bytes, frames);
    }
    if is_safetensors(bytes) {
        return Err(too_large());
    }
    Err(Fault::found("a file of another format", "a safetensors file or a file of torch.save"))
}

/// A file has more bytes than any model.
pub(super) fn too_large() -> Fault {
    Fault::found("a larger file", format!("at most {BYTES_MAX} bytes"))
}

/// Whether bytes look like a safetensors file, which begins with the length of its header in eight bytes, and the header with a
/// brace.
pub fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}
