//! 5 × 5 convolutions of squares with two and a half to six times fewer multiplications.
//!
//! Winograd's method (*Arithmetic Complexity of Computations*, 1980; for networks: Lavin & Gray, *Fast Algorithms for Convolutional
//! Neural Networks*, 2016), with *input transform* Bᵀ·x, *weight transform* G·w and *output transform* Aᵀ·m:
//!
//! * [`F4_5`] is F(4, 5), down the columns: y = Aᵀ[(G·w) ⊙ (Bᵀ·x)], 8 products instead of 4·5, at the points 0, ±1, ±2, ±½ and ∞. Along
//!   the rows the five taps are summed directly, so a row stays contiguous, whatever its lanes hold.
//! * [`F4x4_5x5`] is F(4×4, 5×5), both ways: y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·x·B)]·A, 64 products instead of 16·25. For training, and only where
//!   the lanes hold windows rather than pixels.
//!
//! The gradient of the weights is the transpose: w' = Gᵀ Σ (A·y') ⊙ (Bᵀ·x), or w' = Gᵀ [Σ (A·y'·Aᵀ) ⊙ (Bᵀ·x·B)] G. The greatest rounding
//! error is about 2.5 times that of direct convolution, with F(4×4, 5×5) nine times: some 5·10⁻⁶ of the largest value.

mod f4_5;
mod f4x4_5x5;
mod strided;
mod tile_transforms;
mod transforms;

use std::ops::Range;

use crate::aligned::AlignedBuffer;
use crate::cell_conv::{CHANNEL_BLOCK, Output, Weights};
use crate::feature_maps::Raster;
use crate::simd::Simd;
use crate::workspace::Purpose;
use f4_5::F4_5;
use f4x4_5x5::F4x4_5x5;
use tile_transforms::{transform_grad_output_rows, transform_input_rows};
use transforms::{G, POINTS, TAPS, TILE};

/// Transformed weights G·w from an input to a block of outputs: [point][column of the kernel][output of the block].
type Columns = [[[f32; CHANNEL_BLOCK]; TAPS]; POINTS];

/// Transformed weights of both methods.
#[derive(Debug, Clone)]
pub(crate) struct Winograd {
    f4_5: F4_5,
    f4x4_5x5: F4x4_5x5,
}

/// Scratch buffers, reused from call to call.
#[derive(Debug, Clone, Default)]
pub(crate) struct WinogradScratch {
    /// Whether F(4×4, 5×5) is used where it fits: faster, with more rounding.
    prefer_2d: bool,
    /// Bᵀ·x: [row of tiles][point][input][pixel and window].
    inputs: AlignedBuffer,
    /// A·y': [row of tiles][point][output][pixel and window].
    grad_output: AlignedBuffer,
    /// Bᵀ·x·B and A·y'·Aᵀ at one point down the columns: [point along the rows][channel][tile and window].
    inputs_2d: AlignedBuffer,
    grad_output_2d: AlignedBuffer,
    /// Sums over inputs: F(4, 5) [point][output][pixel and window], F(4×4, 5×5) [point][output of a block][tile and window].
    sums: AlignedBuffer,
    /// Outputs of a row of tiles before the output transform down the columns: [point][output][pixel and window].
    rows: AlignedBuffer,
    /// Sums of products: F(4, 5) [point][block][input][output of the block][tap][lane], F(4×4, 5×5) [point down][point along][block][group
    /// of inputs][output of the block][input of the group].
    products: AlignedBuffer,
}

impl WinogradScratch {
    /// F(4×4, 5×5) for training, where gradients are sums over many windows; F(4, 5) for inference.
    pub fn new(purpose: Purpose) -> WinogradScratch {
        WinogradScratch { prefer_2d: purpose == Purpose::Training, ..WinogradScratch::default() }
    }

    /// Transforms a few rows of tiles of inputs and `grad_output` down the columns; `sizes` are the floats of one row of each.
    fn transform_tiles<S: Simd>(
        &mut self,
        s: S,
        raster: &Raster,
        [inputs, grad_output]: [&[&[f32]]; 2],
        tiles: Range<usize>,
        sizes: [usize; 2],
    ) {
        self.inputs.grow(tiles.len() * sizes[0]);
        self.grad_output.grow(tiles.len() * sizes[1]);
        for (tile, points) in tiles.clone().zip(self.inputs.chunks_exact_mut(sizes[0])) {
            transform_input_rows(s, raster, inputs, tile, points);
        }
        for (tile, points) in tiles.zip(self.grad_output.chunks_exact_mut(sizes[1])) {
            transform_grad_output_rows(s, raster, grad_output, tile, points);
        }
    }
}

impl Winograd {
    /// For the inputs and output blocks of `weights`.
    pub fn new(weights: &Weights) -> Winograd {
        Winograd { f4_5: F4_5::new(weights), f4x4_5x5: F4x4_5x5::new(weights) }
    }

