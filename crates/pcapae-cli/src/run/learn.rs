//! `pcapae learn`: captures of normal operation to a bundle.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use pcapae::Error;
use pcapae::calibration::MarginScales;
use pcapae::capture::Captures;
use pcapae::detectors::{Blueprint, Fitted, ScoringHead};
use pcapae::fragment::Mode;
use pcapae::model::{Autoencoder, Frames, ModelConfig, Side};
use pcapae::monitor::{DetectorPlan, Effort, Event, LearnConfig, Learned, LeftOut, TrainingSummary, learn};
use pcapae::report::timestamp;
use pcapae::train::TrainConfig;

use super::event_table::what;
use super::input::{counted, output, say_skipped, warn_of};
use crate::args::{LearnArgs, ModelArgs, ScoringArg, SwitchArg};
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
            None => DetectorPlan::defaults(),
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
        explain: args.explainer.map_or(args.detectors.is_none(), |explainer| explainer == SwitchArg::On),
        training: TrainConfig {
            batch: args.batch as usize,
            learning_rate: args.learning_rate,
            seed: args.seed,
            ..defaults.training
        },
        effort: args.epochs.map_or(defaults.effort, |epochs| Effort::Epochs(epochs as usize)),
        margin: MarginScales::new(args.margin)?,
        exclude: args.exclude.clone(),
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

/// Says what was learned, what of it would have been alerts, and what to expect.
pub fn report(learned: &Learned, console: &Console) {
    warn_of(&learned.captures, console);
    say_skipped(&learned.skipped, &learned.captures, console);
    let summary = &learned.bundle.training_summary;
    let excluded = match summary.excluded {
        0 => String::new(),
        excluded => format!(", {} excluded", counted(excluded, "packet")),
    };
    console.say(format_args!(
        "learned {} from {}{excluded}{}",
        learned.bundle.detectors,
        counted(summary.packets, "packet"),
        course(summary)
    ));
    say_left_out(learned, console);
}

/// Tells the events of the left-out test, and what they do to the limits.
fn say_left_out(learned: &Learned, console: &Console) {
    const SHOWN: usize = 20;
    let events = &learned.left_out.events;
    let hours = learned.left_out.seconds / 3600.0;
    console.say(format_args!(
        "left out block by block, the learned traffic itself raises {} in {hours:.2} hours{}",
        counted(events.len() as u64, "event"),
        if events.is_empty() { "" } else { ", now normal:" }
    ));
    for event in events.iter().take(SHOWN) {
        let time = timestamp(event.first_ns).replace('T', " ").chars().take(19).collect::<String>();
        let packets = counted(event.packet_count, "packet");
        console.say(format_args!("  {:>3}  {time}  {} ({packets}){}", event.number, what(event), cost(learned, event)));
    }
    if events.len() > SHOWN {
        console.say(format_args!("  … and {} more", events.len() - SHOWN));
    }
    if !events.is_empty() {
        console.say(format_args!("if one of these was not normal, learn again without it"));
    }
    if hours < 1.0 {
        console.warn(format_args!(
            "{:.0} minutes of traffic do not show what an hour or a day brings: expect false events until more is learned",
            hours * 60.0
        ));
    }
}

/// The limit that an event raises most.
fn cost(learned: &Learned, event: &Event) -> String {
    let raised = LeftOut::raised_limits(event, &learned.bundle.decision, &learned.bundle.detectors);
    let most = raised.iter().max_by(|(a, x), (b, y)| (x - a.limit.threshold).total_cmp(&(y - b.limit.threshold)));
    most.map_or_else(String::new, |(finding, limit)| {
        let before = finding.limit.threshold;
        format!(": raises a limit of {}/{} from {before:.1} to {limit:.1}", finding.detector, finding.aspect.name)
    })
}

/// How the training of the autoencoder went, if there is one.
fn course(training_summary: &TrainingSummary) -> String {
    let Some(best) = training_summary.history.best_epoch() else { return String::new() };
    let epochs = counted(training_summary.history.epochs.len() as u64, "epoch");
    format!(", {epochs}, validation error {:.5}", best.validation)
}
