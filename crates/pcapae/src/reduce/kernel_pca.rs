//! Kernel principal components: directions in the space of a kernel, curves in that of windows.

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::TrainingWindows;
use super::parameters::{COMPONENTS, SEED, check_above_zero, check_count, check_directions, check_enough};
use super::projection::Projection;
use crate::detectors::KernelName;
use crate::error::Fault;
use crate::named_arrays::NamedArrays;
use crate::numeric::{Eigen, Kernel, leading};
use crate::progress::Progress;
use crate::{Error, Result};

/// An eigenvalue below this share of the largest is rounding, not a direction.
const VARIANCE_MIN: f64 = 1e-12;

/// Highest degree of a polynomial.
const DEGREE_MAX: usize = 1000;

/// Parameters, with the names and defaults of scikit-learn's `KernelPCA`, except `n_components`, `kernel`, and `max_samples`, which it lacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KernelPcaConfig {
    /// Numbers in a code, from 1; default 64.
    pub n_components: usize,
    /// The kernel; default `rbf`.
    pub kernel: KernelName,
    /// γ of the kernels `rbf`, `poly` and `sigmoid`, above 0; default 1 / bytes in a window.
    pub gamma: Option<f64>,
    /// Degree of the polynomial kernel, 0 to 1000; default 3.
    pub degree: usize,
    /// c of the kernels `poly` and `sigmoid`; default 1.
    pub coef0: f64,
    /// Whether to learn an inverse from codes to windows, by ridge regression. Default yes.
    pub fit_inverse_transform: bool,
    /// Ridge penalty of the inverse, above 0; default 1.
    pub alpha: f64,
    /// Maximum number of windows to fit to, drawn at random; default 2000. Time grows with their square, and the reducer stores all of them.
    pub max_samples: usize,
    /// Random seed of the windows; default 1994.
    pub random_state: u64,
}

impl Default for KernelPcaConfig {
    fn default() -> Self {
        KernelPcaConfig {
            n_components: COMPONENTS,
            kernel: KernelName::Rbf,
            gamma: None,
            degree: 3,
            coef0: 1.0,
            fit_inverse_transform: true,
            alpha: 1.0,
            max_samples: 2000,
            random_state: SEED,
        }
    }
}

impl KernelPcaConfig {
    /// Refuses parameters out of range, by name.
    pub fn check(&self) -> Result<()> {
        check_count("n_components", self.n_components)?;
        check_count("max_samples", self.max_samples)?;
        if let Some(gamma) = self.gamma {
            check_above_zero("gamma", gamma)?;
        }
        if self.degree > DEGREE_MAX {
            return Err(Error::setting("degree", self.degree, format!("0 to {DEGREE_MAX}")));
        }
        if !self.coef0.is_finite() {
            return Err(Error::setting("coef0", self.coef0, "a finite number"));
        }
        check_above_zero("alpha", self.alpha)
    }

    /// Finds the leading eigenvectors a, with eigenvalues λ, of the centred matrix of all k(x, y); a window's code is Σ a·k̃(x, window)/√λ over the
    /// windows x it was fitted to. The inverse is (K + α)⁻¹X with K the kernel of codes.
    ///
    /// # Source
    /// Schölkopf, Smola, Müller: *Nonlinear component analysis as a kernel eigenvalue problem*, 1998; the inverse: Bakır, Weston, Schölkopf: *Learning to
    /// find pre-images*, 2004. As scikit-learn's.
    pub(super) fn fit(&self, windows: &TrainingWindows<'_>, progress: &dyn Progress) -> Result<KernelPca> {
        self.check()?;
        check_enough(self.n_components, windows.len().min(self.max_samples))?;
        let sample = windows.sample(self.max_samples, self.random_state, progress)?;
        progress.begin("finding directions", None);
        self.fit_to(sample)
    }

    /// The same of windows in memory, a column each.
    pub(super) fn fit_to(&self, sample: DMatrix<f64>) -> Result<KernelPca> {
        let kernel = self.kernel(sample.nrows());
        let mut matrix = values(&kernel, &sample, &sample);
        if matrix.iter().any(|value| !value.is_finite()) {
            return Err(Error::setting(
                "kernel",
                format!("{:?}", self.kernel),
                "one whose values for the windows are finite",
            ));
        }
        let means = DVector::from_iterator(matrix.ncols(), matrix.column_iter().map(|column| column.mean()));
        let mean = means.mean();
        centre(&mut matrix, &means, mean);
        let Eigen { values: eigenvalues, mut vectors } = leading(matrix, self.n_components);
        let positive = eigenvalues.iter().filter(|value| **value > VARIANCE_MIN * eigenvalues[0].max(0.0)).count();
        check_directions(self.n_components, positive)?;
        for (mut vector, value) in vectors.column_iter_mut().zip(&eigenvalues) {
            vector.unscale_mut(value.sqrt());
        }
        let fitted = KernelPca { kernel, sample, means, mean, weights: vectors, back: None };
        if !self.fit_inverse_transform {
            return Ok(fitted);
        }
        let back = fitted.way_back(self.alpha).ok_or_else(|| self.no_way_back())?;
        Ok(KernelPca { back: Some(back), ..fitted })
    }

