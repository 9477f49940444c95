//! Both ways: Winograd's points down the columns and along the rows, F(4 × 4, 5 × 5).
//!
//! Sixteen pixels of the output take 64 products instead of 400. Down the columns a row stays a line of floats; along the rows
//! a pixel must be a vector of its own, and so this way is for blocks that fill the lanes with windows.

use super::super::aligned::Aligned;
use super::super::cell_conv::{Output, QUAD, Weights};
use super::super::planes::Raster;
use super::super::simd::Simd;
use super::inputs::{apart, padded_row, transform_inputs};
use super::points::{G, POINTS, TAPS, TILE, input_points, output_rows};

/// Weights at the points: [point down][quad of outputs][point along][input][output of the quad].
#[derive(Debug, Clone)]
pub(super) struct Squares {
    inputs: usize,
    quads: usize,
    values: Vec<[f32; QUAD]>,
}

/// Room for what lies between input and output.
#[derive(Debug, Clone, Default)]
pub(super) struct Room {
    /// The inputs at the points down the columns, [point][input][pixel and window].
    rows: Aligned,
    /// At one of these, also along the rows: [point][input][square][window].
    points: Aligned,
    /// Sums over the inputs: [point][output of the quad][square][window].
    sums: Aligned,
    /// The outputs, down the columns still at the points: [point][output][pixel of a few squares][window].
    between: Aligned,
}

/// Squares of a row that are computed together: with the quad of outputs, sixteen sums in registers.
const WIDEST: usize = 4;

impl Squares {
    /// Whether pictures that lie so can be computed in squares: each vector holds the same pixel of one square, or of two.
    pub fn fit<S: Simd>(raster: &Raster) -> bool {
        let squares = S::LANES / raster.windows;
        squares <= 2 && raster.grid.width.is_multiple_of(squares * TILE)
    }

    pub fn new(weights: &Weights) -> Squares {
        let (inputs, quads) = (weights.inputs(), weights.quads());
        Squares { inputs, quads, values: vec![[0.0; QUAD]; POINTS * quads * POINTS * inputs] }
    }

