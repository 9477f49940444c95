//! One layer: a linear map, and the relevance of its outputs shared out among its inputs by a rule.

use super::rule::{Branch, Rule, When};
use crate::engine::ConvGeometry;
use crate::engine::reference::{FeatureMap, conv, conv_backward, transposed_conv, transposed_conv_backward};

/// A layer y = W·x + b with its own weights.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    pub kind: Kind,
    pub weight: Vec<f64>,
    /// One an output channel.
    pub bias: Vec<f64>,
}

/// How weights are applied to inputs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A convolution, W [outputs, inputs, taps].
    Conv(ConvGeometry),
    /// A transposed convolution, W [inputs, outputs, taps].
    TransposedConv(ConvGeometry),
    /// Σ of the channels' groups, a group for each summand: y = a + b of [a, b] one after the other. No weights.
    Sum,
}

/// Where a layer's relevance went; inputs, bias and absorbed add up to the relevance of the outputs.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    pub inputs: FeatureMap,
    pub bias: f64,
    pub absorbed: f64,
}

impl Linear {
    /// W·x for other weights of the same shape.
    fn forward(&self, x: &FeatureMap, weight: &[f64]) -> FeatureMap {
        let none = vec![0.0; self.bias.len()];
        match self.kind {
            Kind::Conv(window) => conv(x, &window, weight, &none),
            Kind::TransposedConv(window) => transposed_conv(x, &window, weight, &none),
            Kind::Sum => {
                let half = x.values.len() / 2;
                let w = weight[0];
                let sum = |i: usize| w * (x.values[i] + x.values[half + i]);
                FeatureMap { channels: x.channels / 2, grid: x.grid, values: (0..half).map(sum).collect() }
            }
        }
    }

    /// Wᵀ·s, in the shape of x.
    fn backward(&self, x: &FeatureMap, weight: &[f64], s: &FeatureMap) -> FeatureMap {
        match self.kind {
            Kind::Conv(window) => conv_backward(x, &window, weight, s).0,
            Kind::TransposedConv(window) => transposed_conv_backward(x, &window, weight, s).0,
            Kind::Sum => {
                let values = s.values.iter().chain(&s.values).map(|s| weight[0] * s).collect();
                FeatureMap { values, ..x.clone() }
            }
        }
    }

    /// Shares out the relevance of the outputs, `relevance`, among the inputs.
    ///
    /// With `Pass`, which leaves relevance where it is, nothing is shared out: it is all absorbed. [`Composite`](super::Composite)
    /// refuses it for such layers.
    pub fn share_out(&self, rule: &Rule, x: &FeatureMap, relevance: &FeatureMap) -> Shared {
        let branches = rule.branches();
        let sums: Vec<FeatureMap> = branches.iter().map(|branch| self.sum(branch, x)).collect();
        let z = self.with_bias(self.forward(x, &self.weight), |b| b);
        let mut inputs = FeatureMap::zeros(x.channels, x.grid);
        let mut bias = 0.0;
        for (number, branch) in branches.iter().enumerate() {
            // R_k / Σ q, of the outputs that the branch is for.
            let mut s = relevance.clone();
            for (k, s) in s.values.iter_mut().enumerate() {
                let share = share(&branches, &sums, number, k, z.values[k]);
                let sum = sums[number].values[k];
                let stabilised = sum + rule.epsilon() * if sum < 0.0 { -1.0 } else { 1.0 };
                *s = if share == 0.0 || stabilised == 0.0 { 0.0 } else { *s * share / stabilised };
            }
            for term in &branch.terms {
                let weight: Vec<f64> = self.weight.iter().map(|w| term.w.of(*w)).collect();
                let back = self.backward(x, &weight, &s);
                for ((to, back), x) in inputs.values.iter_mut().zip(&back.values).zip(&x.values) {
                    *to += term.factor * term.x.of(*x) * back;
                }
            }
            let pixels = s.grid.pixels();
            for (b, s) in self.bias.iter().zip(s.values.chunks(pixels)) {
                bias += branch.bias.of(*b) * s.iter().sum::<f64>();
            }
        }
        let total = |map: &FeatureMap| map.values.iter().sum::<f64>();
        let absorbed = total(relevance) - total(&inputs) - bias;
        Shared { inputs, bias, absorbed }
    }