    fn no_way_back(&self) -> Error {
        Error::Setting {
            setting: "kernel",
            got: format!("{:?}", self.kernel),
            expected: "one whose matrix has no negative eigenvalue, for a way back from codes".into(),
            remedy: Some("leave the way back out, or use a larger ridge".into()),
        }
    }

    fn kernel(&self, width: usize) -> Kernel {
        self.kernel.with(self.gamma.unwrap_or(1.0 / width as f64), self.coef0, self.degree)
    }

    pub(super) fn projection(&self, width: usize, numbers: &NamedArrays) -> Result<KernelPca, Fault> {
        let sample = numbers.get("windows", &[None, Some(width)])?;
        let count = sample.shape[0];
        let weights = &numbers.get("weights", &[Some(self.n_components), Some(count)])?.values;
        let back = match self.fit_inverse_transform {
            true => {
                let codes = numbers.get("codes", &[Some(count), Some(self.n_components)])?;
                let dual = numbers.get("back", &[Some(count), Some(width)])?;
                Some(Back {
                    codes: DMatrix::from_column_slice(self.n_components, count, &codes.values),
                    dual: DMatrix::from_column_slice(width, count, &dual.values),
                })
            }
            false => None,
        };
        Ok(KernelPca {
            kernel: self.kernel(width),
            sample: DMatrix::from_column_slice(width, count, &sample.values),
            means: DVector::from_column_slice(&numbers.get("means", &[Some(count)])?.values),
            mean: numbers.scalar("mean")?,
            weights: DMatrix::from_column_slice(count, self.n_components, weights),
            back,
        })
    }
}

/// Fitted kernel principal components.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KernelPca {
    kernel: Kernel,
    /// The windows it was fitted to, a column each.
    sample: DMatrix<f64>,
    /// The mean of k(x, y) over y, for each x of the sample, and over all.
    means: DVector<f64>,
    mean: f64,
    /// a/√λ, a column for each number of the code.
    weights: DMatrix<f64>,
    back: Option<Back>,
}

/// A window is Σ dual·k(code, codes).
#[derive(Debug, Clone, PartialEq)]
struct Back {
    codes: DMatrix<f64>,
    dual: DMatrix<f64>,
}

impl KernelPca {
    fn way_back(&self, alpha: f64) -> Option<Back> {
        let codes = self.codes(&self.sample);
        let mut matrix = values(&self.kernel, &codes, &codes);
        for i in 0..matrix.nrows() {
            matrix[(i, i)] += alpha;
        }
        // A kernel that is not positive definite, as the sigmoid's may be, has no Cholesky factors.
        let dual = matrix.cholesky()?.solve(&self.sample.transpose()).transpose();
        Some(Back { codes, dual })
    }
}

impl Projection for KernelPca {
    fn components(&self) -> usize {
        self.weights.ncols()
    }

    fn codes(&self, windows: &DMatrix<f64>) -> DMatrix<f64> {
        let mut seen = values(&self.kernel, &self.sample, windows);
        for mut column in seen.column_iter_mut() {
            let own = column.mean();
            column.zip_apply(&self.means, |value, mean| *value += self.mean - own - mean);
        }
        self.weights.transpose() * seen
    }

    fn windows(&self, codes: &DMatrix<f64>) -> Option<DMatrix<f64>> {
        let back = self.back.as_ref()?;
        Some(&back.dual * values(&self.kernel, &back.codes, codes))
    }

    fn numbers(&self) -> NamedArrays {
        let (width, count) = self.sample.shape();
        let mut numbers = NamedArrays::default();
        numbers.put_shaped("windows", &[count, width], self.sample.as_slice().to_vec());
        numbers.put("means", self.means.as_slice().to_vec());
        numbers.put("mean", vec![self.mean]);
        numbers.put_shaped("weights", &[self.components(), count], self.weights.as_slice().to_vec());
        if let Some(back) = &self.back {
            numbers.put_shaped("codes", &[count, self.components()], back.codes.as_slice().to_vec());
            numbers.put_shaped("back", &[count, width], back.dual.as_slice().to_vec());
        }
        numbers
    }
}

/// k(x, y) for each column x of one matrix, down, and each column y of the other, across.
fn values(kernel: &Kernel, x: &DMatrix<f64>, y: &DMatrix<f64>) -> DMatrix<f64> {
    let squares =
        |matrix: &DMatrix<f64>| matrix.column_iter().map(|column| column.norm_squared()).collect::<Vec<f64>>();
    let (xx, yy) = (squares(x), squares(y));
    let mut products = x.transpose() * y;
    for (mut column, yy) in products.column_iter_mut().zip(yy) {
        for (product, xx) in column.iter_mut().zip(&xx) {
            *product = kernel.of_products(*product, *xx, yy);
        }
    }
    products
}

/// K − 1K − K1 + 1K1, with 1 the matrix of 1/n.
fn centre(matrix: &mut DMatrix<f64>, means: &DVector<f64>, mean: f64) {
    for (j, mut column) in matrix.column_iter_mut().enumerate() {
        column.zip_apply(means, |value, own| *value += mean - own - means[j]);
    }
}
