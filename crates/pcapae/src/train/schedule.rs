//! Learning-rate schedules.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::history::Epoch;

/// β₁ where no schedule changes it; PyTorch's default.
const BETA1: f64 = 0.9;

/// Share of the steps in which the one-cycle rate rises; PyTorch's `pct_start`.
const RISE: f64 = 0.3;
/// The peak rate divided by the initial one; PyTorch's `div_factor`.
const START_DIVISOR: f64 = 25.0;
/// The initial rate divided by the final one; PyTorch's `final_div_factor`.
const END_DIVISOR: f64 = 1e4;
/// β₁ at the initial and at the peak rate; PyTorch's `max_momentum` and `base_momentum`.
const CYCLE_BETA1: [f64; 2] = [0.95, 0.85];

/// Epochs between two decays, and their factor; the original's.
const STEP_EPOCHS: usize = 100;
const STEP_FACTOR: f64 = 0.1;

/// Epochs in a row without an improvement by this relative threshold, after which the rate is multiplied by this factor; the
/// original's patience and factor, PyTorch's threshold.
const PLATEAU_PATIENCE: usize = 4;
const PLATEAU_THRESHOLD: f64 = 1e-4;
const PLATEAU_FACTOR: f64 = 0.5;

/// A schedule of the learning rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Schedule {
    /// The peak rate throughout.
    #[default]
    Constant,
    /// One cycle: from 1/25 up to the peak rate in the first 30 % of all steps, then down to 1/250,000, with cosine annealing;
    /// meanwhile β₁ goes from 0.95 to 0.85 and back (Smith & Topin, *Super-Convergence*, 2019; PyTorch's OneCycleLR with its
    /// defaults). It changes with every batch.
    Cycle,
    /// A tenth of the rate after every 100 epochs (PyTorch's StepLR).
    Step,
    /// Halved after more than four epochs in a row whose mean validation loss is above 0.9999 of the best
    /// (PyTorch's ReduceLROnPlateau).
    Plateau,
}

/// The parameters of an optimizer step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepParameters {
    /// The learning rate η.
    pub learning_rate: f64,
    /// β₁, the decay of the running mean of gradients, 0 to 1.
    pub beta1: f64,
}

/// The position of a step in a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepPosition<'a> {
    /// The step, from 0.
    pub step: usize,
    /// Steps of the whole training without early stopping.
    pub steps: usize,
    /// The finished epochs.
    pub epochs: &'a [Epoch],
}

impl Schedule {
    /// The parameters of a step, where `rate` is the peak learning rate.
    pub fn step_parameters(self, rate: f64, at: StepPosition) -> StepParameters {
        let steady = |rate| StepParameters { learning_rate: rate, beta1: BETA1 };
        match self {
            Schedule::Constant => steady(rate),
            Schedule::Cycle => cycle(rate, at),
            Schedule::Step => {
                let downs = i32::try_from(at.epochs.len() / STEP_EPOCHS).unwrap_or(i32::MAX);
                steady(rate * STEP_FACTOR.powi(downs))
            }
            Schedule::Plateau => steady(rate * plateau(at.epochs.iter().map(|epoch| epoch.validation))),
        }
    }
}

fn cycle(rate: f64, at: StepPosition) -> StepParameters {
    let (start, end) = (rate / START_DIVISOR, rate / START_DIVISOR / END_DIVISOR);
    let [slow, fast] = CYCLE_BETA1;
    let (step, top, last) = (at.step as f64, RISE * at.steps as f64 - 1.0, at.steps as f64 - 1.0);
    if step <= top {
        let part = step / top;
        StepParameters { learning_rate: between(start, rate, part), beta1: between(slow, fast, part) }
    } else {
        let part = ((step - top) / (last - top)).min(1.0);
        StepParameters { learning_rate: between(rate, end, part), beta1: between(fast, slow, part) }
    }
}

/// Cosine annealing from a to b; `part` from 0 to 1.
fn between(a: f64, b: f64, part: f64) -> f64 {
    b + (a - b) / 2.0 * (1.0 + (PI * part).cos())
}

