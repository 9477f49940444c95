//! The loop: epochs of shuffled batches, and a look at the validation windows after each.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::adamw::AdamW;
use super::clip::clip_norm;
use super::early_stopping::{EarlyStopping, Verdict};
use super::schedule::Schedule;
use crate::dataset::Windows;
use crate::engine::Engine;
use crate::model::Autoencoder;
use crate::progress::Progress;
use crate::{Error, Result};

/// Validation windows between two looks at [`Progress::interrupted`].
const VALIDATION_BATCH: usize = 512;

/// How to train; the optimiser is [`AdamW`]. The defaults are the original's, but for the schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Most passes over the training windows; default 144.
    pub epochs: usize,
    /// Windows in a batch; default 128, at least 1 (0 counts as 1). The last batch of an epoch may be smaller.
    pub batch: usize,
    /// Greatest learning rate; default 1e-3.
    pub learning_rate: f64,
    /// How the learning rate changes; default constant.
    pub schedule: Schedule,
    /// Epochs without a smaller validation loss before training ends; default 7.
    pub patience: usize,
    /// Greatest length of a step's gradient, `None` for no limit; default 10.
    pub clip: Option<f64>,
    /// Seed of the order of the windows; default 1994.
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> TrainConfig {
        TrainConfig {
            epochs: 144,
            batch: 128,
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            patience: 7,
            clip: Some(10.0),
            seed: 1994,
        }
    }
}

/// What one epoch came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Mean squared error over the training windows, each at the moment it was learned.
    pub train: f64,
    /// Mean squared error over the validation windows after the epoch.
    pub validation: f64,
}

/// The course of a training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Every epoch, in order.
    pub epochs: Vec<Epoch>,
    /// The epoch, from 0, whose weights the model has now; `None` if no epoch was run.
    pub best: Option<usize>,
}

/// Trains `model` and leaves it with the weights of the smallest validation loss.
///
/// The same model, windows and configuration give the same weights, to the byte, with any number of threads. An error
/// leaves the model as it came to be so far. Refused: no training or validation window, windows of another shape than the
/// model's; a loss that is not a number ends the training with its place, a request to stop with [`Error::Interrupted`].
pub fn fit(
    model: &mut Autoencoder,
    train: &Windows,
    validation: &Windows,
    config: &TrainConfig,
    progress: &dyn Progress,
) -> Result<History> {
    check(model, train, "training data")?;
    check(model, validation, "validation data")?;
    let validation: Vec<&[u8]> = (0..validation.len()).map(|i| validation.bytes(i)).collect();
    let mut order: Vec<usize> = (0..train.len()).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let mut engine = Engine::new(model);
    let mut gradient = model.parameters().zeros_like();
    let mut adamw = AdamW::new(model.parameters());
    let mut stopping = EarlyStopping::new(config.patience);
    let mut history = History::default();
    let mut best = model.parameters().values().to_vec();
    let batch_size = config.batch.max(1);
    let steps = config.epochs * order.len().div_ceil(batch_size);
    let mut step = 0;

    for epoch in 1..=config.epochs {
        progress.begin(&format!("epoch {epoch}"), Some((order.len() + validation.len()) as u64));
        order.shuffle(&mut rng);
        let mut total = 0.0;
        for (number, batch) in order.chunks(batch_size).enumerate() {
            let place = Place { epoch, batch: number + 1 };
            let windows: Vec<&[u8]> = batch.iter().map(|&i| train.bytes(i)).collect();
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let loss = engine.loss_and_gradient(&windows, None, &mut gradient);
            total += place.finite(loss)? * batch.len() as f64;
            if let Some(max_norm) = config.clip {
                clip_norm(gradient.values_mut(), max_norm);
            }
            let rate = config.schedule.rate(config.learning_rate, step, steps);
            adamw.step(model.values_mut(), gradient.values(), rate);
            engine.load(model.parameters());
            step += 1;
            progress.advance(batch.len() as u64);
        }
        let train_loss = total / order.len() as f64;
        let last = Place { epoch, batch: order.len().div_ceil(batch_size) };
        let validation_loss = last.finite(validate(&engine, &validation, progress)?)?;
        history.epochs.push(Epoch { train: train_loss, validation: validation_loss });
        progress.remark(&format!("loss {train_loss:.6}, validation {validation_loss:.6}"));
        match stopping.observe(validation_loss) {
            Verdict::Best => {
                best.copy_from_slice(model.parameters().values());
                history.best = Some(epoch - 1);
            }
            Verdict::Wait => {}
            Verdict::Stop => break,
        }
    }
    model.values_mut().copy_from_slice(&best);
    Ok(history)
}

/// The mean squared error over all windows.
fn validate(model: &Engine, windows: &[&[u8]], progress: &dyn Progress) -> Result<f64> {
    let mut total = 0.0;
    for batch in windows.chunks(VALIDATION_BATCH) {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        total += model.loss(batch) * batch.len() as f64;
        progress.advance(batch.len() as u64);
    }
    Ok(total / windows.len() as f64)
}

