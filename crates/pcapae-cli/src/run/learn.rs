//! `pcapae learn`: captures of normal operation to a bundle.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use pcapae::Error;
use pcapae::calibration::{Connections, FalseAlarmRate};
use pcapae::capture::Captures;
use pcapae::detectors::{Blueprint, Fitted, ScoringHead};
use pcapae::fragment::Mode;
use pcapae::model::{Autoencoder, Frames, ModelConfig, Side};
use pcapae::monitor::{Bundle, DetectorPlan, Effort, LearnConfig, Learned, TrainingSummary, learn};
use pcapae::train::TrainConfig;

use super::input::{counted, output, say_skipped, warn_of};
use crate::args::{ConnectionsArg, LearnArgs, ModelArgs, ScoringArg};
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
    let defaults = LearnConfig::default();
    let frames = args.frames.map(|frames| Frames::try_from(usize::from(frames))).transpose()?;
    let trained =
        args.model.as_ref().map(|path| ModelArgs { path: path.clone(), frames: args.frames }.load()).transpose()?;
    let known = trained.as_ref().map(Autoencoder::trained_on).unwrap_or_default();
    let mode = args.mode.map(Mode::from).or(known.mode).unwrap_or(defaults.mode);
    let config = LearnConfig {
        mode,
        mask: args.mask.or(known.mask).unwrap_or(defaults.mask),
        detectors: match &args.detectors {
            Some(named) => named.iter().map(|named| plan(named.trim())).collect::<pcapae::Result<_>>()?,
            None => DetectorPlan::defaults(mode),
        },
        model: match &trained {
            Some(model) => *model.config(),
            None => {
                let side = Side::of_fragment_size(args.fragment_size.unwrap_or(defaults.model.side.fragment_size()))?;
                ModelConfig { frames: frames.unwrap_or_default(), head: args.loss.into(), ..ModelConfig::new(side) }
            }
        },
        trained,
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
    let size = config.model.side.fragment_size();
    if let Some(other) = args.fragment_size.filter(|other| *other != size) {
        return Err(Error::Setting {
            setting: "fragment size",
            got: other.to_string(),
            expected: format!("{size}, which the model takes"),
            remedy: Some("leave --fragment-size out: the model knows it".into()),
        });
    }
    config.check()?;
    Ok(config)
}

/// A detector by its name, or from the file of a blueprint or of a fitted detector.
fn plan(named: &str) -> pcapae::Result<DetectorPlan> {
    let path = Path::new(named);
    match named.parse() {
        Err(_) if path.is_file() && Fitted::is_recognised(path)? => {
            Ok(DetectorPlan::Fitted(Arc::new(Fitted::open(path)?)))
        }
        Err(_) if path.is_file() || path.extension().is_some() => Blueprint::open(path).map(DetectorPlan::Fit),
        parsed => parsed,
    }
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
            ConnectionsArg::On => Connections::Scored,
            ConnectionsArg::Off => Connections::Ignored,
        }
    }
}

/// Says what was learned, and what to expect of it.
pub fn report(learned: &Learned, console: &Console) {
    warn_of(&learned.captures, console);
    say_skipped(&learned.skipped, &learned.captures, console);
    let Bundle { training_summary, decision, detectors, .. } = &learned.bundle;
    let packets = counted(training_summary.packets, "packet");
    console.say(format_args!(
        "learned {} from {packets}: {} to train on{}",
        detectors,
        counted(training_summary.training_windows as u64, "window"),
        course(training_summary),
    ));
    let threshold = decision.packet_threshold();
    let held_back = counted(threshold.calibrated_on as u64, "held-back packet");
    let percent = |share: f64| format!("{} %", share * 100.0);
    let parts = match decision.connection() {
        Some(_) => ", half of it for packets by themselves, half for connections",
        None => "",
    };
    console.say(format_args!(
        "calibrated on {held_back} for a false-alarm rate of {}{parts}; the validation packets gave {:.2} %",
        percent(decision.rate().share()),
        training_summary.validation_alarm_rate * 100.0
    ));
    if !threshold.promises_rate() {
        console.warn(format_args!(
            "{held_back} cannot promise a false-alarm rate of {}, which takes {}: an alert is what exceeds them all",
            percent(decision.rate().share()),
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
