//! How what is at the points lies in memory.

use super::super::planes::Raster;
use super::super::simd::{LANES_MAX, Simd};

/// Vectors of columns that are computed at once: with a quad of outputs, sixteen sums in registers.
pub(super) const WIDEST: usize = 4;

/// A row with the zeros beside it, and a few vectors' worth to read beyond it.
pub(super) fn padded_row(raster: &Raster) -> usize {
    apart((raster.stride + WIDEST * LANES_MAX).next_multiple_of(LANES_MAX))
}

/// A distance at which eight or sixteen places do not compete for the same lines of the processor's first cache: an odd number of
/// its lines.
pub(super) fn apart(floats: usize) -> usize {
    let lines = floats.div_ceil(LANES_MAX);
    (lines + 1 - lines % 2) * LANES_MAX
}

/// Vectors at places `apart` floats from each other.
#[inline(always)]
pub(super) fn load_apart<S: Simd, const N: usize>(s: S, from: &[f32], first: usize, apart: usize) -> [S::F; N] {
    assert!(first + (N - 1) * apart + S::LANES <= from.len());
    // SAFETY: the last one ends in the slice, as asserted.
    std::array::from_fn(|n| unsafe { s.load_at(from, first + n * apart) })
}

/// Writes vectors to places `apart` floats from each other.
#[inline(always)]
pub(super) fn store_apart<S: Simd, const N: usize>(
    s: S,
    vectors: [S::F; N],
    to: &mut [f32],
    first: usize,
    apart: usize,
) {
    assert!(first + (N - 1) * apart + S::LANES <= to.len());
    for (n, vector) in vectors.into_iter().enumerate() {
        // SAFETY: the last one ends in the slice, as asserted.
        unsafe { s.store_at(vector, to, first + n * apart) };
    }
}
