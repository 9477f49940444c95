//! F(4, 5) down the columns; along the rows the five taps are summed directly. For any width and any number of windows.

use std::ops::Range;

use super::scratch::WinogradScratch;
use super::strided::{conflict_free_stride, load_strided, padded_row, store_strided};
use super::transforms::{Columns, POINTS, TAPS, TILE, grad_weight_transform, output_transform};
use crate::feature_maps::{CHANNEL_BLOCK, Raster, WIDEST, for_columns};
use crate::output::Output;
use crate::simd::Simd;
use crate::weights::Weights;

/// Transformed weights: [point][block of outputs][input][tap][output of the block].
#[derive(Debug, Clone)]
pub(super) struct F4_5 {
    inputs: usize,
    blocks: usize,
    values: Vec<f32>,
}

impl F4_5 {
    pub fn new(weights: &Weights) -> F4_5 {
        let (inputs, blocks) = (weights.inputs(), weights.blocks());
        F4_5 { inputs, blocks, values: vec![0.0; POINTS * blocks * inputs * TAPS * CHANNEL_BLOCK] }
    }

    /// Loads one transformed kernel.
    pub fn load(&mut self, kernel: usize, columns: &Columns) {
        let per_point = self.blocks * self.inputs * TAPS * CHANNEL_BLOCK;
        for (values, taps) in self.values.chunks_exact_mut(per_point).zip(columns) {
            values[kernel * TAPS * CHANNEL_BLOCK..][..TAPS * CHANNEL_BLOCK].copy_from_slice(taps.as_flattened());
        }
    }

    /// Adds the convolution of a row of tiles, whose transformed inputs are in `scratch`, to the initialised outputs.
    pub fn row_of_tiles<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        tile: usize,
        outputs: &mut [Output],
        scratch: &mut WinogradScratch,
    ) {
        scratch.sums.grow(POINTS * self.blocks * CHANNEL_BLOCK * WIDEST * S::LANES);
        s.vectorize(
            #[inline(always)]
            || {
                for_columns!(S, raster.row_len(), S::LANES, |x, Q| {
                    self.columns::<S, Q>(s, raster, tile, x, outputs, scratch)
                });
            },
        );
    }

    /// `Q` vectors of columns of one row of tiles.
    #[inline(always)]
    fn columns<S: Simd, const Q: usize>(
        &self,
        s: S,
        raster: &Raster,
        tile: usize,
        x: usize,
        outputs: &mut [Output],
        scratch: &mut WinogradScratch,
    ) {
        let row = padded_row(raster);
        let weights = self.values.chunks_exact(self.inputs * TAPS * CHANNEL_BLOCK);
        let sums = scratch.sums.chunks_exact_mut(CHANNEL_BLOCK * Q * S::LANES);
        for ((number, weights), sums) in weights.enumerate().zip(sums) {
            let points =
                &scratch.inputs[number / self.blocks * conflict_free_stride(self.inputs * row)..][..self.inputs * row];
            let acc = multiply::<S, Q>(s, raster, x, points, row, weights);
            for (c, acc) in acc.into_iter().enumerate() {
                store_strided(s, acc, sums, c * Q * S::LANES, S::LANES);
            }
        }
        let mut first = 0;
        for output in outputs {
            let channels = output.feature_maps.len() / raster.size;
            for c in 0..channels {
                for q in 0..Q {
                    let place = ((first + c) * Q + q) * S::LANES;
                    let at_points = load_strided(s, &scratch.sums, place, self.blocks * CHANNEL_BLOCK * Q * S::LANES);
                    let rows = output_transform(s, at_points).map(|row| [row]);
                    output.write(s, raster, c, [tile * TILE, x + q * S::LANES], rows, |sum| sum);
                }
            }
            first += channels;
        }
    }

    /// For every point, output, input and tap: adds the products of a few rows of transformed tiles in `scratch`, lane by lane.
    pub fn add_products<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        tiles: Range<usize>,
        sizes: [usize; 2],
        scratch: &mut WinogradScratch,
    ) {
        scratch.products.grow(POINTS * self.blocks * self.inputs * CHANNEL_BLOCK * TAPS * S::LANES);
        s.vectorize(
            #[inline(always)]
            || self.add_dot_products(s, raster, tiles, sizes, scratch),
        );
    }

    #[inline(always)]
    fn add_dot_products<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        tiles: Range<usize>,
        sizes: [usize; 2],
        scratch: &mut WinogradScratch,
    ) {
        let (row, width) = (padded_row(raster), conflict_free_stride(raster.row_len()));
        let WinogradScratch { inputs, grad_output, products, .. } = scratch;
        let mut products = products.chunks_exact_mut(CHANNEL_BLOCK * TAPS * S::LANES);
        let dots = DotProducts { raster, first: tiles.start == 0, tiles: tiles.len(), strides: sizes };
        for p in 0..POINTS {
            for block in 0..self.blocks {
                let grad_output = &grad_output[(p * self.blocks + block) * CHANNEL_BLOCK * width..];
                for (input, products) in (0..self.inputs).zip(&mut products) {
                    let input = &inputs[p * conflict_free_stride(self.inputs * row) + input * row..];
                    if S::MANY_REGISTERS {
                        dots.add::<S, CHANNEL_BLOCK>(s, input, grad_output, products);
                    } else {
                        let (above, below) = products.split_at_mut(CHANNEL_BLOCK / 2 * TAPS * S::LANES);
                        dots.add::<S, { CHANNEL_BLOCK / 2 }>(s, input, grad_output, above);
                        dots.add::<S, { CHANNEL_BLOCK / 2 }>(
                            s,
                            input,
                            &grad_output[CHANNEL_BLOCK / 2 * width..],
                            below,
                        );
                    }
                }
            }
        }
    }

    /// Adds up the lanes and transforms the sums to the weights' gradient.
    pub fn collect<S: Simd>(&self, s: S, weights: &Weights, products: &[f32], gradient: &mut [f32]) {
        s.vectorize(
            #[inline(always)]
            || {
                let per_kernel = CHANNEL_BLOCK * TAPS * S::LANES;
                let per_point = self.blocks * self.inputs * per_kernel;
                for (kernel, index) in weights.kernels().enumerate() {
                    for i in 0..CHANNEL_BLOCK * TAPS {
                        let (output, kx) = (i / TAPS, i % TAPS);
                        let place = kernel * per_kernel + i * S::LANES;
                        let sums = grad_weight_transform(s, load_strided(s, products, place, per_point));
                        for (ky, sum) in sums.into_iter().enumerate() {
                            if let Some(parameter) = index(output, ky * TAPS + kx) {
                                gradient[parameter] += s.sum(sum);
                            }
                        }
                    }
                }
            },
        );
    }
}

