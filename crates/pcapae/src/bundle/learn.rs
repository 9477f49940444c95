//! Learning normal traffic: fit the model, then calibrate the threshold on traffic that the model has not seen.

use super::{Bundle, Lesson, Scorer};
use crate::capture::headers::LeftOutCounts;
use crate::capture::{CaptureSummary, Captures, Packet};
use crate::dataset::Windows;
use crate::detect::{FalseAlarmRate, PacketScores, Threshold};
use crate::fragment::{Cutting, Fragment, FragmentSize, FragmentTable, Mask, Mode, Receiver, Semantics, Shape};
use crate::label::{Label, Labels};
use crate::model::{Autoencoder, ModelConfig, Side};
use crate::progress::Progress;
use crate::train::{History, Schedule, TrainConfig, fit};
use crate::{Error, Result};

/// Percentage of the packets, from the front, that the weights are fitted to.
const TRAINING_PERCENT: u64 = 70;
/// Percentage of the packets, after those, that decide when to stop. The rest calibrates the threshold.
const VALIDATION_PERCENT: u64 = 10;

/// How to learn.
#[derive(Debug, Clone)]
pub struct LearnConfig {
    /// How packets become fragments; their size is what the model takes.
    pub mode: Mode,
    /// Which header fields are read as zeros.
    pub mask: Mask,
    /// What to train.
    pub model: ModelConfig,
    /// How to train it; `epochs` and `patience` follow from `effort`.
    pub training: TrainConfig,
    /// How long to train.
    pub effort: Effort,
    /// The wanted share of normal packets that raise an alert.
    pub false_alarm_rate: FalseAlarmRate,
}

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// About this many steps of the optimiser, however many windows there are: few windows are seen often, and of very many an
    /// even selection is seen four times. So learning takes about the same time whatever the captures.
    Steps(usize),
    /// This many passes over all training windows.
    Epochs(usize),
}

/// Steps of the default effort.
pub const DEFAULT_STEPS: usize = 4000;
/// Fewest passes over the windows that are looked at.
const EPOCHS_MIN: usize = 4;
/// Most passes over few windows: a handful of packets deserves no more.
const EPOCHS_MAX: usize = 400;

impl Default for LearnConfig {
    /// Packet mode with fragments of 256 bytes, one to a window; [`DEFAULT_STEPS`] steps of 32 windows; one false alarm in 1,000.
    ///
    /// Short batches make many steps out of the few thousand packets that a small plant gives in an hour.
    fn default() -> Self {
        LearnConfig {
            mode: Mode::Packet,
            mask: Mask::NONE,
            model: ModelConfig::new(Side::Sixteen),
            training: TrainConfig { batch: 32, schedule: Schedule::Cycle, ..TrainConfig::default() },
            effort: Effort::Steps(DEFAULT_STEPS),
            false_alarm_rate: FalseAlarmRate::default(),
        }
    }
}

impl Effort {
    /// How many passes over how large a share of `windows`: every n-th of them.
    fn plan(self, windows: usize, batch: usize) -> (usize, usize) {
        match self {
            Effort::Epochs(epochs) => (epochs, 1),
            Effort::Steps(steps) => {
                let looks = steps * batch.max(1);
                let every = windows.div_ceil((looks / EPOCHS_MIN).max(1));
                let epochs = looks / windows.div_ceil(every).max(1);
                (epochs.clamp(EPOCHS_MIN, EPOCHS_MAX), every)
            }
        }
    }
}

impl LearnConfig {
    fn cutting(&self) -> Result<Cutting> {
        let size = FragmentSize::new(self.model.side.fragment_size(), Shape::Square)?;
        Ok(Cutting { mode: self.mode, size, semantics: Semantics::Complete, mask: self.mask })
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
        let percent = |percent: u64| packets * percent / 100;
        Split {
            training_end: percent(TRAINING_PERCENT),
            validation_end: percent(TRAINING_PERCENT + VALIDATION_PERCENT),
        }
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

    let (model, history) = train(config, &training, &validation, progress)?;

    progress.begin("calibrating", None);
    let mut scorer = Scorer::new(&model);
    for fragment in (0..fragments.len()).filter(|&fragment| first_packet(fragment) > split.training_end) {
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

/// Fits a new model, with the effort that is wanted.
fn train(
    config: &LearnConfig,
    training: &Windows,
    validation: &Windows,
    progress: &dyn Progress,
) -> Result<(Autoencoder, History)> {
    let mut model = Autoencoder::new(config.model, config.training.seed);
    let (epochs, every) = config.effort.plan(training.len(), config.training.batch);
    // The rate falls towards the end of the cycle, and the loss with it: to stop long before would lose that.
    let patience = config.training.patience.max(epochs / 3);
    let plan = TrainConfig { epochs, patience, ..config.training.clone() };
    let history = fit(&mut model, &training.every(every), validation, &plan, progress)?;
    Ok((model, history))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_windows_are_seen_often_and_of_many_a_selection() {
        assert_eq!(Effort::Steps(4000).plan(1434, 32), (89, 1));
        assert_eq!(Effort::Steps(4000).plan(10, 32), (EPOCHS_MAX, 1));
        assert_eq!(Effort::Steps(4000).plan(1_000_000, 32), (4, 32));
        assert_eq!(Effort::Epochs(3).plan(1_000_000, 32), (3, 1));
    }

    #[test]
    fn the_last_packets_are_held_back() {
        let split = Split::of(1000);
        assert_eq!((split.training_end, split.validation_end), (700, 800));
    }
}
