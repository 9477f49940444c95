//! The scores that the residual gives the fragments of a stream.

use super::ResidualScore;
use super::window_buffer::{Rest, Window, WindowBuffer};
use crate::Result;
use crate::capture::headers::PacketFacts;
use crate::detectors::{FragmentScorer, PositionSums, ScoredSink};
use crate::fragment::{Fragment, FragmentTable};
use crate::model::Autoencoder;

/// Scores each fragment by the residual of its own frame in its [scoring window](super::scoring_window).
pub(crate) struct ResidualStream<'a> {
    score: &'a ResidualScore,
    buffer: WindowBuffer,
}

impl<'a> ResidualStream<'a> {
    /// By the residual that `model` leaves.
    pub fn new(model: &Autoencoder, score: &'a ResidualScore) -> ResidualStream<'a> {
        ResidualStream { score, buffer: WindowBuffer::new(model) }
    }

    fn compute(&mut self, rest: Rest, sink: &mut ScoredSink<'_>) {
        let score = self.score;
        each_residual(&mut self.buffer, rest, |block, window, fragment, residual| {
            let values = || Some(score.position_values(residual));
            sink(&window.scored_fragment(block, fragment, score.score(residual), &values));
        });
    }
}

impl FragmentScorer for ResidualStream<'_> {
    fn push(&mut self, fragment: Fragment<'_>, _: Option<&PacketFacts>, sink: &mut ScoredSink<'_>) -> Result<()> {
        if self.buffer.push(fragment) {
            self.compute(Rest::Follows, sink);
        }
        Ok(())
    }

    fn finish(&mut self, sink: &mut ScoredSink<'_>) -> Result<()> {
        self.compute(Rest::Ended, sink);
        Ok(())
    }

    fn needs_context(&self) -> bool {
        self.buffer.window_frames() > 1
    }
}

/// Sums, over fragments, of the residual of each byte.
pub(crate) fn residual_sums<'f>(model: &Autoencoder, fragments: impl Iterator<Item = Fragment<'f>>) -> PositionSums {
    let mut sums = PositionSums::default();
    let mut buffer = WindowBuffer::new(model);
    let mut add = |buffer: &mut WindowBuffer, rest| each_residual(buffer, rest, |_, _, _, residual| sums.add(residual));
    for fragment in fragments {
        if buffer.push(fragment) {
            add(&mut buffer, Rest::Follows);
        }
    }
    add(&mut buffer, Rest::Ended);
    sums
}

/// Hands on the block, the window, the fragment and the residual of its frame, for every fragment that is due.
fn each_residual(buffer: &mut WindowBuffer, rest: Rest, mut take: impl FnMut(&FragmentTable, &Window, usize, &[f32])) {
    buffer.compute(rest, |engine, block, windows| {
        let config = engine.config();
        let size = config.side.fragment_size();
        let bytes: Vec<&[u8]> = windows.iter().map(|window| window.bytes(block)).collect();
        let residuals = engine.residual(&bytes);
        for (window, frames) in windows.iter().zip(residuals.chunks(config.emitted_frames() * size)) {
            let frames = frames.chunks(size).skip(window.first_frame);
            for (fragment, residual) in window.scored.clone().zip(frames) {
                take(block, window, fragment, residual);
            }
        }
    });
}
