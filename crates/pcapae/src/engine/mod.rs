//! The engine: the network of [`model`](crate::model) at the speed of the machine.
//!
//! The network has two to four channels; general frameworks spend most of their time around such small sums. Here
//!
//! * a block of windows is computed at once, a window in each lane of the processor's vectors; a single window has its pixels
//!   there instead (`planes`);
//! * the 5 × 5 convolutions take 2½ times fewer multiplications than their definition, in training six times (`winograd`), the
//!   others are lists of links (`stencil`);
//! * what would be multiplied by zero is not computed: the first step's missing state, the topmost decoder cell's missing input
//!   (`cell::Sources`);
//! * each thread has one workspace, and nothing is allocated from block to block.
//!
//! Everything is written once, against a vector of any width (`simd`), and runs with the best instructions that the
//! processor has. The results depend on those in the last digits, but not on the number of threads.

#![allow(unsafe_code, reason = "the processor's own instructions, and inner loops whose bounds are checked beforehand")]

mod aligned;

mod categorical;

mod cell;

mod cell_conv;

mod cost;

mod distances;

mod dropout;

mod gru;

mod instructions;

#[doc(hidden)]
pub mod kernels;

mod loss;

mod lstm;

mod network;

mod norm;

mod peak;

mod phases;

mod planes;

mod simd;

#[cfg(test)]
mod specimen;

mod stage;

mod stencil;

mod winograd;

mod workspace;

pub use cost::Cost;
pub use dropout::Dropout;
pub use instructions::Instructions;
#[doc(hidden)]
pub use peak::multiply_adds;

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

pub(crate) use distances::{Columns, Differences, Sums};

use categorical::{MEAN, SURPRISE};
use instructions::Work;
use network::Network;
use simd::Simd;
use workspace::{Purpose, VALUES, Workspace};

use crate::model::{Autoencoder, CODE_SIZE, Head, ModelConfig, Parameters};

/// Pixels of all windows of a block in one channel: with these, the dozens of channels that a cell works on stay in a cache of
/// a megabyte. Measured: twice as many are slower where several frames, or other programs, want the cache too.
const CACHED_PIXELS: usize = 8192;

/// A network ready to run.
///
/// A window is [`ModelConfig::window_frames`] fragments, frame after frame, each row-major; a byte counts as byte / 255. Methods
/// panic on windows of another length.
#[derive(Debug)]
pub struct Engine {
    network: Network,
    instructions: Instructions,
    workspaces: Mutex<Vec<(Purpose, Workspace)>>,
    /// The gradient of each block of a batch.
    gradients: Vec<Vec<f32>>,
}

impl Engine {
    /// With the weights of `model` and the best instructions of this processor.
    pub fn new(model: &Autoencoder) -> Engine {
        Engine::with_instructions(model, Instructions::best())
    }

    /// With these instructions.
    pub fn with_instructions(model: &Autoencoder, instructions: Instructions) -> Engine {
        let mut network = Network::new(model);
        network.load(model.parameters().values());
        Engine { network, instructions, workspaces: Mutex::default(), gradients: Vec::new() }
    }

    /// Takes other weights of the same network.
    pub fn load(&mut self, parameters: &Parameters) {
        self.network.load(parameters.values());
    }

    /// The shape of the network.
    pub fn config(&self) -> &ModelConfig {
        &self.network.config
    }

    /// The instructions that it runs with.
    pub fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// Multiply-adds of a window as they are computed in a batch of so many.
    pub fn cost(&self, windows: usize) -> Cost {
        Cost::as_computed(self.config(), self.block(windows), self.instructions.lanes())
    }

    /// The code of each window, in order: the encoder's last state, four channels of 16 pixels, each in (−1, 1).
    ///
    /// Of a window, only the frames that the encoder takes are looked at; the others may be missing.
    pub fn encode(&self, windows: &[&[u8]]) -> Vec<[f32; CODE_SIZE]> {
        let mut codes = vec![[0.0; CODE_SIZE]; windows.len()];
        self.each_block(Purpose::Inference, windows, &mut codes, |work, _, codes| {
            self.instructions.run(Encode { network: &self.network, work });
            for (number, code) in codes.iter_mut().enumerate() {
                code.iter_mut().zip(work.code(number)).for_each(|(to, value)| *to = value);
            }
        });
        codes
    }

