//! The scores that a detector gives the codes of a stream of fragments.

use super::window_buffer::{Rest, WindowBuffer};
use crate::Result;
use crate::capture::headers::PacketFacts;
use crate::detectors::{FragmentScorer, Samples, ScoredSink, Scorer};
use crate::fragment::Fragment;
use crate::model::{Autoencoder, CODE_SIZE};

/// Scores each fragment by the code of its [scoring window](super::scoring_window).
pub(crate) struct CodeStream<'a> {
    score: Scorer<'a>,
    buffer: WindowBuffer,
}

impl<'a> CodeStream<'a> {
    /// By the codes that `model` gives, and what `score` makes of them.
    pub fn new(model: &Autoencoder, score: Scorer<'a>) -> CodeStream<'a> {
        CodeStream { score, buffer: WindowBuffer::new(model) }
    }

    fn compute(&mut self, rest: Rest, sink: &mut ScoredSink<'_>) -> Result<()> {
        let score = &mut self.score;
        let mut outcome = Ok(());
        self.buffer.compute(rest, |engine, block, windows| {
            let bytes: Vec<&[u8]> = windows.iter().map(|window| window.bytes(block)).collect();
            let codes = Samples::of_numbers(engine.encode(&bytes).as_flattened().to_vec(), CODE_SIZE);
            match score(&codes) {
                Ok(scores) => {
                    for (window, score) in windows.iter().zip(scores) {
                        for fragment in window.scored.clone() {
                            sink(&window.scored_fragment(block, fragment, score, &|| None));
                        }
                    }
                }
                Err(error) => outcome = Err(error),
            }
        });
        outcome
    }
}

impl FragmentScorer for CodeStream<'_> {
    fn push(&mut self, fragment: Fragment<'_>, _: Option<&PacketFacts>, sink: &mut ScoredSink<'_>) -> Result<()> {
        if self.buffer.push(fragment) { self.compute(Rest::Follows, sink) } else { Ok(()) }
    }

    fn finish(&mut self, sink: &mut ScoredSink<'_>) -> Result<()> {
        self.compute(Rest::Ended, sink)
    }

    fn needs_context(&self) -> bool {
        self.buffer.window_frames() > 1
    }
}
