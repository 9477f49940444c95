//! Which model a command works with.

use pcapae::error::{FileKind, Place};
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
            let missing = || Place::Entry("model".into()).missing();
            bundle.detectors.model.ok_or_else(missing).map_err(FileKind::Model.unreadable(&self.path))?
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
