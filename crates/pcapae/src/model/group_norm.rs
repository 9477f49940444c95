//! Group normalisation with one channel a group (Wu & He, *Group Normalization*, 2018).

use std::ops::Range;

use super::config::STATE_CHANNELS;
use super::parameters::{Layout, Start};
use super::planes::{Grid, Planes, dot, sum};

/// Keeps the deviation of a constant picture from being zero; PyTorch's default.
const EPSILON: f32 = 1e-5;

/// Declares a scale γ (starts at 1) and a shift β (starts at 0) for each of `channels`.
pub(crate) fn declare(layout: &mut Layout, name: &str, channels: usize) -> [Range<usize>; 2] {
    let gamma = layout.declare(format!("{name}.weight"), &[channels], Start::Constant(1.0));
    let beta = layout.declare(format!("{name}.bias"), &[channels], Start::Constant(0.0));
    [gamma, beta]
}

/// y = γ·x̂ + β with x̂ = (x − mean) / √(variance + 1e-5), both over the pixels of the channel.
///
/// The variance is the mean square, not that of a sample.
#[derive(Debug, Clone)]
pub(crate) struct GroupNorm {
    gamma: Range<usize>,
    beta: Range<usize>,
    scale: [f32; STATE_CHANNELS],
    shift: [f32; STATE_CHANNELS],
}

/// What the way back needs: x̂ and 1 / √(variance + 1e-5).
#[derive(Debug, Clone)]
pub(crate) struct NormTape {
    pub normal: Planes,
    inverse_deviation: [f32; STATE_CHANNELS],
}

impl NormTape {
    pub fn new(grid: Grid) -> NormTape {
        NormTape { normal: Planes::zeros(grid, STATE_CHANNELS), inverse_deviation: [0.0; STATE_CHANNELS] }
    }
}

impl GroupNorm {
    /// With the scales and shifts of [`STATE_CHANNELS`] channels at these places.
    pub fn new(gamma: Range<usize>, beta: Range<usize>) -> GroupNorm {
        GroupNorm { gamma, beta, scale: [1.0; STATE_CHANNELS], shift: [0.0; STATE_CHANNELS] }
    }

    /// Takes its scales and shifts out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        self.scale.copy_from_slice(&parameters[self.gamma.clone()]);
        self.shift.copy_from_slice(&parameters[self.beta.clone()]);
    }

    /// Replaces x by y.
    pub fn forward(&self, x: &mut Planes, tape: &mut NormTape) {
        let pixels = x.grid().pixels() as f32;
        for c in 0..STATE_CHANNELS {
            let mean = sum(x.body(c)) / pixels;
            x.body_mut(c).iter_mut().for_each(|x| *x -= mean);
            x.clear_border(c);
            let variance = dot(x.body(c), x.body(c)) / pixels;
            let inverse = 1.0 / (variance + EPSILON).sqrt();
            tape.inverse_deviation[c] = inverse;
            let (scale, shift) = (self.scale[c], self.shift[c]);
            for (x, normal) in x.body_mut(c).iter_mut().zip(tape.normal.body_mut(c)) {
                *normal = *x * inverse;
                *x = scale * *normal + shift;
            }
            x.clear_border(c);
        }
    }

    /// Replaces y' by x' and adds γ' and β' to theirs in `gradient`.
    ///
    /// γ' = Σ y'·x̂, β' = Σ y', x' = γ / √(variance + 1e-5) · (y' − mean(y') − x̂ · mean(y'·x̂)).
    pub fn backward(&self, dy: &mut Planes, tape: &NormTape, gradient: &mut [f32]) {
        let pixels = dy.grid().pixels() as f32;
        for c in 0..STATE_CHANNELS {
            let normal = tape.normal.body(c);
            let (total, along) = (sum(dy.body(c)), dot(dy.body(c), normal));
            gradient[self.beta.start + c] += total;
            gradient[self.gamma.start + c] += along;
            let (mean, along, factor) = (total / pixels, along / pixels, self.scale[c] * tape.inverse_deviation[c]);
            for (dy, normal) in dy.body_mut(c).iter_mut().zip(normal) {
                *dy = factor * (*dy - mean - normal * along);
            }
            dy.clear_border(c);
        }
    }
}
