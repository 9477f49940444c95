//! The categorical head: from the last channels of a pixel to how probable each value of its byte is, in one go.
//!
//! The 256 logits of a pixel are never all in memory for a whole picture: what is kept of them is the mean byte and −ln p of the
//! byte that is there. The way back computes them again.

use super::planes::{Place, Planes, for_places};
use super::simd::{LANES_MAX, Simd};
use crate::model::{BYTE_VALUES, CATEGORICAL_CHANNELS, ConvParameters};

/// Channel of the result with Σ p(v) · v / 255.
pub(crate) const MEAN: usize = 0;
/// Channel of the result with −ln p of the byte that is there.
pub(crate) const SURPRISE: usize = 1;
/// Channels of the result.
pub(crate) const RESULTS: usize = 2;

/// A number for each value of a byte and each lane, value by value.
type PerValue = [f32; BYTE_VALUES * LANES_MAX];

/// A 1 × 1 convolution to 256 logits, and their softmax.
#[derive(Debug, Clone)]
pub(crate) struct Categorical {
    parameters: ConvParameters,
    weights: Vec<[f32; CATEGORICAL_CHANNELS]>,
    biases: Vec<f32>,
}

/// Of every logit the gradient of its weights and its bias, a vector each; added up at the end.
const SUMS: usize = CATEGORICAL_CHANNELS + 1;

impl Categorical {
    pub fn new(parameters: &ConvParameters) -> Categorical {
        let weights = vec![[0.0; CATEGORICAL_CHANNELS]; BYTE_VALUES];
        Categorical { parameters: parameters.clone(), weights, biases: vec![0.0; BYTE_VALUES] }
    }

    pub fn load(&mut self, values: &[f32]) {
        let (weights, _) = values[self.parameters.weight.clone()].as_chunks();
        self.weights.copy_from_slice(weights);
        self.biases.copy_from_slice(&values[self.parameters.bias.clone()]);
    }

    /// Computes the two channels of `result` from those of `x`; `target` holds the bytes that are there, divided by 255.
    pub fn forward<S: Simd>(&self, s: S, x: &Planes, target: &Planes, result: &mut Planes) {
        let raster = x.raster;
        let (x, target) = (x.all(), target.all());
        let (mean, surprise) = result.all_mut().split_at_mut(raster.size);
        let mut z: PerValue = [0.0; BYTE_VALUES * LANES_MAX];
        s.vectorize(
            #[inline(always)]
            || {
                for_places::<S>(
                    &raster,
                    #[inline(always)]
                    |at| {
                        let bytes = bytes(s, at, target);
                        let highest = self.logits(s, &load(s, at, x, raster.size), &mut z);
                        let wanted: [f32; LANES_MAX] = std::array::from_fn(|lane| z[place::<S>(bytes[lane], lane)]);
                        let (sum, moment) = exponentials(s, highest, &mut z);
                        at.store(s, s.mul(s.div(moment, sum), s.splat(1.0 / 255.0)), mean);
                        let (sum, highest) = (s.to_array(sum), s.to_array(highest));
                        let minus_ln: [f32; LANES_MAX] =
                            std::array::from_fn(|lane| sum[lane].max(1.0).ln() + highest[lane] - wanted[lane]);
                        at.store(s, s.load(&minus_ln), surprise);
                    },
                );
            },
        );
    }

