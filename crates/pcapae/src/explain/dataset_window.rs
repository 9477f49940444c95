//! The window of a dataset in which a fragment is scored.

use std::ops::Range;

use super::target::Target;
use crate::dataset::Dataset;
use crate::engine::Engine;
use crate::model::{Autoencoder, ModelConfig};
use crate::residual::{ScoringWindow, scoring_window};
use crate::{Error, Result};

/// Fragments that are looked at together for those of a packet.
const BLOCK: usize = 1 << 16;

/// The [scoring window](scoring_window) of a fragment of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetWindow {
    /// The window's fragments, by their indices in the dataset.
    pub fragments: Range<usize>,
    /// Which of the decoder's frames is the fragment.
    pub frame: usize,
}

impl DatasetWindow {
    /// The window of a fragment, counted from 0. Refuses one that the dataset does not have, and one that a model which predicts does not
    /// predict: the first of a run.
    pub fn of(dataset: &Dataset, config: &ModelConfig, fragment: usize) -> Result<DatasetWindow> {
        if fragment >= dataset.len() {
            return Err(Error::Setting {
                setting: "fragment",
                got: fragment.to_string(),
                expected: format!("0 to {}, which {} holds", dataset.len().saturating_sub(1), dataset.path().display()),
                remedy: None,
            });
        }
        let frames = config.window_frames();
        let nearby = fragment.saturating_sub(frames - 1)..(fragment + frames).min(dataset.len());
        let provenance = dataset.provenance(nearby.clone())?;
        let same_flow = |other: usize| {
            let flow = |i: usize| provenance.flows().map(|flows| flows[i - nearby.start]);
            flow(other) == flow(fragment)
        };
        let start = (nearby.start..=fragment).rev().take_while(|i| same_flow(*i)).last().unwrap_or(fragment);
        let end = (fragment..nearby.end).take_while(|i| same_flow(*i)).last().unwrap_or(fragment) + 1;
        match scoring_window(start..end, fragment, config) {
            Some(ScoringWindow { fragments, frame }) => Ok(DatasetWindow { fragments, frame }),
            None => Err(Error::Setting {
                setting: "fragment",
                got: fragment.to_string(),
                expected: format!("one with {} before it in its run: the model predicts", config.frames.count()),
                remedy: None,
            }),
        }
    }

    /// The window of the fragment with bytes of a packet, counted from 1, that is the most anomalous. Refuses a packet of which the
    /// dataset has no byte.
    pub fn of_packet(dataset: &Dataset, model: &Autoencoder, packet: u64) -> Result<(usize, DatasetWindow)> {
        let mut best: Option<(usize, DatasetWindow, f64)> = None;
        for fragment in fragments_of(dataset, packet)? {
            let Ok(window) = DatasetWindow::of(dataset, model.config(), fragment) else { continue };
            let score = window.score(dataset, model)?;
            if best.as_ref().is_none_or(|(.., highest)| score > *highest) {
                best = Some((fragment, window, score));
            }
        }
        best.map(|(fragment, window, _)| (fragment, window)).ok_or_else(|| Error::Setting {
            setting: "packet",
            got: packet.to_string(),
            expected: format!("one that {} has bytes of, and that the model scores", dataset.path().display()),
            remedy: Some("packets are counted from 1 over all captures of the dataset".into()),
        })
    }

    /// The model for windows of this length, which differs from the model's own only for short runs.
    pub fn model(&self, model: &Autoencoder) -> Result<Autoencoder> {
        match model.config().window_frames() == self.fragments.len() {
            true => Ok(model.clone()),
            false => model.with_frames(self.fragments.len()),
        }
    }

    /// The fragment's anomaly score as a target.
    pub fn target(&self) -> Target<'static> {
        Target::Score { frame: self.frame }
    }

    /// The bytes of the window.
    pub fn bytes(&self, dataset: &Dataset) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        dataset.read(self.fragments.clone(), &mut bytes)?;
        Ok(bytes)
    }

    fn score(&self, dataset: &Dataset, model: &Autoencoder) -> Result<f64> {
        let (model, bytes) = (self.model(model)?, self.bytes(dataset)?);
        let size = model.config().side.fragment_size();
        let residual = Engine::new(&model).residual(&[&bytes]);
        Ok(residual[self.frame * size..(self.frame + 1) * size].iter().map(|r| f64::from(*r)).sum::<f64>()
            / size as f64)
    }
}

/// All fragments with bytes of a packet.
fn fragments_of(dataset: &Dataset, packet: u64) -> Result<Vec<usize>> {
    let mut found = Vec::new();
    for first in (0..dataset.len()).step_by(BLOCK) {
        let block = first..(first + BLOCK).min(dataset.len());
        let provenance = dataset.provenance(block.clone())?;
        found.extend(block.filter(|i| provenance.packets(*i).iter().any(|(number, _)| *number == packet)));
    }
    Ok(found)
}