    /// Σ_j q_jk + q_k.
    fn sum(&self, branch: &Branch, x: &FeatureMap) -> FeatureMap {
        let mut sum: Option<FeatureMap> = None;
        for term in &branch.terms {
            let weight: Vec<f64> = self.weight.iter().map(|w| term.w.of(*w)).collect();
            let part =
                FeatureMap { values: x.values.iter().map(|x| term.factor * term.x.of(*x)).collect(), ..x.clone() };
            let part = self.forward(&part, &weight);
            match &mut sum {
                Some(sum) => sum.values.iter_mut().zip(&part.values).for_each(|(sum, part)| *sum += part),
                none => *none = Some(part),
            }
        }
        let sum = sum.unwrap_or_else(|| self.forward(x, &self.weight));
        self.with_bias(sum, |b| branch.bias.of(b))
    }

    fn with_bias(&self, mut y: FeatureMap, part: impl Fn(f64) -> f64) -> FeatureMap {
        let pixels = y.grid.pixels();
        for (b, y) in self.bias.iter().zip(y.values.chunks_mut(pixels)) {
            y.iter_mut().for_each(|y| *y += part(*b));
        }
        y
    }
}

/// The share of output k's relevance that a branch gets: its own, or more where another branch has no contributions.
fn share(branches: &[Branch], sums: &[FeatureMap], number: usize, k: usize, z: f64) -> f64 {
    let is_for = |branch: &Branch| match branch.when {
        When::Always => true,
        When::NotNegative => z >= 0.0,
        When::Negative => z < 0.0,
    };
    let holds = |number: usize| {
        let branch = &branches[number];
        branch.share != 0.0 && is_for(branch) && sums[number].values[k] != 0.0
    };
    if !holds(number) {
        return 0.0;
    }
    let all: f64 = (0..branches.len()).filter(|other| holds(*other)).map(|other| branches[other].share).sum();
    branches[number].share / all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Grid;

    /// Numbers of both signs without order, the same every time.
    fn numbers(count: usize, seed: usize) -> Vec<f64> {
        let number = |i: usize| ((i + seed * 31).wrapping_mul(2_654_435_761) % 2001) as f64 / 1000.0 - 1.0;
        (1..=count).map(number).collect()
    }

    const IN: Grid = Grid { height: 6, width: 4 };
    const CHANNELS: [usize; 2] = [2, 3];

    /// A layer from 2 to 3 channels, its dense matrix [outputs, inputs] written down element by element, and the output's grid.
    fn layer(transposed: bool) -> (Linear, Vec<Vec<f64>>, Grid) {
        let side = if transposed { 4 } else { 3 };
        let two = Grid { height: 2, width: 2 };
        let one = Grid { height: 1, width: 1 };
        let window = ConvGeometry { kernel: Grid { height: side, width: side }, stride: two, padding: one };
        let weight = numbers(CHANNELS[0] * CHANNELS[1] * side * side, 1);
        let layer = Linear {
            kind: if transposed { Kind::TransposedConv(window) } else { Kind::Conv(window) },
            weight: weight.clone(),
            bias: numbers(3, 2),
        };
        let out = if transposed { window.large(IN) } else { window.small(IN) };
        let mut matrix = vec![vec![0.0; CHANNELS[0] * IN.pixels()]; CHANNELS[1] * out.pixels()];
        for (k, row) in matrix.iter_mut().enumerate() {
            let (o, oy, ox) = (k / out.pixels(), k % out.pixels() / out.width, k % out.width);
            for (j, w) in row.iter_mut().enumerate() {
                let (i, iy, ix) = (j / IN.pixels(), j % IN.pixels() / IN.width, j % IN.width);
                // The small picture's pixel p meets the large one's at 2·p − 1 + tap.
                let ((sy, sx), (ly, lx)) = if transposed { ((iy, ix), (oy, ox)) } else { ((oy, ox), (iy, ix)) };
                let (Some(ky), Some(kx)) = ((ly + 1).checked_sub(2 * sy), (lx + 1).checked_sub(2 * sx)) else {
                    continue;
                };
                if ky < side && kx < side {
                    let (first, second, seconds) = if transposed { (i, o, CHANNELS[1]) } else { (o, i, CHANNELS[0]) };
                    *w = weight[((first * seconds + second) * side + ky) * side + kx];
                }
            }
        }
        (layer, matrix, out)
    }

    /// R_j = Σ_k share(j, k)·R_k and the bias's, by the formula of the rule's paper for one output.
    fn closed_form(rule: &Rule, matrix: &[Vec<f64>], bias: &[f64], x: &[f64], r: &[f64]) -> (Vec<f64>, f64) {
        let (mut inputs, mut of_bias) = (vec![0.0; x.len()], 0.0);
        for (k, (row, r)) in matrix.iter().zip(r).enumerate() {
            let b = bias[k * bias.len() / matrix.len()];
            let seen: Vec<usize> = (0..x.len()).collect();
            let sum = |f: &dyn Fn(usize) -> f64| seen.iter().map(|j| f(*j)).sum::<f64>();
            let z = sum(&|j| x[j] * row[j]) + b;
            let plus = |v: f64| if v > 0.0 { v } else { 0.0 };
            let minus = |v: f64| if v < 0.0 { v } else { 0.0 };
            let mut give = |share: &dyn Fn(usize) -> f64, own: f64| {
                seen.iter().for_each(|j| inputs[*j] += share(*j) * r);
                of_bias += own * r;
            };
            match *rule {
                Rule::Epsilon { epsilon } => {
                    let z = z + epsilon * if z >= 0.0 { 1.0 } else { -1.0 };
                    give(&|j| x[j] * row[j] / z, b / z);
                }
                Rule::Gamma { gamma } => {
                    let part = |v: f64| v + gamma * if z >= 0.0 { plus(v) } else { minus(v) };
                    let all = sum(&|j| part(x[j] * row[j])) + part(b);
                    give(&|j| part(x[j] * row[j]) / all, part(b) / all);
                }
                Rule::ZPlus => {
                    let all = sum(&|j| plus(x[j] * row[j])) + plus(b);
                    if all > 0.0 {
                        give(&|j| plus(x[j] * row[j]) / all, plus(b) / all);
                    }
                }
                Rule::AlphaBeta { alpha } => {
                    let above = sum(&|j| plus(x[j] * row[j])) + plus(b);
                    let below = sum(&|j| minus(x[j] * row[j])) + minus(b);
                    // At the corners of the transposed layer one sign may be missing; then the other gets all.
                    let (alpha, beta) = match (above > 0.0, below < 0.0) {
                        (true, true) => (alpha, alpha - 1.0),
                        (true, false) => (1.0, 0.0),
                        _ => (0.0, -1.0),
                    };
                    let part = |v: f64| {
                        let of = |share: f64, v: f64, all: f64| if share == 0.0 { 0.0 } else { share * v / all };
                        of(alpha, plus(v), above) - of(beta, minus(v), below)
                    };
                    give(&|j| part(x[j] * row[j]), part(b));
                }
                Rule::ZBox { low, high } => {
                    let part = |j: usize| x[j] * row[j] - low * plus(row[j]) - high * minus(row[j]);
                    let all = sum(&part);
                    give(&|j| part(j) / all, 0.0);
                }
                Rule::WSquare => {
                    let all = sum(&|j| row[j] * row[j]);
                    give(&|j| row[j] * row[j] / all, 0.0);
                }
                // The example's weights are nowhere zero, so what an output sees is where they are not.
                Rule::Flat => {
                    let all = sum(&|j| f64::from(u8::from(row[j] != 0.0)));
                    give(&|j| f64::from(u8::from(row[j] != 0.0)) / all, 0.0);
                }
                Rule::Pass => panic!("not for layers"),
            }
        }
        (inputs, of_bias)
    }

    const RULES: [Rule; 8] = [
        Rule::Epsilon { epsilon: 0.0 },
        Rule::Epsilon { epsilon: 0.3 },
        Rule::Gamma { gamma: 0.25 },
        Rule::ZPlus,
        Rule::AlphaBeta { alpha: 2.0 },
        Rule::ZBox { low: -1.0, high: 1.0 },
        Rule::WSquare,
        Rule::Flat,
    ];

    #[test]
    fn every_rule_is_the_closed_form_of_its_paper() {
        for transposed in [false, true] {
            let (layer, matrix, out) = layer(transposed);
            let x = FeatureMap { channels: CHANNELS[0], grid: IN, values: numbers(CHANNELS[0] * IN.pixels(), 3) };
            let r = numbers(CHANNELS[1] * out.pixels(), 4);
            let relevance = FeatureMap { channels: CHANNELS[1], grid: out, values: r.clone() };
            for rule in RULES {
                let shared = layer.share_out(&rule, &x, &relevance);
                let (inputs, bias) = closed_form(&rule, &matrix, &layer.bias, &x.values, &r);
                let size: f64 = inputs.iter().map(|r| r.abs()).sum();
                for (j, (got, expected)) in shared.inputs.values.iter().zip(&inputs).enumerate() {
                    assert!((got - expected).abs() < 1e-7 * size, "{rule}, input {j}: {got} {expected}");
                }
                assert!((shared.bias - bias).abs() < 1e-7 * size, "{rule}: {} {bias}", shared.bias);
            }
        }
    }

    #[test]
    fn rules_conserve_relevance_but_for_their_stabiliser() {
        let (layer, _, out) = layer(false);
        let x = FeatureMap { channels: CHANNELS[0], grid: IN, values: numbers(CHANNELS[0] * IN.pixels(), 3) };
        let relevance = FeatureMap { channels: CHANNELS[1], grid: out, values: numbers(CHANNELS[1] * out.pixels(), 4) };
        for rule in RULES.iter().filter(|rule| **rule != Rule::Epsilon { epsilon: 0.3 }) {
            let shared = layer.share_out(rule, &x, &relevance);
            assert!(shared.absorbed.abs() < 1e-6, "{rule}: {shared:?}");
        }
    }

    #[test]
    fn where_one_sign_is_missing_the_other_gets_all() {
        let one = Grid { height: 1, width: 1 };
        let window = ConvGeometry { kernel: one, stride: one, padding: Grid { height: 0, width: 0 } };
        let layer = Linear { kind: Kind::Conv(window), weight: vec![1.0, 3.0], bias: vec![0.0] };
        let map = |values: Vec<f64>| FeatureMap { channels: values.len(), grid: one, values };
        for x in [vec![1.0, 1.0], vec![-1.0, -1.0]] {
            let shared = layer.share_out(&Rule::AlphaBeta { alpha: 2.0 }, &map(x), &map(vec![8.0]));
            assert!((shared.inputs.values[0] - 2.0).abs() < 1e-6, "{shared:?}");
            assert!((shared.inputs.values[1] - 6.0).abs() < 1e-6, "{shared:?}");
        }
    }

    #[test]
    fn a_sum_shares_out_by_its_summands() {
        let one = Grid { height: 1, width: 1 };
        let layer = Linear { kind: Kind::Sum, weight: vec![1.0], bias: vec![] };
        let map = |values: Vec<f64>| FeatureMap { channels: values.len(), grid: one, values };
        let shared = layer.share_out(&Rule::Epsilon { epsilon: 0.0 }, &map(vec![3.0, -1.0]), &map(vec![4.0]));
        assert_eq!(shared.inputs.values, [6.0, -2.0]);
    }
}
