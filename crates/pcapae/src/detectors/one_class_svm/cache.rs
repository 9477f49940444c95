//! Rows of the kernel's matrix that were computed, the latest used of them.

use std::collections::BTreeMap;

use crate::numeric::{Columns, Kernel};

/// The kernel's matrix of a set of columns, computed row by row where it is asked for and kept as long as there is room; the
/// row that was not used for longest makes room.
///
/// Values are in single precision, as in LIBSVM (its `Qfloat`): its numbers are reached only so.
#[derive(Debug)]
pub(super) struct Matrix {
    kernel: Kernel,
    columns: Columns,
    /// The beginning of each row; empty where it is not kept.
    rows: Vec<Vec<f32>>,
    /// When each kept row was last used, and the other way round.
    used: Vec<u64>,
    by_use: BTreeMap<u64, usize>,
    now: u64,
    /// Values that may still be kept.
    room: isize,
}

impl Matrix {
    /// Of these columns, with room for `values` values, but at least for two rows.
    pub fn new(kernel: Kernel, columns: Columns, values: usize) -> Matrix {
        let count = columns.len();
        let room = values.max(2 * count) as isize;
        let (rows, used) = (vec![Vec::new(); count], vec![0; count]);
        Matrix { kernel, columns, rows, used, by_use: BTreeMap::new(), now: 0, room }
    }

    /// k of each column and itself, in double precision.
    pub fn diagonal(&self) -> Vec<f64> {
        (0..self.columns.len()).map(|i| self.columns.diagonal(&self.kernel, i)).collect()
    }

    /// The first `len` values of row i.
    pub fn row(&mut self, i: usize, len: usize) -> &[f32] {
        self.use_row(i, len);
        &self.rows[i][..len]
    }

    /// The first `len` values of rows i and j.
    pub fn both_rows(&mut self, i: usize, j: usize, len: usize) -> [&[f32]; 2] {
        self.use_row(i, len);
        self.use_row(j, len);
        [&self.rows[i][..len], &self.rows[j][..len]]
    }

    fn use_row(&mut self, i: usize, len: usize) {
        self.by_use.remove(&self.used[i]);
        self.now += 1;
        let lacking = len.saturating_sub(self.rows[i].len());
        while self.room < lacking as isize {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.room += std::mem::take(&mut self.rows[oldest]).len() as isize;
        }
        if lacking > 0 {
            self.columns.extend_row(&self.kernel, i, &mut self.rows[i], len);
            self.room -= lacking as isize;
        }
        self.used[i] = self.now;
        self.by_use.insert(self.now, i);
    }

    /// Exchanges two columns, i before j, and the rows that belong to them. Rows that reach i but not j are forgotten.
    pub fn swap(&mut self, i: usize, j: usize) {
        self.columns.swap(i, j);
        self.rows.swap(i, j);
        self.used.swap(i, j);
        for index in [i, j] {
            if !self.rows[index].is_empty() {
                self.by_use.insert(self.used[index], index);
            }
        }
        let Matrix { rows, by_use, room, .. } = self;
        by_use.retain(|_, index| {
            let row = &mut rows[*index];
            if row.len() > j {
                row.swap(i, j);
            } else if row.len() > i {
                *room += std::mem::take(row).len() as isize;
            }
            !row.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_right_whatever_is_kept_and_exchanged() {
        let mut numbers: Vec<f32> = (0..40).map(|i| ((i * 37) % 40) as f32).collect();
        let mut matrix = Matrix::new(Kernel::Linear, Columns::new(&numbers, 1), 100);
        let check = |matrix: &mut Matrix, numbers: &[f32], i: usize, len: usize| {
            let expected: Vec<f32> = numbers[..len].iter().map(|x| x * numbers[i]).collect();
            assert_eq!(matrix.row(i, len), expected, "row {i}");
        };
        for step in 0..500 {
            let (i, len) = (step * 7 % 40, 1 + step * 11 % 40);
            check(&mut matrix, &numbers, i, len);
            if step % 3 == 0 {
                let (i, j) = (step % 20, 20 + step * 5 % 20);
                matrix.swap(i, j);
                numbers.swap(i, j);
            }
            let kept: usize = matrix.rows.iter().map(Vec::len).sum();
            assert_eq!(matrix.room, 100 - kept as isize);
            assert_eq!(matrix.by_use.len(), matrix.rows.iter().filter(|row| !row.is_empty()).count());
        }
    }
}
