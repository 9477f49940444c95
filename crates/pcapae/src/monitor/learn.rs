//! Learning normal traffic: fit the detectors to all of it, and set their limits by what each block of time would have been to the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::detectors::{codes_of, place, rows_of};
use super::left_out::{LeftOutBlocks, LeftOutScores};
use super::normal::{NORMAL_FRAGMENTS, NormalFragments};
use super::training_data::{Role, TrainingData};
use super::{
    Bundle, DEFAULT_STEPS, DetectorPlan, Detectors, Effort, Exclusion, FittedDetector, LeftOut, PacketScores,
    TrainingSummary,
};
use crate::calibration::{DecisionRule, MarginScales};
use crate::capture::headers::SkipCounts;
use crate::capture::{CaptureSummary, Captures, Source};
use crate::dataset::Windows;
use crate::detectors::{BLOCKS, Fitted, Input, Rows, Samples, ScoringHead};
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
    /// Which detectors raise alerts.
    pub detectors: Vec<DetectorPlan>,
    /// Whether there is an autoencoder that explains and ranks alerts, where none raises them.
    pub explain: bool,
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
    /// How far above what normal traffic reached a score must be.
    pub margin: MarginScales,
    /// What of the captures is not learned.
    pub exclude: Vec<Exclusion>,
    /// How many normal fragments the bundle keeps, at most.
    pub normal_fragments: usize,
}

