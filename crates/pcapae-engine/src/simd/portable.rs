//! Plain arrays of eight floats, for any processor; safe code, and the reference for the other implementations.

use super::Simd;

/// Vectors for any processor.
#[derive(Debug, Clone, Copy)]
pub struct Portable;

const LANES: usize = 8;

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> [f32; LANES] {
    std::array::from_fn(f)
}

impl Simd for Portable {
    type F = [f32; LANES];
    const LANES: usize = LANES;
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        work()
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> Self::F {
        let from = &from[..LANES];
        each(|i| from[i])
    }

    #[inline(always)]
    fn store(self, v: Self::F, to: &mut [f32]) {
        to[..LANES].copy_from_slice(&v);
    }

    #[inline(always)]
    fn load_part(self, from: &[f32]) -> Self::F {
        each(|i| from.get(i).copied().unwrap_or(0.0))
    }

    #[inline(always)]
    fn store_part(self, v: Self::F, to: &mut [f32]) {
        let count = to.len();
        to.copy_from_slice(&v[..count]);
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| a[i] - b[i])
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| a[i] / b[i])
    }

    /// Rounded twice: without the instruction, rounding once would be a call of a slow function.
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        each(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }

    /// Adding and subtracting 1.5·2²³ rounds every number smaller than 2²².
    #[inline(always)]
    fn round(self, a: Self::F) -> Self::F {
        const ROUND: f32 = 12_582_912.0;
        each(|i| (a[i] + ROUND) - ROUND)
    }

    #[inline(always)]
    fn scale(self, a: Self::F, n: Self::F) -> Self::F {
        each(|i| a[i] * f32::from_bits((n[i] + 127.0 + 8_388_608.0).to_bits() << 23))
    }

    #[inline(always)]
    fn where_positive(self, x: Self::F, a: Self::F, b: Self::F) -> Self::F {
        each(|i| if x[i] > 0.0 { a[i] } else { b[i] })
    }
}
