//! `pcapae report`: new captures to a page for the browser.

use std::process::ExitCode;

use pcapae::bundle::Bundle;
use pcapae::capture::Captures;
use pcapae::label::Label;
use pcapae::report::events;

use super::html_report::Reported;
use super::input::{counted, labels, output, say_left_out, warn_of};
use crate::args::ReportArgs;
use crate::progress::Talk;

/// Scores the captures and writes the page.
pub fn run(args: &ReportArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let bundle = Bundle::open(&args.bundle)?;
    let labels = labels(args.ground_truth.as_deref(), Label::Unknown)?;
    let captures = Captures::open(&args.input.captures)?;
    let inputs = args.input.captures.iter().chain(&args.ground_truth).chain([&args.bundle]);
    let file = output(&args.output, args.force, inputs)?;
    let detection = bundle.detect(captures, labels, talk)?;
    let events = events(detection.alerts());
    let report = Reported { bundle: (&bundle, &args.bundle), detection: &detection, events: &events };
    report.write(file, &args.input.captures, talk)?;
    talk.clear();
    warn_of(&detection.captures, talk);
    say_left_out(&detection.left_out, &detection.captures, talk);
    talk.say(format_args!(
        "{}: {} among {}",
        args.output.display(),
        counted(events.len() as u64, "event"),
        counted(detection.packets.len() as u64, "packet"),
    ));
    Ok(ExitCode::SUCCESS)
}
