//! All runs of a plan: one for each combination of its axes.

use serde::Serialize;

use super::Plan;
use crate::Result;
use crate::detectors::{Blueprint, ScoringHead};
use crate::fragment::{Cutting, FragmentSize, Mask, Mode, Semantics, Shape};
use crate::model::{Cell, Frames, Head, ModelConfig, Side};
use crate::reduce::Reduction;

/// How packets become fragments in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct CuttingAxes {
    /// Three ways to cut.
    pub mode: Mode,
    /// Bytes in a fragment.
    pub fragment_size: usize,
    /// Header fields read as zeros.
    pub mask: Mask,
}

/// Which model is trained in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ModelAxes {
    /// The recurrent cell.
    pub cell: Cell,
    /// Fragments in a window.
    pub frames: Frames,
    /// The last layer.
    pub head: Head,
}

/// What makes codes of windows in a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Coder {
    /// The encoder of a model.
    Model(ModelAxes),
    /// Another reduction, and the fragments in a window.
    Reducer(Reduction, Frames),
}

/// What is scored in a run, and how.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scorer {
    /// The model's residual, made one score by a head.
    Residual(ModelAxes, ScoringHead),
    /// Codes, by a detector.
    Codes(Coder, Blueprint),
    /// The fragments themselves, by a detector.
    Bytes(Blueprint),
}

/// One cell of the matrix.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// How packets become fragments.
    pub cutting: CuttingAxes,
    /// What is scored, and how.
    pub scorer: Scorer,
    /// Seed of the model's weights, of the order of training, and of the detector.
    pub seed: u64,
}

impl Plan {
    /// All runs, those with the same seed and model one after the other.
    pub fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        for &seed in &self.seeds {
            for cutting in self.cuttings() {
                let bytes = self.bytes.iter().cloned().map(Scorer::Bytes);
                let models = self.models();
                let on_models = models.iter().flat_map(|&model| {
                    let residual = self.residual.iter().map(move |&head| Scorer::Residual(model, head));
                    residual.chain(self.on_codes(Coder::Model(model)))
                });
                let on_reducers = self.reducers().into_iter().flat_map(|reducer| self.on_codes(reducer));
                runs.extend(on_models.chain(on_reducers).chain(bytes).map(|scorer| Run { cutting, scorer, seed }));
            }
        }
        runs
    }

    fn cuttings(&self) -> Vec<CuttingAxes> {
        let mut all = Vec::new();
        for &mode in &self.modes {
            for &fragment_size in &self.fragment_sizes {
                all.extend(self.masks.iter().map(|&mask| CuttingAxes { mode, fragment_size, mask }));
            }
        }
        all
    }

    fn on_codes(&self, coder: Coder) -> impl Iterator<Item = Scorer> {
        self.codes.iter().map(move |blueprint| Scorer::Codes(coder.clone(), blueprint.clone()))
    }

    fn reducers(&self) -> Vec<Coder> {
        let of_frames = |&frames| self.reducers.iter().map(move |reduction| Coder::Reducer(reduction.clone(), frames));
        self.frames.iter().flat_map(of_frames).collect()
    }

    fn models(&self) -> Vec<ModelAxes> {
        let mut all = Vec::new();
        for &cell in &self.cells {
            for &frames in &self.frames {
                all.extend(self.heads.iter().map(|&head| ModelAxes { cell, frames, head }));
            }
        }
        all
    }
}

impl CuttingAxes {
    /// The same as the fragmenters take it.
    pub fn cutting(&self) -> Result<Cutting> {
        let size = FragmentSize::new(self.fragment_size, Shape::Square)?;
        Ok(Cutting { mode: self.mode, size, semantics: Semantics::Complete, mask: self.mask })
    }

    /// In a few words: "packet 256 masked ip-id,checksums".
    pub fn name(&self) -> String {
        let mask = match self.mask {
            Mask::NONE => "unmasked".to_owned(),
            mask if mask == Mask::volatile() => "volatile masked".to_owned(),
            mask => format!("{mask} masked"),
        };
        format!("{} {} {mask}", self.mode.name(), self.fragment_size)
    }
}

impl ModelAxes {
    /// The configuration of a model for fragments of a size.
    pub fn config(&self, fragment_size: usize) -> Result<ModelConfig> {
        let ModelAxes { cell, frames, head } = *self;
        Ok(ModelConfig { cell, frames, head, ..ModelConfig::new(Side::of_fragment_size(fragment_size)?) })
    }

    /// In a few words: "gru 1 categorical".
    pub fn name(&self) -> String {
        let cell = match self.cell {
            Cell::Gru => "gru",
            Cell::Lstm => "lstm",
        };
        let head = match self.head {
            Head::Linear => "mse",
            Head::Sigmoid => "bce",
            Head::Categorical => "ce",
        };
        format!("{cell} {} {head}", self.frames.count())
    }
}

impl Coder {
    /// In a few words: "gru 1 ce", "PCA 1".
    pub fn name(&self) -> String {
        match self {
            Coder::Model(model) => model.name(),
            Coder::Reducer(reduction, frames) => format!("{} {}", reduction.title(), frames.count()),
        }
    }
}

impl Scorer {
    /// In a few words: "residual top 8, gru 1 ce".
    pub fn name(&self) -> String {
        match self {
            Scorer::Residual(model, head) => format!("residual {}, {}", head_name(*head), model.name()),
            Scorer::Codes(coder, blueprint) => format!("{} on codes, {}", blueprint_name(blueprint), coder.name()),
            Scorer::Bytes(blueprint) => format!("{} on bytes", blueprint_name(blueprint)),
        }
    }

    /// The model that has to be trained for it.
    pub fn model(&self) -> Option<ModelAxes> {
        match self {
            Scorer::Residual(model, _) | Scorer::Codes(Coder::Model(model), _) => Some(*model),
            Scorer::Codes(Coder::Reducer(..), _) | Scorer::Bytes(_) => None,
        }
    }
}

/// The detector with those of its parameters that are not at their default: "OneClassSVM (nu 0.01)".
fn blueprint_name(blueprint: &Blueprint) -> String {
    let (name, parameters) = (blueprint.name(), blueprint.parameters());
    let usual = Blueprint::from_yaml(name).map(|usual| usual.parameters()).unwrap_or_default();
    let others = parameters.iter().filter(|(parameter, value)| usual.get(*parameter) != Some(value));
    let others: Vec<String> = others.map(|(parameter, value)| format!("{parameter} {value}")).collect();
    if others.is_empty() { name.to_owned() } else { format!("{name} ({})", others.join(", ")) }
}

fn head_name(head: ScoringHead) -> String {
    match head {
        ScoringHead::Sum => "sum".into(),
        ScoringHead::Mean => "mean".into(),
        ScoringHead::Top { k, standardised: true } => format!("top {k} standardised"),
        ScoringHead::Top { k, standardised: false } => format!("top {k}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detector_is_called_after_what_is_unusual_about_it() {
        let name = |text: &str| Scorer::Bytes(Blueprint::from_yaml(text).unwrap()).name();
        assert_eq!(name("PositionHistogram"), "PositionHistogram on bytes");
        assert_eq!(name("PositionHistogram: { per_service: false }"), "PositionHistogram (per_service false) on bytes");
        assert_eq!(name("OneClassSVM: { nu: 0.01 }"), "OneClassSVM (nu 0.01) on bytes");
    }
}
