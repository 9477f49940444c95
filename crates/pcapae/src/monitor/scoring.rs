//! The scores that all detectors give of a stream of packets and their fragments, with memory for one block of them.

use super::residuals::Residuals;
use super::{Detectors, ScoredAutoencoder};
use crate::capture::headers::PacketFacts;
use crate::detectors::{Detector, GapClock, Samples};
use crate::fragment::{Fragment, Segment};
use crate::monitor::PacketScores;
use crate::{Error, Result};

/// Packets that the packet detectors score together, in parallel.
const BLOCK: usize = 2048;

/// Scores packets as they come: a column of scores for each detector, in the order of
/// [`Detectors::set`].
pub(super) struct Scoring<'a> {
    autoencoder: Option<(&'a ScoredAutoencoder, Residuals, PacketScores)>,
    packets: Option<PacketScoring<'a>>,
}

impl<'a> Scoring<'a> {
    /// By these detectors, for fragments of `width` bytes.
    pub fn new(detectors: &'a Detectors, width: usize) -> Scoring<'a> {
        let of_model = |scored: &'a ScoredAutoencoder| (scored, Residuals::new(&scored.model), PacketScores::default());
        Scoring {
            autoencoder: detectors.autoencoder.as_ref().map(of_model),
            packets: detectors.look_at_packets().then(|| PacketScoring::new(detectors, width)),
        }
    }

    /// Takes the next packet, before any fragment with bytes of it.
    pub fn packet(&mut self, facts: &PacketFacts) {
        if let Some(packets) = &mut self.packets {
            packets.facts.push(*facts);
        }
    }

    /// Takes the next fragment; where there are detectors that look at packets, that of the last packet.
    pub fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        if let Some((scored, residuals, scores)) = &mut self.autoencoder {
            residuals.push(fragment, &mut |judged| scores.add(judged.segments(), scored.score(judged.residual) as f32));
        }
        self.packets.as_mut().map_or(Ok(()), |packets| packets.fragment(fragment))
    }

    /// Scores what is left and gives the scores of all packets, those of each detector.
    pub fn finish(self) -> Result<Vec<PacketScores>> {
        let mut columns = Vec::new();
        if let Some((scored, residuals, mut scores)) = self.autoencoder {
            residuals.finish(&mut |judged| scores.add(judged.segments(), scored.score(judged.residual) as f32));
            columns.push(scores);
        }
        if let Some(packets) = self.packets {
            columns.extend(packets.finish()?);
        }
        Ok(columns)
    }
}

/// The part for detectors that look at packets: in packet mode, where a fragment is a packet.
struct PacketScoring<'a> {
    detectors: &'a Detectors,
    width: usize,
    clock: Option<GapClock>,
    bytes: Vec<u8>,
    facts: Vec<PacketFacts>,
    segments: Vec<Segment>,
    /// Those of the detectors that there are.
    columns: Vec<PacketScores>,
}

impl<'a> PacketScoring<'a> {
    fn new(detectors: &'a Detectors, width: usize) -> PacketScoring<'a> {
        PacketScoring {
            detectors,
            width,
            clock: detectors.gaps.as_ref().map(|gaps| gaps.clock()),
            bytes: Vec::new(),
            facts: Vec::new(),
            segments: Vec::new(),
            columns: Vec::new(),
        }
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        self.bytes.extend_from_slice(fragment.bytes);
        self.segments.extend(fragment.segments.first());
        if self.segments.len() >= BLOCK { self.score_block() } else { Ok(()) }
    }

    fn finish(mut self) -> Result<Vec<PacketScores>> {
        self.score_block()?;
        Ok(self.columns)
    }

    fn score_block(&mut self) -> Result<()> {
        if self.segments.len() != self.facts.len() {
            return Err(Error::Lacking { detector: "of packets", lacking: "a fragment for every packet" });
        }
        let bytes = std::mem::take(&mut self.bytes);
        let samples = Samples::of_bytes(bytes, self.width).with_facts(std::mem::take(&mut self.facts));
        let detectors = self.detectors;
        let mut columns = Vec::new();
        if let Some(histograms) = &detectors.histograms {
            columns.push(histograms.score(&samples)?);
        }
        if let Some(lengths) = &detectors.lengths {
            columns.push(lengths.score(&samples)?);
        }
        if let Some((gaps, clock)) = detectors.gaps.as_ref().zip(self.clock.as_mut()) {
            columns.push(gaps.score_after(clock, &samples)?);
        }
        self.columns.resize_with(columns.len(), PacketScores::default);
        for (column, scores) in self.columns.iter_mut().zip(&columns) {
            for (segment, &score) in self.segments.iter().zip(scores) {
                column.add(std::slice::from_ref(segment), score as f32);
            }
        }
        self.segments.clear();
        Ok(())
    }
}
