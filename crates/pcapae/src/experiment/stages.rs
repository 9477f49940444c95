//! The stages of an experiment, each from files of the cache to a file of the cache.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::cache::{Cache, Made, Recipe, key_of_file};
use super::matrix::{Coder, CuttingAxes, ModelAxes, Run, Scorer};
use super::plan::{Part, Plan, PlanCaptures};
use crate::capture::Captures;
use crate::dataset::{Dataset, Description, Layout, build};
use crate::detectors::{Blueprint, Fitted, SampleFile, ScoringHead, further_columns};
use crate::encode::encode;
use crate::label::{GroundTruth, Label, Labels};
use crate::model::{self, Autoencoder, Frames, TrainedOn};
use crate::progress::Progress;
use crate::reduce::{Reducer, Reduction};
use crate::residual::WindowScorer;
use crate::scores::ScoreWriter;
use crate::train::{Outcome, TrainConfig, Training};
use crate::{Error, Result};

/// Makes what a run needs, or takes it from the cache.
pub(super) struct Stages<'a> {
    cache: Cache,
    plan: &'a Plan,
    progress: &'a dyn Progress,
    /// Of each capture that was looked at, the SHA-256.
    keys: RefCell<HashMap<PathBuf, String>>,
}

/// The scores of a run.
pub(super) struct Scored {
    /// Of the labelled captures.
    pub eval: Made,
    /// Of the traffic that the threshold is calibrated on.
    pub predict: Made,
    /// Of further normal traffic.
    pub check: Option<Made>,
}

