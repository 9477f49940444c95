//! What both kinds of cell share: the tape of a step, the gradients, and the convolutions of the gates.

use crate::cell_conv::{CHANNEL_BLOCK, CellConv, Init, Output, TAPS, Weights};
use crate::feature_maps::{FeatureMaps, PerLane, Raster, channel_sums, for_places};
use crate::gru::Gru;
use crate::lstm::Lstm;
use crate::network::Shape;
use crate::network::{CellParameters, NormedConv, STATE_CHANNELS};
use crate::norm::Moments;
use crate::simd::Simd;
use crate::winograd::WinogradScratch;

/// A recurrent cell of either kind.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Gru(Box<Gru>),
    Lstm(Box<Lstm>),
}

/// One step of a cell: input, output, and the intermediate values that backpropagation needs.
#[derive(Debug, Clone)]
pub(crate) struct CellTape {
    /// The input.
    pub x: FeatureMaps,
    /// The gates before normalisation. GRU: reset, update, candidate. LSTM: input, forget, cell, output.
    pub pre_activations: FeatureMaps,
    /// The gates after normalisation and activation.
    pub activations: FeatureMaps,
    /// LSTM: the cell state c, then tanh c. GRU: the reset hidden state r·h.
    pub cell_state: FeatureMaps,
    /// The next hidden state, after dropout.
    pub h: FeatureMaps,
    /// Of the pre-activations, channel by channel.
    pub moments: Vec<Moments>,
    /// The dropout factors of each channel and window; `None` without dropout.
    pub dropout: Option<[PerLane; STATE_CHANNELS]>,
}

/// A cell's state: hidden state h, and the LSTM's cell state.
#[derive(Clone, Copy)]
pub(crate) struct State<'a> {
    pub h: &'a [f32],
    pub cell_state: &'a [f32],
}

/// Gradients that are carried back through the steps of one stage, and buffers for those within a step.
#[derive(Debug, Clone)]
pub(crate) struct CellGradients {
    /// Of the hidden state; the backward pass of a step replaces it by that of the previous state.
    pub h: FeatureMaps,
    /// Of the LSTM's cell state, likewise.
    pub cell_state: FeatureMaps,
    /// Of the activations, then of the pre-activations.
    pub gates: FeatureMaps,
    /// Of the GRU's reset hidden state r·h.
    pub reset_h: FeatureMaps,
    /// Of the input.
    pub x: FeatureMaps,
}

impl CellTape {
    fn new(raster: Raster, inputs: usize, channels: usize) -> CellTape {
        let feature_maps = |channels| FeatureMaps::zeros(raster, channels);
        CellTape {
            x: feature_maps(inputs),
            pre_activations: feature_maps(channels),
            activations: feature_maps(channels),
            cell_state: feature_maps(2 * CHANNEL_BLOCK),
            h: feature_maps(STATE_CHANNELS),
            moments: vec![Moments::NONE; channels],
            dropout: None,
        }
    }

    /// The state for the next step.
    pub fn state(&self) -> State<'_> {
        State { h: self.h.all(), cell_state: self.cell_state.channels(0..CHANNEL_BLOCK) }
    }

    /// Multiplies the hidden state by the dropout factors.
    fn drop_out<S: Simd>(&mut self, s: S) {
        scale_channels(s, &mut self.h, &self.dropout);
    }
}

impl CellGradients {
    /// For the steps of a cell.
    pub fn new(raster: Raster, cell: &Cell) -> CellGradients {
        let feature_maps = |channels| FeatureMaps::zeros(raster, channels);
        CellGradients {
            h: feature_maps(STATE_CHANNELS),
            cell_state: feature_maps(CHANNEL_BLOCK),
            gates: feature_maps(cell.channels()),
            reset_h: feature_maps(CHANNEL_BLOCK),
            x: feature_maps(CHANNEL_BLOCK),
        }
    }

