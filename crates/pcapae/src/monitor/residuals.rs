//! The residuals of all fragments of a stream, with memory for one block of them.

use std::ops::Range;

use crate::engine::Engine;
use crate::fragment::{Fragment, FragmentTable, Segment};
use crate::model::Autoencoder;

/// Fragments that go through the model together, in parallel.
const BLOCK: usize = 2048;

/// A fragment that was judged, and in which window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judged<'a> {
    block: &'a FragmentTable,
    /// First fragment of the window in the block, and one behind its last.
    window: (usize, usize),
    fragment: usize,
    /// Of the fragment, a value a byte.
    pub residual: &'a [f32],
}

impl<'a> Judged<'a> {
    /// Where the fragment's bytes came from.
    pub fn segments(&self) -> &'a [Segment] {
        self.block.segments(self.fragment)
    }

    /// Which frame of its window the fragment is, from 0.
    pub fn frame(&self) -> usize {
        self.fragment - self.window.0
    }

    /// The bytes of the window, frame after frame.
    pub fn window_bytes(&self) -> &'a [u8] {
        self.block.bytes_of(self.window.0..self.window.1)
    }

    /// Where the bytes of each frame of the window came from.
    pub fn window_segments(&self) -> impl Iterator<Item = &'a [Segment]> + use<'a> {
        let block = self.block;
        (self.window.0..self.window.1).map(|fragment| block.segments(fragment))
    }
}

/// Takes fragments as they are judged.
pub(super) type ResidualSink<'a> = dyn FnMut(&Judged<'_>) + 'a;

/// Gives the residuals of fragments as they come.
///
/// A fragment is judged in the window that ends with it, by the residual of its own frame: what went before is
/// context and counts no second time. The first fragments of a run (of a flow, or of the whole stream outside flow mode)
/// are judged in the run's first window; a run shorter than a window is a window of its own.
pub(super) struct Residuals {
    /// The model for windows of 1 fragment, of 2, and so on up to its own number of frames; the weights are the same.
    models: Vec<Engine>,
    fragment_size: usize,
    block: FragmentTable,
    /// How many fragments at the front of the block are judged already and serve as context.
    context: usize,
}

/// A window in the block and the first of its fragments that it judges.
#[derive(Debug, PartialEq, Eq)]
struct Judgement {
    window: Range<usize>,
    first_scored: usize,
}

impl Residuals {
    /// Those of `model`.
    pub fn new(model: &Autoencoder) -> Residuals {
        let fragment_size = model.config().side.fragment_size();
        Residuals {
            models: (1..=model.config().frames.count())
                .filter_map(|frames| model.with_frames(frames).ok())
                .map(|model| Engine::new(&model))
                .collect(),
            fragment_size,
            block: FragmentTable::new(fragment_size),
            context: 0,
        }
    }

    /// Takes the next fragment.
    pub fn push(&mut self, fragment: Fragment<'_>, sink: &mut ResidualSink<'_>) {
        self.block.push(fragment);
        if self.block.len() >= BLOCK.max(2 * self.models.len()) {
            self.judge_block(Rest::Follows, sink);
        }
    }

    /// Hands on what is left.
    pub fn finish(mut self, sink: &mut ResidualSink<'_>) {
        self.judge_block(Rest::Ended, sink);
    }

    fn judge_block(&mut self, rest: Rest, sink: &mut ResidualSink<'_>) {
        let (judgements, kept, context) = judgements(self.block.flows(), self.models.len(), self.context, rest);
        for (model, frames) in self.models.iter().zip(1..) {
            let of_this_length: Vec<&Judgement> = judgements.iter().filter(|j| j.window.len() == frames).collect();
            let bytes: Vec<&[u8]> = of_this_length.iter().map(|j| self.block.bytes_of(j.window.clone())).collect();
            let residuals = model.residual(&bytes);
            let of_window = residuals.chunks(frames * self.fragment_size);
            for (judgement, residual) in of_this_length.into_iter().zip(of_window) {
                let residuals = residual.chunks(self.fragment_size);
                for (fragment, residual) in judgement.window.clone().zip(residuals) {
                    if fragment >= judgement.first_scored {
                        let window = (judgement.window.start, judgement.window.end);
                        sink(&Judged { block: &self.block, window, fragment, residual });
                    }
                }
            }
        }
        self.block.keep_last(kept);
        self.context = context;
    }
}

