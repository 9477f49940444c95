//! Sparse principal components: directions that look at few bytes each, so that people can say what a number of the code stands for.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::TrainingWindows;
use super::parameters::{COMPONENTS, check_above_zero, check_components, check_count};
use super::projection::{Linear, Search};
use super::training_windows::WindowMoments;
use crate::error::Fault;
use crate::named_arrays::NamedArrays;
use crate::numeric::{Eigen, leading};
use crate::progress::Progress;
use crate::{Error, Result};

/// A variance below this share of the largest is rounding, not a direction.
const VARIANCE_MIN: f64 = 1e-12;

/// A component that explains less than this is begun anew.
const USE_MIN: f64 = 1e-6;

/// Maximum number of passes over the coefficients of one window position, and the change below which they end.
const SWEEPS: usize = 1000;
const CHANGE_MIN: f64 = 1e-9;

/// Parameters, named and preset as scikit-learn's `SparsePCA`, but for `n_components`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SparsePcaConfig {
    /// Numbers in a code, from 1 to the bytes of a window; default 64.
    pub n_components: usize,
    /// Penalty on the entries of a component, above 0; the higher, the sparser. Default 1. As in scikit-learn it weighs less the more windows
    /// there are, since it stands against a sum over them.
    pub alpha: f64,
    /// Ridge penalty on codes, above 0; default 0.01.
    pub ridge_alpha: f64,
    /// Most iterations; default 1000.
    pub max_iter: usize,
    /// How little the cost may fall in an iteration, as a share of it, for the search to end, above 0; default 1e-8.
    pub tol: f64,
}

impl Default for SparsePcaConfig {
    fn default() -> Self {
        SparsePcaConfig { n_components: COMPONENTS, alpha: 1.0, ridge_alpha: 0.01, max_iter: 1000, tol: 1e-8 }
    }
}

impl SparsePcaConfig {
    /// Refuses parameters out of range, by name.
    pub fn check(&self) -> Result<()> {
        check_count("n_components", self.n_components)?;
        check_count("max_iter", self.max_iter)?;
        check_above_zero("alpha", self.alpha)?;
        check_above_zero("ridge_alpha", self.ridge_alpha)?;
        check_above_zero("tol", self.tol)
    }

    /// Finds components V and atoms U that make ½‖X − V·U‖² + α·‖V‖₁ small, each atom no longer than 1, X the centred windows, a row a byte: in
    /// turn the best V (by coordinates) and the best U (atom by atom). Then, of V's columns brought to length 1, code = (VᵀV + ridge)⁻¹·Vᵀ(window − mean).
    ///
    /// The cost depends on X·Xᵀ alone, so X's square root stands for it: the search takes no longer for more windows.
    ///
    /// # Source
    /// Jenatton, Obozinski, Bach: *Structured sparse principal component analysis*, 2009; Mairal, Bach, Ponce, Sapiro: *Online dictionary learning for
    /// sparse coding*, 2009. The cost is that of scikit-learn.
    pub(super) fn fit(&self, windows: &TrainingWindows<'_>, progress: &dyn Progress) -> Result<Linear> {
        self.check()?;
        check_components(self.n_components, windows)?;
        let moments = windows.moments(progress)?;
        let (factors, search) = self.factors(&moments, progress)?;
        Ok(self.linear(moments.mean, factors.components).found_by(search))
    }

    /// The factors, and how the search for them ended.
    fn factors(&self, moments: &WindowMoments, progress: &dyn Progress) -> Result<(Factors, Search)> {
        let mut factors = Factors::start(moments, self.n_components);
        progress.begin("making sparse", Some(self.max_iter as u64));
        let mut last = f64::INFINITY;
        for iterations in 1..=self.max_iter {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            factors.improve_components(self.alpha);
            factors.improve_atoms();
            let cost = factors.cost(self.alpha);
            progress.advance(1);
            if last - cost < self.tol * cost {
                return Ok((factors, Search { iterations, converged: true }));
            }
            last = cost;
        }
        Ok((factors, Search { iterations: self.max_iter, converged: false }))
    }

