//! Feature maps in memory: the layout of the pixels of many windows, with padding around them.

use std::ops::Range;

use crate::aligned::AlignedBuffer;
use crate::network::{Grid, Shape};
use crate::simd::{LANES_MAX, Simd};

/// Channels that are computed together, a channel block: those of a state, or of a gate.
pub(crate) const CHANNEL_BLOCK: usize = 4;

/// Padding around a square, as far as a 5 × 5 kernel reaches.
const SQUARE_HALO: Grid = Grid { height: 2, width: 2 };

/// Padding beside a line, as far as a kernel of 25 taps reaches.
const LINE_HALO: Grid = Grid { height: 0, width: 12 };

/// A number for each lane of a vector: that of the lane's window.
pub(crate) type PerLane = [f32; LANES_MAX];

/// The memory layout of one channel of a block of windows: [row][pixel][window], with padding.
///
/// So a row is contiguous, whether a vector's lanes hold many windows or many pixels of one, and one pixel to the right is always
/// `windows` floats further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raster {
    pub grid: Grid,
    /// Windows side by side: a power of two, at most as many as a vector has lanes.
    pub windows: usize,
    /// Floats from a row to the next.
    pub stride: usize,
    /// Offset of the first pixel, behind the padding.
    pub origin: usize,
    /// Floats of the whole channel with its padding, and a vector's worth behind it, so that vectors can be read beyond a row.
    pub size: usize,
}

impl Raster {
    pub fn new(shape: Shape, grid: Grid, windows: usize) -> Raster {
        let halo = match shape {
            Shape::Square => SQUARE_HALO,
            Shape::Line => LINE_HALO,
        };
        let stride = (grid.width + 2 * halo.width) * windows;
        let origin = halo.height * stride + halo.width * windows;
        let size = (grid.height + 2 * halo.height) * stride + 2 * LANES_MAX;
        Raster { grid, windows, stride, origin, size: size.next_multiple_of(LANES_MAX) }
    }

    /// Floats in a row, without padding.
    pub fn row_len(&self) -> usize {
        self.grid.width * self.windows
    }

    /// Offset of a row.
    pub fn row(&self, y: usize) -> usize {
        self.origin + y * self.stride
    }

    /// Floats to the pixel `dy` rows down and `dx` columns to the right.
    pub fn offset(&self, dy: isize, dx: isize) -> isize {
        dy * self.stride as isize + dx * self.windows as isize
    }
}

/// Channels of one raster, one after the other. The padding is always zero.
#[derive(Debug, Clone)]
pub(crate) struct FeatureMaps {
    pub raster: Raster,
    values: AlignedBuffer,
}

impl FeatureMaps {
    pub fn zeros(raster: Raster, channels: usize) -> FeatureMaps {
        FeatureMaps { raster, values: AlignedBuffer::zeros(channels * raster.size) }
    }

    /// Some channels, one after the other.
    pub fn channels(&self, channels: Range<usize>) -> &[f32] {
        let size = self.raster.size;
        &self.values[channels.start * size..channels.end * size]
    }

    /// Some channels, mutable.
    pub fn channels_mut(&mut self, channels: Range<usize>) -> &mut [f32] {
        let size = self.raster.size;
        &mut self.values[channels.start * size..channels.end * size]
    }

    /// How many channels.
    pub fn count(&self) -> usize {
        self.values.len() / self.raster.size
    }

    /// All channels.
    pub fn all(&self) -> &[f32] {
        self.channels(0..self.count())
    }

    /// All channels, mutable.
    pub fn all_mut(&mut self) -> &mut [f32] {
        self.channels_mut(0..self.count())
    }

    /// Sets one window of one channel from row-major pixels.
    pub fn set_window(&mut self, channel: usize, window: usize, pixels: impl IntoIterator<Item = f32>) {
        let raster = self.raster;
        let feature_map = self.channels_mut(channel..channel + 1);
        let mut pixels = pixels.into_iter();
        for y in 0..raster.grid.height {
            let row = &mut feature_map[raster.row(y)..][..raster.row_len()];
            for (to, pixel) in row[window..].iter_mut().step_by(raster.windows).zip(&mut pixels) {
                *to = pixel;
            }
        }
    }

    /// Copies the pixels of one window of one channel, row-major.
    pub fn copy_window(&self, channel: usize, window: usize, to: &mut [f32]) {
        let raster = self.raster;
        let feature_map = self.channels(channel..channel + 1);
        for (y, to) in to.chunks_exact_mut(raster.grid.width).enumerate() {
            let row = &feature_map[raster.row(y)..][..raster.row_len()];
            to.iter_mut().zip(row[window..].iter().step_by(raster.windows)).for_each(|(to, from)| *to = *from);
        }
    }

    /// The pixels of one window of one channel, row-major.
    pub fn window(&self, channel: usize, window: usize) -> impl Iterator<Item = f32> {
        let raster = self.raster;
        let feature_map = self.channels(channel..channel + 1);
        (0..raster.grid.height).flat_map(move |y| {
            let row = &feature_map[raster.row(y)..][..raster.row_len()];
            row[window..].iter().step_by(raster.windows).copied()
        })
    }
}

/// The position of a vector of pixels in a channel of some raster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VectorPosition {
    at: usize,
    /// How many lanes hold pixels: fewer than a vector's at the end of a short row.
    count: usize,
    /// Floats of the raster's channels.
    size: usize,
}

impl VectorPosition {
    /// The pixels, and zeros in lanes that hold none.
    #[inline(always)]
    pub fn load<S: Simd>(self, s: S, channel: &[f32]) -> S::F {
        assert!(channel.len() >= self.size);
        if self.count >= S::LANES {
            // SAFETY: `for_vectors` makes only positions that end in the channel.
            unsafe { s.load_at(channel, self.at) }
        } else {
            s.load_part(&channel[self.at..self.at + self.count])
        }
    }

