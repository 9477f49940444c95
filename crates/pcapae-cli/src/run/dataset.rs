//! `pcapae dataset`: captures to fragments in an HDF5 file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pcapae::capture::Captures;
use pcapae::dataset::{Built, Description, Layout, build};
use pcapae::fragment::{Cutting, FragmentSize, Mode, Semantics, Shape};
use pcapae::label::Label;

use super::input::{counted, labels, output, say_skipped, warn_of};
use crate::args::{DatasetArgs, LabelArg, LayoutArg};
use crate::progress::Console;

/// Extensions that do not become part of a dataset's name.
const ENDINGS: [&str; 7] = ["gz", "zst", "lz4", "pcap", "pcapng", "cap", "txt"];

/// Builds the dataset beside its destination, then moves it there.
pub fn run(args: DatasetArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let mode = Mode::from(args.cutting.mode);
    let shape = if args.cutting.one_d { Shape::Line } else { Shape::Square };
    let size = FragmentSize::new(args.cutting.fragment_size, shape)?;
    let semantics = if args.compat { Semantics::Compat } else { Semantics::Complete };
    let name = match &args.name {
        Some(name) => checked_name(name)?,
        None => name_of(&args.input.captures[0]),
    };
    let path = if args.output.is_dir() { args.output.join(format!("{name}.h5")) } else { args.output.clone() };
    let layout = match args.layout {
        LayoutArg::Arrays => Layout::Arrays,
        LayoutArg::Original => Layout::Original,
    };
    let labels = labels(args.ground_truth.as_deref(), label_of_all(&args))?;
    if args.ground_truth.is_some() && (args.bad || args.label.is_some()) {
        console.warn("--labels is given, so --label is ignored");
    }
    let captures = Captures::open(&args.input.captures)?;
    let file = output(&path, args.force, args.input.captures.iter().chain(&args.ground_truth))?;
    let description = Description { name, cutting: Cutting { mode, size, semantics, mask: args.cutting.mask } };
    let built = build(captures, labels, &description, layout, file.path(), console)?;
    file.keep()?;
    console.clear();
    report(&built, mode, &path, console);
    Ok(ExitCode::SUCCESS)
}

/// The label of packets without a ground truth. The original has no unknown label: there they are normal.
fn label_of_all(args: &DatasetArgs) -> Label {
    match args.label {
        Some(LabelArg::Normal) => Label::Normal,
        Some(LabelArg::Anomaly) => Label::Anomalous,
        None if args.bad => Label::Anomalous,
        None if args.compat => Label::Normal,
        None => Label::Unknown,
    }
}

/// A name that can be that of a file.
fn checked_name(name: &str) -> pcapae::Result<String> {
    if !name.is_empty() && Path::new(name).file_name() == Some(name.as_ref()) {
        return Ok(name.to_owned());
    }
    Err(pcapae::Error::Setting {
        setting: "name",
        got: format!("{name:?}"),
        expected: "the name of a file, without folders".into(),
        remedy: Some("name the folder with -o".into()),
    })
}

/// A capture's file name without the extensions of captures and compressions, other dots replaced.
fn name_of(capture: &Path) -> String {
    let mut name = PathBuf::from(capture.file_name().unwrap_or_default());
    while name.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))) {
        name.set_extension("");
    }
    let name = name.to_string_lossy().trim_matches(['-', '.']).replace('.', "_");
    if name.is_empty() { "capture".into() } else { name }
}

fn report(built: &Built, mode: Mode, path: &Path, console: &Console) {
    warn_of(&built.captures, console);
    if built.counts.fragments == 0 {
        console.warn(format_args!("{} has no fragments", path.display()));
    }
    console.say(format_args!(
        "{}: {} ({} anomalous) from {} ({} anomalous)",
        path.display(),
        counted(built.counts.fragments, "fragment"),
        built.counts.anomalous_fragments,
        counted(built.counts.packets, "packet"),
        built.counts.anomalous_packets
    ));
    say_skipped(&built.skipped, &built.captures, console);
    if mode == Mode::Flow && built.skipped.total() == built.counts.packets && built.counts.packets > 0 {
        console.warn("no packet belongs to a TCP or UDP flow; byte and packet mode take any traffic");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_is_named_after_its_capture() {
        for (capture, name) in [
            ("/a/attack.pcap.zst", "attack"),
            ("b.2.PCAPNG", "b_2"),
            ("list.txt", "list"),
            ("-", "capture"),
            (".pcap", "pcap"),
        ] {
            assert_eq!(name_of(Path::new(capture)), name, "{capture}");
        }
    }

    #[test]
    fn a_name_has_no_folders() {
        assert!(checked_name("monday").is_ok());
        for name in ["", "a/b", "..", "/", "a/"] {
            assert!(checked_name(name).is_err(), "{name:?}");
        }
    }
}
