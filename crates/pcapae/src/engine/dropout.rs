//! Dropout of whole channels of the hidden states (Tompson et al., *Efficient Object Localization Using Convolutional
//! Networks*, 2015), after every step of every cell, as in the original.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::workspace::Workspace;
use crate::model::STATE_CHANNELS;
use crate::{Error, Result};

/// How often a channel is dropped, and by which random numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    rate: f64,
    seed: u64,
}

impl Dropout {
    /// A channel is zero with probability `rate`, else multiplied by 1 / (1 − rate). Refuses rates outside of [0, 1).
    ///
    /// The same seed drops the same channels of the same windows, by their place in the batch.
    pub fn new(rate: f64, seed: u64) -> Result<Dropout> {
        if (0.0..1.0).contains(&rate) {
            Ok(Dropout { rate, seed })
        } else {
            let expected = "0 or more, and less than 1".to_owned();
            Err(Error::Setting { setting: "dropout", got: rate.to_string(), expected, remedy: None })
        }
    }

    /// The factors of a window of the batch, in the order of the network's steps.
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