    /// The whole vector `offset` floats away, lanes beyond the pixels included.
    #[inline(always)]
    pub fn load_beside<S: Simd>(self, s: S, channel: &[f32], offset: isize) -> S::F {
        s.load(&channel[self.at.wrapping_add_signed(offset)..])
    }

    /// Writes the pixels.
    #[inline(always)]
    pub fn store<S: Simd>(self, s: S, v: S::F, channel: &mut [f32]) {
        assert!(channel.len() >= self.size);
        if self.count >= S::LANES {
            // SAFETY: `for_vectors` makes only positions that end in the channel.
            unsafe { s.store_at(v, channel, self.at) }
        } else {
            s.store_part(v, &mut channel[self.at..self.at + self.count]);
        }
    }

    /// Whether it is the last of its row.
    #[inline(always)]
    pub fn ends_row<S: Simd>(self) -> bool {
        self.count <= S::LANES
    }

    /// Zero in lanes that hold no pixel.
    #[inline(always)]
    pub fn only<S: Simd>(self, s: S, v: S::F) -> S::F {
        if self.count >= S::LANES { v } else { s.load_part(&s.to_array(v)[..self.count]) }
    }
}

/// Calls `work` with the position of every vector of every row.
#[inline(always)]
pub(crate) fn for_vectors<S: Simd>(raster: &Raster, mut work: impl FnMut(VectorPosition)) {
    let (row_len, size) = (raster.row_len(), raster.size);
    assert!(raster.row(raster.grid.height - 1) + row_len + S::LANES <= size);
    for y in 0..raster.grid.height {
        for x in (0..row_len).step_by(S::LANES) {
            work(VectorPosition { at: raster.row(y) + x, count: row_len - x, size });
        }
    }
}

/// The sum of each of a few channels, lane by lane.
pub(crate) fn lane_sums<S: Simd, const C: usize>(s: S, raster: &Raster, feature_maps: [&[f32]; C]) -> [PerLane; C] {
    let sums = s.vectorize(
        #[inline(always)]
        || {
            let mut sums = [s.splat(0.0); C];
            for_vectors::<S>(raster, |at| {
                for (sum, feature_map) in sums.iter_mut().zip(feature_maps) {
                    *sum = s.add(*sum, at.load(s, feature_map));
                }
            });
            sums
        },
    );
    sums.map(|sum| s.to_array(sum))
}

/// The sum of each channel over pixels and windows.
pub(crate) fn channel_sums<S: Simd>(s: S, raster: &Raster, feature_maps: &[f32], mut each: impl FnMut(usize, f32)) {
    const TOGETHER: usize = 4;
    let channels = feature_maps.len() / raster.size;
    let feature_map = |c: usize| &feature_maps[c * raster.size..(c + 1) * raster.size];
    for first in (0..channels).step_by(TOGETHER) {
        // The last group is filled up with copies of the last channel, whose sums are not used.
        let sums =
            lane_sums::<S, TOGETHER>(s, raster, std::array::from_fn(|c| feature_map((first + c).min(channels - 1))));
        for (c, sum) in (first..channels).zip(sums) {
            each(c, sum[..S::LANES].iter().sum());
        }
    }
}

/// Vectors of columns that are computed at once: with a block of outputs, sixteen sums in registers.
pub(crate) const WIDEST: usize = 4;

/// Does `$work` for every `$step` of `0..$end`, for `$Q` steps from `$x` on at once: for as many as there are registers, then for two, then
/// for one. As a macro, since a closure cannot be generic over `$Q`.
macro_rules! for_columns {
    ($Simd:ty, $end:expr, $step:expr, |$x:ident, $Q:ident| $work:expr) => {{
        let (end, step, mut $x) = ($end, $step, 0);
        while <$Simd>::MANY_REGISTERS && $x + $crate::feature_maps::WIDEST * step <= end {
            const $Q: usize = $crate::feature_maps::WIDEST;
            $work;
            $x += $Q * step;
        }
        while $x + 2 * step <= end {
            const $Q: usize = 2;
            $work;
            $x += $Q * step;
        }
        while $x < end {
            const $Q: usize = 1;
            $work;
            $x += $Q * step;
        }
    }};
}
pub(crate) use for_columns;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_written_and_the_padding_stays_zero() {
        for (shape, grid) in
            [(Shape::Square, Grid { height: 4, width: 4 }), (Shape::Line, Grid { height: 1, width: 16 })]
        {
            for windows in [1, 2, 8] {
                let mut feature_maps = FeatureMaps::zeros(Raster::new(shape, grid, windows), 2);
                let value = |c: usize, w: usize, i: usize| (1 + c * 1000 + w * 100 + i) as f32;
                for c in 0..2 {
                    for w in 0..windows {
                        feature_maps.set_window(c, w, (0..16).map(|i| value(c, w, i)));
                    }
                }
                for c in 0..2 {
                    for w in 0..windows {
                        assert!(feature_maps.window(c, w).eq((0..16).map(|i| value(c, w, i))));
                    }
                }
                let set = feature_maps.all().iter().filter(|v| **v != 0.0).count();
                assert_eq!(set, 2 * windows * 16);
            }
        }
    }

    #[test]
    fn channels_begin_at_cache_lines() {
        let feature_maps = FeatureMaps::zeros(Raster::new(Shape::Square, Grid { height: 4, width: 4 }, 16), 3);
        for c in 0..3 {
            assert_eq!(feature_maps.channels(c..c + 1).as_ptr().align_offset(64), 0);
        }
    }
}
