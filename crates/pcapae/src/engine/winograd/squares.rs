//! Winograd's points both ways, F(4 × 4, 5 × 5): sixteen pixels of the output take 64 products instead of 400.
//!
//! Along the rows, a vector must hold the same pixel of every square: one square of each of many windows, or two squares of half
//! as many. On the way back, the sums of products over all squares are 64 for each weight's kernel of 25.

use std::ops::Range;

use super::super::cell_conv::{Output, QUAD, Weights};
use super::super::planes::Raster;
use super::super::simd::Simd;
use super::columns::{inputs_size, slopes_size, transform_inputs};
use super::lines::{WIDEST, apart, load_apart, padded_row, store_apart};
use super::points::{G, POINTS, TAPS, TILE, input_points, output_rows, slope_points, weight_taps};
use super::{Columns, WinogradScratch, tiles_together};

/// Weights at the points: [point down][quad of outputs][point along][input][output of the quad].
#[derive(Debug, Clone)]
pub(super) struct Squares {
    inputs: usize,
    quads: usize,
    values: Vec<[f32; QUAD]>,
}

/// Inputs whose products with a quad of outputs are summed at once.
const TOGETHER: usize = 4;

/// Products that are summed at once.
const PAIRS: usize = QUAD * TOGETHER;

impl Squares {
    pub fn new(weights: &Weights) -> Squares {
        let (inputs, quads) = (weights.inputs(), weights.quads());
        Squares { inputs, quads, values: vec![[0.0; QUAD]; POINTS * quads * POINTS * inputs] }
    }

    /// Takes one kernel.
    pub fn load(&mut self, kernel: usize, columns: &Columns) {
        let (quad, input) = (kernel / self.inputs, kernel % self.inputs);
        for (down, taps) in columns.iter().enumerate() {
            for (along, g) in G.iter().enumerate() {
                let mut value = [0.0; QUAD];
                for (taps, g) in taps.iter().zip(g) {
                    value.iter_mut().zip(taps).for_each(|(value, tap)| *value += g * tap);
                }
                self.values[((down * self.quads + quad) * POINTS + along) * self.inputs + input] = value;
            }
        }
    }

