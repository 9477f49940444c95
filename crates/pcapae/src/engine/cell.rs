//! What both kinds of cell have in common: their tape, their inputs, and the walk over pixels.

use super::cell_conv::{CellConv, Output, QUAD, Start, TAPS, Weights};
use super::gru::Gru;
use super::lstm::Lstm;
use super::norm::Moments;
use super::planes::{PerLane, Planes, Raster, channel_sums, for_places};
use super::simd::Simd;
use super::winograd::WinogradScratch;
use crate::fragment::Shape;
use crate::model::{CellParameters, NormedConv, STATE_CHANNELS};

/// A recurrent cell of either kind.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Gru(Box<Gru>),
    Lstm(Box<Lstm>),
}

/// One step of a cell: what came in, what went out, and what the way back needs.
#[derive(Debug, Clone)]
pub(crate) struct CellTape {
    /// The input.
    pub x: Planes,
    /// The gates before their normalisation. GRU: reset, update, candidate. LSTM: input, forget, cell, output.
    pub sums: Planes,
    /// The same after normalisation and activation.
    pub gates: Planes,
    /// GRU: r·h, what the reset gate keeps. LSTM: the memory c, then tanh c.
    pub memory: Planes,
    /// The next hidden state, after dropout.
    pub h: Planes,
    /// Of the sums, channel by channel.
    pub moments: Vec<Moments>,
    /// What dropout multiplies the channels of each window by; nothing where there is no dropout.
    pub dropout: Option<[PerLane; STATE_CHANNELS]>,
}

/// A cell's state: h, and the LSTM's memory.
#[derive(Clone, Copy)]
pub(crate) struct State<'a> {
    pub h: &'a [f32],
    pub memory: &'a [f32],
}

/// Gradients on their way back through the steps of one stage, and room for those within a step.
#[derive(Debug, Clone)]
pub(crate) struct CellGradients {
    /// Of the state h; on the way back through a step it becomes that of the state before.
    pub h: Planes,
    /// Of the LSTM's memory, likewise.
    pub memory: Planes,
    /// Of the gates, and then of the sums.
    pub gates: Planes,
    /// Of what the reset gate keeps.
    pub kept: Planes,
    /// Of the input.
    pub x: Planes,
}

impl CellTape {
    fn new(raster: Raster, inputs: usize, channels: usize) -> CellTape {
        let planes = |channels| Planes::zeros(raster, channels);
        CellTape {
            x: planes(inputs),
            sums: planes(channels),
            gates: planes(channels),
            memory: planes(2 * QUAD),
            h: planes(STATE_CHANNELS),
            moments: vec![Moments::NONE; channels],
            dropout: None,
        }
    }

    /// The state that the next step begins with.
    pub fn state(&self) -> State<'_> {
        State { h: self.h.all(), memory: self.memory.channels(0..QUAD) }
    }

    /// Multiplies the hidden state by the dropout's factors.
    fn drop_out<S: Simd>(&mut self, s: S) {
        scale_channels(s, &mut self.h, &self.dropout);
    }
}

impl CellGradients {
    /// For the steps of a cell.
    pub fn new(raster: Raster, cell: &Cell) -> CellGradients {
        let planes = |channels| Planes::zeros(raster, channels);
        CellGradients {
            h: planes(STATE_CHANNELS),
            memory: planes(QUAD),
            gates: planes(cell.channels()),
            kept: planes(QUAD),
            x: planes(QUAD),
        }
    }

    /// Nothing has come back yet.
    pub fn clear(&mut self) {
        self.h.all_mut().fill(0.0);
        self.memory.all_mut().fill(0.0);
    }
}

impl Cell {
    /// A cell whose steps see these sources, but for a first step without a state, which sees the input alone.
    pub fn new(shape: Shape, parameters: &CellParameters, sources: Sources) -> Cell {
        match parameters {
            CellParameters::Gru { gates, candidate } => Cell::Gru(Box::new(Gru::new(shape, gates, candidate, sources))),
            CellParameters::Lstm { gates } => Cell::Lstm(Box::new(Lstm::new(shape, gates, sources))),
        }
    }

    /// Takes its weights out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        match self {
            Cell::Gru(gru) => gru.load(parameters),
            Cell::Lstm(lstm) => lstm.load(parameters),
        }
    }

    fn channels(&self) -> usize {
        match self {
            Cell::Gru(_) => 3 * QUAD,
            Cell::Lstm(_) => 4 * QUAD,
        }
    }

    /// Room for a step.
    pub fn tape(&self, raster: Raster, inputs: usize) -> CellTape {
        CellTape::new(raster, inputs, self.channels())
    }

    /// Computes the next state from `tape.x` and the state before, if there is one.
    pub fn forward<S: Simd>(&self, s: S, before: Option<State>, tape: &mut CellTape, scratch: &mut WinogradScratch) {
        match self {
            Cell::Gru(gru) => gru.forward(s, before, tape, scratch),
            Cell::Lstm(lstm) => lstm.forward(s, before, tape, scratch),
        }
        tape.drop_out(s);
    }

    /// One step back: adds the parameters' gradients, leaves that of the input in `gradients.x` and turns that of the next state
    /// into that of the state before.
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

/// Some quads of a convolution's outputs: where the weights and biases of each begin, and how far outputs are apart.
#[derive(Debug, Clone)]
pub(crate) struct Quads {
    /// First weight of each quad's first output, and first bias.
    starts: Vec<[usize; 2]>,
    /// Channels that the convolution takes in all: input and state.
    channels: usize,
}

