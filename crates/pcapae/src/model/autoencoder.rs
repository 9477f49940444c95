//! The autoencoder: a network, and what it was trained on.

use sha2::{Digest, Sha256};

use super::trained_on::TrainedOn;
use super::{ModelConfig, Network, Parameters};
use crate::Result;

/// A convolutional recurrent autoencoder with its weights; [`Engine`](crate::engine::Engine) runs it.
#[derive(Debug, Clone)]
pub struct Autoencoder {
    network: Network,
    trained_on: TrainedOn,
}

impl Autoencoder {
    /// Untrained, with PyTorch's random initialisation from a seed.
    pub fn new(config: ModelConfig, seed: u64) -> Autoencoder {
        Network::new(config, seed).into()
    }

    /// With these weights; `None` if they do not have the shapes that `config` asks for.
    pub fn from_parameters(config: ModelConfig, parameters: Parameters) -> Option<Autoencoder> {
        Network::from_parameters(config, parameters).map(Autoencoder::from)
    }

    /// The same weights for windows of another number of frames.
    ///
    /// # Errors
    ///
    /// A number that [`Frames`](super::Frames) refuses.
    pub fn with_frames(&self, frames: usize) -> Result<Autoencoder> {
        Ok(Autoencoder { network: self.network.with_frames(frames)?, trained_on: self.trained_on })
    }

    /// The same model, trained on such fragments.
    pub fn with_trained_on(self, trained_on: TrainedOn) -> Autoencoder {
        Autoencoder { trained_on, ..self }
    }

    /// How the fragments were cut that it was trained on, as far as that is known.
    pub fn trained_on(&self) -> TrainedOn {
        self.trained_on
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The configuration of the network.
    pub fn config(&self) -> &ModelConfig {
        self.network.config()
    }

    /// The weights.
    pub fn parameters(&self) -> &Parameters {
        self.network.parameters()
    }

    /// The weights, for an optimizer to update.
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.network.values_mut()
    }

    /// The SHA-256 of all weights, as little-endian floats, tensor after tensor; hexadecimal, lower case.
    pub fn sha256(&self) -> String {
        let bytes: Vec<u8> = self.parameters().values().iter().flat_map(|value| value.to_le_bytes()).collect();
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl From<Network> for Autoencoder {
    fn from(network: Network) -> Autoencoder {
        Autoencoder { network, trained_on: TrainedOn::default() }
    }
}

impl AsRef<Network> for Autoencoder {
    fn as_ref(&self) -> &Network {
        &self.network
    }
}
