//! How the learning rate changes from batch to batch.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// Part of the steps in which the one-cycle rate rises; PyTorch's `pct_start`.
const RISE: f64 = 0.3;

/// The rate starts at the greatest one divided by this; PyTorch's `div_factor`.
const START_DIVISOR: f64 = 25.0;

/// The rate ends at the first one divided by this; PyTorch's `final_div_factor`.
const END_DIVISOR: f64 = 1e4;

/// A schedule of the learning rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Schedule {
    /// The same rate throughout.
    #[default]
    Constant,
    /// From 1/25 up to the full rate in the first 30 % of all steps, then down to 1/250,000, each way along half a cosine
    /// (Smith & Topin, *Super-Convergence*, 2019; PyTorch's OneCycleLR, without its cycling of momentum).
    Cycle,
}

impl Schedule {
    /// The learning rate of `step`, counted from 0, of `steps` in all, where `rate` is the greatest.
    pub fn rate(self, rate: f64, step: usize, steps: usize) -> f64 {
        match self {
            Schedule::Constant => rate,
            Schedule::Cycle => {
                let (start, end) = (rate / START_DIVISOR, rate / START_DIVISOR / END_DIVISOR);
                let (step, top, last) = (step as f64, RISE * steps as f64 - 1.0, steps as f64 - 1.0);
                if step <= top {
                    between(start, rate, step / top)
                } else {
                    between(rate, end, ((step - top) / (last - top)).min(1.0))
                }
            }
        }
    }
}

/// From a to b along half a cosine; `part` from 0 to 1.
fn between(a: f64, b: f64, part: f64) -> f64 {
    b + (a - b) / 2.0 * (1.0 + (PI * part).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cycle_starts_peaks_and_ends_where_it_should() {
        let rate = |step| Schedule::Cycle.rate(1e-3, step, 100);
        assert!((rate(0) - 4e-5).abs() < 1e-12);
        assert!((rate(29) - 1e-3).abs() < 1e-12);
        assert!((rate(99) - 4e-9).abs() < 1e-12);
        assert!((0..29).all(|s| rate(s) < rate(s + 1)) && (29..99).all(|s| rate(s) > rate(s + 1)));
    }

    /// PyTorch's OneCycleLR(max_lr=1e-3, total_steps=24), steps 0 to 2, as logged by a run of the original.
    #[test]
    fn the_cycle_is_that_of_pytorch() {
        for (step, expected) in [(0, 4.0e-5), (1, 1.003e-4), (2, 2.661e-4)] {
            assert!((Schedule::Cycle.rate(1e-3, step, 24) - expected).abs() < 1e-7);
        }
    }

    #[test]
    fn a_cycle_of_few_steps_has_finite_rates() {
        for steps in 1..8 {
            assert!((0..steps).all(|step| Schedule::Cycle.rate(1.0, step, steps).is_finite()), "{steps}");
        }
    }
}
