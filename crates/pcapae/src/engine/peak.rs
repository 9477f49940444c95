//! The most multiply-adds that a processor can do, which the engine's speed is compared with.

use super::instructions::{Instructions, Work};
use super::simd::Simd;

/// Sums that do not wait for each other. Two units that each begin one multiply-add a cycle and finish it four or five later are
/// never idle with ten; with two factors, twelve still fit into sixteen registers.
const SUMS: usize = 12;

/// Does `count` multiply-adds, rounded up to whole vectors, on numbers that stay in registers. The number that it returns means
/// nothing, but must be used for anything to be computed.
pub fn multiply_adds(instructions: Instructions, count: u64) -> f32 {
    instructions.run(MultiplyAdds { count })
}

struct MultiplyAdds {
    count: u64,
}

impl Work for MultiplyAdds {
    type Output = f32;

    fn run<S: Simd>(self, s: S) -> f32 {
        let rounds = self.count.div_ceil((SUMS * S::LANES) as u64);
        s.vectorize(
            #[inline(always)]
            || {
                // Every sum x becomes x·a + b and goes towards 1, so it costs what ordinary numbers cost.
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
