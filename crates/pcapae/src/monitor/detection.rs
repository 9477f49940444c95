//! Detecting on new captures with a bundle.

use super::scoring::{Batch, Scorers, Streams, alert, by_packet, signal_of_score};
use super::{Bundle, Event, EventMerger, Finding, PacketLog, PacketScores};
use crate::Result;
use crate::calibration::DetectorRule;
use crate::capture::headers::{Dissection, PacketFacts, SkipCounts};
use crate::capture::{CaptureSummary, Captures, Packet};
use crate::fragment::{Fragment, Mode, Receiver};
use crate::label::{Label, Labels};
use crate::progress::Progress;

/// What a detection keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Events: memory does not grow with the packets.
    #[default]
    Events,
    /// Every packet beside them, with the scores of all detectors, the autoencoder's too: see [`PacketRecords`].
    Packets,
}

/// What was found in some captures.
#[derive(Debug)]
pub struct Detection {
    /// The events, in the order of their first packets.
    pub events: Vec<Event>,
    /// How many packets were read.
    pub packets: u64,
    /// How many packets have findings.
    pub alerts: u64,
    /// Every packet, where that was asked for.
    pub records: Option<PacketRecords>,
    /// Packets in no fragment, by reason.
    pub skipped: SkipCounts,
    /// What was read and what was odd about it.
    pub captures: CaptureSummary,
}

/// What is kept of every packet: 13 bytes in the log, 4 each for its event, its strength and the score of each detector.
#[derive(Debug, Default)]
pub struct PacketRecords {
    /// Time, label, and who talked to whom.
    pub log: PacketLog,
    /// The strength of the strongest signal: above 1 it is an alert. 0 where there is none.
    pub strengths: PacketScores,
    /// The scores of each detector: of one that raises alerts its strength, else its score in its own unit.
    pub of_detectors: Vec<(&'static str, PacketScores)>,
    /// The number of each packet's event; 0 where it belongs to none.
    events: Vec<u32>,
}

impl PacketRecords {
    /// The number of the event that a packet belongs to; `None` where it belongs to none.
    pub fn event(&self, packet: u64) -> Option<usize> {
        self.events.get(packet as usize - 1).map(|event| *event as usize).filter(|event| *event > 0)
    }

    fn put_event(&mut self, packet: u64, event: usize) {
        let index = packet as usize - 1;
        if self.events.len() <= index {
            self.events.resize(index + 1, 0);
        }
        self.events[index] = event as u32;
    }
}

/// A detection on packets as they come.
struct PacketStream<'a> {
    bundle: &'a Bundle,
    streams: Streams<'a>,
    scorers: Scorers<'a>,
    batch: Batch,
    merger: EventMerger,
    alerts: u64,
    /// Kept where it is asked for, and where detectors look at fragments, which say of a packet only later what they found.
    records: Option<PacketRecords>,
    /// What was found in packets, where detectors of fragments may find more.
    waiting: Option<Vec<(u64, Vec<Finding>, PacketFacts)>>,
}

