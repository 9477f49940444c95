//! `pcapae learn`: captures of normal operation to a bundle.

use std::process::ExitCode;

use pcapae::bundle::{Bundle, Effort, LearnConfig, Learned, learn};
use pcapae::capture::Captures;
use pcapae::detect::FalseAlarmRate;
use pcapae::model::{Frames, ModelConfig, Side};
use pcapae::train::TrainConfig;

use super::input::{counted, output, say_left_out, warn_of};
use crate::args::LearnArgs;
use crate::progress::Talk;

/// Learns, then puts the bundle in its place.
pub fn run(args: LearnArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let config = config(&args)?;
    let captures = Captures::open(&args.input.captures)?;
    let file = output(&args.output, args.force, &args.input.captures)?;
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
        mask: args.mask,
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
    let epochs = &lesson.history.epochs;
    let validation = lesson.history.best.and_then(|best| epochs.get(best)).map_or(f64::NAN, |best| best.validation);
    talk.say(format_args!(
        "learned from {}: {} to train on, {}, validation error {validation:.5}",
        counted(lesson.packets, "packet"),
        counted(lesson.training_windows as u64, "window"),
        counted(epochs.len() as u64, "epoch"),
    ));
    let held_back = counted(threshold.calibrated_on as u64, "held-back packet");
    let rate = format!("{} %", threshold.rate.share() * 100.0);
    talk.say(format_args!(
        "threshold {:.5} from {held_back}, for a false-alarm rate of {rate}; the validation packets gave {:.2} %",
        threshold.value,
        lesson.validation_alarm_rate * 100.0
    ));
    if !threshold.promises_rate() {
        talk.warn(format_args!(
            "{held_back} cannot promise a false-alarm rate of {rate}, which takes {}: the threshold is the highest score among them",
            threshold.needed()
        ));
    }
}
