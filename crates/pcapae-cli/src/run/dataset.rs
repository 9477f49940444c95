//! `pcapae dataset`: captures to fragments in an HDF5 file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pcapae::capture::Captures;
use pcapae::dataset::{Built, Description, Layout, build};
use pcapae::fragment::{Cutting, FragmentSize, Mode, Semantics, Shape};
use pcapae::label::Label;
use pcapae::whole_file::WholeFile;

use super::input::{existing, labels, say_left_out, warn_of};
use crate::args::{DatasetArgs, LabelArg, LayoutArg};
use crate::progress::Talk;

/// Builds the dataset, then puts it in its place.
pub fn run(args: DatasetArgs, talk: &Talk) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let mode = Mode::from(args.cutting.mode);
    let shape = if args.cutting.one_d { Shape::Line } else { Shape::Square };
    let size = FragmentSize::new(args.cutting.fragment_size, shape)?;
    let semantics = if args.compat { Semantics::Compat } else { Semantics::Complete };
    let name = args.name.clone().unwrap_or_else(|| name_of(&args.input.captures[0]));
    let place = if args.output.is_dir() { args.output.join(format!("{name}.h5")) } else { args.output.clone() };
    let layout = match args.layout {
        LayoutArg::Arrays => Layout::Arrays,
        LayoutArg::Original => Layout::Original,
    };
    let labels = labels(args.ground_truth.as_deref(), label_of_all(&args))?;
    if args.ground_truth.is_some() && (args.bad || args.label.is_some()) {
        talk.warn("the ground truth goes before --label, which is not used");
    }
    let captures = Captures::open(&args.input.captures)?;
    let file = WholeFile::create(&place, existing(args.force))?;
    let description = Description { name, cutting: Cutting { mode, size, semantics } };
    let built = build(captures, labels, &description, layout, file.path(), talk)?;
    file.keep()?;
    talk.clear();
    report(&built, mode, &place, talk);
    Ok(ExitCode::SUCCESS)
}

/// The label of packets without a ground truth. The original knows no unknown: there they are normal.
fn label_of_all(args: &DatasetArgs) -> Label {
    match args.label {
        Some(LabelArg::Normal) => Label::Normal,
        Some(LabelArg::Anomaly) => Label::Anomalous,
        None if args.bad => Label::Anomalous,
        None if args.compat => Label::Normal,
        None => Label::Unknown,
    }
}

/// A capture's file name without its endings, dots replaced.
fn name_of(capture: &Path) -> String {
    let stem = PathBuf::from(capture.file_stem().unwrap_or("capture".as_ref()));
    let name = stem.to_string_lossy().trim_matches(['-', '.']).replace('.', "_");
    if name.is_empty() { "capture".into() } else { name }
}

fn report(built: &Built, mode: Mode, place: &Path, talk: &Talk) {
    warn_of(&built.captures, talk);
    if built.tally.fragments == 0 {
        talk.warn(format_args!("{} holds no fragment at all", place.display()));
    }
    talk.say(format_args!(
        "{}: {} fragments ({} anomalous) from {} packets ({} anomalous)",
        place.display(),
        built.tally.fragments,
        built.tally.anomalous_fragments,
        built.tally.packets,
        built.tally.anomalous_packets
    ));
    say_left_out(&built.left_out, &built.captures, talk);
    if mode == Mode::Flow && built.left_out.total() == built.tally.packets && built.tally.packets > 0 {
        talk.warn("no packet belongs to a TCP or UDP conversation; byte and packet mode take any traffic");
    }
}
