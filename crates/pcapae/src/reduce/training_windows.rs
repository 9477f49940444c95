//! The windows that a reducer is fitted to, as each method wants them: their moments, or some of them as they are.

use nalgebra::{DMatrix, DVector};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::dataset::{Dataset, WantedWindows, WindowBlock};
use crate::progress::Progress;
use crate::{Error, Result};

/// Windows that are multiplied at a time.
const TILE: usize = 256;

/// Bytes of a window up to which its moments are taken: they are as many numbers squared, here 512 MiB.
pub const MOMENTS_WIDTH_MAX: usize = 8192;

/// All windows of a dataset, read as often as they are asked for.
#[derive(Clone, Copy)]
pub struct TrainingWindows<'a> {
    wanted: WantedWindows<'a>,
    count: usize,
}

/// Mean and covariance of the bytes of windows, divided by 255; the covariance with the number of windows in the denominator.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WindowMoments {
    pub count: usize,
    pub mean: DVector<f64>,
    pub covariance: DMatrix<f64>,
}

impl<'a> TrainingWindows<'a> {
    /// The windows of `frames` fragments, from 1; in flow mode within one flow each. Refuses a dataset without fragments or without a window.
    pub fn new(dataset: &'a Dataset, frames: usize) -> Result<TrainingWindows<'a>> {
        if dataset.is_empty() {
            return Err(Error::NoFragments { path: dataset.path().to_owned() });
        }
        match dataset.count_windows(frames)? {
            0 => Err(Error::NoWindows { what: "the dataset", frames }),
            count => Ok(TrainingWindows { wanted: WantedWindows { dataset, frames, stride: 1 }, count }),
        }
    }

    /// How many windows there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// False: a dataset without windows is refused.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes in a window.
    pub fn width(&self) -> usize {
        self.wanted.frames * self.wanted.dataset.size().bytes()
    }

    /// Mean and covariance over all windows, in one pass; memory does not grow with them.
    ///
    /// Sums of products of bytes are whole numbers below 2⁵³, so that no digit is lost, whoever adds them in whichever order.
    pub(super) fn moments(&self, progress: &dyn Progress) -> Result<WindowMoments> {
        let width = self.width();
        if width > MOMENTS_WIDTH_MAX {
            return Err(Error::Setting {
                setting: "bytes in a window",
                got: width.to_string(),
                expected: format!("at most {MOMENTS_WIDTH_MAX} for this method"),
                remedy: Some("random-projection takes windows of any size".into()),
            });
        }
        progress.begin("measuring", Some(self.count as u64));
        let (mut sum, mut products) = (DVector::zeros(width), DMatrix::zeros(width, width));
        self.each_block(progress, |block| {
            let tiles: Vec<DMatrix<f64>> = block.par_chunks(TILE).map(bytes_as_columns).collect();
            for tile in &tiles {
                sum += tile.column_sum();
            }
            add_products(&mut products, &tiles);
            Ok(())
        })?;
        let count = self.count as f64;
        let mean = sum / count;
        let covariance = (products / count - &mean * mean.transpose()) / (255.0 * 255.0);
        Ok(WindowMoments { count: self.count, mean: mean / 255.0, covariance })
    }

    /// At most so many of the windows, drawn by `seed`, in their order: a column each, bytes divided by 255.
    pub(super) fn sample(&self, at_most: usize, seed: u64, progress: &dyn Progress) -> Result<DMatrix<f64>> {
        let chosen = chosen(self.count, at_most, seed);
        let mut values = Vec::with_capacity(chosen.len() * self.width());
        let (mut seen, mut next) = (0, chosen.iter().peekable());
        progress.begin("reading", Some(self.count as u64));
        self.each_block(progress, |block| {
            while let Some(&&window) = next.peek().filter(|window| ***window < seen + block.len()) {
                values.extend(block[window - seen].iter().map(|&byte| f64::from(byte) / 255.0));
                next.next();
            }
            seen += block.len();
            Ok(())
        })?;
        Ok(DMatrix::from_vec(self.width(), chosen.len(), values))
    }

    fn each_block(&self, progress: &dyn Progress, mut take: impl FnMut(&[&[u8]]) -> Result<()>) -> Result<()> {
        let no_work = |_: &WindowBlock| ();
        let take = |block: &WindowBlock, ()| {
            let windows = block.bytes_of_windows();
            take(&windows)?;
            progress.advance(windows.len() as u64);
            Ok(())
        };
        self.wanted.each_block(no_work, take, progress)
    }
}

/// At most `at_most` of the numbers below `count`, drawn by `seed`, in their order.
pub(super) fn chosen(count: usize, at_most: usize, seed: u64) -> Vec<usize> {
    if count <= at_most {
        return (0..count).collect();
    }
    let mut chosen = index::sample(&mut ChaCha8Rng::seed_from_u64(seed), count, at_most).into_vec();
    chosen.sort_unstable();
    chosen
}

/// The bytes of windows, a column each, as they are.
fn bytes_as_columns(windows: &[&[u8]]) -> DMatrix<f64> {
    let width = windows.first().map_or(0, |window| window.len());
    let bytes = windows.iter().flat_map(|window| window.iter().map(|&byte| f64::from(byte)));
    DMatrix::from_iterator(width, windows.len(), bytes)
}

/// Adds all windows' products of one byte with another. Each thread has a few columns of the sums.
fn add_products(products: &mut DMatrix<f64>, tiles: &[DMatrix<f64>]) {
    let width = products.nrows();
    let columns = width.div_ceil(4 * rayon::current_num_threads()).max(1);
    products.as_mut_slice().par_chunks_mut(columns * width).enumerate().for_each(|(part, sums)| {
        let mut sums = nalgebra::DMatrixViewMut::from_slice(sums, width, sums.len() / width);
        for tile in tiles {
            let some = tile.rows(part * columns, sums.ncols());
            sums.gemm(1.0, tile, &some.transpose(), 1.0);
        }
    });
}

impl std::fmt::Debug for TrainingWindows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainingWindows").field("dataset", self.wanted.dataset).field("count", &self.count).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_chosen_in_order_and_all_where_there_are_no_more() {
        assert_eq!(chosen(4, 4, 1), [0, 1, 2, 3]);
        let some = chosen(1000, 20, 1);
        assert!(some.len() == 20 && some.is_sorted() && some.iter().all(|&i| i < 1000));
        assert_eq!(some, chosen(1000, 20, 1));
        assert_ne!(some, chosen(1000, 20, 2));
    }

    #[test]
    fn products_are_added_without_loss() {
        let windows: Vec<Vec<u8>> =
            (0..600_u32).map(|i| (0..37).map(|j| ((i * 31 + j * 17) % 256) as u8).collect()).collect();
        let slices: Vec<&[u8]> = windows.iter().map(Vec::as_slice).collect();
        let tiles: Vec<DMatrix<f64>> = slices.chunks(TILE).map(bytes_as_columns).collect();
        let mut products = DMatrix::zeros(37, 37);
        add_products(&mut products, &tiles);
        for a in 0..37 {
            for b in 0..37 {
                let expected: u64 = windows.iter().map(|window| u64::from(window[a]) * u64::from(window[b])).sum();
                assert_eq!(products[(a, b)], expected as f64);
            }
        }
    }
}
