//! The bundle's file: one safetensors file with the model's tensors, the numbers of the other detectors, the calibrations and, as JSON,
//! all the rest.
//!
//! Loading is safe with files from strangers: no code runs, sizes and shapes are checked.

use std::path::Path;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::{
    Bundle, Connections, DetectorName, DetectorSet, Detectors, Judge, NormalFragments, ScoredAutoencoder,
    TrainingSummary,
};
use crate::calibration::{Combination, Conformal, FalseAlarmRate};
use crate::detectors::{
    Detector, InterArrival, InterArrivalConfig, LengthRarity, LengthRarityConfig, PositionHistogram,
    PositionHistogramConfig, ScoringHead, Standardisation,
};
use crate::fragment::{Cutting, FragmentSize, Mask, Mode, Semantics, Shape};
use crate::model::{Autoencoder, ModelConfig};
use crate::named_arrays::NamedArrays;
use crate::tensor_file::{self, FileTensor};
use crate::{Error, Result};

/// Value of the metadata entry `format`.
const FORMAT: &str = "pcapae-bundle";
/// Version of the layout that this code writes, the metadata entry `version`.
const VERSION: &str = "3";
/// Versions that it reads: before 3 there were no normal fragments.
const VERSIONS: [&str; 2] = ["2", VERSION];
/// Of the normal fragments, their windows, u8 `[n, bytes of a window]`.
const NORMAL_WINDOWS: &str = "normal.windows";
/// The first packet of each one's last fragment, u64 `[n]`.
const NORMAL_PACKETS: &str = "normal.packets";
/// The bytes of that fragment that are no padding, u32 `[n]`.
const NORMAL_LENGTHS: &str = "normal.lengths";
/// Tensors that begin so are calibration scores, f64 `[n]`: of each detector by its word, and of [`SUM`] and [`CONNECTION`].
const CALIBRATION: &str = "calibration";
/// The combination of all detectors.
const SUM: &str = "sum";
/// Means over connections.
const CONNECTION: &str = "connection";

/// The metadata entry `bundle`.
#[derive(Serialize, Deserialize)]
struct Record {
    mode: Mode,
    fragment_size: usize,
    shape: Shape,
    semantics: Semantics,
    mask: Mask,
    detectors: DetectorSet,
    /// Those of the detectors that there are.
    autoencoder: Option<AutoencoderRecord>,
    histograms: Option<PositionHistogramConfig>,
    lengths: Option<LengthRarityConfig>,
    gaps: Option<InterArrivalConfig>,
    connections: Connections,
    false_alarm_rate: FalseAlarmRate,
    #[serde(rename = "lesson")]
    training_summary: TrainingSummary,
}

#[derive(Serialize, Deserialize)]
struct AutoencoderRecord {
    model: ModelConfig,
    head: ScoringHead,
}

