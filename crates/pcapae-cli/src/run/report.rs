//! `pcapae report`: new captures to a page for the browser.

use std::process::ExitCode;

use pcapae::capture::Captures;
use pcapae::label::Label;
use pcapae::monitor::{Bundle, Keep};
use pcapae::report::ReportEvidence;

use super::input::{counted, labels, output, say_skipped, warn_of};
use super::{html_report, second_look};
use crate::args::ReportArgs;
use crate::progress::Console;

/// Scores the captures and writes the page.
pub fn run(args: &ReportArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let bundle = Bundle::open(&args.bundle)?;
    let labels = labels(args.ground_truth.as_deref(), Label::Unknown)?;
    let captures = Captures::open(&args.input.captures)?;
    let inputs = args.input.captures.iter().chain(&args.ground_truth).chain([&args.bundle]);
    let file = output(&args.output, args.force, inputs)?;
    let detection = bundle.detect(captures, labels, Keep::Packets, console)?;
    let evidence = second_look::evidence(&bundle, &detection, &args.input.captures, &mut |_| Ok(()), console)?;
    let explained = second_look::explained(&bundle, evidence.as_ref().ok(), console)?;
    let evidence = match &evidence {
        Ok(evidence) => ReportEvidence::Shown(evidence, &explained),
        Err(why) => ReportEvidence::NotKept(why),
    };
    html_report::write(file, (&bundle, &args.bundle), &detection, evidence, console)?;
    console.clear();
    warn_of(&detection.captures, console);
    say_skipped(&detection.skipped, &detection.captures, console);
    console.say(format_args!(
        "{}: {} among {}",
        args.output.display(),
        counted(detection.events.len() as u64, "event"),
        counted(detection.packets, "packet"),
    ));
    Ok(ExitCode::SUCCESS)
}
