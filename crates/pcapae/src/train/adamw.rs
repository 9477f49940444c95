//! AdamW (Loshchilov & Hutter, *Decoupled Weight Decay Regularization*, 2019).

use crate::model::Parameters;

/// β₁, β₂, ε and λ: PyTorch's defaults.
const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;
const WEIGHT_DECAY: f64 = 0.01;

/// The optimiser's memory of past gradients.
///
/// ```text
/// θ ← θ − η·λ·θ
/// m ← β₁·m + (1 − β₁)·g          v ← β₂·v + (1 − β₂)·g²
/// θ ← θ − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
/// ```
#[derive(Debug, Clone)]
pub struct AdamW {
    t: i32,
    m: Vec<f32>,
    v: Vec<f32>,
}

impl AdamW {
    /// Without memory, for parameters of this shape.
    pub fn new(parameters: &Parameters) -> AdamW {
        let zeros = vec![0.0; parameters.values().len()];
        AdamW { t: 0, m: zeros.clone(), v: zeros }
    }

    /// One step of the parameters θ along the gradient g with learning rate η.
    pub fn step(&mut self, theta: &mut [f32], g: &[f32], eta: f64) {
        self.t += 1;
        // 1 − β in double precision: in single, 1 − 0.999 is off in the fifth digit.
        let (b2, [new1, new2]) = (BETA[1] as f32, BETA.map(|beta| (1.0 - beta) as f32));
        let step = (eta / (1.0 - BETA[0].powi(self.t))) as f32;
        let root = (1.0 - BETA[1].powi(self.t)).sqrt() as f32;
        let keep = (1.0 - eta * WEIGHT_DECAY) as f32;
        for (((theta, g), m), v) in theta.iter_mut().zip(g).zip(&mut self.m).zip(&mut self.v) {
            *m += new1 * (g - *m);
            *v = b2 * *v + new2 * g * g;
            *theta = keep * *theta - step * *m / (v.sqrt() / root + EPSILON as f32);
        }
    }
}
