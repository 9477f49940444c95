//! Sums of squared or absolute differences between a few rows and many others, a vector of rows at a time.

use crate::engine::simd::{Instructions, Kernel, LANES_MAX, Simd};

/// Rows of a group: four vectors of the widest kind.
const GROUP: usize = 4 * LANES_MAX;

/// What is summed over the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Differences {
    /// (x − y)².
    Squared,
    /// |x − y|.
    Absolute,
}

/// Rows in column-major groups: `[group][column][row of the group]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Columns {
    rows: usize,
    width: usize,
    values: Vec<f32>,
}

impl Columns {
    /// The rows at `places` of `rows`, of `width` numbers each.
    pub fn of(rows: &[f32], width: usize, places: &[usize]) -> Columns {
        let mut values = vec![0.0; places.len().next_multiple_of(GROUP) * width];
        for (at, &place) in places.iter().enumerate() {
            let group = &mut values[at / GROUP * GROUP * width..];
            for (column, &value) in rows[place * width..][..width].iter().enumerate() {
                group[column * GROUP + at % GROUP] = value;
            }
        }
        Columns { rows: places.len(), width, values }
    }

    fn groups(&self) -> usize {
        self.rows.div_ceil(GROUP)
    }

    /// For each of `rows` the sums against every row here, into `sums`.
    ///
    /// A sum of w terms differs from the exact one by at most about (w + 2)·2⁻²⁴ of it, since no terms cancel each other.
    pub fn differences_to(&self, rows: &[&[f32]], what: Differences, instructions: Instructions, sums: &mut Sums) {
        assert!(rows.iter().all(|row| row.len() == self.width), "a row of another width");
        sums.groups = self.groups();
        let needed = rows.len() * self.groups();
        if sums.least.len() < needed {
            sums.values.resize(needed * GROUP, 0.0);
            sums.least.resize(needed, 0.0);
        }
        instructions.run(Summing { columns: self, rows, what, sums });
    }
}

/// Sums of a few rows against many, `[row][group][row of the group]`, and the least of each group, to skip distant groups.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    groups: usize,
    values: Vec<f32>,
    least: Vec<f32>,
}

impl Sums {
    /// Of the row of this number, group by group: the least sum, and all sums. Those beyond the last row have no meaning.
    pub fn groups(&self, row: usize) -> impl Iterator<Item = (f32, &[f32])> {
        let groups = row * self.groups..(row + 1) * self.groups;
        groups.map(|group| (self.least[group], &self.values[group * GROUP..(group + 1) * GROUP]))
    }
}

struct Summing<'a> {
    columns: &'a Columns,
    rows: &'a [&'a [f32]],
    what: Differences,
    sums: &'a mut Sums,
}

impl Kernel for Summing<'_> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        let Summing { columns, rows, what, sums } = self;
        s.vectorize(
            #[inline(always)]
            || match what {
                Differences::Squared => sum_up(
                    s,
                    columns,
                    rows,
                    sums,
                    #[inline(always)]
                    |d, sum| s.mul_add(d, d, sum),
                ),
                Differences::Absolute => {
                    let zero = s.splat(0.0);
                    sum_up(
                        s,
                        columns,
                        rows,
                        sums,
                        #[inline(always)]
                        |d, sum| s.add(sum, s.max(d, s.sub(zero, d))),
                    );
                }
            },
        );
    }
}

/// Accumulates each difference with `add`. A group stays in the cache while all rows are compared with it, and up to four rows share its
/// loads.
#[inline(always)]
fn sum_up<S: Simd>(s: S, columns: &Columns, rows: &[&[f32]], sums: &mut Sums, add: impl Fn(S::F, S::F) -> S::F) {
    for (number, group) in columns.values.chunks_exact(GROUP * columns.width).enumerate() {
        let mut done = 0;
        while S::MANY_REGISTERS && done + 4 <= rows.len() {
            let four = std::array::from_fn(|i| rows[done + i]);
            sum_up_rows::<S, 4>(s, group, four, sums, done * columns.groups() + number, &add);
            done += 4;
        }
        while done + 2 <= rows.len() {
            let two = std::array::from_fn(|i| rows[done + i]);
            sum_up_rows::<S, 2>(s, group, two, sums, done * columns.groups() + number, &add);
            done += 2;
        }
        if done < rows.len() {
            sum_up_rows::<S, 1>(s, group, [rows[done]], sums, done * columns.groups() + number, &add);
        }
    }
}

/// `R` rows against the group whose results of the first row have index `first`.
#[inline(always)]
fn sum_up_rows<S: Simd, const R: usize>(
    s: S,
    group: &[f32],
    rows: [&[f32]; R],
    sums: &mut Sums,
    first: usize,
    add: &impl Fn(S::F, S::F) -> S::F,
) {
    const VECTORS: usize = 4;
    let of_row: [usize; R] = std::array::from_fn(|i| first + i * sums.groups);
    let mut least = [s.splat(f32::INFINITY); R];
    for first in (0..GROUP).step_by(VECTORS * S::LANES) {
        let mut acc = [[s.splat(0.0); VECTORS]; R];
        for (column, group) in group.as_chunks::<GROUP>().0.iter().enumerate() {
            let values: [S::F; VECTORS] = std::array::from_fn(|v| s.load(&group[first + v * S::LANES..][..S::LANES]));
            for (acc, row) in acc.iter_mut().zip(rows) {
                let x = s.splat(row[column]);
                for (acc, value) in acc.iter_mut().zip(values) {
                    *acc = add(s.sub(x, value), *acc);
                }
            }
        }
        for i in 0..R {
            let values = &mut sums.values[of_row[i] * GROUP + first..][..VECTORS * S::LANES];
            for (acc, values) in acc[i].iter().zip(values.chunks_exact_mut(S::LANES)) {
                s.store(*acc, values);
                least[i] = s.min(*acc, least[i]);
            }
        }
    }
    for i in 0..R {
        let lanes = s.to_array(least[i]);
        sums.least[of_row[i]] = lanes[..S::LANES].iter().copied().fold(f32::INFINITY, f32::min);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_agree_with_a_plain_loop_for_all_instructions(
            width in 1..20usize,
            values in prop::collection::vec(-100f32..100.0, 20 * 147),
            to in 1..8usize,
            rows in 0..140usize,
        ) {
            let (to, others) = values.split_at(to * width);
            let to: Vec<&[f32]> = to.chunks(width).collect();
            let rows = rows.min(others.len() / width);
            let places: Vec<usize> = (0..rows).rev().collect();
            let columns = Columns::of(others, width, &places);
            for instructions in Instructions::available() {
                for what in [Differences::Squared, Differences::Absolute] {
                    // Earlier contents must not matter.
                    let mut sums = Sums { groups: 7, values: vec![1.0; 3 * GROUP], least: vec![1.0; 3] };
                    columns.differences_to(&to, what, instructions, &mut sums);
                    for (number, row) in to.iter().enumerate() {
                        prop_assert_eq!(sums.groups(number).count(), rows.div_ceil(GROUP));
                        prop_assert!(sums.groups(number).all(|(least, sums)| sums.iter().all(|sum| *sum >= least)));
                        let sums = sums.groups(number).flat_map(|(_, sums)| sums);
                        for (sum, &place) in sums.zip(&places) {
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
}
