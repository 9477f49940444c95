//! Explaining an alert of `detect`: all its packets together.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use pcapae::capture::Captures;
use pcapae::explain::{Aim, ExplainedWindow, Target, explain_windows, joined_fields};
use pcapae::label::{Label, Labels};
use pcapae::model::Autoencoder;
use pcapae::monitor::{Bundle, Detection, Event, Evidence, Keep, Wanted};
use pcapae::report::{alert_explanation_json, timestamp};
use pcapae::{Error, Result};

use super::detector::CodeDetector;
use super::settings::{Form, method};
use super::shown::Shown;
use crate::args::{ExplainArgs, TargetArg};
use crate::progress::Console;
use crate::run::input::{counted, output, warn_of};

/// Finds the alert again, reads its packets, explains them, and shows or writes what came of it.
pub(super) fn run(args: &ExplainArgs, number: usize, console: &Console) -> anyhow::Result<ExitCode> {
    let form = args.output.as_deref().map(Form::of).transpose()?;
    let method = method(args)?;
    check_inputs(args)?;
    let model = args.model.load()?;
    let bundle = Bundle::open(&args.model.path)?;
    let captures = Captures::open(&args.inputs)?;
    let file = match &args.output {
        Some(place) => Some(output(place, args.force, args.inputs.iter().chain([&args.model.path]))?),
        None => None,
    };
    let detector = detector(args, &model, &bundle)?;
    let aim = match (&args.target, &detector) {
        (TargetArg::Score, _) => Aim::Score,
        (TargetArg::Code(entry), _) => Aim::Target(Target::Code { entry: *entry }),
        (TargetArg::Detector(_), Some(detector)) => Aim::Target(detector.target()),
        (TargetArg::Brightest | TargetArg::Detector(_), _) => Aim::Target(Target::Brightest),
    };
    let detection = bundle.detect(captures, Labels::All(Label::Unknown), Keep::Packets, console)?;
    let event = chosen(&detection.events, number)?;
    let packets = strongest(event, &detection, args.packets.get());
    let evidence = evidence(&bundle, args, &packets, &detection, console)?;
    let windows = explain_windows((&model, bundle.cutting.mode), &evidence, (&aim, &method), console)?;
    console.clear();
    warn_of(&detection.captures, console);
    let peak = peak(&windows, event).ok_or_else(|| changed(args))?;
    let fields = joined_fields(&windows);
    let mut remarks = remarks(event, &packets);
    remarks.extend(detector.iter().map(CodeDetector::remark));
    let mut json = alert_explanation_json(event, &packets, &windows, &fields);
    json["remarks"] = remarks.clone().into();
    json["model"] = args.model.path.display().to_string().into();
    json["captures"] = args.inputs.iter().map(|path| path.display().to_string()).collect();
    let shown = Shown {
        headline: headline(event, peak),
        remarks,
        explanation: &peak.explanation,
        window: &peak.window.bytes,
        frames: (0..peak.window.segments.len()).map(|frame| frame_name(peak, frame)).collect(),
        frame: peak.window.fragment,
        fields: &fields,
        packets_together: true,
        top: args.top,
    };
    shown.deliver(args, file.zip(form), &json, console)?;
    Ok(ExitCode::SUCCESS)
}

/// The detector whose score is to be explained, with a usual code where it needs one: that of the bundle's normal fragments.
fn detector(args: &ExplainArgs, model: &Autoencoder, bundle: &Bundle) -> Result<Option<CodeDetector>> {
    let TargetArg::Detector(path) = &args.target else { return Ok(None) };
    let detector = CodeDetector::open(path, model, &args.model.path)?;
    if !detector.is_sampled() {
        return Ok(Some(detector));
    }
    match &bundle.normal {
        Some(normal) => Ok(Some(detector.with_usual(&normal.codes(model), "normal fragments in the bundle"))),
        None => Err(Error::Setting {
            setting: "target",
            got: format!("detector:{}", path.display()),
            expected: "a detector whose score has a closed form: others are sampled from normal fragments, and the bundle keeps none"
                .into(),
            remedy: Some("learn again without --normal-fragments 0".into()),
        }),
    }
}

/// Refuses standard input, which cannot be read twice.
fn check_inputs(args: &ExplainArgs) -> Result<()> {
    if args.inputs.iter().all(|input| input != Path::new("-")) {
        return Ok(());
    }
    Err(Error::Setting {
        setting: "capture",
        got: "-".into(),
        expected: "captures that can be read twice".into(),
        remedy: Some("write standard input to a file first".into()),
    })
}

