//! A transposed convolution that doubles the side, and its leaky rectifier.

use std::ops::Range;

use super::activation::{differentiate_leaky, leaky};
use super::parameters::{Layout, Start};
use super::phases::{PHASES, merge, parity_and_shift, phases_of, split};
use super::planes::{Grid, Planes, sum};
use super::stencil::{Link, Stencil};

/// Side of the kernel.
const KERNEL: usize = 4;

/// y = leaky(Wᵀ ∗ x + b): input pixel (y, x) is spread, times the 4 × 4 kernel, over output pixels (2y − 1 + ky, 2x − 1 + kx).
#[derive(Debug, Clone)]
pub(crate) struct TransposedConv {
    output: Grid,
    channels: usize,
    map: Stencil,
    bias: Range<usize>,
    bias_values: Vec<f32>,
}

/// What the way back needs, and room for it.
#[derive(Debug, Clone)]
pub(crate) struct TransposedConvTape {
    pub y: Planes,
    phases: Planes,
}

impl TransposedConv {
    /// Declares `weight` [in, out, 4, 4] and `bias` [out] under `name`, from `channels` to as many.
    pub fn new(layout: &mut Layout, name: &str, input: Grid, channels: usize) -> TransposedConv {
        let shape = [channels, channels, KERNEL, KERNEL];
        let start = Start::of_weight(&shape);
        let weight = layout.declare(format!("{name}.weight"), &shape, start);
        let bias = layout.declare(format!("{name}.bias"), &[channels], start);
        let map = Stencil::new(input, &links(weight.start, channels));
        let output = Grid { side: 2 * input.side };
        TransposedConv { output, channels, map, bias, bias_values: vec![0.0; channels] }
    }

    /// Takes its weights out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        self.map.load(parameters);
        self.bias_values.copy_from_slice(&parameters[self.bias.clone()]);
    }

    /// Room for one step.
    pub fn tape(&self) -> TransposedConvTape {
        TransposedConvTape {
            y: Planes::zeros(self.output, self.channels),
            phases: phases_of(self.output, self.channels),
        }
    }

    /// Computes `tape.y` from x.
    pub fn forward(&self, x: &Planes, tape: &mut TransposedConvTape) {
        for plane in 0..PHASES * self.channels {
            tape.phases.fill(plane, self.bias_values[plane % self.channels]);
        }
        self.map.apply(x, &mut tape.phases);
        merge(&tape.phases, &mut tape.y);
        leaky(&mut tape.y);
    }

    /// Adds the parameters' gradients and overwrites x'; y' is replaced by the gradient before the rectifier.
    pub fn backward(
        &self,
        x: &Planes,
        tape: &mut TransposedConvTape,
        dy: &mut Planes,
        gradient: &mut [f32],
        dx: &mut Planes,
    ) {
        differentiate_leaky(&tape.y, dy);
        for c in 0..self.channels {
            gradient[self.bias.start + c] += sum(dy.body(c));
        }
        split(dy, &mut tape.phases);
        self.map.add_gradient(x, &tape.phases, gradient);
        dx.clear();
        self.map.apply_transposed(&tape.phases, dx);
    }
}

/// The links to the [phases](super::phases) of the output: each phase takes 2 × 2 of the kernel's 4 × 4 weights.
fn links(weight: usize, channels: usize) -> Vec<Link> {
    let mut links = Vec::new();
    for input in 0..channels {
        for output in 0..channels {
            for ky in 0..KERNEL {
                for kx in 0..KERNEL {
                    let ((py, down), (px, right)) =
                        (parity_and_shift(ky as isize - 1), parity_and_shift(kx as isize - 1));
                    links.push(Link {
                        output: (2 * py + px) * channels + output,
                        input,
                        dy: -down,
                        dx: -right,
                        parameter: weight + ((input * channels + output) * KERNEL + ky) * KERNEL + kx,
                    });
                }
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::parameters::Parameters;

    /// The definition: spread every input pixel.
    fn naive(x: &[f32], side: usize, w: &[f32], b: &[f32], channels: usize) -> Vec<f32> {
        let large = 2 * side;
        let mut y: Vec<f32> = (0..channels * large * large).map(|i| b[i / (large * large)]).collect();
        for i in 0..channels {
            for o in 0..channels {
                for row in 0..side {
                    for column in 0..side {
                        for ky in 0..4 {
                            for kx in 0..4 {
                                let (ty, tx) = (2 * row + ky, 2 * column + kx);
                                if (1..=large).contains(&ty) && (1..=large).contains(&tx) {
                                    y[(o * large + ty - 1) * large + tx - 1] +=
                                        w[((i * channels + o) * 4 + ky) * 4 + kx] * x[(i * side + row) * side + column];
                                }
                            }
                        }
                    }
                }
            }
        }
        y.iter().map(|z| z.max(0.2 * z)).collect()
    }

    proptest! {
        #[test]
        fn it_equals_its_definition(side in 2usize..17, channels in 1usize..6, seed: u64) {
            let mut layout = Layout::default();
            let mut conv = TransposedConv::new(&mut layout, "c", Grid { side }, channels);
            let parameters = Parameters::random(layout, seed);
            conv.load(parameters.values());
            let mut x = Planes::zeros(Grid { side }, channels);
            x.set_pixels((0..channels * side * side).map(|i| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0));
            let mut tape = conv.tape();
            conv.forward(&x, &mut tape);
            let (w, b) = (parameters.tensor("c.weight").unwrap(), parameters.tensor("c.bias").unwrap());
            let pixels: Vec<f32> = x.pixels().collect();
            for (got, expected) in tape.y.pixels().zip(naive(&pixels, side, w, b, channels)) {
                prop_assert!((got - expected).abs() < 1e-5, "{got} {expected}");
            }
        }
    }
}
