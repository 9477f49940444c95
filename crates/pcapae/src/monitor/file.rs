//! The bundle's file: one safetensors file with the model's tensors, the arrays of the detectors, what they reached in normal traffic and, as JSON,
//! all the rest.
//!
//! Loading is safe with files from strangers: no code runs, sizes and shapes are checked.

mod former;

use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::accept;
use super::{Accepted, Bundle, Detectors, FittedDetector, NormalFragments, TrainingSummary};
use crate::atomic_file::{AtomicFile, Existing};
use crate::calibration::{BlockMaxima, DecisionRule, MarginScales};
use crate::detectors::{Aspect, Blueprint, Fitted, FittedRecord, Input, ScoringHead};
use crate::error::{Fault, FileKind, Place};
use crate::fragment::{Cutting, FragmentSize, Mask, Mode, Semantics, Shape};
use crate::model::{Autoencoder, ModelConfig, TrainedOn};
use crate::named_arrays::NamedArrays;
use crate::numeric::whole;
use crate::residual::{AUTOENCODER, ResidualScore};
use crate::tensor_file::{self, FileTensor};
use crate::{Error, Result};

/// Value of the metadata entry `format`.
const FORMAT: &str = "pcapae-bundle";
/// Version of the layout that this code writes, the metadata entry `version`.
const VERSION: &str = "5";
/// Versions that it reads. Before 5 p-values of packets were calibrated; before 4 there were four detectors, each with a record of its own form;
/// before 3, no normal fragments.
const VERSIONS: [&str; 4] = ["2", "3", "4", VERSION];
/// Most blocks of normal traffic that a bundle may rest on, after any number of additions.
const BLOCKS_MAX: u32 = 1 << 16;
/// Of the normal fragments, their windows, u8 `[n, bytes of a window]`.
const NORMAL_WINDOWS: &str = "normal.windows";
/// The first packet of each one's last fragment, u64 `[n]`.
const NORMAL_PACKETS: &str = "normal.packets";
/// The bytes of that fragment that are no padding, u32 `[n]`.
const NORMAL_LENGTHS: &str = "normal.lengths";
/// Tensors that begin so are the highest scores in blocks of normal traffic, f64 `[n, 4]`, one of each aspect of each detector that raises alerts: the
/// two halves of the cell, the block, and the score.
const MAXIMA: &str = "maxima";

/// The metadata entry `bundle`.
#[derive(Serialize, Deserialize)]
struct Record {
    mode: Mode,
    fragment_size: usize,
    shape: Shape,
    semantics: Semantics,
    mask: Mask,
    /// The model's configuration, where there is one; its tensors have the names of its parameters.
    model: Option<ModelConfig>,
    /// A [`DetectorRecord`] each.
    detectors: Vec<Value>,
    /// What tells this bundle from others, since it was learned.
    id: String,
    margin: f64,
    /// Blocks of normal traffic.
    blocks: u32,
    accepted: Vec<Accepted>,
    training_summary: TrainingSummary,
}

