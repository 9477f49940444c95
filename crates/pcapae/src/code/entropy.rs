//! The entropy of codes.

use std::path::Path;

use crate::Result;
use crate::dataset::hdf5_file::{Array, Hdf5File};
use crate::error::{Fault, FileKind};

/// Equal parts that values are counted in.
pub(crate) const ENTROPY_BINS: usize = 64;

/// Numbers that are read at a time: 4 MiB of them.
const NUMBERS_AT_ONCE: usize = 1 << 20;

/// Shannon entropy in bits, H = −Σ p log₂ p, of how often each of some cases was met; 0 where none was.
///
/// # Source
/// Shannon: *A mathematical theory of communication*, 1948.
pub fn shannon_entropy(counts: &[u64]) -> f64 {
    let all = counts.iter().sum::<u64>() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| *count as f64 / all);
    // From 0 downwards, so that the entropy of one case is 0 and not -0.
    shares.fold(0.0, |entropy, share| entropy - share * share.log2())
}

/// How much the codes of the file at `path` say: the mean, over the numbers of a code, of the Shannon entropy of the number's values in
/// 64 equal parts of the range that they have in the file.
///
/// In bits: between 0, where each number is the same in all codes, and 6, where all parts are met equally often. The file is read twice,
/// in pieces.
///
/// # Errors
///
/// The file cannot be opened, or has no array `codes` of finite numbers.
pub fn entropy_of_codes(path: &Path) -> Result<f64> {
    let unreadable = FileKind::Codes.unreadable(path);
    let codes = Hdf5File::open(path, FileKind::Codes)?.required_array::<f32>("codes").map_err(unreadable)?;
    of_array(&codes).map_err(unreadable)
}

fn of_array(codes: &Array<f32>) -> Result<f64, Fault> {
    codes.expect_shape(&[None, None])?;
    let width = codes.shape()[1];
    let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); width];
    each_code(codes, |code| {
        for ((least, greatest), value) in ranges.iter_mut().zip(code) {
            (*least, *greatest) = (least.min(*value), greatest.max(*value));
        }
    })?;
    let mut counts = vec![[0; ENTROPY_BINS]; width];
    each_code(codes, |code| {
        for ((counts, (least, greatest)), value) in counts.iter_mut().zip(&ranges).zip(code) {
            let share = f64::from(value - least) / f64::from(greatest - least);
            counts[((share * ENTROPY_BINS as f64) as usize).min(ENTROPY_BINS - 1)] += 1;
        }
    })?;
    Ok(counts.iter().map(|counts| shannon_entropy(counts)).sum::<f64>() / width.max(1) as f64)
}

fn each_code(codes: &Array<f32>, mut take: impl FnMut(&[f32])) -> Result<(), Fault> {
    let width = codes.shape()[1].max(1);
    let at_once = (NUMBERS_AT_ONCE / width).max(1);
    let mut block = Vec::new();
    for first in (0..codes.rows()).step_by(at_once) {
        block.clear();
        codes.read(first..(first + at_once).min(codes.rows()), &mut block)?;
        block.chunks_exact(width).for_each(&mut take);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rust_hdf5::H5File;

    use super::*;

    #[test]
    fn entropy_is_that_of_equal_shares() {
        let close = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        close(shannon_entropy(&[]), 0.0);
        close(shannon_entropy(&[7, 0]), 0.0);
        close(shannon_entropy(&[3, 3, 3, 3]), 2.0);
        close(shannon_entropy(&[1, 3]), 0.25 * 2.0 + 0.75 * (4.0_f64 / 3.0).log2());
    }

    #[test]
    fn the_entropy_of_codes_is_the_mean_over_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("codes.h5");
        let file = H5File::create(&path).unwrap();
        // The first number never changes, the second has two values, the third 64 that are all met equally often.
        let codes: Vec<f32> = (0..128).flat_map(|i| [5.0, (i % 2) as f32, (i % 64) as f32 - 9.0]).collect();
        file.new_dataset::<f32>().shape([128, 3]).create("codes").unwrap().write_raw(&codes).unwrap();
        file.close().unwrap();
        assert!((entropy_of_codes(&path).unwrap() - (0.0 + 1.0 + 6.0) / 3.0).abs() < 1e-12);
    }
}
