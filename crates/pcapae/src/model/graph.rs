//! The graph: a computation recorded as it is carried out, in double precision and by definition.
//!
//! This is what the network *is*; `engine` computes the same faster. The recorded steps can be walked backwards, for
//! gradients here and for explanations, or written out for other programs.

use std::ops::Range;

use super::config::Grid;

/// Slope of the leaky rectifier below zero, as in the original.
pub(crate) const LEAK: f64 = 0.2;

/// Keeps the deviation of a constant picture from being zero; PyTorch's default.
pub(crate) const NORM_EPSILON: f64 = 1e-5;

/// Pictures of some channels: row-major, channel after channel.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Map {
    pub channels: usize,
    pub grid: Grid,
    pub values: Vec<f64>,
}

impl Map {
    pub fn zeros(channels: usize, grid: Grid) -> Map {
        Map { channels, grid, values: vec![0.0; channels * grid.pixels()] }
    }

    /// The value of a pixel, zero outside of the picture.
    pub fn at(&self, channel: usize, y: isize, x: isize) -> f64 {
        self.index(channel, y, x).map_or(0.0, |i| self.values[i])
    }

    /// Where a pixel lies in `values`, if it is in the picture.
    pub fn index(&self, channel: usize, y: isize, x: isize) -> Option<usize> {
        let inside = |i: isize, size: usize| usize::try_from(i).ok().filter(|i| *i < size);
        let (y, x) = (inside(y, self.grid.height)?, inside(x, self.grid.width)?);
        Some((channel * self.grid.height + y) * self.grid.width + x)
    }

    /// The pixels of channels `channels`.
    pub fn channels(&self, channels: Range<usize>) -> &[f64] {
        &self.values[channels.start * self.grid.pixels()..channels.end * self.grid.pixels()]
    }

    fn with(&self, values: Vec<f64>) -> Map {
        Map { channels: self.channels, grid: self.grid, values }
    }
}

/// A step of the graph, numbered in the order of the computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Node(pub usize);

/// What a step computes. Ranges are places in the line of parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    /// Nothing: a value from outside.
    Input,
    /// y(p) = b + Σ W·x(stride·p − padding + tap), a cross-correlation; zeros around the picture. W is [outputs, inputs, taps].
    Conv { x: Node, window: Window, weight: Range<usize>, bias: Range<usize> },
    /// x(p) is spread, times W, over y(stride·p − padding + tap). W is [inputs, outputs, taps].
    TransposedConv { x: Node, window: Window, weight: Range<usize>, bias: Range<usize> },
    /// y = γ·(x − mean) / √(variance + 1e-5) + β over groups of channels (Wu & He, *Group Normalization*, 2018); the variance is
    /// the mean square, not that of a sample.
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
    /// x times a constant, one a channel.
    Scale { x: Node, factors: Vec<f64> },
}

/// How a kernel moves over a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Extent of the kernel.
    pub kernel: Grid,
    /// From one pixel of the smaller picture to the next, in pixels of the larger.
    pub stride: Grid,
    /// Zeros before the first row and column.
    pub padding: Grid,
}

/// A recorded computation: steps and their values.
#[derive(Debug, Clone)]
pub(crate) struct Graph<'p> {
    parameters: &'p [f32],
    steps: Vec<(Op, Map)>,
}

