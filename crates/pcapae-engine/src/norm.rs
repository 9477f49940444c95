//! Group normalisation (Wu & He, *Group Normalization*, 2018), forward and backward, with moments for every window.

use crate::feature_maps::{CHANNEL_BLOCK, PerLane, Raster, for_vectors, lane_sums};
use crate::network::NormParameters;
use crate::simd::{LANES_MAX, Simd};

/// ε below the root; PyTorch's default.
const EPSILON: f32 = 1e-5;

/// Mean and 1 / √(variance + 1e-5) of a group of channels in each window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    pub mean: PerLane,
    pub inverse: PerLane,
}

impl Moments {
    /// Moments that change nothing.
    pub const NONE: Moments = Moments { mean: [0.0; LANES_MAX], inverse: [1.0; LANES_MAX] };

    /// The affine map of a channel with this γ and β.
    fn affine(&self, scale: f32, shift: f32) -> Affine {
        let factor = self.inverse.map(|inverse| scale * inverse);
        let offset = std::array::from_fn(|lane| shift - self.mean[lane] * factor[lane]);
        Affine { factor, offset }
    }
}

/// y = factor·x + offset, with its own numbers for each window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Affine {
    pub factor: PerLane,
    pub offset: PerLane,
}

/// Normalises some channels; without parameters the identity.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    parameters: Option<NormParameters>,
    /// γ and β of each channel.
    scales: Vec<f32>,
    shifts: Vec<f32>,
}

impl Norm {
    /// For `channels` channels.
    pub fn new(parameters: Option<NormParameters>, channels: usize) -> Norm {
        Norm { parameters, scales: vec![1.0; channels], shifts: vec![0.0; channels] }
    }

    /// Loads γ and β from the flat parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        if let Some(norm) = &self.parameters {
            self.scales.copy_from_slice(&parameters[norm.gamma.clone()]);
            self.shifts.copy_from_slice(&parameters[norm.beta.clone()]);
        }
    }

    /// Moments of some channel blocks, an entry for each channel.
    pub fn moments<S: Simd>(&self, s: S, raster: &Raster, feature_maps: &[f32], moments: &mut [Moments]) {
        let Some(norm) = &self.parameters else {
            moments.fill(Moments::NONE);
            return;
        };
        let pixels = (norm.group * raster.grid.pixels()) as f32;
        let mean_of = |lanes: &[PerLane]| {
            let sum = std::array::from_fn(|lane| lanes.iter().map(|sums| sums[lane]).sum());
            per_window(sum, raster.windows, S::LANES).map(|sum| sum / pixels)
        };
        for (block, moments) in
            feature_maps.chunks_exact(CHANNEL_BLOCK * raster.size).zip(moments.chunks_exact_mut(CHANNEL_BLOCK))
        {
            let sums = lane_sums(s, raster, maps_of(raster, block));
            for (moments, sums) in moments.chunks_mut(norm.group).zip(sums.chunks(norm.group)) {
                moments.fill(Moments { mean: mean_of(sums), ..Moments::NONE });
            }
            let squares = square_deviations(s, raster, block, moments);
            for (moments, squares) in moments.chunks_mut(norm.group).zip(squares.chunks(norm.group)) {
                let inverse = mean_of(squares).map(|variance| 1.0 / (variance + EPSILON).sqrt());
                moments.iter_mut().for_each(|moments| moments.inverse = inverse);
            }
        }
    }

    /// The whole normalisation of a channel as an affine map.
    pub fn affine(&self, channel: usize, moments: &Moments) -> Affine {
        moments.affine(self.scales[channel], self.shifts[channel])
    }

    /// Replaces the gradient y' of channels `first` and on by that of the input x, x', and adds γ' and β' to `gradient`:
    ///
    /// γ' = Σ y'·x̂, β' = Σ y', x' = (γ·y' − mean(γ·y') − x̂·mean(γ·y'·x̂)) / √(variance + 1e-5), means over the group.
    #[allow(clippy::too_many_arguments, reason = "input, moments, and both gradients")]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        first: usize,
        x: &[f32],
        moments: &[Moments],
        grad: &mut [f32],
        gradient: &mut [f32],
    ) {
        let Some(norm) = &self.parameters else { return };
        let pixels = (norm.group * raster.grid.pixels()) as f32;
        let size = CHANNEL_BLOCK * raster.size;
        let blocks = x.chunks_exact(size).zip(grad.chunks_exact_mut(size)).zip(moments.chunks_exact(CHANNEL_BLOCK));
        for (first, ((x, grad), moments)) in (first..).step_by(CHANNEL_BLOCK).zip(blocks) {
            let sums = grad_sums(s, raster, x, moments, grad);
            let mut means = [[[0.0; LANES_MAX]; 2]; CHANNEL_BLOCK];
            for (c, sums) in sums.iter().enumerate() {
                gradient[norm.beta.start + first + c] += sums[0].iter().sum::<f32>();
                gradient[norm.gamma.start + first + c] += sums[1].iter().sum::<f32>();
                let factor = self.scales[first + c] / pixels;
                let group = &mut means[c / norm.group];
                for (mean, sum) in group.iter_mut().zip(sums) {
                    let sum = per_window(*sum, raster.windows, S::LANES);
                    mean.iter_mut().zip(sum).for_each(|(mean, sum)| *mean += factor * sum);
                }
            }
            let feature_maps = x.chunks_exact(raster.size).zip(grad.chunks_exact_mut(raster.size));
            for (c, (x, grad)) in feature_maps.enumerate() {
                let [mean, along] = &means[c / norm.group];
                Channel { s, raster, x, grad }.differentiate(self.scales[first + c], &moments[c], mean, along);
            }
        }
    }
}

