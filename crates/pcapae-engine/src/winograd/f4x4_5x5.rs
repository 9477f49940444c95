//! F(4×4, 5×5): sixteen pixels of the output take 64 products instead of 400.
//!
//! A vector must hold the same pixel of several tiles: one tile of each of many windows, or two tiles of half as many.

use std::ops::Range;

use super::scratch::WinogradScratch;
use super::strided::{conflict_free_stride, load_strided, padded_row, store_strided};
use super::transforms::{
    Columns, G, POINTS, TAPS, TILE, grad_output_transform, grad_weight_transform, input_transform, output_transform,
};
use crate::feature_maps::{CHANNEL_BLOCK, Raster, WIDEST, for_columns};
use crate::output::Output;
use crate::simd::Simd;
use crate::weights::Weights;

/// Transformed weights: [point down][block of outputs][point along][input][output of the block].
#[derive(Debug, Clone)]
pub(super) struct F4x4_5x5 {
    inputs: usize,
    blocks: usize,
    values: Vec<[f32; CHANNEL_BLOCK]>,
}

/// Inputs whose products with a block of outputs are summed at once.
const TOGETHER: usize = 4;

/// Products that are summed at once.
const PAIRS: usize = CHANNEL_BLOCK * TOGETHER;

impl F4x4_5x5 {
    pub fn new(weights: &Weights) -> F4x4_5x5 {
        let (inputs, blocks) = (weights.inputs(), weights.blocks());
        F4x4_5x5 { inputs, blocks, values: vec![[0.0; CHANNEL_BLOCK]; POINTS * blocks * POINTS * inputs] }
    }

    /// Loads one kernel, transformed down the columns.
    pub fn load(&mut self, kernel: usize, columns: &Columns) {
        let (block, input) = (kernel / self.inputs, kernel % self.inputs);
        for (down, taps) in columns.iter().enumerate() {
            for (along, g) in G.iter().enumerate() {
                let mut value = [0.0; CHANNEL_BLOCK];
                for (taps, g) in taps.iter().zip(g) {
                    value.iter_mut().zip(taps).for_each(|(value, tap)| *value += g * tap);
                }
                self.values[((down * self.blocks + block) * POINTS + along) * self.inputs + input] = value;
            }
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
        let widest = WIDEST * S::LANES;
        scratch.inputs_2d.grow(POINTS * conflict_free_stride(self.inputs * widest));
        scratch.sums.grow(POINTS * conflict_free_stride(CHANNEL_BLOCK * widest));
        scratch.rows.grow(POINTS * conflict_free_stride(self.blocks * CHANNEL_BLOCK * TILE * widest));
        let tiles = raster.grid.width / TILE;
        s.vectorize(
            #[inline(always)]
            || {
                if raster.windows == S::LANES {
                    for_columns!(S, tiles, 1, |first, Q| {
                        self.tiles::<S, 1, Q>(s, raster, [tile, first], outputs, scratch)
                    });
                } else {
                    for_columns!(S, tiles / 2, 1, |first, Q| {
                        self.tiles::<S, 2, Q>(s, raster, [tile, first], outputs, scratch)
                    });
                }
            },
        );
    }

    /// `Q` vectors of tiles, `P` tiles in each.
    #[inline(always)]
    fn tiles<S: Simd, const P: usize, const Q: usize>(
        &self,
        s: S,
        raster: &Raster,
        [tile, first]: [usize; 2],
        outputs: &mut [Output],
        scratch: &mut WinogradScratch,
    ) {
        let row = padded_row(raster);
        let per_quad = CHANNEL_BLOCK * TILE * Q * S::LANES;
        let per_point = conflict_free_stride(self.blocks * per_quad);
        let weights = self.values.chunks_exact(self.blocks * POINTS * self.inputs);
        for (down, weights) in weights.enumerate() {
            let lines =
                scratch.inputs[down * conflict_free_stride(self.inputs * row)..].chunks_exact(row).take(self.inputs);
            for (i, line) in lines.enumerate() {
                let offsets = |q: usize| [(first + q) * TILE * S::LANES, (i * Q + q) * S::LANES];
                let stride = conflict_free_stride(self.inputs * Q * S::LANES);
                for [from, to] in (0..Q).map(offsets) {
                    let pixels = load_pixels::<S, P, POINTS>(s, line, from);
                    store_strided(s, input_transform(s, pixels), &mut scratch.inputs_2d, to, stride);
                }
            }
            for (block, weights) in weights.chunks_exact(POINTS * self.inputs).enumerate() {
                self.multiply::<S, Q>(s, &scratch.inputs_2d, weights, &mut scratch.sums);
                let rows = &mut scratch.rows[down * per_point + block * per_quad..][..per_quad];
                output_transform_rows::<S, P, Q>(s, &scratch.sums, rows);
            }
        }
        let mut vectors = (0..).step_by(S::LANES);
        for output in outputs {
            for c in 0..output.feature_maps.len() / raster.size {
                for (x, place) in (first * TILE..(first + Q) * TILE).zip(&mut vectors) {
                    let rows = output_transform(s, load_strided(s, &scratch.rows, place, per_point)).map(|row| [row]);
                    output.write(s, raster, c, [tile * TILE, x * S::LANES], rows, |sum| sum);
                }
            }
        }
    }

    /// The sums over the inputs at every point along the rows, for a block of outputs.
    #[inline(always)]
    fn multiply<S: Simd, const Q: usize>(
        &self,
        s: S,
        inputs: &[f32],
        weights: &[[f32; CHANNEL_BLOCK]],
        sums: &mut [f32],
    ) {
        let per_point = self.inputs * Q * S::LANES;
        let sums_stride = conflict_free_stride(CHANNEL_BLOCK * Q * S::LANES);
        for (p, weights) in weights.chunks_exact(self.inputs).enumerate() {
            let inputs = &inputs[p * conflict_free_stride(per_point)..][..per_point];
            let mut acc = [[s.splat(0.0); Q]; CHANNEL_BLOCK];
            for (input, weights) in inputs.chunks_exact(Q * S::LANES).zip(weights) {
                let input: [S::F; Q] = load_strided(s, input, 0, S::LANES);
                for (acc, w) in acc.iter_mut().zip(weights) {
                    let w = s.splat(*w);
                    for (acc, input) in acc.iter_mut().zip(input) {
                        *acc = s.mul_add(w, input, *acc);
                    }
                }
            }
            for (c, acc) in acc.into_iter().enumerate() {
                store_strided(s, acc, sums, p * sums_stride + c * Q * S::LANES, S::LANES);
            }
        }
    }

    /// For every point and pair of output and input: adds the products of a few rows of transformed tiles in `scratch`.
    pub fn add_products<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        tiles: Range<usize>,
        sizes: [usize; 2],
        scratch: &mut WinogradScratch,
    ) {
        let vectors = tiles.len() * raster.row_len() / TILE;
        scratch.inputs_2d.grow(POINTS * conflict_free_stride(self.inputs * vectors));
        scratch.grad_output_2d.grow(POINTS * conflict_free_stride(self.blocks * CHANNEL_BLOCK * vectors));
        scratch.products.grow(POINTS * POINTS * self.groups() * PAIRS);
        if tiles.start == 0 {
            scratch.products.fill(0.0);
        }
        s.vectorize(
            #[inline(always)]
            || {
                if raster.windows == S::LANES {
                    self.add_products_of::<S, 1>(s, raster, tiles, sizes, scratch);
                } else {
                    self.add_products_of::<S, 2>(s, raster, tiles, sizes, scratch);
                }
            },
        );
    }

