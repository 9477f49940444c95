//! The engine: inference, loss and gradient of batches of windows.
//!
//! The network has two to four channels; general frameworks spend most of their time on overhead around such small convolutions.
//! Here
//!
//! * a block of windows is computed at once, one window in each lane of a vector; a single window has its pixels in the lanes
//!   instead ([`feature_maps`](crate::feature_maps));
//! * 5 × 5 convolutions take 2½ times fewer multiplications than direct ones, in training six times ([`winograd`](crate::winograd));
//!   the others are lists of taps ([`direct_conv`](crate::direct_conv));
//! * products with zero are skipped: the missing state of the first step, the missing input of the top decoder cell
//!   ([`Sources`](crate::gate_convs::Sources));
//! * each thread has one workspace, and nothing is allocated from block to block.
//!
//! Every kernel is written once, generic over the vector type ([`simd`](crate::simd)), and runs with the best instructions of the
//! processor. The last digits of results depend on those, but not on the number of threads.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::categorical::{MEAN, NEGATIVE_LOG_LIKELIHOOD};
use crate::cost::Cost;
use crate::dropout::Dropout;
use crate::layers::Layers;
use crate::network::{CODE_SIZE, Head, ModelConfig, Network, Parameters};
use crate::purpose::Purpose;
use crate::simd::{Instructions, Kernel, Simd};
use crate::workspace::{VALUES, Workspace};

/// Most pixels of one channel in a block of windows: the dozens of channels of a cell then fit into a cache of a megabyte. Twice as
/// many were measured to be slower where several frames, or other programs, need the cache too.
const CACHED_PIXELS: usize = 8192;

/// A network ready to run.
///
/// A window is [`ModelConfig::window_frames`] fragments, frame after frame, each row-major; a byte counts as byte / 255.
///
/// # Panics
///
/// Methods panic on windows of another length.
#[derive(Debug)]
pub struct Engine {
    layers: Layers,
    instructions: Instructions,
    workspaces: Mutex<Vec<(Purpose, Workspace)>>,
    /// The gradient of each block of a batch.
    gradients: Vec<Vec<f32>>,
}

impl Engine {
    /// An engine with the best instructions of this processor.
    pub fn new(network: &impl AsRef<Network>) -> Engine {
        Engine::with_instructions(network, Instructions::best())
    }

    /// An engine with these instructions.
    pub fn with_instructions(network: &impl AsRef<Network>, instructions: Instructions) -> Engine {
        let network = network.as_ref();
        let mut layers = Layers::new(network);
        layers.load(network.parameters().values());
        Engine { layers, instructions, workspaces: Mutex::default(), gradients: Vec::new() }
    }

    /// Loads other parameters of the same network.
    pub fn load(&mut self, parameters: &Parameters) {
        self.layers.load(parameters.values());
    }

    /// The configuration of the network.
    pub fn config(&self) -> &ModelConfig {
        &self.layers.config
    }

    /// The instructions that it runs with.
    pub fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// Multiply-adds of a window in a batch of this size.
    pub fn cost(&self, windows: usize) -> Cost {
        Cost::as_computed(self.config(), self.block(windows), self.instructions.lanes())
    }

    /// The code of each window, in order: the encoder's last state, four channels of 16 pixels, each in (−1, 1).
    ///
    /// Only the frames that the encoder takes are read; the others may be missing.
    pub fn encode(&self, windows: &[&[u8]]) -> Vec<[f32; CODE_SIZE]> {
        let mut codes = vec![[0.0; CODE_SIZE]; windows.len()];
        self.each_block(Purpose::Inference, windows, &mut codes, |work, _, codes| {
            self.instructions.run(Encode { layers: &self.layers, work });
            for (number, code) in codes.iter_mut().enumerate() {
                code.iter_mut().zip(work.code(number)).for_each(|(to, value)| *to = value);
            }
        });
        codes
    }

    /// The decoder's frames, window after window: emitted frames × side² values each, about 0 to 1 (a linear head does not bound
    /// them); with a categorical head the mean of each byte, divided by 255.
    pub fn reconstruct(&self, windows: &[&[u8]]) -> Vec<f32> {
        let mut outputs = Vec::new();
        self.reconstruct_into(windows, &mut outputs);
        outputs
    }

    /// [`reconstruct`](Self::reconstruct) that replaces the contents of `outputs` and reuses its memory.
    pub fn reconstruct_into(&self, windows: &[&[u8]], outputs: &mut Vec<f32>) {
        let sigmoid = self.config().head == Head::Sigmoid;
        self.decode(windows, MEAN, outputs, |_, output| {
            if sigmoid {
                output.iter_mut().for_each(|pixel| *pixel = 1.0 / (1.0 + (-*pixel).exp()));
            }
        });
    }

    /// The residual of every pixel, ≥ 0, in the order of [`reconstruct`](Self::reconstruct): the squared error, or with a
    /// categorical head −ln p of the byte.
    pub fn residual(&self, windows: &[&[u8]]) -> Vec<f32> {
        let mut residuals = Vec::new();
        self.residual_into(windows, &mut residuals);
        residuals
    }