/// What is said of a detector; its arrays are the tensors whose names begin with its own and a dot.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum DetectorRecord {
    Autoencoder {
        #[serde(rename = "Autoencoder")]
        autoencoder: AutoencoderRecord,
    },
    /// As `fit` writes it.
    Fitted(Box<FittedRecord>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AutoencoderRecord {
    head: ScoringHead,
}

impl Bundle {
    /// The bundle as the bytes of its file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let record = self.record().and_then(|record| serde_json::to_string(&record));
        let record = record.map_err(Error::unwritable("bundle"))?;
        let mut tensors = Vec::new();
        if let Some(model) = &self.detectors.model {
            let of_model = model.parameters().tensors();
            tensors.extend(of_model.map(|(name, shape, values)| FileTensor::of_f32(name, shape, values)));
        }
        for detector in &self.detectors.fitted {
            let arrays = match detector {
                FittedDetector::Autoencoder(score) => score.arrays(),
                FittedDetector::Rows(fitted) => fitted.detector().numbers(),
            };
            tensors.extend(arrays.tensors(&prefix(detector.name())));
        }
        tensors.extend(self.maxima().tensors(&prefix(MAXIMA)));
        tensors.extend(self.normal.iter().flat_map(normal_tensors));
        tensor_file::tensor_file(&tensors, &[("format", FORMAT), ("version", VERSION), ("bundle", record.as_str())])
    }

    fn record(&self) -> serde_json::Result<Record> {
        let Cutting { mode, size, semantics, mask } = self.cutting;
        let of_detector = |detector: &FittedDetector| {
            serde_json::to_value(match detector {
                FittedDetector::Autoencoder(score) => {
                    DetectorRecord::Autoencoder { autoencoder: AutoencoderRecord { head: score.head() } }
                }
                FittedDetector::Rows(fitted) => DetectorRecord::Fitted(Box::new(fitted.record())),
            })
        };
        Ok(Record {
            mode,
            fragment_size: size.bytes(),
            shape: size.shape(),
            semantics,
            mask,
            model: self.detectors.model.as_ref().map(|model| *model.config()),
            detectors: self.detectors.fitted.iter().map(of_detector).collect::<serde_json::Result<_>>()?,
            id: self.id.clone(),
            margin: self.decision.scales().get(),
            blocks: self.decision.blocks(),
            accepted: self.accepted.clone(),
            training_summary: self.training_summary.clone(),
        })
    }

    fn maxima(&self) -> NamedArrays {
        let mut arrays = NamedArrays::default();
        for (name, rule) in self.detectors.names().zip(self.decision.detectors()) {
            for (aspect, maxima) in rule.aspects().iter().zip(rule.maxima()) {
                let row = |(cell, block, score): (u64, u32, f32)| {
                    [(cell >> 32) as f64, f64::from(cell as u32), f64::from(block), f64::from(score)]
                };
                let rows: Vec<f64> = maxima.iter().flat_map(row).collect();
                arrays.put_shaped(&array_name(name, aspect), &[rows.len() / 4, 4], rows);
            }
        }
        arrays
    }

    /// Writes the bundle to `path`, whole or not at all, in the place of what is there.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        AtomicFile::create(path, Existing::Replace)?.write(&self.to_bytes()?)
    }

    /// Whether the file at `path` says that it is a bundle; it may be damaged for all that. Reads no more than its header.
    pub fn is_recognised(path: &Path) -> Result<bool> {
        Ok(tensor_file::format_of(path)?.as_deref() == Some(FORMAT))
    }

    /// Reads a bundle file; refuses what is none, or was written by another version.
    pub fn open(path: &Path) -> Result<Bundle> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Self::from_bytes(&bytes).map_err(FileKind::Bundle.unreadable(path))
    }

    /// Reads the bytes of a bundle file; says in a few words what is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle, Fault> {
        let metadata = tensor_file::metadata(bytes, FORMAT, &VERSIONS)?;
        let record = metadata.get("bundle").ok_or_else(|| Place::Entry("bundle".into()).missing())?;
        let tensors = SafeTensors::deserialize(bytes).map_err(Fault::parser)?;
        match metadata.get("version").map(String::as_str) {
            Some(VERSION) => {
                let record: Record = serde_json::from_str(record).map_err(Fault::parser)?;
                let arrays = |name: &str| NamedArrays::from_tensors(&prefix(name), &tensors);
                let maxima = arrays(MAXIMA)?;
                from_parts(record, &tensors, &arrays, &|name, aspects| read_maxima(&maxima, name, aspects))
            }
            version => former::read(record, &tensors, version == Some("4")),
        }
    }
}

/// The name of the array of an aspect's maxima.
fn array_name(detector: &str, aspect: &Aspect) -> String {
    format!("{detector}/{}", aspect.name)
}