impl Bundle {
    /// The bundle as the bytes of its file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let record = serde_json::to_string(&self.record())
            .map_err(|error| Error::Unwritable { what: "bundle", reason: error.to_string() })?;
        let mut tensors = Vec::new();
        let detectors = &self.detectors;
        if let Some(autoencoder) = &detectors.autoencoder {
            let of_model = autoencoder.model.parameters().tensors();
            tensors.extend(of_model.map(|(name, shape, values)| FileTensor::of_f32(name, shape, values)));
            if let Some(usual) = &autoencoder.usual {
                let mut numbers = NamedArrays::default();
                usual.put(&mut numbers);
                put(DetectorName::Autoencoder.word(), &numbers, &mut tensors);
            }
        }
        let others: [(DetectorName, Option<&dyn Detector>); 3] = [
            (DetectorName::Histograms, detectors.histograms.as_ref().map(|detector| detector as &dyn Detector)),
            (DetectorName::Lengths, detectors.lengths.as_ref().map(|detector| detector as &dyn Detector)),
            (DetectorName::Gaps, detectors.gaps.as_ref().map(|detector| detector as &dyn Detector)),
        ];
        for (name, detector) in others {
            if let Some(detector) = detector {
                put(name.word(), &detector.numbers(), &mut tensors);
            }
        }
        put(CALIBRATION, &self.calibrations(), &mut tensors);
        if let Some(normal) = &self.normal {
            tensors.extend(normal_tensors(normal));
        }
        tensor_file::tensor_file(&tensors, &[("format", FORMAT), ("version", VERSION), ("bundle", record.as_str())])
    }

    fn record(&self) -> Record {
        let Cutting { mode, size, semantics, mask } = self.cutting;
        let detectors = &self.detectors;
        let of_model =
            |scored: &ScoredAutoencoder| AutoencoderRecord { model: *scored.model.config(), head: scored.head };
        Record {
            mode,
            fragment_size: size.bytes(),
            shape: size.shape(),
            semantics,
            mask,
            detectors: detectors.set(),
            autoencoder: detectors.autoencoder.as_ref().map(of_model),
            histograms: detectors.histograms.as_ref().map(|histograms| histograms.config().clone()),
            lengths: detectors.lengths.as_ref().map(|lengths| lengths.config().clone()),
            gaps: detectors.gaps.as_ref().map(|gaps| gaps.config().clone()),
            connections: self.judge.connection().map_or(Connections::Ignored, |_| Connections::Judged),
            false_alarm_rate: self.judge.rate(),
            training_summary: self.training_summary.clone(),
        }
    }

    fn calibrations(&self) -> NamedArrays {
        let mut numbers = NamedArrays::default();
        let combination = self.judge.combination();
        for (name, calibration) in self.detectors.set().names().zip(combination.detectors()) {
            numbers.put(name.word(), calibration.scores().to_vec());
        }
        numbers.put(SUM, combination.sum().scores().to_vec());
        if let Some(connection) = self.judge.connection() {
            numbers.put(CONNECTION, connection.scores().to_vec());
        }
        numbers
    }

    /// Whether the file at `path` says that it is a bundle; it may be damaged for all that. Reads no more than its header.
    pub fn is_recognised(path: &Path) -> Result<bool> {
        Ok(tensor_file::format_of(path)?.as_deref() == Some(FORMAT))
    }

    /// Reads a bundle file; refuses what is none, or was written by another version.
    pub fn open(path: &Path) -> Result<Bundle> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Self::from_bytes(&bytes).map_err(|reason| Error::NotABundle { path: path.to_owned(), reason })
    }

    /// Reads the bytes of a bundle file; says in a few words what is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Bundle, String> {
        let metadata = tensor_file::metadata(bytes, FORMAT, &VERSIONS)?;
        let record = metadata.get("bundle").ok_or("its metadata has no entry `bundle`")?;
        let record: Record = serde_json::from_str(record).map_err(|error| error.to_string())?;
        let size = FragmentSize::new(record.fragment_size, record.shape).map_err(|error| error.to_string())?;
        record.detectors.check(record.mode).map_err(|error| error.to_string())?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let detectors = detectors(&record, size, &tensors)?;
        if detectors.set() != record.detectors {
            return Err(format!("its detectors are {}, expected {}", detectors.set(), record.detectors));
        }
        let judge = judge(&record, &numbers(CALIBRATION, &tensors)?)?;
        let cutting = Cutting { mode: record.mode, size, semantics: record.semantics, mask: record.mask };
        let normal = normal_fragments(&detectors, size, &tensors)?;
        Ok(Bundle { cutting, detectors, judge, training_summary: record.training_summary, normal })
    }
}

fn normal_tensors(normal: &NormalFragments) -> [FileTensor; 3] {
    let count = normal.len();
    [
        FileTensor::of_u8(NORMAL_WINDOWS, &[count, normal.bytes().len() / count], normal.bytes()),
        FileTensor::of_u64(NORMAL_PACKETS, &[count], normal.packets()),
        FileTensor::of_u32(NORMAL_LENGTHS, &[count], normal.lengths()),
    ]
}

