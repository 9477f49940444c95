//! What of the learned traffic would have been alerts, had it not been learned: block by block.

use rayon::prelude::*;

use super::scoring::{by_packet, signal_of_score};
use super::training_data::TrainingData;
use super::{Alert, Detectors, Event, EventMerger, Finding, PacketScores};
use crate::Result;
use crate::calibration::{BlockMaxima, DecisionRule};
use crate::detectors::{Blocks, GroupedBy, Samples, Signal};

/// What the left-out test of the learned traffic gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LeftOut {
    /// The events that each block raises, with what the other blocks taught.
    pub events: Vec<Event>,
    /// How long was recorded, in seconds: without gaps of more than an hour between packets.
    pub seconds: f64,
    /// Of each packet with an alert, its number and that of its event.
    pub packets: Vec<(u64, usize)>,
}

impl LeftOut {
    /// Which limits an event sets: what is watched, the limit that the other blocks would give, and the limit with it. Only those that it raises.
    pub fn raised_limits(event: &Event, decision: &DecisionRule, detectors: &Detectors) -> Vec<(Finding, f32)> {
        let raised = |finding: &Finding| {
            let place = detectors.names().position(|name| name == finding.detector)?;
            let rule = decision.detectors().get(place)?;
            let aspect = rule.aspects().iter().position(|aspect| aspect.name == finding.aspect.name)?;
            let limit = rule.limits().get(aspect)?.get(finding.cell)?;
            (limit.threshold > finding.limit.threshold).then_some((*finding, limit.threshold))
        };
        event.causes.iter().filter_map(raised).collect()
    }
}

/// How a detector scores traffic that it did not learn.
pub(super) enum LeftOutScores {
    /// Packets one by one, as if their block had not been learned.
    Stream,
    /// Packets one by one, by a detector that did not learn them at all.
    FixedStream,
    /// By detectors that were fitted to the other blocks: the scores of all packets.
    Fitted(PacketScores),
    /// Not at all: the detector raises no alerts.
    None,
}

/// The learned packets with the detectors, as if each block had not been learned.
pub(super) struct LeftOutBlocks<'a> {
    pub data: &'a TrainingData,
    pub samples: &'a Samples,
    pub detectors: &'a Detectors,
    pub scores: &'a [LeftOutScores],
    /// The number of the first of these blocks among all that a decision rests on.
    pub first_block: u32,
}

impl LeftOutBlocks<'_> {
    /// Hands on every signal of a detector with the row of its packet, and takes what the threshold is there.
    fn signals(&self, detector: usize, sink: &mut dyn FnMut(usize, &Blocks, Signal) -> f32) -> Result<()> {
        let (fitted, blocks) = (&self.detectors.fitted[detector], self.data.blocks());
        match &self.scores[detector] {
            LeftOutScores::None => {}
            scores @ (LeftOutScores::Stream | LeftOutScores::FixedStream) => {
                let Some(mut stream) = fitted.signals() else { return Ok(()) };
                for (row, (packet, block)) in self.samples.packets(fitted.name())?.enumerate() {
                    let held_out = matches!(scores, LeftOutScores::Stream).then_some(block);
                    stream.packet(packet, held_out, &mut |signal| sink(row, &blocks, signal));
                }
            }
            LeftOutScores::Fitted(scores) => {
                for (packet, score) in scores.iter() {
                    let Some(row) = self.data.row(packet) else { continue };
                    sink(row, &blocks, signal_of_score(score, &GroupedBy::of(self.data.facts(row))));
                }
            }
        }
        Ok(())
    }

    /// What each aspect of each detector reached in each block; nothing of detectors that raise no alerts.
    pub fn maxima(&self) -> Result<Vec<Vec<BlockMaxima>>> {
        let of_detector = |detector: usize| {
            let raises_alerts = !matches!(self.scores[detector], LeftOutScores::None);
            let aspects = self.detectors.fitted[detector].aspects().len();
            let mut maxima = vec![BlockMaxima::default(); if raises_alerts { aspects } else { 0 }];
            self.signals(detector, &mut |row, blocks, signal| {
                let block = self.first_block + blocks.block(row);
                maxima[usize::from(signal.aspect)].add(signal.cell, block, signal.score);
                f32::INFINITY
            })?;
            Ok(maxima)
        };
        (0..self.scores.len()).into_par_iter().map(of_detector).collect()
    }

    /// The events that each block would have raised, by the limits of the other blocks.
    pub fn events(&self, decision: &DecisionRule) -> Result<LeftOut> {
        let blocks = self.data.blocks().count();
        let rules: Vec<DecisionRule> = (0..blocks).map(|block| decision.without(self.first_block + block)).collect();
        let of_detector = |detector: usize| {
            let (name, mut found) = (self.detectors.fitted[detector].name(), Vec::new());
            self.signals(detector, &mut |row, blocks, signal| {
                let rule = &rules[blocks.block(row) as usize].detectors()[detector];
                let aspect = usize::from(signal.aspect);
                let Some(limit) = rule.limits()[aspect].get(signal.cell) else { return f32::INFINITY };
                if signal.score > limit.threshold {
                    let finding = Finding::new((name, &rule.aspects()[aspect]), limit, &signal);
                    if !decision.accepts(finding.cause, finding.score) {
                        found.push((row, finding));
                    }
                }
                limit.threshold
            })?;
            Ok(found)
        };
        let found: Vec<Vec<(usize, Finding)>> =
            (0..self.scores.len()).into_par_iter().map(of_detector).collect::<Result<_>>()?;
        let mut merger = EventMerger::default();
        let mut packets = Vec::new();
        for (row, findings) in by_packet(found.into_iter().flatten().collect()) {
            let alert = self.alert(row, findings);
            packets.push((alert.packet, merger.add(alert)));
        }
        Ok(LeftOut { events: merger.finish(), seconds: self.data.seconds(), packets })
    }

    fn alert(&self, row: usize, findings: Vec<Finding>) -> Alert {
        let (facts, packet) = (self.data.facts(row), row as u64 + 1);
        Alert {
            packet: self.data.number(row),
            time_ns: facts.time_ns,
            findings,
            conversation: *self.data.log.conversation(packet),
            told: self.detectors.told(facts),
            label: self.data.log.label(packet),
        }
    }
}
