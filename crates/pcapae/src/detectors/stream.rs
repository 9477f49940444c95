//! Scores of a stream of fragments: what everything that scores packets has in common.

use super::{Detector, Samples, Scorer};
use crate::Result;
use crate::capture::headers::PacketFacts;
use crate::fragment::{Fragment, FragmentTable, Segment};

/// Fragments that a detector of rows scores together, in parallel.
const BLOCK: usize = 2048;

/// Scores fragments as they come, with memory for one block of them.
pub trait FragmentScorer {
    /// Takes the next fragment, and in packet mode the facts of the packet that it is; hands on the scores that are due.
    fn push(&mut self, fragment: Fragment<'_>, facts: Option<&PacketFacts>, sink: &mut ScoredSink<'_>) -> Result<()>;

    /// Hands on the scores of what is left.
    fn finish(&mut self, sink: &mut ScoredSink<'_>) -> Result<()>;

    /// Whether the score of a fragment depends on those before it.
    fn needs_context(&self) -> bool;
}

/// Takes fragments as they are scored, each at most once.
pub type ScoredSink<'a> = dyn FnMut(&ScoredFragment<'_>) + 'a;

/// A fragment and its score.
#[derive(Clone, Copy)]
pub struct ScoredFragment<'a> {
    /// Higher is more anomalous.
    pub score: f64,
    /// Where its bytes came from.
    pub segments: &'a [Segment],
    /// What the score is made of, a value a byte of the fragment, higher is more anomalous; `None` where it is not made of bytes.
    pub position_values: &'a dyn Fn() -> Option<Vec<f32>>,
    /// The window in which a model scored it.
    pub window: Option<WindowOf<'a>>,
}

/// The window in which a model scored a fragment.
#[derive(Debug, Clone, Copy)]
pub struct WindowOf<'a> {
    pub(crate) block: &'a FragmentTable,
    pub(crate) fragments: (usize, usize),
    /// Which fragment of the window, from 0.
    pub fragment: usize,
    /// Which of the decoder's frames, from 0.
    pub frame: usize,
}

impl<'a> WindowOf<'a> {
    /// The bytes of the window, frame after frame.
    pub fn bytes(&self) -> &'a [u8] {
        self.block.bytes_of(self.fragments.0..self.fragments.1)
    }

    /// Where the bytes of each frame of the window came from.
    pub fn segments(&self) -> impl Iterator<Item = &'a [Segment]> + use<'a> {
        let block = self.block;
        (self.fragments.0..self.fragments.1).map(|fragment| block.segments(fragment))
    }
}

/// A detector of rows at work on fragments, each of which is a row.
pub(crate) struct RowStream<'a> {
    detector: &'a dyn Detector,
    score: Scorer<'a>,
    block: FragmentTable,
    width: usize,
    facts: Vec<PacketFacts>,
}

impl<'a> RowStream<'a> {
    /// For fragments of `width` bytes.
    pub fn new(detector: &'a dyn Detector, width: usize) -> RowStream<'a> {
        RowStream { detector, score: detector.scorer(), block: FragmentTable::new(width), width, facts: Vec::new() }
    }

    fn score_block(&mut self, sink: &mut ScoredSink<'_>) -> Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let samples = Samples::of_bytes(self.block.bytes().to_vec(), self.width);
        let samples = match self.facts.is_empty() {
            true => samples,
            false => samples.with_facts(std::mem::take(&mut self.facts)),
        };
        for (fragment, score) in (self.score)(&samples)?.into_iter().enumerate() {
            let position_values = || self.detector.position_values(&samples.rows(fragment..fragment + 1));
            let segments = self.block.segments(fragment);
            sink(&ScoredFragment { score, segments, position_values: &position_values, window: None });
        }
        self.block.keep_last(0);
        Ok(())
    }
}

impl FragmentScorer for RowStream<'_> {
    fn push(&mut self, fragment: Fragment<'_>, facts: Option<&PacketFacts>, sink: &mut ScoredSink<'_>) -> Result<()> {
        self.block.push(fragment);
        self.facts.extend(facts);
        if self.block.len() >= BLOCK { self.score_block(sink) } else { Ok(()) }
    }

    fn finish(&mut self, sink: &mut ScoredSink<'_>) -> Result<()> {
        self.score_block(sink)
    }

    fn needs_context(&self) -> bool {
        false
    }
}
