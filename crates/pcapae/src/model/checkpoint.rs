//! Model files: safetensors under the original's parameter names, the configuration as JSON beside them.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors};

use super::autoencoder::Autoencoder;
use super::trained_on::TrainedOn;
use super::{Cell, Frames, ModelConfig, Norm, Side};
use crate::error::{Fault, Place, Problem};
use crate::fragment::Shape;
use crate::tensor_file::{FileTensor, tensor_file};
use crate::{Error, Result};

/// Metadata key, and its value, that make a safetensors file a model of ours.
const FORMAT: (&str, &str) = ("format", "pcapae-model");

/// Metadata key, and the only value so far, of the file's version.
const VERSION: (&str, &str) = ("version", "1");

/// Metadata key of the configuration.
const CONFIG: &str = "config";

/// Tensors with names that begin so belong to the training of a model, and are left aside.
const TRAINING: &str = "training.";

impl Autoencoder {
    /// The model as a file: the weights under the original's names, `format`, `version`, `config` and what is known of the fragments that
    /// it was trained on in the metadata.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        self.to_model_file_with(&[], &[])
    }

    /// The same file with further tensors (name, shape, values), whose names must begin with `training.`, and further metadata.
    pub(crate) fn to_model_file_with(
        &self,
        further: &[(&str, &[usize], &[f32])],
        metadata: &[(&str, &str)],
    ) -> Result<Vec<u8>> {
        let config = serde_json::to_string(self.config()).map_err(Error::unwritable("model"))?;
        let trained_on = self.trained_on().to_metadata();
        let trained_on: Vec<(&str, &str)> = trained_on.iter().map(|(key, value)| (*key, value.as_str())).collect();
        self.to_safetensors_with(further, &[&[FORMAT, VERSION, (CONFIG, &config)], &*trained_on, metadata].concat())
    }

    /// The weights in a file with further tensors (name, shape, values) and with this metadata.
    pub fn to_safetensors_with(
        &self,
        further: &[(&str, &[usize], &[f32])],
        metadata: &[(&str, &str)],
    ) -> Result<Vec<u8>> {
        let tensors: Vec<FileTensor> = self
            .parameters()
            .tensors()
            .chain(further.iter().copied())
            .map(|(name, shape, values)| FileTensor::of_f32(name, shape, values))
            .collect();
        tensor_file(&tensors, metadata)
    }

    /// Reads a model file, or a bare state dict of the original saved as safetensors.
    ///
    /// A bare state dict says by names and shapes which side and normalisation it is of, but not how many frames: `frames`
    /// says that, and is ignored where the file has a configuration. Nothing in the file is trusted: names, shapes, types
    /// and values are checked.
    ///
    /// # Errors
    ///
    /// The bytes are not a model of this version, or the number of frames is known neither from the file nor from `frames`.
    pub fn from_safetensors(bytes: &[u8], frames: Option<Frames>) -> Result<Autoencoder, Fault> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(Fault::parser)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(Fault::parser)?;
        let (config, trained_on) = match metadata.metadata() {
            Some(metadata) if metadata.contains_key(CONFIG) => {
                (config_of(metadata)?, TrainedOn::from_metadata(metadata)?)
            }
            _ => (guess_config(&tensors, frames)?, TrainedOn::default()),
        };
        let model = Autoencoder::from_tensors(&tensors, config)?.with_trained_on(trained_on);
        let known = |name: &str| name.starts_with(TRAINING) || model.parameters().tensor(name).is_some();
        match tensors.names().into_iter().filter(|name| !known(name)).min() {
            Some(name) => Err(Place::Array(name.to_owned()).found("a tensor of another network", "none")),
            None => Ok(model),
        }
    }

    /// Takes the weights of a network of `config` out of a file that may hold further tensors.
    ///
    /// # Errors
    ///
    /// A tensor is missing, has another shape or type, or holds a value that is not finite.
    pub fn from_tensors(tensors: &SafeTensors, config: ModelConfig) -> Result<Autoencoder, Fault> {
        let mut model = Autoencoder::new(config, 0);
        let mut loaded = Vec::with_capacity(model.parameters().values().len());
        for tensor in model.parameters().shapes() {
            let place = || Place::Array(tensor.name.clone());
            let view = tensors.tensor(&tensor.name).map_err(|_| place().missing())?;
            if view.dtype() != Dtype::F32 {
                return Err(place().found(view.dtype(), "F32"));
            }
            if view.shape() != tensor.shape {
                let expected = tensor.shape.iter().copied().map(Some).collect();
                return Err(Fault::from(Problem::Shape { found: view.shape().to_vec(), expected }).within(place()));
            }
            for (index, bytes) in (0..).zip(view.data().as_chunks::<4>().0) {
                let value = f32::from_le_bytes(*bytes);
                if !value.is_finite() {
                    return Err(Place::Element(index).found(value, "a finite number").within(place()));
                }
                loaded.push(value);
            }
        }
        model.values_mut().copy_from_slice(&loaded);
        Ok(model)
    }
}

fn config_of(metadata: &HashMap<String, String>) -> Result<ModelConfig, Fault> {
    for (key, expected) in [FORMAT, VERSION] {
        let got = metadata.get(key).ok_or_else(|| Place::Entry(key.into()).missing())?;
        if got != expected {
            return Err(Place::Entry(key.into()).found(got, expected));
        }
    }
    let config = metadata.get(CONFIG).map_or("", String::as_str);
    serde_json::from_str(config).map_err(|error| Fault::parser(error).within(Place::Entry(CONFIG.into())))
}

