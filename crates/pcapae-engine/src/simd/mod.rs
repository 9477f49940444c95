//! Vectors of floats: one trait, implemented for each family of vector instructions.
//!
//! A [`Kernel`] is generic over [`Simd`], and [`Instructions::run`] compiles and runs it for the processor at hand. A value of an
//! implementing type is the proof that the processor has the instructions: only their detection makes one. So kernels are safe
//! Rust with bounds-checked slices; a few inner loops check their bounds beforehand and use [`Simd::load_at`].

mod instructions;

mod portable;

#[cfg(target_arch = "x86_64")]
mod avx2;

#[cfg(target_arch = "x86_64")]
mod avx512;

#[cfg(target_arch = "aarch64")]
mod neon;

pub use instructions::{Instructions, Kernel};

#[cfg(target_arch = "x86_64")]
use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
use neon::Neon;
use portable::Portable;

/// The most lanes of any implementation.
pub const LANES_MAX: usize = 16;

/// A family of vector instructions.
pub trait Simd: Copy + Send + Sync + 'static {
    /// A vector of [`LANES`](Simd::LANES) floats.
    type F: Copy;

    /// Floats in a vector; a power of two, at most [`LANES_MAX`].
    const LANES: usize;

    /// Whether twenty accumulators fit into registers beside their operands.
    const MANY_REGISTERS: bool;

    /// Runs `work` compiled for these instructions; so is only what is inlined into it.
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R;

    /// The same float in every lane.
    fn splat(self, x: f32) -> Self::F;

    /// The first lanes of a slice, which must have as many floats.
    fn load(self, from: &[f32]) -> Self::F;

    /// Writes the first lanes of a slice, which must have as many floats.
    fn store(self, v: Self::F, to: &mut [f32]);

    /// A slice shorter than a vector, and zeros.
    fn load_part(self, from: &[f32]) -> Self::F;

    /// Fills a slice shorter than a vector.
    fn store_part(self, v: Self::F, to: &mut [f32]);

    /// a + b.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;

    /// a − b.
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;

    /// a·b.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;

    /// a / b.
    fn div(self, a: Self::F, b: Self::F) -> Self::F;

    /// a·b + c, fused where the processor can.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;

    /// The greater of a and b; b where either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;

    /// The lesser of a and b; b where either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;

    /// To the nearest integer; halves to the even one.
    fn round(self, a: Self::F) -> Self::F;

    /// a·2ⁿ for whole n from −126 to 127.
    fn scale(self, a: Self::F, n: Self::F) -> Self::F;

    /// a where x > 0, else b.
    fn where_positive(self, x: Self::F, a: Self::F, b: Self::F) -> Self::F;

    /// The lanes, padded with zeros.
    fn to_array(self, v: Self::F) -> [f32; LANES_MAX] {
        let mut array = [0.0; LANES_MAX];
        self.store(v, &mut array);
        array
    }

    /// The sum of all lanes, added in pairs.
    fn sum(self, v: Self::F) -> f32 {
        let mut lanes = self.to_array(v);
        let mut half = LANES_MAX / 2;
        while half > 0 {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
            half /= 2;
        }
        lanes[0]
    }

    /// The sum of the lanes of each vector.
    #[inline(always)]
    fn sums(self, vectors: [Self::F; 16]) -> [f32; 16] {
        vectors.map(|v| self.sum(v))
    }

    /// [`load`](Simd::load) from offset `at` of a slice, without bounds checks.
    ///
    /// # Safety
    ///
    /// The slice has at least `at` + [`LANES`](Simd::LANES) floats.
    #[inline(always)]
    unsafe fn load_at(self, from: &[f32], at: usize) -> Self::F {
        debug_assert!(at + Self::LANES <= from.len());
        // SAFETY: the caller promises that.
        self.load(unsafe { from.get_unchecked(at..at + Self::LANES) })
    }

    /// [`store`](Simd::store) to offset `at` of a slice, without bounds checks.
    ///
    /// # Safety
    ///
    /// The slice has at least `at` + [`LANES`](Simd::LANES) floats.
    #[inline(always)]
    unsafe fn store_at(self, v: Self::F, to: &mut [f32], at: usize) {
        debug_assert!(at + Self::LANES <= to.len());
        // SAFETY: the caller promises that.
        self.store(v, unsafe { to.get_unchecked_mut(at..at + Self::LANES) })
    }

    /// The lower half of the lanes from one offset of a slice, the upper half from another, without bounds checks.
    ///
    /// # Safety
    ///
    /// The slice has at least [`LANES`](Simd::LANES) / 2 floats at both.
    #[inline(always)]
    unsafe fn load_halves_at(self, from: &[f32], [low, high]: [usize; 2]) -> Self::F {
        let half = Self::LANES / 2;
        let mut lanes = [0.0; LANES_MAX];
        lanes[..half].copy_from_slice(&from[low..low + half]);
        lanes[half..Self::LANES].copy_from_slice(&from[high..high + half]);
        self.load(&lanes)
    }

    /// Writes the lower half of the lanes to one offset of a slice, the upper half to another, without bounds checks.
    ///
    /// # Safety
    ///
    /// The slice has at least [`LANES`](Simd::LANES) / 2 floats at both.
    #[inline(always)]
    unsafe fn store_halves_at(self, v: Self::F, to: &mut [f32], [low, high]: [usize; 2]) {
        let half = Self::LANES / 2;
        let lanes = self.to_array(v);
        to[low..low + half].copy_from_slice(&lanes[..half]);
        to[high..high + half].copy_from_slice(&lanes[half..Self::LANES]);
    }

    /// [`load`](Simd::load), or [`load_part`](Simd::load_part) for fewer lanes.
    #[inline(always)]
    fn load_first(self, from: &[f32], count: usize) -> Self::F {
        if count >= Self::LANES { self.load(from) } else { self.load_part(&from[..count]) }
    }

    /// [`store`](Simd::store), or [`store_part`](Simd::store_part) for fewer lanes.
    #[inline(always)]
    fn store_first(self, v: Self::F, to: &mut [f32], count: usize) {
        if count >= Self::LANES { self.store(v, to) } else { self.store_part(v, &mut to[..count]) }
    }

    /// eˣ to within two units in the last place; beyond ±87 it stays at e^±87.
    ///
    /// eˣ = 2ⁿ·eʳ with n = round(x / ln 2) and |r| ≤ ln 2 / 2; ln 2 is taken in two parts so that r keeps its digits. The
    /// polynomial is that of Moshier's Cephes library (`expf`, 1989).
    #[inline(always)]
    fn exp(self, x: Self::F) -> Self::F {
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        const POLYNOMIAL: [f32; 6] =
            [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
        let x = self.min(self.splat(87.0), self.max(self.splat(-87.0), x));
        let n = self.round(self.mul(x, self.splat(std::f32::consts::LOG2_E)));
        let r = self.mul_add(n, self.splat(-LN_2_HIGH), x);
        let r = self.mul_add(n, self.splat(-LN_2_LOW), r);
        let mut p = self.splat(POLYNOMIAL[0]);
        for c in &POLYNOMIAL[1..] {
            p = self.mul_add(p, r, self.splat(*c));
        }
        let p = self.mul_add(p, self.mul(r, r), self.add(r, self.splat(1.0)));
        self.scale(p, n)
    }

    /// σ(x) = 1 / (1 + e^−x).
    #[inline(always)]
    fn sigmoid(self, x: Self::F) -> Self::F {
        let one = self.splat(1.0);
        self.div(one, self.add(one, self.exp(self.sub(self.splat(0.0), x))))
    }

    /// tanh x = 1 − 2 / (e²ˣ + 1).
    #[inline(always)]
    fn tanh(self, x: Self::F) -> Self::F {
        let one = self.splat(1.0);
        let e = self.exp(self.add(x, x));
        self.sub(one, self.div(self.splat(2.0), self.add(e, one)))
    }

    /// ln(1 + e^−|x|), from 0 to ln 2.
    ///
    /// ln(1 + e) = 2·artanh s with s = e / (2 + e) ≤ 1/3, whose series s + s³/3 + s⁵/5 + … is exact to single precision after
    /// seven terms.
    #[inline(always)]
    fn softplus_tail(self, x: Self::F) -> Self::F {
        let magnitude = self.max(x, self.sub(self.splat(0.0), x));
        let e = self.exp(self.sub(self.splat(0.0), magnitude));
        let s = self.div(e, self.add(self.splat(2.0), e));
        let square = self.mul(s, s);
        let mut series = self.splat(1.0 / 13.0);
        for k in [11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
            series = self.mul_add(series, square, self.splat(1.0 / k));
        }
        self.mul(self.mul(self.splat(2.0), s), series)
    }

    /// max(x, 0.2·x).
    #[inline(always)]
    fn leaky(self, x: Self::F) -> Self::F {
        self.max(x, self.mul(x, self.splat(LEAK)))
    }
}

