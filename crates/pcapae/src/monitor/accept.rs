//! What was accepted as normal after it had been an alert.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Bundle;
use crate::error::{Fault, FileKind, Place};
use crate::{Error, Result};

/// A longer line is no event.
const LINE_MAX: u64 = 16 << 20;

/// An event whose causes are normal from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// What was told of the event.
    pub event: String,
    /// Why it is accepted; empty where nobody said.
    pub reason: String,
    /// When it was accepted, in nanoseconds since 1970.
    pub time_ns: i64,
    /// Its causes.
    pub causes: Vec<AcceptedCause>,
}

/// A cause of alerts that is normal from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceptedCause {
    /// Detector and aspect: `Novelty/pair`.
    pub kind: String,
    /// The hash of the cause, as findings have it; 16 hexadecimal digits in files.
    #[serde(with = "hex")]
    pub cause: u64,
    /// Up to which score, in the detector's unit.
    #[serde(rename = "accept_up_to")]
    pub up_to: f32,
}

/// An event as `detect` wrote it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RaisedEvent {
    /// Its number.
    pub number: usize,
    /// The bundle that raised it.
    pub bundle: String,
    /// The reason in a sentence.
    pub reason: String,
    /// Its causes.
    pub causes: Vec<AcceptedCause>,
    /// Whether it has more than are listed.
    pub more_causes: bool,
}

#[derive(Deserialize)]
struct Line {
    pcapae: Option<RaisedEvent>,
}

/// The causes of these events, each with the score up to which it is normal.
pub(super) fn causes(accepted: &[Accepted]) -> impl Iterator<Item = (u64, f32)> + '_ {
    accepted.iter().flat_map(|event| &event.causes).map(|cause| (cause.cause, cause.up_to))
}

impl RaisedEvent {
    /// The events of a file that `detect` wrote, one JSON object a line; lines that are no events, as the summary, are left out.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line is not what `detect` writes.
    pub fn read_all(path: &Path) -> Result<Vec<RaisedEvent>> {
        let mut reader = BufReader::new(File::open(path).map_err(Error::io("open", path))?);
        let (mut events, mut line) = (Vec::new(), Vec::new());
        for number in 1.. {
            line.clear();
            reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line).map_err(Error::io("read", path))?;
            if line.is_empty() {
                break;
            }
            let parsed: Line = serde_json::from_slice(&line)
                .map_err(|error| FileKind::Alerts.unreadable(path)(Fault::parser(error).within(Place::Line(number))))?;
            events.extend(parsed.pcapae);
        }
        Ok(events)
    }
}

impl Bundle {
    /// Takes the causes of an event as normal from now on, up to the scores they had and a margin.
    ///
    /// # Errors
    ///
    /// Another bundle raised the event, it was accepted already, or not all of its causes are listed.
    pub fn accept(&mut self, event: &RaisedEvent, reason: &str, time_ns: i64) -> Result<()> {
        let refuse = |got: String, expected: String, remedy: &str| {
            Err(Error::Setting { setting: "event", got, expected, remedy: Some(remedy.into()) })
        };
        if event.bundle != self.id || self.id.is_empty() {
            return refuse(
                format!("{}, which the bundle {:?} raised", event.number, event.bundle),
                format!("an event that this bundle, {:?}, raised", self.id),
                "detect again with this bundle, or accept with the one that raised it",
            );
        }
        if event.more_causes {
            return refuse(
                format!("{}, which has more causes than are listed", event.number),
                format!("an event of at most {} causes", super::CAUSES_LISTED),
                "learn the traffic, if all of it is normal",
            );
        }
        if event.causes.is_empty() {
            return refuse(
                format!("{}, without a cause", event.number),
                "an event as detect writes it".into(),
                "detect again",
            );
        }
        if event.causes.iter().all(|cause| self.decision.accepts(cause.cause, cause.up_to)) {
            return refuse(
                format!("{}", event.number),
                "an event that is not accepted already".into(),
                "list what is accepted",
            );
        }
        let causes = event.causes.clone();
        causes.iter().for_each(|cause| self.decision.accept(cause.cause, cause.up_to));
        self.accepted.push(Accepted { event: event.reason.clone(), reason: reason.to_owned(), time_ns, causes });
        Ok(())
    }

