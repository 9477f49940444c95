//! Group normalisation (Wu & He, *Group Normalization*, 2018): moments of every window, and the way back.

use super::cell_conv::QUAD;
use super::planes::{PerLane, Raster, for_places, lane_sums};
use super::simd::{LANES_MAX, Simd};
use crate::model::NormParameters;

/// Keeps the deviation of a constant picture from being zero; PyTorch's default.
const EPSILON: f32 = 1e-5;

/// Mean and 1 / √(variance + 1e-5) of a group of channels in each window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moments {
    pub mean: PerLane,
    pub inverse: PerLane,
}

impl Moments {
    /// Those that change nothing.
    pub const NONE: Moments = Moments { mean: [0.0; LANES_MAX], inverse: [1.0; LANES_MAX] };

    /// y = factor·x + offset for a channel with this scale and shift.
    fn line(&self, scale: f32, shift: f32) -> Line {
        let factor = self.inverse.map(|inverse| scale * inverse);
        let offset = std::array::from_fn(|lane| shift - self.mean[lane] * factor[lane]);
        Line { factor, offset }
    }
}

/// y = factor·x + offset, other numbers for each window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub factor: PerLane,
    pub offset: PerLane,
}

/// Normalises some channels, or leaves them alone where the network does so.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    parameters: Option<NormParameters>,
    /// Scale and shift of each channel.
    scales: Vec<f32>,
    shifts: Vec<f32>,
}

impl Norm {
    /// For `channels` channels.
    pub fn new(parameters: Option<NormParameters>, channels: usize) -> Norm {
        Norm { parameters, scales: vec![1.0; channels], shifts: vec![0.0; channels] }
    }

    /// Takes scales and shifts out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        if let Some(norm) = &self.parameters {
            self.scales.copy_from_slice(&parameters[norm.gamma.clone()]);
            self.shifts.copy_from_slice(&parameters[norm.beta.clone()]);
        }
    }

    /// Moments of some channels, quads of them; one for each channel of a group.
    pub fn moments<S: Simd>(&self, s: S, raster: &Raster, planes: &[f32], moments: &mut [Moments]) {
        let Some(norm) = &self.parameters else {
            moments.fill(Moments::NONE);
            return;
        };
        let pixels = (norm.group * raster.grid.pixels()) as f32;
        let mean_of = |lanes: &[PerLane]| {
            let sum = std::array::from_fn(|lane| lanes.iter().map(|sums| sums[lane]).sum());
            per_window(sum, raster.windows, S::LANES).map(|sum| sum / pixels)
        };
        for (quad, moments) in planes.chunks_exact(QUAD * raster.size).zip(moments.chunks_exact_mut(QUAD)) {
            let sums = lane_sums(s, raster, planes_of(raster, quad));
            for (moments, sums) in moments.chunks_mut(norm.group).zip(sums.chunks(norm.group)) {
                moments.fill(Moments { mean: mean_of(sums), ..Moments::NONE });
            }
            let squares = square_deviations(s, raster, quad, moments);
            for (moments, squares) in moments.chunks_mut(norm.group).zip(squares.chunks(norm.group)) {
                let inverse = mean_of(squares).map(|variance| 1.0 / (variance + EPSILON).sqrt());
                moments.iter_mut().for_each(|moments| moments.inverse = inverse);
            }
        }
    }

    /// The whole normalisation of a channel as a line.
    pub fn line(&self, channel: usize, moments: &Moments) -> Line {
        moments.line(self.scales[channel], self.shifts[channel])
    }

    /// Replaces y' of channels `first` and on by x', where `x` held them before, and adds γ' and β'.
    ///
    /// γ' = Σ y'·x̂, β' = Σ y', x' = (γ·y' − mean(γ·y') − x̂·mean(γ·y'·x̂)) / √(variance + 1e-5), means over the group.
    #[allow(clippy::too_many_arguments, reason = "what came in, what comes back, and where it goes")]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        first: usize,
        x: &[f32],
        moments: &[Moments],
        slopes: &mut [f32],
        gradient: &mut [f32],
    ) {
        let Some(norm) = &self.parameters else { return };
        let pixels = (norm.group * raster.grid.pixels()) as f32;
        let size = QUAD * raster.size;
        let quads = x.chunks_exact(size).zip(slopes.chunks_exact_mut(size)).zip(moments.chunks_exact(QUAD));
        for (first, ((x, slopes), moments)) in (first..).step_by(QUAD).zip(quads) {
            let sums = slope_sums(s, raster, x, moments, slopes);
            let mut means = [[[0.0; LANES_MAX]; 2]; QUAD];
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
            let planes = x.chunks_exact(raster.size).zip(slopes.chunks_exact_mut(raster.size));
            for (c, (x, slopes)) in planes.enumerate() {
                let [mean, along] = &means[c / norm.group];
                Plane { s, raster, x, slopes }.differentiate(self.scales[first + c], &moments[c], mean, along);
            }
        }
    }
}

