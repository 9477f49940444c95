//! Which model a command works with.

use pcapae::model::{Autoencoder, Frames};
use pcapae::monitor::Bundle;
use pcapae::{Error, Result};

use crate::args::ModelArgs;

impl ModelArgs {
    /// Reads the model, whatever it comes in; refuses another number of frames than the one it was trained with.
    pub fn load(&self) -> Result<Autoencoder> {
        let frames = self.frames.map(|frames| Frames::try_from(usize::from(frames))).transpose()?;
        let model = if Bundle::is_recognised(&self.path)? {
            let bundle = Bundle::open(&self.path)?;
            bundle.detectors.model.ok_or_else(|| Error::NotAModel {
                path: self.path.clone(),
                reason: "it is a bundle without a model".into(),
                remedy: Some("learn with Autoencoder among --detectors".into()),
            })?
        } else {
            pcapae::model::open(&self.path, frames)?
        };
        let trained = model.config().frames;
        match frames {
            Some(frames) if frames != trained => Err(Error::Setting {
                setting: "number of frames",
                got: frames.count().to_string(),
                expected: format!("{}, as the model was trained", trained.count()),
                remedy: Some("leave --frames out: this model knows it".into()),
            }),
            _ => Ok(model),
        }
    }
}