    fn linear(&self, mean: DVector<f64>, mut components: DMatrix<f64>) -> Linear {
        for mut component in components.column_iter_mut() {
            let length = component.norm();
            if length > 0.0 {
                component.unscale_mut(length);
            }
        }
        let count = components.ncols();
        let products = components.transpose() * &components + DMatrix::identity(count, count) * self.ridge_alpha;
        let transposed = components.transpose();
        // With a ridge above 0 there is always a solution.
        let encoder = products.cholesky().map_or_else(|| transposed.clone(), |factors| factors.solve(&transposed));
        Linear::new(mean, encoder, components)
    }

    pub(super) fn projection(&self, width: usize, numbers: &NamedArrays) -> Result<Linear, Fault> {
        Linear::from_arrays(self.n_components, width, numbers)
    }
}

/// X ≈ V·U.
struct Factors {
    /// X, a row for each byte of a window; as many columns as there are directions.
    rows: DMatrix<f64>,
    /// V, a row for each byte.
    components: DMatrix<f64>,
    /// U, a row for each component.
    atoms: DMatrix<f64>,
}

impl Factors {
    /// The square root of the sum of windows' products, and its best factors that are not sparse.
    fn start(moments: &WindowMoments, count: usize) -> Factors {
        let width = moments.mean.len();
        let Eigen { values, vectors } = leading(moments.covariance.clone(), width);
        let least = VARIANCE_MIN * values[0].max(f64::MIN_POSITIVE);
        let directions = values.iter().filter(|value| **value > least).count().max(1);
        let lengths: Vec<f64> =
            values[..directions].iter().map(|value| (moments.count as f64 * value.max(0.0)).sqrt()).collect();
        let mut rows = vectors.columns(0, directions).into_owned();
        for (mut column, length) in rows.column_iter_mut().zip(&lengths) {
            column.scale_mut(*length);
        }
        let atoms = DMatrix::from_fn(count, directions, |i, j| if i == j { lengths[j] } else { 0.0 });
        let components = DMatrix::from_fn(width, count, |i, j| if j < directions { vectors[(i, j)] } else { 0.0 });
        Factors { rows, components, atoms }
    }

    /// The best components for these atoms: a lasso for each byte, by coordinate descent.
    fn improve_components(&mut self, alpha: f64) {
        let products = &self.atoms * self.atoms.transpose();
        let wanted = &self.atoms * self.rows.transpose();
        let mut rows = self.components.transpose();
        let count = rows.nrows();
        rows.as_mut_slice().par_chunks_mut(count).enumerate().for_each(|(byte, coefficients)| {
            lasso(&products, wanted.column(byte).as_slice(), alpha, coefficients);
        });
        self.components = rows.transpose();
    }

    /// The best atom for these components, one after the other.
    fn improve_atoms(&mut self) {
        let products = self.components.transpose() * &self.components;
        let wanted = self.components.transpose() * &self.rows;
        for k in 0..self.atoms.nrows() {
            let used = products[(k, k)];
            let mut atom = if used > USE_MIN {
                let change = (wanted.row(k) - products.row(k) * &self.atoms) / used;
                self.atoms.row(k) + change
            } else {
                self.components.column_mut(k).fill(0.0);
                self.least_explained()
            };
            let length = atom.norm();
            if length > 1.0 {
                atom.unscale_mut(length);
            }
            self.atoms.set_row(k, &atom);
        }
    }

    /// The row of X that is furthest from V·U.
    fn least_explained(&self) -> nalgebra::RowDVector<f64> {
        let left = &self.rows - &self.components * &self.atoms;
        let lengths: Vec<f64> = left.row_iter().map(|row| row.norm_squared()).collect();
        let furthest = (0..lengths.len()).max_by(|&a, &b| lengths[a].total_cmp(&lengths[b])).unwrap_or(0);
        self.rows.row(furthest).into_owned()
    }