    /// The frames that the decoder gives for each window, window after window: emitted frames × side² values, about 0 to 1, but
    /// bounded only by a sigmoid head; of a categorical head the mean of each byte, divided by 255.
    pub fn reconstruct(&self, windows: &[&[u8]]) -> Vec<f32> {
        let mut outputs = Vec::new();
        self.reconstruct_into(windows, &mut outputs);
        outputs
    }

    /// [`reconstruct`](Self::reconstruct) in the place of what is in `outputs`, whose memory is used again.
    pub fn reconstruct_into(&self, windows: &[&[u8]], outputs: &mut Vec<f32>) {
        let sigmoid = self.config().head == Head::Sigmoid;
        self.decode(windows, MEAN, outputs, |_, output| {
            if sigmoid {
                output.iter_mut().for_each(|pixel| *pixel = 1.0 / (1.0 + (-*pixel).exp()));
            }
        });
    }

    /// How far off the decoder is at every pixel, each ≥ 0, in the order of [`reconstruct`](Self::reconstruct): the squared error,
    /// or of a categorical head −ln p of the byte that is there.
    pub fn residual(&self, windows: &[&[u8]]) -> Vec<f32> {
        let mut residuals = Vec::new();
        self.residual_into(windows, &mut residuals);
        residuals
    }

    /// [`residual`](Self::residual) in the place of what is in `residuals`, whose memory is used again.
    pub fn residual_into(&self, windows: &[&[u8]], residuals: &mut Vec<f32>) {
        let first = self.network.first_target() * self.config().side.fragment_size();
        let squared_error = |pixel: &mut f32, byte: &u8| *pixel = (*pixel - VALUES[usize::from(*byte)]).powi(2);
        match self.config().head {
            Head::Categorical => self.decode(windows, SURPRISE, residuals, |_, _| {}),
            Head::Linear => self.decode(windows, MEAN, residuals, |window, output| {
                output.iter_mut().zip(&window[first..]).for_each(|(pixel, byte)| squared_error(pixel, byte));
            }),
            Head::Sigmoid => self.decode(windows, MEAN, residuals, |window, output| {
                for (pixel, byte) in output.iter_mut().zip(&window[first..]) {
                    *pixel = 1.0 / (1.0 + (-*pixel).exp());
                    squared_error(pixel, byte);
                }
            }),
        }
    }

    /// A channel of the decoder's frames of each window, after `finish` has seen them with their window.
    fn decode(
        &self,
        windows: &[&[u8]],
        channel: usize,
        outputs: &mut Vec<f32>,
        finish: impl Fn(&[u8], &mut [f32]) + Sync,
    ) {
        let size = self.config().emitted_frames() * self.config().side.fragment_size();
        outputs.resize(windows.len() * size, 0.0);
        self.each_block(Purpose::Inference, windows, outputs, |work, windows, outputs| {
            self.instructions.run(Decode { network: &self.network, work, channel, size, outputs });
            for (window, output) in windows.iter().zip(outputs.chunks_exact_mut(size)) {
                finish(window, output);
            }
        });
    }

    /// The mean loss over all pixels of all windows: the squared error, with a sigmoid head the binary cross-entropy, with a
    /// categorical head −ln p. Not a number if there is no window.
    pub fn loss(&self, windows: &[&[u8]]) -> f64 {
        let mut losses = vec![0.0; windows.len()];
        self.each_block(Purpose::Inference, windows, &mut losses, |work, _, losses| {
            losses[0] = self.instructions.run(Loss { network: &self.network, work, count: losses.len() });
        });
        losses.iter().sum::<f64>() / self.pixels(windows)
    }

    /// The mean loss of a batch, and its gradient, which replaces what is in `gradient`.
    ///
    /// In parallel over blocks of windows, whose sums are added in order: the result does not depend on the number of threads.
    pub fn loss_and_gradient(&mut self, windows: &[&[u8]], dropout: Option<Dropout>, gradient: &mut Parameters) -> f64 {
        let factor = 1.0 / self.pixels(windows);
        let block = self.block(windows.len());
        let mut blocks = std::mem::take(&mut self.gradients);
        blocks.resize_with(windows.len().div_ceil(block), Vec::new);
        let compute = |(number, (windows, sum)): (usize, (&[&[u8]], &mut Vec<f32>))| {
            sum.clear();
            sum.resize(gradient.values().len(), 0.0);
            self.with_workspace(Purpose::Training, block, |work| {
                set_windows(work, windows);
                if let Some(dropout) = dropout {
                    dropout.prepare(number * block, work);
                }
                let (network, count) = (&self.network, windows.len());
                self.instructions.run(LossAndGradient { network, work, count, factor: factor as f32, gradient: sum })
            })
        };
        let losses: Vec<f64> =
            windows.par_chunks(block).zip(&mut blocks).enumerate().with_max_len(1).map(compute).collect();
        let values = gradient.values_mut();
        values.fill(0.0);
        for block in &blocks {
            values.iter_mut().zip(block).for_each(|(sum, part)| *sum += part);
        }
        self.gradients = blocks;
        losses.iter().sum::<f64>() * factor
    }

