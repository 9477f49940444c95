//! Scoring new captures with a bundle.

use super::scoring::Scoring;
use super::{Alert, Bundle, PacketLog, PacketScores};
use crate::Result;
use crate::calibration::{Decision, DecisionRule, Threshold, Trigger};
use crate::capture::headers::{Dissection, SkipCounts};
use crate::capture::{CaptureSummary, Captures, Packet};
use crate::fragment::{Fragment, Receiver};
use crate::label::{Label, Labels};
use crate::progress::Progress;

/// All packets of some captures with their scores.
///
/// In memory, of each packet: 13 bytes in the log, 4 for the score of each detector, and 8 for the packet's and the connection's.
#[derive(Debug)]
pub struct Detection {
    /// What is known of each packet.
    pub packets: PacketLog,
    /// The scores of each detector, in its own unit.
    pub of_detectors: Vec<(&'static str, PacketScores)>,
    /// Each packet's own score, −ln p.
    pub packet_scores: PacketScores,
    /// The score of each packet's connection up to it, −ln p; empty where connections are ignored.
    pub connection_scores: PacketScores,
    /// Packets without a score, by reason.
    pub skipped: SkipCounts,
    /// What was read and what was odd about it.
    pub captures: CaptureSummary,
    rule: DecisionRule,
}

impl Detection {
    /// Above which packets' own scores are alerts.
    pub fn packet_threshold(&self) -> Threshold {
        self.rule.packet_threshold()
    }

    /// Above which connections' scores are alerts; `None` where connections are ignored.
    pub fn connection_threshold(&self) -> Option<Threshold> {
        self.rule.connection_threshold()
    }

    /// A packet's score: the higher one of its own and its connection's, −ln p. `None` where no fragment held it.
    pub fn score(&self, packet: u64) -> Option<f32> {
        let own = self.packet_scores.get(packet)?;
        Some(self.connection_scores.get(packet).map_or(own, |connection| own.max(connection)))
    }

    /// Packet number and score of every packet that has one, in order.
    pub fn scores(&self) -> impl Iterator<Item = (u64, f32)> + '_ {
        (1..=self.packets.len() as u64).filter_map(|packet| Some((packet, self.score(packet)?)))
    }

    /// What a packet raised an alert by; `None` where it raised none.
    pub fn trigger(&self, packet: u64) -> Option<Trigger> {
        self.rule.trigger(self.packet_scores.get(packet)?, self.connection_scores.get(packet))
    }

    /// The conformal p-value of a packet by itself, from 1 / (n + 1) to 1; `None` where no fragment held it.
    pub fn p_value(&self, packet: u64) -> Option<f64> {
        Some(p_value(self.packet_scores.get(packet)?, &self.packet_threshold()))
    }

    /// All alerts, in the order of their packets.
    pub fn alerts(&self) -> impl Iterator<Item = Alert> + '_ {
        // Shares are not kept of every packet: the rule goes through the packets once more.
        let mut stream = self.rule.stream();
        (1..=self.packets.len() as u64).filter_map(move |packet| {
            let decision = stream.decide(self.packets.connection(packet), &self.scores_of(packet)?);
            self.alert(packet, &decision)
        })
    }

    /// The scores of all detectors; `None` where none of them has one.
    fn scores_of(&self, packet: u64) -> Option<Vec<Option<f64>>> {
        let scores: Vec<Option<f64>> =
            self.of_detectors.iter().map(|(_, scores)| scores.get(packet).map(f64::from)).collect();
        scores.iter().any(Option::is_some).then_some(scores)
    }

    fn alert(&self, packet: u64, decision: &Decision) -> Option<Alert> {
        let trigger = self.rule.trigger(decision.packet, decision.connection)?;
        let own = (decision.packet, self.packet_threshold(), &decision.packet_shares);
        let of_connection = decision.connection.zip(self.connection_threshold());
        let of_connection = of_connection.map(|(score, threshold)| (score, threshold, &decision.connection_shares));
        let (score, threshold, shares) = match of_connection {
            Some(of_connection)
                if trigger != Trigger::Packet && (trigger == Trigger::Connection || of_connection.0 > own.0) =>
            {
                of_connection
            }
            _ => own,
        };
        let sum: f64 = shares.iter().sum();
        Some(Alert {
            packet,
            time_ns: self.packets.time_ns(packet),
            trigger,
            score,
            threshold: threshold.value,
            p_value: p_value(score, &threshold),
            packet_score: decision.packet,
            connection_score: decision.connection,
            shares: self.of_detectors.iter().zip(shares).map(|((name, _), share)| (*name, share / sum)).collect(),
            conversation: *self.packets.conversation(packet),
            label: self.packets.label(packet),
        })
    }

    /// Decides on all packets by the scores of the detectors.
    fn decide_all(&mut self) {
        let rule = self.rule.clone();
        let mut stream = rule.stream();
        for packet in 1..=self.packets.len() as u64 {
            let Some(scores) = self.scores_of(packet) else { continue };
            let decision = stream.decide(self.packets.connection(packet), &scores);
            self.packet_scores.put(packet, decision.packet);
            if let Some(connection) = decision.connection {
                self.connection_scores.put(packet, connection);
            }
        }
    }
}

/// The p-value that a score is −ln of; beyond the highest calibration score it does not become smaller.
fn p_value(score: f32, threshold: &Threshold) -> f64 {
    (-f64::from(score)).exp().max(1.0 / (threshold.calibrated_on as f64 + 1.0))
}

/// Scores fragments and keeps a log of packets as they come.
struct PacketStream<'a> {
    packets: PacketLog,
    scoring: Scoring<'a>,
}

impl Receiver for PacketStream<'_> {
    fn packet(&mut self, packet: &Packet<'_>, headers: &Dissection<'_>, label: Label) -> Result<()> {
        let facts = headers.facts(packet.data.len() as u32, packet.time_ns);
        self.packets.push(headers.conversation(), &facts, label);
        self.scoring.packet(&facts);
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        self.scoring.fragment(fragment)
    }
}

impl Bundle {
    /// Scores every packet of `captures`.
    pub fn detect(&self, mut captures: Captures, labels: Labels, progress: &dyn Progress) -> Result<Detection> {
        let scoring = Scoring::new(&self.detectors, &self.cutting);
        let mut stream = PacketStream { packets: PacketLog::default(), scoring };
        let skipped = self.cutting.cut(&mut captures, labels, &mut stream, progress)?;
        let PacketStream { packets, scoring } = stream;
        let mut detection = Detection {
            packets,
            of_detectors: self.detectors.names().zip(scoring.finish()?).collect(),
            packet_scores: PacketScores::default(),
            connection_scores: PacketScores::default(),
            skipped,
            captures: captures.into_summary(),
            rule: self.decision.clone(),
        };
        detection.decide_all();
        Ok(detection)
    }
}
