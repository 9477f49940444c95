//! A convolution, perhaps with a stride of two, and its leaky rectifier.

use std::ops::Range;

use super::activation::{differentiate_leaky, leaky};
use super::parameters::{Layout, Start};
use super::phases::{PHASES, merge, parity_and_shift, phases_of, split};
use super::planes::{Grid, Planes, sum};
use super::stencil::{Link, Stencil};

/// From one output pixel to the next, in pixels of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stride {
    /// The output has the side of the input.
    One,
    /// The output has half the side of the input.
    Two,
}

/// y = leaky(W ∗ x + b) with an odd kernel k × k and ⌊k/2⌋ zeros around the picture (a cross-correlation, as everywhere in
/// machine learning).
#[derive(Debug, Clone)]
pub(crate) struct Conv {
    stride: Stride,
    input: Grid,
    channels_in: usize,
    output: Grid,
    channels_out: usize,
    map: Stencil,
    bias: Range<usize>,
    bias_values: Vec<f32>,
}

/// What the way back needs, and room for it.
#[derive(Debug, Clone)]
pub(crate) struct ConvTape {
    pub y: Planes,
    /// With a stride of two, the input's phases.
    phases: Option<Planes>,
}

impl Conv {
    /// Declares `weight` [out, in, k, k] and `bias` [out] under `name`.
    pub fn new(layout: &mut Layout, name: &str, input: Grid, [out, r#in, k]: [usize; 3], stride: Stride) -> Conv {
        let shape = [out, r#in, k, k];
        let start = Start::of_weight(&shape);
        let weight = layout.declare(format!("{name}.weight"), &shape, start);
        let bias = layout.declare(format!("{name}.bias"), &[out], start);
        let output = match stride {
            Stride::One => input,
            Stride::Two => Grid { side: input.side / 2 },
        };
        let links = match stride {
            Stride::One => links(weight.start, shape, 0..r#in),
            Stride::Two => strided_links(weight.start, shape),
        };
        let map = Stencil::new(output, &links);
        Conv { stride, input, channels_in: r#in, output, channels_out: out, map, bias, bias_values: vec![0.0; out] }
    }

    /// Takes its weights out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        self.map.load(parameters);
        self.bias_values.copy_from_slice(&parameters[self.bias.clone()]);
    }

    /// Room for one step.
    pub fn tape(&self) -> ConvTape {
        let phases = (self.stride == Stride::Two).then(|| phases_of(self.input, self.channels_in));
        ConvTape { y: Planes::zeros(self.output, self.channels_out), phases }
    }

    /// Computes `tape.y` from x.
    pub fn forward(&self, x: &Planes, tape: &mut ConvTape) {
        for (c, bias) in self.bias_values.iter().enumerate() {
            tape.y.fill(c, *bias);
        }
        if let Some(phases) = &mut tape.phases {
            split(x, phases);
            self.map.apply(phases, &mut tape.y);
        } else {
            self.map.apply(x, &mut tape.y);
        }
        leaky(&mut tape.y);
    }

    /// Adds the parameters' gradients; replaces y' by the gradient before the rectifier, and the input's phases by their
    /// gradient.
    ///
    /// Call [`input_gradient`](Conv::input_gradient) after it where x' is wanted.
    pub fn backward(&self, x: &Planes, tape: &ConvTape, dy: &mut Planes, gradient: &mut [f32]) {
        differentiate_leaky(&tape.y, dy);
        for c in 0..self.channels_out {
            gradient[self.bias.start + c] += sum(dy.body(c));
        }
        self.map.add_gradient(tape.phases.as_ref().unwrap_or(x), dy, gradient);
    }

    /// Overwrites x' from the gradient that [`backward`](Conv::backward) left in `dy`; the tape's phases are spent.
    pub fn input_gradient(&self, tape: &mut ConvTape, dy: &Planes, dx: &mut Planes) {
        if let Some(phases) = &mut tape.phases {
            phases.clear();
            self.map.apply_transposed(dy, phases);
            merge(phases, dx);
        } else {
            dx.clear();
            self.map.apply_transposed(dy, dx);
        }
    }
}

/// The links of a convolution of stride one with a weight [out, in, k, k] that starts at `weight`, restricted to the input
/// channels `inputs`, which become planes 0, 1, ...
pub(crate) fn links(weight: usize, [out, r#in, k, _]: [usize; 4], inputs: Range<usize>) -> Vec<Link> {
    let reach = (k / 2) as isize;
    let mut links = Vec::new();
    for output in 0..out {
        for channel in inputs.clone() {
            for ky in 0..k {
                for kx in 0..k {
                    links.push(Link {
                        output,
                        input: channel - inputs.start,
                        dy: ky as isize - reach,
                        dx: kx as isize - reach,
                        parameter: weight + ((output * r#in + channel) * k + ky) * k + kx,
                    });
                }
            }
        }
    }
    links
}

/// The links of a convolution of stride two from the [phases](super::phases) of its input.
fn strided_links(weight: usize, shape: [usize; 4]) -> Vec<Link> {
    let channels_in = shape[1];
    let mut links = links(weight, shape, 0..channels_in);
    for link in &mut links {
        let ((py, dy), (px, dx)) = (parity_and_shift(link.dy), parity_and_shift(link.dx));
        let phase = 2 * py + px;
        debug_assert!(phase < PHASES);
        *link = Link { input: phase * channels_in + link.input, dy, dx, ..*link };
    }
    links
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::parameters::Parameters;

    /// The definition, loop by loop.
    fn naive(x: &[f32], side: usize, w: &[f32], b: &[f32], [out, r#in, k]: [usize; 3], stride: usize) -> Vec<f32> {
        let (half, small) = (k as isize / 2, side / stride);
        let mut y = vec![0f32; out * small * small];
        for o in 0..out {
            for row in 0..small {
                for column in 0..small {
                    let mut z = f64::from(b[o]);
                    for i in 0..r#in {
                        for ky in 0..k {
                            for kx in 0..k {
                                let sy = (row * stride + ky) as isize - half;
                                let sx = (column * stride + kx) as isize - half;
                                let inside = 0..side as isize;
                                if inside.contains(&sy) && inside.contains(&sx) {
                                    let pixel = x[(i * side + sy as usize) * side + sx as usize];
                                    z += f64::from(w[((o * r#in + i) * k + ky) * k + kx]) * f64::from(pixel);
                                }
                            }
                        }
                    }
                    y[(o * small + row) * small + column] = if z > 0.0 { z as f32 } else { 0.2 * z as f32 };
                }
            }
        }
        y
    }

    proptest! {
        #[test]
        fn it_equals_its_definition(
            half_side in 2usize..9, out in 1usize..6, r#in in 1usize..5, reach in 0usize..3, two in any::<bool>(), seed: u64,
        ) {
            let (side, k) = (2 * half_side, 2 * reach + 1);
            let stride = if two { Stride::Two } else { Stride::One };
            let mut layout = Layout::default();
            let mut conv = Conv::new(&mut layout, "c", Grid { side }, [out, r#in, k], stride);
            let parameters = Parameters::random(layout, seed);
            conv.load(parameters.values());
            let mut x = Planes::zeros(Grid { side }, r#in);
            x.set_pixels((0..r#in * side * side).map(|i| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0));
            let mut tape = conv.tape();
            conv.forward(&x, &mut tape);
            let (w, b) = (parameters.tensor("c.weight").unwrap(), parameters.tensor("c.bias").unwrap());
            let pixels: Vec<f32> = x.pixels().collect();
            let expected = naive(&pixels, side, w, b, [out, r#in, k], if two { 2 } else { 1 });
            for (got, expected) in tape.y.pixels().zip(expected) {
                prop_assert!((got - expected).abs() < 1e-5, "{got} {expected}");
            }
        }
    }
}
