//! Bundles of version 3 and before, as records of version 4.

use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::Value;

use super::super::detectors::FORMER_NAMES;
use super::{AUTOENCODER, AutoencoderRecord, DetectorRecord, Record, from_parts, prefix};
use crate::calibration::{Connections, FalseAlarmRate};
use crate::detectors::{
    Blueprint, FittedRecord, InterArrivalConfig, LengthRarityConfig, PositionHistogramConfig, Rows, ScoringHead,
};
use crate::error::Fault;
use crate::fragment::{Mask, Mode, Semantics, Shape};
use crate::model::ModelConfig;
use crate::monitor::{Bundle, TrainingSummary};
use crate::named_arrays::NamedArrays;

/// What the autoencoder was called.
const FORMER_AUTOENCODER: &str = "autoencoder";

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
    connections: Connections,
    false_alarm_rate: FalseAlarmRate,
    lesson: TrainingSummary,
}

#[derive(Deserialize)]
struct Autoencoder3 {
    model: ModelConfig,
    head: ScoringHead,
}

/// The bundle that a record of version 3 and its tensors say; otherwise, in a few words, what is wrong with them.
pub(super) fn read(record: &str, tensors: &SafeTensors) -> Result<Bundle, Fault> {
    let record: Record3 = serde_json::from_str(record).map_err(Fault::parser)?;
    from_parts(record.into_record()?, tensors, &|group| arrays(group, tensors))
}

impl Record3 {
    fn into_record(self) -> Result<Record, Fault> {
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
        Ok(Record {
            mode: self.mode,
            fragment_size: self.fragment_size,
            shape: self.shape,
            semantics: self.semantics,
            mask: self.mask,
            model: self.autoencoder.map(|autoencoder| autoencoder.model),
            detectors: detectors.into_iter().flatten().map(value).collect::<Result<Vec<Value>, Fault>>()?,
            connections: self.connections,
            false_alarm_rate: self.false_alarm_rate,
            training_summary: self.lesson,
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
