//! Single kernels over one block of windows, for the benchmarks.

use std::fmt;

use crate::cell::Cell;
use crate::direct_conv::{DirectConv, Epilogue, Tap};
use crate::feature_maps::{CHANNEL_BLOCK, FeatureMaps, Raster};
use crate::gate_convs::Sources;
use crate::network::Shape;
use crate::network::{ModelConfig, Network, Side};
use crate::output::{Init, Output};
use crate::purpose::Purpose;
use crate::simd::Kernel;
use crate::simd::Simd;
use crate::tape::CellTape;
use crate::weights::{TAPS, Weights};
use crate::winograd::{Winograd, WinogradScratch};
use crate::{Engine, Instructions};

/// Input and output channels: those of a GRU's gates, from input and state to reset and update.
const CHANNELS: usize = 2 * CHANNEL_BLOCK;

/// A kernel to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A 5 × 5 convolution from eight channels to eight, by Winograd's method.
    Winograd,
    /// The same as a direct convolution.
    Direct,
    /// The gradient of its weights, by Winograd's method.
    WinogradGradient,
    /// The same as a direct convolution.
    DirectGradient,
    /// Mean and variance of eight channels.
    Norm,
    /// Those channels normalised and sent through σ.
    Gates,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 6] = [
        Operation::Winograd,
        Operation::Direct,
        Operation::WinogradGradient,
        Operation::DirectGradient,
        Operation::Norm,
        Operation::Gates,
    ];
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Buffers of all operations, for as many windows as the engine computes at once.
#[derive(Debug)]
pub struct KernelBenchmark {
    instructions: Instructions,
    raster: Raster,
    weights: Weights,
    winograd: Winograd,
    direct: DirectConv,
    cell: Cell,
    tape: CellTape,
    inputs: FeatureMaps,
    gradient: Vec<f32>,
    scratch: WinogradScratch,
}

impl KernelBenchmark {
    /// For feature maps of this side.
    pub fn new(side: Side, instructions: Instructions) -> KernelBenchmark {
        let config = ModelConfig::new(side);
        let model = Network::new(config, 1);
        let windows = Engine::with_instructions(&model, instructions).block(usize::MAX / 2);
        let raster = Raster::new(config.shape, config.grid(1), windows);
        let place = |output: usize, input: usize, tap: usize| (output * CHANNELS + input) * TAPS + tap;
        let weights = Weights::new(CHANNELS, 2, |output, input, tap| Some(place(output, input, tap)));
        let mut taps = Vec::new();
        for (output, input, tap) in
            (0..CHANNELS * CHANNELS * TAPS).map(|i| (i / TAPS / CHANNELS, i / TAPS % CHANNELS, i % TAPS))
        {
            let [dy, dx] = [tap / 5, tap % 5].map(|step| step as isize - 2);
            taps.push(Tap { output, input, dy, dx, parameter: place(output, input, tap) });
        }
        let mut winograd = Winograd::new(&weights);
        let mut direct = DirectConv::new(&taps, CHANNELS);
        let parameters: Vec<f32> = (0..taps.len()).map(|i| (i as f32).sin()).collect();
        winograd.load(&weights, &parameters);
        direct.load(&parameters);
        let mut cell = Cell::new(Shape::Square, &model.architecture().encoder[1], Sources::Both);
        cell.load(model.parameters().values());
        let mut tape = cell.tape(raster, CHANNEL_BLOCK);
        let mut inputs = FeatureMaps::zeros(raster, CHANNELS);
        for (channel, window) in (0..CHANNELS).flat_map(|channel| (0..windows).map(move |window| (channel, window))) {
            let pixels = (0..raster.grid.pixels()).map(|i| ((i + channel) as f32 * (window as f32 + 0.5)).sin());
            tape.pre_activations.set_window(channel, window, pixels.clone());
            inputs.set_window(channel, window, pixels);
        }
        let gradient = vec![0.0; taps.len()];
        let scratch = WinogradScratch::new(Purpose::Training);
        KernelBenchmark { instructions, raster, weights, winograd, direct, cell, tape, inputs, gradient, scratch }
    }

    /// Windows in each call.
    pub fn windows(&self) -> usize {
        self.raster.windows
    }

    /// Runs an operation once.
    pub fn run(&mut self, operation: Operation) {
        self.instructions.run(Run { operation, benchmark: self });
    }
}

struct Run<'a> {
    operation: Operation,
    benchmark: &'a mut KernelBenchmark,
}

impl Kernel for Run<'_> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        let KernelBenchmark { raster, weights, winograd, direct, cell, tape, inputs, gradient, scratch, .. } =
            self.benchmark;
        let Cell::Gru(gru) = cell else { return };
        let inputs = &[inputs.all()];
        let outputs = &mut [Output { feature_maps: tape.activations.channels_mut(0..CHANNELS), init: Init::Zero }];
        let grad_output = tape.pre_activations.channels(0..CHANNELS);
        match self.operation {
            Operation::Winograd => winograd.apply(s, raster, inputs, outputs, scratch),
            Operation::Direct => direct.apply(s, raster, inputs, outputs, Epilogue::Identity),
            Operation::WinogradGradient => {
                winograd.add_gradient(s, raster, weights, inputs, &[grad_output], gradient, scratch)
            }
            Operation::DirectGradient => direct.add_gradient(s, raster, inputs, &[grad_output], gradient),
            Operation::Norm => gru.gates_norm.moments(s, raster, grad_output, &mut tape.moments[..CHANNELS]),
            Operation::Gates => gru.activate_gates(s, raster, 0, tape),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn winograd_and_direct_convolution_agree() {
        for instructions in Instructions::available() {
            let mut benchmark = KernelBenchmark::new(Side::Sixteen, instructions);
            let mut results = |operation| {
                benchmark.gradient.fill(0.0);
                benchmark.run(operation);
                match operation {
                    Operation::Winograd | Operation::Direct => {
                        benchmark.tape.activations.channels(0..CHANNELS).to_vec()
                    }
                    _ => benchmark.gradient.clone(),
                }
            };
            for (fast, plain) in
                [(Operation::Winograd, Operation::Direct), (Operation::WinogradGradient, Operation::DirectGradient)]
            {
                let (fast, plain) = (results(fast), results(plain));
                let scale = plain.iter().fold(0.0, |scale: f32, x| scale.max(x.abs()));
                assert!(scale > 1.0 && fast.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-4 * scale));
            }
        }
    }
}
