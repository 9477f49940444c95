//! The convolutions from a cell's input and state to its gates.

use crate::cell_conv::CellConv;
use crate::feature_maps::{CHANNEL_BLOCK, Raster, channel_sums};
use crate::network::{NormedConv, Shape};
use crate::output::{Init, Output};
use crate::simd::Simd;
use crate::weights::{TAPS, Weights};
use crate::winograd::WinogradScratch;

/// Some channel blocks of a convolution's outputs, and where their weights and biases begin.
#[derive(Debug, Clone)]
pub(crate) struct ChannelBlocks {
    /// First weight of each block's first output, and first bias.
    starts: Vec<[usize; 2]>,
    /// Input channels of the convolution: input and state.
    channels: usize,
}

impl ChannelBlocks {
    /// Blocks of a convolution by their numbers, from 0.
    pub fn of(conv: &NormedConv, numbers: impl IntoIterator<Item = usize>) -> ChannelBlocks {
        let (weight, bias, channels) = (conv.conv.weight.start, conv.conv.bias.start, conv.conv.inputs);
        let start = |number: usize| [weight + number * CHANNEL_BLOCK * channels * TAPS, bias + number * CHANNEL_BLOCK];
        ChannelBlocks { starts: numbers.into_iter().map(start).collect(), channels }
    }

    /// Appends those of another convolution with as many input channels.
    pub fn and(mut self, other: ChannelBlocks) -> ChannelBlocks {
        self.starts.extend(other.starts);
        self
    }

    /// Collects the biases of all blocks.
    fn biases(&self, parameters: &[f32], biases: &mut Vec<f32>) {
        biases.clear();
        self.starts.iter().for_each(|[_, bias]| biases.extend(&parameters[*bias..*bias + CHANNEL_BLOCK]));
    }

    fn weight(&self, output: usize, input: usize, tap: usize) -> usize {
        self.starts[output / CHANNEL_BLOCK][0] + (output % CHANNEL_BLOCK * self.channels + input) * TAPS + tap
    }
}

/// What a convolution inside a cell reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sources {
    /// Input and state.
    Both,
    /// The input, in a first step without a state.
    Input,
    /// The state, in the decoder's top cell, whose input is zero.
    State,
}

/// A convolution from its sources to some channel blocks, and its transpose.
#[derive(Debug, Clone)]
pub(crate) struct GateConvs {
    sources: Sources,
    blocks: ChannelBlocks,
    forward: CellConv,
    backward: CellConv,
    biases: Vec<f32>,
}

impl GateConvs {
    pub fn new(shape: Shape, blocks: ChannelBlocks, sources: Sources) -> GateConvs {
        let inputs = blocks.channels - CHANNEL_BLOCK;
        let (first, count) = match sources {
            Sources::Both => (0, blocks.channels),
            Sources::Input => (0, inputs),
            Sources::State => (inputs, CHANNEL_BLOCK),
        };
        let outputs = blocks.starts.len();
        let weight = |output: usize, input: usize, tap: usize| Some(blocks.weight(output, first + input, tap));
        let weights = Weights::new(count, outputs, weight);
        // In the transpose, input and state are a block each; an input of fewer channels is filled up with channels without weights.
        let source = |channel: usize| match sources {
            Sources::Both if channel >= CHANNEL_BLOCK => Some(inputs + channel - CHANNEL_BLOCK),
            Sources::State => Some(inputs + channel),
            _ => (channel < inputs).then_some(channel),
        };
        let transposed = |output: usize, input: usize, tap: usize| {
            source(output).map(|channel| blocks.weight(input, channel, TAPS - 1 - tap))
        };
        let blocks_backward = if sources == Sources::Both { 2 } else { 1 };
        GateConvs {
            sources,
            forward: CellConv::new(shape, weights),
            backward: CellConv::new(shape, Weights::new(outputs * CHANNEL_BLOCK, blocks_backward, transposed)),
            biases: Vec::new(),
            blocks,
        }
    }

    /// Loads the weights from the flat parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        self.forward.load(parameters);
        self.backward.load(parameters);
        self.blocks.biases(parameters, &mut self.biases);
    }

    /// Computes all blocks into `pre_activations`, one after the other.
    pub fn forward<S: Simd, const N: usize>(
        &self,
        s: S,
        raster: &Raster,
        x: &[f32],
        h: &[f32],
        pre_activations: [&mut [f32]; N],
        scratch: &mut WinogradScratch,
    ) {
        let mut first = 0;
        let mut outputs = pre_activations.map(|feature_maps| {
            let channels = feature_maps.len() / raster.size;
            let init = Init::Bias(&self.biases[first..first + channels]);
            first += channels;
            Output { feature_maps, init }
        });
        self.forward.apply(s, raster, &self.sources(x, h), &mut outputs, scratch);
    }

    /// From `grad_output` of all blocks: adds the gradients of weights and biases, and computes those of the sources, `to` of input and state.
    #[allow(clippy::too_many_arguments, reason = "two sources, their gradients, and scratch buffers")]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        x: &[f32],
        h: &[f32],
        grad_output: &[&[f32]],
        to: [&mut [f32]; 2],
        init: Init,
        gradient: &mut [f32],
        scratch: &mut WinogradScratch,
    ) {
        self.forward.add_gradient(s, raster, &self.sources(x, h), grad_output, gradient, scratch);
        let blocks = grad_output.iter().flat_map(|grad_output| grad_output.chunks_exact(CHANNEL_BLOCK * raster.size));
        for ([_, bias], block) in self.blocks.starts.iter().zip(blocks) {
            channel_sums(s, raster, block, |c, sum| gradient[bias + c] += sum);
        }
        let [to_input, to_state] = to.map(|feature_maps| Output { feature_maps, init });
        match self.sources {
            Sources::Both => self.backward.apply(s, raster, grad_output, &mut [to_input, to_state], scratch),
            Sources::Input => self.backward.apply(s, raster, grad_output, &mut [to_input], scratch),
            Sources::State => self.backward.apply(s, raster, grad_output, &mut [to_state], scratch),
        }
    }

    /// The sources that are read; empty slices for the others.
    fn sources<'a>(&self, x: &'a [f32], h: &'a [f32]) -> [&'a [f32]; 2] {
        match self.sources {
            Sources::Both => [x, h],
            Sources::Input => [x, &[]],
            Sources::State => [&[], h],
        }
    }
}