/// The factor of the rate after epochs with these losses.
fn plateau(losses: impl Iterator<Item = f64>) -> f64 {
    let (mut factor, mut best, mut waited) = (1.0, f64::INFINITY, 0);
    for loss in losses {
        if loss < best * (1.0 - PLATEAU_THRESHOLD) {
            best = loss;
            waited = 0;
            continue;
        }
        waited += 1;
        if waited > PLATEAU_PATIENCE {
            factor *= PLATEAU_FACTOR;
            waited = 0;
        }
    }
    factor
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(rate: f64, step: usize, steps: usize) -> StepParameters {
        Schedule::Cycle.step_parameters(rate, StepPosition { step, steps, epochs: &[] })
    }

    #[test]
    fn the_cycle_starts_peaks_and_ends_where_it_should() {
        let (rate, beta1) = (|step| cycle(1e-3, step, 100).learning_rate, |step| cycle(1e-3, step, 100).beta1);
        assert!((rate(0) - 4e-5).abs() < 1e-12);
        assert!((rate(29) - 1e-3).abs() < 1e-12);
        assert!((rate(99) - 4e-9).abs() < 1e-12);
        assert!((0..29).all(|s| rate(s) < rate(s + 1)) && (29..99).all(|s| rate(s) > rate(s + 1)));
        assert!([(0, 0.95), (29, 0.85), (99, 0.95)].iter().all(|(step, beta)| (beta1(*step) - beta).abs() < 1e-12));
    }

    /// PyTorch's OneCycleLR(max_lr=1e-3, total_steps=24), steps 0 to 2, as logged by a run of the original.
    #[test]
    fn the_cycle_is_that_of_pytorch() {
        for (step, rate, beta1) in [
            (0, 3.999_999_999_999_999_6e-5, 0.95),
            (1, 1.003_136_242_506_006_3e-4, 0.943_717_330_807_229_1),
            (2, 2.660_972_750_430_580_7e-4, 0.926_448_200_516_348_1),
        ] {
            let parameters = cycle(1e-3, step, 24);
            assert!(
                (parameters.learning_rate - rate).abs() < 1e-15 && (parameters.beta1 - beta1).abs() < 1e-14,
                "{step}: {parameters:?}"
            );
        }
    }

    #[test]
    fn a_cycle_of_few_steps_has_finite_rates() {
        for steps in 0..8 {
            let finite = |parameters: StepParameters| {
                parameters.learning_rate.is_finite() && (0.8..1.0).contains(&parameters.beta1)
            };
            assert!((0..steps).all(|step| finite(cycle(1.0, step, steps))), "{steps}");
        }
    }

    /// The rate after epochs with these validation losses; peak 1.
    fn rate(schedule: Schedule, losses: &[f64]) -> f64 {
        let epochs: Vec<Epoch> = losses.iter().map(|&validation| Epoch { train: 0.0, validation }).collect();
        schedule.step_parameters(1.0, StepPosition { step: 0, steps: 1, epochs: &epochs }).learning_rate
    }

    #[test]
    fn a_step_comes_every_hundred_epochs() {
        for (epochs, expected) in [(0, 1.0), (99, 1.0), (100, 0.1), (199, 0.1), (200, 0.01)] {
            assert!((rate(Schedule::Step, &vec![1.0; epochs]) - expected).abs() < 1e-12, "{epochs}");
        }
    }

    #[test]
    fn a_plateau_halves_the_rate_after_the_fifth_epoch_without_a_better_loss() {
        for (losses, expected) in [
            (&[1.0; 5] as &[f64], 1.0),
            (&[1.0; 6], 0.5),
            (&[1.0; 10], 0.5),
            (&[1.0; 11], 0.25),
            // Better by less than a ten-thousandth is not better.
            (&[1.0, 0.99995, 0.99992, 0.99991, 0.99993, 0.99994], 0.5),
            (&[1.0, 2.0, 3.0, 4.0, 0.9, 2.0, 3.0, 4.0, 5.0], 1.0),
        ] {
            assert_eq!(rate(Schedule::Plateau, losses), expected, "{losses:?}");
        }
    }
}
