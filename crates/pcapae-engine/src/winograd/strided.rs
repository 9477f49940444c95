//! The memory layout of transformed tiles.

use crate::feature_maps::{Raster, WIDEST};
use crate::simd::{LANES_MAX, Simd};

/// Floats of a row with its padding, and a few vectors' worth to read beyond it.
pub(super) fn padded_row(raster: &Raster) -> usize {
    conflict_free_stride((raster.stride + WIDEST * LANES_MAX).next_multiple_of(LANES_MAX))
}

/// A stride of at least `floats` at which eight or sixteen vectors do not compete for the same set of the first-level cache: an odd
/// number of cache lines.
pub(super) fn conflict_free_stride(floats: usize) -> usize {
    let lines = floats.div_ceil(LANES_MAX);
    (lines + 1 - lines % 2) * LANES_MAX
}

/// Loads vectors `stride` floats from each other.
#[inline(always)]
pub(super) fn load_strided<S: Simd, const N: usize>(s: S, from: &[f32], first: usize, stride: usize) -> [S::F; N] {
    assert!(first + (N - 1) * stride + S::LANES <= from.len());
    // SAFETY: the last vector ends in the slice, as asserted.
    std::array::from_fn(|n| unsafe { s.load_at(from, first + n * stride) })
}

/// Stores vectors `stride` floats from each other.
#[inline(always)]
pub(super) fn store_strided<S: Simd, const N: usize>(
    s: S,
    vectors: [S::F; N],
    to: &mut [f32],
    first: usize,
    stride: usize,
) {
    assert!(first + (N - 1) * stride + S::LANES <= to.len());
    for (n, vector) in vectors.into_iter().enumerate() {
        // SAFETY: the last vector ends in the slice, as asserted.
        unsafe { s.store_at(vector, to, first + n * stride) };
    }
}
