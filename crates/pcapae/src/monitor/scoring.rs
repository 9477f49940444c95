//! The detectors at work on packets and their fragments.

use rayon::prelude::*;
use twox_hash::XxHash3_64;

use super::{Detectors, Finding, PacketScores};
use crate::Result;
use crate::calibration::{DecisionRule, DetectorRule, Limit};
use crate::capture::headers::{Conversation, PacketFacts};
use crate::detectors::{Aspect, FragmentScorer, GroupedBy, PacketRow, ScoredFragment, Signal, SignalStream, Tokens};
use crate::fragment::Fragment;
use crate::label::Label;

/// Packets that are scored at a time.
const BATCH: usize = 4096;

/// Packets that are not scored yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub first: u64,
    pub facts: Vec<PacketFacts>,
    pub conversations: Vec<Conversation>,
    pub labels: Vec<Label>,
    tokens: Vec<Tokens>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// No packets yet; the first will have this number.
    pub fn from(first: u64) -> Batch {
        Batch { first, ..Batch::default() }
    }

    /// Takes the next packet with its first bytes, masked.
    pub fn push(&mut self, facts: PacketFacts, conversation: Conversation, label: Label, bytes: &[u8]) {
        self.tokens.push(Tokens::of(&facts));
        self.facts.push(facts);
        self.conversations.push(conversation);
        self.labels.push(label);
        self.bytes.extend_from_slice(bytes);
        self.ends.push(self.bytes.len());
    }

    pub fn len(&self) -> usize {
        self.facts.len()
    }

    pub fn is_full(&self) -> bool {
        self.len() >= BATCH
    }

    fn rows(&self) -> impl Iterator<Item = PacketRow<'_>> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let bytes = starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end]);
        let known = self.facts.iter().zip(&self.tokens);
        known.zip(bytes).map(|((facts, tokens), bytes)| PacketRow { facts, bytes, tokens: *tokens })
    }
}

/// What a detector found in a batch.
#[derive(Debug, Default)]
struct Found {
    /// By the packet's place in the batch.
    findings: Vec<(usize, Finding)>,
    /// The strength of each packet, where that is kept.
    strengths: Vec<f32>,
}

/// Detectors that look at packets one by one.
pub(super) struct Streams<'a> {
    decision: &'a DecisionRule,
    streams: Vec<Stream<'a>>,
    keep_strengths: bool,
}

struct Stream<'a> {
    /// Its place among the detectors.
    detector: usize,
    name: &'static str,
    rule: &'a DetectorRule,
    at_work: Box<dyn SignalStream + 'a>,
    found: Found,
}

impl<'a> Streams<'a> {
    /// Those that raise alerts.
    pub fn new(detectors: &'a Detectors, decision: &'a DecisionRule, keep_strengths: bool) -> Streams<'a> {
        let stream = |(detector, rule): (usize, &'a DetectorRule)| {
            let fitted = &detectors.fitted[detector];
            let at_work = fitted.signals().filter(|_| rule.raises_alerts())?;
            Some(Stream { detector, name: fitted.name(), rule, at_work, found: Found::default() })
        };
        let streams = decision.detectors().iter().enumerate().filter_map(stream).collect();
        Streams { decision, streams, keep_strengths }
    }

    /// Scores a batch, every detector on a thread of its own, and gives the findings of each packet that has any, in order.
    pub fn score(&mut self, batch: &Batch) -> Vec<(usize, Vec<Finding>)> {
        let (decision, keep) = (self.decision, self.keep_strengths);
        self.streams.par_iter_mut().for_each(|stream| stream.score(batch, decision, keep));
        by_packet(self.streams.iter_mut().flat_map(|stream| stream.found.findings.drain(..)).collect())
    }

    /// The strengths of the last batch, detector by detector.
    pub fn strengths(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.streams.iter().map(|stream| (stream.detector, stream.found.strengths.as_slice()))
    }
}

/// The findings of each packet, by its place, in order.
pub(super) fn by_packet(mut findings: Vec<(usize, Finding)>) -> Vec<(usize, Vec<Finding>)> {
    // Stable: of one packet, in the order of the detectors.
    findings.sort_by_key(|(packet, _)| *packet);
    findings.chunk_by(|a, b| a.0 == b.0).map(|findings| (findings[0].0, in_order(findings))).collect()
}