impl<'p> Graph<'p> {
    /// Nothing computed yet, with these parameters.
    pub fn new(parameters: &'p [f32]) -> Graph<'p> {
        Graph { parameters, steps: Vec::new() }
    }

    /// How many steps were recorded.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// What a step computes.
    pub fn op(&self, node: Node) -> &Op {
        &self.steps[node.0].0
    }

    /// What it came to.
    pub fn value(&self, node: Node) -> &Map {
        &self.steps[node.0].1
    }

    /// Some parameters, in double precision.
    pub fn parameters(&self, range: &Range<usize>) -> Vec<f64> {
        self.parameters[range.clone()].iter().map(|p| f64::from(*p)).collect()
    }

    /// A value from outside.
    pub fn input(&mut self, value: Map) -> Node {
        self.steps.push((Op::Input, value));
        Node(self.steps.len() - 1)
    }

    /// Carries out a step and records it.
    pub fn push(&mut self, op: Op) -> Node {
        let value = self.compute(&op);
        self.steps.push((op, value));
        Node(self.steps.len() - 1)
    }

    fn compute(&self, op: &Op) -> Map {
        let each = |x: Node, f: &dyn Fn(f64) -> f64| {
            let x = self.value(x);
            x.with(x.values.iter().map(|x| f(*x)).collect())
        };
        let both = |a: Node, b: Node, f: &dyn Fn(f64, f64) -> f64| {
            let (a, b) = (self.value(a), self.value(b));
            a.with(a.values.iter().zip(&b.values).map(|(a, b)| f(*a, *b)).collect())
        };
        match op {
            Op::Input => Map::zeros(0, Grid { height: 0, width: 0 }),
            Op::Conv { x, window, weight, bias } => {
                conv(self.value(*x), window, &self.parameters(weight), &self.parameters(bias))
            }
            Op::TransposedConv { x, window, weight, bias } => {
                transposed_conv(self.value(*x), window, &self.parameters(weight), &self.parameters(bias))
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
                Map { channels: a.channels + b.channels, grid: a.grid, values }
            }
            Op::Channels { x, channels } => {
                let x = self.value(*x);
                Map { channels: channels.len(), grid: x.grid, values: x.channels(channels.clone()).to_vec() }
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
    /// The steps whose values it takes.
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

impl Window {
    /// Calls `visit` with each pixel p of a small picture, each tap of the kernel by its number, and the pixel of the large
    /// picture that they meet in: stride·p − padding + tap, which may lie outside.
    pub fn meetings(&self, small: Grid, mut visit: impl FnMut([usize; 2], usize, [isize; 2])) {
        let place =
            |p: usize, stride: usize, padding: usize, tap: usize| (stride * p + tap) as isize - padding as isize;
        for y in 0..small.height {
            for x in 0..small.width {
                for ky in 0..self.kernel.height {
                    for kx in 0..self.kernel.width {
                        let row = place(y, self.stride.height, self.padding.height, ky);
                        let column = place(x, self.stride.width, self.padding.width, kx);
                        visit([y, x], ky * self.kernel.width + kx, [row, column]);
                    }
                }
            }
        }
    }

    /// The large picture that belongs to a small one, and the other way round.
    pub fn large(&self, small: Grid) -> Grid {
        Grid { height: small.height * self.stride.height, width: small.width * self.stride.width }
    }

    pub fn small(&self, large: Grid) -> Grid {
        Grid { height: large.height / self.stride.height, width: large.width / self.stride.width }
    }
}

fn constant(values: &[f64], grid: Grid) -> Map {
    let channel = |value: &f64| std::iter::repeat_n(*value, grid.pixels());
    Map { channels: values.len(), grid, values: values.iter().flat_map(channel).collect() }
}

/// The step [`Op::Conv`].
pub(crate) fn conv(x: &Map, window: &Window, weight: &[f64], bias: &[f64]) -> Map {
    let mut y = constant(bias, window.small(x.grid));
    let (grid, taps) = (y.grid, window.kernel.pixels());
    for output in 0..bias.len() {
        for input in 0..x.channels {
            let w = &weight[(output * x.channels + input) * taps..];
            window.meetings(grid, |[py, px], tap, [row, column]| {
                y.values[(output * grid.height + py) * grid.width + px] += w[tap] * x.at(input, row, column);
            });
        }
    }
    y
}

/// The step [`Op::TransposedConv`].
pub(crate) fn transposed_conv(x: &Map, window: &Window, weight: &[f64], bias: &[f64]) -> Map {
    let mut y = constant(bias, window.large(x.grid));
    let taps = window.kernel.pixels();
    for input in 0..x.channels {
        for output in 0..bias.len() {
            let w = &weight[(input * bias.len() + output) * taps..];
            window.meetings(x.grid, |[py, px], tap, [row, column]| {
                if let Some(i) = y.index(output, row, column) {
                    y.values[i] += w[tap] * x.at(input, py as isize, px as isize);
                }
            });
        }
    }
    y
}

/// Mean and 1 / √(variance + ε) of each group.
pub(crate) fn group_moments(x: &Map, group: usize) -> Vec<(f64, f64)> {
    let moments = |values: &[f64]| {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        (mean, 1.0 / (variance + NORM_EPSILON).sqrt())
    };
    x.values.chunks(group * x.grid.pixels()).map(moments).collect()
}

fn group_norm(x: &Map, group: usize, gamma: &[f64], beta: &[f64]) -> Map {
    let (moments, pixels) = (group_moments(x, group), x.grid.pixels());
    let normalised = |(i, x): (usize, &f64)| {
        let channel = i / pixels;
        let (mean, inverse) = moments[channel / group];
        gamma[channel] * (x - mean) * inverse + beta[channel]
    };
    x.with(x.values.iter().enumerate().map(normalised).collect())
}