impl<'a> Stages<'a> {
    pub fn new(cache: Cache, plan: &'a Plan, progress: &'a dyn Progress) -> Stages<'a> {
        Stages { cache, plan, progress, keys: RefCell::default() }
    }

    /// All scores of a run.
    pub fn scores(&self, run: &Run) -> Result<Scored> {
        let PlanCaptures { predict, check, eval, .. } = &self.plan.captures;
        let scored = |part: &Part| self.scores_of(run, part);
        Ok(Scored { eval: scored(eval)?, predict: scored(predict)?, check: check.as_ref().map(scored).transpose()? })
    }

    fn scores_of(&self, run: &Run, part: &Part) -> Result<Made> {
        let dataset = self.dataset(part, &run.cutting)?;
        let fit = || self.dataset(&self.plan.captures.fit, &run.cutting);
        match &run.scorer {
            Scorer::Residual(model, head) => {
                let model = self.model(run, *model)?;
                let usual = self.dataset(&self.plan.captures.validation, &run.cutting)?;
                self.residual_scores(&model, *head, &usual, &dataset)
            }
            Scorer::Codes(coder, blueprint) => {
                let fit = fit()?;
                let [fit, codes] = match coder {
                    Coder::Model(axes) => {
                        let model = self.model(run, *axes)?;
                        [self.codes(&model, &fit)?, self.codes(&model, &dataset)?]
                    }
                    Coder::Reducer(reduction, frames) => {
                        let reducer = self.reducer(reduction, *frames, run.seed, &fit)?;
                        [self.reduced(&reducer, &fit)?, self.reduced(&reducer, &dataset)?]
                    }
                };
                self.detector_scores(&self.detector(blueprint, run.seed, &fit)?, &codes)
            }
            Scorer::Bytes(blueprint) => self.detector_scores(&self.detector(blueprint, run.seed, &fit()?)?, &dataset),
        }
    }

    /// A part of the captures, cut.
    fn dataset(&self, part: &Part, axes: &CuttingAxes) -> Result<Made> {
        let files = part.files.iter().chain(&part.labels);
        let keys: Vec<String> = files.map(|file| self.key(file)).collect::<Result<_>>()?;
        let inputs: Vec<&str> = keys.iter().map(String::as_str).collect();
        let settings = (axes, part.from, part.to, part.labels.is_some());
        self.cache.made(&Recipe { stage: "dataset", ending: "h5", inputs: &inputs, settings }, |place| {
            let captures = part_of(part)?;
            let labels = match &part.labels {
                Some(file) => Labels::File(GroundTruth::open(file)?),
                None => Labels::All(Label::Normal),
            };
            let description = Description { name: self.plan.name.clone(), cutting: axes.cutting()? };
            build(captures, labels, &description, Layout::Arrays, place, self.progress).map(drop)
        })
    }

    /// A model, trained. Interrupted, it leaves beside its place what a later run goes on from.
    fn model(&self, run: &Run, axes: ModelAxes) -> Result<Made> {
        let PlanCaptures { train, validation, .. } = &self.plan.captures;
        let (train, validation) = (self.dataset(train, &run.cutting)?, self.dataset(validation, &run.cutting)?);
        let config = TrainConfig { seed: run.seed, ..self.plan.training.clone() };
        let inputs = [train.key.as_str(), validation.key.as_str()];
        let recipe = Recipe { stage: "model", ending: "safetensors", inputs: &inputs, settings: (axes, &config) };
        let unfinished = self.cache.place(&recipe)?.path.with_extension("unfinished");
        self.cache.made(&recipe, |place| {
            let training = match fs::read(&unfinished).ok().and_then(|bytes| Training::from_safetensors(&bytes).ok()?) {
                Some(begun) => begun,
                None => {
                    let trained_on = TrainedOn { mode: Some(run.cutting.mode), mask: Some(run.cutting.mask) };
                    let model = Autoencoder::new(axes.config(run.cutting.fragment_size)?, run.seed);
                    Training::new(model.with_trained_on(trained_on), config.clone())?
                }
            };
            let trained = self.trained(training, &train, &validation, &unfinished)?;
            fs::write(place, trained).map_err(Error::io("write", place))
        })
    }

    fn trained(&self, mut training: Training, train: &Made, validation: &Made, unfinished: &Path) -> Result<Vec<u8>> {
        let (train, validation) = (Dataset::open(&train.path)?, Dataset::open(&validation.path)?);
        let (train, validation) = (train.load(self.progress)?, validation.load(self.progress)?);
        let frames = training.model().config().window_frames();
        match training.run(&train.windows(frames), &validation.windows(frames), self.progress, &mut ())? {
            Outcome::Finished => {
                // It may not be there, and if it stays it does no harm.
                fs::remove_file(unfinished).ok();
                training.best_to_safetensors()
            }
            Outcome::Interrupted => {
                fs::write(unfinished, training.to_safetensors()?).map_err(Error::io("write", unfinished))?;
                Err(Error::Interrupted)
            }
        }
    }

    fn codes(&self, model: &Made, dataset: &Made) -> Result<Made> {
        let inputs = [model.key.as_str(), dataset.key.as_str()];
        self.cache.made(&Recipe { stage: "codes", ending: "h5", inputs: &inputs, settings: () }, |place| {
            let (model, dataset) = (model::open(&model.path, None)?, Dataset::open(&dataset.path)?);
            encode(&model, &dataset, NonZeroUsize::MIN, place, self.progress).map(drop)
        })
    }

    fn reducer(&self, reduction: &Reduction, frames: Frames, seed: u64, windows: &Made) -> Result<Made> {
        let reduction = reduction.with_seed(seed).unwrap_or_else(|| reduction.clone());
        let (inputs, settings) = ([windows.key.as_str()], (&reduction, frames));
        self.cache.made(&Recipe { stage: "reducer", ending: "safetensors", inputs: &inputs, settings }, |place| {
            let reducer = Reducer::fit(&reduction, &Dataset::open(&windows.path)?, frames, self.progress)?;
            fs::write(place, reducer.to_bytes()?).map_err(Error::io("write", place))
        })
    }

    fn reduced(&self, reducer: &Made, dataset: &Made) -> Result<Made> {
        let inputs = [reducer.key.as_str(), dataset.key.as_str()];
        self.cache.made(&Recipe { stage: "codes", ending: "h5", inputs: &inputs, settings: () }, |place| {
            let (reducer, dataset) = (Reducer::open(&reducer.path)?, Dataset::open(&dataset.path)?);
            reducer.reduce(&dataset, NonZeroUsize::MIN, place, self.progress).map(drop)
        })
    }

    fn detector(&self, blueprint: &Blueprint, seed: u64, rows: &Made) -> Result<Made> {
        let blueprint = blueprint.with_seed(seed).unwrap_or_else(|| blueprint.clone());
        let inputs = [rows.key.as_str()];
        let recipe = Recipe { stage: "detector", ending: "safetensors", inputs: &inputs, settings: &blueprint };
        self.cache.made(&recipe, |place| {
            self.progress.begin(&format!("fitting {}", blueprint.name()), None);
            let fitted = Fitted::fit(&blueprint, &SampleFile::open(&rows.path)?)?;
            fs::write(place, fitted.to_bytes()?).map_err(Error::io("write", place))
        })
    }

    fn detector_scores(&self, detector: &Made, rows: &Made) -> Result<Made> {
        let inputs = [detector.key.as_str(), rows.key.as_str()];
        self.cache.made(&Recipe { stage: "scores", ending: "csv", inputs: &inputs, settings: () }, |place| {
            let (fitted, rows) = (Fitted::open(&detector.path)?, SampleFile::open(&rows.path)?);
            let mut writer = ScoreWriter::new(Vec::new(), rows.further_columns())?;
            fitted.score_file(&rows, &mut |row, further| writer.write(row, further), self.progress)?;
            fs::write(place, writer.finish()?).map_err(Error::io("write", place))
        })
    }

    fn residual_scores(&self, model: &Made, head: ScoringHead, usual: &Made, dataset: &Made) -> Result<Made> {
        let mut inputs = vec![model.key.as_str(), dataset.key.as_str()];
        if head.is_standardised() {
            inputs.push(usual.key.as_str());
        }
        self.cache.made(&Recipe { stage: "scores", ending: "csv", inputs: &inputs, settings: head }, |place| {
            let model = model::open(&model.path, None)?;
            let usual = head.is_standardised().then(|| Dataset::open(&usual.path)).transpose()?;
            let scorer = WindowScorer::new(model, head, usual.as_ref(), self.progress)?;
            let dataset = Dataset::open(&dataset.path)?;
            let mut writer = ScoreWriter::new(Vec::new(), further_columns(dataset.mode()))?;
            scorer.score(&dataset, &mut |row, further| writer.write(row, further), self.progress)?;
            fs::write(place, writer.finish()?).map_err(Error::io("write", place))
        })
    }

    fn key(&self, file: &Path) -> Result<String> {
        if let Some(key) = self.keys.borrow().get(file) {
            return Ok(key.clone());
        }
        let key = key_of_file(file)?;
        self.keys.borrow_mut().insert(file.to_owned(), key.clone());
        Ok(key)
    }
}

/// The captures of a part, or of them the packets that it names.
fn part_of(part: &Part) -> Result<Captures> {
    let captures = Captures::open(&part.files)?;
    if part.is_whole() {
        return Ok(captures);
    }
    let mut counted = Captures::open(&part.files)?;
    while counted.next_packet()?.is_some() {}
    let at = |share: f64| (share * counted.summary().packets as f64).round() as u64;
    Ok(captures.only(at(part.from) + 1..=at(part.to)))
}
