//! AVX-512: sixteen floats, thirty-two registers.

use std::arch::x86_64::*;

use super::Simd;

/// Proof that the processor has AVX-512 F, DQ, BW and VL.
#[derive(Debug, Clone, Copy)]
pub struct Avx512(());

impl Avx512 {
    /// The proof, if it holds.
    pub(super) fn detect() -> Option<Avx512> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma"))
        .then_some(Avx512(()))
    }
}

/// A mask of the first `count` lanes, fewer than sixteen.
#[inline(always)]
fn first(count: usize) -> u16 {
    debug_assert!(count < 16);
    (1u16 << (count & 15)) - 1
}

/// A method that is one instruction.
macro_rules! instructions {
    ($($name:ident($($a:ident),*) = $instruction:expr;)*) => { $(
        #[inline(always)]
        fn $name(self, $($a: __m512),*) -> __m512 {
            // SAFETY: a value of this type exists only where the processor has the instruction.
            unsafe { $instruction }
        }
    )* };
}

impl Simd for Avx512 {
    type F = __m512;
    const LANES: usize = 16;
    const MANY_REGISTERS: bool = true;

    #[inline(always)]
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: a value of this type exists only where the processor has these features.
        unsafe { compiled(work) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: a value of this type exists only where the processor has the instruction.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m512 {
        let from = &from[..16];
        // SAFETY: as above, and the slice has as many floats as are read.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: __m512, to: &mut [f32]) {
        let to = &mut to[..16];
        // SAFETY: as above, and the slice has as many floats as are written.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn load_part(self, from: &[f32]) -> __m512 {
        // SAFETY: as above, and the mask has a bit for each float of the slice and no other.
        unsafe { _mm512_maskz_loadu_ps(first(from.len()), from.as_ptr()) }
    }

    #[inline(always)]
    fn store_part(self, v: __m512, to: &mut [f32]) {
        // SAFETY: as above, and the mask has a bit for each float of the slice and no other.
        unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), first(to.len()), v) }
    }

    #[inline(always)]
    unsafe fn load_halves_at(self, from: &[f32], [low, high]: [usize; 2]) -> __m512 {
        debug_assert!(low + 8 <= from.len() && high + 8 <= from.len());
        // SAFETY: as above, and the caller promises that the slice has as many floats as are read.
        unsafe {
            let low = _mm512_castps256_ps512(_mm256_loadu_ps(from.as_ptr().add(low)));
            _mm512_insertf32x8::<1>(low, _mm256_loadu_ps(from.as_ptr().add(high)))
        }
    }

    #[inline(always)]
    unsafe fn store_halves_at(self, v: __m512, to: &mut [f32], [low, high]: [usize; 2]) {
        debug_assert!(low + 8 <= to.len() && high + 8 <= to.len());
        // SAFETY: as above, and the caller promises that the slice has as many floats as are written.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr().add(low), _mm512_castps512_ps256(v));
            _mm256_storeu_ps(to.as_mut_ptr().add(high), _mm512_extractf32x8_ps::<1>(v));
        }
    }

    #[inline(always)]
    fn sum(self, v: __m512) -> f32 {
        // SAFETY: a value of this type exists only where the processor has the instructions.
        unsafe { _mm512_reduce_add_ps(v) }
    }

    #[inline(always)]
    fn sums(self, v: [__m512; 16]) -> [f32; 16] {
        // Written without closures, which would not be compiled for these instructions.
        let mut quads = [self.splat(0.0); 4];
        for (quad, v) in quads.iter_mut().zip(v.as_chunks::<4>().0) {
            // SAFETY: a value of this type exists only where the processor has the instructions.
            *quad = unsafe {
                let ab = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
                let cd = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
                let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
                let (low, high) = (_mm512_unpacklo_pd(ab, cd), _mm512_unpackhi_pd(ab, cd));
                _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high))
            };
        }
        // Each quarter of a vector now has a sum of each of four, the four quarters of which are still to be added.
        let [a, b, c, d] = quads;
        // SAFETY: as above, and an array of sixteen floats is as large as a vector.
        unsafe {
            let ab = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
            let cd = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
            let sums = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(ab, cd), _mm512_shuffle_f32x4::<0xdd>(ab, cd));
            std::mem::transmute::<__m512, [f32; 16]>(sums)
        }
    }

    instructions! {
        add(a, b) = _mm512_add_ps(a, b);
        sub(a, b) = _mm512_sub_ps(a, b);
        mul(a, b) = _mm512_mul_ps(a, b);
        div(a, b) = _mm512_div_ps(a, b);
        mul_add(a, b, c) = _mm512_fmadd_ps(a, b, c);
        max(a, b) = _mm512_max_ps(a, b);
        min(a, b) = _mm512_min_ps(a, b);
        round(a) = _mm512_roundscale_ps::<_MM_FROUND_TO_NEAREST_INT>(a);
        scale(a, n) = _mm512_scalef_ps(a, n);
        where_positive(x, a, b) =
            _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, _mm512_setzero_ps()), b, a);
    }
}
