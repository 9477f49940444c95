//! The autoencoder: parameters and the layers that use them.

use rayon::prelude::*;

use super::config::ModelConfig;
use super::decoder::{Decoder, DecoderTape};
use super::encoder::{Encoder, EncoderTape};
use super::parameters::{Layout, Parameters};
use super::planes::{Grid, Planes};

/// Numbers in a code: four channels of 4 × 4, whatever the side.
pub const CODE_SIZE: usize = 64;

/// Windows whose gradients one thread adds up before blocks are added in order: it decides the rounding, so it is fixed.
const BLOCK: usize = 8;

/// A convolutional recurrent autoencoder with its weights.
///
/// A window is frames × side × side values, frame after frame, row-major. As bytes, a value is byte / 255. All methods that
/// take a window panic if its length is not [`ModelConfig::window_size`].
#[derive(Debug, Clone)]
pub struct Autoencoder {
    config: ModelConfig,
    parameters: Parameters,
    encoder: Encoder,
    decoder: Decoder,
}

/// What [`Autoencoder::loss_and_gradient`] returns.
#[derive(Debug, Clone)]
pub struct LossAndGradient {
    /// Mean squared error over all pixels of the batch.
    pub loss: f64,
    /// Its gradient, in the shape of the parameters.
    pub gradient: Parameters,
}

impl Autoencoder {
    /// Untrained, with PyTorch's random initialisation from a seed.
    pub fn new(config: ModelConfig, seed: u64) -> Autoencoder {
        let mut layout = Layout::default();
        let encoder = Encoder::new(&mut layout, &config);
        let decoder = Decoder::new(&mut layout, &config);
        let mut model = Autoencoder { config, parameters: Parameters::random(layout, seed), encoder, decoder };
        model.load();
        model
    }

    /// With these weights; `None` if they do not have the shape that `config` asks for.
    pub fn from_parameters(config: ModelConfig, parameters: Parameters) -> Option<Autoencoder> {
        let mut model = Autoencoder::new(config, 0);
        let fits = model.parameters.shapes() == parameters.shapes();
        fits.then(|| {
            model.update(|values| values.copy_from_slice(parameters.values()));
            model
        })
    }

    /// The shape of the network.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The weights.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Changes the weights in place, as an optimiser does.
    pub fn update(&mut self, change: impl FnOnce(&mut [f32])) {
        change(self.parameters.values_mut());
        self.load();
    }

    /// The reconstruction of a window: frames × side × side, about 0 to 1 but not bounded.
    pub fn reconstruct(&self, window: &[f32]) -> Vec<f32> {
        let mut tape = self.tape();
        self.forward(window.iter().copied(), &mut tape);
        (0..self.config.frames.count()).flat_map(|t| tape.decoder.frame(t).pixels()).collect()
    }

    /// The code of a window: the encoder's last state, four channels of 4 × 4, each in (−1, 1).
    pub fn encode(&self, window: &[f32]) -> [f32; CODE_SIZE] {
        let mut tape = self.tape();
        self.set_frames(window.iter().copied(), &mut tape);
        self.encoder.forward(&tape.frames, &mut tape.encoder);
        tape.code(self.config.side.stages())
    }

    /// The codes of many windows of bytes, in parallel, in their order.
    pub fn encode_all(&self, windows: &[&[u8]]) -> Vec<[f32; CODE_SIZE]> {
        let code = |tape: &mut Tape, window: &&[u8]| {
            self.set_frames(values(window), tape);
            self.encoder.forward(&tape.frames, &mut tape.encoder);
            tape.code(self.config.side.stages())
        };
        windows.par_iter().with_min_len(BLOCK).map_init(|| self.tape(), code).collect()
    }

    /// The squared error of every pixel of a window of bytes: frames × side × side, each ≥ 0.
    pub fn residual(&self, window: &[u8]) -> Vec<f32> {
        self.residual_in(&mut self.tape(), window)
    }

    /// [`residual`](Autoencoder::residual) of many windows, in parallel, in their order.
    pub fn residual_all(&self, windows: &[&[u8]]) -> Vec<Vec<f32>> {
        let residual = |tape: &mut Tape, window: &&[u8]| self.residual_in(tape, window);
        windows.par_iter().with_min_len(BLOCK).map_init(|| self.tape(), residual).collect()
    }

