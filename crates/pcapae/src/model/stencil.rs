//! Stencils: the one engine under every convolution, and under its gradients.
//!
//! A convolution, strided or transposed too once its pictures are split into [phases](super::phases), is a list of
//! [`Link`]s: this output pixel gets that input pixel, so far away, times that parameter. From the list follow
//!
//! ```text
//! y[o, p]        += Σ_links  w · x[i, p + shift]          forward
//! x'[i, p]       += Σ_links  w · y'[o, p − shift]         gradient of the input: the same with the links turned round
//! w'             += Σ_p      y'[o, p] · x[i, p + shift]   gradient of the parameters
//! ```
//!
//! The two inner loops are compiled once more for AVX2 and for AVX-512, and the processor chooses; the sums are the same in
//! all three, lane by lane, since nothing is fused or reordered.

use std::collections::BTreeMap;

use super::planes::{Grid, LANES, Planes};

/// Outputs that are computed together.
const OUTPUTS: usize = 4;

/// Taps that are computed together: a row of a 5 × 5 kernel.
const TAPS: usize = 5;

/// One output plane takes from one input plane, shifted, times a parameter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub output: usize,
    pub input: usize,
    /// The input pixel lies so far below the output pixel …
    pub dy: isize,
    /// … and so far to the right; both within [`BORDER`](super::planes::BORDER).
    pub dx: isize,
    /// Index in the line of parameters.
    pub parameter: usize,
}

impl Link {
    /// The way back, from the output to the input.
    fn reversed(self) -> Link {
        Link { output: self.input, input: self.output, dy: -self.dy, dx: -self.dx, parameter: self.parameter }
    }
}

/// A linear map between planes of the same grid.
#[derive(Debug, Clone)]
pub(crate) struct Stencil {
    forward: Vec<Block>,
    backward: Vec<Block>,
}

impl Stencil {
    /// The map that `links` describe on pictures of `grid`; its weights are zero until [`load`](Stencil::load).
    pub fn new(grid: Grid, links: &[Link]) -> Stencil {
        let reversed: Vec<Link> = links.iter().map(|link| link.reversed()).collect();
        Stencil { forward: blocks(grid, links), backward: blocks(grid, &reversed) }
    }

    /// Takes its weights out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        for block in self.forward.iter_mut().chain(&mut self.backward) {
            for (weights, indices) in block.weights.iter_mut().zip(&block.parameters) {
                *weights = indices.map(|index| index.map_or(0.0, |index| parameters[index]));
            }
        }
    }

    /// y += W x.
    pub fn apply(&self, x: &Planes, y: &mut Planes) {
        self.forward.iter().for_each(|block| block.apply(x, y));
    }

    /// x' += Wᵀ y', the gradient of the input from that of the output.
    pub fn apply_transposed(&self, dy: &Planes, dx: &mut Planes) {
        self.backward.iter().for_each(|block| block.apply(dy, dx));
    }

    /// w' += Σ y'·x, the gradient of the parameters, added to theirs in `gradient`.
    pub fn add_gradient(&self, x: &Planes, dy: &Planes, gradient: &mut [f32]) {
        self.forward.iter().for_each(|block| block.add_gradient(x, dy, gradient));
    }
}

/// Up to [`OUTPUTS`] neighbouring output planes and all that they take.
#[derive(Debug, Clone)]
struct Block {
    /// The first output plane.
    first: usize,
    outputs: usize,
    /// Per tap: where in the input's data the body starts that is to be read.
    taps: Vec<usize>,
    /// Per tap: its weight for each output.
    weights: Vec<[f32; OUTPUTS]>,
    /// Per tap: where these weights come from; `None` where there is no link.
    parameters: Vec<[Option<usize>; OUTPUTS]>,
}

impl Block {
    fn apply(&self, x: &Planes, y: &mut Planes) {
        let (start, len, plane) = (y.grid().body_start(), y.grid().body_len(), y.grid().plane_len());
        // A block of fewer outputs computes the others too, with weights of zero, and drops them.
        let mut dropped = vec![0.0; if self.outputs < OUTPUTS { (OUTPUTS - 1) * len } else { 0 }];
        let outputs = y.data_mut()[self.first * plane..].chunks_exact_mut(plane).take(self.outputs);
        let mut bodies = outputs.map(|output| &mut output[start..][..len]).chain(dropped.chunks_exact_mut(len));
        let [y0, y1, y2, y3] = std::array::from_fn(|_| bodies.next().unwrap_or_default());
        for (taps, weights) in self.rows() {
            accumulate(y0, y1, y2, y3, taps.map(|tap| &x.data()[tap..][..len]), weights);
        }
        (self.first..self.first + self.outputs).for_each(|channel| y.clear_border(channel));
    }