    /// With `P` tiles in each vector.
    #[inline(always)]
    fn add_products_of<S: Simd, const P: usize>(
        &self,
        s: S,
        raster: &Raster,
        tiles: Range<usize>,
        sizes: [usize; 2],
        scratch: &mut WinogradScratch,
    ) {
        let (row, width, outputs) =
            (padded_row(raster), conflict_free_stride(raster.row_len()), self.blocks * CHANNEL_BLOCK);
        let per_row = raster.grid.width / TILE / P;
        let vectors = tiles.len() * per_row;
        let WinogradScratch { inputs, grad_output, inputs_2d, grad_output_2d, products, .. } = scratch;
        for (down, products) in products.chunks_exact_mut(POINTS * self.groups() * PAIRS).take(POINTS).enumerate() {
            for tile in 0..tiles.len() {
                let from = tile * sizes[0] + down * conflict_free_stride(self.inputs * row);
                for (i, line) in inputs[from..].chunks_exact(row).take(self.inputs).enumerate() {
                    for v in 0..per_row {
                        let at_points = input_transform(s, load_pixels::<S, P, POINTS>(s, line, v * TILE * S::LANES));
                        let to = (i * vectors + tile * per_row + v) * S::LANES;
                        store_strided(
                            s,
                            at_points,
                            inputs_2d,
                            to,
                            conflict_free_stride(self.inputs * vectors * S::LANES),
                        );
                    }
                }
                let from = tile * sizes[1] + down * outputs * width;
                for (c, line) in grad_output[from..].chunks_exact(width).take(outputs).enumerate() {
                    for v in 0..per_row {
                        let at_points =
                            grad_output_transform(s, load_pixels::<S, P, TILE>(s, line, v * TILE * S::LANES));
                        let to = (c * vectors + tile * per_row + v) * S::LANES;
                        store_strided(
                            s,
                            at_points,
                            grad_output_2d,
                            to,
                            conflict_free_stride(outputs * vectors * S::LANES),
                        );
                    }
                }
            }
            let line = vectors * S::LANES;
            for (along, products) in products.chunks_exact_mut(self.groups() * PAIRS).enumerate() {
                let inputs = &inputs_2d[along * conflict_free_stride(self.inputs * line)..][..self.inputs * line];
                let grad_output = &grad_output_2d[along * conflict_free_stride(outputs * line)..][..outputs * line];
                let mut products = products.as_chunks_mut::<PAIRS>().0.iter_mut();
                for grad_output in grad_output.chunks_exact(CHANNEL_BLOCK * line) {
                    for (inputs, products) in inputs.chunks(TOGETHER * line).zip(&mut products) {
                        let sums = match inputs.len() / line {
                            1 => pairs::<S, 1>(s, inputs, grad_output, line),
                            2 => pairs::<S, 2>(s, inputs, grad_output, line),
                            3 => pairs::<S, 3>(s, inputs, grad_output, line),
                            _ => pairs::<S, TOGETHER>(s, inputs, grad_output, line),
                        };
                        products.iter_mut().zip(sums).for_each(|(product, sum)| *product += sum);
                    }
                }
            }
        }
    }

