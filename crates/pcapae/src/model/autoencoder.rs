//! The autoencoder: a configuration, and weights that fit it.

use super::architecture::Architecture;
use super::config::{Frames, Head, ModelConfig};
use super::definition::{Dropout, Recording, record};
use super::graph::{Map, Node};
use super::parameters::Parameters;
use super::trained_on::TrainedOn;
use crate::Result;

/// NamedArrays in a code: four channels of 16 pixels, whatever the side.
pub const CODE_SIZE: usize = 64;

/// A convolutional recurrent autoencoder with its weights.
///
/// [`engine::Engine`](crate::engine::Engine) runs it; [`by_definition`](Autoencoder::by_definition) is the slow yardstick.
#[derive(Debug, Clone)]
pub struct Autoencoder {
    config: ModelConfig,
    architecture: Architecture,
    parameters: Parameters,
    trained_on: TrainedOn,
}

/// What a batch of windows comes to, computed in double precision by the definition of every layer.
#[derive(Debug, Clone)]
pub struct Exact {
    /// The code of each window: [`CODE_SIZE`] numbers.
    pub codes: Vec<Vec<f64>>,
    /// The frames that the decoder gives for each window: emitted frames × side² values; of a categorical head the mean of each byte.
    pub outputs: Vec<Vec<f64>>,
    /// The loss of every pixel of those frames: the squared error, with a sigmoid head the binary cross-entropy, with a categorical
    /// head −ln p of the byte.
    pub losses: Vec<Vec<f64>>,
    /// The mean of the losses over all pixels of the batch.
    pub loss: f64,
    /// Its gradient, one number a parameter.
    pub gradient: Vec<f64>,
}

impl Autoencoder {
    /// Untrained, with PyTorch's random initialisation from a seed.
    pub fn new(config: ModelConfig, seed: u64) -> Autoencoder {
        let (architecture, layout) = Architecture::declare(&config);
        Autoencoder {
            config,
            architecture,
            parameters: Parameters::random(layout, seed),
            trained_on: TrainedOn::default(),
        }
    }

    /// With these weights; `None` if they do not have the shape that `config` asks for.
    pub fn from_parameters(config: ModelConfig, parameters: Parameters) -> Option<Autoencoder> {
        let (architecture, layout) = Architecture::declare(&config);
        parameters.fits(&layout).then_some(Autoencoder {
            config,
            architecture,
            parameters,
            trained_on: TrainedOn::default(),
        })
    }

    /// The same weights for windows of another number of frames; refuses what [`Frames`] refuses.
    pub fn with_frames(&self, frames: usize) -> Result<Autoencoder> {
        let config = ModelConfig { frames: Frames::try_from(frames)?, ..self.config };
        Ok(Autoencoder { config, ..self.clone() })
    }

    /// The same model, trained on such fragments.
    pub fn with_trained_on(self, trained_on: TrainedOn) -> Autoencoder {
        Autoencoder { trained_on, ..self }
    }

    /// How the fragments were cut that it was trained on, as far as that is known.
    pub fn trained_on(&self) -> TrainedOn {
        self.trained_on
    }

