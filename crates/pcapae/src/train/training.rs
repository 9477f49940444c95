//! The training loop: epochs of batches, each followed by validation.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::clip::clip_norm;
use super::config::{Order, TrainConfig};
use super::early_stopping::{EarlyStopping, Verdict};
use super::history::{Epoch, History};
use super::optimizer::OptimizerState;
use super::schedule::{StepParameters, StepPosition};
use crate::dataset::Windows;
use crate::engine::{Dropout, Engine};
use crate::model::Autoencoder;
use crate::progress::Progress;
use crate::{Error, Result};

/// Validation windows between two checks of [`Progress::interrupted`].
const VALIDATION_BATCH: usize = 512;

/// A training, which can be interrupted between two steps and resumed.
#[derive(Debug, Clone)]
pub struct Training {
    /// With the weights of the last step.
    pub(super) model: Autoencoder,
    pub(super) config: TrainConfig,
    pub(super) optimizer: OptimizerState,
    pub(super) history: History,
    /// The weights of the best epoch; those at the beginning, if no epoch was run.
    pub(super) best: Vec<f32>,
    /// Windows to train on; `None` before the first run.
    pub(super) windows: Option<usize>,
    /// Finished batches of the current epoch.
    pub(super) batch: usize,
    /// Sum over these batches of the loss of each window.
    pub(super) loss_sum: f64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done, or early stopping ended it.
    Finished,
    /// [`Progress::interrupted`] asked to stop; another run continues with the next step.
    Interrupted,
}

/// A finished step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The batch within the epoch, from 1.
    pub batch: usize,
    /// The step since the beginning of the training, from 1.
    pub step: usize,
    /// Windows in the batch.
    pub windows: usize,
    /// Mean loss of the batch.
    pub loss: f64,
    /// Mean loss of the epoch's windows so far.
    pub mean_loss: f64,
    /// The learning rate.
    pub learning_rate: f64,
}

/// Observes a training; an error stops it.
pub trait Observer {
    /// After every step.
    fn step(&mut self, step: &Step) -> Result<()> {
        let _ = step;
        Ok(())
    }

    /// After every epoch, which is the last in the history.
    fn epoch(&mut self, training: &Training) -> Result<()> {
        let _ = training;
        Ok(())
    }
}

impl Observer for () {}

/// Trains `model` and leaves it with the weights of the smallest validation loss.
///
/// The same model, windows and configuration give the same weights, to the byte, with any number of threads. An error
/// leaves the model unchanged.
///
/// # Errors
///
/// Those of [`Training::new`] and [`Training::run`]; [`Error::Interrupted`] if the training was asked to stop.
pub fn fit(
    model: &mut Autoencoder,
    train: &Windows,
    validation: &Windows,
    config: &TrainConfig,
    progress: &dyn Progress,
) -> Result<History> {
    let mut training = Training::new(model.clone(), config.clone())?;
    match training.run(train, validation, progress, &mut ())? {
        Outcome::Interrupted => Err(Error::Interrupted),
        Outcome::Finished => {
            model.values_mut().copy_from_slice(&training.best);
            Ok(training.history)
        }
    }
}

impl Training {
    /// A training before its first step.
    ///
    /// # Errors
    ///
    /// A setting out of range.
    pub fn new(model: Autoencoder, config: TrainConfig) -> Result<Training> {
        config.check()?;
        let best = model.parameters().values().to_vec();
        let optimizer = OptimizerState::new(config.optimizer, best.len());
        let history = History::default();
        Ok(Training { model, config, optimizer, history, best, windows: None, batch: 0, loss_sum: 0.0 })
    }

    /// Changes the maximum number of epochs and the patience.
    ///
    /// The rates of [`Schedule::Cycle`](super::Schedule::Cycle) depend on the number of epochs: from here on, they are those of the new
    /// number.
    ///
    /// # Errors
    ///
    /// Any other difference from the configuration so far.
    pub fn reconfigure(&mut self, config: TrainConfig) -> Result<()> {
        config.check()?;
        self.config.check_successor(&config)?;
        self.config = config;
        Ok(())
    }

    /// The configuration.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The model with the weights of the last step.
    pub fn model(&self) -> &Autoencoder {
        &self.model
    }

    /// The model with the weights of the smallest validation loss; before the end of the first epoch, with those at the beginning.
    pub fn best_model(&self) -> Autoencoder {
        let mut model = self.model.clone();
        model.values_mut().copy_from_slice(&self.best);
        model
    }

    /// The losses of all finished epochs.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Epoch and batch of the next step, each counted from 1.
    pub fn next_step(&self) -> (usize, usize) {
        (self.history.epochs.len() + 1, self.batch + 1)
    }

