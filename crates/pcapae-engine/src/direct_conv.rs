//! Direct convolution as a list of taps: *this output channel adds that input channel, shifted by so much, times that parameter*.
//!
//! A stride and a transposed convolution become the same once the larger feature map is split into its
//! [phases](crate::phases). The gradient of the input is the transposed list; the gradient of the parameters follows from it, too.

use crate::feature_maps::{CHANNEL_BLOCK, Raster, for_columns, for_vectors};
use crate::output::Output;
use crate::simd::Simd;

/// One tap of a convolution, for one pair of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tap {
    pub output: usize,
    pub input: usize,
    /// Rows from the output pixel down to the input pixel.
    pub dy: isize,
    /// Columns to the right.
    pub dx: isize,
    /// Which parameter is the weight.
    pub parameter: usize,
}

/// Taps, in groups of outputs that read the same input pixels.
#[derive(Debug, Clone)]
pub(crate) struct DirectConv {
    groups: Vec<Group>,
}

/// Up to four neighbouring outputs.
#[derive(Debug, Clone)]
struct Group {
    first_output: usize,
    outputs: usize,
    /// Input by input.
    positions: Vec<Position>,
    /// Positions of each input.
    of_input: Vec<usize>,
    /// Parameter of each position and each of four outputs; none where an output lacks the tap.
    parameters: Vec<[Option<usize>; CHANNEL_BLOCK]>,
    weights: Vec<[f32; CHANNEL_BLOCK]>,
}

/// An input pixel that a group reads, relative to the output pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    input: usize,
    dy: isize,
    dx: isize,
}

/// What is applied to a finished sum before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Epilogue {
    Identity,
    LeakyRelu,
}

impl DirectConv {
    /// Groups the taps to `outputs` channels: one, two, or a multiple of four.
    pub fn new(taps: &[Tap], outputs: usize) -> DirectConv {
        let inputs = taps.iter().map(|tap| tap.input + 1).max().unwrap_or(0);
        let group = |first: usize| {
            let outputs = CHANNEL_BLOCK.min(outputs - first);
            let of_group = || taps.iter().filter(|tap| (first..first + outputs).contains(&tap.output));
            let position = |tap: &Tap| Position { input: tap.input, dy: tap.dy, dx: tap.dx };
            let mut positions: Vec<Position> = of_group().map(position).collect();
            positions.sort_unstable();
            positions.dedup();
            let mut parameters = vec![[None; CHANNEL_BLOCK]; positions.len()];
            for tap in of_group() {
                if let Ok(i) = positions.binary_search(&position(tap)) {
                    parameters[i][tap.output - first] = Some(tap.parameter);
                }
            }
            let weights = vec![[0.0; CHANNEL_BLOCK]; positions.len()];
            let count = |input: usize| positions.iter().filter(|position| position.input == input).count();
            let of_input = (0..inputs).map(count).collect();
            Group { first_output: first, outputs, positions, of_input, parameters, weights }
        };
        DirectConv { groups: (0..outputs).step_by(CHANNEL_BLOCK).map(group).collect() }
    }

    /// The transposed convolution, for the gradient of the input.
    pub fn transposed(taps: &[Tap], inputs: usize) -> DirectConv {
        let transpose = |tap: &Tap| Tap { output: tap.input, input: tap.output, dy: -tap.dy, dx: -tap.dx, ..*tap };
        DirectConv::new(&taps.iter().map(transpose).collect::<Vec<_>>(), inputs)
    }

    /// Loads the weights from the flat parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        for group in &mut self.groups {
            for (weights, indices) in group.weights.iter_mut().zip(&group.parameters) {
                *weights = indices.map(|index| index.map_or(0.0, |index| parameters[index]));
            }
        }
    }

    /// Adds the convolution of `inputs` to the initialised outputs, channel after channel.
    pub fn apply<S: Simd>(&self, s: S, raster: &Raster, inputs: &[&[f32]], outputs: &mut [Output], epilogue: Epilogue) {
        let mut groups = self.groups.iter();
        for output in outputs {
            let channels = output.feature_maps.len() / raster.size;
            for first in (0..channels).step_by(CHANNEL_BLOCK) {
                if let Some(group) = groups.next() {
                    group.apply(s, raster, inputs, output, first, epilogue);
                }
            }
        }
    }

    /// Adds `grad_weight` to `gradient`, where `grad_output` holds the gradient of all outputs, channel after channel.
    pub fn add_gradient<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        grad_output: &[&[f32]],
        gradient: &mut [f32],
    ) {
        for group in &self.groups {
            s.vectorize(
                #[inline(always)]
                || match (S::MANY_REGISTERS, group.outputs) {
                    (true, 1) => group.add_gradient::<S, 1, 5>(s, raster, inputs, grad_output, gradient),
                    (true, 2) => group.add_gradient::<S, 2, 5>(s, raster, inputs, grad_output, gradient),
                    (true, _) => group.add_gradient::<S, 4, 5>(s, raster, inputs, grad_output, gradient),
                    (false, 1) => group.add_gradient::<S, 1, 5>(s, raster, inputs, grad_output, gradient),
                    (false, 2) => group.add_gradient::<S, 2, 4>(s, raster, inputs, grad_output, gradient),
                    (false, _) => group.add_gradient::<S, 4, 2>(s, raster, inputs, grad_output, gradient),
                },
            );
        }
    }
}

