//! The windows of a stream of fragments, with memory for one block of them.

use std::ops::Range;

use super::scoring_window;
use crate::detectors::{ScoredFragment, WindowOf};
use crate::engine::Engine;
use crate::fragment::{Fragment, FragmentTable};
use crate::model::{Autoencoder, ModelConfig};

/// Fragments that go through the model together, in parallel.
const BLOCK: usize = 2048;

/// Collects fragments and says which windows are to be computed.
pub(super) struct WindowBuffer {
    config: ModelConfig,
    /// The model for each length of window, from that of a run of one fragment to its own; the weights are the same. One that predicts has but
    /// its own length.
    engines: Vec<(usize, Engine)>,
    block: FragmentTable,
    /// How many fragments at the front of the block are scored already and serve as context.
    context: usize,
}

/// A window to compute, and which of its fragments are scored in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub fragments: Range<usize>,
    pub scored: Range<usize>,
    /// The decoder's frame of the first scored one.
    pub first_frame: usize,
}

/// Whether the last run of a block may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    Follows,
    Ended,
}

impl WindowBuffer {
    /// For windows of `model`.
    pub fn new(model: &Autoencoder) -> WindowBuffer {
        let config = *model.config();
        let shortest = if config.predict_frames.count() > 0 { config.frames.count() } else { 1 };
        let shorter = (shortest..=config.frames.count()).filter_map(|frames| model.with_frames(frames).ok());
        WindowBuffer {
            config,
            engines: shorter.map(|model| (model.config().window_frames(), Engine::new(&model))).collect(),
            block: FragmentTable::new(config.side.fragment_size()),
            context: 0,
        }
    }

    /// Fragments in a window of full length.
    pub fn window_frames(&self) -> usize {
        self.config.window_frames()
    }

    /// Takes the next fragment; true where it is time to compute.
    pub fn push(&mut self, fragment: Fragment<'_>) -> bool {
        self.block.push(fragment);
        self.block.len() >= BLOCK.max(2 * self.config.window_frames())
    }

    /// Hands on, for each length of window, the model and the windows of this length, then forgets what is no context.
    pub fn compute(&mut self, rest: Rest, mut with: impl FnMut(&Engine, &FragmentTable, &[Window])) {
        let (windows, kept, context) = due(self.block.flows(), &self.config, self.context, rest);
        let mut windows = windows;
        for (length, engine) in &self.engines {
            let (of_length, others) = windows.into_iter().partition(|window| window.fragments.len() == *length);
            windows = others;
            with(engine, &self.block, &of_length);
        }
        self.block.keep_last(kept);
        self.context = context;
    }
}

impl Window {
    /// Its bytes, frame after frame.
    pub fn bytes<'a>(&self, block: &'a FragmentTable) -> &'a [u8] {
        block.bytes_of(self.fragments.clone())
    }

    /// One of its scored fragments, with a score and, where there are any, the values that the score is made of.
    pub fn scored_fragment<'a>(
        &self,
        block: &'a FragmentTable,
        fragment: usize,
        score: f64,
        position_values: &'a dyn Fn() -> Option<Vec<f32>>,
    ) -> ScoredFragment<'a> {
        let window = WindowOf {
            block,
            fragments: (self.fragments.start, self.fragments.end),
            fragment: fragment - self.fragments.start,
            frame: self.first_frame + fragment - self.scored.start,
        };
        ScoredFragment { score, segments: block.segments(fragment), position_values, window: Some(window) }
    }
}

/// The windows to compute so that each fragment from `context` on is scored once, in order; how many fragments to keep for the next block; and how
/// many of those are scored already.
fn due(flows: &[u64], config: &ModelConfig, context: usize, rest: Rest) -> (Vec<Window>, usize, usize) {
    let frames = config.window_frames();
    let mut windows: Vec<Window> = Vec::new();
    let mut start = 0;
    for run in flows.chunk_by(|a, b| a == b) {
        let end = start + run.len();
        let may_go_on = end == flows.len() && rest == Rest::Follows;
        if may_go_on && run.len() < frames {
            return (windows, run.len(), context.saturating_sub(start));
        }
        for fragment in start.max(context)..end {
            let Some(window) = scoring_window(start..end, fragment, config) else { continue };
            match windows.last_mut().filter(|last| last.fragments == window.fragments) {
                Some(last) => last.scored.end = fragment + 1,
                None => windows.push(Window {
                    fragments: window.fragments,
                    scored: fragment..fragment + 1,
                    first_frame: window.frame,
                }),
            }
        }
        if may_go_on {
            return (windows, frames - 1, frames - 1);
        }
        start = end;
    }
    (windows, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::super::window::tests::config;
    use super::*;
    use proptest::prelude::*;

    fn shifted(windows: &[Window], offset: usize) -> Vec<(Range<usize>, usize, usize)> {
        let each = |window: &Window| {
            let fragments = window.fragments.start + offset..window.fragments.end + offset;
            let (scored, frame) = (window.scored.clone(), window.first_frame);
            scored.map(move |i| (fragments.clone(), i + offset, frame + i)).collect::<Vec<_>>()
        };
        windows.iter().flat_map(each).collect()
    }

    proptest! {
        #[test]
        fn cutting_the_stream_into_blocks_changes_nothing(
            runs in prop::collection::vec(1usize..12, 1..12),
            frames in 1usize..5,
            predict in 0usize..3,
            block in 10usize..20,
        ) {
            let config = config(frames, predict);
            let flows: Vec<u64> = runs.iter().zip(0..).flat_map(|(&n, flow)| std::iter::repeat_n(flow, n)).collect();
            let mut got = Vec::new();
            let (mut held, mut dropped, mut context) = (Vec::new(), 0, 0);
            for &flow in &flows {
                held.push(flow);
                if held.len() >= block.max(2 * config.window_frames()) {
                    let (windows, kept, next_context) = due(&held, &config, context, Rest::Follows);
                    got.extend(shifted(&windows, dropped));
                    dropped += held.len() - kept;
                    held.drain(..held.len() - kept);
                    context = next_context;
                }
            }
            let (windows, ..) = due(&held, &config, context, Rest::Ended);
            got.extend(shifted(&windows, dropped));
            let got: Vec<_> = got.into_iter().map(|(window, fragment, _)| (window, fragment)).collect();

            let mut start = 0;
            let mut expected = Vec::new();
            for run in flows.chunk_by(|a, b| a == b) {
                let run = start..start + run.len();
                let scored = |i| Some((scoring_window(run.clone(), i, &config)?.fragments, i));
                expected.extend(run.clone().filter_map(scored));
                start = run.end;
            }
            prop_assert_eq!(&got, &expected);
            if predict == 0 {
                prop_assert!(got.iter().map(|(_, i)| *i).eq(0..flows.len()));
            }
        }
    }
}