/// Adds up the lanes of each window; each lane gets its window's sum.
fn per_window(lanes: PerLane, windows: usize, count: usize) -> PerLane {
    let mut sums = [0.0; LANES_MAX];
    for (lane, value) in lanes[..count].iter().enumerate() {
        sums[lane % windows] += value;
    }
    std::array::from_fn(|lane| sums[lane % windows])
}

/// Σ (x − mean)² of each channel of a block, lane by lane.
fn square_deviations<S: Simd>(s: S, raster: &Raster, block: &[f32], moments: &[Moments]) -> [PerLane; CHANNEL_BLOCK] {
    let feature_maps = maps_of(raster, block);
    let sums = s.vectorize(
        #[inline(always)]
        || {
            let means: [S::F; CHANNEL_BLOCK] = std::array::from_fn(|c| s.load(&moments[c].mean));
            let mut sums = [s.splat(0.0); CHANNEL_BLOCK];
            for_vectors::<S>(raster, |at| {
                for c in 0..CHANNEL_BLOCK {
                    let deviation = at.only(s, s.sub(at.load(s, feature_maps[c]), means[c]));
                    sums[c] = s.mul_add(deviation, deviation, sums[c]);
                }
            });
            sums
        },
    );
    sums.map(|sum| s.to_array(sum))
}

/// Σ y' and Σ y'·x̂ of each channel of a block, lane by lane.
fn grad_sums<S: Simd>(
    s: S,
    raster: &Raster,
    x: &[f32],
    moments: &[Moments],
    grad: &[f32],
) -> [[PerLane; 2]; CHANNEL_BLOCK] {
    let (x, grad) = (maps_of(raster, x), maps_of(raster, grad));
    let sums = s.vectorize(
        #[inline(always)]
        || {
            let means: [S::F; CHANNEL_BLOCK] = std::array::from_fn(|c| s.load(&moments[c].mean));
            let mut sums = [[s.splat(0.0); 2]; CHANNEL_BLOCK];
            for_vectors::<S>(raster, |at| {
                for c in 0..CHANNEL_BLOCK {
                    let grad_value = at.load(s, grad[c]);
                    let deviation = s.sub(at.load(s, x[c]), means[c]);
                    sums[c] = [s.add(sums[c][0], grad_value), s.mul_add(grad_value, deviation, sums[c][1])];
                }
            });
            for (sums, moments) in sums.iter_mut().zip(moments) {
                sums[1] = s.mul(sums[1], s.load(&moments.inverse));
            }
            sums
        },
    );
    sums.map(|sums| sums.map(|sum| s.to_array(sum)))
}

fn maps_of<'a>(raster: &Raster, block: &'a [f32]) -> [&'a [f32]; CHANNEL_BLOCK] {
    std::array::from_fn(|c| &block[c * raster.size..(c + 1) * raster.size])
}

/// A channel and its gradient.
struct Channel<'a, S> {
    s: S,
    raster: &'a Raster,
    x: &'a [f32],
    grad: &'a mut [f32],
}

