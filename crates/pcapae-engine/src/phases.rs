//! Polyphase decomposition: a feature map as several smaller ones, so that a strided convolution becomes one without a stride.
//!
//! With a stride of 2 × 2, phase 2·py + px holds the pixels of rows 2y + py and columns 2x + px; a line with a stride of 4 has four
//! phases along its one row. Of C channels, channel c of a phase is channel phase·C + c.

use crate::direct_conv::Tap;
use crate::feature_maps::Raster;
use crate::network::{ConvGeometry, ConvParameters, Grid};
use crate::simd::Simd;

/// Phases of a stride.
pub(crate) fn count(stride: Grid) -> usize {
    stride.pixels()
}

/// The taps of a convolution from the phases of its input.
pub(crate) fn conv_taps(conv: &ConvParameters, geometry: &ConvGeometry) -> Vec<Tap> {
    let size = geometry.kernel.pixels();
    taps(conv, geometry, |output, input, phase, [dy, dx], tap| Tap {
        output,
        input: phase * conv.inputs + input,
        dy,
        dx,
        parameter: conv.weight.start + (output * conv.inputs + input) * size + tap,
    })
}

/// The taps of a transposed convolution to the phases of its output.
pub(crate) fn transposed_conv_taps(conv: &ConvParameters, geometry: &ConvGeometry) -> Vec<Tap> {
    let size = geometry.kernel.pixels();
    taps(conv, geometry, |output, input, phase, [dy, dx], tap| Tap {
        output: phase * conv.outputs + output,
        input,
        dy: -dy,
        dx: -dx,
        parameter: conv.weight.start + (input * conv.outputs + output) * size + tap,
    })
}

fn taps(
    conv: &ConvParameters,
    ConvGeometry { kernel, stride, padding }: &ConvGeometry,
    tap: impl Fn(usize, usize, usize, [isize; 2], usize) -> Tap,
) -> Vec<Tap> {
    let along = |tap: usize, padding: usize, stride: usize| {
        let offset = tap as isize - padding as isize;
        (offset.rem_euclid(stride as isize) as usize, offset.div_euclid(stride as isize))
    };
    let mut all = Vec::new();
    for output in 0..conv.outputs {
        for input in 0..conv.inputs {
            for ky in 0..kernel.height {
                for kx in 0..kernel.width {
                    let (py, dy) = along(ky, padding.height, stride.height);
                    let (px, dx) = along(kx, padding.width, stride.width);
                    let phase = py * stride.width + px;
                    all.push(tap(output, input, phase, [dy, dx], ky * kernel.width + kx));
                }
            }
        }
    }
    all
}

/// Splits feature maps into their phases.
pub(crate) fn split<S: Simd>(s: S, stride: Grid, large: &Raster, whole: &[f32], small: &Raster, phases: &mut [f32]) {
    let channels = whole.len() / large.size;
    s.vectorize(
        #[inline(always)]
        || {
            for_rows(stride, large, small, channels, |from, to, px| {
                let (from, to) = (&whole[from..from + large.row_len()], &mut phases[to..to + small.row_len()]);
                let windows = large.windows;
                let pixels = from.chunks_exact(windows).skip(px).step_by(stride.width);
                for (to, from) in to.chunks_exact_mut(windows).zip(pixels) {
                    copy(s, from, to);
                }
            });
        },
    );
}

/// Merges the phases of feature maps.
pub(crate) fn merge<S: Simd>(s: S, stride: Grid, small: &Raster, phases: &[f32], large: &Raster, whole: &mut [f32]) {
    s.vectorize(
        #[inline(always)]
        || for_pixels(stride, small, phases, large, whole, |from, to| copy(s, from, to)),
    );
}

/// Merges the phases of feature maps and adds the result.
pub(crate) fn merge_add<S: Simd>(
    s: S,
    stride: Grid,
    small: &Raster,
    phases: &[f32],
    large: &Raster,
    whole: &mut [f32],
) {
    s.vectorize(
        #[inline(always)]
        || for_pixels(stride, small, phases, large, whole, |from, to| add(s, from, to)),
    );
}

