//! Backpropagation through a recorded graph (reverse-mode differentiation, Linnainmaa 1970).

use super::graph::{FeatureMap, Graph, LEAK, Node, Op, group_moments};
use crate::network::ConvGeometry;

/// The result of [`Graph::gradient`].
#[derive(Debug, Clone)]
pub struct Gradient {
    /// The gradient of every parameter.
    pub parameters: Vec<f64>,
    /// The gradient of every step's value; `None` where the seeds do not depend on it.
    pub values: Vec<Option<FeatureMap>>,
}

impl Gradient {
    fn add(&mut self, node: Node, part: FeatureMap) {
        match &mut self.values[node.0] {
            Some(sum) => sum.values.iter_mut().zip(&part.values).for_each(|(sum, part)| *sum += part),
            empty => *empty = Some(part),
        }
    }
}

impl Graph<'_> {
    /// The gradient of Σ seed·value over the seeds, with respect to all parameters (`count` of them) and steps.
    pub fn gradient(&self, seeds: Vec<(Node, FeatureMap)>, count: usize) -> Gradient {
        let mut gradient = Gradient { parameters: vec![0.0; count], values: vec![None; self.len()] };
        for (node, seed) in seeds {
            gradient.add(node, seed);
        }
        for node in (0..self.len()).rev().map(Node) {
            if let Some(grad_output) = gradient.values[node.0].clone() {
                self.step_backward(node, &grad_output, &mut gradient);
            }
        }
        gradient
    }

    fn step_backward(&self, node: Node, grad_output: &FeatureMap, gradient: &mut Gradient) {
        let y = self.value(node);
        let times = |factor: &dyn Fn(usize) -> f64| {
            let values =
                grad_output.values.iter().enumerate().map(|(i, grad_output)| grad_output * factor(i)).collect();
            FeatureMap { channels: grad_output.channels, grid: grad_output.grid, values }
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
            Op::Scale { x, factors } => gradient.add(*x, times(&|i| factors[i / grad_output.grid.pixels()])),
            Op::Sum { a, b } => {
                gradient.add(*a, grad_output.clone());
                gradient.add(*b, grad_output.clone());
            }
            Op::Product { a, b } => {
                let (left, right) = (self.value(*a), self.value(*b));
                gradient.add(*a, times(&|i| right.values[i]));
                gradient.add(*b, times(&|i| left.values[i]));
            }
            Op::Concat { a, b } => {
                let first = self.value(*a).channels;
                for (part, channels) in [(*a, 0..first), (*b, first..grad_output.channels)] {
                    let values = grad_output.channels(channels.clone()).to_vec();
                    gradient.add(part, FeatureMap { channels: channels.len(), grid: grad_output.grid, values });
                }
            }
            Op::Channels { x, channels } => {
                let mut grad_input = FeatureMap::zeros(self.value(*x).channels, grad_output.grid);
                let first = channels.start * grad_output.grid.pixels();
                grad_input.values[first..first + grad_output.values.len()].copy_from_slice(&grad_output.values);
                gradient.add(*x, grad_input);
            }
            Op::GroupNorm { x, group, gamma, beta } => {
                let scale = self.parameters(gamma);
                let (grad_input, grad_gamma, grad_beta) =
                    group_norm_backward(self.value(*x), *group, &scale, grad_output);
                add_to(&mut gradient.parameters[gamma.clone()], &grad_gamma);
                add_to(&mut gradient.parameters[beta.clone()], &grad_beta);
                gradient.add(*x, grad_input);
            }
            Op::Conv { x, geometry, weight, bias } => {
                let w = self.parameters(weight);
                let (grad_input, grad_weight) = conv_backward(self.value(*x), geometry, &w, grad_output);
                add_to(&mut gradient.parameters[weight.clone()], &grad_weight);
                add_to(&mut gradient.parameters[bias.clone()], &channel_sums(grad_output));
                gradient.add(*x, grad_input);
            }
            Op::TransposedConv { x, geometry, weight, bias } => {
                let w = self.parameters(weight);
                let (grad_input, grad_weight) = transposed_conv_backward(self.value(*x), geometry, &w, grad_output);
                add_to(&mut gradient.parameters[weight.clone()], &grad_weight);
                add_to(&mut gradient.parameters[bias.clone()], &channel_sums(grad_output));
                gradient.add(*x, grad_input);
            }
        }
    }
}

