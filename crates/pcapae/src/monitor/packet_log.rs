//! What is kept of every packet while detecting.

use std::collections::HashMap;

use crate::capture::headers::{Conversation, PacketFacts};
use crate::detectors::GroupedBy;
use crate::label::Label;

/// What is kept of every packet: time, label, and who talked to whom, 13 bytes a packet. Equal conversations are kept once.
#[derive(Debug, Default)]
pub struct PacketLog {
    times_ns: Vec<i64>,
    labels: Vec<Label>,
    conversation_of: Vec<u32>,
    conversations: Vec<(Conversation, GroupedBy)>,
    index: HashMap<(Conversation, GroupedBy), u32>,
}

impl PacketLog {
    /// Takes what is known of the next packet.
    pub(super) fn push(&mut self, conversation: Conversation, facts: &PacketFacts, label: Label) {
        let conversation = (conversation, GroupedBy::of(facts));
        let conversations = &mut self.conversations;
        let index = *self.index.entry(conversation).or_insert_with_key(|conversation| {
            conversations.push(*conversation);
            conversations.len() as u32 - 1
        });
        self.times_ns.push(facts.time_ns);
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
        &self.ends(packet).0
    }

    /// Service, direction and hosts of a packet.
    pub(super) fn grouped_by(&self, packet: u64) -> &GroupedBy {
        &self.ends(packet).1
    }

    fn ends(&self, packet: u64) -> &(Conversation, GroupedBy) {
        &self.conversations[self.conversation_of[packet as usize - 1] as usize]
    }
}