    fn cost(&self, alpha: f64) -> f64 {
        let left = &self.rows - &self.components * &self.atoms;
        0.5 * left.norm_squared() + alpha * self.components.iter().map(|entry| entry.abs()).sum::<f64>()
    }
}

/// Makes ½·vᵀGv − vᵀb + α·‖v‖₁ small, from v as it is.
fn lasso(products: &DMatrix<f64>, wanted: &[f64], alpha: f64, coefficients: &mut [f64]) {
    for _ in 0..SWEEPS {
        let mut change: f64 = 0.0;
        let mut largest: f64 = 0.0;
        for k in 0..coefficients.len() {
            let (old, scale) = (coefficients[k], products[(k, k)]);
            if scale <= 0.0 {
                coefficients[k] = 0.0;
                continue;
            }
            let column = products.column(k);
            let others: f64 = column.iter().zip(coefficients.iter()).map(|(g, v)| g * v).sum::<f64>() - scale * old;
            let free = wanted[k] - others;
            let new = free.signum() * (free.abs() - alpha).max(0.0) / scale;
            coefficients[k] = new;
            change = change.max((new - old).abs());
            largest = largest.max(new.abs());
        }
        if change <= CHANGE_MIN * largest {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::random_projection::normal;
    use super::*;

    #[test]
    fn a_lasso_of_uncorrelated_atoms_is_the_soft_threshold() {
        let mut coefficients = [9.0, 9.0, 9.0];
        lasso(
            &DMatrix::from_diagonal(&DVector::from_vec(vec![1.0, 2.0, 4.0])),
            &[3.0, -4.0, 0.5],
            1.0,
            &mut coefficients,
        );
        assert_eq!(coefficients, [2.0, -1.5, 0.0]);
    }

    /// What scikit-learn reaches of rows of 20 numbers, beginning at the same place, and how many entries are not 0.
    const SCRIPT: &str = r#"
import sys, json, numpy as np
from sklearn.decomposition import SparsePCA
rows = np.array(json.load(sys.stdin)).reshape(-1, 20)
def reached(alpha):
    fitted = SparsePCA(5, alpha=alpha, random_state=0).fit(rows)
    return [float(fitted.error_[-1]), int((fitted.components_ != 0).sum())]
json.dump({str(alpha): reached(alpha) for alpha in (0.5, 1, 3)}, sys.stdout)
"#;

    #[test]
    fn the_cost_is_as_small_as_scikit_learns() {
        let Some(python) = test_needs::python(&["sklearn"]) else { return };
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let (hidden, noise) = ([0, 1, 2, 3, 4], 0.1);
        let rows: Vec<f64> = (0..150)
            .flat_map(|_| {
                let hidden = hidden.map(|_| normal(&mut rng));
                (0..20).map(|i| hidden[i / 4] + noise * normal(&mut rng)).collect::<Vec<f64>>()
            })
            .collect();
        let output = python.run(SCRIPT, [""; 0], &serde_json::to_string(&rows).unwrap());
        let expected: BTreeMap<String, (f64, usize)> = serde_json::from_str(&output).unwrap();
        assert_eq!(expected.len(), 3);
        let matrix = DMatrix::from_vec(20, 150, rows);
        let mean = matrix.column_mean();
        let mut centred = matrix;
        centred.column_iter_mut().for_each(|mut row| row -= &mean);
        let moments = WindowMoments { count: 150, mean, covariance: &centred * centred.transpose() / 150.0 };
        for (alpha, (cost, entries)) in expected {
            let config = SparsePcaConfig { n_components: 5, alpha: alpha.parse().unwrap(), ..Default::default() };
            let (factors, search) = config.factors(&moments, &()).unwrap();
            assert!(search.converged);
            let reached = factors.cost(config.alpha);
            assert!(reached < cost * (1.0 + 1e-4), "alpha {alpha}: {reached}, scikit-learn {cost}");
            let own = factors.components.iter().filter(|entry| **entry != 0.0).count();
            assert!(own.abs_diff(entries) <= 2, "alpha {alpha}: {own} entries, scikit-learn {entries}");
        }
    }
}