/// The event of this number.
fn chosen(events: &[Event], number: usize) -> Result<&Event> {
    events.iter().find(|event| event.number == number).ok_or_else(|| Error::Setting {
        setting: "alert",
        got: number.to_string(),
        expected: match events.len() {
            0 => "one that detect raises, and it raises none in these captures".into(),
            1 => "1, the only one that detect raises in these captures".into(),
            count => format!("1 to {count}, the numbers that detect gives in these captures"),
        },
        remedy: None,
    })
}

/// At most `most` of the event's packets: the strongest.
fn strongest(event: &Event, detection: &Detection, most: usize) -> BTreeSet<u64> {
    let records = detection.records.as_ref();
    let score = |packet: &u64| records.and_then(|records| records.strengths.get(*packet)).unwrap_or_default();
    let mut packets = event.packets.clone();
    packets.push(event.peak.packet);
    packets.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
    packets.dedup();
    packets.into_iter().take(most).collect()
}

/// The packets' bytes and windows; refused where the captures changed in between.
fn evidence(
    bundle: &Bundle,
    args: &ExplainArgs,
    packets: &BTreeSet<u64>,
    detection: &Detection,
    console: &Console,
) -> Result<Evidence> {
    let wanted = Wanted::all(packets.clone());
    let evidence = bundle.evidence(Captures::open(&args.inputs)?, &wanted, &mut |_| Ok(()), console)?;
    if evidence.sources == detection.captures.sources { Ok(evidence) } else { Err(changed(args)) }
}

fn changed(args: &ExplainArgs) -> Error {
    Error::Setting {
        setting: "capture",
        got: args.inputs.iter().map(|input| input.display().to_string()).collect::<Vec<_>>().join(", "),
        expected: "files that stay the same while they are read twice".into(),
        remedy: None,
    }
}

/// The window with the highest score of those that judged the event's strongest packet.
fn peak<'a, 'w>(windows: &'a [ExplainedWindow<'w>], event: &Event) -> Option<&'a ExplainedWindow<'w>> {
    let of_peak = |explained: &&ExplainedWindow| explained.window.packets().any(|packet| packet == event.peak.packet);
    windows.iter().filter(of_peak).max_by(|a, b| a.window.score.total_cmp(&b.window.score))
}

/// What is explained, in one line.
fn headline(event: &Event, peak: &ExplainedWindow<'_>) -> String {
    let packets = match (event.packets.first(), event.packets.last()) {
        (Some(first), Some(last)) if first != last => format!("packets {first}-{last}"),
        _ => format!("packet {}", event.peak.packet),
    };
    let explanation = &peak.explanation;
    format!(
        "alert {} ({packets}), packet {}: {} {:.6}, {}",
        event.number, event.peak.packet, explanation.target, explanation.target_value, explanation.rule
    )
}

/// When, who, and how far the relevance is the whole story.
fn remarks(event: &Event, packets: &BTreeSet<u64>) -> Vec<String> {
    let conversation = &event.peak.conversation;
    let mut remarks = vec![format!(
        "{}, {} to {}, {}{}: {}",
        timestamp(event.first_ns),
        conversation.source,
        conversation.destination,
        conversation.protocol,
        conversation.service.map_or_else(String::new, |service| format!(" {service}")),
        event.reason,
    )];
    let share = |(name, share): &(&str, f64)| format!("{} {:.0} %", name, share * 100.0);
    let shares: Vec<String> = event.peak.shares().iter().map(share).collect();
    remarks.push(format!("shares in the alert: {}; relevance is in what the autoencoder says", shares.join(", ")));
    if (packets.len() as u64) < event.packet_count {
        let all = event.packet_count;
        remarks.push(format!("explained are {} of {all}, the strongest", counted(packets.len() as u64, "packet")));
    }
    remarks
}

fn frame_name(explained: &ExplainedWindow<'_>, frame: usize) -> String {
    let segments = &explained.window.segments[frame];
    match (segments.first(), segments.last()) {
        (Some(first), Some(last)) if first.packet != last.packet => {
            format!("packets {}-{}", first.packet, last.packet)
        }
        (Some(first), _) => format!("packet {}", first.packet),
        _ => format!("frame {}", frame + 1),
    }
}