/// The encoder's cells give kind and number, their number the side, the axes of the kernels the shape, their normalisation the norm.
///
/// Whether a head follows, or frames are predicted, no weight says: neither is assumed.
fn guess_config(tensors: &SafeTensors, frames: Option<Frames>) -> Result<ModelConfig, Fault> {
    let has = |name: &str| tensors.tensor(name).is_ok();
    let (cell, gates) =
        if has("encoder.rnn1.conv.0.weight") { (Cell::Lstm, "conv") } else { (Cell::Gru, "conv_gates") };
    let unknown = || Fault::found("another network", "a GRU or LSTM autoencoder of side 16, 32 or 64");
    let first = tensors.tensor(&format!("encoder.rnn1.{gates}.0.weight"));
    let axes = first.map_err(|_| unknown())?.shape().len();
    let cells = (1..).take_while(|s| has(&format!("encoder.rnn{s}.{gates}.0.weight"))).count();
    let side = Side::ALL.into_iter().find(|side| side.stages() == cells).ok_or_else(unknown)?;
    let norm = if has(&format!("encoder.rnn1.{gates}.1.weight")) { Norm::Group } else { Norm::None };
    let shape = if axes == 3 { Shape::Line } else { Shape::Square };
    let frames = frames.ok_or_else(|| Place::Entry("number of frames".into()).missing())?;
    Ok(ModelConfig { cell, shape, frames, norm, ..ModelConfig::new(side) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use safetensors::tensor::{TensorView, serialize};

    use super::*;

    fn model(norm: Norm) -> Autoencoder {
        Autoencoder::new(ModelConfig { norm, ..ModelConfig::new(Side::Sixteen) }, 9)
    }

    /// A file with the tensors of `model` after `change`.
    fn file(model: &Autoencoder, change: impl Fn(&str, &mut Vec<usize>, &mut Vec<u8>) -> bool) -> Vec<u8> {
        let mut tensors = Vec::new();
        for (name, shape, values) in model.parameters().tensors() {
            let (mut shape, mut bytes) = (shape.to_vec(), values.iter().flat_map(|v| v.to_le_bytes()).collect());
            if change(name, &mut shape, &mut bytes) {
                tensors.push((name, shape, bytes));
            }
        }
        let views = tensors
            .iter()
            .map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
        serialize(views, None).unwrap()
    }

    fn refusal(bytes: &[u8]) -> String {
        Autoencoder::from_safetensors(bytes, Some(Frames::default())).unwrap_err().to_string()
    }

    #[test]
    fn a_model_survives_its_file() {
        let model = model(Norm::Group);
        let bytes = model.to_safetensors().unwrap();
        let again = Autoencoder::from_safetensors(&bytes, None).unwrap();
        assert_eq!(again.config(), model.config());
        assert_eq!(again.parameters(), model.parameters());
    }

    #[test]
    fn the_same_model_gives_the_same_bytes() {
        let model = model(Norm::Group);
        let metadata = [("one", "1"), ("two", "\u{e9}\n\\\""), ("three", "3"), ("four", "4"), ("five", "5")];
        let file = || model.to_safetensors_with(&[("zero", &[2], &[0.0; 2])], &metadata).unwrap();
        let first = file();
        let (_, header) = SafeTensors::read_metadata(&first).unwrap();
        let read = header.metadata().clone().unwrap();
        assert_eq!(read, metadata.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
        assert_eq!(header.tensors().len(), model.parameters().shapes().len() + 1);
        for _ in 0..20 {
            assert!(file() == first);
        }
    }

    #[test]
    fn a_bare_state_dict_says_all_but_the_frames() {
        let model = model(Norm::None);
        let bytes = file(&model, |_, _, _| true);
        let frames = Frames::try_from(3).unwrap();
        let again = Autoencoder::from_safetensors(&bytes, Some(frames)).unwrap();
        assert_eq!(*again.config(), ModelConfig { frames, ..*model.config() });
        let error = Autoencoder::from_safetensors(&bytes, None).unwrap_err();
        assert_eq!(error.to_string(), "its number of frames is missing");
    }

    #[test]
    fn damage_is_refused_with_its_place() {
        const NAME: &str = "decoder.rnn2.conv_can.0.bias";
        let model = model(Norm::Group);
        let nan = file(&model, |name, _, bytes| {
            if name == NAME {
                bytes[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
            }
            true
        });
        assert_eq!(refusal(&nan), format!("`{NAME}`, element 1: found NaN, expected a finite number"));
        let missing = file(&model, |name, _, _| name != NAME);
        assert_eq!(refusal(&missing), format!("`{NAME}` is missing"));
        let shape = file(&model, |name, shape, _| {
            if name == NAME {
                *shape = vec![2, 2];
            }
            true
        });
        assert_eq!(refusal(&shape), format!("`{NAME}` has the shape [2, 2], expected [4]"));
        assert_eq!(refusal(b"{}"), "header too small");
    }

    proptest! {
        #[test]
        fn no_change_of_a_byte_makes_it_panic(at in 0usize..7000, to: u8) {
            let mut bytes = model(Norm::Group).to_safetensors().unwrap();
            bytes[at] = to;
            let _ = Autoencoder::from_safetensors(&bytes, None);
            let _ = Autoencoder::from_safetensors(&bytes[..at], None);
        }
    }
}
