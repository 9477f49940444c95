//! The plan of an experiment: a YAML file that says which captures, and which settings to try on them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::calibration::ThresholdRule;
use crate::detectors::{Blueprint, ScoringHead};
use crate::error::{Fault, FileKind, Place};
use crate::fragment::{FragmentSize, Mask, Mode, Shape};
use crate::model::{Cell, Frames, Head, Side};
use crate::reduce::Reduction;
use crate::train::TrainConfig;
use crate::{Error, Result};

/// What to try on which captures. Every list is an axis: all combinations are run.
///
/// # Example
///
/// ```yaml
/// name: plant
/// captures:
///   train:      { files: [monday.pcap], to: 0.8 }
///   validation: { files: [monday.pcap], from: 0.8 }
///   fit:        { files: [tuesday.pcap] }
///   predict:    { files: [wednesday.pcap] }
///   eval:       { files: [attacks.pcap], labels: attacks.labels.csv }
/// modes: [packet]
/// fragment_sizes: [256]
/// residual: [mean]
/// codes: [{ IsolationForest: {} }]
/// seeds: [1, 2, 3]
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What tables and images call the experiment.
    pub name: String,
    /// Which captures.
    pub captures: PlanCaptures,
    /// How packets become fragments; default packet.
    #[serde(default = "packet_mode")]
    pub modes: Vec<Mode>,
    /// Bytes in a fragment: 256, 1024 or 4096; default 256.
    #[serde(default = "smallest_size")]
    pub fragment_sizes: Vec<usize>,
    /// Header fields read as zeros: `none`, `volatile`, `addresses`, or names with commas between; default none.
    #[serde(default = "no_mask")]
    pub masks: Vec<Mask>,
    /// Fragments in a window; default 1.
    #[serde(default = "one_frame")]
    pub frames: Vec<Frames>,
    /// The recurrent cell; default gru. None, `[]`, where no model is to be trained.
    #[serde(default = "gru")]
    pub cells: Vec<Cell>,
    /// The last layer, and with it the loss: `linear` (squared error), `sigmoid` (binary cross-entropy), `categorical` (−ln p); default linear.
    #[serde(default = "linear")]
    pub heads: Vec<Head>,
    /// How to train; the seed is that of the run.
    #[serde(default)]
    pub training: TrainConfig,
    /// Ways to make one score of the model's residual.
    #[serde(default)]
    pub residual: Vec<ScoringHead>,
    /// Other ways to codes, beside the models: fitted to `fit`, seeded as the run is; what `codes` names is fitted to theirs too.
    #[serde(default)]
    pub reducers: Vec<Reduction>,
    /// Detectors fitted to codes.
    #[serde(default)]
    pub codes: Vec<Blueprint>,
    /// Detectors fitted to the fragments themselves.
    #[serde(default)]
    pub bytes: Vec<Blueprint>,
    /// How the threshold is calibrated on the scores of `predict`; default conformal:0.001.
    #[serde(default)]
    pub threshold: ThresholdRule,
    /// One run each; default 1994.
    #[serde(default = "one_seed")]
    pub seeds: Vec<u64>,
}

/// The captures of an experiment, all of normal traffic but the last; the original's five parts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanCaptures {
    /// What models are trained on.
    pub train: Part,
    /// What decides when a training ends, and what residuals are standardised on.
    pub validation: Part,
    /// What detectors are fitted to.
    pub fit: Part,
    /// What thresholds are calibrated on.
    pub predict: Part,
    /// Further normal traffic, to see which false-alarm rate a threshold keeps; optional.
    pub check: Option<Part>,
    /// Labelled traffic, touched only to report.
    pub eval: Part,
}

/// Captures, or a part of them in the order of time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// One or more files, read one after the other.
    pub files: Vec<PathBuf>,
    /// Share of the packets that is left out in front, 0 to 1; default 0.
    #[serde(default)]
    pub from: f64,
    /// Share of the packets at which the part ends, 0 to 1; default 1.
    #[serde(default = "whole")]
    pub to: f64,
    /// A label for each packet; only for whole captures. Without it all packets are normal.
    pub labels: Option<PathBuf>,
}

impl PlanCaptures {
    /// The parts with their names, in the order in which they are used.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &Part)> {
        let named =
            [("train", &self.train), ("validation", &self.validation), ("fit", &self.fit), ("predict", &self.predict)];
        let named = named.into_iter().chain(self.check.as_ref().map(|part| ("check", part)));
        named.chain([("eval", &self.eval)])
    }

    fn parts_mut(&mut self) -> impl Iterator<Item = &mut Part> {
        let PlanCaptures { train, validation, fit, predict, check, eval } = self;
        [train, validation, fit, predict].into_iter().chain(check).chain([eval])
    }
}

