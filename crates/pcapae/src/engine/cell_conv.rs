//! The convolutions inside the cells: 5 × 5, or 25 taps in a line, between quads of channels.

use super::planes::Raster;
use super::simd::Simd;
use super::stencil::{Finish, Link, Stencil};
use super::winograd::{Winograd, WinogradScratch};
use crate::fragment::Shape;

/// Channels that are computed together: those of a state, or of a gate.
pub(crate) const QUAD: usize = 4;

/// Taps of a kernel.
pub(crate) const TAPS: usize = 25;

/// Which parameter is the weight from an input through a tap to an output, for all of them.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    inputs: usize,
    quads: usize,
    /// [quad][input][output of the quad][tap].
    places: Vec<Option<u32>>,
}

impl Weights {
    /// `place(output, input, tap)` is the parameter, or nothing where there is no such output.
    pub fn new(inputs: usize, quads: usize, place: impl Fn(usize, usize, usize) -> Option<usize>) -> Weights {
        let mut places = Vec::with_capacity(quads * inputs * QUAD * TAPS);
        for quad in 0..quads {
            for input in 0..inputs {
                for output in quad * QUAD..(quad + 1) * QUAD {
                    places.extend((0..TAPS).map(|tap| place(output, input, tap).map(|place| place as u32)));
                }
            }
        }
        Weights { inputs, quads, places }
    }

    /// How many channels come in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many quads of channels go out.
    pub fn quads(&self) -> usize {
        self.quads
    }

    /// For each quad and, within it, each input: the place of the weight by output of the quad and tap.
    pub fn kernels(&self) -> impl Iterator<Item = impl Fn(usize, usize) -> Option<usize>> {
        (0..self.quads * self.inputs).map(|number| self.kernel(number))
    }

    /// One of them.
    pub fn kernel(&self, number: usize) -> impl Fn(usize, usize) -> Option<usize> {
        let places = &self.places[number * QUAD * TAPS..][..QUAD * TAPS];
        move |output: usize, tap: usize| places[output * TAPS + tap].map(|place| place as usize)
    }
}

/// Where the sums of a convolution go, channel after channel, and what they start with.
pub(crate) struct Output<'a> {
    pub planes: &'a mut [f32],
    pub start: Start<'a>,
}

/// What a sum starts with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start<'a> {
    Zero,
    /// A value for each channel; where there are fewer values, again from the first.
    Values(&'a [f32]),
    /// What is there.
    Present,
}

impl Output<'_> {
    /// Writes `Q` vectors of `R` rows of a channel from pixel and window `x` on, each sum after `finish`.
    #[inline(always)]
    pub fn write<S: Simd, const R: usize, const Q: usize>(
        &mut self,
        s: S,
        raster: &Raster,
        channel: usize,
        [y, x]: [usize; 2],
        sums: [[S::F; Q]; R],
        finish: impl Fn(S::F) -> S::F,
    ) {
        let plane = &mut self.planes[channel * raster.size..(channel + 1) * raster.size];
        let value = match self.start {
            Start::Values(values) => s.splat(values[channel % values.len()]),
            Start::Zero | Start::Present => s.splat(0.0),
        };
        let present = matches!(self.start, Start::Present);
        let count = raster.row_len() - x;
        let place = |r: usize, q: usize| raster.row(y + r) + x + q * S::LANES;
        if count >= Q * S::LANES {
            assert!(place(R - 1, Q) <= plane.len());
            for (r, sums) in sums.into_iter().enumerate() {
                for (q, sum) in sums.into_iter().enumerate() {
                    // SAFETY: that of the last row and vector is the farthest, and ends in the plane, as asserted.
                    unsafe {
                        let start = if present { s.load_at(plane, place(r, q)) } else { value };
                        s.store_at(finish(s.add(start, sum)), plane, place(r, q));
                    }
                }
            }
            return;
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (q, sum) in sums.into_iter().enumerate() {
                let (place, count) = (&mut plane[place(r, q)..], count - q * S::LANES);
                let start = if present { s.load_first(place, count) } else { value };
                s.store_first(finish(s.add(start, sum)), place, count);
            }
        }
    }
}

/// A convolution between quads of channels, in the way that suits the shape.
#[derive(Debug, Clone)]
pub(crate) struct CellConv {
    weights: Weights,
    method: Method,
}

#[derive(Debug, Clone)]
enum Method {
    Winograd(Winograd),
    Stencil(Stencil),
}

impl CellConv {
    pub fn new(shape: Shape, weights: Weights) -> CellConv {
        let method = match shape {
            Shape::Square => Method::Winograd(Winograd::new(&weights)),
            Shape::Line => Method::Stencil(Stencil::new(&line_links(&weights), weights.quads() * QUAD)),
        };
        CellConv { weights, method }
    }

    /// Takes the weights out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        match &mut self.method {
            Method::Winograd(winograd) => winograd.load(&self.weights, parameters),
            Method::Stencil(stencil) => stencil.load(parameters),
        }
    }

    /// Adds the convolution of `inputs`, whole channels one after the other, to what the outputs start with, quad after quad.
    pub fn apply<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        outputs: &mut [Output],
        scratch: &mut WinogradScratch,
    ) {
        match &self.method {
            Method::Winograd(winograd) => winograd.apply(s, raster, inputs, outputs, scratch),
            Method::Stencil(stencil) => stencil.apply(s, raster, inputs, outputs, Finish::Nothing),
        }
    }

    /// Adds the gradient of every weight, where `slopes` holds that of all outputs.
    pub fn add_gradient<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        slopes: &[&[f32]],
        gradient: &mut [f32],
        scratch: &mut WinogradScratch,
    ) {
        match &self.method {
            Method::Winograd(winograd) => {
                winograd.add_gradient(s, raster, &self.weights, inputs, slopes, gradient, scratch)
            }
            Method::Stencil(stencil) => stencil.add_gradient(s, raster, inputs, slopes, gradient),
        }
    }
}

/// 25 taps in a row, the middle one on the pixel.
fn line_links(weights: &Weights) -> Vec<Link> {
    let mut links = Vec::new();
    for (kernel, place) in weights.kernels().enumerate() {
        let (quad, input) = (kernel / weights.inputs(), kernel % weights.inputs());
        for output in 0..QUAD {
            for tap in 0..TAPS {
                if let Some(parameter) = place(output, tap) {
                    let dx = tap as isize - (TAPS / 2) as isize;
                    links.push(Link { output: quad * QUAD + output, input, dy: 0, dx, parameter });
                }
            }
        }
    }
    links
}