/// The findings of a packet, first what is told first: by rank, then the strongest.
fn in_order(findings: &[(usize, Finding)]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = findings.iter().map(|(_, finding)| *finding).collect();
    let by_strength = |a: &Finding, b: &Finding| b.strength().total_cmp(&a.strength());
    findings.sort_by(|a, b| a.aspect.rank.cmp(&b.aspect.rank).then_with(|| by_strength(a, b)));
    findings
}

impl Stream<'_> {
    fn score(&mut self, batch: &Batch, decision: &DecisionRule, keep_strengths: bool) {
        let Stream { name, rule, at_work, found, .. } = self;
        found.findings.clear();
        found.strengths.clear();
        for (packet, row) in batch.rows().enumerate() {
            let mut strongest = 0.0_f32;
            at_work.packet(row, None, &mut |signal| {
                let aspect = usize::from(signal.aspect);
                let Some(limit) = rule.limits()[aspect].get(signal.cell) else { return f32::INFINITY };
                let mut strength = limit.strength(signal.score);
                if signal.score > limit.threshold {
                    let finding = Finding::new((name, &rule.aspects()[aspect]), limit, &signal);
                    match decision.accepts(finding.cause, finding.score) {
                        true => strength = strength.min(1.0),
                        false => found.findings.push((packet, finding)),
                    }
                }
                strongest = strongest.max(strength);
                limit.threshold
            });
            if keep_strengths {
                found.strengths.push(strongest);
            }
        }
    }
}

impl Finding {
    /// What a signal of a detector's aspect is, with its name, that exceeds a limit.
    pub(super) fn new((detector, aspect): (&'static str, &'static Aspect), limit: Limit, signal: &Signal) -> Finding {
        let name = |name: &str| XxHash3_64::oneshot(name.as_bytes()).to_le_bytes();
        let bytes = [name(detector), name(aspect.name), signal.cause.to_le_bytes()];
        let cause = XxHash3_64::oneshot(bytes.as_flattened());
        Finding { detector, aspect, score: signal.score, limit, cell: signal.cell, cause }
    }
}

/// Detectors that look at fragments: what they say of a packet is known only later.
pub(super) struct Scorers<'a> {
    scorers: Vec<(usize, Box<dyn FragmentScorer + 'a>, PacketScores)>,
}

impl<'a> Scorers<'a> {
    /// Those that are wanted, by their place among the detectors.
    pub fn new(detectors: &'a Detectors, wanted: impl Fn(usize) -> bool) -> Scorers<'a> {
        let scorers = detectors.fragment_scorers().filter(|(detector, _)| wanted(*detector));
        Scorers { scorers: scorers.map(|(detector, scorer)| (detector, scorer, PacketScores::default())).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.scorers.is_empty()
    }

    /// Takes the next fragment; in packet mode with the facts of its packet.
    pub fn push(&mut self, fragment: Fragment<'_>, facts: Option<&PacketFacts>) -> Result<()> {
        for (_, scorer, scores) in &mut self.scorers {
            scorer.push(fragment, facts, &mut |scored| scores.add_fragment(scored))?;
        }
        Ok(())
    }

    /// Scores what is left and gives the scores of all packets, those of each detector.
    pub fn finish(self) -> Result<Vec<(usize, PacketScores)>> {
        let finish = |(detector, mut scorer, mut scores): (usize, Box<dyn FragmentScorer + 'a>, PacketScores)| {
            scorer.finish(&mut |scored| scores.add_fragment(scored))?;
            Ok((detector, scores))
        };
        self.scorers.into_iter().map(finish).collect()
    }
}

impl PacketScores {
    pub(super) fn add_fragment(&mut self, scored: &ScoredFragment<'_>) {
        self.add(scored.segments, scored.score as f32);
    }
}

/// What the score of a fragment says of its packet: it is compared within service and direction, and alerts are for one reason where the same
/// hosts speak the same service.
pub(super) fn signal_of_score(score: f32, facts: &GroupedBy) -> Signal {
    Signal { aspect: 0, cell: facts.group, score, cause: facts.conversation }
}
