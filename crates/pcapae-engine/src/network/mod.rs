//! The network: its configuration, its layers and its parameters.

mod config;

mod geometry;

mod parameters;

mod architecture;

pub use architecture::{Architecture, CellParameters, ConvParameters, NormParameters, NormedConv};
pub use config::{
    BYTE_VALUES, CATEGORICAL_CHANNELS, CODE_SIZE, Cell, FIRST_CHANNELS, Frames, Grid, Head, ModelConfig, Norm,
    PredictFrames, STATE_CHANNELS, Shape, Side,
};
pub use geometry::ConvGeometry;
pub(crate) use geometry::stride;
pub use parameters::{Parameters, TensorShape};

use crate::InvalidSetting;

/// A convolutional recurrent autoencoder with its parameters.
///
/// [`Engine`](crate::Engine) runs it; [`reference`](Network::reference) is the slow and simple implementation.
#[derive(Debug, Clone)]
pub struct Network {
    config: ModelConfig,
    architecture: Architecture,
    parameters: Parameters,
}

impl Network {
    /// An untrained network, with PyTorch's random initialisation from a seed.
    pub fn new(config: ModelConfig, seed: u64) -> Network {
        let (architecture, layout) = Architecture::declare(&config);
        Network { config, architecture, parameters: Parameters::random(layout, seed) }
    }

    /// A network with these parameters; `None` if they do not have the shapes that `config` asks for.
    pub fn from_parameters(config: ModelConfig, parameters: Parameters) -> Option<Network> {
        let (architecture, layout) = Architecture::declare(&config);
        parameters.fits(&layout).then_some(Network { config, architecture, parameters })
    }

    /// The same parameters for windows of another number of frames.
    ///
    /// # Errors
    ///
    /// A number that [`Frames`] refuses.
    pub fn with_frames(&self, frames: usize) -> Result<Network, InvalidSetting> {
        let config = ModelConfig { frames: Frames::try_from(frames)?, ..self.config };
        Ok(Network { config, ..self.clone() })
    }

    /// The configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The layers, and where their parameters lie.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// All values of the parameters, for an optimizer to update.
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.parameters.values_mut()
    }
}

impl AsRef<Network> for Network {
    fn as_ref(&self) -> &Network {
        self
    }
}
