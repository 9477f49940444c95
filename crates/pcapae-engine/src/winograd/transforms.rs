//! The transforms of F(4, 5) at the points 0, ±1, ±2, ±½ and ∞: the matrices G, Bᵀ, Aᵀ and their transposes.

use crate::feature_maps::CHANNEL_BLOCK;
use crate::simd::Simd;

/// Pixels of an output tile.
pub(super) const TILE: usize = 4;

/// Pixels of an input tile, and the number of points.
pub(super) const POINTS: usize = 8;

/// Taps along one side of the kernel.
pub(super) const TAPS: usize = 5;

/// The weight transform: from the five taps of a column to the eight points.
pub(super) const G: [[f32; TAPS]; POINTS] = [
    [-1.0, 0.0, 0.0, 0.0, 0.0],
    [-2.0 / 9.0, -2.0 / 9.0, -2.0 / 9.0, -2.0 / 9.0, -2.0 / 9.0],
    [-2.0 / 9.0, 2.0 / 9.0, -2.0 / 9.0, 2.0 / 9.0, -2.0 / 9.0],
    [1.0 / 90.0, 1.0 / 45.0, 2.0 / 45.0, 4.0 / 45.0, 8.0 / 45.0],
    [1.0 / 90.0, -1.0 / 45.0, 2.0 / 45.0, -4.0 / 45.0, 8.0 / 45.0],
    [32.0 / 45.0, 16.0 / 45.0, 8.0 / 45.0, 4.0 / 45.0, 2.0 / 45.0],
    [32.0 / 45.0, -16.0 / 45.0, 8.0 / 45.0, -4.0 / 45.0, 2.0 / 45.0],
    [0.0, 0.0, 0.0, 0.0, 1.0],
];

/// Transformed weights G·w from an input to a block of outputs: [point][column of the kernel][output of the block].
pub(super) type Columns = [[[f32; CHANNEL_BLOCK]; TAPS]; POINTS];

/// The weight transform G·w, down the columns.
pub(super) fn weight_transform(kernel: &[[f32; CHANNEL_BLOCK]; TAPS * TAPS]) -> Columns {
    let mut columns = [[[0.0; CHANNEL_BLOCK]; TAPS]; POINTS];
    for (g, column) in G.iter().zip(&mut columns) {
        for (kx, value) in column.iter_mut().enumerate() {
            for (g, taps) in g.iter().zip(kernel.chunks_exact(TAPS)) {
                value.iter_mut().zip(taps[kx]).for_each(|(value, tap)| *value += g * tap);
            }
        }
    }
    columns
}

/// The input transform Bᵀ·x. Points of opposite sign share their even and their odd part.
#[inline(always)]
pub(super) fn input_transform<S: Simd>(s: S, x: [S::F; POINTS]) -> [S::F; POINTS] {
    let k = |c: f32| s.splat(c);
    let fma = |c: f32, a: S::F, b: S::F| s.mul_add(k(c), a, b);
    let zero = fma(5.25, s.sub(x[2], x[4]), s.sub(x[6], x[0]));
    let infinity = fma(5.25, s.sub(x[3], x[5]), s.sub(x[7], x[1]));
    let even = fma(-4.25, x[4], s.add(x[2], x[6]));
    let odd = fma(-4.25, x[3], s.add(x[1], x[5]));
    let even_2 = fma(0.25, x[2], fma(-1.25, x[4], x[6]));
    let odd_2 = fma(0.5, x[1], fma(-2.5, x[3], s.add(x[5], x[5])));
    let even_half = fma(4.0, x[2], fma(-5.0, x[4], x[6]));
    let odd_half = fma(2.0, x[1], fma(-2.5, x[3], s.mul(k(0.5), x[5])));
    [
        zero,
        s.add(even, odd),
        s.sub(even, odd),
        s.add(even_2, odd_2),
        s.sub(even_2, odd_2),
        s.add(even_half, odd_half),
        s.sub(even_half, odd_half),
        infinity,
    ]
}

/// The output transform Aᵀ·m.
#[inline(always)]
pub(super) fn output_transform<S: Simd>(s: S, m: [S::F; POINTS]) -> [S::F; TILE] {
    let fma = |c: f32, a: S::F, b: S::F| s.mul_add(s.splat(c), a, b);
    let [sum_1, sum_2, sum_half] = [1, 3, 5].map(|p| s.add(m[p], m[p + 1]));
    let [difference_1, difference_2, difference_half] = [1, 3, 5].map(|p| s.sub(m[p], m[p + 1]));
    [
        s.add(s.add(m[0], sum_1), s.add(sum_2, sum_half)),
        fma(2.0, difference_2, fma(0.5, difference_half, difference_1)),
        fma(4.0, sum_2, fma(0.25, sum_half, sum_1)),
        fma(8.0, difference_2, fma(0.125, difference_half, s.add(difference_1, m[7]))),
    ]
}

/// The transform of the output's gradient, A·y'.
#[inline(always)]
pub(super) fn grad_output_transform<S: Simd>(s: S, y: [S::F; TILE]) -> [S::F; POINTS] {
    let fma = |c: f32, a: S::F, b: S::F| s.mul_add(s.splat(c), a, b);
    let times = |c: f32, a: S::F| s.mul(s.splat(c), a);
    let even = s.add(y[0], y[2]);
    let odd = s.add(y[1], y[3]);
    let even_2 = fma(4.0, y[2], y[0]);
    let odd_2 = fma(8.0, y[3], times(2.0, y[1]));
    let even_half = fma(0.25, y[2], y[0]);
    let odd_half = fma(0.125, y[3], times(0.5, y[1]));
    [
        y[0],
        s.add(even, odd),
        s.sub(even, odd),
        s.add(even_2, odd_2),
        s.sub(even_2, odd_2),
        s.add(even_half, odd_half),
        s.sub(even_half, odd_half),
        y[3],
    ]
}

/// The transform to the weights' gradient, Gᵀ·m: from the eight points to the five taps of a column.
#[inline(always)]
pub(super) fn grad_weight_transform<S: Simd>(s: S, m: [S::F; POINTS]) -> [S::F; TAPS] {
    let fma = |c: f32, a: S::F, b: S::F| s.mul_add(s.splat(c), a, b);
    let times = |c: f32, a: S::F| s.mul(s.splat(c), a);
    let [sum_1, sum_2, sum_half] = [1, 3, 5].map(|p| s.add(m[p], m[p + 1]));
    let [difference_1, difference_2, difference_half] = [1, 3, 5].map(|p| s.sub(m[p], m[p + 1]));
    let (even, odd) = (times(G[1][0], sum_1), times(G[1][0], difference_1));
    [
        fma(G[5][0], sum_half, fma(G[3][0], sum_2, s.sub(even, m[0]))),
        fma(G[5][1], difference_half, fma(G[3][1], difference_2, odd)),
        fma(G[5][2], sum_half, fma(G[3][2], sum_2, even)),
        fma(G[5][3], difference_half, fma(G[3][3], difference_2, odd)),
        fma(G[5][4], sum_half, fma(G[3][4], sum_2, s.add(even, m[7]))),
    ]
}
