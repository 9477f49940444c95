//! What commands have in common: threads, labels, and what to say of what was read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pcapae::atomic_file::{AtomicFile, Existing};
use pcapae::capture::headers::{SkipCounts, SkipReason};
use pcapae::capture::{CaptureSummary, LinkType};
use pcapae::fragment::Mode;
use pcapae::label::{GroundTruth, Label, Labels};

use crate::args::{ModeArg, ThreadsArg};
use crate::progress::{Console, remove_if_stopped};

impl ThreadsArg {
    /// Gives all parallel work the wanted number of threads.
    pub fn apply(&self) -> anyhow::Result<()> {
        if let Some(threads) = self.threads {
            rayon::ThreadPoolBuilder::new().num_threads(threads.into()).build_global()?;
        }
        Ok(())
    }
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Mode {
        match mode {
            ModeArg::Byte => Mode::Byte,
            ModeArg::Packet => Mode::Packet,
            ModeArg::Flow => Mode::Flow,
        }
    }
}

/// What `--force` means for an output that exists.
fn if_exists(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Refuse }
}

/// Begins an output file; refuses to replace an input, even with `--force`.
pub fn output<'a>(
    path: &Path,
    force: bool,
    inputs: impl IntoIterator<Item = &'a PathBuf>,
) -> pcapae::Result<AtomicFile> {
    if let Ok(existing) = path.canonicalize()
        && inputs.into_iter().any(|input| input.canonicalize().is_ok_and(|input| input == existing))
    {
        return Err(pcapae::Error::OutputIsInput { path: path.to_owned() });
    }
    let file = AtomicFile::create(path, if_exists(force))?;
    remove_if_stopped(file.path());
    Ok(file)
}

/// `1 alert`, `2 alerts`.
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Labels from a ground-truth file, or `otherwise` for every packet.
pub fn labels(ground_truth: Option<&Path>, otherwise: Label) -> pcapae::Result<Labels> {
    Ok(match ground_truth {
        Some(path) => Labels::File(GroundTruth::open(path)?),
        None => Labels::All(otherwise),
    })
}

/// Warns of what was odd about the captures.
pub fn warn_of(summary: &CaptureSummary, console: &Console) {
    if summary.packets == 0 {
        console.warn("the captures hold no packets");
    }
    for warning in &summary.warnings {
        console.warn(warning);
    }
}

/// Says how many packets were skipped and why; warns where flow mode does not read their link type.
pub fn say_skipped(skipped: &SkipCounts, summary: &CaptureSummary, console: &Console) {
    for (reason, packets) in &skipped.0 {
        let sentence = format!("skipped: {}, {reason}", counted(*packets, "packet"));
        if *reason == SkipReason::LinkType {
            let types: BTreeSet<LinkType> =
                summary.sources.iter().flat_map(|source| source.link_types.keys().copied()).collect();
            let types: Vec<String> = types.iter().map(LinkType::to_string).collect();
            console.warn(format_args!("{sentence}; the captures' link types are {}", types.join(", ")));
        } else {
            console.say(sentence);
        }
    }
}