    fn add_gradient(&self, x: &Planes, dy: &Planes, gradient: &mut [f32]) {
        let parameters = self.parameters.chunks(TAPS);
        for ((taps, _), parameters) in self.rows().zip(parameters) {
            for o in 0..self.outputs {
                let dy = dy.body(self.first + o);
                let products = correlate(dy, taps.map(|tap| &x.data()[tap..][..dy.len()]));
                for (index, product) in parameters.iter().zip(products) {
                    if let Some(index) = index[o] {
                        gradient[index] += product;
                    }
                }
            }
        }
    }

    /// The taps and their weights, [`TAPS`] at a time; the last row is filled up with taps of no weight.
    fn rows(&self) -> impl Iterator<Item = ([usize; TAPS], [[f32; OUTPUTS]; TAPS])> + '_ {
        self.taps.chunks(TAPS).zip(self.weights.chunks(TAPS)).map(|(taps, weights)| {
            let tap = |t: usize| taps.get(t).copied().unwrap_or(taps[0]);
            (std::array::from_fn(tap), std::array::from_fn(|t| weights.get(t).copied().unwrap_or_default()))
        })
    }
}

/// Groups links by output block, and within it by input pixel.
fn blocks(grid: Grid, links: &[Link]) -> Vec<Block> {
    let outputs = links.iter().map(|link| link.output + 1).max().unwrap_or(0);
    (0..outputs)
        .step_by(OUTPUTS)
        .map(|first| {
            let mut taps: BTreeMap<usize, [Option<usize>; OUTPUTS]> = BTreeMap::new();
            for link in links.iter().filter(|link| (first..first + OUTPUTS).contains(&link.output)) {
                let shift = link.dy * grid.stride() as isize + link.dx;
                let body = link.input * grid.plane_len() + grid.body_start();
                taps.entry(body.wrapping_add_signed(shift)).or_default()[link.output - first] = Some(link.parameter);
            }
            Block {
                first,
                outputs: OUTPUTS.min(outputs - first),
                weights: vec![[0.0; OUTPUTS]; taps.len()],
                parameters: taps.values().copied().collect(),
                taps: taps.into_keys().collect(),
            }
        })
        .collect()
}

/// y[o, p] += Σ_t w[t, o] · x[t, p] for [`TAPS`] inputs and [`OUTPUTS`] outputs, all of one length.
///
/// Every slice is an argument of its own and the loop over p is the only one: so the compiler knows that they do not overlap,
/// and turns it into vector code whatever else it does.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
#[rustfmt::skip]
fn accumulate(
    y0: &mut [f32], y1: &mut [f32], y2: &mut [f32], y3: &mut [f32],
    [x0, x1, x2, x3, x4]: [&[f32]; TAPS],
    [w0, w1, w2, w3, w4]: [[f32; OUTPUTS]; TAPS],
) {
    let n = y0.len();
    let (y1, y2, y3) = (&mut y1[..n], &mut y2[..n], &mut y3[..n]);
    let (x0, x1, x2, x3, x4) = (&x0[..n], &x1[..n], &x2[..n], &x3[..n], &x4[..n]);
    for p in 0..n {
        let (a, b, c, d, e) = (x0[p], x1[p], x2[p], x3[p], x4[p]);
        y0[p] += w0[0] * a + w1[0] * b + w2[0] * c + w3[0] * d + w4[0] * e;
        y1[p] += w0[1] * a + w1[1] * b + w2[1] * c + w3[1] * d + w4[1] * e;
        y2[p] += w0[2] * a + w1[2] * b + w2[2] * c + w3[2] * d + w4[2] * e;
        y3[p] += w0[3] * a + w1[3] * b + w2[3] * c + w3[3] * d + w4[3] * e;
    }
}

/// Σ_p y'[p] · x[t, p] for [`TAPS`] inputs, all of one length, a multiple of [`LANES`]; summed in [`LANES`] partial sums.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma", "x86_64+avx2+fma"))]
fn correlate(dy: &[f32], [x0, x1, x2, x3, x4]: [&[f32]; TAPS]) -> [f32; TAPS] {
    let zeros = [0f32; LANES];
    let (mut s0, mut s1, mut s2, mut s3, mut s4) = (zeros, zeros, zeros, zeros, zeros);
    let lanes = |x| <[f32]>::as_chunks::<LANES>(x).0.iter();
    let taps = lanes(x0).zip(lanes(x1)).zip(lanes(x2)).zip(lanes(x3)).zip(lanes(x4));
    for (dy, ((((a, b), c), d), e)) in lanes(dy).zip(taps) {
        for l in 0..LANES {
            s0[l] += dy[l] * a[l];
            s1[l] += dy[l] * b[l];
            s2[l] += dy[l] * c[l];
            s3[l] += dy[l] * d[l];
            s4[l] += dy[l] * e[l];
        }
    }
    [s0, s1, s2, s3, s4].map(|partial| partial.iter().sum())
}
