//! Where convolutions write.

use crate::feature_maps::Raster;
use crate::simd::Simd;

/// Where a convolution writes, channel after channel, and what it adds to.
pub(crate) struct Output<'a> {
    pub feature_maps: &'a mut [f32],
    pub init: Init<'a>,
}

/// The initial value of an accumulator.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Init<'a> {
    Zero,
    /// A bias for each channel; where there are fewer biases, again from the first.
    Bias(&'a [f32]),
    /// What the output holds.
    Accumulate,
}

impl Output<'_> {
    /// Writes `Q` vectors of `R` rows of a channel, from row `y` and float `x` of the row on, with `epilogue` applied.
    #[inline(always)]
    pub fn write<S: Simd, const R: usize, const Q: usize>(
        &mut self,
        s: S,
        raster: &Raster,
        channel: usize,
        [y, x]: [usize; 2],
        sums: [[S::F; Q]; R],
        epilogue: impl Fn(S::F) -> S::F,
    ) {
        let feature_map = &mut self.feature_maps[channel * raster.size..(channel + 1) * raster.size];
        let value = match self.init {
            Init::Bias(biases) => s.splat(biases[channel % biases.len()]),
            Init::Zero | Init::Accumulate => s.splat(0.0),
        };
        let accumulate = matches!(self.init, Init::Accumulate);
        let count = raster.row_len() - x;
        let place = |r: usize, q: usize| raster.row(y + r) + x + q * S::LANES;
        if count >= Q * S::LANES {
            assert!(place(R - 1, Q) <= feature_map.len());
            for (r, sums) in sums.into_iter().enumerate() {
                for (q, sum) in sums.into_iter().enumerate() {
                    // SAFETY: the last vector of the last row ends in the feature map, as asserted.
                    unsafe {
                        let initial = if accumulate { s.load_at(feature_map, place(r, q)) } else { value };
                        s.store_at(epilogue(s.add(initial, sum)), feature_map, place(r, q));
                    }
                }
            }
            return;
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (q, sum) in sums.into_iter().enumerate() {
                let (place, count) = (&mut feature_map[place(r, q)..], count - q * S::LANES);
                let initial = if accumulate { s.load_first(place, count) } else { value };
                s.store_first(epilogue(s.add(initial, sum)), place, count);
            }
        }
    }
}