    fn pixels(&self, windows: &[&[u8]]) -> f64 {
        let config = self.config();
        (windows.len() * config.emitted_frames() * config.side.fragment_size()) as f64
    }

    /// How many windows are computed at once: as many as a vector has lanes, but fewer of large pictures, whose channels would
    /// not stay in the processor's cache, and of a small batch about half, so that two threads have work.
    fn block(&self, windows: usize) -> usize {
        let lanes = self.instructions.lanes();
        let cached = (CACHED_PIXELS / self.config().side.fragment_size()).clamp(lanes.min(4), lanes);
        windows.div_ceil(2).next_power_of_two().clamp(1, cached)
    }

    /// Calls `work` with each block of windows, in parallel, and with the places of their results: equally many for each window.
    fn each_block<T: Send>(
        &self,
        purpose: Purpose,
        windows: &[&[u8]],
        results: &mut [T],
        work: impl Fn(&mut Workspace, &[&[u8]], &mut [T]) + Sync,
    ) {
        let block = self.block(windows.len());
        let places = block * (results.len() / windows.len().max(1)).max(1);
        let compute = |(windows, results): (&[&[u8]], &mut [T])| {
            self.with_workspace(purpose, block, |space| {
                set_windows(space, windows);
                work(space, windows, results);
            });
        };
        if windows.len() <= block {
            windows.chunks(block).zip(results.chunks_mut(places)).for_each(compute);
        } else {
            windows.par_chunks(block).zip(results.par_chunks_mut(places)).with_max_len(1).for_each(compute);
        }
    }

    /// Lends a workspace that no other thread uses; makes one where all are in use.
    fn with_workspace<R>(&self, purpose: Purpose, windows: usize, work: impl FnOnce(&mut Workspace) -> R) -> R {
        let pool = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |(is_for, space): &(Purpose, Workspace)| *is_for == purpose && space.windows() == windows;
        let found = {
            let mut pool = pool();
            pool.iter().position(fits).map(|i| pool.swap_remove(i))
        };
        let (_, mut space) = found.unwrap_or_else(|| (purpose, Workspace::new(&self.network, windows, purpose)));
        let result = work(&mut space);
        pool().push((purpose, space));
        result
    }
}

fn set_windows(work: &mut Workspace, windows: &[&[u8]]) {
    for (number, window) in windows.iter().enumerate() {
        work.set_window(number, window);
    }
}

struct Encode<'a> {
    network: &'a Network,
    work: &'a mut Workspace,
}

impl Work for Encode<'_> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        self.network.encode(s, self.work);
    }
}

struct Decode<'a> {
    network: &'a Network,
    work: &'a mut Workspace,
    channel: usize,
    /// Values of a window.
    size: usize,
    outputs: &'a mut [f32],
}

impl Work for Decode<'_> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        self.network.forward(s, self.work, |t, y, _| {
            let pixels = y.raster.grid.pixels();
            for (number, output) in self.outputs.chunks_exact_mut(self.size).enumerate() {
                y.copy_window(self.channel, number, &mut output[t * pixels..(t + 1) * pixels]);
            }
        });
    }
}

struct Loss<'a> {
    network: &'a Network,
    work: &'a mut Workspace,
    count: usize,
}

impl Work for Loss<'_> {
    type Output = f64;

    fn run<S: Simd>(self, s: S) -> f64 {
        self.network.loss(s, self.work, self.count)
    }
}

struct LossAndGradient<'a> {
    network: &'a Network,
    work: &'a mut Workspace,
    count: usize,
    factor: f32,
    gradient: &'a mut [f32],
}

impl Work for LossAndGradient<'_> {
    type Output = f64;

    fn run<S: Simd>(self, s: S) -> f64 {
        let LossAndGradient { network, work, count, factor, gradient } = self;
        network.forward(s, work, |_, _, _| {});
        network.backward(s, work, count, factor, gradient)
    }
}
