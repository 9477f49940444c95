//! Learning normal traffic: fit the detectors, then calibrate them on traffic that none of them has seen.

use std::sync::Arc;

use super::detectors::{codes_of, rows_of};
use super::normal::{NORMAL_FRAGMENTS, NormalFragments};
use super::training_data::TrainingData;
use super::{
    Bundle, DEFAULT_STEPS, DetectorPlan, Detectors, Effort, FittedDetector, PacketScores, Split, TrainingSummary,
};
use crate::calibration::{Conformal, Connections, DecisionRule, FalseAlarmRate, NormalPacket};
use crate::capture::headers::SkipCounts;
use crate::capture::{CaptureSummary, Captures};
use crate::detectors::{Blueprint, Fitted, Rows, ScoringHead};
use crate::fragment::{Cutting, FragmentSize, Mask, Mode, Semantics};
use crate::label::{Label, Labels};
use crate::model::{Autoencoder, CODE_SIZE, ModelConfig, Side, TrainedOn};
use crate::progress::Progress;
use crate::residual::{ResidualScore, residual_sums};
use crate::train::{History, Schedule, TrainConfig, fit};
use crate::{Error, Result};

/// How to learn.
#[derive(Debug, Clone)]
pub struct LearnConfig {
    /// How packets become fragments; their size is what the model takes.
    pub mode: Mode,
    /// Which header fields are read as zeros.
    pub mask: Mask,
    /// Which detectors to have.
    pub detectors: Vec<DetectorPlan>,
    /// What to train, where a detector needs a model and `trained` is none. Its side and shape say what fragments are in any case.
    pub model: ModelConfig,
    /// A model that was trained before, of the configuration `model`: then nothing is trained.
    pub trained: Option<Autoencoder>,
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
    /// Packet mode with fragments of 256 bytes, one to a window, volatile fields masked; autoencoder and position histograms, packets and connections;
    /// [`DEFAULT_STEPS`] steps of 32 windows; one false alarm in 1,000.
    ///
    /// Short batches make many steps out of the few thousand packets that a small plant gives in an hour.
    fn default() -> Self {
        LearnConfig {
            mode: Mode::Packet,
            mask: Mask::volatile(),
            detectors: DetectorPlan::defaults(Mode::Packet),
            model: ModelConfig::new(Side::Sixteen),
            trained: None,
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
        let size = FragmentSize::try_from(&self.model)?;
        Ok(Cutting { mode: self.mode, size, semantics: Semantics::Complete, mask: self.mask })
    }

    /// Whether there will be a model: one that was trained before, or one to train for the autoencoder.
    fn has_model(&self) -> bool {
        self.trained.is_some() || self.detectors.iter().any(|plan| matches!(plan, DetectorPlan::Autoencoder))
    }

    /// The codes of the model, where there will be one; which model is known only of one that was trained before.
    fn codes(&self) -> Result<Option<Rows>> {
        match &self.trained {
            Some(model) => codes_of(model).map(Some),
            None => Ok(self.has_model().then_some(Rows::Codes { width: CODE_SIZE, model: None })),
        }
    }

    /// Refuses what cannot be learned, before any long work: among others, a model that was trained on fragments of another kind, and
    /// detectors that do not go with these fragments.
    pub fn check(&self) -> Result<()> {
        let cutting = self.cutting()?;
        DetectorPlan::check_all(&self.detectors, &cutting, self.codes()?.as_ref())?;
        if let Some(model) = &self.trained {
            let other =
                |setting, got: String, expected: String| Err(Error::Setting { setting, got, expected, remedy: None });
            if *model.config() != self.model {
                let said = |config: &ModelConfig| format!("{config:?}");
                return other("model", said(&self.model), format!("{}, as it was trained", said(model.config())));
            }
            if let Some([got, expected]) = TrainedOn::from(Some(cutting)).difference(model.trained_on()) {
                return other("learning from", got, format!("{expected}, on which the model was trained"));
            }
        }
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
    let mut data = TrainingData::new(cutting);
    let skipped = cutting.cut(&mut captures, Labels::All(Label::Normal), &mut data, progress)?;
    let captures = captures.into_summary();
    let packets = data.packets();
    let split = Split::of(packets);

    let (training, validation) = data.windows(config.model.window_frames(), &split);
    let too_little = || Error::TooLittle { packets, training: training.len(), validation: validation.len() };
    if training.is_empty() || validation.is_empty() {
        return Err(too_little());
    }
    let (detectors, history) = Fitting { config, data: &data, split: &split, cutting }.all(progress)?;

    progress.begin("calibrating", None);
    let columns = data.scores(&detectors, split.training_end + 1)?;
    let held_back = HeldBack { data: &data, columns: &columns };
    let decision = held_back.calibrate(config, &split).ok_or_else(too_little)?;

    let training_summary = TrainingSummary {
        sources: captures.sources.clone(),
        packets,
        split,
        training_windows: training.len(),
        validation_windows: validation.len(),
        history,
        validation_alarm_rate: held_back.alarm_rate(&decision, &split),
    };
    let normal = detectors
        .model
        .as_ref()
        .filter(|model| model.config().predict_frames.count() == 0)
        .and_then(|model| NormalFragments::sample(model, &training, &data, config.normal_fragments));
    Ok(Learned { bundle: Bundle { cutting, detectors, decision, training_summary, normal }, skipped, captures })
}

/// What detectors are fitted to.
struct Fitting<'a> {
    config: &'a LearnConfig,
    data: &'a TrainingData,
    split: &'a Split,
    cutting: Cutting,
}

impl Fitting<'_> {
    /// The model, where one is needed, and all detectors; the history is that of the model, if it is trained here.
    fn all(&self, progress: &dyn Progress) -> Result<(Detectors, History)> {
        let config = self.config;
        let (model, history) = match (&config.trained, config.has_model()) {
            (Some(model), _) => (Some(model.clone()), History::default()),
            (None, true) => self.train(progress).map(|(model, history)| (Some(model), history))?,
            (None, false) => (None, History::default()),
        };
        progress.begin("fitting", None);
        let fit = |plan: &DetectorPlan| {
            Ok(match (plan, &model) {
                (DetectorPlan::Autoencoder, Some(model)) => FittedDetector::Autoencoder(self.residual_score(model)?),
                (DetectorPlan::Autoencoder, None) => {
                    return Err(Error::Lacking { detector: plan.name(), lacking: "a model" });
                }
                (DetectorPlan::Fit(blueprint), model) => {
                    FittedDetector::Rows(Arc::new(self.rows(blueprint, model.as_ref())?))
                }
                (DetectorPlan::Fitted(fitted), _) => FittedDetector::Rows(fitted.clone()),
            })
        };
        let fitted: Vec<FittedDetector> = config.detectors.iter().map(fit).collect::<Result<_>>()?;
        let model = model.filter(|_| fitted.iter().any(FittedDetector::needs_model));
        Ok((Detectors::new(model, fitted), history))
    }