    /// Whether all epochs are done, or early stopping ended it.
    pub fn is_over(&self) -> bool {
        let mut stopping = EarlyStopping::new(self.config.patience);
        let mut verdicts = self.history.epochs.iter().map(|epoch| stopping.observe(epoch.validation));
        self.history.epochs.len() >= self.config.epochs || verdicts.any(|verdict| verdict == Verdict::Stop)
    }

    /// The windows that the configuration selects for training.
    pub fn selection<'a>(&self, train: &Windows<'a>) -> Windows<'a> {
        train.every(self.config.stride).front(self.config.fraction)
    }

    /// Refuses what [`run`](Training::run) refuses of windows.
    pub fn check(&self, train: &Windows, validation: &Windows) -> Result<()> {
        let train = self.selection(train);
        check(&self.model, &train, "training data")?;
        check(&self.model, &validation.every(self.config.stride), "validation data")?;
        match self.windows {
            Some(expected) if expected != train.len() => Err(Error::OtherData { got: train.len(), expected }),
            _ => Ok(()),
        }
    }

    /// Trains to the end, or until interrupted.
    ///
    /// A resumed run gives the same weights, to the byte, as an uninterrupted one, with any number of threads. `train` and `validation`
    /// are all windows, out of which the configuration selects.
    ///
    /// # Errors
    ///
    /// No window to train or to validate with, windows of another shape than the model's, another number of windows than in the
    /// previous run, an error of the observer, or a loss that is not finite, with its epoch and batch. After an error, another run has
    /// no meaning.
    pub fn run(
        &mut self,
        train: &Windows,
        validation: &Windows,
        progress: &dyn Progress,
        observer: &mut dyn Observer,
    ) -> Result<Outcome> {
        self.check(train, validation)?;
        let (train, validation) = (self.selection(train), validation.every(self.config.stride));
        self.windows = Some(train.len());
        let mut engine = Engine::new(&self.model);
        while !self.is_over() {
            let (epoch, batch) = self.next_step();
            let done = (batch - 1) * self.batch_size().min(train.len());
            let fragments = (train.len() + validation.len()) * train.frames();
            progress.begin(&format!("epoch {epoch}"), Some(fragments as u64));
            progress.advance((done * train.frames()) as u64);
            let stopped = self.run_epoch(&mut engine, &train, progress, observer)?;
            if stopped == Outcome::Interrupted {
                return Ok(stopped);
            }
            let Some(loss) = validate(&engine, &validation, progress) else {
                return Ok(Outcome::Interrupted);
            };
            self.end_epoch(self.finite(loss, self.batch)?, train.len());
            if let Some(Epoch { train, validation }) = self.history.epochs.last() {
                progress.remark(&format!("loss {train:.6}, validation {validation:.6}"));
            }
            observer.epoch(self)?;
        }
        Ok(Outcome::Finished)
    }

    /// The remaining steps of the epoch.
    fn run_epoch(
        &mut self,
        engine: &mut Engine,
        train: &Windows,
        progress: &dyn Progress,
        observer: &mut dyn Observer,
    ) -> Result<Outcome> {
        let order = self.order(train.len());
        let batches = train.len().div_ceil(self.batch_size());
        let mut gradient = self.model.parameters().zeros_like();
        for batch in order.chunks(self.batch_size()).skip(self.batch) {
            if progress.interrupted() {
                return Ok(Outcome::Interrupted);
            }
            let windows: Vec<&[u8]> = batch.iter().map(|&i| train.bytes(i)).collect();
            let (epochs, step) = (self.history.epochs.len(), self.step(batches));
            let loss = engine.loss_and_gradient(&windows, self.dropout(step)?, &mut gradient);
            self.loss_sum += self.finite(loss, self.batch + 1)? * batch.len() as f64;
            if let Some(max_norm) = self.config.clip {
                clip_norm(gradient.values_mut(), max_norm);
            }
            let parameters = self.step_parameters(step, batches);
            self.optimizer.step(self.model.values_mut(), gradient.values(), parameters);
            engine.load(self.model.parameters());
            self.batch += 1;
            progress.advance((batch.len() * train.frames()) as u64);
            let seen = (self.batch * self.batch_size()).min(train.len());
            observer.step(&Step {
                epoch: epochs + 1,
                batch: self.batch,
                step: step + 1,
                windows: batch.len(),
                loss,
                mean_loss: self.loss_sum / seen as f64,
                learning_rate: parameters.learning_rate,
            })?;
        }
        Ok(Outcome::Finished)
    }

    fn end_epoch(&mut self, validation: f64, windows: usize) {
        let train = self.loss_sum / windows as f64;
        let best = self.history.best_epoch().is_none_or(|best| validation < best.validation);
        if best {
            self.best.copy_from_slice(self.model.parameters().values());
            self.history.best = Some(self.history.epochs.len());
        }
        self.history.epochs.push(Epoch { train, validation });
        self.batch = 0;
        self.loss_sum = 0.0;
    }

    pub(super) fn batch_size(&self) -> usize {
        self.config.batch.max(1)
    }

    /// The finished steps, where an epoch has so many batches.
    pub(super) fn step(&self, batches: usize) -> usize {
        self.history.epochs.len().saturating_mul(batches).saturating_add(self.batch)
    }

    fn step_parameters(&self, step: usize, batches: usize) -> StepParameters {
        let steps = self.config.epochs.saturating_mul(batches);
        let at = StepPosition { step, steps, epochs: &self.history.epochs };
        self.config.schedule.step_parameters(self.config.learning_rate, at)
    }

    /// The windows in the order of the current epoch.
    fn order(&self, windows: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..windows).collect();
        match self.config.order {
            Order::Shuffled => order.shuffle(&mut self.random_stream(RandomStream::Order, self.history.epochs.len())),
            Order::Capture => {}
        }
        order
    }

    fn dropout(&self, step: usize) -> Result<Option<Dropout>> {
        if self.config.dropout == 0.0 {
            return Ok(None);
        }
        let seed = self.random_stream(RandomStream::Dropout, step).next_u64();
        Ok(Some(Dropout::new(self.config.dropout, seed)?))
    }

    /// A random stream that depends on the seed, the purpose, and the number of the epoch or step only.
    fn random_stream(&self, purpose: RandomStream, number: usize) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.config.seed);
        rng.set_stream((number as u64) << 1 | purpose as u64);
        rng
    }

    fn finite(&self, loss: f64, batch: usize) -> Result<f64> {
        let epoch = self.history.epochs.len() + 1;
        if loss.is_finite() { Ok(loss) } else { Err(Error::LossNotFinite { epoch, batch }) }
    }
}