fn add_to(sum: &mut [f64], part: &[f64]) {
    sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
}

fn channel_sums(grad_output: &FeatureMap) -> Vec<f64> {
    grad_output.values.chunks(grad_output.grid.pixels()).map(|channel| channel.iter().sum()).collect()
}

/// x' = γ / √(variance + ε) · (y' − mean(γy') / γ − x̂ · mean(γy'·x̂) / γ), γ' = Σ y'·x̂, β' = Σ y'.
fn group_norm_backward(
    x: &FeatureMap,
    group: usize,
    gamma: &[f64],
    grad_output: &FeatureMap,
) -> (FeatureMap, Vec<f64>, Vec<f64>) {
    let (pixels, moments) = (x.grid.pixels(), group_moments(x, group));
    let normal = |i: usize| {
        let (mean, inverse) = moments[i / pixels / group];
        (x.values[i] - mean) * inverse
    };
    let mut grad_input = FeatureMap::zeros(x.channels, x.grid);
    let mut grad_gamma = vec![0.0; x.channels];
    for (i, grad_output) in grad_output.values.iter().enumerate() {
        grad_gamma[i / pixels] += grad_output * normal(i);
    }
    let size = group * pixels;
    for (g, (_, inverse)) in moments.iter().enumerate() {
        let all = g * size..(g + 1) * size;
        let scaled = |i: usize| gamma[i / pixels] * grad_output.values[i];
        let mean = all.clone().map(scaled).sum::<f64>() / size as f64;
        let along = all.clone().map(|i| scaled(i) * normal(i)).sum::<f64>() / size as f64;
        for i in all {
            grad_input.values[i] = inverse * (scaled(i) - mean - normal(i) * along);
        }
    }
    (grad_input, grad_gamma, channel_sums(grad_output))
}

/// From `grad_output` of a convolution to `grad_input` and `grad_weight`.
pub fn conv_backward(
    x: &FeatureMap,
    geometry: &ConvGeometry,
    w: &[f64],
    grad_output: &FeatureMap,
) -> (FeatureMap, Vec<f64>) {
    let (mut grad_input, mut grad_weight) = (FeatureMap::zeros(x.channels, x.grid), vec![0.0; w.len()]);
    let taps = geometry.kernel.pixels();
    for output in 0..grad_output.channels {
        for input in 0..x.channels {
            let first = (output * x.channels + input) * taps;
            geometry.for_each_tap(grad_output.grid, |[py, px], tap, [row, column]| {
                if let Some(i) = x.index(input, row, column) {
                    let grad_output = grad_output.at(output, py as isize, px as isize);
                    grad_input.values[i] += w[first + tap] * grad_output;
                    grad_weight[first + tap] += x.values[i] * grad_output;
                }
            });
        }
    }
    (grad_input, grad_weight)
}

/// The same for a transposed convolution.
pub fn transposed_conv_backward(
    x: &FeatureMap,
    geometry: &ConvGeometry,
    w: &[f64],
    grad_output: &FeatureMap,
) -> (FeatureMap, Vec<f64>) {
    let (mut grad_input, mut grad_weight) = (FeatureMap::zeros(x.channels, x.grid), vec![0.0; w.len()]);
    let taps = geometry.kernel.pixels();
    for input in 0..x.channels {
        for output in 0..grad_output.channels {
            let first = (input * grad_output.channels + output) * taps;
            geometry.for_each_tap(x.grid, |[py, px], tap, [row, column]| {
                let grad_output = grad_output.at(output, row, column);
                let i = (input * x.grid.height + py) * x.grid.width + px;
                grad_input.values[i] += w[first + tap] * grad_output;
                grad_weight[first + tap] += x.values[i] * grad_output;
            });
        }
    }
    (grad_input, grad_weight)
}
