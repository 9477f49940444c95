//! Dropout of whole channels of the hidden states (Tompson et al., *Efficient Object Localization Using Convolutional
//! Networks*, 2015), after every step of every cell, as in the original.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::InvalidSetting;
use crate::network::STATE_CHANNELS;
use crate::workspace::Workspace;

/// Probability that a channel is dropped, and the seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    rate: f64,
    seed: u64,
}

impl Dropout {
    /// A channel is zero with probability `rate`, else multiplied by 1 / (1 − rate). The same seed drops the same channels of the
    /// window at the same position in the batch.
    ///
    /// # Errors
    ///
    /// A rate outside [0, 1).
    pub fn new(rate: f64, seed: u64) -> Result<Dropout, InvalidSetting> {
        if (0.0..1.0).contains(&rate) {
            Ok(Dropout { rate, seed })
        } else {
            Err(InvalidSetting::new("dropout", rate, "0 or more, and less than 1"))
        }
    }

    /// The factors of a window of the batch, in the order of the network's steps: a random stream for each window.
    pub(crate) fn factors(self, window: usize) -> impl FnMut() -> [f32; STATE_CHANNELS] {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(window as u64);
        let kept = (1.0 / (1.0 - self.rate)) as f32;
        move || std::array::from_fn(|_| if rng.random_bool(self.rate) { 0.0 } else { kept })
    }

    /// Sets the factors of a block whose first window is window `first` of the batch.
    pub(crate) fn prepare(self, first: usize, work: &mut Workspace) {
        let windows = work.windows();
        for window in 0..windows {
            let mut factors = self.factors(first + window);
            for ring in work.encoder.iter_mut().chain(&mut work.decoder) {
                for tape in ring.tapes_mut() {
                    let lanes = tape.dropout.get_or_insert_default();
                    for (lanes, factor) in lanes.iter_mut().zip(factors()) {
                        lanes.iter_mut().skip(window).step_by(windows).for_each(|lane| *lane = factor);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Cell, Frames, ModelConfig, Network, PredictFrames, Side};
    use crate::{Engine, Instructions};

    #[test]
    fn a_channel_is_dropped_at_the_rate_and_kept_ones_make_up_for_it() {
        for rate in [0.0, 0.2, 0.5, 0.9] {
            let mut factors = Dropout::new(rate, 5).unwrap().factors(0);
            let drawn: Vec<f32> = (0..5000).flat_map(|_| factors()).collect();
            let kept = (1.0 / (1.0 - rate)) as f32;
            assert!(drawn.iter().all(|factor| [0.0, kept].contains(factor)));
            let dropped = drawn.iter().filter(|factor| **factor == 0.0).count() as f64 / drawn.len() as f64;
            // Four standard deviations of 20 000 draws.
            let tolerance = 4.0 * (rate * (1.0 - rate) / drawn.len() as f64).sqrt();
            assert!((dropped - rate).abs() <= tolerance, "{dropped} instead of {rate}");
        }
    }

    #[test]
    fn seed_and_window_decide_which_channels_are_dropped() {
        let draw = |seed: u64, window: usize| -> Vec<[f32; STATE_CHANNELS]> {
            let mut factors = Dropout::new(0.5, seed).unwrap().factors(window);
            (0..16).map(|_| factors()).collect()
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn rates_that_leave_nothing_are_refused() {
        for rate in [-0.1, 1.0, 1.5, f64::NAN] {
            assert!(Dropout::new(rate, 1).is_err(), "{rate}");
        }
    }

    /// The same factors in the reference implementation and in the engine: windows of several blocks, every cell and every step.
    #[track_caller]
    fn check(config: ModelConfig, count: usize) {
        let model = Network::new(config, 3);
        let dropout = Dropout::new(0.4, 11).unwrap();
        let size = config.window_frames() * config.side.fragment_size();
        let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 9) as u8;
        let bytes: Vec<Vec<u8>> = (0..count).map(|w| (0..size).map(|i| byte(i + w * 7919)).collect()).collect();
        let windows: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let stages = config.side.stages();
        // [cell][step][channel] of each window, drawn in the order of the network's steps.
        let drawn = |window: usize| -> Vec<Vec<[f64; STATE_CHANNELS]>> {
            let mut factors = dropout.factors(window);
            let steps = |cell: usize| if cell < stages { config.frames.count() } else { config.emitted_frames() };
            let mut of_cell = |cell: usize| (0..steps(cell)).map(|_| factors().map(f64::from)).collect();
            (0..2 * stages).map(&mut of_cell).collect()
        };
        let drawn: Vec<_> = (0..count).map(drawn).collect();
        let looks: Vec<_> = drawn.iter().map(|drawn| |cell: usize, step: usize| Some(drawn[cell][step])).collect();
        let exact = model.reference_with_dropout(&windows, |window| &looks[window]);
        assert!((exact.loss - model.reference(&windows).loss).abs() > 1e-5, "dropout changes nothing");
        let largest = exact.gradient.iter().fold(0.0, |largest: f64, g| largest.max(g.abs()));
        for instructions in Instructions::available() {
            let mut engine = Engine::with_instructions(&model, instructions);
            let mut gradient = model.parameters().zeros_like();
            let loss = engine.loss_and_gradient(&windows, Some(dropout), &mut gradient);
            assert!((loss - exact.loss).abs() < 1e-6, "{instructions}: {loss} instead of {}", exact.loss);
            for (i, (got, expected)) in gradient.values().iter().zip(&exact.gradient).enumerate() {
                let error = (f64::from(*got) - expected).abs();
                assert!(error <= 3e-5 * largest, "{instructions}[{i}]: {got} instead of {expected}");
            }
        }
    }

    #[test]
    fn the_engine_drops_the_same_channels_as_the_reference() {
        let base = ModelConfig::new(Side::Sixteen);
        check(base, 3);
        check(ModelConfig { frames: Frames::try_from(2).unwrap(), cell: Cell::Lstm, ..base }, 3);
        let ahead = PredictFrames::try_from(1).unwrap();
        check(ModelConfig { frames: Frames::try_from(3).unwrap(), predict_frames: ahead, ..base }, 1);
    }
}