impl<'a> PacketStream<'a> {
    fn new(bundle: &'a Bundle, keep: Keep) -> PacketStream<'a> {
        let raises_alerts =
            |place: usize| bundle.decision.detectors().get(place).is_some_and(DetectorRule::raises_alerts);
        let keep = keep == Keep::Packets;
        let scorers = Scorers::new(&bundle.detectors, |place| keep || raises_alerts(place));
        let waits = bundle.detectors.fragment_scorers().any(|(place, _)| raises_alerts(place));
        let names = bundle.detectors.names().map(|name| (name, PacketScores::default()));
        let records = PacketRecords { of_detectors: names.collect(), ..PacketRecords::default() };
        PacketStream {
            bundle,
            streams: Streams::new(bundle, keep),
            scorers,
            batch: Batch::from(1),
            merger: EventMerger::default(),
            alerts: 0,
            records: (keep || waits).then_some(records),
            waiting: waits.then(Vec::new),
        }
    }

    fn score_batch(&mut self) {
        let next = self.batch.first + self.batch.len() as u64;
        let batch = std::mem::replace(&mut self.batch, Batch::from(next));
        let found = self.streams.score(&batch);
        if let Some(records) = &mut self.records {
            for (detector, strengths) in self.streams.strengths() {
                for (packet, strength) in (batch.first..).zip(strengths) {
                    records.of_detectors[detector].1.put(packet, *strength);
                    records.strengths.put(packet, *strength);
                }
            }
        }
        for (at, findings) in found {
            match &mut self.waiting {
                Some(waiting) => waiting.push((batch.first + at as u64, findings, batch.facts[at])),
                None => self.alert(&batch, at, findings),
            }
        }
    }

    fn alert(&mut self, batch: &Batch, at: usize, findings: Vec<Finding>) {
        let was = self.bundle.detectors.hardware_of(batch.facts[at].sender());
        let alert = alert(batch, at, findings, was);
        let packet = alert.packet;
        let event = self.merger.add(alert);
        self.alerts += 1;
        if let Some(records) = &mut self.records {
            records.put_event(packet, event);
        }
    }

    /// Scores what is left, and decides on what waited.
    fn finish(mut self) -> Result<(EventMerger, u64, Option<PacketRecords>)> {
        self.score_batch();
        let scorers = std::mem::replace(&mut self.scorers, Scorers::new(&self.bundle.detectors, |_| false));
        let of_fragments = scorers.finish()?;
        if let Some(waiting) = self.waiting.take() {
            self.decide(waiting, &of_fragments);
        }
        if let Some(records) = &mut self.records {
            for (detector, scores) in of_fragments {
                self.bundle.record_scores(records, detector, scores);
            }
            (1..=records.log.len() as u64).for_each(|packet| records.strengths.put(packet, 0.0));
        }
        Ok((self.merger, self.alerts, self.records))
    }

    fn decide(&mut self, waiting: Vec<(u64, Vec<Finding>, PacketFacts)>, of_fragments: &[(usize, PacketScores)]) {
        let Some(records) = &self.records else { return };
        let mut all: Vec<(usize, Finding)> = Vec::new();
        let facts: std::collections::HashMap<u64, PacketFacts> =
            waiting.iter().map(|(packet, _, facts)| (*packet, *facts)).collect();
        for (detector, scores) in of_fragments {
            let found = scores.iter().filter_map(|(packet, score)| {
                Some((packet as usize, self.bundle.finding(*detector, score, &records.log, packet)?))
            });
            all.extend(found);
        }
        let of_packets = waiting.into_iter().map(|(packet, findings, _)| (packet as usize, findings));
        all.extend(of_packets.flat_map(|(packet, findings)| findings.into_iter().map(move |found| (packet, found))));
        for (packet, findings) in by_packet(all) {
            let packet = packet as u64;
            let Some(records) = &mut self.records else { return };
            let told = facts
                .get(&packet)
                .map(|facts| super::alert::Told::of(facts, self.bundle.detectors.hardware_of(facts.sender())));
            let alert = super::Alert {
                packet,
                time_ns: records.log.time_ns(packet),
                findings,
                conversation: *records.log.conversation(packet),
                told: told.unwrap_or_default(),
                label: records.log.label(packet),
            };
            let event = self.merger.add(alert);
            records.put_event(packet, event);
            self.alerts += 1;
        }
    }
}

impl Receiver for PacketStream<'_> {
    fn packet(&mut self, packet: &Packet<'_>, masked: &[u8], headers: &Dissection<'_>, label: Label) -> Result<()> {
        let facts = headers.facts(packet.data.len() as u32, packet.wire_length, packet.time_ns);
        let facts = self.bundle.cutting.mask.facts(facts);
        let conversation = headers.conversation();
        if let Some(records) = &mut self.records {
            records.log.push(conversation, &facts, label);
        }
        let size = self.bundle.cutting.size.bytes();
        self.batch.push(facts, conversation, label, &masked[..masked.len().min(size)]);
        if self.batch.is_full() {
            self.score_batch();
        }
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        if self.scorers.is_empty() {
            return Ok(());
        }
        let facts = (self.bundle.cutting.mode == Mode::Packet).then(|| self.batch.facts.last()).flatten().copied();
        self.scorers.push(fragment, facts.as_ref())
    }
}

impl Bundle {
    /// Finds what does not fit in `captures`.
    pub fn detect(
        &self,
        mut captures: Captures,
        labels: Labels,
        keep: Keep,
        progress: &dyn Progress,
    ) -> Result<Detection> {
        let mut stream = PacketStream::new(self, keep);
        let skipped = self.cutting.cut(&mut captures, labels, &mut stream, progress)?;
        let packets = stream.batch.first - 1 + stream.batch.len() as u64;
        let (merger, alerts, records) = stream.finish()?;
        let records = records.filter(|_| keep == Keep::Packets);
        Ok(Detection { events: merger.finish(), packets, alerts, records, skipped, captures: captures.into_summary() })
    }

    /// What a detector of fragments found in a packet of this score.
    fn finding(&self, detector: usize, score: f32, log: &PacketLog, packet: u64) -> Option<Finding> {
        let rule = self.decision.detectors().get(detector).filter(|rule| rule.raises_alerts())?;
        let signal = signal_of_score(score, log.grouped_by(packet));
        let limit = rule.limits()[0].get(signal.cell)?;
        let name = self.detectors.fitted[detector].name();
        let found = (score > limit.threshold).then(|| Finding::new((name, &rule.aspects()[0]), limit, &signal))?;
        (!self.decision.accepts(found.cause, found.score)).then_some(found)
    }

    /// Keeps the scores of a detector of fragments: as strengths where it raises alerts.
    fn record_scores(&self, records: &mut PacketRecords, detector: usize, scores: PacketScores) {
        let rule = self.decision.detectors().get(detector).filter(|rule| rule.raises_alerts());
        let Some(rule) = rule else {
            records.of_detectors[detector].1 = scores;
            return;
        };
        for (packet, score) in scores.iter() {
            let limit = rule.limits()[0].get(records.log.grouped_by(packet).group);
            let strength = limit.map_or(0.0, |limit| limit.strength(score));
            records.of_detectors[detector].1.put(packet, strength);
            records.strengths.put(packet, strength);
        }
    }
}