/// Whether the last run of a block may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Follows,
    Ended,
}

/// Which windows to judge, so that each fragment from `context` on is scored once, in order; how many fragments to keep for the
/// next block; and how many of those are scored already.
fn judgements(flows: &[u64], frames: usize, context: usize, rest: Rest) -> (Vec<Judgement>, usize, usize) {
    let mut judgements = Vec::new();
    let mut start = 0;
    let mut scored = context;
    for run in flows.chunk_by(|a, b| a == b) {
        let end = start + run.len();
        let may_go_on = end == flows.len() && rest == Rest::Follows;
        if may_go_on && run.len() < frames {
            return (judgements, end - start, scored.saturating_sub(start));
        }
        if scored <= start {
            let window = start..end.min(start + frames);
            scored = window.end;
            judgements.push(Judgement { window, first_scored: start });
        }
        judgements.extend((scored..end).map(|i| Judgement { window: i + 1 - frames..i + 1, first_scored: i }));
        scored = end;
        if may_go_on {
            return (judgements, frames - 1, frames - 1);
        }
        start = end;
    }
    (judgements, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Which windows score which fragments if everything comes in one block.
    fn whole(flows: &[u64], frames: usize) -> Vec<(Range<usize>, usize)> {
        let (judged, kept, _) = judgements(flows, frames, 0, Rest::Ended);
        assert_eq!(kept, 0);
        scored(&judged, 0)
    }

    fn scored(judged: &[Judgement], offset: usize) -> Vec<(Range<usize>, usize)> {
        let each = |j: &Judgement| {
            let window = j.window.start + offset..j.window.end + offset;
            (j.first_scored..j.window.end).map(move |i| (window.clone(), i + offset)).collect::<Vec<_>>()
        };
        judged.iter().flat_map(each).collect()
    }

    #[test]
    fn the_first_window_scores_all_its_fragments_and_later_ones_their_last() {
        assert_eq!(whole(&[0; 4], 2), [(0..2, 0), (0..2, 1), (1..3, 2), (2..4, 3)]);
    }

    #[test]
    fn a_short_run_is_its_own_window() {
        assert_eq!(whole(&[0, 1, 1], 3), [(0..1, 0), (1..3, 1), (1..3, 2)]);
    }

    proptest! {
        #[test]
        fn cutting_the_stream_into_blocks_changes_nothing(
            runs in prop::collection::vec(1usize..12, 1..12),
            frames in 1usize..5,
            block in 10usize..20,
        ) {
            let flows: Vec<u64> = runs.iter().zip(0..).flat_map(|(&n, flow)| std::iter::repeat_n(flow, n)).collect();
            let mut got = Vec::new();
            let (mut held, mut dropped, mut context) = (Vec::new(), 0, 0);
            for &flow in &flows {
                held.push(flow);
                if held.len() >= block {
                    let (judged, kept, next_context) = judgements(&held, frames, context, Rest::Follows);
                    got.extend(scored(&judged, dropped));
                    dropped += held.len() - kept;
                    held.drain(..held.len() - kept);
                    context = next_context;
                }
            }
            let (judged, ..) = judgements(&held, frames, context, Rest::Ended);
            got.extend(scored(&judged, dropped));
            prop_assert_eq!(&got, &whole(&flows, frames));
            prop_assert!(got.iter().map(|(_, i)| *i).eq(0..flows.len()));
        }
    }
}