    /// The mean squared error over all pixels of all windows; not a number if there is none.
    pub fn loss(&self, windows: &[&[u8]]) -> f64 {
        let squares = |tape: &mut Tape, block: &[&[u8]]| -> f64 {
            block.iter().map(|window| self.forward(values(window), tape)).sum()
        };
        let blocks: Vec<f64> = windows.par_chunks(BLOCK).map_init(|| self.tape(), squares).collect();
        blocks.iter().sum::<f64>() / (windows.len() * self.config.window_size()) as f64
    }

    /// The mean squared error over a batch of windows of bytes, and its gradient.
    ///
    /// In parallel over blocks of 8 windows, whose sums are added in order: the result does not depend on the number of
    /// threads.
    pub fn loss_and_gradient(&self, windows: &[&[u8]]) -> LossAndGradient {
        let pixels = (windows.len() * self.config.window_size()) as f64;
        let block = |tape: &mut Tape, block: &[&[u8]]| {
            let mut gradient = vec![0f32; self.parameters.values().len()];
            let mut squares = 0.0;
            for window in block {
                squares += self.forward(values(window), tape);
                self.backward(2.0 / pixels as f32, tape, &mut gradient);
            }
            (squares, gradient)
        };
        let blocks: Vec<(f64, Vec<f32>)> = windows.par_chunks(BLOCK).map_init(|| self.tape(), block).collect();
        let mut gradient = self.parameters.zeros_like();
        for (_, part) in &blocks {
            gradient.values_mut().iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        let squares: f64 = blocks.iter().map(|(squares, _)| squares).sum();
        LossAndGradient { loss: squares / pixels, gradient }
    }

    /// Hands the parameters to the layers.
    fn load(&mut self) {
        self.encoder.load(self.parameters.values());
        self.decoder.load(self.parameters.values());
    }

    fn tape(&self) -> Tape {
        let (config, frames) = (&self.config, self.config.frames.count());
        let states = (1..=config.side.stages())
            .map(|s| Planes::zeros(Grid { side: config.side.at_stage(s) }, super::config::STATE_CHANNELS));
        Tape {
            frames: vec![Planes::zeros(Grid { side: config.side.pixels() }, 1); frames],
            encoder: self.encoder.tape(frames),
            decoder: self.decoder.tape(frames),
            states: states.collect(),
        }
    }

    fn set_frames(&self, window: impl ExactSizeIterator<Item = f32>, tape: &mut Tape) {
        assert_eq!(window.len(), self.config.window_size(), "a window of the wrong size");
        let mut window = window;
        let size = self.config.side.fragment_size();
        for frame in &mut tape.frames {
            frame.set_pixels(window.by_ref().take(size));
        }
    }

    /// Fills the tape and returns the sum of squared errors.
    fn forward(&self, window: impl ExactSizeIterator<Item = f32>, tape: &mut Tape) -> f64 {
        self.set_frames(window, tape);
        let Tape { frames, encoder, decoder, .. } = tape;
        self.encoder.forward(frames, encoder);
        self.decoder.forward(encoder, decoder);
        frames.iter().enumerate().map(|(t, frame)| squared_distance(decoder.frame(t), frame)).sum()
    }

    /// Adds the gradient of `factor / 2 ×` the sum of squared errors that [`forward`](Autoencoder::forward) returned.
    fn backward(&self, factor: f32, tape: &mut Tape, gradient: &mut [f32]) {
        let Tape { frames, encoder, decoder, states } = tape;
        self.decoder.backward(encoder, decoder, states, gradient, |t, frame, dy| {
            for ((dy, y), x) in dy.data_mut().iter_mut().zip(frame.data()).zip(frames[t].data()) {
                *dy = factor * (y - x);
            }
        });
        self.encoder.backward(frames, encoder, states, gradient);
    }

    fn residual_in(&self, tape: &mut Tape, window: &[u8]) -> Vec<f32> {
        self.forward(values(window), tape);
        let frames = tape.frames.iter().enumerate();
        frames
            .flat_map(|(t, x)| tape.decoder.frame(t).pixels().zip(x.pixels()).map(|(y, x)| (y - x) * (y - x)))
            .collect()
    }
}

/// All that one thread remembers on the way forward, for the way back; reused from window to window.
struct Tape {
    frames: Vec<Planes>,
    encoder: EncoderTape,
    decoder: DecoderTape,
    /// Per stage: the gradient of the encoder's last state.
    states: Vec<Planes>,
}

impl Tape {
    fn code(&self, stages: usize) -> [f32; CODE_SIZE] {
        let mut code = [0.0; CODE_SIZE];
        code.iter_mut().zip(self.encoder.last_state(stages - 1).pixels()).for_each(|(to, from)| *to = from);
        code
    }
}

/// Bytes as the model sees them: 0 to 1.
fn values(window: &[u8]) -> impl ExactSizeIterator<Item = f32> {
    window.iter().map(|&byte| f32::from(byte) / 255.0)
}

/// Σ (y − x)², row by row in single precision, over rows in double.
fn squared_distance(y: &Planes, x: &Planes) -> f64 {
    let row = |row: usize| -> f32 { y.row(0, row).iter().zip(x.row(0, row)).map(|(y, x)| (y - x) * (y - x)).sum() };
    (0..y.grid().side).map(|r| f64::from(row(r))).sum()
}

#[cfg(test)]
mod tests {
    use super::super::config::{Frames, Norm, Side};
    use super::*;