    /// Loads and transforms the weights.
    pub fn load(&mut self, weights: &Weights, parameters: &[f32]) {
        let mut kernel = [[0.0; CHANNEL_BLOCK]; TAPS * TAPS];
        for (number, index) in weights.kernels().enumerate() {
            for (tap, block) in kernel.iter_mut().enumerate() {
                *block = std::array::from_fn(|output| index(output, tap).map_or(0.0, |i| parameters[i]));
            }
            let columns = weight_transform(&kernel);
            self.f4_5.load(number, &columns);
            self.f4x4_5x5.load(number, &columns);
        }
    }

    /// Adds the convolution of `inputs` to the initialised outputs, block after block.
    pub fn apply<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        outputs: &mut [Output],
        scratch: &mut WinogradScratch,
    ) {
        if scratch.prefer_2d && fits_2d(raster.grid.width, raster.windows, S::LANES) {
            self.f4x4_5x5.apply(s, raster, inputs, outputs, scratch);
        } else {
            self.f4_5.apply(s, raster, inputs, outputs, scratch);
        }
    }

    /// Adds `grad_weight` to `gradient`, where `grad_output` holds the gradient of all outputs.
    #[allow(clippy::too_many_arguments, reason = "both operands, their layout, and scratch buffers")]
    pub fn add_gradient<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        weights: &Weights,
        inputs: &[&[f32]],
        grad_output: &[&[f32]],
        gradient: &mut [f32],
        scratch: &mut WinogradScratch,
    ) {
        if scratch.prefer_2d && fits_2d(raster.grid.width, raster.windows, S::LANES) {
            self.f4x4_5x5.add_gradient(s, raster, weights, inputs, grad_output, gradient, scratch);
        } else {
            self.f4_5.add_gradient(s, raster, weights, inputs, grad_output, gradient, scratch);
        }
    }
}

/// Whether F(4×4, 5×5) fits feature maps of this width with so many windows in a block: a vector must hold the same pixel of one tile,
/// or of two.
pub(crate) fn fits_2d(width: usize, windows: usize, lanes: usize) -> bool {
    let tiles = lanes / windows;
    tiles <= 2 && width.is_multiple_of(tiles * TILE)
}

/// G·w.
fn weight_transform(kernel: &[[f32; CHANNEL_BLOCK]; TAPS * TAPS]) -> Columns {
    let mut columns = [[[0.0; CHANNEL_BLOCK]; TAPS]; POINTS];
    for (g, column) in G.iter().zip(&mut columns) {
        for (kx, value) in column.iter_mut().enumerate() {
            for (g, taps) in g.iter().zip(kernel.chunks_exact(TAPS)) {
                value.iter_mut().zip(taps[kx]).for_each(|(value, tap)| *value += g * tap);
            }
        }
    }
    columns
}

