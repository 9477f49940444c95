//! Optimizers: update rules of the parameters.

use serde::{Deserialize, Serialize};

use super::schedule::StepParameters;

/// β₂, ε and λ: PyTorch's defaults.
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;
const WEIGHT_DECAY: f64 = 0.01;

/// An update rule of parameters θ with gradient g and learning rate η; t counts the steps from 1.
///
/// ```text
/// AdamW only:  θ ← θ − η·λ·θ                                             λ = 0.01
/// AdamW, Adam: m ← β₁·m + (1 − β₁)·g      v ← β₂·v + (1 − β₂)·g²         β₂ = 0.999
///              θ ← θ − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)         ε = 1e-8
/// SGD:         θ ← θ − η·g
/// ```
///
/// As in PyTorch. η and β₁ come from the [`Schedule`](super::Schedule).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Adam with decoupled weight decay (Loshchilov & Hutter, *Decoupled Weight Decay Regularization*, 2019); the default.
    #[default]
    AdamW,
    /// Adam (Kingma & Ba, *Adam: A Method for Stochastic Optimization*, 2015).
    Adam,
    /// Plain gradient descent, without momentum: β₁ is not used (Robbins & Monro, *A Stochastic Approximation Method*, 1951).
    Sgd,
}

impl Optimizer {
    fn has_moments(self) -> bool {
        self != Optimizer::Sgd
    }

    fn weight_decay(self) -> f64 {
        if self == Optimizer::AdamW { WEIGHT_DECAY } else { 0.0 }
    }
}

/// The state of an optimizer: its rule, its step count and its moments.
#[derive(Debug, Clone, PartialEq)]
pub struct OptimizerState {
    optimizer: Optimizer,
    steps: usize,
    m: Vec<f32>,
    v: Vec<f32>,
}

impl OptimizerState {
    /// Before the first step, for so many parameters.
    pub fn new(optimizer: Optimizer, parameters: usize) -> OptimizerState {
        let zeros = vec![0.0; if optimizer.has_moments() { parameters } else { 0 }];
        OptimizerState { optimizer, steps: 0, m: zeros.clone(), v: zeros }
    }

    /// With the moments after so many steps; `None` if they do not fit so many parameters, or are impossible: v is a mean of squares.
    pub fn restore(
        optimizer: Optimizer,
        parameters: usize,
        steps: usize,
        [m, v]: [Vec<f32>; 2],
    ) -> Option<OptimizerState> {
        let count = if optimizer.has_moments() { parameters } else { 0 };
        let possible = m.iter().all(|m| m.is_finite()) && v.iter().all(|v| v.is_finite() && *v >= 0.0);
        (m.len() == count && v.len() == count && possible).then_some(OptimizerState { optimizer, steps, m, v })
    }

    /// The running means of the gradient and of its square, one number a parameter; empty for SGD.
    pub fn moments(&self) -> [&[f32]; 2] {
        [&self.m, &self.v]
    }

    /// One step of the parameters θ with the gradient g.
    pub fn step(
        &mut self,
        theta: &mut [f32],
        g: &[f32],
        StepParameters { learning_rate: rate, beta1 }: StepParameters,
    ) {
        self.steps += 1;
        if !self.optimizer.has_moments() {
            theta.iter_mut().zip(g).for_each(|(theta, g)| *theta -= rate as f32 * g);
            return;
        }
        let t = i32::try_from(self.steps).unwrap_or(i32::MAX);
        // 1 − β in double precision: in single, 1 − 0.999 is off in the fifth digit.
        let (b2, new1, new2) = (BETA2 as f32, (1.0 - beta1) as f32, (1.0 - BETA2) as f32);
        let step = (rate / (1.0 - beta1.powi(t))) as f32;
        let root = (1.0 - BETA2.powi(t)).sqrt() as f32;
        let keep = (1.0 - rate * self.optimizer.weight_decay()) as f32;
        for (((theta, g), m), v) in theta.iter_mut().zip(g).zip(&mut self.m).zip(&mut self.v) {
            *m += new1 * (g - *m);
            *v = b2 * *v + new2 * g * g;
            *theta = keep * *theta - step * *m / (v.sqrt() / root + EPSILON as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: StepParameters = StepParameters { learning_rate: 0.1, beta1: 0.9 };

    /// Two steps from θ = 1 along g = 2, g = −1.
    fn two_steps(optimizer: Optimizer) -> f32 {
        let mut theta = [1.0];
        let mut state = OptimizerState::new(optimizer, 1);
        state.step(&mut theta, &[2.0], PARAMETERS);
        state.step(&mut theta, &[-1.0], PARAMETERS);
        theta[0]
    }

    #[test]
    fn steps_are_those_of_the_formula() {
        // The first step of Adam is η whatever the gradient; then m = 0.08, v = 0.004996, both divided by 1 − βᵗ.
        let adam = 0.9 - 0.1 * (0.08 / 0.19) / (0.004_996_f64 / 0.001_999).sqrt();
        let decayed = 0.999 - 0.1;
        let adamw = decayed * 0.999 - 0.1 * (0.08 / 0.19) / (0.004_996_f64 / 0.001_999).sqrt();
        for (optimizer, expected) in [(Optimizer::Sgd, 0.9), (Optimizer::Adam, adam), (Optimizer::AdamW, adamw)] {
            let got = f64::from(two_steps(optimizer));
            assert!((got - expected).abs() < 1e-6, "{optimizer:?}: {got} instead of {expected}");
        }
    }

    #[test]
    fn a_restored_optimizer_continues_exactly() {
        for optimizer in [Optimizer::AdamW, Optimizer::Adam, Optimizer::Sgd] {
            let mut state = OptimizerState::new(optimizer, 1);
            let mut theta = [1.0];
            state.step(&mut theta, &[2.0], PARAMETERS);
            let memory = state.moments().map(<[f32]>::to_vec);
            let mut again = OptimizerState::restore(optimizer, 1, state.steps, memory).unwrap();
            again.step(&mut theta, &[-1.0], PARAMETERS);
            assert_eq!(theta[0], two_steps(optimizer));
        }
    }

    #[test]
    fn impossible_moments_are_refused() {
        let restore = |m: &[f32], v: &[f32]| OptimizerState::restore(Optimizer::Adam, 1, 1, [m.to_vec(), v.to_vec()]);
        assert!(restore(&[1.0], &[1.0]).is_some());
        let bad: [(&[f32], &[f32]); 4] = [(&[], &[1.0]), (&[1.0], &[-1.0]), (&[f32::NAN], &[1.0]), (&[1.0], &[1.0; 2])];
        for (m, v) in bad {
            assert!(restore(m, v).is_none(), "{m:?} {v:?}");
        }
    }
}