/// The purpose of a random stream.
#[derive(Debug, Clone, Copy)]
enum RandomStream {
    Order,
    Dropout,
}

/// The mean loss over all windows; `None` if interrupted.
fn validate(engine: &Engine, windows: &Windows, progress: &dyn Progress) -> Option<f64> {
    let all: Vec<&[u8]> = (0..windows.len()).map(|i| windows.bytes(i)).collect();
    let mut total = 0.0;
    for batch in all.chunks(VALIDATION_BATCH) {
        if progress.interrupted() {
            return None;
        }
        total += engine.loss(batch) * batch.len() as f64;
        progress.advance((batch.len() * windows.frames()) as u64);
    }
    Some(total / all.len() as f64)
}

fn check(model: &Autoencoder, windows: &Windows, what: &'static str) -> Result<()> {
    let (frames, size) = (model.config().window_frames(), model.config().side.fragment_size());
    let (got_frames, got_size) = (windows.frames(), windows.fragment_size());
    if (got_frames, got_size) != (frames, size) {
        return Err(Error::WindowShape { what, got_frames, got_size, frames, size });
    }
    if windows.is_empty() { Err(Error::NoWindows { what, frames }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::model::{ModelConfig, Side};
    use crate::train::{Optimizer, Schedule};

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

    /// Asks to stop at the n-th question, counted from 0.
    struct StopAt(usize, AtomicUsize);

    impl StopAt {
        fn question(number: usize) -> StopAt {
            StopAt(number, AtomicUsize::new(0))
        }
    }

    impl Progress for StopAt {
        fn interrupted(&self) -> bool {
            self.1.fetch_add(1, Ordering::Relaxed) == self.0
        }
    }

    #[test]
    fn a_request_to_stop_is_heeded() {
        let bytes = pattern();
        let windows = Windows::over_run(&bytes, 256, 1);
        let error = fit(&mut model(), &windows, &windows, &config(), &StopAt::question(0)).unwrap_err();
        assert!(matches!(error, Error::Interrupted));
    }

    /// Runs to the end, saving and reading back after every interruption, the first of which is at a question.
    fn run(config: &TrainConfig, stops: &[usize]) -> Training {
        let bytes = pattern();
        let windows = Windows::over_run(&bytes, 256, 1);
        let mut training = Training::new(model(), config.clone()).unwrap();
        for stop in stops {
            let outcome = training.run(&windows, &windows, &StopAt::question(*stop), &mut ()).unwrap();
            assert_eq!(outcome, Outcome::Interrupted);
            let file = training.to_safetensors().unwrap();
            training = Training::from_safetensors(&file).unwrap().unwrap();
        }
        assert_eq!(training.run(&windows, &windows, &(), &mut ()).unwrap(), Outcome::Finished);
        training
    }

    #[test]
    fn a_resumed_training_equals_an_uninterrupted_one() {
        for (optimizer, schedule, order) in [
            (Optimizer::AdamW, Schedule::Cycle, Order::Shuffled),
            (Optimizer::Adam, Schedule::Plateau, Order::Shuffled),
            (Optimizer::Sgd, Schedule::Step, Order::Capture),
        ] {
            let config = TrainConfig { optimizer, schedule, order, dropout: 0.2, epochs: 3, ..config() };
            let file = |stops: &[usize]| run(&config, stops).to_safetensors().unwrap();
            let never = file(&[]);
            // An epoch asks five times: before each of four batches, and before the validation.
            let many: [&[usize]; 6] = [&[0], &[2], &[4], &[5], &[7, 1, 3], &[14]];
            for stops in many {
                assert!(file(stops) == never, "{optimizer:?} stopped at {stops:?}");
            }
        }
    }

    #[test]
    fn a_longer_training_goes_on_where_a_shorter_one_ended() {
        let long = TrainConfig { epochs: 4, patience: 9, ..config() };
        let mut training = run(&TrainConfig { epochs: 2, patience: 3, ..long.clone() }, &[]);
        training.reconfigure(long.clone()).unwrap();
        let bytes = pattern();
        let windows = Windows::over_run(&bytes, 256, 1);
        training.run(&windows, &windows, &(), &mut ()).unwrap();
        assert!(training.to_safetensors().unwrap() == run(&long, &[]).to_safetensors().unwrap());
        let faster = TrainConfig { learning_rate: 0.5, ..long };
        assert!(matches!(training.reconfigure(faster), Err(Error::OtherSetting { .. })));
    }

    #[test]
    fn a_training_does_not_go_on_with_other_windows() {
        let bytes = pattern();
        let (all, fewer) = (Windows::over_run(&bytes, 256, 1), Windows::over_run(&bytes[..2560], 256, 1));
        let mut training = Training::new(model(), config()).unwrap();
        training.run(&all, &all, &StopAt::question(1), &mut ()).unwrap();
        let error = training.run(&fewer, &all, &(), &mut ()).unwrap_err();
        assert!(matches!(error, Error::OtherData { got: 10, expected: 20 }), "{error}");
    }

    #[test]
    fn the_observer_sees_every_step_and_epoch() {
        #[derive(Default)]
        struct Log(Vec<(usize, usize, usize, usize)>, Vec<(f64, f64)>);
        impl Observer for Log {
            fn step(&mut self, step: &Step) -> Result<()> {
                self.0.push((step.epoch, step.batch, step.step, step.windows));
                self.1.push((step.mean_loss, step.learning_rate));
                Ok(())
            }
            fn epoch(&mut self, training: &Training) -> Result<()> {
                let (mean, _) = self.1[self.1.len() - 1];
                assert_eq!(training.history().epochs.last().unwrap().train, mean);
                Ok(())
            }
        }
        let bytes = pattern();
        let windows = Windows::over_run(&bytes, 256, 1);
        let config = TrainConfig { epochs: 2, batch: 8, stride: 2, fraction: 0.9, ..config() };
        let mut log = Log::default();
        Training::new(model(), config).unwrap().run(&windows, &windows, &(), &mut log).unwrap();
        assert_eq!(log.0, [(1, 1, 1, 8), (1, 2, 2, 1), (2, 1, 3, 8), (2, 2, 4, 1)]);
        assert!(log.1.iter().all(|(_, rate)| *rate == 5e-3));
    }

    #[test]
    fn patience_ends_a_training() {
        let bytes = pattern();
        let windows = Windows::over_run(&bytes, 256, 1);
        let still = TrainConfig { optimizer: Optimizer::Sgd, learning_rate: 1e-30, patience: 3, ..config() };
        let history = fit(&mut model(), &windows, &windows, &still, &()).unwrap();
        assert_eq!((history.epochs.len(), history.best), (4, Some(0)));
    }

    #[test]
    fn every_optimizer_and_dropout_learns() {
        let bytes = pattern();
        let windows = Windows::over_run(&bytes, 256, 1);
        for (optimizer, learning_rate, dropout) in
            [(Optimizer::Sgd, 0.3, 0.0), (Optimizer::Adam, 5e-3, 0.0), (Optimizer::AdamW, 5e-3, 0.2)]
        {
            let config = TrainConfig { optimizer, learning_rate, dropout, ..config() };
            let history = fit(&mut model(), &windows, &windows, &config, &()).unwrap();
            let (first, best) = (history.epochs[0].validation, history.best_epoch().unwrap().validation);
            assert!(best < 0.8 * first, "{optimizer:?}: {first} {best}");
        }
    }
}
