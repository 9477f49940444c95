//! Which vector instructions the processor has, detected at run time.

use std::fmt;

#[cfg(target_arch = "aarch64")]
use super::Neon;
#[cfg(target_arch = "x86_64")]
use super::{Avx2, Avx512};
use super::{Portable, Simd};

/// A family of vector instructions that this processor has.
#[derive(Clone, Copy)]
pub struct Instructions(Family);

#[derive(Clone, Copy)]
enum Family {
    Portable(Portable),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

/// A computation that is compiled for every family.
pub trait Kernel {
    /// Its result.
    type Output;

    /// Runs it; the inner loops belong into [`vectorize`](Simd::vectorize).
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

impl Instructions {
    /// Every family that this processor has, the slowest first; the first one runs on any processor.
    pub fn available() -> Vec<Instructions> {
        let mut families = vec![Family::Portable(Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            families.extend(Avx2::detect().map(Family::Avx2));
            families.extend(Avx512::detect().map(Family::Avx512));
        }
        #[cfg(target_arch = "aarch64")]
        families.extend(Neon::detect().map(Family::Neon));
        families.into_iter().map(Instructions).collect()
    }

    /// The fastest that this processor has.
    pub fn best() -> Instructions {
        Instructions::available().pop().unwrap_or(Instructions(Family::Portable(Portable)))
    }

    /// Floats in a vector.
    pub fn lanes(self) -> usize {
        struct Lanes;
        impl Kernel for Lanes {
            type Output = usize;
            fn run<S: Simd>(self, _: S) -> usize {
                S::LANES
            }
        }
        self.run(Lanes)
    }

    /// Does the kernel.
    pub fn run<W: Kernel>(self, kernel: W) -> W::Output {
        match self.0 {
            Family::Portable(s) => kernel.run(s),
            #[cfg(target_arch = "x86_64")]
            Family::Avx2(s) => kernel.run(s),
            #[cfg(target_arch = "x86_64")]
            Family::Avx512(s) => kernel.run(s),
            #[cfg(target_arch = "aarch64")]
            Family::Neon(s) => kernel.run(s),
        }
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self.0 {
            Family::Portable(_) => "portable",
            #[cfg(target_arch = "x86_64")]
            Family::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Family::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Family::Neon(_) => "neon",
        })
    }
}

impl fmt::Debug for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