impl Quads {
    /// Quad `number` of a convolution, counted from 0.
    pub fn of(conv: &NormedConv, numbers: impl IntoIterator<Item = usize>) -> Quads {
        let (weight, bias, channels) = (conv.conv.weight.start, conv.conv.bias.start, conv.conv.inputs);
        let start = |number: usize| [weight + number * QUAD * channels * TAPS, bias + number * QUAD];
        Quads { starts: numbers.into_iter().map(start).collect(), channels }
    }

    /// These, and then those of another convolution of as many channels.
    pub fn and(mut self, other: Quads) -> Quads {
        self.starts.extend(other.starts);
        self
    }

    /// Collects the biases of all quads.
    fn biases(&self, parameters: &[f32], biases: &mut Vec<f32>) {
        biases.clear();
        self.starts.iter().for_each(|[_, bias]| biases.extend(&parameters[*bias..*bias + QUAD]));
    }

    fn weight(&self, output: usize, input: usize, tap: usize) -> usize {
        self.starts[output / QUAD][0] + (output % QUAD * self.channels + input) * TAPS + tap
    }
}

/// What a convolution inside a cell looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sources {
    /// Input and state.
    Both,
    /// The input, in a first step without a state.
    Input,
    /// The state, in the decoder's topmost cell, whose input is all zeros.
    State,
}

/// A convolution from its sources to some quads, and the two that bring gradients back.
#[derive(Debug, Clone)]
pub(crate) struct Convs {
    sources: Sources,
    quads: Quads,
    forward: CellConv,
    back: CellConv,
    biases: Vec<f32>,
}

impl Convs {
    pub fn new(shape: Shape, quads: Quads, sources: Sources) -> Convs {
        let inputs = quads.channels - QUAD;
        let (first, count) = match sources {
            Sources::Both => (0, quads.channels),
            Sources::Input => (0, inputs),
            Sources::State => (inputs, QUAD),
        };
        let outputs = quads.starts.len();
        let weight = |output: usize, input: usize, tap: usize| Some(quads.weight(output, first + input, tap));
        let weights = Weights::new(count, outputs, weight);
        // On the way back, input and state are a quad each; where the input has fewer channels, the rest comes to nothing.
        let source = |channel: usize| match sources {
            Sources::Both if channel >= QUAD => Some(inputs + channel - QUAD),
            Sources::State => Some(inputs + channel),
            _ => (channel < inputs).then_some(channel),
        };
        let turned = |output: usize, input: usize, tap: usize| {
            source(output).map(|channel| quads.weight(input, channel, TAPS - 1 - tap))
        };
        let quads_back = if sources == Sources::Both { 2 } else { 1 };
        Convs {
            sources,
            forward: CellConv::new(shape, weights),
            back: CellConv::new(shape, Weights::new(outputs * QUAD, quads_back, turned)),
            biases: Vec::new(),
            quads,
        }
    }

    /// Takes its weights out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        self.forward.load(parameters);
        self.back.load(parameters);
        self.quads.biases(parameters, &mut self.biases);
    }

    /// Computes all quads, which lie one after the other in the pieces of `sums`.
    pub fn forward<S: Simd, const N: usize>(
        &self,
        s: S,
        raster: &Raster,
        x: &[f32],
        h: &[f32],
        sums: [&mut [f32]; N],
        scratch: &mut WinogradScratch,
    ) {
        let mut first = 0;
        let mut outputs = sums.map(|planes| {
            let channels = planes.len() / raster.size;
            let start = Start::Values(&self.biases[first..first + channels]);
            first += channels;
            Output { planes, start }
        });
        self.forward.apply(s, raster, &self.seen(x, h), &mut outputs, scratch);
    }

    /// From the gradient of all quads, in pieces like the sums: adds that of the weights and biases, and hands those of input and state on.
    #[allow(clippy::too_many_arguments, reason = "two sources, their gradients, and the room to work in")]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        x: &[f32],
        h: &[f32],
        slopes: &[&[f32]],
        [to_input, to_state]: [Output; 2],
        gradient: &mut [f32],
        scratch: &mut WinogradScratch,
    ) {
        self.forward.add_gradient(s, raster, &self.seen(x, h), slopes, gradient, scratch);
        let quads = slopes.iter().flat_map(|slopes| slopes.chunks_exact(QUAD * raster.size));
        for ([_, bias], quad) in self.quads.starts.iter().zip(quads) {
            channel_sums(s, raster, quad, |c, sum| gradient[bias + c] += sum);
        }
        match self.sources {
            Sources::Both => self.back.apply(s, raster, slopes, &mut [to_input, to_state], scratch),
            Sources::Input => self.back.apply(s, raster, slopes, &mut [to_input], scratch),
            Sources::State => self.back.apply(s, raster, slopes, &mut [to_state], scratch),
        }
    }

    /// The sources that are looked at; nothing in the place of the others.
    fn seen<'a>(&self, x: &'a [f32], h: &'a [f32]) -> [&'a [f32]; 2] {
        match self.sources {
            Sources::Both => [x, h],
            Sources::Input => [x, &[]],
            Sources::State => [&[], h],
        }
    }
}

fn scale_channels<S: Simd>(s: S, planes: &mut Planes, factors: &Option<[PerLane; STATE_CHANNELS]>) {
    let Some(factors) = factors else { return };
    let raster = planes.raster;
    s.vectorize(
        #[inline(always)]
        || {
            for (plane, factor) in planes.all_mut().chunks_exact_mut(raster.size).zip(factors) {
                let factor = s.load(factor);
                for_places::<S>(&raster, |at| {
                    let scaled = s.mul(at.load(s, plane), factor);
                    at.store(s, scaled, plane);
                });
            }
        },
    );
}
