//! 5 × 5 convolutions of squares with 2½ times fewer multiplications.
//!
//! Down the columns, four pixels of the output come from eight of the input. Winograd (*Arithmetic Complexity of
//! Computations*, 1980; for networks: Lavin & Gray, *Fast Algorithms for Convolutional Neural Networks*, 2016) computes them,
//! which by definition takes 4·5 products, with 8: y = Aᵀ[(G·w) ⊙ (Bᵀ·x)], here F(4, 5) at the points 0, ±1, ±2, ±½ and ∞. Along
//! the rows the five taps are summed as they are. So a row stays a line of floats in every step, whatever its lanes hold,
//! and what is left to do per point is a convolution of 1 × 5.
//!
//! The gradient of the weights is the transpose: w' = Gᵀ Σ (A·y') ⊙ (Bᵀ·x). Rounding errors are about 2.5 times those of the
//! definition.

mod inputs;
mod points;
mod squares;

use std::ops::Range;

use super::aligned::Aligned;
use super::cell_conv::{Output, QUAD, Weights};
use super::planes::Raster;
use super::simd::Simd;
use inputs::{apart, padded_row, transform_inputs};
use points::{G, POINTS, TAPS, TILE, output_rows, slope_points, weight_taps};
use squares::{Room, Squares};

/// Weights at the points: [point][quad of outputs][input][tap][output of the quad].
#[derive(Debug, Clone)]
pub(crate) struct Winograd {
    inputs: usize,
    quads: usize,
    values: Vec<f32>,
    squares: Squares,
}

/// Room for what lies between input and output, reused from call to call.
#[derive(Debug, Clone, Default)]
pub(crate) struct WinogradScratch {
    /// Bᵀ·x, [point][input][pixel and window].
    inputs: Aligned,
    /// Sums at the points, or A·y'.
    outputs: Aligned,
    /// Sums of products, [point][quad][input][output of the quad][tap][lane].
    products: Aligned,
    squares: Room,
}

impl WinogradScratch {
    /// Sees to it that there are as many inputs, outputs and products; what is there stays, and is of no meaning.
    fn make_room(&mut self, floats: [usize; 3]) {
        for (room, floats) in [&mut self.inputs, &mut self.outputs, &mut self.products].into_iter().zip(floats) {
            room.grow(floats);
        }
    }
}

impl Winograd {
    /// For as many inputs and quads of outputs as `weights` has.
    pub fn new(weights: &Weights) -> Winograd {
        let (inputs, quads) = (weights.inputs(), weights.quads());
        Winograd { inputs, quads, values: vec![0.0; POINTS * quads * inputs * TAPS * QUAD], squares: Squares::new(weights) }
    }

