//! Learning normal traffic: fit the model, then calibrate the threshold on traffic that the model has not seen.

use super::{Bundle, Lesson, Scorer};
use crate::capture::headers::LeftOutCounts;
use crate::capture::{CaptureSummary, Captures, Packet};
use crate::dataset::Windows;
use crate::detect::{FalseAlarmRate, PacketScores, Threshold};
use crate::fragment::{Cutting, Fragment, FragmentSize, FragmentTable, Mode, Receiver, Semantics, Shape};
use crate::label::{Label, Labels};
use crate::model::{Autoencoder, ModelConfig, Side};
use crate::progress::Progress;
use crate::train::{Schedule, TrainConfig, fit};
use crate::{Error, Result};

/// Share of the packets, from the front, that the weights are fitted to.
const TRAINING_SHARE: f64 = 0.7;
/// Share of the packets, after those, that decide when to stop. The rest calibrates the threshold.
const VALIDATION_SHARE: f64 = 0.1;

/// How to learn.
#[derive(Debug, Clone)]
pub struct LearnConfig {
    /// How packets become fragments; their size is what the model takes.
    pub mode: Mode,
    /// What to train.
    pub model: ModelConfig,
    /// How to train it.
    pub training: TrainConfig,
    /// The wanted share of normal packets that raise an alert.
    pub false_alarm_rate: FalseAlarmRate,
}

impl Default for LearnConfig {
    /// Packet mode with fragments of 256 bytes, one to a window; batches of 32, 20 epochs at most; one false alarm in 1,000.
    ///
    /// Short batches make many steps out of the few thousand packets that a small plant gives in an hour.
    fn default() -> Self {
        LearnConfig {
            mode: Mode::Packet,
            model: ModelConfig::new(Side::Sixteen),
            training: TrainConfig { epochs: 20, batch: 32, schedule: Schedule::Cycle, ..TrainConfig::default() },
            false_alarm_rate: FalseAlarmRate::default(),
        }
    }
}

impl LearnConfig {
    fn cutting(&self) -> Result<Cutting> {
        let size = FragmentSize::new(self.model.side.fragment_size(), Shape::Square)?;
        Ok(Cutting { mode: self.mode, size, semantics: Semantics::Complete })
    }
}

/// What was learned, and what was odd about the captures.
#[derive(Debug)]
pub struct Learned {
    /// All that detection needs.
    pub bundle: Bundle,
    /// Packets in no fragment, by reason.
    pub left_out: LeftOutCounts,
    /// What was read.
    pub captures: CaptureSummary,
}

/// The packets of the captures in three parts, in the order of time.
#[derive(Debug, Clone, Copy)]
struct Split {
    /// Number of the last packet to train on.
    training_end: u64,
    /// Number of the last packet to validate on; those after it calibrate.
    validation_end: u64,
}

impl Split {
    fn of(packets: u64) -> Split {
        let share = |share: f64| (packets as f64 * share) as u64;
        Split { training_end: share(TRAINING_SHARE), validation_end: share(TRAINING_SHARE + VALIDATION_SHARE) }
    }
}

/// Learns from captures of normal operation.
///
/// The last part of the time is held back: the first 70 % of the packets train, the next 10 % decide when to stop, the last
/// 20 % calibrate the threshold. Fragments are held in memory.
///
/// Refuses captures with too few packets for any of the three.
pub fn learn(mut captures: Captures, config: &LearnConfig, progress: &dyn Progress) -> Result<Learned> {
    let cutting = config.cutting()?;
    let size = cutting.size.bytes();
    let mut gathered = Gathered { fragments: FragmentTable::new(size), packets: 0 };
    let left_out = cutting.cut(&mut captures, Labels::All(Label::Normal), &mut gathered, progress)?;
    let Gathered { fragments, packets } = gathered;
    let captures = captures.into_summary();
    let split = Split::of(packets);

    let windows = Windows::within_flows(fragments.bytes(), size, config.model.frames.count(), fragments.flows());
    let first_packet = |fragment: usize| fragments.segments(fragment).first().map_or(0, |segment| segment.packet);
    let last_packet = |fragment: usize| fragments.segments(fragment).last().map_or(0, |segment| segment.packet);
    let training = windows.only(|window| last_packet(window.end - 1) <= split.training_end);
    let validation = windows.only(|window| {
        first_packet(window.start) > split.training_end && last_packet(window.end - 1) <= split.validation_end
    });
    if training.is_empty() || validation.is_empty() {
        return Err(Error::TooLittle { packets, training: training.len(), validation: validation.len() });
    }

    let mut model = Autoencoder::new(config.model, config.training.seed);
    let history = fit(&mut model, &training, &validation, &config.training, progress)?;

    progress.begin("calibrating", None);
    let held_back = (0..fragments.len()).filter(|&fragment| first_packet(fragment) > split.training_end);
    let mut scorer = Scorer::new(&model);
    for fragment in held_back {
        scorer.push(fragments.fragment(fragment));
    }
    let scores = scorer.finish();
    let calibration: Vec<f32> =
        scores.iter().filter(|(packet, _)| *packet > split.validation_end).map(|(_, score)| score).collect();
    let threshold = Threshold::conformal(calibration.clone(), config.false_alarm_rate).ok_or(Error::TooLittle {
        packets,
        training: training.len(),
        validation: validation.len(),
    })?;

    let lesson = Lesson {
        sources: captures.sources.clone(),
        packets,
        training_windows: training.len(),
        validation_windows: validation.len(),
        history,
        validation_alarm_rate: alarm_rate(&scores, &split, &threshold),
    };
    let bundle = Bundle { cutting, model, calibration, threshold, lesson };
    Ok(Learned { bundle, left_out, captures })
}

/// Holds all fragments and counts packets.
struct Gathered {
    fragments: FragmentTable,
    packets: u64,
}

impl Receiver for Gathered {
    fn packet(&mut self, _packet: &Packet<'_>, _label: Label) -> Result<()> {
        self.packets += 1;
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        self.fragments.push(fragment);
        Ok(())
    }
}

/// Share of the validation packets above the threshold.
fn alarm_rate(scores: &PacketScores, split: &Split, threshold: &Threshold) -> f64 {
    let validation = scores.iter().filter(|(packet, _)| *packet <= split.validation_end);
    let (alarms, all) = validation
        .fold((0u64, 0u64), |(alarms, all), (_, score)| (alarms + u64::from(threshold.exceeded_by(score)), all + 1));
    if all == 0 { 0.0 } else { alarms as f64 / all as f64 }
}
