//! The processor's peak rate of multiply-adds, which the engine's speed is compared with.

use crate::simd::Simd;
use crate::simd::{Instructions, Kernel};

/// Independent accumulators. Two units that each start one multiply-add a cycle, with a latency of four or five cycles, need ten to
/// be busy; twelve and two factors still fit into sixteen registers.
const SUMS: usize = 12;

/// Does `count` multiply-adds, rounded up to whole vectors, on numbers that stay in registers. The result has no
/// meaning, but must be used, or nothing is computed.
pub fn multiply_adds(instructions: Instructions, count: u64) -> f32 {
    instructions.run(MultiplyAdds { count })
}

struct MultiplyAdds {
    count: u64,
}

impl Kernel for MultiplyAdds {
    type Output = f32;

    fn run<S: Simd>(self, s: S) -> f32 {
        let rounds = self.count.div_ceil((SUMS * S::LANES) as u64);
        s.vectorize(
            #[inline(always)]
            || {
                // Every accumulator x becomes x·a + b and converges to 1, so there are no denormal numbers.
                let (a, b) = (s.splat(0.75), s.splat(0.25));
                let mut sums: [S::F; SUMS] = std::array::from_fn(|i| s.splat(i as f32));
                for _ in 0..rounds {
                    sums.iter_mut().for_each(|sum| *sum = s.mul_add(*sum, a, b));
                }
                sums.iter().map(|sum| s.sum(*sum)).sum()
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_computed_in_every_lane() {
        for instructions in Instructions::available() {
            let lanes = instructions.lanes() as f32;
            assert_eq!(multiply_adds(instructions, 0), lanes * 66.0, "{instructions}: 0 + 1 + … + 11");
            let all = multiply_adds(instructions, 100_000);
            assert!((all - lanes * SUMS as f32).abs() < 1e-3, "{instructions}: {all}");
        }
    }
}
