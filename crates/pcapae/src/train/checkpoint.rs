//! The files of a training: a model file with everything needed to resume, and one with the best weights alone.

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde::{Deserialize, Serialize};

use super::config::TrainConfig;
use super::early_stopping::{EarlyStopping, Verdict};
use super::history::{Epoch, History};
use super::optimizer::OptimizerState;
use super::training::Training;
use crate::error::{Fault, Place};
use crate::model::Autoencoder;
use crate::{Error, Result};

/// Metadata key of the [`Record`] for resuming.
const TRAINING: &str = "training";
/// Metadata key of the [`TrainingSummary`].
const TRAINING_SUMMARY: &str = "lesson";

/// The weights of the best epoch, f32 `[parameters]` as the model's tensors one after the other.
const BEST: &str = "training.best";
/// The optimizer's moments, each f32 `[parameters]`; absent for SGD.
const MOMENTS: [&str; 2] = ["training.m", "training.v"];

/// The state of a training, apart from its tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    config: TrainConfig,
    /// Windows to train on.
    windows: Option<usize>,
    epochs: Vec<Epoch>,
    /// Finished batches of the current epoch, and the sum of their windows' losses.
    batch: usize,
    loss_sum: f64,
}

/// How a model was trained, for people who look into its file.
#[derive(Serialize)]
struct TrainingSummary<'a> {
    /// Counted from 1.
    epoch: usize,
    train_loss: f64,
    validation_loss: f64,
    windows: Option<usize>,
    config: &'a TrainConfig,
}

impl Training {
    /// A model file with the weights of the last step and everything needed to resume, which readers of models ignore.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        let record = Record {
            config: self.config.clone(),
            windows: self.windows,
            epochs: self.history.epochs.clone(),
            batch: self.batch,
            loss_sum: self.loss_sum,
        };
        let moments = MOMENTS.into_iter().zip(self.optimizer.moments()).filter(|(_, values)| !values.is_empty());
        let lines: Vec<(&str, [usize; 1], &[f32])> = [(BEST, &*self.best)]
            .into_iter()
            .chain(moments)
            .map(|(name, values)| (name, [values.len()], values))
            .collect();
        let tensors: Vec<(&str, &[usize], &[f32])> =
            lines.iter().map(|(name, shape, values)| (*name, &shape[..], *values)).collect();
        let record = json(&record)?;
        self.model.to_model_file_with(&tensors, &[(TRAINING, &record)])
    }

    /// A model file with the weights of the best epoch, and the training summary in its metadata.
    pub fn best_to_safetensors(&self) -> Result<Vec<u8>> {
        let best = self.history.best_epoch();
        let training_summary = TrainingSummary {
            epoch: self.history.best.map_or(0, |epoch| epoch + 1),
            train_loss: best.map_or(f64::NAN, |epoch| epoch.train),
            validation_loss: best.map_or(f64::NAN, |epoch| epoch.validation),
            windows: self.windows,
            config: &self.config,
        };
        let training_summary = json(&training_summary)?;
        self.best_model().to_model_file_with(&[], &[(TRAINING_SUMMARY, &training_summary)])
    }

    /// Reads a training to resume; `None` if the file is a model without one.
    ///
    /// Nothing in the file is trusted.
    ///
    /// # Errors
    ///
    /// A name, shape, type, range or value in the file is not that of a training.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Option<Training>, Fault> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(Fault::parser)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let Some(record) = metadata.get(TRAINING) else { return Ok(None) };
        let model = Autoencoder::from_safetensors(bytes, None)?;
        let record: Record =
            serde_json::from_str(record).map_err(|error| Fault::parser(error).within(Place::Entry(TRAINING.into())))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(Fault::parser)?;
        record.resume(model, &tensors).map(Some)
    }
}

