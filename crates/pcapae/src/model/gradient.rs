//! The gradient: a recorded graph walked backwards by the chain rule (reverse-mode differentiation, Linnainmaa 1970).

use super::graph::{Graph, LEAK, Map, Node, Op, Window, group_moments};

/// What [`Graph::gradient`] gives.
#[derive(Debug, Clone)]
pub(crate) struct Gradient {
    /// The gradient of every parameter.
    pub parameters: Vec<f64>,
    /// The gradient of every step's value, where the seeds depend on it.
    pub values: Vec<Option<Map>>,
}

impl Gradient {
    fn add(&mut self, node: Node, part: Map) {
        match &mut self.values[node.0] {
            Some(sum) => sum.values.iter_mut().zip(&part.values).for_each(|(sum, part)| *sum += part),
            empty => *empty = Some(part),
        }
    }
}

impl Graph<'_> {
    /// The gradient of Σ seed·value over the seeds, with respect to all parameters (`count` of them) and steps.
    pub fn gradient(&self, seeds: Vec<(Node, Map)>, count: usize) -> Gradient {
        let mut gradient = Gradient { parameters: vec![0.0; count], values: vec![None; self.len()] };
        for (node, seed) in seeds {
            gradient.add(node, seed);
        }
        for node in (0..self.len()).rev().map(Node) {
            if let Some(dy) = gradient.values[node.0].clone() {
                self.step_back(node, &dy, &mut gradient);
            }
        }
        gradient
    }

    fn step_back(&self, node: Node, dy: &Map, gradient: &mut Gradient) {
        let y = self.value(node);
        let times = |factor: &dyn Fn(usize) -> f64| {
            let values = dy.values.iter().enumerate().map(|(i, dy)| dy * factor(i)).collect();
            Map { channels: dy.channels, grid: dy.grid, values }
        };
        match self.op(node) {
            Op::Input => {}
            Op::Leaky { x } => {
                let input = self.value(*x);
                gradient.add(*x, times(&|i| if input.values[i] > 0.0 { 1.0 } else { LEAK }));
            }
            Op::Sigmoid { x } => gradient.add(*x, times(&|i| y.values[i] * (1.0 - y.values[i]))),
            Op::Tanh { x } => gradient.add(*x, times(&|i| 1.0 - y.values[i].powi(2))),
            Op::Complement { x } => gradient.add(*x, times(&|_| -1.0)),
            Op::Scale { x, factors } => gradient.add(*x, times(&|i| factors[i / dy.grid.pixels()])),
            Op::Sum { a, b } => {
                gradient.add(*a, dy.clone());
                gradient.add(*b, dy.clone());
            }
            Op::Product { a, b } => {
                let (left, right) = (self.value(*a), self.value(*b));
                gradient.add(*a, times(&|i| right.values[i]));
                gradient.add(*b, times(&|i| left.values[i]));
            }
            Op::Concat { a, b } => {
                let first = self.value(*a).channels;
                for (part, channels) in [(*a, 0..first), (*b, first..dy.channels)] {
                    let values = dy.channels(channels.clone()).to_vec();
                    gradient.add(part, Map { channels: channels.len(), grid: dy.grid, values });
                }
            }
            Op::Channels { x, channels } => {
                let mut dx = Map::zeros(self.value(*x).channels, dy.grid);
                let first = channels.start * dy.grid.pixels();
                dx.values[first..first + dy.values.len()].copy_from_slice(&dy.values);
                gradient.add(*x, dx);
            }
            Op::GroupNorm { x, group, gamma, beta } => {
                let scale = self.parameters(gamma);
                let (dx, dgamma, dbeta) = norm_back(self.value(*x), *group, &scale, dy);
                add_to(&mut gradient.parameters[gamma.clone()], &dgamma);
                add_to(&mut gradient.parameters[beta.clone()], &dbeta);
                gradient.add(*x, dx);
            }
            Op::Conv { x, window, weight, bias } => {
                let w = self.parameters(weight);
                let (dx, dw) = conv_back(self.value(*x), window, &w, dy);
                add_to(&mut gradient.parameters[weight.clone()], &dw);
                add_to(&mut gradient.parameters[bias.clone()], &channel_sums(dy));
                gradient.add(*x, dx);
            }
            Op::TransposedConv { x, window, weight, bias } => {
                let w = self.parameters(weight);
                let (dx, dw) = transposed_conv_back(self.value(*x), window, &w, dy);
                add_to(&mut gradient.parameters[weight.clone()], &dw);
                add_to(&mut gradient.parameters[bias.clone()], &channel_sums(dy));
                gradient.add(*x, dx);
            }
        }
    }
}

