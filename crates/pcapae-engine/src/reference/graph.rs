//! The graph: a computation recorded as it is carried out, in double precision.
//!
//! The recorded steps can be walked backwards, for gradients and explanations, or exported for other programs.

use std::ops::Range;

use crate::network::{ConvGeometry, Grid};

/// Slope of the leaky ReLU below zero, as in the original.
pub const LEAK: f64 = 0.2;

/// ε of the group normalisation; PyTorch's default.
pub const NORM_EPSILON: f64 = 1e-5;

/// A feature map of some channels: channel after channel, each row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMap {
    /// How many channels.
    pub channels: usize,
    /// Height and width of each.
    pub grid: Grid,
    /// channels × height × width values.
    pub values: Vec<f64>,
}

impl FeatureMap {
    /// All zeros.
    pub fn zeros(channels: usize, grid: Grid) -> FeatureMap {
        FeatureMap { channels, grid, values: vec![0.0; channels * grid.pixels()] }
    }

    /// The value of a pixel, zero outside.
    pub fn at(&self, channel: usize, y: isize, x: isize) -> f64 {
        self.index(channel, y, x).map_or(0.0, |i| self.values[i])
    }

    /// The index of a pixel in `values`, unless it lies outside.
    pub fn index(&self, channel: usize, y: isize, x: isize) -> Option<usize> {
        let inside = |i: isize, size: usize| usize::try_from(i).ok().filter(|i| *i < size);
        let (y, x) = (inside(y, self.grid.height)?, inside(x, self.grid.width)?);
        Some((channel * self.grid.height + y) * self.grid.width + x)
    }

    /// The values of some channels.
    pub fn channels(&self, channels: Range<usize>) -> &[f64] {
        &self.values[channels.start * self.grid.pixels()..channels.end * self.grid.pixels()]
    }

    fn with(&self, values: Vec<f64>) -> FeatureMap {
        FeatureMap { channels: self.channels, grid: self.grid, values }
    }
}

/// A step of the graph, numbered in the order of the computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node(
    /// The number, from 0.
    pub usize,
);

/// What a step computes. Ranges are those of [`Parameters::values`](crate::Parameters::values).
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the formulas name the fields")]
pub enum Op {
    /// Nothing: an input of the graph.
    Input,
    /// y(p) = b + Σ W·x(stride·p − padding + tap), a cross-correlation with zero padding. W is [outputs, inputs, taps].
    Conv { x: Node, geometry: ConvGeometry, weight: Range<usize>, bias: Range<usize> },
    /// y(stride·p − padding + tap) = b + Σ W·x(p), the transpose of a convolution. W is [inputs, outputs, taps].
    TransposedConv { x: Node, geometry: ConvGeometry, weight: Range<usize>, bias: Range<usize> },
    /// y = γ·(x − mean) / √(variance + 1e-5) + β over groups of channels (Wu & He, *Group Normalization*, 2018); the variance is
    /// divided by n, not n − 1.
    GroupNorm { x: Node, group: usize, gamma: Range<usize>, beta: Range<usize> },
    /// max(x, 0.2·x).
    Leaky { x: Node },
    /// 1 / (1 + e^−x).
    Sigmoid { x: Node },
    /// tanh x.
    Tanh { x: Node },
    /// The channels of a, then those of b.
    Concat { a: Node, b: Node },
    /// Some channels of x.
    Channels { x: Node, channels: Range<usize> },
    /// a + b.
    Sum { a: Node, b: Node },
    /// a·b, pixel by pixel.
    Product { a: Node, b: Node },
    /// 1 − x.
    Complement { x: Node },
    /// x times a constant for each channel.
    Scale { x: Node, factors: Vec<f64> },
}

/// A recorded computation: steps and their values.
#[derive(Debug, Clone)]
pub struct Graph<'p> {
    parameters: &'p [f32],
    steps: Vec<(Op, FeatureMap)>,
}

