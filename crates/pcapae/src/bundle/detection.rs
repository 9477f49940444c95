//! Scoring new captures with a bundle.

use std::collections::HashMap;

use super::{Bundle, Scorer};
use crate::Result;
use crate::capture::headers::LeftOutCounts;
use crate::capture::headers::{Conversation, conversation};
use crate::capture::{CaptureSummary, Captures, Packet};
use crate::detect::{PacketScores, Threshold};
use crate::fragment::{Fragment, Receiver};
use crate::label::{Label, Labels};
use crate::progress::Progress;

/// All packets of some captures with their scores.
#[derive(Debug)]
pub struct Detection {
    /// What is known of each packet.
    pub packets: PacketLog,
    /// The score of each packet.
    pub scores: PacketScores,
    /// Scores above it are alerts.
    pub threshold: Threshold,
    /// Packets without a score, by reason.
    pub left_out: LeftOutCounts,
    /// What was read and what was odd about it.
    pub captures: CaptureSummary,
}

/// A packet whose score exceeds the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alert {
    /// Its number, from 1.
    pub packet: u64,
    /// Its capture time in nanoseconds since 1970.
    pub time_ns: i64,
    /// Its score.
    pub score: f32,
    /// Its score as a multiple of the threshold.
    pub multiple: f32,
    /// Who talked to whom.
    pub conversation: Conversation,
    /// What the ground truth says.
    pub label: Label,
}

impl Detection {
    /// True if the packet raised an alert.
    pub fn is_flagged(&self, packet: u64) -> bool {
        self.scores.get(packet).is_some_and(|score| self.threshold.exceeded_by(score))
    }

    /// All alerts, in the order of their packets.
    pub fn alerts(&self) -> impl Iterator<Item = Alert> + '_ {
        self.scores.iter().filter(|(_, score)| self.threshold.exceeded_by(*score)).map(|(packet, score)| Alert {
            packet,
            time_ns: self.packets.time_ns(packet),
            score,
            multiple: self.threshold.multiple(score),
            conversation: *self.packets.conversation(packet),
            label: self.packets.label(packet),
        })
    }
}

/// What is kept of every packet: time, label, and who talked to whom. Equal conversations are kept once.
#[derive(Debug, Default)]
pub struct PacketLog {
    times_ns: Vec<i64>,
    labels: Vec<Label>,
    conversation_of: Vec<u32>,
    conversations: Vec<Conversation>,
    index: HashMap<Conversation, u32>,
}

impl PacketLog {
    fn push(&mut self, packet: &Packet<'_>, label: Label) {
        let talk = conversation(packet.link, packet.data);
        let conversations = &mut self.conversations;
        let index = *self.index.entry(talk).or_insert_with_key(|talk| {
            conversations.push(*talk);
            conversations.len() as u32 - 1
        });
        self.times_ns.push(packet.time_ns);
        self.labels.push(label);
        self.conversation_of.push(index);
    }

    /// How many packets were read.
    pub fn len(&self) -> usize {
        self.times_ns.len()
    }

    /// True if no packet was read.
    pub fn is_empty(&self) -> bool {
        self.times_ns.is_empty()
    }

    /// Capture time of a packet (numbers from 1), in nanoseconds since 1970.
    pub fn time_ns(&self, packet: u64) -> i64 {
        self.times_ns[packet as usize - 1]
    }

    /// Label of a packet.
    pub fn label(&self, packet: u64) -> Label {
        self.labels[packet as usize - 1]
    }

    /// Who talked to whom in a packet.
    pub fn conversation(&self, packet: u64) -> &Conversation {
        &self.conversations[self.conversation_of[packet as usize - 1] as usize]
    }
}

/// Scores fragments and keeps a log of packets as they come.
struct Watcher {
    packets: PacketLog,
    scorer: Scorer,
}

impl Receiver for Watcher {
    fn packet(&mut self, packet: &Packet<'_>, label: Label) -> Result<()> {
        self.packets.push(packet, label);
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        self.scorer.push(fragment);
        Ok(())
    }
}

impl Bundle {
    /// Scores every packet of `captures`.
    pub fn detect(&self, mut captures: Captures, labels: Labels, progress: &dyn Progress) -> Result<Detection> {
        let scorer = Scorer::new(&self.model);
        let mut watcher = Watcher { packets: PacketLog::default(), scorer };
        let left_out = self.cutting.cut(&mut captures, labels, &mut watcher, progress)?;
        let Watcher { packets, scorer } = watcher;
        let captures = captures.into_summary();
        Ok(Detection { packets, scores: scorer.finish(), threshold: self.threshold, left_out, captures })
    }
}