fn check(model: &Autoencoder, windows: &Windows, what: &'static str) -> Result<()> {
    let (frames, size) = (model.config().frames.count(), model.config().side.fragment_size());
    let (got_frames, got_size) = (windows.frames(), windows.fragment_size());
    if (got_frames, got_size) != (frames, size) {
        return Err(Error::WindowShape { what, got_frames, got_size, frames, size });
    }
    if windows.is_empty() { Err(Error::NoWindows { what, frames }) } else { Ok(()) }
}

/// A step of the training, counted from 1.
struct Place {
    epoch: usize,
    batch: usize,
}

impl Place {
    fn finite(self, loss: f64) -> Result<f64> {
        let Place { epoch, batch } = self;
        if loss.is_finite() { Ok(loss) } else { Err(Error::LossNotFinite { epoch, batch }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ModelConfig, Side};

    fn model() -> Autoencoder {
        Autoencoder::new(ModelConfig::new(Side::Sixteen), 1)
    }

    /// Twenty fragments of one repeated pattern.
    fn pattern() -> Vec<u8> {
        (0..20 * 256).map(|i| if i % 16 < 5 { 200 } else { (i % 256 / 16) as u8 }).collect()
    }

    fn config() -> TrainConfig {
        TrainConfig { epochs: 12, batch: 6, learning_rate: 5e-3, ..TrainConfig::default() }
    }

    fn trained(threads: usize) -> (Vec<u8>, History) {
        let bytes = pattern();
        let windows = Windows::over_run(&bytes, 256, 1);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut model = model();
            let history = fit(&mut model, &windows, &windows, &config(), &()).unwrap();
            (model.parameters().values().iter().flat_map(|v| v.to_le_bytes()).collect(), history)
        })
    }

    #[test]
    fn a_repeated_pattern_is_learned() {
        let (_, history) = trained(2);
        let (first, last) = (history.epochs[0].validation, history.epochs[history.epochs.len() - 1].validation);
        assert!(last < first / 3.0, "{first} {last}");
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_with_any_number_of_threads() {
        let one = trained(1);
        assert!(one == trained(1) && one == trained(2) && one == trained(3));
    }

    #[test]
    fn the_best_weights_are_kept() {
        let bytes = pattern();
        let windows = Windows::over_run(&bytes, 256, 1);
        let mut model = model();
        let wild = TrainConfig { learning_rate: 0.1, epochs: 8, ..config() };
        let history = fit(&mut model, &windows, &windows, &wild, &()).unwrap();
        let all: Vec<&[u8]> = (0..windows.len()).map(|i| windows.bytes(i)).collect();
        let best = history.epochs[history.best.unwrap()].validation;
        assert!(history.epochs.iter().all(|epoch| epoch.validation >= best));
        assert!((Engine::new(&model).loss(&all) - best).abs() < 1e-12);
    }

    #[test]
    fn a_loss_that_is_not_a_number_is_refused_with_its_place() {
        let bytes = pattern();
        let windows = Windows::over_run(&bytes, 256, 1);
        let wild = TrainConfig { learning_rate: f64::INFINITY, ..config() };
        let error = fit(&mut model(), &windows, &windows, &wild, &()).unwrap_err();
        assert!(matches!(error, Error::LossNotFinite { epoch: 1, batch: 2 }), "{error}");
    }

    #[test]
    fn a_validation_loss_that_is_not_a_number_is_refused_too() {
        let bytes = pattern();
        let windows = Windows::over_run(&bytes, 256, 1);
        let one_step = TrainConfig { learning_rate: 1e30, epochs: 1, batch: 1000, ..config() };
        let error = fit(&mut model(), &windows, &windows, &one_step, &()).unwrap_err();
        assert!(matches!(error, Error::LossNotFinite { epoch: 1, batch: 1 }), "{error}");
    }

    #[test]
    fn windows_that_do_not_fit_are_refused() {
        let bytes = pattern();
        let (good, short) = (Windows::over_run(&bytes, 256, 1), Windows::over_run(&[], 256, 1));
        let other = Windows::over_run(&bytes, 1024, 1);
        let refuse = |train, validation| fit(&mut model(), train, validation, &config(), &()).unwrap_err();
        assert!(matches!(refuse(&short, &good), Error::NoWindows { what: "training data", .. }));
        assert!(matches!(refuse(&good, &short), Error::NoWindows { what: "validation data", .. }));
        assert!(matches!(refuse(&good, &other), Error::WindowShape { got_size: 1024, .. }));
    }

    #[test]
    fn a_request_to_stop_is_heeded() {
        struct Stop;
        impl Progress for Stop {
            fn interrupted(&self) -> bool {
                true
            }
        }
        let bytes = pattern();
        let windows = Windows::over_run(&bytes, 256, 1);
        let error = fit(&mut model(), &windows, &windows, &config(), &Stop).unwrap_err();
        assert!(matches!(error, Error::Interrupted));
    }
}
