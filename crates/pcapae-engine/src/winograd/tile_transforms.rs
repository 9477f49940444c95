//! The transforms of inputs and of `grad_output` down the columns, for a row of tiles: rows stay contiguous, no matter what their lanes hold.

use super::strided::{conflict_free_stride, padded_row, store_strided};
use super::transforms::{POINTS, TILE, grad_output_transform, input_transform};
use crate::feature_maps::Raster;
use crate::simd::Simd;

/// Floats that a transformed row of tiles takes, for this many inputs.
pub(super) fn input_size(raster: &Raster, inputs: usize) -> usize {
    POINTS * conflict_free_stride(inputs * padded_row(raster))
}

/// Floats that a transformed row of tiles of `grad_output` takes, for this many outputs.
pub(super) fn grad_output_size(raster: &Raster, outputs: usize) -> usize {
    POINTS * outputs * conflict_free_stride(raster.row_len())
}

/// Bᵀ·x for one row of tiles of all inputs, padding included: [point][input][pixel and window], inputs a padded row from each other.
pub(super) fn transform_input_rows<S: Simd>(s: S, raster: &Raster, inputs: &[&[f32]], tile: usize, points: &mut [f32]) {
    let row = padded_row(raster);
    let count = inputs.iter().map(|feature_maps| feature_maps.len() / raster.size).sum::<usize>();
    let (stride, distance, first) = (raster.stride, conflict_free_stride(count * row), tile * TILE * raster.stride);
    assert!(first + POINTS * stride + S::LANES <= raster.size && points.len() >= POINTS * distance);
    s.vectorize(
        #[inline(always)]
        move || {
            let feature_maps = inputs.iter().flat_map(|feature_maps| feature_maps.chunks_exact(raster.size));
            for (i, feature_map) in feature_maps.enumerate() {
                let from: [usize; POINTS] = std::array::from_fn(|r| first + r * stride);
                let to: [usize; POINTS] = std::array::from_fn(|p| p * distance + i * row);
                for x in (0..stride).step_by(S::LANES) {
                    // SAFETY: the last row ends before the channel does by a vector, as asserted.
                    let load = |r: usize| unsafe { s.load_at(feature_map, from[r] + x) };
                    for (p, v) in input_transform(s, std::array::from_fn(load)).into_iter().enumerate() {
                        // SAFETY: `row` is longer than `stride` by a vector and more, i < count, and there is room for as many rows.
                        unsafe { s.store_at(v, points, to[p] + x) };
                    }
                }
            }
        },
    );
}

/// A·y' for one row of tiles of all outputs, zeros beyond the end of each row: [point][output][pixel and window].
pub(super) fn transform_grad_output_rows<S: Simd>(
    s: S,
    raster: &Raster,
    grad_output: &[&[f32]],
    tile: usize,
    points: &mut [f32],
) {
    let width = conflict_free_stride(raster.row_len());
    let count = grad_output.iter().map(|feature_maps| feature_maps.len() / raster.size).sum::<usize>();
    s.vectorize(
        #[inline(always)]
        || {
            let feature_maps = grad_output.iter().flat_map(|feature_maps| feature_maps.chunks_exact(raster.size));
            for (c, feature_map) in feature_maps.enumerate() {
                for x in (0..raster.row_len()).step_by(S::LANES) {
                    let row = |r: usize| {
                        let from = raster.row(tile * TILE + r) + x;
                        s.load_first(&feature_map[from..], raster.row_len() - x)
                    };
                    let at_points = grad_output_transform(s, std::array::from_fn(row));
                    store_strided(s, at_points, points, c * width + x, count * width);
                }
            }
        },
    );
}
