//! Arbitrary bytes as a training that is to go on, and as a model: read, or refused in one sentence. What is read is written again the
//! same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pcapae::model::{Autoencoder, Frames};
use pcapae::train::Training;

fuzz_target!(|bytes: &[u8]| {
    for refusal in
        [Training::from_safetensors(bytes).err(), Autoencoder::from_safetensors(bytes, Some(Frames::default())).err()]
    {
        let text = refusal.map(|error| error.to_string()).unwrap_or_default();
        assert!(!text.ends_with('.'), "{text}");
    }
    if let Ok(Some(training)) = Training::from_safetensors(bytes) {
        let file = training.to_safetensors().expect("what was read can be written");
        let again = Training::from_safetensors(&file).expect("and read").expect("as a training");
        assert!(again.to_safetensors().expect("and written") == file);
    }
});
