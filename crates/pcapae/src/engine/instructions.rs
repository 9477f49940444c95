//! Which vector instructions the processor has, found out when the program runs.

use std::fmt;

#[cfg(target_arch = "aarch64")]
use super::simd::Neon;
#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512};
use super::simd::{Portable, Simd};

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

/// Work that can be done with any family.
pub(crate) trait Work {
    type Output;

    fn run<S: Simd>(self, s: S) -> Self::Output;
}

impl Instructions {
    /// Every family that this processor has, the slowest first; the first is for any processor.
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
        impl Work for Lanes {
            type Output = usize;
            fn run<S: Simd>(self, _: S) -> usize {
                S::LANES
            }
        }
        self.run(Lanes)
    }

    /// Does the work.
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            Family::Portable(s) => work.run(s),
            #[cfg(target_arch = "x86_64")]
            Family::Avx2(s) => work.run(s),
            #[cfg(target_arch = "x86_64")]
            Family::Avx512(s) => work.run(s),
            #[cfg(target_arch = "aarch64")]
            Family::Neon(s) => work.run(s),
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
