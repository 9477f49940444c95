//! The reference implementation: every layer by its formula, in double precision. Slow; everything else is compared with it.

mod graph;

mod gradient;

mod recording;

pub use gradient::{Gradient, conv_backward, transposed_conv_backward};
pub use graph::{FeatureMap, Graph, LEAK, NORM_EPSILON, Node, Op, conv, group_moments, transposed_conv};
pub(crate) use recording::DropoutFactors;
pub use recording::Recording;

use crate::network::{Head, Network};

/// The results for a batch of windows in double precision.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The code of each window: [`CODE_SIZE`](crate::CODE_SIZE) numbers.
    pub codes: Vec<Vec<f64>>,
    /// The decoder's frames for each window: emitted frames × side² values; with a categorical head the mean of each byte.
    pub outputs: Vec<Vec<f64>>,
    /// The loss of every pixel of those frames: the squared error, with a sigmoid head the binary cross-entropy, with a categorical
    /// head −ln p of the byte.
    pub losses: Vec<Vec<f64>>,
    /// The mean of the losses over all pixels of the batch.
    pub loss: f64,
    /// Its gradient, one number a parameter.
    pub gradient: Vec<f64>,
}

impl Network {
    /// Codes, outputs, loss and gradient of windows of bytes, without dropout.
    ///
    /// A window has [`window_frames`](crate::ModelConfig::window_frames) fragments; a byte counts as byte / 255.
    pub fn reference(&self, windows: &[&[u8]]) -> Evaluation {
        self.reference_with_dropout(windows, |_| &|_, _| None)
    }

    /// The same with each window's own dropout factors.
    pub(crate) fn reference_with_dropout<'a>(
        &self,
        windows: &[&[u8]],
        dropout: impl Fn(usize) -> DropoutFactors<'a>,
    ) -> Evaluation {
        let count = self.parameters().values().len();
        let mut exact =
            Evaluation { codes: vec![], outputs: vec![], losses: vec![], loss: 0.0, gradient: vec![0.0; count] };
        let size = self.config().emitted_frames() * self.config().side.fragment_size();
        let pixels = (windows.len() * size) as f64;
        for (number, window) in windows.iter().enumerate() {
            let values: Vec<f64> = window.iter().map(|byte| f64::from(*byte) / 255.0).collect();
            let recording = self.record_with_dropout(&values[..self.config().window_size()], dropout(number));
            let target = &values[values.len() - size..];
            let losses = self.losses(&recording, target);
            exact.loss += losses.iter().sum::<f64>() / pixels;
            exact.losses.push(losses);
            let gradient = recording.graph.gradient(self.loss_seeds(&recording, target, pixels), count);
            exact.gradient.iter_mut().zip(&gradient.parameters).for_each(|(sum, part)| *sum += part);
            exact.codes.push(recording.graph.value(recording.code).values.clone());
            let output = |node: &Node| self.pixels(recording.graph.value(*node));
            exact.outputs.push(recording.outputs.iter().flat_map(output).collect());
        }
        exact
    }

    /// The loss of every pixel, frame after frame.
    fn losses(&self, recording: &Recording, target: &[f64]) -> Vec<f64> {
        let frames = recording.outputs.iter().zip(target.chunks(self.config().side.fragment_size()));
        let losses = |(node, target): (&Node, &[f64])| -> Vec<f64> {
            let y = recording.graph.value(*node);
            match self.config().head {
                Head::Linear => y.values.iter().zip(target).map(|(y, x)| (y - x).powi(2)).collect(),
                Head::Sigmoid => {
                    let loss = |(y, x): (&f64, &f64)| -(x * y.ln() + (1.0 - x) * (1.0 - y).ln());
                    y.values.iter().zip(target).map(loss).collect()
                }
                Head::Categorical => {
                    (0..target.len()).map(|pixel| -Bytes::of(y, pixel).probability[byte(target[pixel])].ln()).collect()
                }
            }
        };
        frames.flat_map(losses).collect()
    }

    /// The gradient of the mean loss with respect to the decoder's frames.
    fn loss_seeds(&self, recording: &Recording, target: &[f64], pixels: f64) -> Vec<(Node, FeatureMap)> {
        let gradient = |y: &FeatureMap, target: &[f64]| -> Vec<f64> {
            let values = y.values.iter().zip(target);
            match self.config().head {
                Head::Linear => values.map(|(y, x)| 2.0 * (y - x) / pixels).collect(),
                Head::Sigmoid => values.map(|(y, x)| (y - x) / (y * (1.0 - y)) / pixels).collect(),
                Head::Categorical => {
                    let mut gradient = vec![0.0; y.values.len()];
                    for (pixel, x) in target.iter().enumerate() {
                        for (value, p) in Bytes::of(y, pixel).probability.iter().enumerate() {
                            let wanted = if value == byte(*x) { 1.0 } else { 0.0 };
                            gradient[value * target.len() + pixel] = (p - wanted) / pixels;
                        }
                    }
                    gradient
                }
            }
        };
        let frames = target.chunks(self.config().side.fragment_size());
        let seed = |(node, target): (&Node, &[f64])| {
            let y = recording.graph.value(*node);
            (*node, FeatureMap { values: gradient(y, target), ..y.clone() })
        };
        recording.outputs.iter().zip(frames).map(seed).collect()
    }

    /// The value of each pixel, 0 to 1: the output itself, or with a categorical head its mean.
    fn pixels(&self, y: &FeatureMap) -> Vec<f64> {
        match self.config().head {
            Head::Linear | Head::Sigmoid => y.values.clone(),
            Head::Categorical => (0..y.grid.pixels()).map(|pixel| Bytes::of(y, pixel).mean()).collect(),
        }
    }
}

