//! What the user reads when something fails, and how the program exits.

use std::io::Write;
use std::process::ExitCode;

use pcapae::Error;
use pcapae::error::{Fault, FileKind, Place, Problem};

/// Exit code of a failure: bad input, a full disk, an interruption.
pub const REFUSED: u8 = 1;
/// Exit code of `detect --fail-on-alert` where there is an alert. 2 is clap's, for wrong usage.
pub const ALERTS: u8 = 3;

/// Writes the error and its hint to standard error.
pub fn explain(error: &anyhow::Error) -> ExitCode {
    let mut console = anstream::stderr();
    // If standard error is closed, nobody can be told.
    let _ = writeln!(console, "\x1b[1;31merror\x1b[0m: {error}");
    let hint = error.chain().find_map(|cause| hint(cause.downcast_ref()?));
    if let Some(hint) = hint {
        let _ = writeln!(console, "\x1b[1;36mhint\x1b[0m: {hint}");
    }
    ExitCode::from(REFUSED)
}

/// What the user can do about an error, as one sentence, where that is known.
fn hint(error: &Error) -> Option<String> {
    let known = match error {
        Error::Setting { setting, remedy, .. } => {
            let options = options_for(setting).map_or_else(String::new, |options| format!(" ({options})"));
            return remedy.as_ref().map(|remedy| format!("{remedy}{options}"));
        }
        Error::Unevaluable { remedy, .. } => return remedy.clone(),
        Error::Unreadable { kind, fault, .. } => return hint_for_file(*kind, fault).map(str::to_owned),
        Error::Exists { .. } => "give --force to replace it",
        Error::GroundTruthShort { .. } | Error::GroundTruthLong { .. } => {
            "a ground truth has one row per packet, in file order, without a header"
        }
        Error::NoThreshold { .. } => {
            "give more scores of normal traffic, or another --threshold, such as conformal:0.001"
        }
        Error::TooLittle { .. } => "give longer captures, or more of them",
        Error::OtherSetting { .. } => {
            "a resumed training keeps its own settings; only --epochs and --patience may change"
        }
        Error::TrainingExists { .. } => "give --resume to go on with it, or --force to replace it",
        Error::LossNotFinite { .. } => {
            "try a smaller learning rate (--learning-rate) or a smaller gradient norm (--clip)"
        }
        _ => return None,
    };
    Some(known.to_owned())
}

/// The options that change a setting of the library.
fn options_for(setting: &str) -> Option<&'static str> {
    Some(match setting {
        "fragment size" => "--one-d",
        "detectors" => "--mode packet, --detectors",
        "n_components" => "--components",
        "perplexity" => "--perplexity, --method pca",
        "kernel" => "--no-inverse, --ridge",
        _ => return None,
    })
}

fn hint_for_file(kind: FileKind, fault: &Fault) -> Option<&'static str> {
    let missing = |name: &str| fault.problem == Problem::Missing && fault.places == [Place::Entry(name.to_owned())];
    Some(match kind {
        FileKind::Capture if fault.places == [Place::Entry("version".to_owned())] => {
            "convert it with `editcap -F pcap`"
        }
        FileKind::Capture => {
            "a capture is a pcap or pcapng file, plain or compressed with gzip, zstd or lz4, or a text file that lists some"
        }
        FileKind::Dataset | FileKind::Samples => "datasets are made by `pcapae dataset`",
        FileKind::Codes => "codes are made by `pcapae encode`",
        FileKind::Scores => {
            "scores are CSV with a header and at least the column score, as `pcapae detect --scores` writes"
        }
        FileKind::GroundTruth if fault.places.first() == Some(&Place::Row(1)) => "a ground truth has no header",
        FileKind::Blueprint => {
            "a blueprint is YAML: the name of one detector, and below it its parameters, a line each"
        }
        FileKind::Plan => "GUIDE.md says how a plan is written; plans/ has some",
        FileKind::Detector => "detectors are made by `pcapae fit`",
        FileKind::Reducer => "reducers are made by `pcapae reduce` with --save",
        FileKind::Bundle => "bundles are made by `pcapae learn`; those of another version must be learned again",
        FileKind::Model if missing("number of frames") => "say how many frames the model was trained with (--frames)",
        FileKind::Model if missing("model") => "learn again with --explainer on",
        _ => return None,
    })
}