impl Default for LearnConfig {
    /// Packet mode with fragments of 256 bytes, one to a window, volatile fields masked; the detectors that look at packets one by one, and an
    /// autoencoder that explains, trained for [`DEFAULT_STEPS`] steps of 32 windows; a margin of 3 scales.
    ///
    /// Short batches make many steps out of the few thousand packets that a small plant gives in an hour.
    fn default() -> Self {
        LearnConfig {
            mode: Mode::Packet,
            mask: Mask::volatile(),
            detectors: DetectorPlan::defaults(),
            explain: true,
            model: ModelConfig::new(Side::Sixteen),
            trained: None,
            head: ScoringHead::Mean,
            training: TrainConfig { batch: 32, schedule: Schedule::Cycle, ..TrainConfig::default() },
            effort: Effort::Steps(DEFAULT_STEPS),
            margin: MarginScales::default(),
            exclude: Vec::new(),
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
        let raises_alerts = self.detectors.iter().any(|plan| matches!(plan, DetectorPlan::Autoencoder));
        self.trained.is_some() || self.explain || raises_alerts
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
    /// What of the learned traffic would have been alerts.
    pub left_out: LeftOut,
    /// Packets in no fragment, by reason.
    pub skipped: SkipCounts,
    /// What was read.
    pub captures: CaptureSummary,
}

/// Blocks that a detector is not fitted to at a time, where it has to be fitted anew for each such part.
const BLOCKS_LEFT_OUT: u32 = 2;

/// And a model, which takes long to train.
const BLOCKS_LEFT_OUT_OF_TRAINING: u32 = 5;

/// Learns from captures of normal operation.
///
/// Every packet is learned. The packets are divided into ten [blocks](crate::detectors::Blocks) of time, and each block is scored as if it had not
/// been learned: exactly where a detector counts; by detectors fitted to eight of the ten blocks where one has to be fitted; by
/// models trained on one half where one has to be trained. What blocks reach sets the limits. Fragments are held in memory.
///
/// # Errors
///
/// The captures have too few packets, or cannot be read.
pub fn learn(mut captures: Captures, config: &LearnConfig, progress: &dyn Progress) -> Result<Learned> {
    config.check()?;
    let cutting = config.cutting()?;
    let mut data = TrainingData::new(cutting, &config.exclude);
    let skipped = cutting.cut(&mut captures, Labels::All(Label::Normal), &mut data, progress)?;
    let captures = captures.into_summary();
    check_once(&captures.sources)?;
    data.check_exclusions()?;
    let fitting = |data| Fitting { config, data, cutting, sources: &captures.sources };
    let (mut bundle, mut left_out) = fitting(&data).learn(progress)?;
    let excluded = excluded_packets(&config.exclude, &left_out)?;
    if !excluded.is_empty() {
        (bundle, left_out) = fitting(&data.without(&excluded)).learn(progress)?;
    }
    bundle.id = bundle_id(&bundle)?;
    Ok(Learned { bundle, left_out, skipped, captures })
}

/// Refuses a capture that is given twice: what is left out of one copy would stand in the other.
pub(super) fn check_once(sources: &[Source]) -> Result<()> {
    let mut seen = BTreeSet::new();
    match sources.iter().find(|source| source.packets > 0 && !seen.insert(&source.sha256)) {
        None => Ok(()),
        Some(twice) => Err(Error::Setting {
            setting: "capture",
            got: twice.path.display().to_string(),
            expected: "each capture once: this one has the SHA-256 of another".into(),
            remedy: None,
        }),
    }
}

/// The packets of the events that are excluded.
fn excluded_packets(exclude: &[Exclusion], left_out: &LeftOut) -> Result<BTreeSet<u64>> {
    let mut events = BTreeSet::new();
    for exclusion in exclude {
        let Exclusion::Event(number) = exclusion else { continue };
        if *number == 0 || *number > left_out.events.len() {
            return Err(Error::Setting {
                setting: "excluded event",
                got: number.to_string(),
                expected: format!("one of the {} events of the learned traffic", left_out.events.len()),
                remedy: None,
            });
        }
        events.insert(*number);
    }
    Ok(left_out.packets.iter().filter(|(_, event)| events.contains(event)).map(|(packet, _)| *packet).collect())
}

/// What tells a bundle from others: a digest of all that it learned.
fn bundle_id(bundle: &Bundle) -> Result<String> {
    let digest = Sha256::digest(bundle.to_bytes()?);
    Ok(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// What detectors are fitted to.
struct Fitting<'a> {
    config: &'a LearnConfig,
    data: &'a TrainingData,
    cutting: Cutting,
    sources: &'a [Source],
}

impl Fitting<'_> {
    fn learn(&self, progress: &dyn Progress) -> Result<(Bundle, LeftOut)> {
        let (config, data) = (self.config, self.data);
        let packets = data.packets();
        if packets < u64::from(BLOCKS) {
            return Err(Error::TooLittle { packets, training: packets as usize, validation: 0 });
        }
        let (model, history) = match (&config.trained, config.has_model()) {
            (Some(model), _) => (Some(model.clone()), History::default()),
            (None, true) => self.train(&|_| false, progress).map(|(model, history)| (Some(model), history))?,
            (None, false) => (None, History::default()),
        };
        progress.begin("fitting", None);
        let samples = data.packet_samples();
        let mut detectors = Detectors { model, fitted: Vec::new() };
        let mut scores = Vec::new();
        for plan in self.plans() {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            detectors.fitted.push(self.fit(&plan.0, detectors.model.as_ref(), &samples, &|_| false)?);
            scores.push(match plan {
                (_, false) => LeftOutScores::None,
                (plan, true) => self.left_out_scores(&plan, &detectors, &samples, progress)?,
            });
        }
        progress.begin("calibrating", None);
        let blocks = LeftOutBlocks { data, samples: &samples, detectors: &detectors, scores: &scores, first_block: 0 };
        let aspects = detectors.fitted.iter().map(FittedDetector::aspects);
        let decision = DecisionRule::new(config.margin, BLOCKS, aspects.zip(blocks.maxima()?).collect());
        let left_out = blocks.events(&decision)?;
        detectors.fitted.iter_mut().for_each(FittedDetector::forget_blocks);

        let (training, validation) = self.windows(&|_| false);
        let normal = detectors.model.as_ref().filter(|model| model.config().predict_frames.count() == 0);
        let normal = normal.and_then(|model| NormalFragments::sample(model, &training, data, config.normal_fragments));
        let training_summary = TrainingSummary {
            sources: self.sources.to_vec(),
            packets,
            excluded: data.excluded,
            seconds: left_out.seconds,
            training_windows: training.len(),
            validation_windows: validation.len(),
            history,
            left_out_events: left_out.events.len() as u64,
        };
        let (id, cutting, accepted) = (String::new(), self.cutting, Vec::new());
        Ok((Bundle { id, cutting, detectors, decision, accepted, training_summary, normal }, left_out))
    }

    /// The detectors in the order of the bundle, each with whether it raises alerts: the autoencoder that only explains does not.
    fn plans(&self) -> Vec<(DetectorPlan, bool)> {
        let mut plans: Vec<(DetectorPlan, bool)> =
            self.config.detectors.iter().map(|plan| (plan.clone(), true)).collect();
        let has_autoencoder = plans.iter().any(|(plan, _)| matches!(plan, DetectorPlan::Autoencoder));
        if self.config.has_model() && self.config.explain && !has_autoencoder {
            plans.push((DetectorPlan::Autoencoder, false));
        }
        plans.sort_by_key(|(plan, _)| place(plan.name()));
        plans
    }

    /// Windows to train on, and windows that decide when to stop: the last of each block or, where none fits there, the last tenth of all.
    fn windows(&self, held_out: &dyn Fn(u32) -> bool) -> (Windows<'_>, Windows<'_>) {
        let (frames, data) = (self.config.model.window_frames(), self.data);
        let of = |role: Role| data.windows(frames, |row| data.role(row, held_out) == role);
        let (training, validation) = (of(Role::Training), of(Role::Validation));
        if !validation.is_empty() {
            return (training, validation);
        }
        let all = data.windows(frames, |row| data.role(row, held_out) != Role::HeldOut);
        let training = all.front(0.9);
        let end = training.len().checked_sub(1).map_or(0, |last| training.first_fragment(last) + frames);
        let validation = all.only(|window| window.start >= end);
        (training, validation)
    }

    /// A new model, trained on all blocks but those held out, with the effort that is wanted.
    fn train(&self, held_out: &dyn Fn(u32) -> bool, progress: &dyn Progress) -> Result<(Autoencoder, History)> {
        let (config, data) = (self.config, self.data);
        let (training, validation) = self.windows(held_out);
        if training.is_empty() || validation.is_empty() {
            let (training, validation) = (training.len(), validation.len());
            return Err(Error::TooLittle { packets: data.packets(), training, validation });
        }
        let mut model = Autoencoder::new(config.model, config.training.seed);
        let (epochs, every) = config.effort.plan(training.len(), config.training.batch);
        // The rate falls towards the end of the cycle, and the loss with it: to stop long before would lose that.
        let patience = config.training.patience.max(epochs / 3);
        let plan = TrainConfig { epochs, patience, ..config.training.clone() };
        let history = fit(&mut model, &training.every(every), &validation, &plan, progress)?;
        Ok((model, history))
    }

    /// A detector, fitted to all blocks but those held out.
    fn fit(
        &self,
        plan: &DetectorPlan,
        model: Option<&Autoencoder>,
        samples: &Samples,
        held_out: &dyn Fn(u32) -> bool,
    ) -> Result<FittedDetector> {
        let blueprint = match (plan, model) {
            (DetectorPlan::Autoencoder, Some(model)) => return self.residual_score(model, held_out),
            (DetectorPlan::Autoencoder, None) => {
                return Err(Error::Lacking { detector: plan.name(), lacking: "a model" });
            }
            (DetectorPlan::Fitted(fitted), _) => return Ok(FittedDetector::Rows(fitted.clone())),
            (DetectorPlan::Fit(blueprint), _) => blueprint,
        };
        let codes = model.map(codes_of).transpose()?;
        let rows = rows_of(blueprint, &self.cutting, codes.as_ref());
        let fitted = match blueprint.input() {
            Input::Stream => Fitted::fit_samples(blueprint, samples, rows)?,
            Input::Numbers | Input::Packets => {
                let learned = |row| self.data.role(row, held_out) != Role::HeldOut;
                let samples = self.data.samples(&rows, model, learned);
                Fitted::fit_samples(blueprint, &samples, rows)?
            }
        };
        Ok(FittedDetector::Rows(Arc::new(fitted)))
    }

    /// The score of the model's residual, standardised by packets that the model was not trained on where the head standardises.
    fn residual_score(&self, model: &Autoencoder, held_out: &dyn Fn(u32) -> bool) -> Result<FittedDetector> {
        let of = |role: Role| self.data.fragments(move |row| self.data.role(row, held_out) == role);
        let validates = of(Role::Validation).next().is_some();
        let role = if validates { Role::Validation } else { Role::Training };
        let sums = || Ok(residual_sums(model, of(role).map(|(_, fragment)| fragment)));
        ResidualScore::new(self.config.head, model.config().head, sums).map(FittedDetector::Autoencoder)
    }

    /// How the last of `detectors`, which raises alerts, scores packets that it did not learn.
    fn left_out_scores(
        &self,
        plan: &DetectorPlan,
        detectors: &Detectors,
        samples: &Samples,
        progress: &dyn Progress,
    ) -> Result<LeftOutScores> {
        let fixed = match plan {
            DetectorPlan::Fit(blueprint) if blueprint.input() == Input::Stream => return Ok(LeftOutScores::Stream),
            DetectorPlan::Fitted(fitted) if fitted.is_stream() => return Ok(LeftOutScores::FixedStream),
            DetectorPlan::Fit(_) => false,
            DetectorPlan::Fitted(_) => true,
            DetectorPlan::Autoencoder => self.config.trained.is_some(),
        };
        let left_out = match plan {
            _ if fixed => BLOCKS,
            DetectorPlan::Autoencoder => BLOCKS_LEFT_OUT_OF_TRAINING,
            _ => BLOCKS_LEFT_OUT,
        };
        let mut all = PacketScores::default();
        for first in (0..BLOCKS).step_by(left_out as usize) {
            let held_out = move |block: u32| !fixed && (first..first + left_out).contains(&block);
            let scored = move |block: u32| (first..first + left_out).contains(&block);
            let model = match plan {
                DetectorPlan::Autoencoder if !fixed => Some(self.train(&held_out, progress)?.0),
                _ => detectors.model.clone(),
            };
            let fitted = self.fit(plan, model.as_ref(), samples, &held_out)?;
            let fold = Detectors { model, fitted: vec![fitted] };
            let wanted = |row| scored(self.data.blocks().block(row));
            for (packet, score) in
                self.data.scores(&fold, |_| true, wanted)?.iter().flat_map(|(_, scores)| scores.iter())
            {
                all.put(packet, score);
            }
        }
        // The detector that learned all has scores of its own, which may be higher: of what it learned, nothing is an alert.
        let model = detectors.model.clone();
        let learned = Detectors { model, fitted: detectors.fitted.last().cloned().into_iter().collect() };
        for (packet, score) in
            self.data.scores(&learned, |_| true, |_| true)?.iter().flat_map(|(_, scores)| scores.iter())
        {
            all.put(packet, score);
        }
        Ok(LeftOutScores::Fitted(all))
    }
}
