//! The network written down as a graph, in the terms of the papers.

use super::graph::{FeatureMap, Graph, Node, Op};
use crate::network::{
    Architecture, CellParameters, ConvGeometry, ConvParameters, Grid, Head, ModelConfig, Network, NormedConv,
    STATE_CHANNELS, stride,
};

/// The recorded computation of one window.
#[derive(Debug, Clone)]
pub struct Recording<'p> {
    /// Every step.
    pub graph: Graph<'p>,
    /// The frames that the encoder took.
    pub frames: Vec<Node>,
    /// The code: the last state of the encoder's last stage.
    pub code: Node,
    /// The frames that the decoder outputs; with a categorical head 256 logits a pixel, one a channel.
    pub outputs: Vec<Node>,
}

/// The state of a cell: hidden state h, and the LSTM's cell state c.
#[derive(Debug, Clone, Copy)]
struct State {
    h: Node,
    c: Option<Node>,
}

/// The dropout factor of each channel of a hidden state (Tompson et al. 2015): 0 or 1 / (1 − rate); `None` for no dropout.
///
/// The arguments are the cell (encoder stages from 0, then decoder stages from 0) and the step.
pub(crate) type DropoutFactors<'a> = &'a dyn Fn(usize, usize) -> Option<[f64; STATE_CHANNELS]>;

impl Network {
    /// Records the computation of one window of frames × side² values, frame after frame, each row-major.
    pub fn record(&self, window: &[f64]) -> Recording<'_> {
        self.record_with_dropout(window, &|_, _| None)
    }

    pub(crate) fn record_with_dropout(&self, window: &[f64], dropout: DropoutFactors) -> Recording<'_> {
        let (config, architecture) = (self.config(), self.architecture());
        let grid = config.grid(1);
        let mut recorder = Recorder { config, graph: Graph::new(self.parameters().values()), dropout };
        let frame = |values: &[f64]| FeatureMap { channels: 1, grid, values: values.to_vec() };
        let frames: Vec<Node> =
            window.chunks(grid.pixels()).map(|values| recorder.graph.input(frame(values))).collect();
        let states = recorder.encode(architecture, &frames);
        let code = states[states.len() - 1].h;
        let outputs = recorder.decode(architecture, states);
        Recording { graph: recorder.graph, frames, code, outputs }
    }
}

struct Recorder<'a, 'p> {
    config: &'a ModelConfig,
    graph: Graph<'p>,
    dropout: DropoutFactors<'a>,
}

impl Recorder<'_, '_> {
    /// Stage by stage, every frame through convolution and cell; returns the last state of each stage.
    fn encode(&mut self, architecture: &Architecture, frames: &[Node]) -> Vec<State> {
        let mut inputs = frames.to_vec();
        let mut states = Vec::new();
        for (s, (conv, cell)) in architecture.down.iter().zip(&architecture.encoder).enumerate() {
            let step = if s == 0 { Grid::ONE } else { stride(self.config.shape) };
            let inputs_of_cell: Vec<Option<Node>> =
                inputs.iter().map(|x| Some(self.leaky_conv(*x, conv, step))).collect();
            let start = self.zero_state(s);
            let (outputs, last) = self.run(s, cell, &inputs_of_cell, start);
            inputs = outputs;
            states.push(last);
        }
        states
    }

    /// From the last stage to the first: cell, then transposed convolution; the top cell's input is zero.
    fn decode(&mut self, architecture: &Architecture, states: Vec<State>) -> Vec<Node> {
        let stages = states.len();
        let mut inputs = vec![None; self.config.emitted_frames()];
        for s in (0..stages).rev() {
            let (outputs, _) = self.run(stages + s, &architecture.decoder[s], &inputs, states[s]);
            inputs = outputs
                .iter()
                .map(|h| match s.checked_sub(1) {
                    Some(below) => Some(self.leaky_transposed_conv(*h, &architecture.up[below])),
                    None => {
                        let narrow = self.leaky_conv(*h, &architecture.narrow, Grid::ONE);
                        let one = Grid::ONE;
                        Some(match self.config.head {
                            Head::Linear | Head::Sigmoid => self.leaky_conv(narrow, &architecture.pointwise, one),
                            Head::Categorical => self.conv(narrow, &architecture.pointwise, one),
                        })
                    }
                })
                .collect();
        }
        let outputs: Vec<Node> = inputs.into_iter().flatten().collect();
        match self.config.head {
            Head::Linear | Head::Categorical => outputs,
            Head::Sigmoid => outputs.into_iter().map(|x| self.graph.push(Op::Sigmoid { x })).collect(),
        }
    }