/// The byte of an input value.
fn byte(value: f64) -> usize {
    (value * 255.0).round() as usize
}

/// The probability of each value of a byte.
struct Bytes {
    probability: Vec<f64>,
}

impl Bytes {
    /// The softmax of a pixel's logits: p(v) = e^z(v) / Σ e^z.
    fn of(logits: &FeatureMap, pixel: usize) -> Bytes {
        let pixels = logits.grid.pixels();
        let z: Vec<f64> = logits.values.iter().skip(pixel).step_by(pixels).copied().collect();
        let highest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let e: Vec<f64> = z.iter().map(|z| (z - highest).exp()).collect();
        let sum: f64 = e.iter().sum();
        Bytes { probability: e.iter().map(|e| e / sum).collect() }
    }

    /// Σ p(v) · v / 255.
    fn mean(&self) -> f64 {
        self.probability.iter().enumerate().map(|(value, p)| p * value as f64 / 255.0).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Cell, Frames, ModelConfig, Norm, PredictFrames, Shape, Side};

    fn windows(config: &ModelConfig, count: usize) -> Vec<Vec<u8>> {
        let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8;
        let size = config.window_frames() * config.side.fragment_size();
        (0..count).map(|w| (0..size).map(|i| byte(i + w * 7919)).collect()).collect()
    }

    /// Along random directions, in double precision, so that a short step is exact enough.
    #[track_caller]
    fn check_gradient(config: ModelConfig) {
        let mut model = Network::new(config, 5);
        let windows = windows(&config, 1);
        let windows: Vec<&[u8]> = windows.iter().map(Vec::as_slice).collect();
        let gradient = model.reference(&windows).gradient;
        let start = model.parameters().values().to_vec();
        for seed in 0..4 {
            let direction = |i: usize| ((i * 7 + seed * 13) % 5) as f64 - 2.0;
            let mut loss_at = |step: f64| {
                for (i, (value, start)) in model.values_mut().iter_mut().zip(&start).enumerate() {
                    *value = (f64::from(*start) + step * direction(i)) as f32;
                }
                model.reference(&windows).loss
            };
            let expected: f64 = gradient.iter().enumerate().map(|(i, g)| g * direction(i)).sum();
            // A long step meets the kinks of the leaky ReLUs, a short one drowns in the rounding of the single-precision
            // parameters: the best of a few must be close.
            let mut difference_quotient = |step: f64| (loss_at(step) - loss_at(-step)) / (2.0 * step);
            let gradient = [-16, -18, -20].map(|exponent| difference_quotient(2f64.powi(exponent)));
            let close = |quotient: &f64| (quotient - expected).abs() < 1e-2 * expected.abs() + 1e-3;
            assert!(gradient.iter().any(close), "{config:?}: {gradient:?} {expected}");
        }
    }

    #[test]
    fn the_gradient_follows_finite_differences() {
        let base = ModelConfig::new(Side::Sixteen);
        let two = Frames::try_from(2).unwrap();
        let one_ahead = PredictFrames::try_from(1).unwrap();
        for config in [
            base,
            ModelConfig { cell: Cell::Lstm, frames: two, ..base },
            ModelConfig { norm: Norm::None, predict_frames: one_ahead, ..base },
            ModelConfig { shape: Shape::Line, head: Head::Sigmoid, ..base },
            ModelConfig { head: Head::Categorical, ..base },
        ] {
            check_gradient(config);
        }
    }
}