/// At one point: the sum over inputs and five taps, for a block of outputs and `Q` vectors of columns.
#[inline(always)]
fn multiply<S: Simd, const Q: usize>(
    s: S,
    raster: &Raster,
    x: usize,
    points: &[f32],
    row: usize,
    weights: &[f32],
) -> [[S::F; Q]; CHANNEL_BLOCK] {
    let windows = raster.windows;
    let mut acc = [[s.splat(0.0); Q]; CHANNEL_BLOCK];
    for (input, weights) in points.chunks_exact(row).zip(weights.as_chunks::<{ TAPS * CHANNEL_BLOCK }>().0) {
        let input = &input[x..x + (TAPS - 1) * windows + Q * S::LANES];
        for kx in 0..TAPS {
            // SAFETY: kx < TAPS and q < Q, and the slice ends behind the last vector.
            let load = |q: usize| unsafe { s.load_at(input, kx * windows + q * S::LANES) };
            let taps: [S::F; Q] = std::array::from_fn(load);
            for (acc, w) in acc.iter_mut().zip(&weights[kx * CHANNEL_BLOCK..]) {
                let w = s.splat(*w);
                for (acc, tap) in acc.iter_mut().zip(taps) {
                    *acc = s.mul_add(w, tap, *acc);
                }
            }
        }
    }
    acc
}

/// Dot products of an input with the gradients of some outputs, for each tap, over a few rows of tiles.
struct DotProducts<'a> {
    raster: &'a Raster,
    /// Whether these are the first tiles, before which the products are zero.
    first: bool,
    tiles: usize,
    /// Floats from a row of tiles to the next: of the input, of `grad_output`.
    strides: [usize; 2],
}

impl DotProducts<'_> {
    /// Adds those of one input and `C` outputs, whose first tiles begin with the slices.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "sums, grad_output and taps are indexed alike")]
    fn add<S: Simd, const C: usize>(&self, s: S, input: &[f32], grad_output: &[f32], products: &mut [f32]) {
        let (windows, width) = (self.raster.windows, conflict_free_stride(self.raster.row_len()));
        let end = self.raster.row_len().next_multiple_of(S::LANES);
        let mut acc = [[s.splat(0.0); TAPS]; C];
        if !self.first {
            acc = std::array::from_fn(|c| std::array::from_fn(|kx| s.load(&products[(c * TAPS + kx) * S::LANES..])));
        }
        for tile in 0..self.tiles {
            let input = &input[tile * self.strides[0]..][..end + (TAPS - 1) * windows];
            let grad_output = &grad_output[tile * self.strides[1]..];
            let rows: [&[f32]; C] = std::array::from_fn(|c| &grad_output[c * width..][..end]);
            for x in (0..end).step_by(S::LANES) {
                // SAFETY: the rows end at `end`, a multiple of the vector's length; the input has four taps more.
                let grad_output: [S::F; C] = std::array::from_fn(|c| unsafe { s.load_at(rows[c], x) });
                for kx in 0..TAPS {
                    let tap = unsafe { s.load_at(input, x + kx * windows) };
                    for c in 0..C {
                        acc[c][kx] = s.mul_add(tap, grad_output[c], acc[c][kx]);
                    }
                }
            }
        }
        for (c, acc) in acc.iter().enumerate() {
            for (kx, acc) in acc.iter().enumerate() {
                s.store(*acc, &mut products[(c * TAPS + kx) * S::LANES..]);
            }
        }
    }
}
