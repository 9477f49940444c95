//! Independent component analysis: windows as mixtures of independent sources.

use nalgebra::DMatrix;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::TrainingWindows;
use super::parameters::{
    COMPONENTS, SEED, check_above_zero, check_components, check_count, check_directions, check_enough,
};
use super::projection::{Linear, Search};
use super::random_projection::normal;
use crate::error::Fault;
use crate::named_arrays::NamedArrays;
use crate::numeric::{Eigen, leading};
use crate::progress::Progress;
use crate::{Error, Result};

/// A variance below this share of the largest is rounding, not a direction.
const VARIANCE_MIN: f64 = 1e-10;

/// Windows in a tile.
const TILE: usize = 1024;

/// Parameters, with the names and defaults of scikit-learn's `FastICA`, except `n_components`, and `max_samples`, which it lacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FastIcaConfig {
    /// Numbers in a code, from 1 to the directions in which windows vary; default 64.
    pub n_components: usize,
    /// Maximum number of iterations; default 200.
    pub max_iter: usize,
    /// The search stops when no direction turns by more than this in an iteration, above 0; default 0.0001.
    pub tol: f64,
    /// Maximum number of windows to fit to, drawn at random; default 20,000.
    pub max_samples: usize,
    /// Random seed of the initial directions and of the windows; default 1994.
    pub random_state: u64,
}

impl Default for FastIcaConfig {
    fn default() -> Self {
        FastIcaConfig { n_components: COMPONENTS, max_iter: 200, tol: 1e-4, max_samples: 20_000, random_state: SEED }
    }
}

impl FastIcaConfig {
    /// Refuses parameters out of range, by name.
    pub fn check(&self) -> Result<()> {
        check_count("n_components", self.n_components)?;
        check_count("max_iter", self.max_iter)?;
        check_count("max_samples", self.max_samples)?;
        check_above_zero("tol", self.tol)
    }

    /// Whitens the windows by their principal components, and turns these until they are as far from normally distributed as possible: W ← (W·Wᵀ)^(−½)·W of
    /// W = E[g(W·z)·zᵀ] − diag(E[g′(W·z)])·W, with g = tanh, all directions at once. Each number of the code has the variance 1.
    ///
    /// # Source
    /// Hyvärinen: *Fast and robust fixed-point algorithms for independent component analysis*, 1999.
    pub(super) fn fit(&self, windows: &TrainingWindows<'_>, progress: &dyn Progress) -> Result<Linear> {
        self.check()?;
        check_components(self.n_components, windows)?;
        check_enough(self.n_components, self.max_samples)?;
        let moments = windows.moments(progress)?;
        let Eigen { values, vectors } = leading(moments.covariance, self.n_components);
        let directions = values.iter().filter(|value| **value > VARIANCE_MIN * values[0].max(0.0)).count();
        check_directions(self.n_components, directions)?;
        let (mut whiten, mut colour) = (vectors.transpose(), vectors);
        for (i, value) in values.iter().enumerate() {
            whiten.row_mut(i).unscale_mut(value.sqrt());
            colour.column_mut(i).scale_mut(value.sqrt());
        }
        let sample = windows.sample(self.max_samples, self.random_state, progress)?;
        let mut centred = sample;
        centred.column_iter_mut().for_each(|mut window| window -= &moments.mean);
        let (turn, search) = self.turn(&(&whiten * centred), progress)?;
        Ok(Linear::new(moments.mean, &turn * whiten, colour * turn.transpose()).found_by(search))
    }

    /// The rotation that makes the rows of `white` independent.
    fn turn(&self, white: &DMatrix<f64>, progress: &dyn Progress) -> Result<(DMatrix<f64>, Search)> {
        let components = white.nrows();
        let mut rng = ChaCha8Rng::seed_from_u64(self.random_state);
        let mut turn = orthogonal(&DMatrix::from_fn(components, components, |_, _| normal(&mut rng)));
        progress.begin("turning", Some(self.max_iter as u64));
        for iterations in 1..=self.max_iter {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let next = orthogonal(&step(&turn, white));
            let change = next.row_iter().zip(turn.row_iter()).map(|(new, old)| (new.dot(&old).abs() - 1.0).abs());
            let change = change.fold(0.0, f64::max);
            turn = next;
            progress.advance(1);
            if change < self.tol {
                return Ok((turn, Search { iterations, converged: true }));
            }
        }
        Ok((turn, Search { iterations: self.max_iter, converged: false }))
    }