    /// The shape of the network.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The layers and where their parameters lie.
    pub(crate) fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The weights, to be changed as an optimiser does.
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.parameters.values_mut()
    }

    /// A window's way through the network: frames × side² values, frame after frame, row-major.
    pub(crate) fn record(&self, window: &[f64], dropout: Dropout) -> Recording<'_> {
        record(&self.config, &self.architecture, self.parameters.values(), window, dropout)
    }

    /// Codes, outputs, loss and gradient of windows of bytes, by definition and without dropout; slow.
    ///
    /// A window has [`ModelConfig::window_frames`] fragments; a byte counts as byte / 255.
    pub fn by_definition(&self, windows: &[&[u8]]) -> Exact {
        self.by_definition_with(windows, |_| &|_, _| None)
    }

    /// The same with a dropout of each window's own.
    pub(crate) fn by_definition_with<'a>(&self, windows: &[&[u8]], dropout: impl Fn(usize) -> Dropout<'a>) -> Exact {
        let count = self.parameters.values().len();
        let mut exact = Exact { codes: vec![], outputs: vec![], losses: vec![], loss: 0.0, gradient: vec![0.0; count] };
        let size = self.config.emitted_frames() * self.config.side.fragment_size();
        let pixels = (windows.len() * size) as f64;
        for (number, window) in windows.iter().enumerate() {
            let values: Vec<f64> = window.iter().map(|byte| f64::from(*byte) / 255.0).collect();
            let recording = self.record(&values[..self.config.window_size()], dropout(number));
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
        let frames = recording.outputs.iter().zip(target.chunks(self.config.side.fragment_size()));
        let losses = |(node, target): (&Node, &[f64])| -> Vec<f64> {
            let y = recording.graph.value(*node);
            match self.config.head {
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
    fn loss_seeds(&self, recording: &Recording, target: &[f64], pixels: f64) -> Vec<(Node, Map)> {
        let slopes = |y: &Map, target: &[f64]| -> Vec<f64> {
            let values = y.values.iter().zip(target);
            match self.config.head {
                Head::Linear => values.map(|(y, x)| 2.0 * (y - x) / pixels).collect(),
                Head::Sigmoid => values.map(|(y, x)| (y - x) / (y * (1.0 - y)) / pixels).collect(),
                Head::Categorical => {
                    let mut slopes = vec![0.0; y.values.len()];
                    for (pixel, x) in target.iter().enumerate() {
                        for (value, p) in Bytes::of(y, pixel).probability.iter().enumerate() {
                            let wanted = if value == byte(*x) { 1.0 } else { 0.0 };
                            slopes[value * target.len() + pixel] = (p - wanted) / pixels;
                        }
                    }
                    slopes
                }
            }
        };
        let frames = target.chunks(self.config.side.fragment_size());
        let seed = |(node, target): (&Node, &[f64])| {
            let y = recording.graph.value(*node);
            (*node, Map { values: slopes(y, target), ..y.clone() })
        };
        recording.outputs.iter().zip(frames).map(seed).collect()
    }

    /// What the decoder's frames say of each pixel, as a value from 0 to 1: itself, or of the categorical head the mean.
    fn pixels(&self, y: &Map) -> Vec<f64> {
        match self.config.head {
            Head::Linear | Head::Sigmoid => y.values.clone(),
            Head::Categorical => (0..y.grid.pixels()).map(|pixel| Bytes::of(y, pixel).mean()).collect(),
        }
    }
}

/// The byte that a value of the model's input stands for.
fn byte(value: f64) -> usize {
    (value * 255.0).round() as usize
}

/// How probable each value of a byte is.
struct Bytes {
    probability: Vec<f64>,
}

impl Bytes {
    /// The softmax of a pixel's logits: p(v) = e^z(v) / Σ e^z.
    fn of(logits: &Map, pixel: usize) -> Bytes {
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
    use super::super::config::{Cell, Norm, PredictFrames, Side};
    use super::*;
    use crate::fragment::Shape;

    fn windows(config: &ModelConfig, count: usize) -> Vec<Vec<u8>> {
        let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8;
        let size = config.window_frames() * config.side.fragment_size();
        (0..count).map(|w| (0..size).map(|i| byte(i + w * 7919)).collect()).collect()
    }

    /// Along random directions, in double precision, so that a short step is exact enough.
    #[track_caller]
    fn check_gradient(config: ModelConfig) {
        let mut model = Autoencoder::new(config, 5);
        let windows = windows(&config, 1);
        let windows: Vec<&[u8]> = windows.iter().map(Vec::as_slice).collect();
        let gradient = model.by_definition(&windows).gradient;
        let start = model.parameters().values().to_vec();
        for seed in 0..4 {
            let direction = |i: usize| ((i * 7 + seed * 13) % 5) as f64 - 2.0;
            let mut loss_at = |step: f64| {
                for (i, (value, start)) in model.values_mut().iter_mut().zip(&start).enumerate() {
                    *value = (f64::from(*start) + step * direction(i)) as f32;
                }
                model.by_definition(&windows).loss
            };
            let expected: f64 = gradient.iter().enumerate().map(|(i, g)| g * direction(i)).sum();
            // A long step is bent by the rectifiers and by normalising pictures of little contrast, a short one drowns in the
            // rounding of the single-precision weights: the best of a few must do.
            let mut slope = |step: f64| (loss_at(step) - loss_at(-step)) / (2.0 * step);
            let slopes = [-16, -18, -20].map(|exponent| slope(2f64.powi(exponent)));
            let close = |slope: &f64| (slope - expected).abs() < 1e-2 * expected.abs() + 1e-3;
            assert!(slopes.iter().any(close), "{config:?}: {slopes:?} {expected}");
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
