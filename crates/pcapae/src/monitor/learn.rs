//! Learning normal traffic: fit the detectors, then calibrate them on traffic that none of them has seen.

use super::judge::NormalPacket;
use super::material::Material;
use super::normal::{NORMAL_FRAGMENTS, NormalFragments};
use super::residuals::Residuals;
use super::{
    Bundle, Connections, DEFAULT_STEPS, DetectorName, DetectorSet, Detectors, Effort, Judge, ScoredAutoencoder, Split,
    TrainingSummary,
};
use crate::calibration::{Conformal, FalseAlarmRate};
use crate::capture::headers::SkipCounts;
use crate::capture::{CaptureSummary, Captures};
use crate::detectors::{
    InterArrivalConfig, LengthRarityConfig, PositionHistogramConfig, PositionSums, ScoringHead, Standardisation,
};
use crate::fragment::{Cutting, FragmentSize, Mask, Mode, Semantics, Shape};
use crate::label::{Label, Labels};
use crate::model::{Autoencoder, ModelConfig, Side};
use crate::monitor::PacketScores;
use crate::progress::Progress;
use crate::train::{History, Schedule, TrainConfig, fit};
use crate::{Error, Result};

/// How to learn.
#[derive(Debug, Clone)]
pub struct LearnConfig {
    /// How packets become fragments; their size is what the model takes.
    pub mode: Mode,
    /// Which header fields are read as zeros.
    pub mask: Mask,
    /// Which detectors to fit.
    pub detectors: DetectorSet,
    /// What to train, if the autoencoder is among them. Its side says how large fragments are in any case.
    pub model: ModelConfig,
    /// From the residuals of the autoencoder to a score.
    pub head: ScoringHead,
    /// How to train it; `epochs` and `patience` follow from `effort`.
    pub training: TrainConfig,
    /// How long to train.
    pub effort: Effort,
    /// Whether connections are judged beside packets.
    pub connections: Connections,
    /// The wanted share of normal packets that raise an alert.
    pub false_alarm_rate: FalseAlarmRate,
    /// How many normal fragments the bundle keeps, at most.
    pub normal_fragments: usize,
}

impl Default for LearnConfig {
    /// Packet mode with fragments of 256 bytes, one to a window, volatile fields masked; autoencoder and histograms, packets and connections;
    /// [`DEFAULT_STEPS`] steps of 32 windows; one false alarm in 1,000.
    ///
    /// Short batches make many steps out of the few thousand packets that a small plant gives in an hour.
    fn default() -> Self {
        LearnConfig {
            mode: Mode::Packet,
            mask: Mask::volatile(),
            detectors: DetectorSet::usual(Mode::Packet),
            model: ModelConfig::new(Side::Sixteen),
            head: ScoringHead::Mean,
            training: TrainConfig { batch: 32, schedule: Schedule::Cycle, ..TrainConfig::default() },
            effort: Effort::Steps(DEFAULT_STEPS),
            connections: Connections::default(),
            false_alarm_rate: FalseAlarmRate::default(),
            normal_fragments: NORMAL_FRAGMENTS,
        }
    }
}

impl LearnConfig {
    fn cutting(&self) -> Result<Cutting> {
        let size = FragmentSize::new(self.model.side.fragment_size(), Shape::Square)?;
        Ok(Cutting { mode: self.mode, size, semantics: Semantics::Complete, mask: self.mask })
    }

    /// Refuses what cannot be learned, before any long work.
    pub fn check(&self) -> Result<()> {
        self.detectors.check(self.mode)?;
        self.head.check()
    }
}

/// What was learned, and what was odd about the captures.
#[derive(Debug)]
pub struct Learned {
    /// All that detection needs.
    pub bundle: Bundle,
    /// Packets in no fragment, by reason.
    pub skipped: SkipCounts,
    /// What was read.
    pub captures: CaptureSummary,
}

/// Learns from captures of normal operation.
///
/// The packets are split by time: the detectors are fitted to the first 60 %; the next 10 % decide when to stop and standardise scores;
/// 10 % make each detector's scores p-values; the last 20 % calibrate what the detectors say together. Fragments are held in memory.
///
/// Refuses captures with too few packets for any of the four.
pub fn learn(mut captures: Captures, config: &LearnConfig, progress: &dyn Progress) -> Result<Learned> {
    config.check()?;
    let cutting = config.cutting()?;
    let mut material = Material::new(cutting.size.bytes());
    let skipped = cutting.cut(&mut captures, Labels::All(Label::Normal), &mut material, progress)?;
    let captures = captures.into_summary();
    let packets = material.packets();
    let split = Split::of(packets);

    let (training, validation) = material.windows(config.model.frames.count(), &split);
    let too_little = || Error::TooLittle { packets, training: training.len(), validation: validation.len() };
    if training.is_empty() || validation.is_empty() {
        return Err(too_little());
    }
    let (detectors, history) = fit_all(config, &material, &split, progress)?;

    progress.begin("calibrating", None);
    let columns = material.scores(&detectors, split.training_end + 1)?;
    let held_back = HeldBack { material: &material, columns: &columns };
    let judge = held_back.calibrate(config, &split).ok_or_else(too_little)?;

    let training_summary = TrainingSummary {
        sources: captures.sources.clone(),
        packets,
        split,
        training_windows: training.len(),
        validation_windows: validation.len(),
        history,
        validation_alarm_rate: held_back.alarm_rate(&judge, &split),
    };
    let normal = detectors
        .autoencoder
        .as_ref()
        .and_then(|scored| NormalFragments::sample(&scored.model, &training, &material, config.normal_fragments));
    Ok(Learned { bundle: Bundle { cutting, detectors, judge, training_summary, normal }, skipped, captures })
}

