//! Which window a fragment is scored in.

use std::ops::Range;

use crate::model::ModelConfig;

/// The window that a fragment is scored in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoringWindow {
    /// The window's fragments, by their index.
    pub fragments: Range<usize>,
    /// Which of the decoder's frames is the fragment, from 0.
    pub frame: usize,
}

/// The window that `fragment` of `run` is scored in; a run is a flow, or outside flow mode the whole stream.
///
/// It is the window that ends with the fragment, so that everything before it is context. The first fragments of a run are scored in the
/// run's first window, and a run shorter than a window is a window of its own.
///
/// A model that predicts gives no score, `None`, to fragments that it does not predict: the first ones of a run, and all of a run shorter than
/// a window.
pub fn scoring_window(run: Range<usize>, fragment: usize, config: &ModelConfig) -> Option<ScoringWindow> {
    let frames = config.window_frames();
    let fragments = match fragment + 1 - run.start {
        enough if enough >= frames => fragment + 1 - frames..fragment + 1,
        _ => run.start..run.end.min(run.start + frames),
    };
    let predicts = config.predict_frames.count() > 0;
    if predicts && fragments.len() < frames {
        return None;
    }
    let first_scored = if predicts { fragments.start + config.frames.count() } else { fragments.start };
    let frame = fragment.checked_sub(first_scored)?;
    Some(ScoringWindow { fragments, frame })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Frames, PredictFrames, Side};

    pub fn config(frames: usize, predict: usize) -> ModelConfig {
        let (frames, predict_frames) = (Frames::try_from(frames).unwrap(), PredictFrames::try_from(predict).unwrap());
        ModelConfig { frames, predict_frames, ..ModelConfig::new(Side::Sixteen) }
    }

    fn windows(run: Range<usize>, config: &ModelConfig) -> Vec<Option<(Range<usize>, usize)>> {
        let window = |i| scoring_window(run.clone(), i, config).map(|window| (window.fragments, window.frame));
        run.clone().map(window).collect()
    }

    #[test]
    fn the_first_window_scores_all_its_fragments_and_later_ones_their_last() {
        let expected = [(3..5, 0), (3..5, 1), (4..6, 1), (5..7, 1)].map(Some);
        assert_eq!(windows(3..7, &config(2, 0)), expected);
    }

    #[test]
    fn a_short_run_is_its_own_window() {
        assert_eq!(windows(0..2, &config(3, 0)), [(0..2, 0), (0..2, 1)].map(Some));
    }

    #[test]
    fn a_model_that_predicts_scores_what_it_predicts() {
        let expected = [None, None, Some((0..3, 0)), Some((1..4, 0))];
        assert_eq!(windows(0..4, &config(2, 1)), expected);
        assert_eq!(windows(0..4, &config(1, 2)), [None, Some((0..3, 0)), Some((0..3, 1)), Some((1..4, 1))]);
        assert_eq!(windows(0..2, &config(2, 1)), [None, None]);
    }
}
