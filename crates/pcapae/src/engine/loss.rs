//! Losses: how far the decoder's frames are from their targets, and the way back from there.

use super::categorical::SURPRISE;
use super::planes::PerLane;
use super::planes::{Planes, Raster, for_places};
use super::simd::Simd;
use crate::model::Head;

/// A loss of one pixel.
trait PixelLoss {
    /// From the network's output before the head.
    fn loss<S: Simd>(s: S, output: S::F, target: S::F) -> S::F;
}

/// Its slope.
trait Slope: PixelLoss {
    fn slope<S: Simd>(s: S, output: S::F, target: S::F) -> S::F;
}

/// (y − x)².
struct SquaredError;

/// −x·ln σ(z) − (1 − x)·ln(1 − σ(z)) = max(z, 0) − x·z + ln(1 + e^−|z|): no logarithm of nothing, whatever z is.
struct CrossEntropy;

impl PixelLoss for SquaredError {
    #[inline(always)]
    fn loss<S: Simd>(s: S, output: S::F, target: S::F) -> S::F {
        let error = s.sub(output, target);
        s.mul(error, error)
    }
}

impl Slope for SquaredError {
    #[inline(always)]
    fn slope<S: Simd>(s: S, output: S::F, target: S::F) -> S::F {
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

impl Slope for CrossEntropy {
    #[inline(always)]
    fn slope<S: Simd>(s: S, output: S::F, target: S::F) -> S::F {
        s.sub(s.sigmoid(output), target)
    }
}

/// The loss itself is what the head gave.
struct Surprise;

impl PixelLoss for Surprise {
    #[inline(always)]
    fn loss<S: Simd>(_: S, output: S::F, _: S::F) -> S::F {
        output
    }
}

/// The sum over all pixels of the first `count` windows.
pub(crate) fn loss<S: Simd>(s: S, head: Head, count: usize, output: &Planes, target: &Planes) -> f64 {
    match head {
        Head::Linear => loss_sum::<S, SquaredError>(s, count, &output.raster, output.all(), target.all()),
        Head::Sigmoid => loss_sum::<S, CrossEntropy>(s, count, &output.raster, output.all(), target.all()),
        Head::Categorical => {
            let surprise = output.channels(SURPRISE..SURPRISE + 1);
            loss_sum::<S, Surprise>(s, count, &output.raster, surprise, target.all())
        }
    }
}

/// The same sum; `slopes` becomes its gradient times `factor`, zero for other windows.
pub(crate) fn loss_back<S: Simd>(
    s: S,
    head: Head,
    count: usize,
    factor: f32,
    output: &Planes,
    target: &Planes,
    slopes: &mut Planes,
) -> f64 {
    match head {
        Head::Linear => write_slopes::<S, SquaredError>(s, count, factor, output, target, slopes),
        Head::Sigmoid => write_slopes::<S, CrossEntropy>(s, count, factor, output, target, slopes),
        // It goes back for itself.
        Head::Categorical => {}
    }
    loss(s, head, count, output, target)
}

/// One in the lanes of the first `count` windows, zero in others.
pub(crate) fn lanes_of(count: usize, windows: usize) -> PerLane {
    std::array::from_fn(|lane| if lane % windows < count { 1.0 } else { 0.0 })
}

/// Row by row in single precision, over rows in double.
fn loss_sum<S: Simd, L: PixelLoss>(s: S, count: usize, raster: &Raster, output: &[f32], target: &[f32]) -> f64 {
    let wanted = lanes_of(count, raster.windows);
    s.vectorize(
        #[inline(always)]
        || {
            let (mut sum, wanted) = (0.0, s.load(&wanted));
            let mut row = s.splat(0.0);
            for_places::<S>(raster, |at| {
                let loss = L::loss(s, at.load(s, output), at.load(s, target));
                row = s.mul_add(at.only(s, loss), wanted, row);
                if at.ends_row::<S>() {
                    sum += f64::from(s.sum(row));
                    row = s.splat(0.0);
                }
            });
            sum
        },
    )
}

fn write_slopes<S: Simd, L: Slope>(
    s: S,
    count: usize,
    factor: f32,
    output: &Planes,
    target: &Planes,
    slopes: &mut Planes,
) {
    let raster = output.raster;
    let (output, target, slopes) = (output.all(), target.all(), slopes.all_mut());
    let wanted = lanes_of(count, raster.windows).map(|lane| lane * factor);
    s.vectorize(
        #[inline(always)]
        || {
            let wanted = s.load(&wanted);
            for_places::<S>(&raster, |at| {
                let slope = L::slope(s, at.load(s, output), at.load(s, target));
                at.store(s, s.mul(slope, wanted), slopes);
            });
        },
    );
}