    /// A new model, with the effort that is wanted.
    fn train(&self, progress: &dyn Progress) -> Result<(Autoencoder, History)> {
        let config = self.config;
        let (training, validation) = self.data.windows(config.model.window_frames(), self.split);
        let mut model = Autoencoder::new(config.model, config.training.seed);
        let (epochs, every) = config.effort.plan(training.len(), config.training.batch);
        // The rate falls towards the end of the cycle, and the loss with it: to stop long before would lose that.
        let patience = config.training.patience.max(epochs / 3);
        let plan = TrainConfig { epochs, patience, ..config.training.clone() };
        let history = fit(&mut model, &training.every(every), &validation, &plan, progress)?;
        Ok((model, history))
    }

    /// The score of the model's residual, standardised by the validation packets where the head standardises.
    fn residual_score(&self, model: &Autoencoder) -> Result<ResidualScore> {
        let validation = self.split.training_end + 1..=self.split.validation_end;
        let sums = || Ok(residual_sums(model, self.data.fragments(validation)));
        ResidualScore::new(self.config.head, model.config().head, sums)
    }

    /// A detector of rows, fitted to the training packets and standardised by the validation packets.
    fn rows(&self, blueprint: &Blueprint, model: Option<&Autoencoder>) -> Result<Fitted> {
        let codes = model.map(codes_of).transpose()?;
        let rows = rows_of(blueprint, &self.cutting, codes.as_ref());
        let samples = |packets| self.data.samples(&rows, model, packets);
        let mut fitted = Fitted::fit_samples(blueprint, &samples(1..=self.split.training_end), rows.clone())?;
        fitted.standardise(&samples(self.split.training_end + 1..=self.split.validation_end))?;
        Ok(fitted)
    }
}

/// Packets that no detector was fitted to, with the scores of every detector.
struct HeldBack<'a> {
    data: &'a TrainingData,
    columns: &'a [PacketScores],
}

impl HeldBack<'_> {
    /// The packets from one number to another that a detector scored.
    fn packets(&self, first: u64, last: u64) -> Vec<NormalPacket> {
        let scores = |packet: u64| {
            let scores: Vec<Option<f64>> =
                self.columns.iter().map(|column| column.get(packet).map(f64::from)).collect();
            let scored = scores.iter().any(Option::is_some);
            scored.then(|| (self.data.facts(packet).connection(), scores))
        };
        (first..=last).filter_map(scores).collect()
    }

    /// The rule of what is an alert, unless there are no packets for it.
    fn calibrate(&self, config: &LearnConfig, split: &Split) -> Option<DecisionRule> {
        let of_detectors = self.packets(split.validation_end + 1, split.calibration_end);
        let column = |i: usize| Conformal::calibrate(of_detectors.iter().filter_map(|(_, scores)| scores[i]).collect());
        let detectors = (0..self.columns.len()).map(column).collect::<Option<_>>()?;
        let together = self.packets(split.calibration_end + 1, self.data.packets());
        DecisionRule::calibrate(detectors, &together, config.connections, config.false_alarm_rate)
    }

    /// Share of the validation packets that raise an alert.
    fn alarm_rate(&self, rule: &DecisionRule, split: &Split) -> f64 {
        let packets = self.packets(split.training_end + 1, split.validation_end);
        let mut stream = rule.stream();
        let alerts = packets.iter().filter(|(connection, scores)| {
            let decision = stream.decide(*connection, scores);
            rule.trigger(decision.packet, decision.connection).is_some()
        });
        alerts.count() as f64 / packets.len().max(1) as f64
    }
}
