//! `pcapae detect`: new captures to alerts.

use std::process::ExitCode;

use pcapae::capture::Captures;
use pcapae::label::{Label, Labels, PacketLabels};
use pcapae::metrics::{EpisodeMeasures, Observation, Summary, episodes};
use pcapae::monitor::{Bundle, Detection, Event, Keep};
use pcapae::report::{ReportEvidence, event_json, scores_csv, summary_json, top_fields};

use super::alert_files::AlertFiles;
use super::evaluation_table::noticed;
use super::event_table::event_table;
use super::input::{counted, output, say_skipped, warn_of};
use super::{html_report, second_look};
use crate::args::DetectArgs;
use crate::failure::ALERTS;
use crate::progress::{Console, print};

/// Scores the captures and prints what exceeds the threshold.
pub fn run(args: DetectArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let bundle = Bundle::open(&args.bundle)?;
    let truth = args.ground_truth.as_deref().map(PacketLabels::open).transpose()?;
    let labels = truth.clone().map_or(Labels::All(Label::Unknown), Labels::of_packets);
    let captures = Captures::open(&args.input.captures)?;
    let inputs = || args.input.captures.iter().chain(&args.ground_truth).chain([&args.bundle]);
    let scores = args.scores.as_ref().map(|place| output(place, args.force, inputs())).transpose()?;
    let report = args.report.as_ref().map(|place| output(place, args.force, inputs())).transpose()?;
    let files = args.output.as_deref().map(|folder| AlertFiles::begin(folder, &args)).transpose()?;
    let keep = match truth.is_some() || scores.is_some() || report.is_some() {
        true => Keep::Packets,
        false => Keep::Events,
    };
    let detection = bundle.detect(captures, labels, keep, console)?;
    if let Some((file, records)) = scores.zip(detection.records.as_ref()) {
        file.write(&scores_csv(records)?)?;
    }
    let evidence = match report.is_some() || files.is_some() {
        true => second_look::evidence(&bundle, &detection, &args.input.captures, console)?,
        false => Err(""),
    };
    let explained = second_look::explained(&bundle, evidence.as_ref().ok(), console)?;
    let evidence = match &evidence {
        Ok(evidence) => ReportEvidence::Shown(evidence, &explained),
        Err(why) => ReportEvidence::NotKept(why),
    };
    if let Some(file) = report {
        html_report::write(file, (&bundle, &args.bundle), &detection, evidence, console)?;
    }
    console.clear();
    warn_of(&detection.captures, console);
    say_skipped(&detection.skipped, &detection.captures, console);
    warn_of_flood(&Summary::of(&detection), console);

    let attacks = truth
        .zip(detection.records.as_ref())
        .map(|(truth, records)| episodes(&Observation::of_detection(records, &detection.events, &truth)).1);
    let objects = objects(&bundle, &detection, evidence);
    if let Some(files) = files {
        files.write(&objects, &detection)?;
    }
    let printed = match args.json {
        true => json_lines(objects, &detection, attacks.as_ref()),
        false => text(&detection, attacks.as_ref(), args.top),
    };
    print(&printed)?;
    let alerts = args.fail_on_alert && !detection.events.is_empty();
    Ok(if alerts { ExitCode::from(ALERTS) } else { ExitCode::SUCCESS })
}

/// Where most of the traffic raises alerts, an attack is only one of the reasons that come to mind.
fn warn_of_flood(summary: &Summary, console: &Console) {
    const FEW: u64 = 100;
    if summary.packets >= FEW && summary.alerts > summary.packets / 2 {
        console.warn(format_args!(
            "{} of {} packets raise alerts: if that is no attack, this is no longer the network that was learned, as after a change of hardware; learn again from its normal traffic, or without addresses by --mask volatile,addresses",
            summary.alerts, summary.packets
        ));
    }
}

/// The events as JSON, with the fields that mattered where there was a second look.
fn objects(bundle: &Bundle, detection: &Detection, evidence: ReportEvidence<'_>) -> Vec<String> {
    let object = |event: &Event| {
        let fields = match evidence {
            ReportEvidence::Shown(evidence, explained) => Some(top_fields(event, evidence, explained)),
            ReportEvidence::NotKept(_) => None,
        };
        event_json(event, &bundle.id, &detection.captures, fields.as_deref()).to_string()
    };
    detection.events.iter().map(object).collect()
}

fn json_lines(mut lines: Vec<String>, detection: &Detection, attacks: Option<&EpisodeMeasures>) -> String {
    lines.push(summary_json(&Summary::of(detection), attacks).to_string());
    lines.join("\n") + "\n"
}

/// The table of events and the numbers, as the user reads them.
pub fn text(detection: &Detection, attacks: Option<&EpisodeMeasures>, top: usize) -> String {
    let summary = Summary::of(detection);
    let mut text = String::new();
    let events = &detection.events;
    let mut shown: Vec<&Event> = events.iter().collect();
    shown.sort_by(|a, b| b.peak.strength().total_cmp(&a.peak.strength()));
    shown.truncate(top);
    shown.sort_by_key(|event| event.number);
    if !shown.is_empty() {
        text += &format!("{}\n", event_table(&shown));
    }
    if shown.len() < events.len() {
        text += &format!("… and {} weaker events (--top {} shows all)\n", events.len() - shown.len(), events.len());
    }
    text += &format!(
        "{}; {} of {} raise alerts\n",
        counted(summary.events, "event"),
        summary.alerts,
        counted(summary.packets, "packet"),
    );
    text += &metrics(&summary);
    text + &attacks.map_or(String::new(), |attacks| format!("  {}\n", noticed(attacks)))
}

/// The metrics where there are labels.
fn metrics(summary: &Summary) -> String {
    let Some(confusion) = summary.confusion else { return String::new() };
    let number = |value: Option<f64>| value.map_or("undefined".into(), |value| format!("{value:.3}"));
    let rate = confusion.false_positive_rate().map_or("undefined".into(), |rate| format!("{:.2} %", rate * 100.0));
    format!(
        "\n                 flagged   not flagged\n  anomalous {:>12} {:>13}\n  normal    {:>12} {:>13}\n\n  \
         precision {}   recall {}   F1 {}   false-positive rate {rate}\n  \
         area under the precision-recall curve {} (flagging everything: {})\n",
        confusion.true_positives,
        confusion.false_negatives,
        confusion.false_positives,
        confusion.true_negatives,
        number(confusion.precision()),
        number(confusion.recall()),
        number(confusion.f1()),
        number(summary.average_precision),
        number(confusion.base_rate()),
    )
}
