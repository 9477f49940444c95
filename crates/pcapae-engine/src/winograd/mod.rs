//! 5 × 5 convolutions of squares with two and a half to six times fewer multiplications.
//!
//! Winograd's method (*Arithmetic Complexity of Computations*, 1980; for networks: Lavin & Gray, *Fast Algorithms for Convolutional
//! Neural Networks*, 2016), with *input transform* Bᵀ·x, *weight transform* G·w and *output transform* Aᵀ·m:
//!
//! * [`F4_5`] is F(4, 5), down the columns: y = Aᵀ[(G·w) ⊙ (Bᵀ·x)], 8 products instead of 4·5, at the points 0, ±1, ±2, ±½ and ∞. Along
//!   the rows the five taps are summed directly, so a row stays contiguous, no matter what its lanes hold.
//! * [`F4x4_5x5`] is F(4×4, 5×5), both ways: y = Aᵀ[(G·w·Gᵀ) ⊙ (Bᵀ·x·B)]·A, 64 products instead of 16·25. For training, and only where
//!   the lanes hold windows rather than pixels.
//!
//! The gradient of the weights is the transpose: w' = Gᵀ Σ (A·y') ⊙ (Bᵀ·x), or w' = Gᵀ [Σ (A·y'·Aᵀ) ⊙ (Bᵀ·x·B)] G. The greatest rounding
//! error is about 2.5 times that of direct convolution, with F(4×4, 5×5) nine times: some 5·10⁻⁶ of the largest value.

mod f4_5;
mod f4x4_5x5;
mod scratch;
mod strided;
mod tile_transforms;
mod transforms;

use crate::feature_maps::{CHANNEL_BLOCK, Raster};
use crate::output::Output;
use crate::simd::Simd;
use crate::weights::Weights;
use f4_5::F4_5;
use f4x4_5x5::F4x4_5x5;
use tile_transforms::{grad_output_size, input_size, transform_input_rows};
use transforms::{TAPS, TILE, weight_transform};

pub(crate) use scratch::{WinogradScratch, fits_2d};

/// Transformed weights of both methods.
#[derive(Debug, Clone)]
pub(crate) struct Winograd {
    inputs: usize,
    f4_5: F4_5,
    f4x4_5x5: F4x4_5x5,
}

impl Winograd {
    /// For the inputs and output blocks of `weights`.
    pub fn new(weights: &Weights) -> Winograd {
        Winograd { inputs: weights.inputs(), f4_5: F4_5::new(weights), f4x4_5x5: F4x4_5x5::new(weights) }
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
        let uses_2d = scratch.uses_2d::<S>(raster);
        scratch.inputs.grow(input_size(raster, self.inputs));
        for tile in 0..raster.grid.height / TILE {
            transform_input_rows(s, raster, inputs, tile, &mut scratch.inputs);
            if uses_2d {
                self.f4x4_5x5.row_of_tiles(s, raster, tile, outputs, scratch);
            } else {
                self.f4_5.row_of_tiles(s, raster, tile, outputs, scratch);
            }
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
        let sizes = [input_size(raster, self.inputs), grad_output_size(raster, weights.blocks() * CHANNEL_BLOCK)];
        let uses_2d = scratch.uses_2d::<S>(raster);
        let (tiles, together) = tiles_together(raster, sizes);
        for first in (0..tiles).step_by(together) {
            let group = first..tiles.min(first + together);
            scratch.transform_tiles(s, raster, [inputs, grad_output], group.clone(), sizes);
            if uses_2d {
                self.f4x4_5x5.add_products(s, raster, group, sizes, scratch);
            } else {
                self.f4_5.add_products(s, raster, group, sizes, scratch);
            }
        }
        if uses_2d {
            self.f4x4_5x5.collect(s, weights, &scratch.products, gradient);
        } else {
            self.f4_5.collect(s, weights, &scratch.products, gradient);
        }
    }
}

/// How many rows of tiles there are, and how many are processed together for the gradient of the weights. The arguments are the floats that a
/// row takes of inputs and of `grad_output`; together with the products, they should fit into a second-level cache of a megabyte.
fn tiles_together(raster: &Raster, [inputs, grad_output]: [usize; 2]) -> (usize, usize) {
    const FLOATS: usize = 1 << 17;
    let tiles = raster.grid.height / TILE;
    (tiles, (FLOATS / (inputs + grad_output)).clamp(1, tiles))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aligned::AlignedBuffer;
    use crate::feature_maps::FeatureMaps;
    use crate::fixtures::{
        CASES, Random, any_windows, assert_close, assert_feature_maps, feature_map, instructions_for, widened,
    };
    use crate::network::{ConvGeometry, Grid, Shape};
    use crate::output::Init;
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