/// Adds up the lanes of each window, and gives each lane its window's sum.
fn per_window(lanes: PerLane, windows: usize, count: usize) -> PerLane {
    let mut sums = [0.0; LANES_MAX];
    for (lane, value) in lanes[..count].iter().enumerate() {
        sums[lane % windows] += value;
    }
    std::array::from_fn(|lane| sums[lane % windows])
}

/// Σ (x − mean)² of each channel of a quad, lane by lane.
fn square_deviations<S: Simd>(s: S, raster: &Raster, quad: &[f32], moments: &[Moments]) -> [PerLane; QUAD] {
    let planes = planes_of(raster, quad);
    let sums = s.vectorize(
        #[inline(always)]
        || {
            let means: [S::F; QUAD] = std::array::from_fn(|c| s.load(&moments[c].mean));
            let mut sums = [s.splat(0.0); QUAD];
            for_places::<S>(raster, |at| {
                for c in 0..QUAD {
                    let deviation = at.only(s, s.sub(at.load(s, planes[c]), means[c]));
                    sums[c] = s.mul_add(deviation, deviation, sums[c]);
                }
            });
            sums
        },
    );
    sums.map(|sum| s.to_array(sum))
}

/// Σ y' and Σ y'·x̂ of each channel of a quad, lane by lane.
fn slope_sums<S: Simd>(s: S, raster: &Raster, x: &[f32], moments: &[Moments], slopes: &[f32]) -> [[PerLane; 2]; QUAD] {
    let (x, slopes) = (planes_of(raster, x), planes_of(raster, slopes));
    let sums = s.vectorize(
        #[inline(always)]
        || {
            let means: [S::F; QUAD] = std::array::from_fn(|c| s.load(&moments[c].mean));
            let mut sums = [[s.splat(0.0); 2]; QUAD];
            for_places::<S>(raster, |at| {
                for c in 0..QUAD {
                    let slope = at.load(s, slopes[c]);
                    let deviation = s.sub(at.load(s, x[c]), means[c]);
                    sums[c] = [s.add(sums[c][0], slope), s.mul_add(slope, deviation, sums[c][1])];
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

fn planes_of<'a>(raster: &Raster, quad: &'a [f32]) -> [&'a [f32]; QUAD] {
    std::array::from_fn(|c| &quad[c * raster.size..(c + 1) * raster.size])
}

/// A channel and its slopes.
struct Plane<'a, S> {
    s: S,
    raster: &'a Raster,
    x: &'a [f32],
    slopes: &'a mut [f32],
}

impl<S: Simd> Plane<'_, S> {
    /// x' = (γ·y' − mean − x̂·along)·inverse, as a·y' + b·x + c.
    fn differentiate(self, scale: f32, moments: &Moments, mean: &PerLane, along: &PerLane) {
        let Plane { s, raster, x, slopes } = self;
        let of = |f: &dyn Fn(usize) -> f32| -> PerLane { std::array::from_fn(f) };
        let a = of(&|lane| scale * moments.inverse[lane]);
        let b = of(&|lane| -moments.inverse[lane].powi(2) * along[lane]);
        let c = of(&|lane| -moments.inverse[lane] * mean[lane] - b[lane] * moments.mean[lane]);
        s.vectorize(
            #[inline(always)]
            || {
                let [a, b, c] = [s.load(&a), s.load(&b), s.load(&c)];
                for_places::<S>(raster, |at| {
                    let slope = s.mul_add(at.load(s, slopes), a, s.mul_add(at.load(s, x), b, c));
                    at.store(s, slope, slopes);
                });
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::instructions::Work;
    use super::super::planes::Planes;
    use super::super::specimen::{
        CASES, Random, any_windows, assert_close, assert_pictures, instructions_for, picture, widened,
    };
    use super::*;
    use crate::fragment::Shape;
    use crate::model::{Graph, Grid, Map, Op};

    /// A normalisation, and what it is applied to.
    struct Case {
        norm: NormParameters,
        parameters: Vec<f32>,
        x: Planes,
        slopes: Planes,
    }

    impl Case {
        fn random(raster: Raster, quads: usize, group: usize, seed: u64) -> Case {
            let (mut random, channels) = (Random::new(seed), quads * QUAD);
            let parameters = random.values(2 * channels);
            // Channels of other heights and contrasts. Pixels lie in turn above and below the height: without contrast single precision
            // loses its digits, by whatever way it computes.
            let mut x = Planes::zeros(raster, channels);
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
            Case { norm, parameters, x, slopes: random.planes(raster, channels) }
        }

        /// Outputs of each window and gradients of its input, and the gradient of the parameters.
        fn by_definition(&self) -> (Vec<[Map; 2]>, Vec<f64>) {
            let mut gradient = vec![0.0; self.parameters.len()];
            let channels = self.x.count();
            let maps = (0..self.x.raster.windows).map(|number| {
                let mut graph = Graph::new(&self.parameters);
                let x = graph.input(picture(&self.x, 0..channels, number));
                let NormParameters { gamma, beta, group } = self.norm.clone();
                let y = graph.push(Op::GroupNorm { x, group, gamma, beta });
                let seed = picture(&self.slopes, 0..channels, number);
                let mut of_window = graph.gradient(vec![(y, seed)], self.parameters.len());
                gradient.iter_mut().zip(&of_window.parameters).for_each(|(sum, part)| *sum += part);
                [graph.value(y).clone(), of_window.values[0].take().unwrap()]
            });
            let maps = maps.collect();
            (maps, gradient)
        }
    }

    impl Work for &Case {
        type Output = (Planes, Planes, Vec<f32>);

        fn run<S: Simd>(self, s: S) -> (Planes, Planes, Vec<f32>) {
            let (raster, channels) = (self.x.raster, self.x.count());
            let mut norm = Norm::new(Some(self.norm.clone()), channels);
            norm.load(&self.parameters);
            let mut moments = vec![Moments::NONE; channels];
            norm.moments(s, &raster, self.x.all(), &mut moments);
            let mut y = Planes::zeros(raster, channels);
            for (channel, moments) in moments.iter().enumerate() {
                let Line { factor, offset } = norm.line(channel, moments);
                for window in 0..raster.windows {
                    let values: Vec<f32> = self.x.window(channel, window).collect();
                    y.set_window(channel, window, values.into_iter().map(|x| factor[window] * x + offset[window]));
                }
            }
            let (mut slopes, mut gradient) = (self.slopes.clone(), vec![0.0; self.parameters.len()]);
            norm.backward(s, &raster, 0, self.x.all(), &moments, slopes.all_mut(), &mut gradient);
            (y, slopes, gradient)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2 * CASES))]

        #[test]
        fn moments_and_gradients_are_those_of_the_definition(
            shape in prop::sample::select(vec![Shape::Square, Shape::Line]),
            sides in [1usize..9, 1usize..13],
            windows in any_windows(),
            quads in 1usize..3,
            group in prop::sample::select(vec![1usize, 2, 4]),
            seed: u64,
        ) {
            let [height, width] = sides;
            let grid = match shape {
                Shape::Square => Grid { height, width: width + 1 },
                Shape::Line => Grid { height: 1, width: height * width + 1 },
            };
            let case = Case::random(Raster::new(shape, grid, windows), quads, group, seed);
            let (maps, exact) = case.by_definition();
            for instructions in instructions_for(windows) {
                let (y, dx, gradient) = instructions.run(&case);
                for (window, [y_map, dx_map]) in maps.iter().enumerate() {
                    let what = format!("{instructions}, window {window}");
                    assert_pictures(&format!("{what}: y"), &y, window, y_map, 1e-5);
                    assert_pictures(&format!("{what}: dx"), &dx, window, dx_map, 1e-4);
                }
                assert_close(&format!("{instructions}, gradient"), &widened(&gradient), &exact, 1e-5);
            }
        }
    }
}
