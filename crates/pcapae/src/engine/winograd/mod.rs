//! 5 × 5 convolutions of squares with two and a half to six times fewer multiplications.
//!
//! Down the columns, four pixels of the output come from eight of the input. Winograd (*Arithmetic Complexity of
//! Computations*, 1980; for networks: Lavin & Gray, *Fast Algorithms for Convolutional Neural Networks*, 2016) computes them,
//! which by definition takes 4·5 products, with 8: y = Aᵀ[(G·w) ⊙ (Bᵀ·x)], here F(4, 5) at the points 0, ±1, ±2, ±½ and ∞. A row
//! stays a line of floats in this, whatever its lanes hold. Along the rows the five taps are then summed as they are (`rows`), or, where
//! the lanes hold windows rather than pixels, the same is done again in training (`squares`): y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·x·B)]·A.
//!
//! The gradient of the weights is the transpose: w' = Gᵀ Σ (A·y') ⊙ (Bᵀ·x), or w' = Gᵀ [Σ (A·y'·Aᵀ) ⊙ (Bᵀ·x·B)] G. The greatest rounding
//! error is about 2.5 times that of the definition, in squares nine times: some 5·10⁻⁶ of the largest value.

mod columns;
mod lines;
mod points;
mod rows;
mod squares;

use std::ops::Range;

use super::aligned::Aligned;
use super::cell_conv::{Output, QUAD, Weights};
use super::planes::Raster;
use super::simd::Simd;
use super::workspace::Purpose;
use columns::{transform_inputs, transform_slopes};
use points::{G, POINTS, TAPS, TILE};
use rows::Rows;
use squares::Squares;

/// The five columns of the kernels from an input to a quad of outputs, G·w: [point][column][output of the quad].
type Columns = [[[f32; QUAD]; TAPS]; POINTS];

/// Weights at the points, for pictures of either kind.
#[derive(Debug, Clone)]
pub(crate) struct Winograd {
    rows: Rows,
    squares: Squares,
}

/// Room for what lies between input and output, reused from call to call.
#[derive(Debug, Clone, Default)]
pub(crate) struct WinogradScratch {
    /// Whether pictures are looked at in squares where they can be: faster, and rounds more.
    in_squares: bool,
    /// Bᵀ·x, [tile of rows][point][input][pixel and window].
    inputs: Aligned,
    /// A·y', [tile of rows][point][output][pixel and window].
    slopes: Aligned,
    /// Both at one point down the columns, along the rows at every point: [point][channel][square and window].
    square_inputs: Aligned,
    square_slopes: Aligned,
    /// Sums over inputs at the points: of rows [point][output][pixel and window], of squares [point][output of a quad][square and
    /// window].
    sums: Aligned,
    /// Outputs of a row of squares, down the columns still at the points: [point][output][pixel and window].
    rows: Aligned,
    /// Sums of products: of rows [point][quad][input][output of the quad][tap][lane], of squares [point down][point along][quad][group
    /// of inputs][output of the quad][input of the group].
    products: Aligned,
}

impl WinogradScratch {
    /// In squares for training, where gradients are sums over many windows; for results in rows.
    pub fn new(purpose: Purpose) -> WinogradScratch {
        WinogradScratch { in_squares: purpose == Purpose::Training, ..WinogradScratch::default() }
    }

    /// Brings a few tiles of rows of inputs and slopes to the points down the columns, where one takes so many floats.
    fn transform_tiles<S: Simd>(
        &mut self,
        s: S,
        raster: &Raster,
        [inputs, slopes]: [&[&[f32]]; 2],
        tiles: Range<usize>,
        sizes: [usize; 2],
    ) {
        self.inputs.grow(tiles.len() * sizes[0]);
        self.slopes.grow(tiles.len() * sizes[1]);
        for (tile, points) in tiles.clone().zip(self.inputs.chunks_exact_mut(sizes[0])) {
            transform_inputs(s, raster, inputs, tile, points);
        }
        for (tile, points) in tiles.zip(self.slopes.chunks_exact_mut(sizes[1])) {
            transform_slopes(s, raster, slopes, tile, points);
        }
    }
}

