//! `pcapae learn`: captures of normal operation to a bundle.

use std::process::ExitCode;

use pcapae::calibration::FalseAlarmRate;
use pcapae::capture::Captures;
use pcapae::detectors::ScoringHead;
use pcapae::fragment::Mode;
use pcapae::model::{Frames, ModelConfig, Side};
use pcapae::monitor::{Bundle, Connections, DetectorSet, Effort, LearnConfig, Learned, TrainingSummary, learn};
use pcapae::train::TrainConfig;

use super::input::{counted, output, say_skipped, warn_of};
use crate::args::{ConnectionsArg, LearnArgs, ScoringArg};
use crate::progress::Console;

/// Learns, then puts the bundle in its place.
pub fn run(args: &LearnArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let config = config(args)?;
    let captures = Captures::open(&args.input.captures)?;
    let file = output(&args.output, args.force, &args.input.captures)?;
    let learned = learn(captures, &config, console)?;
    file.write(&learned.bundle.to_bytes()?)?;
    console.clear();
    report(&learned, console);
    console.say(format_args!("{}: ready for pcapae detect", args.output.display()));
    Ok(ExitCode::SUCCESS)
}

/// Checks the options before any long work.
fn config(args: &LearnArgs) -> pcapae::Result<LearnConfig> {
    let side = Side::of_fragment_size(args.fragment_size)?;
    let defaults = LearnConfig::default();
    let mode = Mode::from(args.mode);
    let frames = Frames::try_from(usize::from(args.frames))?;
    let config = LearnConfig {
        mode,
        mask: args.mask,
        detectors: args.detectors.clone().unwrap_or_else(|| DetectorSet::usual(mode)),
        model: ModelConfig { frames, head: args.loss.into(), ..ModelConfig::new(side) },
        head: args.scoring.into(),
        connections: args.connections.into(),
        training: TrainConfig {
            batch: args.batch as usize,
            learning_rate: args.learning_rate,
            seed: args.seed,
            ..defaults.training
        },
        effort: args.epochs.map_or(defaults.effort, |epochs| Effort::Epochs(epochs as usize)),
        false_alarm_rate: FalseAlarmRate::new(args.false_alarm_rate)?,
        normal_fragments: args.normal_fragments,
    };
    config.check()?;
    Ok(config)
}

impl From<ScoringArg> for ScoringHead {
    fn from(scoring: ScoringArg) -> ScoringHead {
        match scoring {
            ScoringArg::Mean => ScoringHead::Mean,
            ScoringArg::Sum => ScoringHead::Sum,
            ScoringArg::Top8 => ScoringHead::TOP,
        }
    }
}

impl From<ConnectionsArg> for Connections {
    fn from(connections: ConnectionsArg) -> Connections {
        match connections {
            ConnectionsArg::On => Connections::Judged,
            ConnectionsArg::Off => Connections::Ignored,
        }
    }
}

/// Says what was learned, and what to expect of it.
pub fn report(learned: &Learned, console: &Console) {
    warn_of(&learned.captures, console);
    say_skipped(&learned.skipped, &learned.captures, console);
    let Bundle { training_summary, judge, detectors, .. } = &learned.bundle;
    let packets = counted(training_summary.packets, "packet");
    console.say(format_args!(
        "learned {} from {packets}: {} to train on{}",
        detectors.set().to_string().replace(',', ", "),
        counted(training_summary.training_windows as u64, "window"),
        course(training_summary),
    ));
    let threshold = judge.packet_threshold();
    let held_back = counted(threshold.calibrated_on as u64, "held-back packet");
    let percent = |share: f64| format!("{} %", share * 100.0);
    let parts = match judge.connection() {
        Some(_) => ", half of it for packets by themselves, half for connections",
        None => "",
    };
    console.say(format_args!(
        "calibrated on {held_back} for a false-alarm rate of {}{parts}; the validation packets gave {:.2} %",
        percent(judge.rate().share()),
        training_summary.validation_alarm_rate * 100.0
    ));
    if !threshold.promises_rate() {
        console.warn(format_args!(
            "{held_back} cannot promise a false-alarm rate of {}, which takes {}: an alert is what exceeds them all",
            percent(judge.rate().share()),
            threshold.needed()
        ));
    }
}

/// How the training of the autoencoder went, if there is one.
fn course(training_summary: &TrainingSummary) -> String {
    let Some(best) = training_summary.history.best_epoch() else { return String::new() };
    let epochs = counted(training_summary.history.epochs.len() as u64, "epoch");
    format!(", {epochs}, validation error {:.5}", best.validation)
}
