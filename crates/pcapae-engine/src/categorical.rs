//! The categorical head, fused: logits, softmax and loss of a vector of pixels at once.
//!
//! The 256 logits of all pixels are never in memory together: only the mean byte and −ln p of the target byte are kept, and the
//! backward pass computes the logits again.

use crate::feature_maps::{FeatureMaps, VectorPosition, for_vectors};
use crate::network::{BYTE_VALUES, CATEGORICAL_CHANNELS, ConvParameters};
use crate::simd::{LANES_MAX, Simd};

/// Channel of the result with Σ p(v) · v / 255.
pub(crate) const MEAN: usize = 0;
/// Channel of the result with −ln p of the target byte.
pub(crate) const NEGATIVE_LOG_LIKELIHOOD: usize = 1;
/// Channels of the result.
pub(crate) const RESULTS: usize = 2;

/// A number for each value of a byte and each lane.
type PerValue = [f32; BYTE_VALUES * LANES_MAX];

/// A 1 × 1 convolution to 256 logits, and their softmax.
#[derive(Debug, Clone)]
pub(crate) struct Categorical {
    parameters: ConvParameters,
    weights: Vec<[f32; CATEGORICAL_CHANNELS]>,
    biases: Vec<f32>,
}

/// Accumulators of every logit: the gradient of its weights and its bias, a vector each.
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

    /// Computes the two channels of `result` from those of `x`; `target` holds the bytes, divided by 255.
    pub fn forward<S: Simd>(&self, s: S, x: &FeatureMaps, target: &FeatureMaps, result: &mut FeatureMaps) {
        let raster = x.raster;
        let (x, target) = (x.all(), target.all());
        let (mean, log_loss) = result.all_mut().split_at_mut(raster.size);
        let mut z: PerValue = [0.0; BYTE_VALUES * LANES_MAX];
        s.vectorize(
            #[inline(always)]
            || {
                for_vectors::<S>(
                    &raster,
                    #[inline(always)]
                    |at| {
                        let bytes = bytes(s, at, target);
                        let highest = self.logits(s, &load(s, at, x, raster.size), &mut z);
                        let of_target: [f32; LANES_MAX] = std::array::from_fn(|lane| z[index::<S>(bytes[lane], lane)]);
                        let (sum, weighted) = exponentials(s, highest, &mut z);
                        at.store(s, s.mul(s.div(weighted, sum), s.splat(1.0 / 255.0)), mean);
                        let (sum, highest) = (s.to_array(sum), s.to_array(highest));
                        let minus_ln: [f32; LANES_MAX] =
                            std::array::from_fn(|lane| sum[lane].max(1.0).ln() + highest[lane] - of_target[lane]);
                        at.store(s, s.load(&minus_ln), log_loss);
                    },
                );
            },
        );
    }

    /// Adds the gradient of the sum of −ln p, times a factor for each lane, to `gradient` and `grad_input`; `sums` is a scratch
    /// buffer.
    #[allow(clippy::too_many_arguments, reason = "input and target, the gradients, and a scratch buffer")]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        x: &FeatureMaps,
        target: &FeatureMaps,
        factors: &[f32; LANES_MAX],
        grad_input: &mut FeatureMaps,
        sums: &mut Vec<f32>,
        gradient: &mut [f32],
    ) {
        let raster = x.raster;
        let (x, target, grad_input) = (x.all(), target.all(), grad_input.all_mut());
        sums.clear();
        sums.resize(BYTE_VALUES * SUMS * S::LANES, 0.0);
        let mut p: PerValue = [0.0; BYTE_VALUES * LANES_MAX];
        s.vectorize(
            #[inline(always)]
            || {
                let factors = s.load(factors);
                for_vectors::<S>(
                    &raster,
                    #[inline(always)]
                    |at| {
                        let bytes = bytes(s, at, target);
                        let x = load(s, at, x, raster.size);
                        let highest = self.logits(s, &x, &mut p);
                        let (sum, _) = exponentials(s, highest, &mut p);
                        // p(v) − 1 for the target byte: e^z minus the sum.
                        let all = s.to_array(sum);
                        for (lane, byte) in bytes.iter().enumerate().take(S::LANES) {
                            p[index::<S>(*byte, lane)] -= all[lane];
                        }
                        let factor = at.only(s, s.div(factors, sum));
                        let of_channels = self.add_gradients(s, &x, factor, &p, sums);
                        for (grad, grad_input) in of_channels.into_iter().zip(grad_input.chunks_exact_mut(raster.size))
                        {
                            at.store(s, s.add(at.load(s, grad_input), grad), grad_input);
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

    /// All logits of a vector of pixels; returns the highest of each pixel.
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

    /// Where `part` × `factor` is the gradient of the logits: adds those of weights and biases to `sums`, returns those of the
    /// channels.
    #[inline(always)]
    fn add_gradients<S: Simd>(
        &self,
        s: S,
        x: &[S::F; CATEGORICAL_CHANNELS],
        factor: S::F,
        part: &PerValue,
        sums: &mut [f32],
    ) -> [S::F; CATEGORICAL_CHANNELS] {
        let mut grad_input = [s.splat(0.0); CATEGORICAL_CHANNELS];
        let sums = sums.chunks_exact_mut(SUMS * S::LANES);
        for ((part, weights), sums) in part.chunks_exact(S::LANES).zip(&self.weights).zip(sums) {
            let grad = s.mul(s.load(part), factor);
            for c in 0..CATEGORICAL_CHANNELS {
                grad_input[c] = s.mul_add(s.splat(weights[c]), grad, grad_input[c]);
                let sum = &mut sums[c * S::LANES..(c + 1) * S::LANES];
                s.store(s.mul_add(grad, x[c], s.load(sum)), sum);
            }
            let sum = &mut sums[CATEGORICAL_CHANNELS * S::LANES..];
            s.store(s.add(grad, s.load(sum)), sum);
        }
        grad_input
    }
}

/// All channels at a position.
#[inline(always)]
fn load<S: Simd>(s: S, at: VectorPosition, x: &[f32], size: usize) -> [S::F; CATEGORICAL_CHANNELS] {
    std::array::from_fn(
        #[inline(always)]
        |c| at.load(s, &x[c * size..(c + 1) * size]),
    )
}

/// The bytes of a vector of pixels.
#[inline(always)]
fn bytes<S: Simd>(s: S, at: VectorPosition, target: &[f32]) -> [u8; LANES_MAX] {
    s.to_array(at.load(s, target)).map(|value| (value * 255.0 + 0.5) as u8)
}

/// The index of a byte's value and a lane.
#[inline(always)]
fn index<S: Simd>(byte: u8, lane: usize) -> usize {
    usize::from(byte) * S::LANES + lane % S::LANES
}

/// Replaces every logit by e^(z − highest); returns their sum, and the sum of each times its value.
#[inline(always)]
fn exponentials<S: Simd>(s: S, highest: S::F, z: &mut PerValue) -> (S::F, S::F) {
    let (mut sum, mut weighted, mut value) = (s.splat(0.0), s.splat(0.0), s.splat(0.0));
    for z in z.chunks_exact_mut(S::LANES).take(BYTE_VALUES) {
        let e = s.exp(s.sub(s.load(z), highest));
        s.store(e, z);
        sum = s.add(sum, e);
        weighted = s.mul_add(e, value, weighted);
        value = s.add(value, s.splat(1.0));
    }
    (sum, weighted)
}
