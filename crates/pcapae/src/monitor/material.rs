//! The captures that are learned from, in memory: fragments, and what is known of each packet.

use std::ops::RangeInclusive;

use super::scoring::Scoring;
use super::{Detectors, Split};
use crate::Result;
use crate::capture::Packet;
use crate::capture::headers::{Dissection, PacketFacts};
use crate::dataset::Windows;
use crate::detectors::Samples;
use crate::fragment::{Fragment, FragmentTable, Receiver};
use crate::label::Label;
use crate::monitor::PacketScores;

/// All fragments, and the facts of all packets.
pub(super) struct Material {
    fragment_size: usize,
    fragments: FragmentTable,
    facts: Vec<PacketFacts>,
}

impl Material {
    /// Nothing yet; of fragments of this many bytes.
    pub fn new(fragment_size: usize) -> Material {
        Material { fragment_size, fragments: FragmentTable::new(fragment_size), facts: Vec::new() }
    }

    /// How many packets there are.
    pub fn packets(&self) -> u64 {
        self.facts.len() as u64
    }

    /// The facts of a packet, by its number from 1.
    pub fn facts(&self, packet: u64) -> &PacketFacts {
        &self.facts[packet as usize - 1]
    }

    /// All fragments.
    pub fn table(&self) -> &FragmentTable {
        &self.fragments
    }

    /// The first packet with bytes in a fragment.
    pub fn first_packet(&self, fragment: usize) -> u64 {
        self.fragments.segments(fragment).first().map_or(0, |segment| segment.packet)
    }

    fn last_packet(&self, fragment: usize) -> u64 {
        self.fragments.segments(fragment).last().map_or(0, |segment| segment.packet)
    }

    /// Windows to train and to validate on, which lie wholly in their parts.
    pub fn windows(&self, frames: usize, split: &Split) -> (Windows<'_>, Windows<'_>) {
        let (bytes, flows) = (self.fragments.bytes(), self.fragments.flows());
        let all = Windows::within_flows(bytes, self.fragment_size, frames, flows);
        let training = all.only(|window| self.last_packet(window.end - 1) <= split.training_end);
        let validation = all.only(|window| {
            self.first_packet(window.start) > split.training_end
                && self.last_packet(window.end - 1) <= split.validation_end
        });
        (training, validation)
    }

    /// The packets with these numbers as samples, in packet mode, where each fragment is a packet.
    pub fn samples(&self, packets: RangeInclusive<u64>) -> Samples {
        let range = *packets.start() as usize - 1..*packets.end() as usize;
        let bytes = self.fragments.bytes_of(range.clone()).to_vec();
        Samples::of_bytes(bytes, self.fragment_size).with_facts(self.facts[range].to_vec())
    }

    /// The fragments that begin with a packet of these numbers.
    pub fn fragments(&self, packets: RangeInclusive<u64>) -> impl Iterator<Item = Fragment<'_>> {
        let indices = (0..self.fragments.len()).filter(move |&i| packets.contains(&self.first_packet(i)));
        indices.map(|i| self.fragments.fragment(i))
    }

    /// The scores of the packets from number `first` on, as detection would give them if it began there.
    pub fn scores(&self, detectors: &Detectors, first: u64) -> Result<Vec<PacketScores>> {
        let mut scoring = Scoring::new(detectors, self.fragment_size);
        for fragment in self.fragments(first..=u64::MAX) {
            if detectors.look_at_packets() {
                fragment.segments.iter().for_each(|segment| scoring.packet(self.facts(segment.packet)));
            }
            scoring.fragment(fragment)?;
        }
        scoring.finish()
    }
}

impl Receiver for Material {
    fn packet(&mut self, packet: &Packet<'_>, headers: &Dissection<'_>, _label: Label) -> Result<()> {
        self.facts.push(headers.facts(packet.data.len() as u32, packet.time_ns));
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        self.fragments.push(fragment);
        Ok(())
    }
}