/// The normal fragments, where there are any and a model to give them codes.
fn normal_fragments(
    detectors: &Detectors,
    size: FragmentSize,
    tensors: &SafeTensors,
) -> Result<Option<NormalFragments>, String> {
    let Some(scored) = &detectors.autoencoder else { return Ok(None) };
    if !tensors.names().contains(&NORMAL_WINDOWS) {
        return Ok(None);
    }
    let window_size = scored.model.config().window_size();
    let bytes = tensor_file::u8_values(NORMAL_WINDOWS, tensors)?;
    let packets = tensor_file::u64_values(NORMAL_PACKETS, tensors)?;
    let lengths = tensor_file::u32_values(NORMAL_LENGTHS, tensors)?;
    NormalFragments::of(window_size, size.bytes(), bytes, (packets, lengths)).map(Some)
}

/// The detectors that the record names, each from its tensors.
fn detectors(record: &Record, size: FragmentSize, tensors: &SafeTensors) -> Result<Detectors, String> {
    let width = size.bytes();
    let numbers = |name: DetectorName| numbers(name.word(), tensors);
    // Without one, there is no set of them.
    let there =
        [record.autoencoder.is_some(), record.histograms.is_some(), record.lengths.is_some(), record.gaps.is_some()];
    if !there.contains(&true) {
        return Err("it has no detector".into());
    }
    let autoencoder = record.autoencoder.as_ref().map(|it| autoencoder(it, size, tensors)).transpose()?;
    let histograms = |config| PositionHistogram::from_arrays(config, width, &numbers(DetectorName::Histograms)?);
    let lengths = |config| LengthRarity::from_arrays(config, width, &numbers(DetectorName::Lengths)?);
    let gaps = |config| InterArrival::from_arrays(config, width, &numbers(DetectorName::Gaps)?);
    Ok(Detectors {
        autoencoder,
        histograms: record.histograms.as_ref().map(histograms).transpose()?,
        lengths: record.lengths.as_ref().map(lengths).transpose()?,
        gaps: record.gaps.as_ref().map(gaps).transpose()?,
    })
}

fn autoencoder(
    record: &AutoencoderRecord,
    size: FragmentSize,
    tensors: &SafeTensors,
) -> Result<ScoredAutoencoder, String> {
    let taken = record.model.side.fragment_size();
    if size.bytes() != taken {
        return Err(format!("its fragments have {} bytes, its model takes {taken}", size.bytes()));
    }
    record.head.check().map_err(|error| error.to_string())?;
    let model = Autoencoder::from_tensors(tensors, record.model).map_err(|error| error.to_string())?;
    let usual = || Standardisation::from_arrays(taken, &numbers(DetectorName::Autoencoder.word(), tensors)?);
    let usual = record.head.is_standardised().then(usual).transpose()?;
    Ok(ScoredAutoencoder { model, head: record.head, usual })
}

fn judge(record: &Record, calibrations: &NamedArrays) -> Result<Judge, String> {
    let calibration = |name: &str| {
        let scores = calibrations.get(name, &[None]).map_err(|reason| format!("calibration: {reason}"))?;
        Conformal::calibrate(scores.values.clone()).ok_or(format!("calibration: `{name}` is empty"))
    };
    let of_detectors = record.detectors.names().map(|name| calibration(name.word())).collect::<Result<_, _>>()?;
    let connection = match record.connections {
        Connections::Judged => Some(calibration(CONNECTION)?),
        Connections::Ignored => None,
    };
    Ok(Judge::of(Combination::of(of_detectors, calibration(SUM)?), connection, record.false_alarm_rate))
}

/// Puts `numbers` among the tensors of a file, their names after `group` and a dot.
fn put(group: &str, numbers: &NamedArrays, tensors: &mut Vec<FileTensor>) {
    tensors.extend(numbers.tensors(&format!("{group}.")));
}

/// The numbers of the tensors whose names begin with `group` and a dot.
fn numbers(group: &str, tensors: &SafeTensors) -> Result<NamedArrays, String> {
    NamedArrays::from_tensors(&format!("{group}."), tensors)
}