    pub(super) fn projection(&self, width: usize, numbers: &NamedArrays) -> Result<Linear, Fault> {
        Linear::from_arrays(self.n_components, width, numbers)
    }
}

/// E[g(W·z)·zᵀ] − diag(E[g′(W·z)])·W over the columns z of `white`, g = tanh.
fn step(turn: &DMatrix<f64>, white: &DMatrix<f64>) -> DMatrix<f64> {
    let (components, count) = white.shape();
    let starts: Vec<usize> = (0..count).step_by(TILE).collect();
    let of_tile = |&start: &usize| {
        let tile = white.columns(start, TILE.min(count - start));
        let bent = (turn * tile).map(f64::tanh);
        let derivatives: Vec<f64> = bent.row_iter().map(|row| row.iter().map(|g| 1.0 - g * g).sum()).collect();
        (bent * tile.transpose(), derivatives)
    };
    // Tile after tile is added in the same order, whoever computed it.
    let tiles: Vec<(DMatrix<f64>, Vec<f64>)> = starts.par_iter().map(of_tile).collect();
    let (mut sum, mut derivatives) = (DMatrix::zeros(components, components), vec![0.0; components]);
    for (product, more) in tiles {
        sum += product;
        derivatives.iter_mut().zip(more).for_each(|(derivative, more)| *derivative += more);
    }
    for (i, derivative) in derivatives.iter().enumerate() {
        let old = turn.row(i) * *derivative;
        sum.row_mut(i).zip_apply(&old, |sum, old| *sum -= old);
    }
    sum / count as f64
}

/// (W·Wᵀ)^(−½)·W: the orthogonal matrix nearest to W.
fn orthogonal(matrix: &DMatrix<f64>) -> DMatrix<f64> {
    let eigen = (matrix * matrix.transpose()).symmetric_eigen();
    let mut scaled = eigen.eigenvectors.clone();
    for (i, value) in eigen.eigenvalues.iter().enumerate() {
        scaled.column_mut(i).unscale_mut(value.max(f64::MIN_POSITIVE).sqrt());
    }
    scaled * eigen.eigenvectors.transpose() * matrix
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use super::*;

    /// A sine, a square wave and a saw, mixed by a rotation: each comes out again, by itself, up to its sign.
    #[test]
    fn known_sources_are_told_apart() {
        let count = 4000;
        let sources = DMatrix::from_fn(3, count, |source, i| {
            let time = i as f64 / 100.0;
            match source {
                0 => 2f64.sqrt() * (2.0 * PI * time).sin(),
                1 => {
                    if (1.3 * time + 0.2).fract() < 0.5 {
                        1.0
                    } else {
                        -1.0
                    }
                }
                _ => 12f64.sqrt() * ((0.7 * time).fract() - 0.5),
            }
        });
        let mixing = DMatrix::from_row_slice(3, 3, &[0.6, -0.8, 0.3, 0.5, 0.4, -0.9, 0.2, 0.7, 0.6]);
        let mixed = mixing * &sources;
        let covariance = &mixed * mixed.transpose() / count as f64;
        let white = orthogonal_square_root(&covariance) * &mixed;
        let (turn, search) = FastIcaConfig { n_components: 3, ..Default::default() }.turn(&white, &()).unwrap();
        assert!(search.converged, "{search:?}");
        let found = (turn * white * sources.transpose() / count as f64).abs();
        for row in found.row_iter() {
            let mut correlations: Vec<f64> = row.iter().copied().collect();
            correlations.sort_by(f64::total_cmp);
            assert!(correlations[2] > 0.99 && correlations[1] < 0.1, "{found}");
        }
    }

    fn orthogonal_square_root(covariance: &DMatrix<f64>) -> DMatrix<f64> {
        let eigen = covariance.clone().symmetric_eigen();
        let scale = DMatrix::from_diagonal(&eigen.eigenvalues.map(|value| 1.0 / value.sqrt()));
        scale * eigen.eigenvectors.transpose()
    }
}