/// Calls `pixel` with every pixel of the phases and its counterpart in the whole feature map.
#[inline(always)]
fn for_pixels(
    stride: Grid,
    small: &Raster,
    phases: &[f32],
    large: &Raster,
    whole: &mut [f32],
    mut pixel: impl FnMut(&[f32], &mut [f32]),
) {
    let (channels, windows) = (whole.len() / large.size, large.windows);
    for_rows(stride, large, small, channels, |to, from, px| {
        let (from, to) = (&phases[from..from + small.row_len()], &mut whole[to..to + large.row_len()]);
        let places = to.chunks_exact_mut(windows).skip(px).step_by(stride.width);
        for (to, from) in places.zip(from.chunks_exact(windows)) {
            pixel(from, to);
        }
    });
}

/// Calls `row` with the offset of each row of each phase, large and small, and the first column of the phase.
#[inline(always)]
fn for_rows(stride: Grid, large: &Raster, small: &Raster, channels: usize, mut row: impl FnMut(usize, usize, usize)) {
    for py in 0..stride.height {
        for px in 0..stride.width {
            for c in 0..channels {
                for y in 0..small.grid.height {
                    let feature_map = (py * stride.width + px) * channels + c;
                    let at_large = c * large.size + large.row(y * stride.height + py);
                    row(at_large, feature_map * small.size + small.row(y), px);
                }
            }
        }
    }
}

/// The windows of one pixel.
#[inline(always)]
fn copy<S: Simd>(s: S, from: &[f32], to: &mut [f32]) {
    match from.len() {
        1 => to[0] = from[0],
        count => s.store_first(s.load_first(from, count), to, count),
    }
}

/// Adds the windows of one pixel.
#[inline(always)]
fn add<S: Simd>(s: S, from: &[f32], to: &mut [f32]) {
    match from.len() {
        1 => to[0] += from[0],
        count => s.store_first(s.add(s.load_first(to, count), s.load_first(from, count)), to, count),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::feature_maps::FeatureMaps;
    use crate::fixtures::{CASES, Random, any_windows, feature_map, instructions_for};
    use crate::network::Shape;
    use crate::simd::Kernel;

    struct RoundTrip<'a> {
        stride: Grid,
        whole: &'a FeatureMaps,
        small: Raster,
    }

    impl Kernel for RoundTrip<'_> {
        type Output = [FeatureMaps; 3];

        /// The phases, what they are together, and the same added to the whole.
        fn run<S: Simd>(self, s: S) -> [FeatureMaps; 3] {
            let RoundTrip { stride, whole, small } = self;
            let large = whole.raster;
            let mut phases = FeatureMaps::zeros(small, count(stride) * whole.count());
            let (mut merged, mut sum) = (FeatureMaps::zeros(large, whole.count()), whole.clone());
            split(s, stride, &large, whole.all(), &small, phases.all_mut());
            merge(s, stride, &small, phases.all(), &large, merged.all_mut());
            merge_add(s, stride, &small, phases.all(), &large, sum.all_mut());
            [phases, merged, sum]
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(CASES))]

        #[test]
        fn phases_hold_every_so_many_pixels_and_make_the_whole_again(
            line: bool,
            sides in [1usize..6, 1usize..9],
            windows in any_windows(),
            channels in 1usize..5,
            seed: u64,
        ) {
            let [height, width] = sides;
            let (shape, stride, grid) = if line {
                (Shape::Line, Grid { height: 1, width: 4 }, Grid { height: 1, width })
            } else {
                (Shape::Square, Grid { height: 2, width: 2 }, Grid { height, width })
            };
            let large = Grid { height: grid.height * stride.height, width: grid.width * stride.width };
            let whole = Random::new(seed).feature_maps(Raster::new(shape, large, windows), channels);
            let small = Raster::new(shape, grid, windows);
            for instructions in instructions_for(windows) {
                let [phases, merged, sum] = instructions.run(RoundTrip { stride, whole: &whole, small });
                prop_assert_eq!(merged.all(), whole.all());
                prop_assert!(sum.all().iter().zip(whole.all()).all(|(sum, value)| *sum == 2.0 * value));
                for window in 0..windows {
                    let map = feature_map(&whole, 0..channels, window);
                    for phase in 0..count(stride) {
                        let (py, px) = (phase / stride.width, phase % stride.width);
                        for c in 0..channels {
                            for (i, value) in phases.window(phase * channels + c, window).enumerate() {
                                let y = (i / grid.width * stride.height + py) as isize;
                                let x = (i % grid.width * stride.width + px) as isize;
                                prop_assert_eq!(f64::from(value), map.at(c, y, x));
                            }
                        }
                    }
                }
            }
        }
    }
}
