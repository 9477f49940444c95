//! The inputs at the points down the columns, and how they lie in memory.

use super::super::planes::Raster;
use super::super::simd::{LANES_MAX, Simd};
use super::points::{POINTS, TILE, input_points};

/// Vectors that may be read at once behind a row.
const WIDEST: usize = 4;

/// Bᵀ·x for one tile of rows of all inputs, zeros beside the rows included.
pub(super) fn transform_inputs<S: Simd>(s: S, raster: &Raster, inputs: &[&[f32]], tile: usize, points: &mut [f32]) {
    let row = padded_row(raster);
    let count = inputs.iter().map(|planes| planes.len() / raster.size).sum::<usize>();
    let (stride, distance, first) = (raster.stride, apart(count * row), tile * TILE * raster.stride);
    assert!(first + POINTS * stride + S::LANES <= raster.size && points.len() >= POINTS * distance);
    s.vectorize(
        #[inline(always)]
        move || {
            let planes = inputs.iter().flat_map(|planes| planes.chunks_exact(raster.size));
            for (i, plane) in planes.enumerate() {
                let from: [usize; POINTS] = std::array::from_fn(|r| first + r * stride);
                let to: [usize; POINTS] = std::array::from_fn(|p| p * distance + i * row);
                for x in (0..stride).step_by(S::LANES) {
                    // SAFETY: the last row ends before the channel does by a vector, as asserted.
                    let load = |r: usize| unsafe { s.load_at(plane, from[r] + x) };
                    for (p, v) in input_points(s, std::array::from_fn(load)).into_iter().enumerate() {
                        // SAFETY: `row` is longer than `stride` by a vector and more, i < count, and there is room for as many rows.
                        unsafe { s.store_at(v, points, to[p] + x) };
                    }
                }
            }
        },
    );
}

/// A row with the zeros beside it, and a vector's worth to read beyond it.
pub(super) fn padded_row(raster: &Raster) -> usize {
    apart((raster.stride + WIDEST * LANES_MAX).next_multiple_of(LANES_MAX))
}

/// A distance at which eight or sixteen places do not compete for the same lines of the processor's first cache: an odd number of
/// its lines.
pub(super) fn apart(floats: usize) -> usize {
    let lines = floats.div_ceil(LANES_MAX);
    (lines + 1 - lines % 2) * LANES_MAX
}
