//! The engine: a recorded window walked backwards, with relevance instead of gradients.

use std::collections::BTreeMap;
use std::ops::Range;

use super::composite::{Composite, LayerKind, NormRule, ProductRule};
use super::linear::{Kind, Linear, Shared};
use super::rule::Rule;
use crate::engine::reference::{FeatureMap, Graph, Node, Op, group_moments};
use crate::engine::{Architecture, CellParameters, ConvGeometry, Grid};

/// The kinds of an architecture's layers.
pub(super) struct LayerKinds<'a>(pub &'a Architecture);

impl LayerKinds<'_> {
    /// The kind of the convolution with this weight.
    fn of(&self, weight: &Range<usize>) -> LayerKind {
        let architecture = self.0;
        let of_cell = |cell: &CellParameters| match cell {
            CellParameters::Gru { gates, candidate } => {
                gates.conv.weight == *weight || candidate.conv.weight == *weight
            }
            CellParameters::Lstm { gates } => gates.conv.weight == *weight,
        };
        if architecture.down.first().is_some_and(|conv| conv.weight == *weight) {
            LayerKind::Pixels
        } else if architecture.pointwise.weight == *weight {
            LayerKind::Output
        } else if architecture.encoder.iter().chain(&architecture.decoder).any(of_cell) {
            LayerKind::Cell
        } else {
            LayerKind::Convolution
        }
    }
}

/// Relevance on its way from the outputs to the inputs.
pub(super) struct Backward<'a> {
    graph: &'a Graph<'a>,
    kinds: LayerKinds<'a>,
    composite: &'a Composite,
    relevance: Vec<Option<FeatureMap>>,
    accounts: Accounts,
}

/// Relevance that no input has got.
#[derive(Debug, Clone, Default)]
pub(super) struct Accounts {
    /// Of the biases and shifts of each convolution, by where its weight begins.
    pub biases: BTreeMap<usize, f64>,
    /// Of constants: states and inputs that are zero by definition, the 1 in 1 − u.
    pub constants: f64,
    /// By stabilisers, and where nothing contributed in the way that a rule asks for.
    pub absorbed: f64,
}

