//! Kernels, and their values for many pairs of rows at a time.

use rayon::prelude::*;

/// Columns that are computed side by side: as many sums as fit the registers.
const LANES: usize = 16;

/// Blocks of columns that one thread computes at a time.
const BLOCKS: usize = 32;

/// Rows that pass over those blocks at a time: few enough to stay in the first cache.
const TILE: usize = 64;

/// k(x, y), a similarity of two rows; see [`KernelName`](crate::detectors::KernelName) for the formulas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kernel {
    Linear,
    Poly { gamma: f64, coef0: f64, degree: i32 },
    Rbf { gamma: f64 },
    Sigmoid { gamma: f64, coef0: f64 },
}

impl Kernel {
    /// k(x, y) from x·y, x·x and y·y.
    pub(crate) fn of_products(&self, xy: f64, xx: f64, yy: f64) -> f64 {
        match *self {
            Kernel::Linear => xy,
            Kernel::Poly { gamma, coef0, degree } => (gamma * xy + coef0).powi(degree),
            Kernel::Rbf { gamma } => (-gamma * (xx + yy - 2.0 * xy)).exp(),
            Kernel::Sigmoid { gamma, coef0 } => (gamma * xy + coef0).tanh(),
        }
    }
}

/// Rows stored so that a feature of sixteen of them lies side by side; here each is a column of the kernel's matrix.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    width: usize,
    count: usize,
    /// Block after block of sixteen columns; in a block, feature after feature. The last block is filled up with zeros.
    values: Vec<f32>,
    /// x·x of each column.
    squares: Vec<f64>,
}

impl Columns {
    pub fn new(rows: &[f32], width: usize) -> Columns {
        let count = rows.len() / width;
        let mut values = vec![0.0; count.next_multiple_of(LANES) * width];
        for (i, row) in rows.chunks(width).enumerate() {
            let block = &mut values[i / LANES * LANES * width..];
            row.iter().enumerate().for_each(|(feature, value)| block[feature * LANES + i % LANES] = *value);
        }
        Columns { width, count, values, squares: rows.chunks(width).map(square).collect() }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// The features of a column.
    fn column(&self, i: usize) -> Vec<f64> {
        let block = &self.values[i / LANES * LANES * self.width..];
        (0..self.width).map(|feature| f64::from(block[feature * LANES + i % LANES])).collect()
    }

    /// k of a column and itself.
    pub fn diagonal(&self, kernel: &Kernel, i: usize) -> f64 {
        kernel.of_products(self.squares[i], self.squares[i], self.squares[i])
    }

    /// Exchanges two columns.
    pub fn swap(&mut self, i: usize, j: usize) {
        self.squares.swap(i, j);
        let [i, j] = [i, j].map(|i| i / LANES * LANES * self.width + i % LANES);
        (0..self.width).for_each(|feature| self.values.swap(i + feature * LANES, j + feature * LANES));
    }

    /// Appends k(column i, column t) to `row`, from t = `row.len()` up to `len`, in single precision.
    pub fn extend_row(&self, kernel: &Kernel, i: usize, row: &mut Vec<f32>, len: usize) {
        let (x, xx, known) = (self.column(i), self.squares[i], row.len());
        row.resize(len, 0.0);
        // From the beginning of the block in which the unknown ones begin.
        let first = known / LANES;
        let part = |(chunk, out): (usize, &mut [f32])| {
            let mut block = vec![0.0; LANES * self.width];
            for (b, out) in out.chunks_mut(LANES).enumerate() {
                let b = first + chunk * BLOCKS + b;
                self.load_block(b, &mut block);
                let products = products(&x, &block);
                for ((out, xy), yy) in out.iter_mut().zip(products).zip(&self.squares[b * LANES..]) {
                    *out = kernel.of_products(xy, xx, *yy) as f32;
                }
            }
        };
        row[first * LANES..].par_chunks_mut(BLOCKS * LANES).enumerate().for_each(part);
    }

    fn load_block(&self, b: usize, block: &mut [f64]) {
        let values = &self.values[b * block.len()..];
        block.iter_mut().zip(values).for_each(|(to, from)| *to = f64::from(*from));
    }

    /// Σ weight·value(k(row, column)) over the rows, for each column; the terms are added in the order of the rows.
    pub fn weighted_sums(
        &self,
        kernel: &Kernel,
        rows: &[f32],
        weights: &[f64],
        value: impl Fn(f64) -> f64 + Sync,
    ) -> Vec<f64> {
        let mut sums = vec![0.0; self.count];
        sums.par_chunks_mut(BLOCKS * LANES).enumerate().for_each(|(chunk, sums)| {
            let mut block = vec![0.0; LANES * self.width];
            for (rows, weights) in rows.chunks(TILE * self.width).zip(weights.chunks(TILE)) {
                let tile: Vec<f64> = rows.iter().map(|value| f64::from(*value)).collect();
                let squares: Vec<f64> = rows.chunks(self.width).map(square).collect();
                for (b, sums) in sums.chunks_mut(LANES).enumerate() {
                    let b = chunk * BLOCKS + b;
                    self.load_block(b, &mut block);
                    for ((x, xx), weight) in tile.chunks(self.width).zip(&squares).zip(weights) {
                        let products = products(x, &block);
                        for ((sum, xy), yy) in sums.iter_mut().zip(products).zip(&self.squares[b * LANES..]) {
                            *sum += weight * value(kernel.of_products(xy, *xx, *yy));
                        }
                    }
                }
            }
        });
        sums
    }
}

fn square(row: &[f32]) -> f64 {
    row.iter().map(|value| f64::from(*value) * f64::from(*value)).sum()
}

/// x·y for the sixteen columns y of a block.
fn products(x: &[f64], block: &[f64]) -> [f64; LANES] {
    let mut sums = [0.0; LANES];
    for (x, lanes) in x.iter().zip(block.as_chunks::<LANES>().0) {
        for (sum, y) in sums.iter_mut().zip(lanes) {
            *sum += x * y;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_sums_are_those_of_the_definition() {
        let width = 5;
        let numbers: Vec<f32> = (0..600 * width).map(|i| ((i * 7919) % 101) as f32 / 50.0 - 1.0).collect();
        let mut columns = Columns::new(&numbers, width);
        columns.swap(3, 599);
        let kernel = Kernel::Poly { gamma: 0.5, coef0: 0.25, degree: 3 };
        let at = |i: usize| match i {
            3 => &numbers[599 * width..],
            599 => &numbers[3 * width..],
            i => &numbers[i * width..],
        };
        let k = |i: usize, j: usize| {
            let product: f64 = (0..width).map(|f| f64::from(at(i)[f]) * f64::from(at(j)[f])).sum();
            (0.5 * product + 0.25).powi(3)
        };
        let mut row = Vec::new();
        for len in [1, 40, 41, 600] {
            columns.extend_row(&kernel, 3, &mut row, len);
        }
        for (j, value) in row.iter().enumerate() {
            assert!((f64::from(*value) - k(3, j)).abs() < 1e-6, "{j}");
        }
        let rows: Vec<f32> = (0..100).flat_map(|i| at(i)[..width].to_vec()).collect();
        let weights: Vec<f64> = (0..100).map(f64::from).collect();
        for (j, sum) in columns.weighted_sums(&kernel, &rows, &weights, |k| k).iter().enumerate() {
            let expected: f64 = (0..100).map(|i| i as f64 * k(i, j)).sum();
            assert!((sum - expected).abs() < 1e-9 * expected.abs().max(1.0), "{j}: {sum} {expected}");
        }
        assert_eq!(columns.diagonal(&kernel, 7), k(7, 7));
    }
}
