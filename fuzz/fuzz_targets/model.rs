//! Arbitrary bytes as a model, as safetensors and as a file of `torch.save`: one, or a refusal, but never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pcapae::model::{Autoencoder, Frames};

fuzz_target!(|bytes: &[u8]| {
    let frames = Some(Frames::default());
    for read in [Autoencoder::from_torch(bytes, frames), Autoencoder::from_safetensors(bytes, frames)] {
        match read {
            Ok(model) => assert!(model.parameters().values().iter().all(|weight| weight.is_finite())),
            Err(refusal) => assert!(!refusal.to_string().ends_with('.')),
        }
    }
});
