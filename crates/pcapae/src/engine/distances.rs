//! From one row of numbers to many others: sums of squared or absolute differences, a vector of rows at a time.

use super::instructions::{Instructions, Work};
use super::simd::{LANES_MAX, Simd};

/// Rows that are compared at once: four vectors of the widest kind.
const TOGETHER: usize = 4 * LANES_MAX;

/// What is summed over the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Differences {
    /// (x − y)².
    Squared,
    /// |x − y|.
    Absolute,
}

/// Rows laid out column by column, so that neighbours in memory are the same column of different rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Columns {
    rows: usize,
    /// Rows with those that fill the last group.
    padded: usize,
    width: usize,
    values: Vec<f32>,
}

impl Columns {
    /// The rows whose places in `rows`, of `width` numbers each, are given.
    pub fn of(rows: &[f32], width: usize, places: &[usize]) -> Columns {
        let padded = places.len().next_multiple_of(TOGETHER);
        let mut values = vec![0.0; padded * width];
        for (at, &place) in places.iter().enumerate() {
            for (column, &value) in rows[place * width..][..width].iter().enumerate() {
                values[column * padded + at] = value;
            }
        }
        Columns { rows: places.len(), padded, width, values }
    }

    /// The sums for `row` against every row here, in their order, into `sums`, which grows as needed.
    ///
    /// A sum of w terms differs from the exact one by at most about (w + 2)·2⁻²⁴ of it, since no terms cancel each other.
    pub fn differences_to(&self, row: &[f32], what: Differences, instructions: Instructions, sums: &mut Vec<f32>) {
        assert_eq!(row.len(), self.width, "a row of another width");
        sums.resize(self.padded, 0.0);
        instructions.run(Sums { columns: self, row, what, sums });
        sums.truncate(self.rows);
    }
}

struct Sums<'a> {
    columns: &'a Columns,
    row: &'a [f32],
    what: Differences,
    sums: &'a mut [f32],
}

impl Work for Sums<'_> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        let Sums { columns, row, what, sums } = self;
        s.vectorize(
            #[inline(always)]
            || match what {
                Differences::Squared => sum_up(
                    s,
                    columns,
                    row,
                    sums,
                    #[inline(always)]
                    |d, sum| s.mul_add(d, d, sum),
                ),
                Differences::Absolute => {
                    let zero = s.splat(0.0);
                    sum_up(
                        s,
                        columns,
                        row,
                        sums,
                        #[inline(always)]
                        |d, sum| s.add(sum, s.max(d, s.sub(zero, d))),
                    );
                }
            },
        );
    }
}

/// Adds up what `add` makes of each difference.
#[inline(always)]
fn sum_up<S: Simd>(s: S, columns: &Columns, row: &[f32], sums: &mut [f32], add: impl Fn(S::F, S::F) -> S::F) {
    for first in (0..columns.padded).step_by(4 * S::LANES) {
        let mut four = [s.splat(0.0); 4];
        for (&x, column) in row.iter().zip(columns.values.chunks_exact(columns.padded)) {
            let (x, rows) = (s.splat(x), &column[first..first + 4 * S::LANES]);
            for (vector, sum) in four.iter_mut().enumerate() {
                *sum = add(s.sub(x, s.load(&rows[vector * S::LANES..][..S::LANES])), *sum);
            }
        }
        for (vector, sum) in four.into_iter().enumerate() {
            s.store(sum, &mut sums[first + vector * S::LANES..][..S::LANES]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_those_of_the_definition_for_all_instructions(
            width in 1..20usize,
            values in prop::collection::vec(-100f32..100.0, 20 * 140),
            rows in 0..140usize,
        ) {
            let (row, others) = values.split_at(width);
            let rows = rows.min(others.len() / width);
            let places: Vec<usize> = (0..rows).rev().collect();
            let columns = Columns::of(others, width, &places);
            for instructions in Instructions::available() {
                for what in [Differences::Squared, Differences::Absolute] {
                    let mut sums = vec![1.0; 3];
                    columns.differences_to(row, what, instructions, &mut sums);
                    prop_assert_eq!(sums.len(), rows);
                    for (sum, &place) in sums.iter().zip(&places) {
                        let other = &others[place * width..][..width];
                        let terms = row.iter().zip(other).map(|(x, y)| f64::from(*x) - f64::from(*y));
                        let exact: f64 = match what {
                            Differences::Squared => terms.map(|d| d * d).sum(),
                            Differences::Absolute => terms.map(f64::abs).sum(),
                        };
                        let bound = (width + 2) as f64 * f64::from(f32::EPSILON) * exact;
                        prop_assert!((f64::from(*sum) - exact).abs() <= bound, "{} instead of {}", sum, exact);
                    }
                }
            }
        }
    }
}