    /// How many groups of pairs there are.
    fn groups(&self) -> usize {
        self.blocks * self.inputs.div_ceil(TOGETHER)
    }

    /// Transforms the sums to the weights' gradient.
    pub fn collect<S: Simd>(&self, s: S, weights: &Weights, products: &[f32], gradient: &mut [f32]) {
        let groups_of_quad = self.inputs.div_ceil(TOGETHER);
        let mut taps = [[[0.0; PAIRS]; TAPS]; TAPS];
        for group in 0..self.groups() {
            s.vectorize(
                #[inline(always)]
                || {
                    for first in (0..PAIRS).step_by(S::LANES) {
                        let place = |down: usize| (down * POINTS * self.groups() + group) * PAIRS + first;
                        let mut lines = [[s.splat(0.0); TAPS]; POINTS];
                        for (down, line) in lines.iter_mut().enumerate() {
                            *line =
                                grad_weight_transform(s, load_strided(s, products, place(down), self.groups() * PAIRS));
                        }
                        for kx in 0..TAPS {
                            let mut column = [s.splat(0.0); POINTS];
                            column.iter_mut().zip(&lines).for_each(|(tap, line)| *tap = line[kx]);
                            for (ky, tap) in grad_weight_transform(s, column).into_iter().enumerate() {
                                s.store(tap, &mut taps[ky][kx][first..]);
                            }
                        }
                    }
                },
            );
            let (block, first) = (group / groups_of_quad, group % groups_of_quad * TOGETHER);
            for input in first..self.inputs.min(first + TOGETHER) {
                let index = weights.kernel(block * self.inputs + input);
                for output in 0..CHANNEL_BLOCK {
                    for (tap, pairs) in taps.as_flattened().iter().enumerate() {
                        if let Some(parameter) = index(output, tap) {
                            gradient[parameter] += pairs[output * TOGETHER + input - first];
                        }
                    }
                }
            }
        }
    }
}

/// `N` pixels of each of `P` tiles side by side.
#[inline(always)]
fn load_pixels<S: Simd, const P: usize, const N: usize>(s: S, line: &[f32], first: usize) -> [S::F; N] {
    if P == 1 {
        return load_strided(s, line, first, S::LANES);
    }
    let windows = S::LANES / 2;
    assert!(first + (N + TILE) * windows <= line.len());
    let mut pixels = [s.splat(0.0); N];
    for (x, pixel) in pixels.iter_mut().enumerate() {
        let place = first + x * windows;
        // SAFETY: the last pixel of the second tile ends in the line, as asserted.
        *pixel = unsafe { s.load_halves_at(line, [place, place + TILE * windows]) };
    }
    pixels
}

/// The output transform along the rows, for a block of outputs.
#[inline(always)]
fn output_transform_rows<S: Simd, const P: usize, const Q: usize>(s: S, sums: &[f32], rows: &mut [f32]) {
    for (i, row) in rows.chunks_exact_mut(TILE * S::LANES).enumerate() {
        let pixels = output_transform(
            s,
            load_strided(s, sums, i * S::LANES, conflict_free_stride(CHANNEL_BLOCK * Q * S::LANES)),
        );
        if P == 1 {
            store_strided(s, pixels, row, 0, S::LANES);
        } else {
            let windows = S::LANES / 2;
            for (x, pixel) in pixels.into_iter().enumerate() {
                // SAFETY: x < TILE, and the row has as many pixels of two tiles.
                unsafe { s.store_halves_at(pixel, row, [x * windows, (x + TILE) * windows]) };
            }
        }
    }
}

/// The dot products of a block of `grad_output` with `I` inputs, each of `line` floats.
#[inline(always)]
fn pairs<S: Simd, const I: usize>(s: S, inputs: &[f32], grad_output: &[f32], line: usize) -> [f32; PAIRS] {
    let mut acc = [[s.splat(0.0); TOGETHER]; CHANNEL_BLOCK];
    for x in (0..line).step_by(S::LANES) {
        let grad_output: [S::F; CHANNEL_BLOCK] = load_strided(s, grad_output, x, line);
        let inputs: [S::F; I] = load_strided(s, inputs, x, line);
        for (acc, grad) in acc.iter_mut().zip(grad_output) {
            for (acc, input) in acc.iter_mut().zip(inputs) {
                *acc = s.mul_add(grad, input, *acc);
            }
        }
    }
    let mut vectors = [s.splat(0.0); PAIRS];
    vectors.iter_mut().zip(acc.as_flattened()).for_each(|(vector, acc)| *vector = *acc);
    s.sums(vectors)
}