    /// Takes the weights out of the line of parameters.
    pub fn load(&mut self, weights: &Weights, parameters: &[f32]) {
        let per_point = self.quads * self.inputs * TAPS * QUAD;
        let mut kernel = [[0.0; QUAD]; TAPS * TAPS];
        for (kernel_number, index) in weights.kernels().enumerate() {
            for (tap, quad) in kernel.iter_mut().enumerate() {
                *quad = std::array::from_fn(|output| index(output, tap).map_or(0.0, |i| parameters[i]));
            }
            let mut columns = [[[0.0; QUAD]; TAPS]; POINTS];
            for (p, (g, column)) in G.iter().zip(&mut columns).enumerate() {
                for (kx, value) in column.iter_mut().enumerate() {
                    for (g, taps) in g.iter().zip(kernel.chunks_exact(TAPS)) {
                        value.iter_mut().zip(taps[kx]).for_each(|(value, tap)| *value += g * tap);
                    }
                }
                let first = p * per_point + kernel_number * TAPS * QUAD;
                self.values[first..first + TAPS * QUAD].copy_from_slice(column.as_flattened());
            }
            self.squares.load(kernel_number, &columns);
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
        if Squares::fit::<S>(raster) {
            self.squares.apply(s, raster, inputs, outputs, &mut scratch.squares);
            return;
        }
        let row = padded_row(raster);
        scratch.make_room([POINTS * apart(self.inputs * row), self.quads * POINTS * QUAD * WIDEST * S::LANES, 0]);
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
        let quads = self.quads;
        let sums = scratch.outputs.chunks_exact_mut(QUAD * WIDEST * S::LANES);
        for ((number, weights), sums) in weights.enumerate().zip(sums) {
            let points = &scratch.inputs[number / quads * apart(self.inputs * row)..][..self.inputs * row];
            let acc = multiply::<S, Q>(s, raster, x, points, row, weights);
            for (c, acc) in acc.iter().enumerate() {
                for (q, acc) in acc.iter().enumerate() {
                    s.store(*acc, &mut sums[(c * WIDEST + q) * S::LANES..]);
                }
            }
        }
        let channels: usize = outputs.iter().map(|output| output.planes.len() / raster.size).sum();
        assert!(channels <= quads * QUAD && scratch.outputs.len() >= POINTS * quads * QUAD * WIDEST * S::LANES);
        let mut first = 0;
        for output in outputs {
            let channels = output.planes.len() / raster.size;
            for c in 0..channels {
                for q in 0..Q {
                    let place = |p: usize| ((p * quads * QUAD + first + c) * WIDEST + q) * S::LANES;
                    // SAFETY: p < POINTS, first + c < quads·QUAD and q < WIDEST, which is what there is room for.
                    let at = |p: usize| unsafe { s.load_at(&scratch.outputs, place(p)) };
                    let rows = output_rows(s, std::array::from_fn(at)).map(|row| [row]);
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
        let (inputs_of_tile, slopes_of_tile) = self.tile_sizes(raster);
        let tiles = raster.grid.height / TILE;
        let together = (TOGETHER / (inputs_of_tile + slopes_of_tile)).clamp(1, tiles);
        scratch.make_room([
            together * inputs_of_tile,
            together * slopes_of_tile,
            POINTS * self.quads * self.inputs * QUAD * TAPS * S::LANES,
        ]);
        for first in (0..tiles).step_by(together) {
            let group = first..tiles.min(first + together);
            for (tile, points) in group.clone().zip(scratch.inputs.chunks_exact_mut(inputs_of_tile)) {
                transform_inputs(s, raster, inputs, tile, points);
            }
            for (tile, points) in group.clone().zip(scratch.outputs.chunks_exact_mut(slopes_of_tile)) {
                transform_slopes(s, raster, slopes, tile, points);
            }
            s.vectorize(
                #[inline(always)]
                || self.add_products(s, raster, group, scratch),
            );
        }
        self.collect(s, weights, &scratch.products, gradient);
    }

    /// Floats of the points of one tile of rows: those of all inputs, and those of all outputs' slopes.
    fn tile_sizes(&self, raster: &Raster) -> (usize, usize) {
        let slopes = self.quads * QUAD * apart(raster.row_len());
        (POINTS * apart(self.inputs * padded_row(raster)), POINTS * slopes)
    }

    /// For every point, output, input and tap, the products of a few tiles of rows, lane by lane, on top of those of the tiles before.
    #[inline(always)]
    fn add_products<S: Simd>(&self, s: S, raster: &Raster, tiles: Range<usize>, scratch: &mut WinogradScratch) {
        let (row, width) = (padded_row(raster), apart(raster.row_len()));
        let (inputs_of_tile, slopes_of_tile) = self.tile_sizes(raster);
        let WinogradScratch { inputs, outputs, products, .. } = scratch;
        let mut products = products.chunks_exact_mut(QUAD * TAPS * S::LANES);
        let start = if tiles.start == 0 { Sum::Anew } else { Sum::GoesOn };
        let dots = Dots { raster, start, tiles: tiles.len(), apart: [inputs_of_tile, slopes_of_tile] };
        for p in 0..POINTS {
            for quad in 0..self.quads {
                let slopes = &outputs[(p * self.quads + quad) * QUAD * width..];
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
                        let place = |p: usize| p * per_point + kernel * per_kernel + i * S::LANES;
                        let sums = weight_taps(s, std::array::from_fn(|p| s.load(&products[place(p)..])));
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

/// Vectors of columns that one output of a quad is computed for at once: with the quad, sixteen sums in registers.
const WIDEST: usize = 4;

/// Floats at the points of as many tiles of rows as are looked at together for the gradient of the weights: what leaves room for the
/// products in a second cache of a megabyte.
const TOGETHER: usize = 1 << 17;

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

/// A·y' for one tile of rows of all quads of outputs, zeros beyond the end of each row.
fn transform_slopes<S: Simd>(s: S, raster: &Raster, slopes: &[&[f32]], tile: usize, points: &mut [f32]) {
    let width = apart(raster.row_len());
    let count = slopes.iter().map(|planes| planes.len() / raster.size).sum::<usize>();
    s.vectorize(
        #[inline(always)]
        || {
            let planes = slopes.iter().flat_map(|planes| planes.chunks_exact(raster.size));
            for (c, plane) in planes.enumerate() {
                for x in (0..raster.row_len()).step_by(S::LANES) {
                    let row = |r: usize| {
                        let from = raster.row(tile * TILE + r) + x;
                        s.load_first(&plane[from..], raster.row_len() - x)
                    };
                    for (p, v) in slope_points(s, std::array::from_fn(row)).into_iter().enumerate() {
                        s.store(v, &mut points[(p * count + c) * width + x..]);
                    }
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::cell_conv::Start;
    use super::super::instructions::Work;
    use super::super::planes::Planes;
    use super::super::specimen::{
        CASES, Random, any_windows, assert_close, assert_pictures, instructions_for, picture, widened,
    };
    use super::*;
    use crate::fragment::Shape;
    use crate::model::{Graph, Grid, Map, Op, Window};

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Begin {
        Zero,
        Values,
        Present,
    }

    /// A convolution, and what it is applied to.
    struct Case {
        weights: Weights,
        /// Weights, then biases.
        parameters: Vec<f32>,
        inputs: [Planes; 2],
        begin: Begin,
        present: Planes,
        slopes: Planes,
    }

    impl Case {
        fn random(raster: Raster, inputs: [usize; 2], outputs: usize, begin: Begin, seed: u64) -> Case {
            let mut random = Random::new(seed);
            let (all, quads) = (inputs.iter().sum(), outputs.div_ceil(QUAD));
            let place = |output: usize, input: usize, tap: usize| {
                (output < outputs).then_some((output * all + input) * TAPS * TAPS + tap)
            };
            let mut parameters = random.values(outputs * all * TAPS * TAPS + outputs);
            if begin != Begin::Values {
                let biases = parameters.len() - outputs;
                parameters[biases..].fill(0.0);
            }
            Case {
                weights: Weights::new(all, quads, place),
                parameters,
                inputs: inputs.map(|count| random.planes(raster, count)),
                begin,
                present: random.planes(raster, outputs),
                slopes: random.planes(raster, quads * QUAD),
            }
        }

        fn outputs(&self) -> usize {
            self.present.count()
        }

        /// Outputs of each window, and the gradient of the parameters.
        fn by_definition(&self) -> (Vec<Map>, Vec<f64>) {
            let (side, one) = (Grid { height: TAPS, width: TAPS }, Grid { height: 1, width: 1 });
            let window = Window { kernel: side, stride: one, padding: Grid { height: 2, width: 2 } };
            let biases = self.parameters.len() - self.outputs();
            let mut gradient = vec![0.0; self.parameters.len()];
            let outputs = (0..self.present.raster.windows).map(|number| {
                let mut graph = Graph::new(&self.parameters);
                let [a, b] = &self.inputs;
                let [a, b] = [a, b].map(|planes| graph.input(picture(planes, 0..planes.count(), number)));
                let x = graph.push(Op::Concat { a, b });
                let (weight, bias) = (0..biases, biases..self.parameters.len());
                let mut y = graph.push(Op::Conv { x, window, weight, bias });
                let seed = picture(&self.slopes, 0..self.outputs(), number);
                let of_window = graph.gradient(vec![(y, seed)], self.parameters.len()).parameters;
                gradient.iter_mut().zip(of_window).for_each(|(sum, part)| *sum += part);
                if self.begin == Begin::Present {
                    let b = graph.input(picture(&self.present, 0..self.outputs(), number));
                    y = graph.push(Op::Sum { a: y, b });
                }
                graph.value(y).clone()
            });
            let outputs = outputs.collect();
            gradient.truncate(biases);
            (outputs, gradient)
        }
    }

    impl Work for &Case {
        type Output = (Planes, Vec<f32>);

        fn run<S: Simd>(self, s: S) -> (Planes, Vec<f32>) {
            let raster = self.present.raster;
            let mut winograd = Winograd::new(&self.weights);
            winograd.load(&self.weights, &self.parameters);
            // What other layers left behind must not matter.
            let left = || {
                let mut room = Aligned::zeros(3000);
                room.fill(1000.0);
                room
            };
            let mut scratch =
                WinogradScratch { inputs: left(), outputs: left(), products: left(), squares: Room::default() };
            let inputs = self.inputs.each_ref().map(Planes::all);
            let biases = &self.parameters[self.parameters.len() - self.outputs()..];
            let mut outputs = self.present.clone();
            let first = QUAD.min(self.outputs());
            let (planes, more_planes) = outputs.all_mut().split_at_mut(first * raster.size);
            let start = |values| match self.begin {
                Begin::Zero => Start::Zero,
                Begin::Values => Start::Values(values),
                Begin::Present => Start::Present,
            };
            let mut pieces = [
                Output { planes, start: start(&biases[..first]) },
                Output { planes: more_planes, start: start(&biases[first..]) },
            ];
            winograd.apply(s, &raster, &inputs, &mut pieces, &mut scratch);
            let mut gradient = vec![0.0; self.parameters.len() - self.outputs()];
            let slopes = [self.slopes.all()];
            winograd.add_gradient(s, &raster, &self.weights, &inputs, &slopes, &mut gradient, &mut scratch);
            (outputs, gradient)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(CASES))]

        #[test]
        fn fewer_products_give_the_convolution_of_the_definition_and_its_gradient(
            tiles in 1usize..4,
            width in 1usize..12,
            windows in any_windows(),
            inputs in [1usize..5, 0usize..5],
            outputs in 1usize..10,
            begin in prop::sample::select(vec![Begin::Zero, Begin::Values, Begin::Present]),
            seed: u64,
        ) {
            let raster = Raster::new(Shape::Square, Grid { height: TILE * tiles, width }, windows);
            let case = Case::random(raster, inputs, outputs, begin, seed);
            let (maps, exact) = case.by_definition();
            for instructions in instructions_for(windows) {
                let (outputs, gradient) = instructions.run(&case);
                for (window, map) in maps.iter().enumerate() {
                    assert_pictures(&format!("{instructions}, window {window}"), &outputs, window, map, 1e-5);
                }
                assert_close(&format!("{instructions}, gradient"), &widened(&gradient), &exact, 1e-5);
            }
        }
    }
}