    /// Adds the convolution of `inputs` to what the outputs start with, quad after quad.
    pub fn apply<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        outputs: &mut [Output],
        scratch: &mut WinogradScratch,
    ) {
        let widest = WIDEST * S::LANES;
        scratch.inputs.grow(inputs_size(raster, self.inputs));
        scratch.square_inputs.grow(POINTS * apart(self.inputs * widest));
        scratch.sums.grow(POINTS * apart(QUAD * widest));
        scratch.rows.grow(POINTS * apart(self.quads * QUAD * TILE * widest));
        for tile in 0..raster.grid.height / TILE {
            transform_inputs(s, raster, inputs, tile, &mut scratch.inputs);
            s.vectorize(
                #[inline(always)]
                || {
                    if raster.windows == S::LANES {
                        self.row_of_squares::<S, 1>(s, raster, tile, outputs, scratch);
                    } else {
                        self.row_of_squares::<S, 2>(s, raster, tile, outputs, scratch);
                    }
                },
            );
        }
    }

    /// One row of squares, `P` in a vector.
    #[inline(always)]
    fn row_of_squares<S: Simd, const P: usize>(
        &self,
        s: S,
        raster: &Raster,
        tile: usize,
        outputs: &mut [Output],
        scratch: &mut WinogradScratch,
    ) {
        let (vectors, mut first) = (raster.grid.width / TILE / P, 0);
        while S::MANY_REGISTERS && first + WIDEST <= vectors {
            self.squares::<S, P, WIDEST>(s, raster, [tile, first], outputs, scratch);
            first += WIDEST;
        }
        while first + 2 <= vectors {
            self.squares::<S, P, 2>(s, raster, [tile, first], outputs, scratch);
            first += 2;
        }
        while first < vectors {
            self.squares::<S, P, 1>(s, raster, [tile, first], outputs, scratch);
            first += 1;
        }
    }

    /// `Q` vectors of squares.
    #[inline(always)]
    fn squares<S: Simd, const P: usize, const Q: usize>(
        &self,
        s: S,
        raster: &Raster,
        [tile, first]: [usize; 2],
        outputs: &mut [Output],
        scratch: &mut WinogradScratch,
    ) {
        let row = padded_row(raster);
        let per_quad = QUAD * TILE * Q * S::LANES;
        let per_point = apart(self.quads * per_quad);
        let weights = self.values.chunks_exact(self.quads * POINTS * self.inputs);
        for (down, weights) in weights.enumerate() {
            let lines = scratch.inputs[down * apart(self.inputs * row)..].chunks_exact(row).take(self.inputs);
            for (i, line) in lines.enumerate() {
                let places = |q: usize| [(first + q) * TILE * S::LANES, (i * Q + q) * S::LANES];
                let apart = apart(self.inputs * Q * S::LANES);
                for [from, to] in (0..Q).map(places) {
                    let pixels = load_pixels::<S, P, POINTS>(s, line, from);
                    store_apart(s, input_points(s, pixels), &mut scratch.square_inputs, to, apart);
                }
            }
            for (quad, weights) in weights.chunks_exact(POINTS * self.inputs).enumerate() {
                self.multiply::<S, Q>(s, &scratch.square_inputs, weights, &mut scratch.sums);
                let rows = &mut scratch.rows[down * per_point + quad * per_quad..][..per_quad];
                back_along_rows::<S, P, Q>(s, &scratch.sums, rows);
            }
        }
        let mut vectors = (0..).step_by(S::LANES);
        for output in outputs {
            for c in 0..output.planes.len() / raster.size {
                for (x, place) in (first * TILE..(first + Q) * TILE).zip(&mut vectors) {
                    let rows = output_rows(s, load_apart(s, &scratch.rows, place, per_point)).map(|row| [row]);
                    output.write(s, raster, c, [tile * TILE, x * S::LANES], rows, |sum| sum);
                }
            }
        }
    }

    /// At every point along the rows: the sums over the inputs, for a quad of outputs.
    #[inline(always)]
    fn multiply<S: Simd, const Q: usize>(&self, s: S, inputs: &[f32], weights: &[[f32; QUAD]], sums: &mut [f32]) {
        let per_point = self.inputs * Q * S::LANES;
        let apart_sums = apart(QUAD * Q * S::LANES);
        for (p, weights) in weights.chunks_exact(self.inputs).enumerate() {
            let inputs = &inputs[p * apart(per_point)..][..per_point];
            let mut acc = [[s.splat(0.0); Q]; QUAD];
            for (input, weights) in inputs.chunks_exact(Q * S::LANES).zip(weights) {
                let input: [S::F; Q] = load_apart(s, input, 0, S::LANES);
                for (acc, w) in acc.iter_mut().zip(weights) {
                    let w = s.splat(*w);
                    for (acc, input) in acc.iter_mut().zip(input) {
                        *acc = s.mul_add(w, input, *acc);
                    }
                }
            }
            for (c, acc) in acc.into_iter().enumerate() {
                store_apart(s, acc, sums, p * apart_sums + c * Q * S::LANES, S::LANES);
            }
        }
    }

    /// Adds the gradient of every weight, where `slopes` holds that of all outputs.
    #[allow(clippy::too_many_arguments, reason = "the places of a sum over everything")]
    pub fn add_gradient<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        weights: &Weights,
        inputs: &[&[f32]],
        slopes: &[&[f32]],
        gradient: &mut [f32],
        scratch: &mut WinogradScratch,
    ) {
        let outputs = self.quads * QUAD;
        let sizes = [inputs_size(raster, self.inputs), slopes_size(raster, outputs)];
        let (tiles, together) = tiles_together(raster, sizes);
        let vectors = together * raster.row_len() / TILE;
        scratch.square_inputs.grow(POINTS * apart(self.inputs * vectors));
        scratch.square_slopes.grow(POINTS * apart(outputs * vectors));
        scratch.products.grow(POINTS * POINTS * self.groups() * PAIRS);
        scratch.products.fill(0.0);
        for first in (0..tiles).step_by(together) {
            let group = first..tiles.min(first + together);
            scratch.transform_tiles(s, raster, [inputs, slopes], group.clone(), sizes);
            s.vectorize(
                #[inline(always)]
                || {
                    if raster.windows == S::LANES {
                        self.add_products::<S, 1>(s, raster, group, sizes, scratch);
                    } else {
                        self.add_products::<S, 2>(s, raster, group, sizes, scratch);
                    }
                },
            );
        }
        self.collect(s, weights, &scratch.products, gradient);
    }

    /// For every point and pair of output and input, the sum of the products of a few tiles of rows.
    #[inline(always)]
    fn add_products<S: Simd, const P: usize>(
        &self,
        s: S,
        raster: &Raster,
        tiles: Range<usize>,
        sizes: [usize; 2],
        scratch: &mut WinogradScratch,
    ) {
        let (row, width, outputs) = (padded_row(raster), apart(raster.row_len()), self.quads * QUAD);
        let per_row = raster.grid.width / TILE / P;
        let vectors = tiles.len() * per_row;
        let WinogradScratch { inputs, slopes, square_inputs, square_slopes, products, .. } = scratch;
        for (down, products) in products.chunks_exact_mut(POINTS * self.groups() * PAIRS).take(POINTS).enumerate() {
            for tile in 0..tiles.len() {
                let from = tile * sizes[0] + down * apart(self.inputs * row);
                for (i, line) in inputs[from..].chunks_exact(row).take(self.inputs).enumerate() {
                    for v in 0..per_row {
                        let at_points = input_points(s, load_pixels::<S, P, POINTS>(s, line, v * TILE * S::LANES));
                        let to = (i * vectors + tile * per_row + v) * S::LANES;
                        store_apart(s, at_points, square_inputs, to, apart(self.inputs * vectors * S::LANES));
                    }
                }
                let from = tile * sizes[1] + down * outputs * width;
                for (c, line) in slopes[from..].chunks_exact(width).take(outputs).enumerate() {
                    for v in 0..per_row {
                        let at_points = slope_points(s, load_pixels::<S, P, TILE>(s, line, v * TILE * S::LANES));
                        let to = (c * vectors + tile * per_row + v) * S::LANES;
                        store_apart(s, at_points, square_slopes, to, apart(outputs * vectors * S::LANES));
                    }
                }
            }
            let line = vectors * S::LANES;
            for (along, products) in products.chunks_exact_mut(self.groups() * PAIRS).enumerate() {
                let inputs = &square_inputs[along * apart(self.inputs * line)..][..self.inputs * line];
                let slopes = &square_slopes[along * apart(outputs * line)..][..outputs * line];
                let mut products = products.as_chunks_mut::<PAIRS>().0.iter_mut();
                for slopes in slopes.chunks_exact(QUAD * line) {
                    for (inputs, products) in inputs.chunks(TOGETHER * line).zip(&mut products) {
                        let sums = match inputs.len() / line {
                            1 => pairs::<S, 1>(s, inputs, slopes, line),
                            2 => pairs::<S, 2>(s, inputs, slopes, line),
                            3 => pairs::<S, 3>(s, inputs, slopes, line),
                            _ => pairs::<S, TOGETHER>(s, inputs, slopes, line),
                        };
                        products.iter_mut().zip(sums).for_each(|(product, sum)| *product += sum);
                    }
                }
            }
        }
    }

    /// Groups of pairs.
    fn groups(&self) -> usize {
        self.quads * self.inputs.div_ceil(TOGETHER)
    }

    /// Comes back from the points to the weights.
    fn collect<S: Simd>(&self, s: S, weights: &Weights, products: &[f32], gradient: &mut [f32]) {
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
                            *line = weight_taps(s, load_apart(s, products, place(down), self.groups() * PAIRS));
                        }
                        for kx in 0..TAPS {
                            let mut column = [s.splat(0.0); POINTS];
                            column.iter_mut().zip(&lines).for_each(|(tap, line)| *tap = line[kx]);
                            for (ky, tap) in weight_taps(s, column).into_iter().enumerate() {
                                s.store(tap, &mut taps[ky][kx][first..]);
                            }
                        }
                    }
                },
            );
            let (quad, first) = (group / groups_of_quad, group % groups_of_quad * TOGETHER);
            for input in first..self.inputs.min(first + TOGETHER) {
                let index = weights.kernel(quad * self.inputs + input);
                for output in 0..QUAD {
                    for (tap, pairs) in taps.as_flattened().iter().enumerate() {
                        if let Some(place) = index(output, tap) {
                            gradient[place] += pairs[output * TOGETHER + input - first];
                        }
                    }
                }
            }
        }
    }
}

