//! Winograd's points down the columns only: along the rows the five taps are summed as they are. For rows of any kind.

use std::ops::Range;

use super::super::cell_conv::{Output, QUAD, Weights};
use super::super::planes::Raster;
use super::super::simd::Simd;
use super::columns::{inputs_size, slopes_size, transform_inputs};
use super::lines::{WIDEST, apart, load_apart, padded_row, store_apart};
use super::points::{POINTS, TAPS, TILE, output_rows, weight_taps};
use super::{Columns, WinogradScratch, tiles_together};

/// Weights at the points: [point][quad of outputs][input][tap][output of the quad].
#[derive(Debug, Clone)]
pub(super) struct Rows {
    inputs: usize,
    quads: usize,
    values: Vec<f32>,
}

impl Rows {
    pub fn new(weights: &Weights) -> Rows {
        let (inputs, quads) = (weights.inputs(), weights.quads());
        Rows { inputs, quads, values: vec![0.0; POINTS * quads * inputs * TAPS * QUAD] }
    }

    /// Takes one kernel.
    pub fn load(&mut self, kernel: usize, columns: &Columns) {
        let per_point = self.quads * self.inputs * TAPS * QUAD;
        for (values, taps) in self.values.chunks_exact_mut(per_point).zip(columns) {
            values[kernel * TAPS * QUAD..][..TAPS * QUAD].copy_from_slice(taps.as_flattened());
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
        scratch.inputs.grow(inputs_size(raster, self.inputs));
        scratch.sums.grow(POINTS * self.quads * QUAD * WIDEST * S::LANES);
        for tile in 0..raster.grid.height / TILE {
            transform_inputs(s, raster, inputs, tile, &mut scratch.inputs);
            s.vectorize(
                #[inline(always)]
                || {
                    let (row_len, mut x) = (raster.row_len(), 0);
                    while S::MANY_REGISTERS && x + WIDEST * S::LANES <= row_len {
                        self.columns::<S, WIDEST>(s, raster, tile, x, outputs, scratch);
                        x += WIDEST * S::LANES;
                    }
                    while x + 2 * S::LANES <= row_len {
                        self.columns::<S, 2>(s, raster, tile, x, outputs, scratch);
                        x += 2 * S::LANES;
                    }
                    while x < row_len {
                        self.columns::<S, 1>(s, raster, tile, x, outputs, scratch);
                        x += S::LANES;
                    }
                },
            );
        }
    }

    /// `Q` vectors of columns of one tile of rows.
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
        let weights = self.values.chunks_exact(self.inputs * TAPS * QUAD);
        let sums = scratch.sums.chunks_exact_mut(QUAD * Q * S::LANES);
        for ((number, weights), sums) in weights.enumerate().zip(sums) {
            let points = &scratch.inputs[number / self.quads * apart(self.inputs * row)..][..self.inputs * row];
            let acc = multiply::<S, Q>(s, raster, x, points, row, weights);
            for (c, acc) in acc.into_iter().enumerate() {
                store_apart(s, acc, sums, c * Q * S::LANES, S::LANES);
            }
        }
        let mut first = 0;
        for output in outputs {
            let channels = output.planes.len() / raster.size;
            for c in 0..channels {
                for q in 0..Q {
                    let place = ((first + c) * Q + q) * S::LANES;
                    let at_points = load_apart(s, &scratch.sums, place, self.quads * QUAD * Q * S::LANES);
                    let rows = output_rows(s, at_points).map(|row| [row]);
                    output.write(s, raster, c, [tile * TILE, x + q * S::LANES], rows, |sum| sum);
                }
            }
            first += channels;
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
        let sizes = [inputs_size(raster, self.inputs), slopes_size(raster, self.quads * QUAD)];
        let (tiles, together) = tiles_together(raster, sizes);
        scratch.products.grow(POINTS * self.quads * self.inputs * QUAD * TAPS * S::LANES);
        for first in (0..tiles).step_by(together) {
            let group = first..tiles.min(first + together);
            scratch.transform_tiles(s, raster, [inputs, slopes], group.clone(), sizes);
            s.vectorize(
                #[inline(always)]
                || self.add_products(s, raster, group, sizes, scratch),
            );
        }
        self.collect(s, weights, &scratch.products, gradient);
    }

    /// For every point, output, input and tap, the products of a few tiles of rows, lane by lane, on top of those of the tiles before.
    #[inline(always)]
    fn add_products<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        tiles: Range<usize>,
        sizes: [usize; 2],
        scratch: &mut WinogradScratch,
    ) {
        let (row, width) = (padded_row(raster), apart(raster.row_len()));
        let WinogradScratch { inputs, slopes, products, .. } = scratch;
        let mut products = products.chunks_exact_mut(QUAD * TAPS * S::LANES);
        let start = if tiles.start == 0 { Sum::Anew } else { Sum::GoesOn };
        let dots = Dots { raster, start, tiles: tiles.len(), apart: sizes };
        for p in 0..POINTS {
            for quad in 0..self.quads {
                let slopes = &slopes[(p * self.quads + quad) * QUAD * width..];
                for (input, products) in (0..self.inputs).zip(&mut products) {
                    let input = &inputs[p * apart(self.inputs * row) + input * row..];
                    if S::MANY_REGISTERS {
                        dots.add::<S, QUAD>(s, input, slopes, products);
                    } else {
                        let (above, below) = products.split_at_mut(QUAD / 2 * TAPS * S::LANES);
                        dots.add::<S, { QUAD / 2 }>(s, input, slopes, above);
                        dots.add::<S, { QUAD / 2 }>(s, input, &slopes[QUAD / 2 * width..], below);
                    }
                }
            }
        }
    }

