//! Group normalisation (Wu & He, *Group Normalization*, 2018): moments of every window, and the way back.

use super::planes::Raster;
use super::simd::{LANES_MAX, Simd};
use crate::model::NormParameters;

/// Keeps the deviation of a constant picture from being zero; PyTorch's default.
const EPSILON: f32 = 1e-5;

/// A number for each lane of a vector: that of the window which the lane holds a pixel of.
pub(crate) type PerLane = [f32; LANES_MAX];

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

    /// Moments of channels `first` and on, which `planes` holds; one for each channel of a group.
    pub fn moments<S: Simd>(&self, s: S, raster: &Raster, planes: &[f32], moments: &mut [Moments]) {
        let Some(norm) = &self.parameters else {
            moments.fill(Moments::NONE);
            return;
        };
        let groups = planes.chunks_exact(norm.group * raster.size);
        for (planes, moments) in groups.zip(moments.chunks_exact_mut(norm.group)) {
            moments.fill(group_moments(s, raster, planes));
        }
    }

    /// The whole normalisation of a channel as a line.
    pub fn line(&self, channel: usize, moments: &Moments) -> Line {
        moments.line(self.scales[channel], self.shifts[channel])
    }

    /// Replaces y' of channels `first` and on by x', where `x` held them before, and adds γ' and β'.
    ///
    /// γ' = Σ y'·x̂, β' = Σ y', x' = (γ·y' − mean(γ·y') − x̂·mean(γ·y'·x̂)) / √(variance + 1e-5), means over the group.
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
        let size = norm.group * raster.size;
        let groups = x.chunks_exact(size).zip(slopes.chunks_exact_mut(size)).zip(moments.chunks_exact(norm.group));
        for (number, ((x, slopes), moments)) in groups.enumerate() {
            let channel = first + number * norm.group;
            let pixels = (norm.group * raster.grid.pixels()) as f32;
            let (mut mean, mut along) = ([0.0; LANES_MAX], [0.0; LANES_MAX]);
            let planes = || x.chunks_exact(raster.size).zip(0..);
            for (x, c) in planes() {
                let slopes = &slopes[c * raster.size..(c + 1) * raster.size];
                let sums = slope_sums(s, raster, x, &moments[0], slopes);
                gradient[norm.beta.start + channel + c] += sums[0].iter().sum::<f32>();
                gradient[norm.gamma.start + channel + c] += sums[1].iter().sum::<f32>();
                let [total, with_x] = sums.map(|sum| per_window(sum, raster.windows, S::LANES));
                for lane in 0..S::LANES {
                    mean[lane] += self.scales[channel + c] * total[lane] / pixels;
                    along[lane] += self.scales[channel + c] * with_x[lane] / pixels;
                }
            }
            for (x, c) in planes() {
                let slopes = &mut slopes[c * raster.size..(c + 1) * raster.size];
                let plane = Plane { s, raster, x, slopes };
                plane.differentiate(self.scales[channel + c], &moments[0], &mean, &along);
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

fn group_moments<S: Simd>(s: S, raster: &Raster, planes: &[f32]) -> Moments {
    let pixels = (planes.len() / raster.size * raster.grid.pixels()) as f32;
    let mean_of = |lanes: PerLane| per_window(lanes, raster.windows, S::LANES).map(|sum| sum / pixels);
    let mean = mean_of(lane_sums(s, raster, planes));
    let center = s.load(&mean);
    // Lanes beyond a short row are zero, and stay out of the sum by being made equal to the mean.
    let variance = mean_of(square_deviations(s, raster, planes, center));
    Moments { mean, inverse: variance.map(|variance| 1.0 / (variance + EPSILON).sqrt()) }
}

fn lane_sums<S: Simd>(s: S, raster: &Raster, planes: &[f32]) -> PerLane {
    let sum = s.vectorize(
        #[inline(always)]
        || {
            let mut sums = [s.splat(0.0); 2];
            for plane in planes.chunks_exact(raster.size) {
                for y in 0..raster.grid.height {
                    for (i, x) in (0..raster.row_len()).step_by(S::LANES).enumerate() {
                        let v = s.load_first(&plane[raster.row(y) + x..], raster.row_len() - x);
                        sums[i % 2] = s.add(sums[i % 2], v);
                    }
                }
            }
            s.add(sums[0], sums[1])
        },
    );
    s.to_array(sum)
}

fn square_deviations<S: Simd>(s: S, raster: &Raster, planes: &[f32], mean: S::F) -> PerLane {
    let sum = s.vectorize(
        #[inline(always)]
        || {
            let mut sums = [s.splat(0.0); 2];
            for plane in planes.chunks_exact(raster.size) {
                for y in 0..raster.grid.height {
                    for (i, x) in (0..raster.row_len()).step_by(S::LANES).enumerate() {
                        let count = raster.row_len() - x;
                        let deviation = s.sub(s.load_first(&plane[raster.row(y) + x..], count), mean);
                        let deviation = if count >= S::LANES { deviation } else { first_lanes(s, deviation, count) };
                        sums[i % 2] = s.mul_add(deviation, deviation, sums[i % 2]);
                    }
                }
            }
            s.add(sums[0], sums[1])
        },
    );
    s.to_array(sum)
}

/// The first lanes, and zeros.
#[inline(always)]
fn first_lanes<S: Simd>(s: S, v: S::F, count: usize) -> S::F {
    s.load_part(&s.to_array(v)[..count])
}

/// Σ y' and Σ y'·x̂ of a channel, lane by lane.
fn slope_sums<S: Simd>(s: S, raster: &Raster, x: &[f32], moments: &Moments, slopes: &[f32]) -> [PerLane; 2] {
    let sums = s.vectorize(
        #[inline(always)]
        || {
            let (mean, inverse) = (s.load(&moments.mean), s.load(&moments.inverse));
            let mut sums = [s.splat(0.0); 2];
            for y in 0..raster.grid.height {
                for column in (0..raster.row_len()).step_by(S::LANES) {
                    let (place, count) = (raster.row(y) + column, raster.row_len() - column);
                    let slope = s.load_first(&slopes[place..], count);
                    let normal = s.mul(s.sub(s.load_first(&x[place..], count), mean), inverse);
                    sums[0] = s.add(sums[0], slope);
                    sums[1] = s.mul_add(slope, normal, sums[1]);
                }
            }
            sums
        },
    );
    sums.map(|sum| s.to_array(sum))
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
                for y in 0..raster.grid.height {
                    for column in (0..raster.row_len()).step_by(S::LANES) {
                        let (place, count) = (raster.row(y) + column, raster.row_len() - column);
                        let slope = s.load_first(&slopes[place..], count);
                        let x = s.load_first(&x[place..], count);
                        let slope = s.mul_add(slope, a, s.mul_add(x, b, c));
                        s.store_first(slope, &mut slopes[place..], count);
                    }
                }
            },
        );
    }
}