/// What the aspects of a detector reached in blocks of normal traffic; nothing of a detector that raises no alerts.
type ReadMaxima<'a> = dyn Fn(&str, &'static [Aspect]) -> Result<Vec<BlockMaxima>, Fault> + 'a;

fn read_maxima(arrays: &NamedArrays, name: &str, aspects: &'static [Aspect]) -> Result<Vec<BlockMaxima>, Fault> {
    let names: Vec<String> = aspects.iter().map(|aspect| array_name(name, aspect)).collect();
    if !names.iter().any(|name| arrays.iter().any(|(known, _)| known == name)) {
        return Ok(Vec::new());
    }
    let of_aspect = |name: &String| {
        let rows = arrays.get(name, &[None, Some(4)])?;
        let mut maxima = BlockMaxima::default();
        for row in rows.values.chunks_exact(4) {
            let whole = |value: f64| whole(value, 1 << 32).map_err(|fault| fault.within(Place::Array(name.clone())));
            let cell = (whole(row[0])? as u64) << 32 | whole(row[1])? as u64;
            maxima.add(cell, whole(row[2])? as u32, row[3] as f32);
        }
        Ok(maxima)
    };
    names.iter().map(of_aspect).collect::<Result<_, Fault>>().map_err(|fault| fault.within(Place::Part(MAXIMA.into())))
}

/// How the names of a group's tensors begin.
fn prefix(group: &str) -> String {
    format!("{group}.")
}

/// The bundle of which the record tells, with the arrays of each group of tensors by the group's name.
fn from_parts(
    record: Record,
    tensors: &SafeTensors,
    arrays: &dyn Fn(&str) -> Result<NamedArrays, Fault>,
    maxima: &ReadMaxima<'_>,
) -> Result<Bundle, Fault> {
    let size = FragmentSize::new(record.fragment_size, record.shape)?;
    let cutting = Cutting { mode: record.mode, size, semantics: record.semantics, mask: record.mask };
    let model = record.model.map(|config| model(config, &cutting, tensors)).transpose()?;
    let detector = |value: Value| detector(value, &cutting, model.as_ref(), arrays);
    let fitted: Vec<FittedDetector> = record.detectors.into_iter().map(detector).collect::<Result<_, _>>()?;
    let normal = model.as_ref().map(|model| normal_fragments(model, size, tensors)).transpose()?.flatten();
    let detectors = Detectors { model, fitted };
    check_names(&detectors)?;
    let of_detector =
        |detector: &FittedDetector| Ok((detector.aspects(), maxima(detector.name(), detector.aspects())?));
    let of_detectors = detectors.fitted.iter().map(of_detector).collect::<Result<_, Fault>>()?;
    if !(1..=BLOCKS_MAX).contains(&record.blocks) {
        return Err(Place::Entry("blocks".into()).found(record.blocks, format!("1 to {BLOCKS_MAX}")));
    }
    let mut decision = DecisionRule::new(MarginScales::new(record.margin)?, record.blocks, of_detectors);
    decision.accept_only(accept::causes(&record.accepted));
    if !decision.detectors().iter().any(crate::calibration::DetectorRule::raises_alerts) {
        return Err(Place::Part(MAXIMA.into()).missing());
    }
    let Record { id, accepted, training_summary, .. } = record;
    Ok(Bundle { id, cutting, detectors, decision, accepted, training_summary, normal })
}

fn check_names(detectors: &Detectors) -> Result<(), Fault> {
    let names: Vec<&str> = detectors.names().collect();
    match names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
        _ if names.is_empty() => Err(Place::Entry("detectors".into()).empty()),
        Some((_, twice)) => Err(Place::Part("detectors".into()).found(format!("{twice} twice"), "each once")),
        None => Ok(()),
    }
}

fn model(config: ModelConfig, cutting: &Cutting, tensors: &SafeTensors) -> Result<Autoencoder, Fault> {
    let taken = FragmentSize::try_from(&config)?;
    if cutting.size != taken {
        let expected = format!("{taken}, as the model takes");
        return Err(Place::Entry("fragment size".into()).found(cutting.size, expected));
    }
    let model = Autoencoder::from_tensors(tensors, config)?;
    Ok(model.with_trained_on(TrainedOn::from(Some(*cutting))))
}

