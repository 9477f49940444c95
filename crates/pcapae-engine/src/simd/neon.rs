//! NEON: four floats, thirty-two registers.

use std::arch::aarch64::*;

use super::Simd;

/// Proof that the processor has NEON.
#[derive(Debug, Clone, Copy)]
pub struct Neon(());

impl Neon {
    /// The proof, if it holds.
    pub(super) fn detect() -> Option<Neon> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }
}

/// A method that is one instruction.
macro_rules! instructions {
    ($($name:ident($($a:ident),*) = $instruction:expr;)*) => { $(
        #[inline(always)]
        fn $name(self, $($a: float32x4_t),*) -> float32x4_t {
            // SAFETY: a value of this type exists only where the processor has the instruction.
            unsafe { $instruction }
        }
    )* };
}

impl Simd for Neon {
    type F = float32x4_t;
    const LANES: usize = 4;
    const MANY_REGISTERS: bool = true;

    #[inline(always)]
    fn vectorize<R>(self, work: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "neon")]
        fn compiled<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: a value of this type exists only where the processor has these features.
        unsafe { compiled(work) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        // SAFETY: a value of this type exists only where the processor has the instruction.
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> float32x4_t {
        let from = &from[..4];
        // SAFETY: as above, and the slice has as many floats as are read.
        unsafe { vld1q_f32(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: float32x4_t, to: &mut [f32]) {
        let to = &mut to[..4];
        // SAFETY: as above, and the slice has as many floats as are written.
        unsafe { vst1q_f32(to.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn load_part(self, from: &[f32]) -> float32x4_t {
        let mut lanes = [0.0; 4];
        lanes[..from.len()].copy_from_slice(from);
        self.load(&lanes)
    }

    #[inline(always)]
    fn store_part(self, v: float32x4_t, to: &mut [f32]) {
        let mut lanes = [0.0; 4];
        self.store(v, &mut lanes);
        let count = to.len();
        to.copy_from_slice(&lanes[..count]);
    }

    instructions! {
        add(a, b) = vaddq_f32(a, b);
        sub(a, b) = vsubq_f32(a, b);
        mul(a, b) = vmulq_f32(a, b);
        div(a, b) = vdivq_f32(a, b);
        mul_add(a, b, c) = vfmaq_f32(c, a, b);
        max(a, b) = vbslq_f32(vcgtq_f32(a, b), a, b);
        min(a, b) = vbslq_f32(vcltq_f32(a, b), a, b);
        round(a) = vrndnq_f32(a);
        scale(a, n) = {
            let exponent = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
            vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)))
        };
        where_positive(x, a, b) = vbslq_f32(vcgtq_f32(x, vdupq_n_f32(0.0)), a, b);
    }
}