    /// A cell over all steps; returns its hidden states and the last state.
    fn run(
        &mut self,
        number: usize,
        cell: &CellParameters,
        inputs: &[Option<Node>],
        start: State,
    ) -> (Vec<Node>, State) {
        let mut state = start;
        let mut outputs = Vec::new();
        for (t, x) in inputs.iter().enumerate() {
            let x = x.unwrap_or_else(|| {
                let grid = self.graph.value(state.h).grid;
                self.graph.input(FeatureMap::zeros(cell.inputs(), grid))
            });
            state = match cell {
                CellParameters::Gru { gates, candidate } => self.gru(gates, candidate, x, state),
                CellParameters::Lstm { gates } => self.lstm(gates, x, state),
            };
            if let Some(factors) = (self.dropout)(number, t) {
                state.h = self.graph.push(Op::Scale { x: state.h, factors: factors.to_vec() });
            }
            outputs.push(state.h);
        }
        (outputs, state)
    }

    /// One step of the convolutional gated recurrent unit (Ballas et al., *Delving Deeper into Convolutional Networks for
    /// Learning Video Representations*, 2016), in the original's form:
    ///
    /// ```text
    /// r  = σ(norm(Wr ∗ [x, h] + br))           reset
    /// u  = σ(norm(Wu ∗ [x, h] + bu))           update
    /// c  = tanh(norm(Wc ∗ [x, r·h] + bc))      candidate
    /// h' = (1 − u)·h + u·c
    /// ```
    ///
    /// The reset gate acts before the candidate's convolution, and u weights the candidate; PyTorch's dense GRU does both the
    /// other way round.
    fn gru(&mut self, gates: &NormedConv, candidate: &NormedConv, x: Node, State { h, .. }: State) -> State {
        let both = self.normed_conv(x, h, gates);
        let [r, u] = [0, 1].map(|gate| self.gate(both, gate)).map(|x| self.graph.push(Op::Sigmoid { x }));
        let kept = self.graph.push(Op::Product { a: r, b: h });
        let candidate = self.normed_conv(x, kept, candidate);
        let c = self.graph.push(Op::Tanh { x: candidate });
        let rest = self.graph.push(Op::Complement { x: u });
        let old = self.graph.push(Op::Product { a: rest, b: h });
        let new = self.graph.push(Op::Product { a: u, b: c });
        State { h: self.graph.push(Op::Sum { a: old, b: new }), c: None }
    }

    /// One step of the convolutional long short-term memory (Shi et al., *Convolutional LSTM Recorder*, 2015), without
    /// peepholes, as in the original:
    ///
    /// ```text
    /// i, f, g, o = σ, σ, tanh, σ of the four parts of norm(W ∗ [x, h] + b)
    /// c' = f·c + i·g
    /// h' = o·tanh(c')
    /// ```
    fn lstm(&mut self, gates: &NormedConv, x: Node, State { h, c }: State) -> State {
        let all = self.normed_conv(x, h, gates);
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| self.gate(all, gate));
        let [i, f, o] = [i, f, o].map(|x| self.graph.push(Op::Sigmoid { x }));
        let g = self.graph.push(Op::Tanh { x: g });
        let new = self.graph.push(Op::Product { a: i, b: g });
        let c = match c {
            Some(c) => {
                let old = self.graph.push(Op::Product { a: f, b: c });
                self.graph.push(Op::Sum { a: old, b: new })
            }
            None => new,
        };
        let open = self.graph.push(Op::Tanh { x: c });
        State { h: self.graph.push(Op::Product { a: o, b: open }), c: Some(c) }
    }

    fn gate(&mut self, x: Node, gate: usize) -> Node {
        self.graph.push(Op::Channels { x, channels: gate * STATE_CHANNELS..(gate + 1) * STATE_CHANNELS })
    }

    fn normed_conv(&mut self, x: Node, h: Node, NormedConv { conv, norm }: &NormedConv) -> Node {
        let joined = self.graph.push(Op::Concat { a: x, b: h });
        let x = self.conv(joined, conv, Grid::ONE);
        match norm {
            Some(norm) => self.graph.push(Op::GroupNorm {
                x,
                group: norm.group,
                gamma: norm.gamma.clone(),
                beta: norm.beta.clone(),
            }),
            None => x,
        }
    }

    fn leaky_conv(&mut self, x: Node, conv: &ConvParameters, stride: Grid) -> Node {
        let x = self.conv(x, conv, stride);
        self.graph.push(Op::Leaky { x })
    }

    fn conv(&mut self, x: Node, conv: &ConvParameters, stride: Grid) -> Node {
        let geometry = ConvGeometry::conv(conv, stride);
        self.graph.push(Op::Conv { x, geometry, weight: conv.weight.clone(), bias: conv.bias.clone() })
    }

    fn leaky_transposed_conv(&mut self, x: Node, conv: &ConvParameters) -> Node {
        let geometry = ConvGeometry::transposed(conv, self.config.shape);
        let (weight, bias) = (conv.weight.clone(), conv.bias.clone());
        let x = self.graph.push(Op::TransposedConv { x, geometry, weight, bias });
        self.graph.push(Op::Leaky { x })
    }

    fn zero_state(&mut self, stage: usize) -> State {
        let zeros = FeatureMap::zeros(STATE_CHANNELS, self.config.grid(stage + 1));
        State { h: self.graph.input(zeros), c: None }
    }
}
