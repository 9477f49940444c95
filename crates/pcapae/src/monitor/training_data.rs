//! The captures that are learned from, in memory: fragments, and what is known of each packet.

use std::collections::BTreeSet;

use super::scoring::Scorers;
use super::{Detectors, Exclusion, PacketLog, PacketScores};
use crate::capture::Packet;
use crate::capture::headers::{Dissection, PacketFacts};
use crate::dataset::Windows;
use crate::detectors::{BLOCKS, Blocks, Rows, Samples};
use crate::engine::Engine;
use crate::fragment::{Cutting, Fragment, FragmentTable, Mode, Receiver};
use crate::label::Label;
use crate::model::{Autoencoder, CODE_SIZE};
use crate::{Error, Result};

/// Of the packets of each block, the share at its end that decides when to stop training: a tenth.
const VALIDATION_PARTS: usize = 10;

/// A longer time without a packet, one hour, is a gap in the recording.
const GAP_MAX_NS: i64 = 3_600_000_000_000;

/// All fragments, and of all packets that are not excluded the facts, the first bytes, and who talked to whom.
pub(super) struct TrainingData {
    cutting: Cutting,
    /// What is excluded, and how many packets that was.
    exclude: Vec<(Exclusion, u64)>,
    blocks: u32,
    fragments: FragmentTable,
    /// The number of each packet, in order.
    numbers: Vec<u64>,
    facts: Vec<PacketFacts>,
    /// Of each packet as many bytes as a fragment has, with zeros behind a shorter one.
    bytes: Vec<u8>,
    pub log: PacketLog,
    /// How many packets were left out.
    pub excluded: u64,
}

/// What a packet serves for: in the training of a model that some blocks are kept from, or in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Training,
    Validation,
    HeldOut,
}

impl TrainingData {
    /// Nothing yet; of fragments that are cut so, without what is excluded.
    pub fn new(cutting: Cutting, exclude: &[Exclusion]) -> TrainingData {
        TrainingData {
            cutting,
            exclude: exclude.iter().map(|exclusion| (*exclusion, 0)).collect(),
            blocks: BLOCKS,
            fragments: FragmentTable::new(cutting.size.bytes()),
            numbers: Vec::new(),
            facts: Vec::new(),
            bytes: Vec::new(),
            log: PacketLog::default(),
            excluded: 0,
        }
    }

    /// The same without these packets.
    pub fn without(&self, packets: &BTreeSet<u64>) -> TrainingData {
        let mut rest = TrainingData::new(self.cutting, &[]);
        let size = self.cutting.size.bytes();
        for (row, number) in self.numbers.iter().enumerate().filter(|(_, number)| !packets.contains(number)) {
            rest.numbers.push(*number);
            rest.facts.push(self.facts[row]);
            rest.bytes.extend_from_slice(&self.bytes[row * size..(row + 1) * size]);
            let packet = row as u64 + 1;
            rest.log.push(*self.log.conversation(packet), &self.facts[row], self.log.label(packet));
        }
        for fragment in (0..self.fragments.len()).map(|i| self.fragments.fragment(i)) {
            if fragment.segments.iter().all(|segment| !packets.contains(&segment.packet)) {
                rest.fragments.push(fragment);
            }
        }
        rest.blocks = self.blocks;
        rest.excluded = self.excluded + (self.packets() - rest.packets());
        rest
    }

    /// Refuses what excludes no packet: it is not what was meant.
    pub fn check_exclusions(&self) -> Result<()> {
        let is_event = |exclusion: &Exclusion| matches!(exclusion, Exclusion::Event(_));
        match self.exclude.iter().find(|(exclusion, count)| *count == 0 && !is_event(exclusion)) {
            None => Ok(()),
            Some((exclusion, _)) => Err(Error::Setting {
                setting: "exclusion",
                got: exclusion.to_string(),
                expected: "one that concerns packets of the captures".into(),
                remedy: None,
            }),
        }
    }

    /// How many packets there are.
    pub fn packets(&self) -> u64 {
        self.facts.len() as u64
    }

    /// The number of a packet in the captures, by its row.
    pub fn number(&self, row: usize) -> u64 {
        self.numbers[row]
    }

    /// The row of a packet, by its number in the captures.
    pub fn row(&self, packet: u64) -> Option<usize> {
        self.numbers.binary_search(&packet).ok()
    }

    /// The facts of a packet, by its row.
    pub fn facts(&self, row: usize) -> &PacketFacts {
        &self.facts[row]
    }

    /// How long was recorded, in seconds: the times between packets that follow each other, but for gaps of more than an hour, as between captures.
    pub fn seconds(&self) -> f64 {
        let gaps = self.facts.windows(2).map(|pair| pair[1].time_ns.saturating_sub(pair[0].time_ns));
        gaps.filter(|gap| (0..=GAP_MAX_NS).contains(gap)).map(|gap| gap as f64 / 1e9).sum()
    }