    /// Takes one kernel, the five columns of which are at the points already.
    pub fn load(&mut self, kernel: usize, columns: &[[[f32; QUAD]; TAPS]; POINTS]) {
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
    pub fn apply<S: Simd>(&self, s: S, raster: &Raster, inputs: &[&[f32]], outputs: &mut [Output], room: &mut Room) {
        let widest = WIDEST * S::LANES;
        room.rows.grow(POINTS * apart(self.inputs * padded_row(raster)));
        room.points.grow(POINTS * apart(self.inputs * widest));
        room.sums.grow(POINTS * apart(QUAD * widest));
        room.between.grow(POINTS * apart(self.quads * QUAD * TILE * widest));
        for tile in 0..raster.grid.height / TILE {
            transform_inputs(s, raster, inputs, tile, &mut room.rows);
            s.vectorize(
                #[inline(always)]
                || {
                    if raster.windows == S::LANES {
                        self.row_of_squares::<S, 1>(s, raster, tile, outputs, room);
                    } else {
                        self.row_of_squares::<S, 2>(s, raster, tile, outputs, room);
                    }
                },
            );
        }
    }

    #[inline(always)]
    fn row_of_squares<S: Simd, const P: usize>(
        &self,
        s: S,
        raster: &Raster,
        tile: usize,
        outputs: &mut [Output],
        room: &mut Room,
    ) {
        let (vectors, mut first) = (raster.grid.width / TILE / P, 0);
        while first + WIDEST <= vectors {
            self.squares::<S, P, WIDEST>(s, raster, [tile, first], outputs, room);
            first += WIDEST;
        }
        while first + 2 <= vectors {
            self.squares::<S, P, 2>(s, raster, [tile, first], outputs, room);
            first += 2;
        }
        while first < vectors {
            self.squares::<S, P, 1>(s, raster, [tile, first], outputs, room);
            first += 1;
        }
    }

    /// `Q` vectors of `P` squares each of one row of them.
    #[inline(always)]
    fn squares<S: Simd, const P: usize, const Q: usize>(
        &self,
        s: S,
        raster: &Raster,
        [tile, first]: [usize; 2],
        outputs: &mut [Output],
        room: &mut Room,
    ) {
        let per_point = self.quads * POINTS * self.inputs;
        let row = padded_row(raster);
        let apart_between = apart(self.quads * QUAD * TILE * Q * S::LANES);
        for (down, weights) in self.values.chunks_exact(per_point).enumerate() {
            let rows = &room.rows[down * apart(self.inputs * row)..];
            self.along_rows::<S, P, Q>(s, rows, row, first, &mut room.points);
            for (quad, weights) in weights.chunks_exact(POINTS * self.inputs).enumerate() {
                self.products::<S, Q>(s, &room.points, weights, &mut room.sums);
                let between = &mut room.between[down * apart_between + quad * QUAD * TILE * Q * S::LANES..];
                back_along_rows::<S, P, Q>(s, &room.sums, between);
            }
        }
        let mut channel = 0;
        for output in outputs {
            for c in 0..output.planes.len() / raster.size {
                for x in 0..Q * TILE {
                    let place = (channel * TILE * Q + x) * S::LANES;
                    let at = |p: usize| s.load(&room.between[p * apart_between + place..]);
                    let rows = output_rows(s, std::array::from_fn(at)).map(|row| [row]);
                    let x = (first * TILE + x) * S::LANES;
                    output.write(s, raster, c, [tile * TILE, x], rows, |sum| sum);
                }
                channel += 1;
            }
        }
    }

    #[inline(always)]
    fn along_rows<S: Simd, const P: usize, const Q: usize>(
        &self,
        s: S,
        rows: &[f32],
        row: usize,
        first: usize,
        points: &mut [f32],
    ) {
        let apart = apart(self.inputs * Q * S::LANES);
        let windows = S::LANES / P;
        for (i, line) in rows.chunks_exact(row).take(self.inputs).enumerate() {
            for q in 0..Q {
                let from = &line[(first + q) * TILE * S::LANES..][..(TILE * P + POINTS - TILE) * windows];
                let values = input_points(
                    s,
                    std::array::from_fn(|x| {
                        if P == 1 {
                            s.load(&from[x * windows..])
                        } else {
                            s.load_halves(from, [x * windows, (x + TILE) * windows])
                        }
                    }),
                );
                for (p, value) in values.into_iter().enumerate() {
                    s.store(value, &mut points[p * apart + (i * Q + q) * S::LANES..]);
                }
            }
        }
    }

    #[inline(always)]
    fn products<S: Simd, const Q: usize>(&self, s: S, points: &[f32], weights: &[[f32; QUAD]], sums: &mut [f32]) {
        let apart_points = apart(self.inputs * Q * S::LANES);
        let apart_sums = apart(QUAD * Q * S::LANES);
        for (p, weights) in weights.chunks_exact(self.inputs).enumerate() {
            let points = &points[p * apart_points..][..self.inputs * Q * S::LANES];
            let mut acc = [[s.splat(0.0); Q]; QUAD];
            for (values, weights) in points.chunks_exact(Q * S::LANES).zip(weights) {
                let values: [S::F; Q] = std::array::from_fn(|q| s.load(&values[q * S::LANES..]));
                for (acc, w) in acc.iter_mut().zip(weights) {
                    let w = s.splat(*w);
                    for (acc, value) in acc.iter_mut().zip(values) {
                        *acc = s.mul_add(w, value, *acc);
                    }
                }
            }
            let sums = &mut sums[p * apart_sums..][..QUAD * Q * S::LANES];
            for (c, acc) in acc.iter().enumerate() {
                for (q, acc) in acc.iter().enumerate() {
                    s.store(*acc, &mut sums[(c * Q + q) * S::LANES..]);
                }
            }
        }
    }
}

/// From the points along the rows back to pixels, for a quad of outputs.
#[inline(always)]
fn back_along_rows<S: Simd, const P: usize, const Q: usize>(s: S, sums: &[f32], between: &mut [f32]) {
    let apart = apart(QUAD * Q * S::LANES);
    let windows = S::LANES / P;
    for i in 0..QUAD * Q {
        let at = |p: usize| s.load(&sums[p * apart + i * S::LANES..]);
        let between = &mut between[i * TILE * S::LANES..][..TILE * S::LANES];
        for (x, value) in output_rows(s, std::array::from_fn(at)).into_iter().enumerate() {
            if P == 1 {
                s.store(value, &mut between[x * windows..]);
            } else {
                s.store_halves(value, between, [x * windows, (x + TILE) * windows]);
            }
        }
    }
}