    /// Adds up the lanes and comes back from the points to the weights.
    fn collect<S: Simd>(&self, s: S, weights: &Weights, products: &[f32], gradient: &mut [f32]) {
        s.vectorize(
            #[inline(always)]
            || {
                let per_kernel = QUAD * TAPS * S::LANES;
                let per_point = self.quads * self.inputs * per_kernel;
                for (kernel, index) in weights.kernels().enumerate() {
                    for i in 0..QUAD * TAPS {
                        let (output, kx) = (i / TAPS, i % TAPS);
                        let place = kernel * per_kernel + i * S::LANES;
                        let sums = weight_taps(s, load_apart(s, products, place, per_point));
                        for (ky, sum) in sums.into_iter().enumerate() {
                            if let Some(place) = index(output, ky * TAPS + kx) {
                                gradient[place] += s.sum(sum);
                            }
                        }
                    }
                }
            },
        );
    }
}

/// At one point: the sum over inputs and five taps, for a quad of outputs and `Q` vectors of columns.
#[inline(always)]
fn multiply<S: Simd, const Q: usize>(
    s: S,
    raster: &Raster,
    x: usize,
    points: &[f32],
    row: usize,
    weights: &[f32],
) -> [[S::F; Q]; QUAD] {
    let windows = raster.windows;
    let mut acc = [[s.splat(0.0); Q]; QUAD];
    for (input, weights) in points.chunks_exact(row).zip(weights.as_chunks::<{ TAPS * QUAD }>().0) {
        let input = &input[x..x + (TAPS - 1) * windows + Q * S::LANES];
        for kx in 0..TAPS {
            // SAFETY: kx < TAPS and q < Q, and the slice ends behind the last of them.
            let load = |q: usize| unsafe { s.load_at(input, kx * windows + q * S::LANES) };
            let taps: [S::F; Q] = std::array::from_fn(load);
            for (acc, w) in acc.iter_mut().zip(&weights[kx * QUAD..]) {
                let w = s.splat(*w);
                for (acc, tap) in acc.iter_mut().zip(taps) {
                    *acc = s.mul_add(w, tap, *acc);
                }
            }
        }
    }
    acc
}

/// What a sum of products starts with.
#[derive(Clone, Copy, PartialEq)]
enum Sum {
    Anew,
    GoesOn,
}

/// Sums of the products of an input with outputs' slopes, each tap on its own, over a few tiles of rows.
struct Dots<'a> {
    raster: &'a Raster,
    start: Sum,
    tiles: usize,
    /// Floats from a tile to the next: of the input, of the slopes.
    apart: [usize; 2],
}

impl Dots<'_> {
    /// Of one input and `C` outputs, whose first tiles begin with the slices.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "sums, slopes and taps are indexed alike")]
    fn add<S: Simd, const C: usize>(&self, s: S, input: &[f32], slopes: &[f32], products: &mut [f32]) {
        let (windows, width) = (self.raster.windows, apart(self.raster.row_len()));
        let end = self.raster.row_len().next_multiple_of(S::LANES);
        let mut acc = [[s.splat(0.0); TAPS]; C];
        if self.start == Sum::GoesOn {
            acc = std::array::from_fn(|c| std::array::from_fn(|kx| s.load(&products[(c * TAPS + kx) * S::LANES..])));
        }
        for tile in 0..self.tiles {
            let input = &input[tile * self.apart[0]..][..end + (TAPS - 1) * windows];
            let slopes = &slopes[tile * self.apart[1]..];
            let rows: [&[f32]; C] = std::array::from_fn(|c| &slopes[c * width..][..end]);
            for x in (0..end).step_by(S::LANES) {
                // SAFETY: `end` is a multiple of the vector's length, and where the rows end; the input has four taps more.
                let slopes: [S::F; C] = std::array::from_fn(|c| unsafe { s.load_at(rows[c], x) });
                for kx in 0..TAPS {
                    let tap = unsafe { s.load_at(input, x + kx * windows) };
                    for c in 0..C {
                        acc[c][kx] = s.mul_add(tap, slopes[c], acc[c][kx]);
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
