//! The scores that all detectors give of a stream of packets and their fragments.

use super::{Detectors, PacketScores};
use crate::Result;
use crate::capture::headers::PacketFacts;
use crate::detectors::{FragmentScorer, ScoredFragment};
use crate::fragment::{Cutting, Fragment, Mode};

/// Scores packets as they come: a column of scores for each detector, in the order of [`Detectors::fitted`].
pub(super) struct Scoring<'a> {
    mode: Mode,
    /// Of the last packet.
    facts: Option<PacketFacts>,
    columns: Vec<(Box<dyn FragmentScorer + 'a>, PacketScores)>,
}

impl<'a> Scoring<'a> {
    /// By these detectors, for fragments that were cut so.
    pub fn new(detectors: &'a Detectors, cutting: &Cutting) -> Scoring<'a> {
        let columns = detectors.scorers().into_iter().map(|scorer| (scorer, PacketScores::default()));
        Scoring { mode: cutting.mode, facts: None, columns: columns.collect() }
    }

    /// Takes the next packet, before any fragment with bytes of it.
    pub fn packet(&mut self, facts: &PacketFacts) {
        self.facts = (self.mode == Mode::Packet).then_some(*facts);
    }

    /// Takes the next fragment; in packet mode that of the last packet.
    pub fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        for (scorer, scores) in &mut self.columns {
            scorer.push(fragment, self.facts.as_ref(), &mut |scored| scores.add_fragment(scored))?;
        }
        Ok(())
    }

    /// Scores what is left and gives the scores of all packets, those of each detector.
    pub fn finish(self) -> Result<Vec<PacketScores>> {
        let finish = |(mut scorer, mut scores): (Box<dyn FragmentScorer + 'a>, PacketScores)| {
            scorer.finish(&mut |scored| scores.add_fragment(scored))?;
            Ok(scores)
        };
        self.columns.into_iter().map(finish).collect()
    }
}

impl PacketScores {
    fn add_fragment(&mut self, scored: &ScoredFragment<'_>) {
        self.add(scored.segments, scored.score as f32);
    }
}
