//! To the points down the columns: a row stays a line of floats, whatever its lanes hold.

use super::super::planes::Raster;
use super::super::simd::Simd;
use super::lines::{apart, padded_row, store_apart};
use super::points::{POINTS, TILE, input_points, slope_points};

/// Floats of the points of one tile of rows of as many inputs.
pub(super) fn inputs_size(raster: &Raster, inputs: usize) -> usize {
    POINTS * apart(inputs * padded_row(raster))
}

/// Floats of the points of one tile of rows of as many outputs' slopes.
pub(super) fn slopes_size(raster: &Raster, outputs: usize) -> usize {
    POINTS * outputs * apart(raster.row_len())
}

/// Bᵀ·x for one tile of rows of all inputs, zeros beside the rows included: [point][input][pixel and window], inputs a padded row
/// apart.
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

/// A·y' for one tile of rows of all outputs, zeros beyond the end of each row: [point][output][pixel and window].
pub(super) fn transform_slopes<S: Simd>(s: S, raster: &Raster, slopes: &[&[f32]], tile: usize, points: &mut [f32]) {
    let width = apart(raster.row_len());
    let count = slopes.iter().map(|planes| planes.len() / raster.size).sum::<usize>();
    s.vectorize(
        #[inline(always)]
        || {
            let planes = slopes.iter().flat_map(|planes| planes.chunks_exact(raster.size));
            for (c, plane) in planes.enumerate() {
                for x in (0..raster.row_len()).step_by(S::LANES) {
                    let row = |r: usize| {
                        let from = raster.row(tile * TILE + r) + x;
                        s.load_first(&plane[from..], raster.row_len() - x)
                    };
                    let at_points = slope_points(s, std::array::from_fn(row));
                    store_apart(s, at_points, points, c * width + x, count * width);
                }
            }
        },
    );
}