    /// Takes back what was accepted, by its place from 1.
    ///
    /// # Errors
    ///
    /// There is none of that place.
    pub fn revoke(&mut self, place: usize) -> Result<Accepted> {
        if place == 0 || place > self.accepted.len() {
            return Err(Error::Setting {
                setting: "accepted event",
                got: place.to_string(),
                expected: format!("1 to {}", self.accepted.len()),
                remedy: None,
            });
        }
        let revoked = self.accepted.remove(place - 1);
        self.decision.accept_only(causes(&self.accepted));
        Ok(revoked)
    }
}

/// A hash as 16 hexadecimal digits, which survive programs that read numbers as floats.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{hash:016x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Captures, LinkType, Packet, PcapNgWriter};
    use crate::label::{Label, Labels};
    use crate::monitor::{DetectorPlan, Keep, LearnConfig, learn};

    /// A capture of 400 frames between two hosts, and at the end one from `stranger`, if any.
    fn captures(stranger: Option<u8>) -> Captures {
        let mut file = Vec::new();
        let mut capture = PcapNgWriter::new(&mut file).unwrap();
        let interface = capture.interface(LinkType::ETHERNET, "").unwrap();
        let mut put = |number: u64, source: u8| {
            let data = [[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, source, 0x88, 0xb8].as_slice(), &[0; 50]].concat();
            let time_ns = number as i64 * 100_000_000;
            let packet = Packet { number, time_ns, link: LinkType::ETHERNET, interface, wire_length: 64, data: &data };
            capture.packet(interface, &packet, "").unwrap();
        };
        (1..=400).for_each(|number| put(number, 2));
        stranger.into_iter().for_each(|stranger| put(401, stranger));
        capture.finish().unwrap();
        Captures::from_reader("plant.pcapng", std::io::Cursor::new(file))
    }

    fn bundle() -> Bundle {
        let config = LearnConfig { detectors: DetectorPlan::defaults(), explain: false, ..LearnConfig::default() };
        learn(captures(None), &config, &()).unwrap().bundle
    }

    fn raised(bundle: &Bundle, stranger: u8) -> Vec<RaisedEvent> {
        let detect = |captures| bundle.detect(captures, Labels::All(Label::Unknown), Keep::Events, &()).unwrap();
        let cause = |finding: &crate::monitor::Finding| AcceptedCause {
            kind: finding.detector.into(),
            cause: finding.cause,
            up_to: finding.accepted_up_to(),
        };
        let event = |event: &crate::monitor::Event| RaisedEvent {
            number: event.number,
            bundle: bundle.id.clone(),
            reason: event.reason.clone(),
            causes: event.causes.iter().map(cause).collect(),
            more_causes: event.more_causes,
        };
        detect(captures(Some(stranger))).events.iter().map(event).collect()
    }

    #[test]
    fn what_is_accepted_is_no_alert_until_it_is_revoked_and_all_else_is_as_before() {
        let mut bundle = bundle();
        let events = raised(&bundle, 9);
        assert_eq!(events.len(), 1, "{events:?}");
        bundle.accept(&events[0], "a new meter", 7).unwrap();
        let mut bundle = Bundle::from_bytes(&bundle.to_bytes().unwrap()).unwrap();
        assert_eq!(bundle.accepted[0].reason, "a new meter");
        assert!(raised(&bundle, 9).is_empty());
        assert_eq!(raised(&bundle, 8).len(), 1);
        bundle.revoke(1).unwrap();
        assert_eq!(raised(&bundle, 9).len(), 1);
        assert!(bundle.revoke(1).is_err());
    }

    #[test]
    fn an_event_of_another_bundle_is_refused() {
        let mut bundle = bundle();
        let event = RaisedEvent { bundle: "0123".into(), ..raised(&bundle, 9).remove(0) };
        assert!(bundle.accept(&event, "", 0).unwrap_err().to_string().contains("\"0123\""));
        assert!(bundle.accepted.is_empty());
    }
}