    /// The packets in blocks of time.
    pub fn blocks(&self) -> Blocks {
        Blocks::new(self.facts.len(), self.blocks)
    }

    /// Divides the packets into so many blocks, instead of [`BLOCKS`].
    pub fn divide(&mut self, blocks: u32) {
        self.blocks = blocks;
    }

    /// What the packet of a row is for, where these blocks are held out.
    pub fn role(&self, row: usize, held_out: impl Fn(u32) -> bool) -> Role {
        let block = self.blocks().block(row);
        let packets = self.blocks().packets(block);
        match () {
            () if held_out(block) => Role::HeldOut,
            () if packets.end - row <= packets.len() / VALIDATION_PARTS => Role::Validation,
            () => Role::Training,
        }
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

    /// Windows of which the first and the last packet have a role that is wanted.
    pub fn windows(&self, frames: usize, wanted: impl Fn(usize) -> bool) -> Windows<'_> {
        let (bytes, flows) = (self.fragments.bytes(), self.fragments.flows());
        let all = Windows::within_flows(bytes, self.cutting.size.bytes(), frames, flows);
        let is_wanted = |packet| self.row(packet).is_some_and(&wanted);
        all.only(|window| is_wanted(self.first_packet(window.start)) && is_wanted(self.last_packet(window.end - 1)))
    }

    /// All packets, a row each, in blocks.
    pub fn packet_samples(&self) -> Samples {
        let size = self.cutting.size.bytes();
        Samples::of_bytes(self.bytes.clone(), size).with_facts(self.facts.clone()).in_blocks(self.blocks)
    }

    /// The fragments that begin with a packet of a row that is wanted as such rows: themselves, with the facts of packets in packet mode, or the
    /// codes that `model` gives the windows of which they are the last.
    pub fn samples(&self, rows: &Rows, model: Option<&Autoencoder>, wanted: impl Fn(usize) -> bool) -> Samples {
        match (rows, model) {
            (Rows::Codes { .. }, Some(model)) => {
                let windows = self.windows(model.config().frames.count(), wanted);
                let bytes: Vec<&[u8]> = (0..windows.len()).map(|i| windows.bytes(i)).collect();
                Samples::of_numbers(Engine::new(model).encode(&bytes).as_flattened().to_vec(), CODE_SIZE)
            }
            _ => self.fragment_rows(wanted),
        }
    }

    fn fragment_rows(&self, wanted: impl Fn(usize) -> bool) -> Samples {
        let (mut bytes, mut facts) = (Vec::new(), Vec::new());
        for (row, fragment) in self.fragments(wanted) {
            bytes.extend_from_slice(fragment.bytes);
            facts.push(self.facts[row]);
        }
        let samples = Samples::of_bytes(bytes, self.cutting.size.bytes());
        if self.cutting.mode == Mode::Packet { samples.with_facts(facts) } else { samples }
    }

    /// The fragments that begin with a packet of a row that is wanted, and that row.
    pub fn fragments(&self, wanted: impl Fn(usize) -> bool) -> impl Iterator<Item = (usize, Fragment<'_>)> {
        let rows = (0..self.fragments.len()).filter_map(|i| Some((i, self.row(self.first_packet(i))?)));
        rows.filter(move |(_, row)| wanted(*row)).map(|(i, row)| (row, self.fragments.fragment(i)))
    }

    /// The scores of the fragments that begin with packets of rows that are wanted, as detection would give them of these alone.
    pub fn scores(
        &self,
        detectors: &Detectors,
        of: impl Fn(usize) -> bool,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Vec<(usize, PacketScores)>> {
        let mut scorers = Scorers::new(detectors, of);
        for (row, fragment) in self.fragments(wanted) {
            let facts = (self.cutting.mode == Mode::Packet).then_some(&self.facts[row]);
            scorers.push(fragment, facts)?;
        }
        scorers.finish()
    }
}

impl Receiver for TrainingData {
    fn packet(&mut self, packet: &Packet<'_>, masked: &[u8], headers: &Dissection<'_>, label: Label) -> Result<()> {
        let facts = headers.facts(packet.data.len() as u32, packet.wire_length, packet.time_ns);
        let mut excludes = false;
        for (exclusion, count) in &mut self.exclude {
            if exclusion.excludes(&facts) {
                *count += 1;
                excludes = true;
            }
        }
        if excludes {
            self.excluded += 1;
            return Ok(());
        }
        let facts = self.cutting.mask.facts(facts);
        let size = self.cutting.size.bytes();
        self.numbers.push(packet.number);
        self.log.push(headers.conversation(), &facts, label);
        self.facts.push(facts);
        self.bytes.extend_from_slice(&masked[..masked.len().min(size)]);
        self.bytes.resize(self.facts.len() * size, 0);
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        if self.excluded == 0 || fragment.segments.iter().all(|segment| self.row(segment.packet).is_some()) {
            self.fragments.push(fragment);
        }
        Ok(())
    }
}
