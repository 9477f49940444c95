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

/// Outputs that are computed together, in registers.
const OUTPUTS: usize = 4;

/// Taps whose weight gradients are computed together, in registers: a row of a 5 × 5 kernel.
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
        let plane = y.grid().plane_len();
        let body = Body { start: y.grid().body_start(), len: y.grid().body_len(), plane };
        let outputs = &mut y.data_mut()[self.first * plane..][..self.outputs * plane];
        accumulate(&self.taps, &self.weights, x.data(), outputs, body);
        (self.first..self.first + self.outputs).for_each(|channel| y.clear_border(channel));
    }

    fn add_gradient(&self, x: &Planes, dy: &Planes, gradient: &mut [f32]) {
        // A block of fewer outputs computes the last one several times and drops what has no parameter.
        let dy: [&[f32]; OUTPUTS] = std::array::from_fn(|o| dy.body(self.first + o.min(self.outputs - 1)));
        let mut add = |tap: usize, products: [f32; OUTPUTS]| {
            for (index, product) in self.parameters[tap].iter().zip(products) {
                if let Some(index) = index {
                    gradient[*index] += product;
                }
            }
        };
        let (rows, rest) = self.taps.as_chunks::<TAPS>();
        for (row, taps) in rows.iter().enumerate() {
            let products = correlate(taps, x.data(), dy);
            (0..TAPS).for_each(|t| add(row * TAPS + t, products[t]));
        }
        for (t, tap) in rest.iter().enumerate() {
            let [products] = correlate(&[*tap], x.data(), dy);
            add(rows.len() * TAPS + t, products);
        }
    }
}

/// Where the bodies lie in a run of planes.
#[derive(Clone, Copy)]
struct Body {
    start: usize,
    len: usize,
    plane: usize,
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

/// Adds to each output plane the inputs at `taps` times their weights: [`OUTPUTS`] × [`LANES`] sums stay in registers.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2", "x86_64+avx2"))]
fn accumulate(taps: &[usize], weights: &[[f32; OUTPUTS]], x: &[f32], y: &mut [f32], body: Body) {
    for p in (0..body.len).step_by(LANES) {
        let mut sums = [[0f32; LANES]; OUTPUTS];
        for (&tap, w) in taps.iter().zip(weights) {
            let x = &x[tap + p..][..LANES];
            for o in 0..OUTPUTS {
                for l in 0..LANES {
                    sums[o][l] += w[o] * x[l];
                }
            }
        }
        for (y, sums) in y.chunks_exact_mut(body.plane).zip(&sums) {
            for (y, sum) in y[body.start + p..][..LANES].iter_mut().zip(sums) {
                *y += sum;
            }
        }
    }
}

/// Σ_p y'[o, p] · x[tap + p] for each of `N` taps and each output.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2", "x86_64+avx2"))]
fn correlate<const N: usize>(taps: &[usize; N], x: &[f32], dy: [&[f32]; OUTPUTS]) -> [[f32; OUTPUTS]; N] {
    /// Partial sums a product; few enough that all of them stay in registers.
    const PARTS: usize = 8;
    let mut sums = [[[0f32; PARTS]; OUTPUTS]; N];
    let len = dy[0].len();
    let x: [&[f32]; N] = taps.map(|tap| &x[tap..][..len]);
    for p in (0..len).step_by(PARTS) {
        for t in 0..N {
            let x = &x[t][p..][..PARTS];
            for o in 0..OUTPUTS {
                let dy = &dy[o][p..][..PARTS];
                for l in 0..PARTS {
                    sums[t][o][l] += dy[l] * x[l];
                }
            }
        }
    }
    sums.map(|sums| sums.map(|parts| parts.iter().sum()))
}