/// `N` pixels of each of `P` squares side by side.
#[inline(always)]
fn load_pixels<S: Simd, const P: usize, const N: usize>(s: S, line: &[f32], first: usize) -> [S::F; N] {
    if P == 1 {
        return load_apart(s, line, first, S::LANES);
    }
    let windows = S::LANES / 2;
    assert!(first + (N + TILE) * windows <= line.len());
    let mut pixels = [s.splat(0.0); N];
    for (x, pixel) in pixels.iter_mut().enumerate() {
        let place = first + x * windows;
        // SAFETY: the last pixel of the second square ends in the line, as asserted.
        *pixel = unsafe { s.load_halves_at(line, [place, place + TILE * windows]) };
    }
    pixels
}

/// From the points along the rows back to pixels, for a quad of outputs.
#[inline(always)]
fn back_along_rows<S: Simd, const P: usize, const Q: usize>(s: S, sums: &[f32], rows: &mut [f32]) {
    for (i, row) in rows.chunks_exact_mut(TILE * S::LANES).enumerate() {
        let pixels = output_rows(s, load_apart(s, sums, i * S::LANES, apart(QUAD * Q * S::LANES)));
        if P == 1 {
            store_apart(s, pixels, row, 0, S::LANES);
        } else {
            let windows = S::LANES / 2;
            for (x, pixel) in pixels.into_iter().enumerate() {
                // SAFETY: x < TILE, and the row has as many pixels of two squares.
                unsafe { s.store_halves_at(pixel, row, [x * windows, (x + TILE) * windows]) };
            }
        }
    }
}

/// The sums of the products of a quad of slopes with `I` inputs, each a line of floats.
#[inline(always)]
fn pairs<S: Simd, const I: usize>(s: S, inputs: &[f32], slopes: &[f32], line: usize) -> [f32; PAIRS] {
    let mut acc = [[s.splat(0.0); TOGETHER]; QUAD];
    for x in (0..line).step_by(S::LANES) {
        let slopes: [S::F; QUAD] = load_apart(s, slopes, x, line);
        let inputs: [S::F; I] = load_apart(s, inputs, x, line);
        for (acc, slope) in acc.iter_mut().zip(slopes) {
            for (acc, input) in acc.iter_mut().zip(inputs) {
                *acc = s.mul_add(slope, input, *acc);
            }
        }
    }
    let mut vectors = [s.splat(0.0); PAIRS];
    vectors.iter_mut().zip(acc.as_flattened()).for_each(|(vector, acc)| *vector = *acc);
    s.sums(vectors)
}