impl Record {
    fn resume(self, model: Autoencoder, tensors: &SafeTensors) -> Result<Training, Fault> {
        let record = |found: &str, expected: &str| Place::Entry(TRAINING.into()).found(found, expected);
        let tensor = |name: &str, expected: &str| Place::Array(name.into()).found("other values", expected);
        let Record { config, windows, epochs, batch, loss_sum } = self;
        config.check()?;
        let losses = epochs.iter().flat_map(|epoch| [epoch.train, epoch.validation]);
        if !losses.chain([loss_sum]).all(f64::is_finite) {
            return Err(record("a loss that is not finite", "finite losses"));
        }
        let batches = windows.unwrap_or(0).div_ceil(config.batch.max(1));
        if batch > batches || (batches == 0 && !epochs.is_empty()) {
            return Err(record("at a step that it has no windows for", "at a step within an epoch"));
        }
        let count = model.parameters().values().len();
        let best = values(tensors, BEST)?;
        if best.len() != count || !best.iter().all(|weight| weight.is_finite()) {
            return Err(tensor(BEST, "the best weights of the network"));
        }
        let moments = MOMENTS.map(|name| if tensors.tensor(name).is_ok() { values(tensors, name) } else { Ok(vec![]) });
        let [m, v] = moments;
        let history = History { best: best_of(&epochs), epochs };
        let steps = history.epochs.len().saturating_mul(batches).saturating_add(batch);
        let optimizer = OptimizerState::restore(config.optimizer, count, steps, [m?, v?])
            .ok_or_else(|| tensor(MOMENTS[0], "the moments of its optimizer"))?;
        Ok(Training { model, config, optimizer, history, best, windows, batch, loss_sum })
    }
}

fn best_of(epochs: &[Epoch]) -> Option<usize> {
    let mut stopping = EarlyStopping::new(usize::MAX);
    let verdicts: Vec<Verdict> = epochs.iter().map(|epoch| stopping.observe(epoch.validation)).collect();
    verdicts.iter().rposition(|verdict| *verdict == Verdict::Best)
}

/// The values of a tensor of 32-bit floats.
fn values(tensors: &SafeTensors, name: &str) -> Result<Vec<f32>, Fault> {
    let tensor = tensors.tensor(name).map_err(|_| Place::Array(name.into()).missing())?;
    if tensor.dtype() != Dtype::F32 {
        return Err(Place::Array(name.into()).found(tensor.dtype(), "F32"));
    }
    Ok(tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::unwritable("training"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dataset::Windows;
    use crate::fragment::Mode;
    use crate::model::{ModelConfig, Side, TrainedOn};
    use crate::train::{Optimizer, Outcome};

    const FLOW: TrainedOn = TrainedOn { mode: Some(Mode::Flow), mask: None };

    fn begun() -> Training {
        let model = Autoencoder::new(ModelConfig::new(Side::Sixteen), 1);
        let config = TrainConfig { epochs: 2, batch: 2, ..TrainConfig::default() };
        let mut training = Training::new(model.with_trained_on(FLOW), config).unwrap();
        let bytes: Vec<u8> = (0..3 * 256).map(|i| (i * 7 % 256) as u8).collect();
        let windows = Windows::over_run(&bytes, 256, 1);
        assert_eq!(training.run(&windows, &windows, &(), &mut ()).unwrap(), Outcome::Finished);
        training
    }

    #[test]
    fn both_files_are_models() {
        let training = begun();
        let last = Autoencoder::from_safetensors(&training.to_safetensors().unwrap(), None).unwrap();
        assert_eq!(last.parameters(), training.model().parameters());
        let bytes = training.best_to_safetensors().unwrap();
        let best = Autoencoder::from_safetensors(&bytes, None).unwrap();
        assert_eq!(best.parameters(), training.best_model().parameters());
        assert!(Training::from_safetensors(&bytes).unwrap().is_none());
    }

    #[test]
    fn a_training_survives_its_file() {
        let training = begun();
        let again = Training::from_safetensors(&training.to_safetensors().unwrap()).unwrap().unwrap();
        assert_eq!((again.config(), again.model().trained_on()), (training.config(), FLOW));
        assert_eq!((again.history(), &again.optimizer), (training.history(), &training.optimizer));
        assert!(again.is_over());
    }

    #[test]
    fn what_cannot_be_a_training_is_refused_with_the_reason() {
        type Change = fn(&mut Training);
        let changes: [(Change, &str); 6] = [
            (|training| training.batch = 3, "at a step that it has no windows for"),
            (|training| training.windows = None, "at a step that it has no windows for"),
            (|training| training.config.dropout = 2.0, "dropout 2"),
            (|training| training.best[0] = f32::NAN, "the best weights"),
            (|training| training.best.truncate(5), "the best weights"),
            (|training| training.optimizer = OptimizerState::new(Optimizer::Adam, 4), "the moments"),
        ];
        for (change, said) in changes {
            let mut training = begun();
            change(&mut training);
            let error = Training::from_safetensors(&training.to_safetensors().unwrap()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_change_of_a_byte_makes_it_panic(at in 0usize..9000, to: u8) {
            use std::sync::LazyLock;
            static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| begun().to_safetensors().unwrap());
            let mut bytes = FILE.clone();
            bytes[at] = to;
            let _ = Training::from_safetensors(&bytes);
            let _ = Training::from_safetensors(&bytes[..at]);
        }
    }
}
