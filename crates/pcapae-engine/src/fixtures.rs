//! Random feature maps for the tests of the kernels, and comparison with the reference implementation.

use std::ops::Range;

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::feature_maps::{FeatureMaps, Raster};
use crate::reference::FeatureMap;
use crate::simd::Instructions;

/// How many shapes a property test tries; each of them with all instructions.
pub(crate) const CASES: u32 = 64;

/// Random numbers from a seed.
#[derive(Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Values from −1 to 1.
    pub fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.0.random_range(-1.0..1.0)).collect()
    }

    /// Feature maps of such values.
    pub fn feature_maps(&mut self, raster: Raster, channels: usize) -> FeatureMaps {
        let mut feature_maps = FeatureMaps::zeros(raster, channels);
        for channel in 0..channels {
            for window in 0..raster.windows {
                feature_maps.set_window(channel, window, self.values(raster.grid.pixels()));
            }
        }
        feature_maps
    }
}

/// Windows of a block.
pub(crate) fn any_windows() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![1, 2, 4, 8, 16])
}

/// The instructions of this processor whose vectors hold so many windows.
pub(crate) fn instructions_for(windows: usize) -> impl Iterator<Item = Instructions> {
    Instructions::available().into_iter().filter(move |instructions| windows <= instructions.lanes())
}

/// Some channels of a window.
pub(crate) fn feature_map(feature_maps: &FeatureMaps, channels: Range<usize>, window: usize) -> FeatureMap {
    let values = channels.clone().flat_map(|channel| feature_maps.window(channel, window)).map(f64::from).collect();
    FeatureMap { channels: channels.len(), grid: feature_maps.raster.grid, values }
}

/// Every value is as expected, and the padding is zero.
#[track_caller]
pub(crate) fn assert_feature_maps(what: &str, got: &FeatureMaps, window: usize, expected: &FeatureMap, tolerance: f64) {
    assert_close(what, &feature_map(got, 0..expected.channels, window).values, &expected.values, tolerance);
    let mut rest = got.clone();
    for channel in 0..rest.count() {
        for window in 0..rest.raster.windows {
            rest.set_window(channel, window, std::iter::repeat_n(0.0, rest.raster.grid.pixels()));
        }
    }
    assert!(rest.all().iter().all(|value| *value == 0.0), "{what}: padding is not zero");
}

/// Every value is as expected, to within `tolerance` of the largest value or of 1.
#[track_caller]
pub(crate) fn assert_close(what: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= tolerance * largest, "{what}[{i}]: {got} instead of {expected}");
    }
}

/// In double precision.
pub(crate) fn widened(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}