/// A detector from what is said of it and its arrays.
fn detector(
    value: Value,
    cutting: &Cutting,
    model: Option<&Autoencoder>,
    arrays: &dyn Fn(&str) -> Result<NamedArrays, Fault>,
) -> Result<FittedDetector, Fault> {
    if let Some(name) = unknown_detector(&value) {
        return Err(Place::Part("detectors".into()).found(format!("{name:?}"), "a detector that this version knows"));
    }
    let record: DetectorRecord = serde_json::from_value(value).map_err(Fault::parser)?;
    let detector = match record {
        DetectorRecord::Autoencoder { autoencoder } => {
            let width = cutting.size.bytes();
            FittedDetector::Autoencoder(ResidualScore::from_arrays(autoencoder.head, width, &arrays(AUTOENCODER)?)?)
        }
        DetectorRecord::Fitted(record) => {
            let arrays = arrays(record.blueprint.name())?;
            FittedDetector::Rows(Arc::new(Fitted::from_record(*record, &arrays)?))
        }
    };
    check_detector(&detector, cutting, model)?;
    Ok(detector)
}

/// Refuses a detector whose rows are not what the bundle can give it.
fn check_detector(detector: &FittedDetector, cutting: &Cutting, model: Option<&Autoencoder>) -> Result<(), Fault> {
    let name = || Place::Part(format!("detector {}", detector.name()));
    if detector.needs_model() && model.is_none() {
        return Err(Place::Entry("model".into()).missing().within(name()));
    }
    let FittedDetector::Rows(fitted) = detector else { return Ok(()) };
    let codes = model.map(super::detectors::codes_of).transpose()?;
    let taken = super::detectors::rows_of(fitted.blueprint(), cutting, codes.as_ref());
    if !fitted.rows().go_with(&taken) {
        return Err(name().found(fitted.rows(), format!("{taken}, as the bundle has")));
    }
    if fitted.blueprint().input() == Input::Packets && cutting.mode != Mode::Packet {
        return Err(name().found(format!("{} mode", cutting.mode.name()), "packet mode, since it looks at packets"));
    }
    Ok(())
}

/// The name of a detector that is not in the registry, if it is none that is.
fn unknown_detector(value: &Value) -> Option<String> {
    let object = value.as_object()?;
    let name = match object.get("blueprint") {
        Some(blueprint) => blueprint.as_object()?.keys().next()?,
        None => object.keys().next()?,
    };
    (name != AUTOENCODER && !Blueprint::NAMES.contains(&name.as_str())).then(|| name.clone())
}

fn normal_tensors(normal: &NormalFragments) -> [FileTensor; 3] {
    let count = normal.len();
    [
        FileTensor::of_u8(NORMAL_WINDOWS, &[count, normal.bytes().len() / count], normal.bytes()),
        FileTensor::of_u64(NORMAL_PACKETS, &[count], normal.packets()),
        FileTensor::of_u32(NORMAL_LENGTHS, &[count], normal.lengths()),
    ]
}

/// The normal fragments, where there are any.
fn normal_fragments(
    model: &Autoencoder,
    size: FragmentSize,
    tensors: &SafeTensors,
) -> Result<Option<NormalFragments>, Fault> {
    if !tensors.names().contains(&NORMAL_WINDOWS) {
        return Ok(None);
    }
    let bytes = tensor_file::u8_values(NORMAL_WINDOWS, tensors)?;
    let packets = tensor_file::u64_values(NORMAL_PACKETS, tensors)?;
    let lengths = tensor_file::u32_values(NORMAL_LENGTHS, tensors)?;
    NormalFragments::of(model.config().window_size(), size.bytes(), bytes, (packets, lengths)).map(Some)
}