impl<'p> Graph<'p> {
    /// An empty graph over these parameters.
    pub fn new(parameters: &'p [f32]) -> Graph<'p> {
        Graph { parameters, steps: Vec::new() }
    }

    /// How many steps were recorded.
    #[allow(clippy::len_without_is_empty, reason = "a graph without steps is of no use")]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// What a step computes.
    pub fn op(&self, node: Node) -> &Op {
        &self.steps[node.0].0
    }

    /// The value of a step.
    pub fn value(&self, node: Node) -> &FeatureMap {
        &self.steps[node.0].1
    }

    /// A range of the parameters, in double precision.
    pub fn parameters(&self, range: &Range<usize>) -> Vec<f64> {
        self.parameters[range.clone()].iter().map(|p| f64::from(*p)).collect()
    }

    /// Adds an input.
    pub fn input(&mut self, value: FeatureMap) -> Node {
        self.steps.push((Op::Input, value));
        Node(self.steps.len() - 1)
    }

    /// Carries out a step and records it.
    pub fn push(&mut self, op: Op) -> Node {
        let value = self.compute(&op);
        self.steps.push((op, value));
        Node(self.steps.len() - 1)
    }

    fn compute(&self, op: &Op) -> FeatureMap {
        let each = |x: Node, f: &dyn Fn(f64) -> f64| {
            let x = self.value(x);
            x.with(x.values.iter().map(|x| f(*x)).collect())
        };
        let both = |a: Node, b: Node, f: &dyn Fn(f64, f64) -> f64| {
            let (a, b) = (self.value(a), self.value(b));
            a.with(a.values.iter().zip(&b.values).map(|(a, b)| f(*a, *b)).collect())
        };
        match op {
            Op::Input => FeatureMap::zeros(0, Grid { height: 0, width: 0 }),
            Op::Conv { x, geometry, weight, bias } => {
                conv(self.value(*x), geometry, &self.parameters(weight), &self.parameters(bias))
            }
            Op::TransposedConv { x, geometry, weight, bias } => {
                transposed_conv(self.value(*x), geometry, &self.parameters(weight), &self.parameters(bias))
            }
            Op::GroupNorm { x, group, gamma, beta } => {
                group_norm(self.value(*x), *group, &self.parameters(gamma), &self.parameters(beta))
            }
            Op::Leaky { x } => each(*x, &|x| x.max(LEAK * x)),
            Op::Sigmoid { x } => each(*x, &|x| 1.0 / (1.0 + (-x).exp())),
            Op::Tanh { x } => each(*x, &f64::tanh),
            Op::Complement { x } => each(*x, &|x| 1.0 - x),
            Op::Sum { a, b } => both(*a, *b, &|a, b| a + b),
            Op::Product { a, b } => both(*a, *b, &|a, b| a * b),
            Op::Concat { a, b } => {
                let (a, b) = (self.value(*a), self.value(*b));
                let values = [a.values.as_slice(), &b.values].concat();
                FeatureMap { channels: a.channels + b.channels, grid: a.grid, values }
            }
            Op::Channels { x, channels } => {
                let x = self.value(*x);
                FeatureMap { channels: channels.len(), grid: x.grid, values: x.channels(channels.clone()).to_vec() }
            }
            Op::Scale { x, factors } => {
                let x = self.value(*x);
                let pixels = x.grid.pixels();
                x.with(x.values.iter().enumerate().map(|(i, x)| x * factors[i / pixels]).collect())
            }
        }
    }
}

impl Op {
    /// The steps that it takes as inputs.
    pub fn inputs(&self) -> Vec<Node> {
        match self {
            Op::Input => vec![],
            Op::Sum { a, b } | Op::Product { a, b } | Op::Concat { a, b } => vec![*a, *b],
            Op::Conv { x, .. }
            | Op::TransposedConv { x, .. }
            | Op::GroupNorm { x, .. }
            | Op::Leaky { x }
            | Op::Sigmoid { x }
            | Op::Tanh { x }
            | Op::Channels { x, .. }
            | Op::Complement { x }
            | Op::Scale { x, .. } => vec![*x],
        }
    }
}

fn constant(values: &[f64], grid: Grid) -> FeatureMap {
    let channel = |value: &f64| std::iter::repeat_n(*value, grid.pixels());
    FeatureMap { channels: values.len(), grid, values: values.iter().flat_map(channel).collect() }
}

/// [`Op::Conv`].
pub fn conv(x: &FeatureMap, geometry: &ConvGeometry, weight: &[f64], bias: &[f64]) -> FeatureMap {
    let mut y = constant(bias, geometry.small(x.grid));
    let (grid, taps) = (y.grid, geometry.kernel.pixels());
    for output in 0..bias.len() {
        for input in 0..x.channels {
            let w = &weight[(output * x.channels + input) * taps..];
            geometry.for_each_tap(grid, |[py, px], tap, [row, column]| {
                y.values[(output * grid.height + py) * grid.width + px] += w[tap] * x.at(input, row, column);
            });
        }
    }
    y
}

/// [`Op::TransposedConv`].
pub fn transposed_conv(x: &FeatureMap, geometry: &ConvGeometry, weight: &[f64], bias: &[f64]) -> FeatureMap {
    let mut y = constant(bias, geometry.large(x.grid));
    let taps = geometry.kernel.pixels();
    for input in 0..x.channels {
        for output in 0..bias.len() {
            let w = &weight[(input * bias.len() + output) * taps..];
            geometry.for_each_tap(x.grid, |[py, px], tap, [row, column]| {
                if let Some(i) = y.index(output, row, column) {
                    y.values[i] += w[tap] * x.at(input, py as isize, px as isize);
                }
            });
        }
    }
    y
}

/// Mean and 1 / √(variance + ε) of each group.
pub fn group_moments(x: &FeatureMap, group: usize) -> Vec<(f64, f64)> {
    let moments = |values: &[f64]| {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        (mean, 1.0 / (variance + NORM_EPSILON).sqrt())
    };
    x.values.chunks(group * x.grid.pixels()).map(moments).collect()
}

fn group_norm(x: &FeatureMap, group: usize, gamma: &[f64], beta: &[f64]) -> FeatureMap {
    let (moments, pixels) = (group_moments(x, group), x.grid.pixels());
    let normalised = |(i, x): (usize, &f64)| {
        let channel = i / pixels;
        let (mean, inverse) = moments[channel / group];
        gamma[channel] * (x - mean) * inverse + beta[channel]
    };
    x.with(x.values.iter().enumerate().map(normalised).collect())
}