/// Fits the wanted detectors to the first part; the history is that of the autoencoder, if there is one.
fn fit_all(
    config: &LearnConfig,
    material: &Material,
    split: &Split,
    progress: &dyn Progress,
) -> Result<(Detectors, History)> {
    let wanted = |name: DetectorName| config.detectors.contains(name);
    let mut detectors = Detectors { autoencoder: None, histograms: None, lengths: None, gaps: None };
    if config.mode == Mode::Packet {
        progress.begin("counting", None);
        let training = material.samples(1..=split.training_end);
        let validation = material.samples(split.training_end + 1..=split.validation_end);
        if wanted(DetectorName::Histograms) {
            let histograms = PositionHistogramConfig::default();
            detectors.histograms = Some(histograms.fit_and_standardise(&training, Some(&validation))?);
        }
        if wanted(DetectorName::Lengths) {
            detectors.lengths = Some(LengthRarityConfig::default().fit(&training)?);
        }
        if wanted(DetectorName::Gaps) {
            detectors.gaps = Some(InterArrivalConfig::default().fit(&training)?);
        }
    }
    let mut history = History::default();
    if wanted(DetectorName::Autoencoder) {
        let (model, course) = train(config, material, split, progress)?;
        let usual = config.head.is_standardised().then(|| usual_residuals(&model, material, split));
        detectors.autoencoder = Some(ScoredAutoencoder { model, head: config.head, usual });
        history = course;
    }
    Ok((detectors, history))
}

/// Fits a new model, with the effort that is wanted.
fn train(
    config: &LearnConfig,
    material: &Material,
    split: &Split,
    progress: &dyn Progress,
) -> Result<(Autoencoder, History)> {
    let (training, validation) = material.windows(config.model.frames.count(), split);
    let mut model = Autoencoder::new(config.model, config.training.seed);
    let (epochs, every) = config.effort.plan(training.len(), config.training.batch);
    // The rate falls towards the end of the cycle, and the loss with it: to stop long before would lose that.
    let patience = config.training.patience.max(epochs / 3);
    let plan = TrainConfig { epochs, patience, ..config.training.clone() };
    let history = fit(&mut model, &training.every(every), &validation, &plan, progress)?;
    Ok((model, history))
}

/// What residuals are usual at each byte of the validation packets.
fn usual_residuals(model: &Autoencoder, material: &Material, split: &Split) -> Standardisation {
    let mut sums = PositionSums::default();
    let mut residuals = Residuals::new(model);
    for fragment in material.fragments(split.training_end + 1..=split.validation_end) {
        residuals.push(fragment, &mut |judged| sums.add(judged.residual));
    }
    residuals.finish(&mut |judged| sums.add(judged.residual));
    sums.standardisation(super::detectors::deviation_floor(model.config().head))
}

/// Packets that no detector was fitted to, with the scores of every detector.
struct HeldBack<'a> {
    material: &'a Material,
    columns: &'a [PacketScores],
}

impl HeldBack<'_> {
    /// The packets from one number to another that have scores.
    fn packets(&self, first: u64, last: u64) -> Vec<NormalPacket> {
        let scores = |packet: u64| {
            let scores: Option<Vec<f64>> =
                self.columns.iter().map(|column| column.get(packet).map(f64::from)).collect();
            Some((self.material.facts(packet).connection(), scores?))
        };
        (first..=last).filter_map(scores).collect()
    }

    /// A judge, unless there are no packets for it.
    fn calibrate(&self, config: &LearnConfig, split: &Split) -> Option<Judge> {
        let of_detectors = self.packets(split.validation_end + 1, split.calibration_end);
        let column = |i: usize| Conformal::calibrate(of_detectors.iter().map(|(_, scores)| scores[i]).collect());
        let detectors = (0..self.columns.len()).map(column).collect::<Option<_>>()?;
        let together = self.packets(split.calibration_end + 1, self.material.packets());
        Judge::calibrate(detectors, &together, config.connections, config.false_alarm_rate)
    }

    /// Share of the validation packets that raise an alert.
    fn alarm_rate(&self, judge: &Judge, split: &Split) -> f64 {
        let packets = self.packets(split.training_end + 1, split.validation_end);
        let mut session = judge.session();
        let alerts = packets.iter().filter(|(connection, scores)| {
            let judgement = session.judge(*connection, scores);
            judge.fired(judgement.packet, judgement.connection).is_some()
        });
        alerts.count() as f64 / packets.len().max(1) as f64
    }
}
