//! Single sums of the engine over one block of windows, so that benchmarks can reach them.

use std::fmt;

use super::cell::{Cell, CellTape, Sources};
use super::cell_conv::{Output, QUAD, Start, TAPS, Weights};
use super::instructions::Work;
use super::planes::{Planes, Raster};
use super::simd::Simd;
use super::stencil::{Finish, Link, Stencil};
use super::winograd::{Winograd, WinogradScratch};
use super::workspace::Purpose;
use super::{Engine, Instructions};
use crate::fragment::Shape;
use crate::model::{Autoencoder, ModelConfig, Side};

/// Channels that come in and go out: those of the GRU's gates, input and state to reset and update.
const CHANNELS: usize = 2 * QUAD;

/// What is to be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// A 5 × 5 convolution from eight channels to eight, by Winograd.
    Winograd,
    /// The same as links.
    Links,
    /// The gradient of its weights, by Winograd.
    WinogradGradient,
    /// The same as links.
    LinksGradient,
    /// The moments that normalise eight channels.
    Norm,
    /// Those channels normalised and sent through σ.
    Gates,
}

impl Kernel {
    /// All of them.
    pub const ALL: [Kernel; 6] =
        [Kernel::Winograd, Kernel::Links, Kernel::WinogradGradient, Kernel::LinksGradient, Kernel::Norm, Kernel::Gates];
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Room for every kernel, on as many windows as the engine computes at once.
#[derive(Debug)]
pub struct Kernels {
    instructions: Instructions,
    raster: Raster,
    weights: Weights,
    winograd: Winograd,
    stencil: Stencil,
    cell: Cell,
    tape: CellTape,
    inputs: Planes,
    gradient: Vec<f32>,
    scratch: WinogradScratch,
}

impl Kernels {
    /// For pictures of this side.
    pub fn new(side: Side, instructions: Instructions) -> Kernels {
        let config = ModelConfig::new(side);
        let model = Autoencoder::new(config, 1);
        let windows = Engine::with_instructions(&model, instructions).block(usize::MAX / 2);
        let raster = Raster::new(config.shape, config.grid(1), windows);
        let place = |output: usize, input: usize, tap: usize| (output * CHANNELS + input) * TAPS + tap;
        let weights = Weights::new(CHANNELS, 2, |output, input, tap| Some(place(output, input, tap)));
        let mut links = Vec::new();
        for (output, input, tap) in
            (0..CHANNELS * CHANNELS * TAPS).map(|i| (i / TAPS / CHANNELS, i / TAPS % CHANNELS, i % TAPS))
        {
            let [dy, dx] = [tap / 5, tap % 5].map(|step| step as isize - 2);
            links.push(Link { output, input, dy, dx, parameter: place(output, input, tap) });
        }
        let mut winograd = Winograd::new(&weights);
        let mut stencil = Stencil::new(&links, CHANNELS);
        let parameters: Vec<f32> = (0..links.len()).map(|i| (i as f32).sin()).collect();
        winograd.load(&weights, &parameters);
        stencil.load(&parameters);
        let mut cell = Cell::new(Shape::Square, &model.architecture().encoder[1], Sources::Both);
        cell.load(model.parameters().values());
        let mut tape = cell.tape(raster, QUAD);
        let mut inputs = Planes::zeros(raster, CHANNELS);
        for (channel, window) in (0..CHANNELS).flat_map(|channel| (0..windows).map(move |window| (channel, window))) {
            let pixels = (0..raster.grid.pixels()).map(|i| ((i + channel) as f32 * (window as f32 + 0.5)).sin());
            tape.sums.set_window(channel, window, pixels.clone());
            inputs.set_window(channel, window, pixels);
        }
        let gradient = vec![0.0; links.len()];
        let scratch = WinogradScratch::new(Purpose::Training);
        Kernels { instructions, raster, weights, winograd, stencil, cell, tape, inputs, gradient, scratch }
    }

    /// How many windows each call computes.
    pub fn windows(&self) -> usize {
        self.raster.windows
    }

    /// Computes it once.
    pub fn run(&mut self, kernel: Kernel) {
        self.instructions.run(Run { kernel, kernels: self });
    }
}

struct Run<'a> {
    kernel: Kernel,
    kernels: &'a mut Kernels,
}

impl Work for Run<'_> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        let Kernels { raster, weights, winograd, stencil, cell, tape, inputs, gradient, scratch, .. } = self.kernels;
        let Cell::Gru(gru) = cell else { return };
        let inputs = &[inputs.all()];
        let outputs = &mut [Output { planes: tape.gates.channels_mut(0..CHANNELS), start: Start::Zero }];
        let slopes = tape.sums.channels(0..CHANNELS);
        match self.kernel {
            Kernel::Winograd => winograd.apply(s, raster, inputs, outputs, scratch),
            Kernel::Links => stencil.apply(s, raster, inputs, outputs, Finish::Nothing),
            Kernel::WinogradGradient => winograd.add_gradient(s, raster, weights, inputs, &[slopes], gradient, scratch),
            Kernel::LinksGradient => stencil.add_gradient(s, raster, inputs, &[slopes], gradient),
            Kernel::Norm => gru.gates_norm.moments(s, raster, slopes, &mut tape.moments[..CHANNELS]),
            Kernel::Gates => gru.open_gates(s, raster, 0, tape),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn winograd_and_links_compute_the_same() {
        for instructions in Instructions::available() {
            let mut kernels = Kernels::new(Side::Sixteen, instructions);
            let mut results = |kernel| {
                kernels.gradient.fill(0.0);
                kernels.run(kernel);
                match kernel {
                    Kernel::Winograd | Kernel::Links => kernels.tape.gates.channels(0..CHANNELS).to_vec(),
                    _ => kernels.gradient.clone(),
                }
            };
            for (fast, plain) in [(Kernel::Winograd, Kernel::Links), (Kernel::WinogradGradient, Kernel::LinksGradient)]
            {
                let (fast, plain) = (results(fast), results(plain));
                let scale = plain.iter().fold(0.0, |scale: f32, x| scale.max(x.abs()));
                assert!(scale > 1.0 && fast.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-4 * scale));
            }
        }
    }
}
