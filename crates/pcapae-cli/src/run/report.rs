//! `pcapae report`: new captures to a page for the browser.

use std::process::ExitCode;

use pcapae::bundle::Bundle;
use pcapae::capture::Captures;
use pcapae::label::Label;
use pcapae::report::{Evidence, events};

use super::input::{counted, labels, output, say_left_out, warn_of};
use super::{html_report, second_look};
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
    let exhibits = second_look::exhibits(&bundle, (&detection, &events), &args.input.captures, talk)?;
    let explained = second_look::explained(&bundle, exhibits.as_ref().ok(), talk)?;
    let evidence = match &exhibits {
        Ok(exhibits) => Evidence::Shown(exhibits, &explained),
        Err(why) => Evidence::NotKept(why),
    };
    html_report::write(file, (&bundle, &args.bundle), (&detection, &events), evidence, talk)?;
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