    fn windows(config: &ModelConfig, count: usize) -> Vec<Vec<u8>> {
        let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8;
        (0..count).map(|w| (0..config.window_size()).map(|i| byte(i + w * 7919)).collect()).collect()
    }

    #[test]
    fn the_gradient_follows_finite_differences() {
        for (side, frames, norm) in
            [(Side::Sixteen, 1, Norm::Group), (Side::Sixteen, 3, Norm::Group), (Side::SixtyFour, 2, Norm::None)]
        {
            let config = ModelConfig { frames: Frames::try_from(frames).unwrap(), norm, ..ModelConfig::new(side) };
            let model = Autoencoder::new(config, 5);
            let windows = windows(&config, 2);
            let windows: Vec<&[u8]> = windows.iter().map(Vec::as_slice).collect();
            let gradient = model.loss_and_gradient(&windows).gradient;
            // Along the gradient of each tensor, so that single precision suffices: the slope there is its norm.
            for tensor in model.parameters().shapes() {
                let direction = &gradient.values()[tensor.range.clone()];
                let norm = direction.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
                if norm < 1e-3 {
                    continue;
                }
                let loss_at = |step: f64| {
                    let mut moved = model.clone();
                    moved.update(|values| {
                        for (value, g) in values[tensor.range.clone()].iter_mut().zip(direction) {
                            *value += (step * f64::from(*g) / norm) as f32;
                        }
                    });
                    moved.loss(&windows)
                };
                // A long step is bent by the rectifiers and by normalising pictures of little contrast, a short one drowns
                // in rounding: the best of a few must do.
                let error = |step: f64| ((loss_at(step) - loss_at(-step)) / (2.0 * step) - norm).abs();
                let least = [5e-4, 1e-4, 5e-5].map(error).into_iter().fold(f64::INFINITY, f64::min);
                assert!(least < 0.05 * norm + 5e-5, "{}: {least} of {norm}", tensor.name);
            }
        }
    }

    #[test]
    fn every_side_has_the_parameters_of_the_original() {
        let count = |side, norm| {
            let config = ModelConfig { norm, ..ModelConfig::new(side) };
            Autoencoder::new(config, 0).parameters().values().len()
        };
        assert_eq!(count(Side::Sixteen, Norm::Group), 14_929);
        assert_eq!(count(Side::ThirtyTwo, Norm::Group), 20_209);
        assert_eq!(count(Side::ThirtyTwo, Norm::None), 20_017);
        // As much more as 32 has over 16.
        assert_eq!(count(Side::SixtyFour, Norm::Group), 25_489);
    }

    #[test]
    fn one_window_and_many_give_the_same() {
        let config = ModelConfig::new(Side::Sixteen);
        let model = Autoencoder::new(config, 3);
        let windows = windows(&config, 20);
        let windows: Vec<&[u8]> = windows.iter().map(Vec::as_slice).collect();
        let floats: Vec<f32> = values(windows[17]).collect();
        assert_eq!(model.encode_all(&windows)[17], model.encode(&floats));
        assert_eq!(model.residual_all(&windows)[17], model.residual(windows[17]));
        let residuals: f64 =
            model.residual_all(&windows).iter().flatten().map(|r| f64::from(*r)).sum::<f64>() / (20.0 * 256.0);
        assert!((model.loss(&windows) - residuals).abs() < 1e-7);
    }
}