impl<'a> Backward<'a> {
    /// At the beginning, when nothing is relevant yet.
    pub fn new(graph: &'a Graph<'a>, architecture: &'a Architecture, composite: &'a Composite) -> Backward<'a> {
        let relevance = vec![None; graph.len()];
        Backward { graph, kinds: LayerKinds(architecture), composite, relevance, accounts: Accounts::default() }
    }

    /// Adds to the relevance of a step's value.
    pub fn add(&mut self, node: Node, part: FeatureMap) {
        match &mut self.relevance[node.0] {
            Some(sum) => sum.values.iter_mut().zip(&part.values).for_each(|(sum, part)| *sum += part),
            empty => *empty = Some(part),
        }
    }

    /// Adds what a caller's own layer gave to its bias and absorbed.
    pub fn account(&mut self, weight: &Range<usize>, shared: &Shared) {
        *self.accounts.biases.entry(weight.start).or_default() += shared.bias;
        self.accounts.absorbed += shared.absorbed;
    }

    /// Walks from the last step to the first; gives the relevance of `frames`, and what went elsewhere.
    pub fn walk(mut self, frames: &[Node]) -> (Vec<FeatureMap>, Accounts) {
        for node in (0..self.graph.len()).rev().map(Node) {
            if let Some(relevance) = self.relevance[node.0].take() {
                if frames.contains(&node) {
                    self.relevance[node.0] = Some(relevance);
                } else {
                    self.step_back(node, relevance);
                }
            }
        }
        let of_frame = |frame: &Node| {
            let zeros = || FeatureMap {
                values: vec![0.0; self.graph.value(*frame).values.len()],
                ..self.graph.value(*frame).clone()
            };
            self.relevance[frame.0].clone().unwrap_or_else(zeros)
        };
        (frames.iter().map(of_frame).collect(), self.accounts)
    }

    fn step_back(&mut self, node: Node, relevance: FeatureMap) {
        match self.graph.op(node).clone() {
            // A state or an input that is zero by definition.
            Op::Input => self.accounts.constants += relevance.values.iter().sum::<f64>(),
            // Each output has one input: Pass.
            Op::Leaky { x } | Op::Sigmoid { x } | Op::Tanh { x } | Op::Scale { x, .. } => self.add(x, relevance),
            Op::Complement { x } => self.complement(node, x, &relevance),
            Op::Product { a, b } => self.product(a, b, relevance),
            Op::Sum { a, b } => self.sum(a, b, &relevance),
            Op::Concat { a, b } => self.split(a, b, &relevance),
            Op::Channels { x, channels } => {
                let mut whole = FeatureMap::zeros(self.graph.value(x).channels, relevance.grid);
                let first = channels.start * relevance.grid.pixels();
                whole.values[first..first + relevance.values.len()].copy_from_slice(&relevance.values);
                self.add(x, whole);
            }
            Op::GroupNorm { x, group, gamma, beta } => match (self.composite.norm, self.graph.op(x).clone()) {
                (NormRule::Merge, Op::Conv { x: input, geometry, weight, bias }) => {
                    let layer = Linear {
                        kind: Kind::Conv(geometry),
                        weight: self.graph.parameters(&weight),
                        bias: self.graph.parameters(&bias),
                    };
                    let norm = Norm { group, gamma: self.graph.parameters(&gamma), beta: self.graph.parameters(&beta) };
                    let layer = merged(layer, &norm, self.graph.value(x));
                    self.layer(&layer, input, &weight, &relevance);
                }
                _ => self.add(x, relevance),
            },
            Op::Conv { x, geometry, weight, bias } => {
                let layer = self.own_layer(Kind::Conv(geometry), &weight, &bias);
                self.layer(&layer, x, &weight, &relevance);
            }
            Op::TransposedConv { x, geometry, weight, bias } => {
                let layer = self.own_layer(Kind::TransposedConv(geometry), &weight, &bias);
                self.layer(&layer, x, &weight, &relevance);
            }
        }
    }

    fn own_layer(&self, kind: Kind, weight: &Range<usize>, bias: &Range<usize>) -> Linear {
        Linear { kind, weight: self.graph.parameters(weight), bias: self.graph.parameters(bias) }
    }

    fn layer(&mut self, layer: &Linear, x: Node, weight: &Range<usize>, relevance: &FeatureMap) {
        let rule = self.composite.rule(self.kinds.of(weight));
        let shared = layer.share_out(rule, self.graph.value(x), relevance);
        self.account(weight, &shared);
        self.add(x, shared.inputs);
    }

    fn sum(&mut self, a: Node, b: Node, relevance: &FeatureMap) {
        let (left, right) = (self.graph.value(a), self.graph.value(b));
        let both = FeatureMap {
            channels: 2 * left.channels,
            grid: left.grid,
            values: [left.values.as_slice(), &right.values].concat(),
        };
        let layer = Linear { kind: Kind::Sum, weight: vec![1.0], bias: vec![] };
        let shared = layer.share_out(&self.composite.sum, &both, relevance);
        self.accounts.absorbed += shared.absorbed;
        self.split(a, b, &shared.inputs);
    }

    /// The relevance of a's channels to a, the rest to b.
    fn split(&mut self, a: Node, b: Node, relevance: &FeatureMap) {
        let first = self.graph.value(a).channels;
        for (part, channels) in [(a, 0..first), (b, first..relevance.channels)] {
            let values = relevance.channels(channels.clone()).to_vec();
            self.add(part, FeatureMap { channels: channels.len(), grid: relevance.grid, values });
        }
    }

    fn product(&mut self, a: Node, b: Node, relevance: FeatureMap) {
        let (gate, signal) = match (self.is_gate(a), self.is_gate(b)) {
            (true, false) => (a, b),
            _ => (b, a),
        };
        let share = |gate: f64, signal: f64| match self.composite.product {
            ProductRule::SignalTakeAll => 0.0,
            ProductRule::Half => 0.5,
            // Of two zeros, each is as relevant as the other.
            ProductRule::Proportional if gate == 0.0 && signal == 0.0 => 0.5,
            ProductRule::Proportional => gate.abs() / (gate.abs() + signal.abs()),
        };
        let values = self.graph.value(gate).values.iter().zip(&self.graph.value(signal).values);
        let of_gate: Vec<f64> = values.zip(&relevance.values).map(|((g, s), r)| share(*g, *s) * r).collect();
        let of_signal = relevance.values.iter().zip(&of_gate).map(|(r, of_gate)| r - of_gate).collect();
        if self.composite.product != ProductRule::SignalTakeAll {
            self.add(gate, FeatureMap { values: of_gate, ..relevance.clone() });
        }
        self.add(signal, FeatureMap { values: of_signal, ..relevance });
    }

    fn is_gate(&self, node: Node) -> bool {
        matches!(self.graph.op(node), Op::Sigmoid { .. } | Op::Complement { .. })
    }

    /// y = 1 − x, for a gate x: by the epsilon rule with ε = 0, so that 1 gets 1/y.
    fn complement(&mut self, node: Node, x: Node, relevance: &FeatureMap) {
        let share = |(y, r): (&f64, &f64)| if *y == 0.0 { 0.0 } else { r / y };
        let of_one: Vec<f64> = self.graph.value(node).values.iter().zip(&relevance.values).map(share).collect();
        self.accounts.constants += of_one.iter().sum::<f64>();
        let values = relevance.values.iter().zip(&of_one).map(|(r, one)| r - one).collect();
        self.add(x, FeatureMap { values, ..relevance.clone() });
    }
}

/// Parameters of a normalisation.
struct Norm {
    group: usize,
    gamma: Vec<f64>,
    beta: Vec<f64>,
}

/// Convolution and normalisation of its output `y` as one layer, mean and deviation held constant:
/// w' = γ·w/deviation, b' = γ·(b − mean)/deviation + β.
fn merged(mut layer: Linear, norm: &Norm, y: &FeatureMap) -> Linear {
    let moments = group_moments(y, norm.group);
    let outputs = layer.bias.len();
    let size = layer.weight.len() / outputs;
    for channel in 0..outputs {
        let (mean, inverse) = moments[channel / norm.group];
        let scale = norm.gamma[channel] * inverse;
        layer.weight[channel * size..(channel + 1) * size].iter_mut().for_each(|w| *w *= scale);
        layer.bias[channel] = (layer.bias[channel] - mean) * scale + norm.beta[channel];
    }
    layer
}

/// A layer of one pixel with no graph around it: [inputs] to [outputs].
pub(super) fn dense(weight: Vec<f64>, bias: Vec<f64>, x: Vec<f64>, relevance: Vec<f64>, rule: &Rule) -> Shared {
    let geometry = ConvGeometry { kernel: Grid::ONE, stride: Grid::ONE, padding: Grid { height: 0, width: 0 } };
    let layer = Linear { kind: Kind::Conv(geometry), weight, bias };
    let map = |values: Vec<f64>| FeatureMap { channels: values.len(), grid: Grid::ONE, values };
    layer.share_out(rule, &map(x), &map(relevance))
}