impl Winograd {
    /// For as many inputs and quads of outputs as `weights` has.
    pub fn new(weights: &Weights) -> Winograd {
        Winograd { rows: Rows::new(weights), squares: Squares::new(weights) }
    }

    /// Takes the weights out of the line of parameters.
    pub fn load(&mut self, weights: &Weights, parameters: &[f32]) {
        let mut kernel = [[0.0; QUAD]; TAPS * TAPS];
        for (number, index) in weights.kernels().enumerate() {
            for (tap, quad) in kernel.iter_mut().enumerate() {
                *quad = std::array::from_fn(|output| index(output, tap).map_or(0.0, |i| parameters[i]));
            }
            let columns = to_points(&kernel);
            self.rows.load(number, &columns);
            self.squares.load(number, &columns);
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
        if scratch.in_squares && in_squares(raster.grid.width, raster.windows, S::LANES) {
            self.squares.apply(s, raster, inputs, outputs, scratch);
        } else {
            self.rows.apply(s, raster, inputs, outputs, scratch);
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
        if scratch.in_squares && in_squares(raster.grid.width, raster.windows, S::LANES) {
            self.squares.add_gradient(s, raster, weights, inputs, slopes, gradient, scratch);
        } else {
            self.rows.add_gradient(s, raster, weights, inputs, slopes, gradient, scratch);
        }
    }
}

/// Whether pictures of this width, so many windows side by side, can be looked at in squares: a vector must hold the same pixel of one
/// square, or of two.
pub(crate) fn in_squares(width: usize, windows: usize, lanes: usize) -> bool {
    let squares = lanes / windows;
    squares <= 2 && width.is_multiple_of(squares * TILE)
}

/// G·w.
fn to_points(kernel: &[[f32; QUAD]; TAPS * TAPS]) -> Columns {
    let mut columns = [[[0.0; QUAD]; TAPS]; POINTS];
    for (g, column) in G.iter().zip(&mut columns) {
        for (kx, value) in column.iter_mut().enumerate() {
            for (g, taps) in g.iter().zip(kernel.chunks_exact(TAPS)) {
                value.iter_mut().zip(taps[kx]).for_each(|(value, tap)| *value += g * tap);
            }
        }
    }
    columns
}

/// Tiles of rows of a picture, and how many are looked at together for the gradient of the weights, where one takes so many floats for
/// inputs and slopes: what leaves room for the products in a second cache of a megabyte.
fn tiles_together(raster: &Raster, [inputs, slopes]: [usize; 2]) -> (usize, usize) {
    const FLOATS: usize = 1 << 17;
    let tiles = raster.grid.height / TILE;
    (tiles, (FLOATS / (inputs + slopes)).clamp(1, tiles))
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
        in_squares: bool,
    }

    impl Case {
        fn random(
            raster: Raster,
            inputs: [usize; 2],
            outputs: usize,
            begin: Begin,
            in_squares: bool,
            seed: u64,
        ) -> Case {
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
                in_squares,
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
            let mut scratch = WinogradScratch {
                in_squares: self.in_squares,
                inputs: left(),
                slopes: left(),
                square_inputs: left(),
                square_slopes: left(),
                sums: left(),
                rows: left(),
                products: left(),
            };
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
            width in prop_oneof![1usize..12, prop::sample::select(vec![4, 8, 12, 16])],
            windows in any_windows(),
            inputs in [1usize..5, 0usize..5],
            outputs in 1usize..10,
            begin in prop::sample::select(vec![Begin::Zero, Begin::Values, Begin::Present]),
            squares: bool,
            seed: u64,
        ) {
            let raster = Raster::new(Shape::Square, Grid { height: TILE * tiles, width }, windows);
            let case = Case::random(raster, inputs, outputs, begin, squares, seed);
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