fn add_to(sum: &mut [f64], part: &[f64]) {
    sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
}

fn channel_sums(dy: &Map) -> Vec<f64> {
    dy.values.chunks(dy.grid.pixels()).map(|channel| channel.iter().sum()).collect()
}

/// x' = γ / √(variance + ε) · (y' − mean(γy') / γ − x̂ · mean(γy'·x̂) / γ), γ' = Σ y'·x̂, β' = Σ y'.
fn norm_back(x: &Map, group: usize, gamma: &[f64], dy: &Map) -> (Map, Vec<f64>, Vec<f64>) {
    let (pixels, moments) = (x.grid.pixels(), group_moments(x, group));
    let normal = |i: usize| {
        let (mean, inverse) = moments[i / pixels / group];
        (x.values[i] - mean) * inverse
    };
    let mut dx = Map::zeros(x.channels, x.grid);
    let mut dgamma = vec![0.0; x.channels];
    for (i, dy) in dy.values.iter().enumerate() {
        dgamma[i / pixels] += dy * normal(i);
    }
    let size = group * pixels;
    for (g, (_, inverse)) in moments.iter().enumerate() {
        let all = g * size..(g + 1) * size;
        let scaled = |i: usize| gamma[i / pixels] * dy.values[i];
        let mean = all.clone().map(scaled).sum::<f64>() / size as f64;
        let along = all.clone().map(|i| scaled(i) * normal(i)).sum::<f64>() / size as f64;
        for i in all {
            dx.values[i] = inverse * (scaled(i) - mean - normal(i) * along);
        }
    }
    (dx, dgamma, channel_sums(dy))
}

/// From the slope of a convolution's output to those of its input and weight.
pub(crate) fn conv_back(x: &Map, window: &Window, w: &[f64], dy: &Map) -> (Map, Vec<f64>) {
    let (mut dx, mut dw) = (Map::zeros(x.channels, x.grid), vec![0.0; w.len()]);
    let taps = window.kernel.pixels();
    for output in 0..dy.channels {
        for input in 0..x.channels {
            let first = (output * x.channels + input) * taps;
            window.meetings(dy.grid, |[py, px], tap, [row, column]| {
                if let Some(i) = x.index(input, row, column) {
                    let dy = dy.at(output, py as isize, px as isize);
                    dx.values[i] += w[first + tap] * dy;
                    dw[first + tap] += x.values[i] * dy;
                }
            });
        }
    }
    (dx, dw)
}

/// The same of a transposed convolution.
pub(crate) fn transposed_conv_back(x: &Map, window: &Window, w: &[f64], dy: &Map) -> (Map, Vec<f64>) {
    let (mut dx, mut dw) = (Map::zeros(x.channels, x.grid), vec![0.0; w.len()]);
    let taps = window.kernel.pixels();
    for input in 0..x.channels {
        for output in 0..dy.channels {
            let first = (input * dy.channels + output) * taps;
            window.meetings(x.grid, |[py, px], tap, [row, column]| {
                let dy = dy.at(output, row, column);
                let i = (input * x.grid.height + py) * x.grid.width + px;
                dx.values[i] += w[first + tap] * dy;
                dw[first + tap] += x.values[i] * dy;
            });
        }
    }
    (dx, dw)
}
