//! `pcapae learn`: captures of normal operation to a bundle.

use std::process::ExitCode;

use pcapae::bundle::{Bundle, Effort, LearnConfig, Learned, learn};
use pcapae::capture::Captures;
use pcapae::detect::FalseAlarmRate;
use pcapae::model::{Frames, ModelConfig, Side};
use pcapae::train::TrainConfig;
use pcapae::whole_file::WholeFile;

use super::input::{existing, say_left_out, warn_of};
use crate::args::LearnArgs;
use crate::progress::Talk;

/// Learns, then puts the bundle in its place.
pub fn run(args: LearnArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let config = config(&args)?;
    let captures = Captures::open(&args.input.captures)?;
    let file = WholeFile::create(&args.output, existing(args.force))?;
    let learned = learn(captures, &config, talk)?;
    file.write(&learned.bundle.to_bytes()?)?;
    talk.clear();
    report(&learned, talk);
    talk.say(format_args!("{}: ready for pcapae detect", args.output.display()));
    Ok(ExitCode::SUCCESS)
}

/// Checks the options before any long work.
fn config(args: &LearnArgs) -> pcapae::Result<LearnConfig> {
    let side = Side::of_fragment_size(args.fragment_size)?;
    let defaults = LearnConfig::default();
    Ok(LearnConfig {
        mode: args.mode.into(),
        model: ModelConfig { frames: Frames::try_from(usize::from(args.frames))?, ..ModelConfig::new(side) },
        training: TrainConfig {
            batch: args.batch as usize,
            learning_rate: args.learning_rate,
            seed: args.seed,
            ..defaults.training
        },
        effort: args.epochs.map_or(defaults.effort, |epochs| Effort::Epochs(epochs as usize)),
        false_alarm_rate: FalseAlarmRate::new(args.false_alarm_rate)?,
    })
}

/// Says what was learned, and what to expect of it.
pub fn report(learned: &Learned, talk: &Talk) {
    warn_of(&learned.captures, talk);
    say_left_out(&learned.left_out, &learned.captures, talk);
    let Bundle { lesson, threshold, .. } = &learned.bundle;
    talk.say(format_args!(
        "learned from {} packets: {} windows to train on, {} epochs, validation error {:.5}",
        lesson.packets,
        lesson.training_windows,
        lesson.history.epochs.len(),
        lesson.history.best.map_or(f64::NAN, |best| lesson.history.epochs[best].validation)
    ));
    talk.say(format_args!(
        "threshold {:.5} from {} held-back packets, for {} false alarms in 1,000; on the validation packets it gave {:.1} in 1,000",
        threshold.value,
        threshold.calibrated_on,
        threshold.rate.share() * 1000.0,
        lesson.validation_alarm_rate * 1000.0
    ));
    if !threshold.promises_rate() {
        talk.warn(format_args!(
            "{} packets are too few to calibrate {} false alarms in 1,000, which takes {}: the threshold is the highest score among them",
            threshold.calibrated_on,
            threshold.rate.share() * 1000.0,
            threshold.needed()
        ));
    }
}
