//! Bundles of former versions, as records of the present one.
//!
//! They calibrated p-values of packets. Of these the highest score of each detector remains: above it is an alert.

use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::Value;

use super::super::detectors::FORMER_NAMES;
use super::{AUTOENCODER, AutoencoderRecord, DetectorRecord, Record, from_parts, prefix};
use crate::calibration::{BlockMaxima, MarginScales};
use crate::capture::Source;
use crate::detectors::{
    Aspect, Blueprint, FittedRecord, InterArrivalConfig, LengthRarityConfig, PositionHistogramConfig, Rows, ScoringHead,
};
use crate::error::{Fault, Place};
use crate::fragment::{Mask, Mode, Semantics, Shape};
use crate::model::ModelConfig;
use crate::monitor::{Bundle, TrainingSummary};
use crate::named_arrays::NamedArrays;
use crate::train::History;

/// What the autoencoder was called.
const FORMER_AUTOENCODER: &str = "autoencoder";

/// Tensors that begin so are calibration scores, f64 `[n]`, of each detector by its name.
const CALIBRATION: &str = "calibration";

/// A cell that no packet is in.
const NOWHERE: u64 = u64::MAX;

#[derive(Deserialize)]
struct Record3 {
    mode: Mode,
    fragment_size: usize,
    shape: Shape,
    semantics: Semantics,
    mask: Mask,
    autoencoder: Option<Autoencoder3>,
    histograms: Option<PositionHistogramConfig>,
    lengths: Option<LengthRarityConfig>,
    gaps: Option<InterArrivalConfig>,
    lesson: Lesson,
}

#[derive(Deserialize)]
struct Record4 {
    mode: Mode,
    fragment_size: usize,
    shape: Shape,
    semantics: Semantics,
    mask: Mask,
    model: Option<ModelConfig>,
    detectors: Vec<Value>,
    lesson: Lesson,
}

#[derive(Deserialize)]
struct Lesson {
    sources: Vec<Source>,
    packets: u64,
    split: Split,
    training_windows: usize,
    validation_windows: usize,
    history: History,
}

#[derive(Deserialize)]
struct Split {
    training_end: u64,
}

#[derive(Deserialize)]
struct Autoencoder3 {
    model: ModelConfig,
    head: ScoringHead,
}

/// The bundle that a record of version 4, or of one before, and its tensors say; otherwise, in a few words, what is wrong with them.
pub(super) fn read(record: &str, tensors: &SafeTensors, is_version_4: bool) -> Result<Bundle, Fault> {
    let arrays_4 = |group: &str| NamedArrays::from_tensors(&prefix(group), tensors);
    let arrays_3 = |group: &str| arrays(group, tensors);
    let arrays: &dyn Fn(&str) -> Result<NamedArrays, Fault> = if is_version_4 { &arrays_4 } else { &arrays_3 };
    let record = match is_version_4 {
        true => serde_json::from_str::<Record4>(record).map_err(Fault::parser)?,
        false => serde_json::from_str::<Record3>(record).map_err(Fault::parser)?.into_record()?,
    };
    let calibrations = arrays(CALIBRATION)?;
    let maxima = |name: &str, aspects: &'static [Aspect]| {
        let scores = calibrations.get(name, &[None])?;
        let highest =
            scores.values.iter().copied().reduce(f64::max).ok_or_else(|| Place::Array(name.into()).empty())?;
        let mut maxima = BlockMaxima::default();
        maxima.add(NOWHERE, 0, highest as f32);
        // One, where the detector is of a former version.
        Ok(vec![maxima; aspects.len()])
    };
    let record = Record {
        mode: record.mode,
        fragment_size: record.fragment_size,
        shape: record.shape,
        semantics: record.semantics,
        mask: record.mask,
        model: record.model,
        detectors: record.detectors,
        id: String::new(),
        margin: MarginScales::default().get(),
        blocks: 1,
        accepted: Vec::new(),
        training_summary: record.lesson.into_summary(),
    };
    from_parts(record, tensors, arrays, &maxima)
}

impl Lesson {
    fn into_summary(self) -> TrainingSummary {
        TrainingSummary {
            sources: self.sources,
            packets: self.packets,
            excluded: 0,
            seconds: 0.0,
            training_windows: self.training_windows,
            validation_windows: self.validation_windows,
            history: self.history,
            left_out_events: 0,
        }
    }
}

impl Record3 {
    fn into_record(self) -> Result<Record4, Fault> {
        let rows = Rows::Fragments { size: self.fragment_size, mode: Some(self.mode), mask: Some(self.mask) };
        let count = self.lesson.split.training_end;
        let of_blueprint =
            |blueprint| DetectorRecord::Fitted(Box::new(FittedRecord::of_blueprint(blueprint, rows.clone(), count)));
        let head = self.autoencoder.as_ref().map(|autoencoder| AutoencoderRecord { head: autoencoder.head });
        let detectors = [
            head.map(|autoencoder| DetectorRecord::Autoencoder { autoencoder }),
            self.histograms.map(Blueprint::PositionHistogram).map(of_blueprint),
            self.lengths.map(Blueprint::LengthRarity).map(of_blueprint),
            self.gaps.map(Blueprint::InterArrival).map(of_blueprint),
        ];
        let value = |record| serde_json::to_value(record).map_err(Fault::parser);
        Ok(Record4 {
            mode: self.mode,
            fragment_size: self.fragment_size,
            shape: self.shape,
            semantics: self.semantics,
            mask: self.mask,
            model: self.autoencoder.map(|autoencoder| autoencoder.model),
            detectors: detectors.into_iter().flatten().map(value).collect::<Result<Vec<Value>, Fault>>()?,
            lesson: self.lesson,
        })
    }
}

/// The name of a detector in version 3.
fn former(name: &str) -> &str {
    match FORMER_NAMES.iter().find(|(_, now)| *now == name) {
        Some((former, _)) => former,
        None if name == AUTOENCODER => FORMER_AUTOENCODER,
        None => name,
    }
}

/// The arrays of a group of tensors, by the present names of the group and, among the calibrations, of the detectors.
fn arrays(group: &str, tensors: &SafeTensors) -> Result<NamedArrays, Fault> {
    let found = NamedArrays::from_tensors(&prefix(former(group)), tensors)?;
    let mut renamed = NamedArrays::default();
    for (name, array) in found.iter() {
        let now = FORMER_NAMES.iter().find(|(former, _)| *former == name).map(|(_, now)| *now);
        let now = now.or((name == FORMER_AUTOENCODER).then_some(AUTOENCODER));
        renamed.put_shaped(now.unwrap_or(name), &array.shape, array.values.clone());
    }
    Ok(renamed)
}
