//! What an event is, for programs: names and numbers that stay the same.

use twox_hash::XxHash3_64;

use crate::detectors::Margin;
use crate::monitor::Event;

/// The first of the numbers that Suricata leaves to rules of one's own.
const SIGNATURE_IDS: u64 = 1_000_000;

/// Detector and aspect: `Novelty/binding`.
pub(super) fn kind_name(event: &Event) -> String {
    let (detector, aspect) = event.kind();
    format!("{detector}/{}", aspect.name)
}

/// A number that is the same for all events of a kind, and in all versions.
pub(super) fn signature_id(event: &Event) -> u64 {
    SIGNATURE_IDS + XxHash3_64::oneshot(kind_name(event).as_bytes()) % SIGNATURE_IDS
}

/// What all events of a kind have in common, in a few words.
pub(super) fn signature(event: &Event) -> String {
    format!("pcapae: {}", event.kind().1.title)
}

/// 1 is the worst of three: something new with several reasons, or far above a limit. 2 is something new, or well above a limit.
pub(super) fn severity(event: &Event) -> u8 {
    let is_new = event.kind().1.margin == Margin::SecondHighest;
    let (strength, causes) = (event.peak.strength(), event.causes.len());
    match () {
        () if is_new && causes >= 4 || strength >= 4.0 => 1,
        () if is_new || strength >= 2.0 => 2,
        () => 3,
    }
}