/// A channel of several that lie in a few slices.
fn feature_map<'a>(pieces: &[&'a [f32]], raster: &Raster, mut channel: usize) -> &'a [f32] {
    for piece in pieces {
        let channels = piece.len() / raster.size;
        if channel < channels {
            return &piece[channel * raster.size..(channel + 1) * raster.size];
        }
        channel -= channels;
    }
    &[]
}

impl Group {
    /// Computes channels `first` and on of an output.
    fn apply<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        output: &mut Output,
        first: usize,
        epilogue: Epilogue,
    ) {
        s.vectorize(
            #[inline(always)]
            || match (self.outputs, epilogue) {
                (1, Epilogue::LeakyRelu) => self.rows::<S, 1, true>(s, raster, inputs, output, first),
                (2, Epilogue::LeakyRelu) => self.rows::<S, 2, true>(s, raster, inputs, output, first),
                (_, Epilogue::LeakyRelu) => self.rows::<S, 4, true>(s, raster, inputs, output, first),
                (1, Epilogue::Identity) => self.rows::<S, 1, false>(s, raster, inputs, output, first),
                (2, Epilogue::Identity) => self.rows::<S, 2, false>(s, raster, inputs, output, first),
                (_, Epilogue::Identity) => self.rows::<S, 4, false>(s, raster, inputs, output, first),
            },
        );
    }

    #[inline(always)]
    fn rows<S: Simd, const C: usize, const LEAKY: bool>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        output: &mut Output,
        first: usize,
    ) {
        for y in 0..raster.grid.height {
            for_columns!(S, raster.row_len(), S::LANES, |x, Q| {
                self.columns::<S, C, Q, LEAKY>(s, raster, inputs, output, first, [y, x])
            });
        }
    }

    /// `Q` vectors of columns of one row of `C` outputs.
    #[inline(always)]
    fn columns<S: Simd, const C: usize, const Q: usize, const LEAKY: bool>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        output: &mut Output,
        first: usize,
        [y, x]: [usize; 2],
    ) {
        let mut acc = [[s.splat(0.0); Q]; C];
        let pixel = raster.row(y) + x;
        let mut positions = self.positions.iter().zip(&self.weights);
        let feature_maps = inputs.iter().flat_map(|feature_maps| feature_maps.chunks_exact(raster.size));
        for (feature_map, count) in feature_maps.zip(&self.of_input) {
            for (position, weights) in positions.by_ref().take(*count) {
                let input =
                    &feature_map[pixel.wrapping_add_signed(raster.offset(position.dy, position.dx))..][..Q * S::LANES];
                let taps: [S::F; Q] = std::array::from_fn(|q| s.load(&input[q * S::LANES..]));
                for (acc, w) in acc.iter_mut().zip(weights) {
                    let w = s.splat(*w);
                    for (acc, tap) in acc.iter_mut().zip(taps) {
                        *acc = s.mul_add(w, tap, *acc);
                    }
                }
            }
        }
        let epilogue = |sum| if LEAKY { s.leaky(sum) } else { sum };
        for (c, sums) in acc.into_iter().enumerate() {
            output.write::<S, 1, Q>(s, raster, first + c, [y, x], [sums], epilogue);
        }
    }

    /// `C` outputs with `T` positions at a time.
    #[inline(always)]
    fn add_gradient<S: Simd, const C: usize, const T: usize>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        grad_output: &[&[f32]],
        gradient: &mut [f32],
    ) {
        let grad_output: [&[f32]; C] = std::array::from_fn(|c| feature_map(grad_output, raster, self.first_output + c));
        for (positions, parameters) in self.positions.chunks(T).zip(self.parameters.chunks(T)) {
            // The last chunk is filled up with copies of its last position, whose results are not used.
            let position = |t: usize| positions[t.min(positions.len() - 1)];
            let feature_maps: [&[f32]; T] = std::array::from_fn(|t| feature_map(inputs, raster, position(t).input));
            let offsets: [isize; T] = std::array::from_fn(|t| raster.offset(position(t).dy, position(t).dx));
            let mut acc = [[s.splat(0.0); T]; C];
            for_vectors::<S>(raster, |at| {
                let grad_output: [S::F; C] = std::array::from_fn(|c| at.load(s, grad_output[c]));
                for t in 0..T {
                    let tap = at.load_beside(s, feature_maps[t], offsets[t]);
                    for c in 0..C {
                        acc[c][t] = s.mul_add(tap, grad_output[c], acc[c][t]);
                    }
                }
            });
            for (t, indices) in parameters.iter().enumerate() {
                for (acc, index) in acc.iter().zip(indices) {
                    if let Some(index) = index {
                        gradient[*index] += s.sum(acc[t]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::feature_maps::{FeatureMaps, channel_sums};
    use crate::fixtures::{
        CASES, Random, any_windows, assert_close, assert_feature_maps, feature_map, instructions_for, widened,
    };
    use crate::network::Shape;
    use crate::network::{ConvGeometry, ConvParameters, Grid};
    use crate::output::Init;
    use crate::phases::{self, conv_taps, merge, split, transposed_conv_taps};
    use crate::reference::{FeatureMap, Graph, Op};
    use crate::simd::Kernel;

    /// The convolutions of the network, and how each moves over a feature map.
    #[derive(Debug, Clone, Copy)]
    enum Kind {
        Conv { shape: Shape, kernel: Grid, stride: Grid },
        Transposed { shape: Shape, kernel: Grid },
    }

    fn any_kind() -> impl Strategy<Value = Kind> {
        let square = |side: usize| Grid { height: side, width: side };
        let line = |width: usize| Grid { height: 1, width };
        prop::sample::select(vec![
            Kind::Conv { shape: Shape::Square, kernel: square(1), stride: square(1) },
            Kind::Conv { shape: Shape::Square, kernel: square(3), stride: square(1) },
            Kind::Conv { shape: Shape::Square, kernel: square(3), stride: square(2) },
            Kind::Conv { shape: Shape::Line, kernel: line(9), stride: line(1) },
            Kind::Conv { shape: Shape::Line, kernel: line(9), stride: line(4) },
            Kind::Conv { shape: Shape::Line, kernel: line(25), stride: line(1) },
            Kind::Transposed { shape: Shape::Square, kernel: square(4) },
            Kind::Transposed { shape: Shape::Line, kernel: line(16) },
        ])
    }

    /// A convolution, and what it is applied to.
    struct Case {
        transposed: bool,
        conv: ConvParameters,
        geometry: ConvGeometry,
        parameters: Vec<f32>,
        epilogue: Epilogue,
        x: FeatureMaps,
        grad_output: FeatureMaps,
    }

    impl Case {
        fn random(
            kind: Kind,
            [height, width]: [usize; 2],
            windows: usize,
            [inputs, outputs]: [usize; 2],
            epilogue: Epilogue,
            seed: u64,
        ) -> Case {
            let mut random = Random::new(seed);
            let (shape, kernel) = match kind {
                Kind::Conv { shape, kernel, .. } | Kind::Transposed { shape, kernel } => (shape, kernel),
            };
            let weights = inputs * outputs * kernel.pixels();
            let conv = ConvParameters { weight: 0..weights, bias: weights..weights + outputs, inputs, outputs, kernel };
            let geometry = match kind {
                Kind::Conv { stride, .. } => ConvGeometry::conv(&conv, stride),
                Kind::Transposed { .. } => ConvGeometry::transposed(&conv, shape),
            };
            let small = match shape {
                Shape::Square => Grid { height, width },
                Shape::Line => Grid { height: 1, width },
            };
            let [small, large] = [small, geometry.large(small)].map(|grid| Raster::new(shape, grid, windows));
            let transposed = matches!(kind, Kind::Transposed { .. });
            let (before, after) = if transposed { (small, large) } else { (large, small) };
            let parameters = random.values(weights + outputs);
            let (x, grad_output) = (random.feature_maps(before, inputs), random.feature_maps(after, outputs));
            Case { transposed, conv, geometry, parameters, epilogue, x, grad_output }
        }

        /// Outputs of each window and gradients of its input, and the gradient of the parameters.
        fn reference(&self) -> (Vec<[FeatureMap; 2]>, Vec<f64>) {
            let mut gradient = vec![0.0; self.parameters.len()];
            let maps = (0..self.x.raster.windows).map(|number| {
                let mut graph = Graph::new(&self.parameters);
                let x = graph.input(feature_map(&self.x, 0..self.conv.inputs, number));
                let (geometry, weight, bias) = (self.geometry, self.conv.weight.clone(), self.conv.bias.clone());
                let y = graph.push(if self.transposed {
                    Op::TransposedConv { x, geometry, weight, bias }
                } else {
                    Op::Conv { x, geometry, weight, bias }
                });
                let seed = feature_map(&self.grad_output, 0..self.conv.outputs, number);
                let mut of_window = graph.gradient(vec![(y, seed)], self.parameters.len());
                gradient.iter_mut().zip(&of_window.parameters).for_each(|(sum, part)| *sum += part);
                let y = match self.epilogue {
                    Epilogue::Identity => y,
                    Epilogue::LeakyRelu => graph.push(Op::Leaky { x: y }),
                };
                [graph.value(y).clone(), of_window.values[0].take().unwrap()]
            });
            let maps = maps.collect();
            (maps, gradient)
        }
    }

    impl Kernel for &Case {
        type Output = (FeatureMaps, FeatureMaps, Vec<f32>);

        fn run<S: Simd>(self, s: S) -> (FeatureMaps, FeatureMaps, Vec<f32>) {
            let (conv, stride) = (&self.conv, self.geometry.stride);
            let phases = phases::count(stride);
            let mut gradient = vec![0.0; self.parameters.len()];
            let init = Init::Bias(&self.parameters[conv.bias.clone()]);
            let (mut y, mut dx) = (FeatureMaps::zeros(self.grad_output.raster, conv.outputs), self.x.clone());
            let of_phases = |large: &FeatureMaps, small: Raster| {
                let mut parts = FeatureMaps::zeros(small, phases * large.count());
                split(s, stride, &large.raster, large.all(), &small, parts.all_mut());
                parts
            };
            let (small, taps, inputs, outputs) = if self.transposed {
                (self.x.raster, transposed_conv_taps(conv, &self.geometry), conv.inputs, phases * conv.outputs)
            } else {
                (self.grad_output.raster, conv_taps(conv, &self.geometry), phases * conv.inputs, conv.outputs)
            };
            let (mut forward, mut back) = (DirectConv::new(&taps, outputs), DirectConv::transposed(&taps, inputs));
            forward.load(&self.parameters);
            back.load(&self.parameters);
            let (x, grad_output) = if self.transposed {
                (self.x.clone(), of_phases(&self.grad_output, small))
            } else {
                (of_phases(&self.x, small), self.grad_output.clone())
            };
            let (mut sums, mut transposed) = (FeatureMaps::zeros(small, outputs), FeatureMaps::zeros(small, inputs));
            let mut output = [Output { feature_maps: sums.all_mut(), init }];
            forward.apply(s, &small, &[x.all()], &mut output, self.epilogue);
            let mut output = [Output { feature_maps: transposed.all_mut(), init: Init::Zero }];
            back.apply(s, &small, &[grad_output.all()], &mut output, Epilogue::Identity);
            forward.add_gradient(s, &small, &[x.all()], &[grad_output.all()], &mut gradient);
            if self.transposed {
                merge(s, stride, &small, sums.all(), &y.raster.clone(), y.all_mut());
                dx = transposed;
            } else {
                y = sums;
                merge(s, stride, &small, transposed.all(), &dx.raster.clone(), dx.all_mut());
            }
            let grad_output = &self.grad_output;
            channel_sums(s, &grad_output.raster, grad_output.all(), |c, sum| gradient[conv.bias.start + c] += sum);
            (y, dx, gradient)
        }
    }

    /// As many channels as the network has somewhere.
    fn channels() -> impl Strategy<Value = usize> {
        prop::sample::select(vec![1, 2, 4, 8])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4 * CASES))]

        #[test]
        fn taps_give_every_convolution_of_the_network_and_its_gradients(
            kind in any_kind(),
            sides in [1usize..6, 1usize..9],
            windows in any_windows(),
            channels in [channels(), channels()],
            epilogue in prop::sample::select(vec![Epilogue::Identity, Epilogue::LeakyRelu]),
            seed: u64,
        ) {
            let case = Case::random(kind, sides, windows, channels, epilogue, seed);
            let (maps, exact) = case.reference();
            for instructions in instructions_for(windows) {
                let (y, dx, gradient) = instructions.run(&case);
                for (window, [y_map, dx_map]) in maps.iter().enumerate() {
                    let what = format!("{instructions}, window {window}");
                    assert_feature_maps(&format!("{what}: y"), &y, window, y_map, 5e-6);
                    assert_feature_maps(&format!("{what}: dx"), &dx, window, dx_map, 5e-6);
                }
                assert_close(&format!("{instructions}, gradient"), &widened(&gradient), &exact, 5e-6);
            }
        }
    }
}