impl Plan {
    /// Reads a plan; its captures are sought in the folder `captures`, or beside the plan.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is not a plan (see [`from_yaml`](Self::from_yaml)); a capture or ground truth is not there.
    pub fn open(path: &Path, captures: Option<&Path>) -> Result<Plan> {
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        let mut plan = Plan::from_yaml(&text).map_err(FileKind::Plan.unreadable(path))?;
        let folder = captures.or(path.parent()).unwrap_or(Path::new(""));
        for part in plan.captures.parts_mut() {
            for file in part.files.iter_mut().chain(&mut part.labels) {
                *file = folder.join(&*file);
                fs::metadata(&*file).map_err(Error::io("open", file))?;
            }
        }
        Ok(plan)
    }

    /// Reads a plan from its text, without a look at the captures.
    ///
    /// # Errors
    ///
    /// The text is not YAML or has an unknown key, an empty axis, a size that no model takes, an impossible part of captures, an `eval`
    /// without labels, or no detector.
    pub fn from_yaml(text: &str) -> Result<Plan, Fault> {
        let plan: Plan = serde_saphyr::from_str(text).map_err(|error| Fault::parser(error.without_snippet()))?;
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), Fault> {
        let axes = [
            ("modes", self.modes.len()),
            ("fragment_sizes", self.fragment_sizes.len()),
            ("masks", self.masks.len()),
            ("frames", self.frames.len()),
            ("heads", self.heads.len()),
            ("seeds", self.seeds.len()),
            ("detectors: residual, codes and bytes", self.residual.len() + self.codes.len() + self.bytes.len()),
        ];
        if let Some((name, _)) = axes.iter().find(|(_, length)| *length == 0) {
            return Err(key(name).empty());
        }
        self.check_coders()?;
        for &size in &self.fragment_sizes {
            Side::of_fragment_size(size)?;
            FragmentSize::new(size, Shape::Square)?;
        }
        for blueprint in self.codes.iter().chain(&self.bytes) {
            blueprint.check().map_err(|error| Fault::from(error).within(Place::Part(blueprint.name().into())))?;
        }
        for reduction in &self.reducers {
            reduction.check().map_err(|error| Fault::from(error).within(Place::Part(reduction.name().into())))?;
        }
        for head in &self.residual {
            head.check()?;
        }
        self.training.check()?;
        for (name, part) in self.captures.parts() {
            part.check().map_err(|fault| fault.within(Place::Part(name.into())))?;
        }
        match self.captures.eval.labels {
            None => Err(key("labels").missing().within(Place::Part("eval".into()))),
            Some(_) => Ok(()),
        }
    }
}

impl Plan {
    /// Refuses detectors on codes that nothing makes, residuals of no model, and reducers whose codes nobody looks at.
    fn check_coders(&self) -> Result<(), Fault> {
        if self.cells.is_empty() && !self.residual.is_empty() {
            return Err(key("cells").found("empty", "a model for `residual`"));
        }
        if self.cells.is_empty() && self.reducers.is_empty() && !self.codes.is_empty() {
            return Err(key("cells").found("empty, as is `reducers`", "one of them for `codes`"));
        }
        if !self.reducers.is_empty() && self.codes.is_empty() {
            return Err(key("codes").found("empty", "a detector for the codes of `reducers`"));
        }
        Ok(())
    }
}

impl Part {
    fn check(&self) -> Result<(), Fault> {
        let Part { files, from, to, labels } = self;
        if files.is_empty() {
            return Err(key("files").empty());
        }
        if !(0.0 <= *from && from < to && *to <= 1.0) {
            return Err(
                key("from").found(format!("{from} and `to` is {to}"), "two shares from 0 to 1, the first smaller")
            );
        }
        if labels.is_some() && !self.is_whole() {
            return Err(key("labels").found("given for a part of captures", "whole captures"));
        }
        Ok(())
    }

    /// True if no packet is left out.
    pub fn is_whole(&self) -> bool {
        self.from == 0.0 && self.to == 1.0
    }
}

/// A key of the plan, as the place of a fault.
fn key(name: &str) -> Place {
    Place::Parameter(name.into())
}

fn packet_mode() -> Vec<Mode> {
    vec![Mode::Packet]
}

fn smallest_size() -> Vec<usize> {
    vec![256]
}

fn no_mask() -> Vec<Mask> {
    vec![Mask::NONE]
}

fn one_frame() -> Vec<Frames> {
    vec![Frames::default()]
}

fn gru() -> Vec<Cell> {
    vec![Cell::Gru]
}

fn linear() -> Vec<Head> {
    vec![Head::Linear]
}

fn one_seed() -> Vec<u64> {
    vec![TrainConfig::default().seed]
}

fn whole() -> f64 {
    1.0
}
