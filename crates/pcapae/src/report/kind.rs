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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::Alert;
    use crate::monitor::event::tests::{alert, events};

    #[test]
    fn a_kind_keeps_its_number_whatever_the_event() {
        let [one, other] = [[alert(1, 0, 1, 2)], [alert(9, 7, 3, 4)]].map(|alerts| events(alerts).remove(0));
        assert_eq!((kind_name(&one), signature_id(&one)), ("Novelty/pair".into(), signature_id(&other)));
        // Rules of collectors rest on this number: it must not change.
        assert_eq!(signature_id(&one), 1_210_966);
        assert_eq!(signature(&one), "pcapae: hosts that never spoke so");
    }

    #[test]
    fn what_is_new_for_several_reasons_is_worst() {
        let severity_of = |alerts: &[Alert]| severity(&events(alerts.iter().cloned())[0]);
        let score = |score: f32, mut alert: Alert| {
            alert.findings.iter_mut().for_each(|finding| finding.score = score);
            alert
        };
        let new: Vec<Alert> = (1..=4).map(|host| score(1.0, alert(u64::from(host), 0, 9, host))).collect();
        assert_eq!((severity_of(&new[..3]), severity_of(&new)), (2, 1));
        assert_eq!(severity_of(&[score(3.0, alert(1, 0, 1, 2))]), 1);
    }
}