    /// Adds to `gradient`, and to `dx`, the gradient of the sum of −ln p over the first windows, times the factor: `wanted` holds
    /// the factor in the lanes of those windows and zero in others. `sums` is room that is used again.
    #[allow(clippy::too_many_arguments, reason = "in, out, and the gradients of both")]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        x: &Planes,
        target: &Planes,
        wanted: &[f32; LANES_MAX],
        dx: &mut Planes,
        sums: &mut Vec<f32>,
        gradient: &mut [f32],
    ) {
        let raster = x.raster;
        let (x, target, dx) = (x.all(), target.all(), dx.all_mut());
        sums.clear();
        sums.resize(BYTE_VALUES * SUMS * S::LANES, 0.0);
        let mut p: PerValue = [0.0; BYTE_VALUES * LANES_MAX];
        s.vectorize(
            #[inline(always)]
            || {
                let wanted = s.load(wanted);
                for_places::<S>(
                    &raster,
                    #[inline(always)]
                    |at| {
                        let bytes = bytes(s, at, target);
                        let x = load(s, at, x, raster.size);
                        let highest = self.logits(s, &x, &mut p);
                        let (sum, _) = exponentials(s, highest, &mut p);
                        // p(v) − 1 for the byte that is there: of e^z, less their sum.
                        let all = s.to_array(sum);
                        for (lane, byte) in bytes.iter().enumerate().take(S::LANES) {
                            p[place::<S>(*byte, lane)] -= all[lane];
                        }
                        let factor = at.only(s, s.div(wanted, sum));
                        let slopes = self.add_slopes(s, &x, factor, &p, sums);
                        for (slope, dx) in slopes.into_iter().zip(dx.chunks_exact_mut(raster.size)) {
                            at.store(s, s.add(at.load(s, dx), slope), dx);
                        }
                    },
                );
            },
        );
        let (weights, biases) = (self.parameters.weight.start, self.parameters.bias.start);
        for (value, sums) in sums.chunks_exact(SUMS * S::LANES).enumerate() {
            for (channel, lanes) in sums.chunks_exact(S::LANES).enumerate() {
                let to = match channel {
                    CATEGORICAL_CHANNELS => biases + value,
                    _ => weights + value * CATEGORICAL_CHANNELS + channel,
                };
                gradient[to] += lanes.iter().sum::<f32>();
            }
        }
    }

    /// All logits of a vector's pixels, and the highest of each.
    #[inline(always)]
    fn logits<S: Simd>(&self, s: S, x: &[S::F; CATEGORICAL_CHANNELS], z: &mut PerValue) -> S::F {
        let mut highest = s.splat(f32::MIN);
        for ((z, weights), bias) in z.chunks_exact_mut(S::LANES).zip(&self.weights).zip(&self.biases) {
            let mut logit = s.splat(*bias);
            for (x, weight) in x.iter().zip(weights) {
                logit = s.mul_add(s.splat(*weight), *x, logit);
            }
            s.store(logit, z);
            highest = s.max(highest, logit);
        }
        highest
    }

    /// With a logit's slope `part` × `factor`, adds the gradients of weights and biases to `sums` and gives those of the channels.
    #[inline(always)]
    fn add_slopes<S: Simd>(
        &self,
        s: S,
        x: &[S::F; CATEGORICAL_CHANNELS],
        factor: S::F,
        part: &PerValue,
        sums: &mut [f32],
    ) -> [S::F; CATEGORICAL_CHANNELS] {
        let mut slopes = [s.splat(0.0); CATEGORICAL_CHANNELS];
        let sums = sums.chunks_exact_mut(SUMS * S::LANES);
        for ((part, weights), sums) in part.chunks_exact(S::LANES).zip(&self.weights).zip(sums) {
            let slope = s.mul(s.load(part), factor);
            for c in 0..CATEGORICAL_CHANNELS {
                slopes[c] = s.mul_add(s.splat(weights[c]), slope, slopes[c]);
                let sum = &mut sums[c * S::LANES..(c + 1) * S::LANES];
                s.store(s.mul_add(slope, x[c], s.load(sum)), sum);
            }
            let sum = &mut sums[CATEGORICAL_CHANNELS * S::LANES..];
            s.store(s.add(slope, s.load(sum)), sum);
        }
        slopes
    }
}

/// All channels at a place.
#[inline(always)]
fn load<S: Simd>(s: S, at: Place, x: &[f32], size: usize) -> [S::F; CATEGORICAL_CHANNELS] {
    std::array::from_fn(
        #[inline(always)]
        |c| at.load(s, &x[c * size..(c + 1) * size]),
    )
}

/// The bytes that a vector's pixels are.
#[inline(always)]
fn bytes<S: Simd>(s: S, at: Place, target: &[f32]) -> [u8; LANES_MAX] {
    s.to_array(at.load(s, target)).map(|value| (value * 255.0 + 0.5) as u8)
}

/// Where the number of a byte's value and a lane is.
#[inline(always)]
fn place<S: Simd>(byte: u8, lane: usize) -> usize {
    usize::from(byte) * S::LANES + lane % S::LANES
}

/// Replaces every logit by e^(z − highest); gives their sum, and the sum of each times its value.
#[inline(always)]
fn exponentials<S: Simd>(s: S, highest: S::F, z: &mut PerValue) -> (S::F, S::F) {
    let (mut sum, mut moment, mut value) = (s.splat(0.0), s.splat(0.0), s.splat(0.0));
    for z in z.chunks_exact_mut(S::LANES).take(BYTE_VALUES) {
        let e = s.exp(s.sub(s.load(z), highest));
        s.store(e, z);
        sum = s.add(sum, e);
        moment = s.mul_add(e, value, moment);
        value = s.add(value, s.splat(1.0));
    }
    (sum, moment)
}
