//! Detecting on new captures with a bundle.

use std::collections::HashMap;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::scoring::{Batch, Scorers, Streams, by_packet, signal_of_score};
use super::{Alert, Bundle, Event, EventMerger, Finding, PacketLog, PacketScores, Told};
use crate::Result;
use crate::calibration::DetectorRule;
use crate::capture::headers::{Dissection, SkipCounts};
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

/// Batches that wait for a decision while the next one is read.
const BATCHES_AHEAD: usize = 2;

/// Reads packets into batches.
struct Intake<'a> {
    bundle: &'a Bundle,
    batch: Batch,
    log: Option<PacketLog>,
    scorers: Scorers<'a>,
    decide: &'a mut dyn FnMut(Batch),
}

impl Intake<'_> {
    fn send_batch(&mut self) {
        let next = self.batch.first + self.batch.len() as u64;
        (self.decide)(std::mem::replace(&mut self.batch, Batch::from(next)));
    }
}

impl Receiver for Intake<'_> {
    fn packet(&mut self, packet: &Packet<'_>, masked: &[u8], headers: &Dissection<'_>, label: Label) -> Result<()> {
        let facts = headers.facts(packet.data.len() as u32, packet.wire_length, packet.time_ns);
        let facts = self.bundle.cutting.mask.facts(facts);
        let conversation = headers.conversation();
        if let Some(log) = &mut self.log {
            log.push(conversation, &facts, label);
        }
        let size = self.bundle.cutting.size.bytes();
        if self.batch.is_full() {
            self.send_batch();
        }
        self.batch.push(facts, conversation, label, &masked[..masked.len().min(size)]);
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        if self.scorers.is_empty() {
            return Ok(());
        }
        let facts = self.batch.facts.last().filter(|_| self.bundle.cutting.mode == Mode::Packet);
        self.scorers.push(fragment, facts)
    }
}

/// Decides on batches, in order.
struct Decider<'a> {
    bundle: &'a Bundle,
    streams: Streams<'a>,
    merger: EventMerger,
    alerts: u64,
    records: Option<PacketRecords>,
    /// What was found in packets, where detectors of fragments may find more later.
    waiting: Option<Vec<(u64, Vec<Finding>, Told)>>,
}

impl<'a> Decider<'a> {
    fn new(bundle: &'a Bundle, keep: Keep, waits: bool) -> Decider<'a> {
        let names = bundle.detectors.names().map(|name| (name, PacketScores::default()));
        let records = PacketRecords { of_detectors: names.collect(), ..PacketRecords::default() };
        Decider {
            bundle,
            streams: Streams::new(&bundle.detectors, &bundle.decision, keep == Keep::Packets),
            merger: EventMerger::default(),
            alerts: 0,
            records: (keep == Keep::Packets).then_some(records),
            waiting: waits.then(Vec::new),
        }
    }

    fn take(&mut self, batch: &Batch) {
        let found = self.streams.score(batch);
        if let Some(records) = &mut self.records {
            for (detector, strengths) in self.streams.strengths() {
                for (packet, strength) in (batch.first..).zip(strengths) {
                    records.of_detectors[detector].1.put(packet, *strength);
                    records.strengths.put(packet, *strength);
                }
            }
        }
        for (at, findings) in found {
            let facts = &batch.facts[at];
            let told = self.bundle.detectors.told(facts);
            let packet = batch.first + at as u64;
            match &mut self.waiting {
                Some(waiting) => waiting.push((packet, findings, told)),
                None => self.alert(Alert {
                    packet,
                    time_ns: facts.time_ns,
                    findings,
                    conversation: batch.conversations[at],
                    told,
                    label: batch.labels[at],
                }),
            }
        }
    }

    fn alert(&mut self, alert: Alert) {
        let packet = alert.packet;
        let event = self.merger.add(alert);
        self.alerts += 1;
        if let Some(records) = &mut self.records {
            records.put_event(packet, event);
        }
    }

    /// Decides on what waited, with what detectors of fragments found.
    fn decide_all(&mut self, of_fragments: &[(usize, PacketScores)], log: &PacketLog) {
        let waiting = self.waiting.take().unwrap_or_default();
        let told: HashMap<u64, Told> = waiting.iter().map(|(packet, _, told)| (*packet, *told)).collect();
        let mut all: Vec<(usize, Finding)> = Vec::new();
        for (detector, scores) in of_fragments {
            let found = |(packet, score)| Some((packet as usize, self.bundle.finding(*detector, score, log, packet)?));
            all.extend(scores.iter().filter_map(found));
        }
        for (packet, findings, _) in waiting {
            all.extend(findings.into_iter().map(|finding| (packet as usize, finding)));
        }
        for (packet, findings) in by_packet(all) {
            let packet = packet as u64;
            self.alert(Alert {
                packet,
                time_ns: log.time_ns(packet),
                findings,
                conversation: *log.conversation(packet),
                told: told.get(&packet).copied().unwrap_or_default(),
                label: log.label(packet),
            });
        }
    }
}

impl Bundle {
    /// Finds what does not fit in `captures`. One thread reads while the others decide; the events are the same with one thread.
    ///
    /// # Errors
    ///
    /// The captures or the labels cannot be read, there are more or fewer labels than packets, or `progress` asked to stop.
    pub fn detect(
        &self,
        mut captures: Captures,
        labels: Labels,
        keep: Keep,
        progress: &dyn Progress,
    ) -> Result<Detection> {
        let raises_alerts =
            |place: usize| self.decision.detectors().get(place).is_some_and(DetectorRule::raises_alerts);
        let waits = self.detectors.fragment_scorers().any(|(place, _)| raises_alerts(place));
        let keeps = keep == Keep::Packets;
        let mut decider = Decider::new(self, keep, waits);
        let read = |decide: &mut dyn FnMut(Batch)| -> Result<_> {
            let mut intake = Intake {
                bundle: self,
                batch: Batch::from(1),
                log: (keeps || waits).then(PacketLog::default),
                scorers: Scorers::new(&self.detectors, |place| keeps || raises_alerts(place)),
                decide,
            };
            let skipped = self.cutting.cut(&mut captures, labels, &mut intake, progress)?;
            let packets = intake.batch.first - 1 + intake.batch.len() as u64;
            intake.send_batch();
            Ok((skipped, packets, intake.log.unwrap_or_default(), intake.scorers.finish()?))
        };
        let (skipped, packets, log, of_fragments) = match rayon::current_num_threads() {
            1 => read(&mut |batch| decider.take(&batch))?,
            _ => thread::scope(|scope| {
                let (sender, batches) = sync_channel::<Batch>(BATCHES_AHEAD);
                let decider = &mut decider;
                scope.spawn(move || batches.iter().for_each(|batch| decider.take(&batch)));
                // Nobody takes batches any more only where the other thread panicked, and then so does the scope.
                read(&mut |batch| drop(sender.send(batch)))
            })?,
        };
        if waits {
            decider.decide_all(&of_fragments, &log);
        }
        if let Some(records) = &mut decider.records {
            records.log = log;
            for (detector, scores) in of_fragments {
                self.record_scores(records, detector, scores);
            }
            (1..=packets).for_each(|packet| records.strengths.put(packet, 0.0));
        }
        let Decider { merger, alerts, records, .. } = decider;
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