/// Rows of tiles, and how many are processed together for the gradient of the weights, where one takes so many floats of inputs and
/// `grad_output`: with the products they fit into a second-level cache of a megabyte.
fn tiles_together(raster: &Raster, [inputs, grad_output]: [usize; 2]) -> (usize, usize) {
    const FLOATS: usize = 1 << 17;
    let tiles = raster.grid.height / TILE;
    (tiles, (FLOATS / (inputs + grad_output)).clamp(1, tiles))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cell_conv::Init;
    use crate::feature_maps::FeatureMaps;
    use crate::fixtures::{
        CASES, Random, any_windows, assert_close, assert_feature_maps, feature_map, instructions_for, widened,
    };
    use crate::network::Shape;
    use crate::network::{ConvGeometry, Grid};
    use crate::reference::{FeatureMap, Graph, Op};
    use crate::simd::Kernel;

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
        inputs: [FeatureMaps; 2],
        begin: Begin,
        present: FeatureMaps,
        grad_output: FeatureMaps,
        prefer_2d: bool,
    }

    impl Case {
        fn random(
            raster: Raster,
            inputs: [usize; 2],
            outputs: usize,
            begin: Begin,
            prefer_2d: bool,
            seed: u64,
        ) -> Case {
            let mut random = Random::new(seed);
            let (all, blocks) = (inputs.iter().sum(), outputs.div_ceil(CHANNEL_BLOCK));
            let place = |output: usize, input: usize, tap: usize| {
                (output < outputs).then_some((output * all + input) * TAPS * TAPS + tap)
            };
            let mut parameters = random.values(outputs * all * TAPS * TAPS + outputs);
            if begin != Begin::Values {
                let biases = parameters.len() - outputs;
                parameters[biases..].fill(0.0);
            }
            Case {
                weights: Weights::new(all, blocks, place),
                parameters,
                inputs: inputs.map(|count| random.feature_maps(raster, count)),
                begin,
                present: random.feature_maps(raster, outputs),
                grad_output: random.feature_maps(raster, blocks * CHANNEL_BLOCK),
                prefer_2d,
            }
        }

        fn outputs(&self) -> usize {
            self.present.count()
        }

        /// Outputs of each window, and the gradient of the parameters.
        fn reference(&self) -> (Vec<FeatureMap>, Vec<f64>) {
            let (side, one) = (Grid { height: TAPS, width: TAPS }, Grid { height: 1, width: 1 });
            let geometry = ConvGeometry { kernel: side, stride: one, padding: Grid { height: 2, width: 2 } };
            let biases = self.parameters.len() - self.outputs();
            let mut gradient = vec![0.0; self.parameters.len()];
            let outputs = (0..self.present.raster.windows).map(|number| {
                let mut graph = Graph::new(&self.parameters);
                let [a, b] = &self.inputs;
                let [a, b] =
                    [a, b].map(|feature_maps| graph.input(feature_map(feature_maps, 0..feature_maps.count(), number)));
                let x = graph.push(Op::Concat { a, b });
                let (weight, bias) = (0..biases, biases..self.parameters.len());
                let mut y = graph.push(Op::Conv { x, geometry, weight, bias });
                let seed = feature_map(&self.grad_output, 0..self.outputs(), number);
                let of_window = graph.gradient(vec![(y, seed)], self.parameters.len()).parameters;
                gradient.iter_mut().zip(of_window).for_each(|(sum, part)| *sum += part);
                if self.begin == Begin::Present {
                    let b = graph.input(feature_map(&self.present, 0..self.outputs(), number));
                    y = graph.push(Op::Sum { a: y, b });
                }
                graph.value(y).clone()
            });
            let outputs = outputs.collect();
            gradient.truncate(biases);
            (outputs, gradient)
        }
    }

    impl Kernel for &Case {
        type Output = (FeatureMaps, Vec<f32>);

        fn run<S: Simd>(self, s: S) -> (FeatureMaps, Vec<f32>) {
            let raster = self.present.raster;
            let mut winograd = Winograd::new(&self.weights);
            winograd.load(&self.weights, &self.parameters);
            // Earlier contents must not matter.
            let dirty = || {
                let mut buffer = AlignedBuffer::zeros(3000);
                buffer.fill(1000.0);
                buffer
            };
            let mut scratch = WinogradScratch {
                prefer_2d: self.prefer_2d,
                inputs: dirty(),
                grad_output: dirty(),
                inputs_2d: dirty(),
                grad_output_2d: dirty(),
                sums: dirty(),
                rows: dirty(),
                products: dirty(),
            };
            let inputs = self.inputs.each_ref().map(FeatureMaps::all);
            let biases = &self.parameters[self.parameters.len() - self.outputs()..];
            let mut outputs = self.present.clone();
            let first = CHANNEL_BLOCK.min(self.outputs());
            let (feature_maps, more_planes) = outputs.all_mut().split_at_mut(first * raster.size);
            let init = |biases| match self.begin {
                Begin::Zero => Init::Zero,
                Begin::Values => Init::Bias(biases),
                Begin::Present => Init::Accumulate,
            };
            let mut pieces = [
                Output { feature_maps, init: init(&biases[..first]) },
                Output { feature_maps: more_planes, init: init(&biases[first..]) },
            ];
            winograd.apply(s, &raster, &inputs, &mut pieces, &mut scratch);
            let mut gradient = vec![0.0; self.parameters.len() - self.outputs()];
            let grad_output = [self.grad_output.all()];
            winograd.add_gradient(s, &raster, &self.weights, &inputs, &grad_output, &mut gradient, &mut scratch);
            (outputs, gradient)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(CASES))]

        #[test]
        fn winograd_agrees_with_the_reference_forward_and_backward(
            tiles in 1usize..4,
            width in prop_oneof![1usize..12, prop::sample::select(vec![4, 8, 12, 16])],
            windows in any_windows(),
            inputs in [1usize..5, 0usize..5],
            outputs in 1usize..10,
            begin in prop::sample::select(vec![Begin::Zero, Begin::Values, Begin::Present]),
            prefer_2d: bool,
            seed: u64,
        ) {
            let raster = Raster::new(Shape::Square, Grid { height: TILE * tiles, width }, windows);
            let case = Case::random(raster, inputs, outputs, begin, prefer_2d, seed);
            let (maps, exact) = case.reference();
            for instructions in instructions_for(windows) {
                let (outputs, gradient) = instructions.run(&case);
                for (window, map) in maps.iter().enumerate() {
                    assert_feature_maps(&format!("{instructions}, window {window}"), &outputs, window, map, 1e-5);
                }
                assert_close(&format!("{instructions}, gradient"), &widened(&gradient), &exact, 1e-5);
            }
        }
    }
}
