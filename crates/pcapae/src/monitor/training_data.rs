//! The captures that are learned from, in memory: fragments, and what is known of each packet.

use std::ops::RangeInclusive;

use super::scoring::Scoring;
use super::{Detectors, PacketScores, Split};
use crate::Result;
use crate::capture::Packet;
use crate::capture::headers::{Dissection, PacketFacts};
use crate::dataset::Windows;
use crate::detectors::{Rows, Samples};
use crate::engine::Engine;
use crate::fragment::{Cutting, Fragment, FragmentTable, Mode, Receiver};
use crate::label::Label;
use crate::model::{Autoencoder, CODE_SIZE};

/// All fragments, and the facts of all packets.
pub(super) struct TrainingData {
    cutting: Cutting,
    fragments: FragmentTable,
    facts: Vec<PacketFacts>,
}

impl TrainingData {
    /// Nothing yet; of fragments that are cut so.
    pub fn new(cutting: Cutting) -> TrainingData {
        TrainingData { cutting, fragments: FragmentTable::new(cutting.size.bytes()), facts: Vec::new() }
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
        let all = Windows::within_flows(bytes, self.cutting.size.bytes(), frames, flows);
        let training = all.only(|window| self.last_packet(window.end - 1) <= split.training_end);
        let validation = all.only(|window| {
            self.first_packet(window.start) > split.training_end
                && self.last_packet(window.end - 1) <= split.validation_end
        });
        (training, validation)
    }

    /// The fragments that begin with a packet of these numbers as such rows: themselves, with the facts of packets in packet mode, or the codes that
    /// `model` gives the windows of which they are the last.
    pub fn samples(&self, rows: &Rows, model: Option<&Autoencoder>, packets: RangeInclusive<u64>) -> Samples {
        match (rows, model) {
            (Rows::Codes { .. }, Some(model)) => self.codes(model, &packets),
            _ => self.fragment_rows(packets),
        }
    }

    fn fragment_rows(&self, packets: RangeInclusive<u64>) -> Samples {
        let (mut bytes, mut facts) = (Vec::new(), Vec::new());
        for fragment in self.fragments(packets) {
            bytes.extend_from_slice(fragment.bytes);
            facts.extend(fragment.segments.first().map(|segment| *self.facts(segment.packet)));
        }
        let samples = Samples::of_bytes(bytes, self.cutting.size.bytes());
        if self.cutting.mode == Mode::Packet { samples.with_facts(facts) } else { samples }
    }

    fn codes(&self, model: &Autoencoder, packets: &RangeInclusive<u64>) -> Samples {
        let (bytes, flows) = (self.fragments.bytes(), self.fragments.flows());
        let frames = model.config().frames.count();
        let all = Windows::within_flows(bytes, self.cutting.size.bytes(), frames, flows);
        let windows = all.only(|window| {
            packets.contains(&self.first_packet(window.start)) && packets.contains(&self.last_packet(window.end - 1))
        });
        let bytes: Vec<&[u8]> = (0..windows.len()).map(|i| windows.bytes(i)).collect();
        Samples::of_numbers(Engine::new(model).encode(&bytes).as_flattened().to_vec(), CODE_SIZE)
    }

    /// The fragments that begin with a packet of these numbers.
    pub fn fragments(&self, packets: RangeInclusive<u64>) -> impl Iterator<Item = Fragment<'_>> {
        let indices = (0..self.fragments.len()).filter(move |&i| packets.contains(&self.first_packet(i)));
        indices.map(|i| self.fragments.fragment(i))
    }

    /// The scores of the packets from number `first` on, as detection would give them if it began there.
    pub fn scores(&self, detectors: &Detectors, first: u64) -> Result<Vec<PacketScores>> {
        let mut scoring = Scoring::new(detectors, &self.cutting);
        for fragment in self.fragments(first..=u64::MAX) {
            if let Some(segment) = fragment.segments.first() {
                scoring.packet(self.facts(segment.packet));
            }
            scoring.fragment(fragment)?;
        }
        scoring.finish()
    }
}

impl Receiver for TrainingData {
    fn packet(&mut self, packet: &Packet<'_>, headers: &Dissection<'_>, _label: Label) -> Result<()> {
        self.facts.push(headers.facts(packet.data.len() as u32, packet.time_ns));
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        self.fragments.push(fragment);
        Ok(())
    }
}
