//! AVX2 and FMA: eight floats, sixteen registers.

use std::arch::x86_64::*;

use super::Simd;

/// Proof that the processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    /// The proof, if it holds.
    pub(super) fn detect() -> Option<Avx2> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }
}

/// A mask of the first `count` lanes, fewer than eight: eight words at a distance from the border of ones and zeros.
#[inline(always)]
fn first(count: usize) -> __m256i {
    const BORDER: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    let words = &BORDER[8 - count..16 - count];
    // SAFETY: called only by methods of the proof, and the slice has the eight words that are read.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

/// A method that is one instruction.
macro_rules! instructions {
    ($($name:ident($($a:ident),*) = $instruction:expr;)*) => { $(
        #[inline(always)]
        fn $name(self, $($a: __m256),*) -> __m256 {
            // SAFETY: a value of this type exists only where the processor has the instruction.
            unsafe { $instruction }
        }
    )* };
}

impl Simd for Avx2 {
    type F = __m256;
    const LANES: usize = 8;
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: a value of this type exists only where the processor has these features.
        unsafe { compiled(work) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: a value of this type exists only where the processor has the instruction.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m256 {
        let from = &from[..8];
        // SAFETY: as above, and the slice has as many floats as are read.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: __m256, to: &mut [f32]) {
        let to = &mut to[..8];
        // SAFETY: as above, and the slice has as many floats as are written.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn load_part(self, from: &[f32]) -> __m256 {
        // SAFETY: as above, and the mask has a lane for each float of the slice and no other.
        unsafe { _mm256_maskload_ps(from.as_ptr(), first(from.len())) }
    }

    #[inline(always)]
    fn store_part(self, v: __m256, to: &mut [f32]) {
        // SAFETY: as above, and the mask has a lane for each float of the slice and no other.
        unsafe { _mm256_maskstore_ps(to.as_mut_ptr(), first(to.len()), v) }
    }

    #[inline(always)]
    unsafe fn load_halves_at(self, from: &[f32], [low, high]: [usize; 2]) -> __m256 {
        debug_assert!(low + 4 <= from.len() && high + 4 <= from.len());
        // SAFETY: as above, and the caller promises that the slice has as many floats as are read.
        unsafe {
            let low = _mm256_castps128_ps256(_mm_loadu_ps(from.as_ptr().add(low)));
            _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from.as_ptr().add(high)))
        }
    }

    #[inline(always)]
    unsafe fn store_halves_at(self, v: __m256, to: &mut [f32], [low, high]: [usize; 2]) {
        debug_assert!(low + 4 <= to.len() && high + 4 <= to.len());
        // SAFETY: as above, and the caller promises that the slice has as many floats as are written.
        unsafe {
            _mm_storeu_ps(to.as_mut_ptr().add(low), _mm256_castps256_ps128(v));
            _mm_storeu_ps(to.as_mut_ptr().add(high), _mm256_extractf128_ps::<1>(v));
        }
    }

    #[inline(always)]
    fn sums(self, v: [__m256; 16]) -> [f32; 16] {
        // Written without closures, which would not be compiled for these instructions.
        let mut sums = [self.splat(0.0); 2];
        for (sum, v) in sums.iter_mut().zip(v.as_chunks::<8>().0) {
            // SAFETY: a value of this type exists only where the processor has the instructions.
            *sum = unsafe {
                let low = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
                let high = _mm256_hadd_ps(_mm256_hadd_ps(v[4], v[5]), _mm256_hadd_ps(v[6], v[7]));
                _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high))
            };
        }
        // SAFETY: an array of sixteen floats is as large as two vectors.
        unsafe { std::mem::transmute::<[__m256; 2], [f32; 16]>(sums) }
    }

    instructions! {
        add(a, b) = _mm256_add_ps(a, b);
        sub(a, b) = _mm256_sub_ps(a, b);
        mul(a, b) = _mm256_mul_ps(a, b);
        div(a, b) = _mm256_div_ps(a, b);
        mul_add(a, b, c) = _mm256_fmadd_ps(a, b, c);
        max(a, b) = _mm256_max_ps(a, b);
        min(a, b) = _mm256_min_ps(a, b);
        round(a) = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a);
        scale(a, n) = {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        };
        where_positive(x, a, b) =
            _mm256_blendv_ps(b, a, _mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_setzero_ps()));
    }
}