/// Slope of the leaky ReLU below zero, as in the original.
pub(crate) const LEAK: f32 = 0.2;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(got: f32, expected: f64, tolerance: f64) {
        assert!((f64::from(got) - expected).abs() <= tolerance * expected.abs().max(1.0), "{got} {expected}");
    }

    fn check<S: Simd>(s: S) {
        s.vectorize(|| {
            let a: Vec<f32> = (0..LANES_MAX).map(|i| i as f32 * 1.25 - 7.0).collect();
            let b: Vec<f32> = (0..LANES_MAX).map(|i| 3.0 - i as f32 * 0.5).collect();
            let (va, vb) = (s.load(&a), s.load(&b));
            let lanes = |v: S::F| s.to_array(v);
            for i in 0..S::LANES {
                close(lanes(s.add(va, vb))[i], f64::from(a[i] + b[i]), 0.0);
                close(lanes(s.sub(va, vb))[i], f64::from(a[i] - b[i]), 0.0);
                close(lanes(s.mul(va, vb))[i], f64::from(a[i] * b[i]), 0.0);
                close(lanes(s.div(va, s.splat(3.0)))[i], f64::from(a[i] / 3.0), 0.0);
                close(lanes(s.mul_add(va, vb, va))[i], f64::from(a[i]) * f64::from(b[i]) + f64::from(a[i]), 1e-6);
                close(lanes(s.max(va, vb))[i], f64::from(a[i].max(b[i])), 0.0);
                close(lanes(s.min(va, vb))[i], f64::from(a[i].min(b[i])), 0.0);
                close(lanes(s.round(va))[i], f64::from(a[i].round_ties_even()), 0.0);
                close(lanes(s.where_positive(va, vb, va))[i], f64::from(if a[i] > 0.0 { b[i] } else { a[i] }), 0.0);
                close(lanes(s.scale(va, s.round(vb)))[i], f64::from(a[i] * b[i].round_ties_even().exp2()), 0.0);
            }
            close(s.sum(va), a[..S::LANES].iter().map(|x| f64::from(*x)).sum(), 1e-6);
            let sums = s.sums(std::array::from_fn(|i| s.mul_add(va, s.splat(i as f32), vb)));
            for (i, sum) in sums.into_iter().enumerate() {
                let exact = a.iter().zip(&b).take(S::LANES).map(|(a, b)| f64::from(*a) * i as f64 + f64::from(*b));
                close(sum, exact.sum(), 1e-6);
            }
            let half = S::LANES / 2;
            // SAFETY: the slices have two and three halves of a vector.
            let (halves, mut to) = (unsafe { s.load_halves_at(&a, [half, 0]) }, [9.0; 2 * LANES_MAX]);
            assert!(lanes(halves)[..S::LANES].iter().eq(a[half..S::LANES].iter().chain(&a[..half])));
            unsafe { s.store_halves_at(va, &mut to, [S::LANES, half]) };
            assert!(to[half..S::LANES + half].iter().eq(a[half..S::LANES].iter().chain(&a[..half])));
            assert!(to[..half].iter().chain(&to[S::LANES + half..]).all(|x| *x == 9.0));
            for count in 1..S::LANES {
                let part = lanes(s.load_part(&a[..count]));
                assert_eq!(part[..count], a[..count]);
                assert!(part[count..].iter().all(|x| *x == 0.0));
                let mut to = [9.0; LANES_MAX];
                s.store_part(va, &mut to[..count]);
                assert_eq!(to[..count], a[..count]);
                assert!(to[count..].iter().all(|x| *x == 9.0));
            }
        });
    }

    /// Functions are exact to a few units in the last place, and NaN stays NaN.
    fn check_functions<S: Simd>(s: S) {
        for i in -8700..=8700 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x);
            let [e, sigmoid, tanh, tail] = s.vectorize(|| {
                let v = s.splat(x);
                [s.exp(v), s.sigmoid(v), s.tanh(v), s.softplus_tail(v)].map(|v| s.to_array(v)[0])
            });
            assert!((f64::from(e) / exact.exp() - 1.0).abs() < 2.5e-7, "e^{x}");
            close(sigmoid, 1.0 / (1.0 + (-exact).exp()), 2e-7);
            close(tanh, exact.tanh(), 4e-7);
            close(tail, (-exact.abs()).exp().ln_1p(), 2e-7);
        }
        let not_a_number = s.splat(f32::NAN);
        for v in [s.exp(not_a_number), s.sigmoid(not_a_number), s.tanh(not_a_number), s.leaky(not_a_number)] {
            assert!(s.to_array(v)[0].is_nan());
        }
    }

    #[test]
    fn portable_vectors_compute_correctly() {
        check(Portable);
        check_functions(Portable);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn x86_vectors_compute_correctly() {
        if let Some(s) = Avx2::detect() {
            check(s);
            check_functions(s);
        }
        if let Some(s) = Avx512::detect() {
            check(s);
            check_functions(s);
        }
    }

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn arm_vectors_compute_correctly() {
        if let Some(s) = Neon::detect() {
            check(s);
            check_functions(s);
        }
    }
}
