//! Losses of the decoder's frames against their targets, and their gradients.

use crate::categorical::NEGATIVE_LOG_LIKELIHOOD;
use crate::feature_maps::PerLane;
use crate::feature_maps::{FeatureMaps, Raster, for_vectors};
use crate::network::Head;
use crate::simd::Simd;

/// A loss of one pixel.
trait PixelLoss {
    /// From the network's output before the head.
    fn loss<S: Simd>(s: S, output: S::F, target: S::F) -> S::F;
}

/// The derivative of a loss by the output.
trait Derivative: PixelLoss {
    fn derivative<S: Simd>(s: S, output: S::F, target: S::F) -> S::F;
}

/// (y − x)².
struct SquaredError;

/// −x·ln σ(z) − (1 − x)·ln(1 − σ(z)) = max(z, 0) − x·z + ln(1 + e^−|z|): finite for any z.
struct CrossEntropy;

impl PixelLoss for SquaredError {
    #[inline(always)]
    fn loss<S: Simd>(s: S, output: S::F, target: S::F) -> S::F {
        let error = s.sub(output, target);
        s.mul(error, error)
    }
}

impl Derivative for SquaredError {
    #[inline(always)]
    fn derivative<S: Simd>(s: S, output: S::F, target: S::F) -> S::F {
        let error = s.sub(output, target);
        s.add(error, error)
    }
}

impl PixelLoss for CrossEntropy {
    #[inline(always)]
    fn loss<S: Simd>(s: S, output: S::F, target: S::F) -> S::F {
        let bend = s.sub(s.max(s.splat(0.0), output), s.mul(target, output));
        s.add(bend, s.softplus_tail(output))
    }
}

impl Derivative for CrossEntropy {
    #[inline(always)]
    fn derivative<S: Simd>(s: S, output: S::F, target: S::F) -> S::F {
        s.sub(s.sigmoid(output), target)
    }
}

/// The categorical head has computed the loss itself.
struct NegativeLogLikelihood;

impl PixelLoss for NegativeLogLikelihood {
    #[inline(always)]
    fn loss<S: Simd>(_: S, output: S::F, _: S::F) -> S::F {
        output
    }
}

/// The sum over all pixels of the first `count` windows.
pub(crate) fn loss<S: Simd>(s: S, head: Head, count: usize, output: &FeatureMaps, target: &FeatureMaps) -> f64 {
    match head {
        Head::Linear => loss_sum::<S, SquaredError>(s, count, &output.raster, output.all(), target.all()),
        Head::Sigmoid => loss_sum::<S, CrossEntropy>(s, count, &output.raster, output.all(), target.all()),
        Head::Categorical => {
            let log_loss = output.channels(NEGATIVE_LOG_LIKELIHOOD..NEGATIVE_LOG_LIKELIHOOD + 1);
            loss_sum::<S, NegativeLogLikelihood>(s, count, &output.raster, log_loss, target.all())
        }
    }
}

/// The same sum; `grad_output` becomes its gradient times `factor`, zero for the other windows.
pub(crate) fn loss_backward<S: Simd>(
    s: S,
    head: Head,
    count: usize,
    factor: f32,
    output: &FeatureMaps,
    target: &FeatureMaps,
    grad_output: &mut FeatureMaps,
) -> f64 {
    match head {
        Head::Linear => write_gradient::<S, SquaredError>(s, count, factor, output, target, grad_output),
        Head::Sigmoid => write_gradient::<S, CrossEntropy>(s, count, factor, output, target, grad_output),
        // It has its own backward pass.
        Head::Categorical => {}
    }
    loss(s, head, count, output, target)
}

/// One in the lanes of the first `count` windows, zero in others.
pub(crate) fn window_mask(count: usize, windows: usize) -> PerLane {
    std::array::from_fn(|lane| if lane % windows < count { 1.0 } else { 0.0 })
}

/// Row by row in single precision, over rows in double.
fn loss_sum<S: Simd, L: PixelLoss>(s: S, count: usize, raster: &Raster, output: &[f32], target: &[f32]) -> f64 {
    let mask = window_mask(count, raster.windows);
    s.vectorize(
        #[inline(always)]
        || {
            let (mut sum, mask) = (0.0, s.load(&mask));
            let mut row = s.splat(0.0);
            for_vectors::<S>(raster, |at| {
                let loss = L::loss(s, at.load(s, output), at.load(s, target));
                row = s.mul_add(at.only(s, loss), mask, row);
                if at.ends_row::<S>() {
                    sum += f64::from(s.sum(row));
                    row = s.splat(0.0);
                }
            });
            sum
        },
    )
}

fn write_gradient<S: Simd, L: Derivative>(
    s: S,
    count: usize,
    factor: f32,
    output: &FeatureMaps,
    target: &FeatureMaps,
    grad_output: &mut FeatureMaps,
) {
    let raster = output.raster;
    let (output, target, grad_output) = (output.all(), target.all(), grad_output.all_mut());
    let factors = window_mask(count, raster.windows).map(|lane| lane * factor);
    s.vectorize(
        #[inline(always)]
        || {
            let factors = s.load(&factors);
            for_vectors::<S>(&raster, |at| {
                let derivative = L::derivative(s, at.load(s, output), at.load(s, target));
                at.store(s, s.mul(derivative, factors), grad_output);
            });
        },
    );
}