    /// Sets the gradients of the state to zero.
    pub fn clear(&mut self) {
        self.h.all_mut().fill(0.0);
        self.cell_state.all_mut().fill(0.0);
    }
}

impl Cell {
    /// A cell whose steps read these sources; a first step without a state reads the input alone.
    pub fn new(shape: Shape, parameters: &CellParameters, sources: Sources) -> Cell {
        match parameters {
            CellParameters::Gru { gates, candidate } => Cell::Gru(Box::new(Gru::new(shape, gates, candidate, sources))),
            CellParameters::Lstm { gates } => Cell::Lstm(Box::new(Lstm::new(shape, gates, sources))),
        }
    }

    /// Loads the weights from the flat parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        match self {
            Cell::Gru(gru) => gru.load(parameters),
            Cell::Lstm(lstm) => lstm.load(parameters),
        }
    }

    fn channels(&self) -> usize {
        match self {
            Cell::Gru(_) => 3 * CHANNEL_BLOCK,
            Cell::Lstm(_) => 4 * CHANNEL_BLOCK,
        }
    }

    /// Buffers of a step.
    pub fn tape(&self, raster: Raster, inputs: usize) -> CellTape {
        CellTape::new(raster, inputs, self.channels())
    }

    /// Computes the next state from `tape.x` and the previous state, if there is one.
    pub fn forward<S: Simd>(&self, s: S, before: Option<State>, tape: &mut CellTape, scratch: &mut WinogradScratch) {
        match self {
            Cell::Gru(gru) => gru.forward(s, before, tape, scratch),
            Cell::Lstm(lstm) => lstm.forward(s, before, tape, scratch),
        }
        tape.drop_out(s);
    }

    /// Backward pass of a step: adds the gradients of the parameters, writes that of the input to `gradients.x` and replaces that
    /// of the next state by that of the previous one.
    pub fn backward<S: Simd>(
        &self,
        s: S,
        before: Option<State>,
        tape: &CellTape,
        gradients: &mut CellGradients,
        gradient: &mut [f32],
        scratch: &mut WinogradScratch,
    ) {
        scale_channels(s, &mut gradients.h, &tape.dropout);
        match self {
            Cell::Gru(gru) => gru.backward(s, before, tape, gradients, gradient, scratch),
            Cell::Lstm(lstm) => lstm.backward(s, before, tape, gradients, gradient, scratch),
        }
    }
}

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

    /// From `grad_output` of all blocks: adds the gradients of weights and biases, and writes those of input and state.
    #[allow(clippy::too_many_arguments, reason = "two sources, their gradients, and scratch buffers")]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        x: &[f32],
        h: &[f32],
        grad_output: &[&[f32]],
        [to_input, to_state]: [Output; 2],
        gradient: &mut [f32],
        scratch: &mut WinogradScratch,
    ) {
        self.forward.add_gradient(s, raster, &self.sources(x, h), grad_output, gradient, scratch);
        let blocks = grad_output.iter().flat_map(|grad_output| grad_output.chunks_exact(CHANNEL_BLOCK * raster.size));
        for ([_, bias], block) in self.blocks.starts.iter().zip(blocks) {
            channel_sums(s, raster, block, |c, sum| gradient[bias + c] += sum);
        }
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

fn scale_channels<S: Simd>(s: S, feature_maps: &mut FeatureMaps, factors: &Option<[PerLane; STATE_CHANNELS]>) {
    let Some(factors) = factors else { return };
    let raster = feature_maps.raster;
    s.vectorize(
        #[inline(always)]
        || {
            for (feature_map, factor) in feature_maps.all_mut().chunks_exact_mut(raster.size).zip(factors) {
                let factor = s.load(factor);
                for_places::<S>(&raster, |at| {
                    let scaled = s.mul(at.load(s, feature_map), factor);
                    at.store(s, scaled, feature_map);
                });
            }
        },
    );
}