    /// [`residual`](Self::residual) that replaces the contents of `residuals` and reuses its memory.
    pub fn residual_into(&self, windows: &[&[u8]], residuals: &mut Vec<f32>) {
        let first = self.layers.first_target() * self.config().side.fragment_size();
        let squared_error = |pixel: &mut f32, byte: &u8| *pixel = (*pixel - VALUES[usize::from(*byte)]).powi(2);
        match self.config().head {
            Head::Categorical => self.decode(windows, NEGATIVE_LOG_LIKELIHOOD, residuals, |_, _| {}),
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

    /// One channel of the decoder's frames of each window, to which `epilogue` was applied.
    fn decode(
        &self,
        windows: &[&[u8]],
        channel: usize,
        outputs: &mut Vec<f32>,
        epilogue: impl Fn(&[u8], &mut [f32]) + Sync,
    ) {
        let size = self.config().emitted_frames() * self.config().side.fragment_size();
        outputs.resize(windows.len() * size, 0.0);
        self.each_block(Purpose::Inference, windows, outputs, |work, windows, outputs| {
            self.instructions.run(Decode { layers: &self.layers, work, channel, size, outputs });
            for (window, output) in windows.iter().zip(outputs.chunks_exact_mut(size)) {
                epilogue(window, output);
            }
        });
    }

    /// The mean loss over all pixels of all windows: the squared error, with a sigmoid head the binary cross-entropy, with a
    /// categorical head −ln p. NaN if there is no window.
    pub fn loss(&self, windows: &[&[u8]]) -> f64 {
        let mut losses = vec![0.0; windows.len()];
        self.each_block(Purpose::Inference, windows, &mut losses, |work, _, losses| {
            losses[0] = self.instructions.run(Loss { layers: &self.layers, work, count: losses.len() });
        });
        losses.iter().sum::<f64>() / self.pixels(windows)
    }

    /// The mean loss of a batch; its gradient replaces the contents of `gradient`.
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
                let (layers, count) = (&self.layers, windows.len());
                self.instructions.run(LossAndGradient { layers, work, count, factor: factor as f32, gradient: sum })
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

    /// Windows in a block: as many as a vector has lanes, but fewer of large feature maps, which would not fit into the cache, and
    /// about half of a small batch, so that two threads have work.
    pub(crate) fn block(&self, windows: usize) -> usize {
        let lanes = self.instructions.lanes();
        let cached = (CACHED_PIXELS / self.config().side.fragment_size()).clamp(lanes.min(4), lanes);
        windows.div_ceil(2).next_power_of_two().clamp(1, cached)
    }

    /// Calls `work` with each block of windows and its part of the results, in parallel; every window has equally many results.
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

    /// Runs `work` with a workspace from the pool, or a new one if all are in use.
    fn with_workspace<R>(&self, purpose: Purpose, windows: usize, work: impl FnOnce(&mut Workspace) -> R) -> R {
        let pool = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |(is_for, space): &(Purpose, Workspace)| *is_for == purpose && space.windows() == windows;
        let found = {
            let mut pool = pool();
            pool.iter().position(fits).map(|i| pool.swap_remove(i))
        };
        let (_, mut space) = found.unwrap_or_else(|| (purpose, Workspace::new(&self.layers, windows, purpose)));
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
    layers: &'a Layers,
    work: &'a mut Workspace,
}

impl Kernel for Encode<'_> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        self.layers.encode(s, self.work);
    }
}

struct Decode<'a> {
    layers: &'a Layers,
    work: &'a mut Workspace,
    channel: usize,
    /// Values of a window.
    size: usize,
    outputs: &'a mut [f32],
}

impl Kernel for Decode<'_> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        self.layers.forward(s, self.work, |t, y, _| {
            let pixels = y.raster.grid.pixels();
            for (number, output) in self.outputs.chunks_exact_mut(self.size).enumerate() {
                y.copy_window(self.channel, number, &mut output[t * pixels..(t + 1) * pixels]);
            }
        });
    }
}

struct Loss<'a> {
    layers: &'a Layers,
    work: &'a mut Workspace,
    count: usize,
}

impl Kernel for Loss<'_> {
    type Output = f64;

    fn run<S: Simd>(self, s: S) -> f64 {
        self.layers.loss(s, self.work, self.count)
    }
}

struct LossAndGradient<'a> {
    layers: &'a Layers,
    work: &'a mut Workspace,
    count: usize,
    factor: f32,
    gradient: &'a mut [f32],
}

impl Kernel for LossAndGradient<'_> {
    type Output = f64;

    fn run<S: Simd>(self, s: S) -> f64 {
        let LossAndGradient { layers, work, count, factor, gradient } = self;
        layers.forward(s, work, |_, _, _| {});
        layers.backward(s, work, count, factor, gradient)
    }
}