impl<S: Simd> Channel<'_, S> {
    /// x' = (γ·y' − mean − x̂·along)·inverse, as a·y' + b·x + c.
    fn differentiate(self, scale: f32, moments: &Moments, mean: &PerLane, along: &PerLane) {
        let Channel { s, raster, x, grad } = self;
        let of = |f: &dyn Fn(usize) -> f32| -> PerLane { std::array::from_fn(f) };
        let a = of(&|lane| scale * moments.inverse[lane]);
        let b = of(&|lane| -moments.inverse[lane].powi(2) * along[lane]);
        let c = of(&|lane| -moments.inverse[lane] * mean[lane] - b[lane] * moments.mean[lane]);
        s.vectorize(
            #[inline(always)]
            || {
                let [a, b, c] = [s.load(&a), s.load(&b), s.load(&c)];
                for_vectors::<S>(raster, |at| {
                    let grad_value = s.mul_add(at.load(s, grad), a, s.mul_add(at.load(s, x), b, c));
                    at.store(s, grad_value, grad);
                });
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::feature_maps::FeatureMaps;
    use crate::fixtures::{
        CASES, Random, any_windows, assert_close, assert_feature_maps, feature_map, instructions_for, widened,
    };
    use crate::network::Grid;
    use crate::network::Shape;
    use crate::reference::{FeatureMap, Graph, Op};
    use crate::simd::Kernel;

    /// A normalisation, and what it is applied to.
    struct Case {
        norm: NormParameters,
        parameters: Vec<f32>,
        x: FeatureMaps,
        grad: FeatureMaps,
    }

    impl Case {
        fn random(raster: Raster, blocks: usize, group: usize, seed: u64) -> Case {
            let (mut random, channels) = (Random::new(seed), blocks * CHANNEL_BLOCK);
            let parameters = random.values(2 * channels);
            // Channels of other heights and contrasts. Pixels lie in turn above and below the height: without contrast single precision
            // loses its digits, by whatever way it computes.
            let mut x = FeatureMaps::zeros(raster, channels);
            for channel in 0..channels {
                for window in 0..raster.windows {
                    let [height, contrast] = [2.0 * random.values(1)[0], 1.5 + random.values(1)[0]];
                    let values = random.values(raster.grid.pixels());
                    let deviations = values.into_iter().enumerate().map(|(i, value)| {
                        let size = contrast * (0.75 + 0.25 * value);
                        if i % 2 == 0 { size } else { -size }
                    });
                    x.set_window(channel, window, deviations.map(|deviation| height + deviation));
                }
            }
            let norm = NormParameters { gamma: 0..channels, beta: channels..2 * channels, group };
            Case { norm, parameters, x, grad: random.feature_maps(raster, channels) }
        }

        /// Outputs of each window and gradients of its input, and the gradient of the parameters.
        fn reference(&self) -> (Vec<[FeatureMap; 2]>, Vec<f64>) {
            let mut gradient = vec![0.0; self.parameters.len()];
            let channels = self.x.count();
            let maps = (0..self.x.raster.windows).map(|number| {
                let mut graph = Graph::new(&self.parameters);
                let x = graph.input(feature_map(&self.x, 0..channels, number));
                let NormParameters { gamma, beta, group } = self.norm.clone();
                let y = graph.push(Op::GroupNorm { x, group, gamma, beta });
                let seed = feature_map(&self.grad, 0..channels, number);
                let mut of_window = graph.gradient(vec![(y, seed)], self.parameters.len());
                gradient.iter_mut().zip(&of_window.parameters).for_each(|(sum, part)| *sum += part);
                [graph.value(y).clone(), of_window.values[0].take().unwrap()]
            });
            let maps = maps.collect();
            (maps, gradient)
        }
    }

    impl Kernel for &Case {
        type Output = (FeatureMaps, FeatureMaps, Vec<f32>);

        fn run<S: Simd>(self, s: S) -> (FeatureMaps, FeatureMaps, Vec<f32>) {
            let (raster, channels) = (self.x.raster, self.x.count());
            let mut norm = Norm::new(Some(self.norm.clone()), channels);
            norm.load(&self.parameters);
            let mut moments = vec![Moments::NONE; channels];
            norm.moments(s, &raster, self.x.all(), &mut moments);
            let mut y = FeatureMaps::zeros(raster, channels);
            for (channel, moments) in moments.iter().enumerate() {
                let Affine { factor, offset } = norm.affine(channel, moments);
                for window in 0..raster.windows {
                    let values: Vec<f32> = self.x.window(channel, window).collect();
                    y.set_window(channel, window, values.into_iter().map(|x| factor[window] * x + offset[window]));
                }
            }
            let (mut grad, mut gradient) = (self.grad.clone(), vec![0.0; self.parameters.len()]);
            norm.backward(s, &raster, 0, self.x.all(), &moments, grad.all_mut(), &mut gradient);
            (y, grad, gradient)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2 * CASES))]

        #[test]
        fn moments_and_gradients_agree_with_the_reference(
            shape in prop::sample::select(vec![Shape::Square, Shape::Line]),
            sides in [1usize..9, 1usize..13],
            windows in any_windows(),
            blocks in 1usize..3,
            group in prop::sample::select(vec![1usize, 2, 4]),
            seed: u64,
        ) {
            let [height, width] = sides;
            let grid = match shape {
                Shape::Square => Grid { height, width: width + 1 },
                Shape::Line => Grid { height: 1, width: height * width + 1 },
            };
            let case = Case::random(Raster::new(shape, grid, windows), blocks, group, seed);
            let (maps, exact) = case.reference();
            for instructions in instructions_for(windows) {
                let (y, dx, gradient) = instructions.run(&case);
                for (window, [y_map, dx_map]) in maps.iter().enumerate() {
                    let what = format!("{instructions}, window {window}");
                    assert_feature_maps(&format!("{what}: y"), &y, window, y_map, 1e-5);
                    assert_feature_maps(&format!("{what}: dx"), &dx, window, dx_map, 1e-4);
                }
                assert_close(&format!("{instructions}, gradient"), &widened(&gradient), &exact, 1e-5);
            }
        }
    }
}
