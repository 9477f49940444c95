//! A second look at the captures of a detection: the bytes of alerts, and which of them mattered.

use std::path::PathBuf;

use pcapae::capture::Captures;
use pcapae::explain::{Aim, Composite, ExplainedWindow, Method, explain_windows};
use pcapae::monitor::{Bundle, Detection, Evidence, PacketSink};
use pcapae::report::packets_to_show;

use crate::progress::Console;

/// Why there are no bytes where something was read that cannot be read again.
const NOT_FILES: &str = "No bytes are shown: they would have to be read again, and not all captures are files.";
/// Why there are none where files changed.
const CHANGED: &str = "No bytes are shown: the captures changed while they were read.";

/// The bytes of alerts, or why there are none; `each` takes every packet.
pub fn evidence(
    bundle: &Bundle,
    detection: &Detection,
    captures: &[PathBuf],
    each: &mut PacketSink<'_>,
    console: &Console,
) -> pcapae::Result<Result<Evidence, &'static str>> {
    // Not even opened: a pipe with a name may wait for somebody to write into it.
    if captures.iter().any(|path| !path.is_file()) {
        return Ok(Err(NOT_FILES));
    }
    let captures = Captures::open(captures)?;
    if captures.total_bytes().is_none() {
        return Ok(Err(NOT_FILES));
    }
    let window_size = bundle.detectors.model.as_ref().map_or(0, |model| model.config().window_size());
    let evidence = bundle.evidence(captures, &packets_to_show(&detection.events, window_size), each, console)?;
    Ok(if evidence.sources == detection.captures.sources { Ok(evidence) } else { Err(CHANGED) })
}

/// What mattered to the autoencoder in those of them that are to be explained; nothing where there is no autoencoder.
pub fn explained<'a>(
    bundle: &Bundle,
    evidence: Option<&'a Evidence>,
    console: &Console,
) -> pcapae::Result<Vec<ExplainedWindow<'a>>> {
    let Some((model, evidence)) = bundle.detectors.model.as_ref().zip(evidence) else { return Ok(vec![]) };
    let method = Method::Lrp(Composite::default());
    explain_windows((model, bundle.cutting.mode), evidence, (&Aim::Score, &method), console)
}
