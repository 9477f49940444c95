//! One-class support vector machine: normal is what lies on the near side of a hyperplane in the kernel's space.

mod cache;

mod parts;

mod smo;

use serde::{Deserialize, Serialize};

use self::cache::Matrix;
use self::smo::{Stopping, minimise};
use super::rows::{rows_of_width, training_rows};
use super::{Detector, Samples};
use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;
use crate::numeric::Parts;
use crate::numeric::{Columns, Kernel};
use crate::{Error, Result};

/// Steps without end where `max_iter` is −1, as in LIBSVM: so many, or so many a sample if that is more.
const STEPS_MAX: usize = 10_000_000;
const STEPS_MAX_PER_SAMPLE: usize = 100;

/// Highest degree of a polynomial.
const DEGREE_MAX: usize = 1000;

/// Parameters of a one-class support vector machine, named and preset as scikit-learn's `OneClassSVM`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OneClassSvmConfig {
    /// The kernel; default `rbf`.
    pub kernel: KernelName,
    /// Degree of the polynomial kernel, 0 to 1000; default 3. Other kernels have none.
    pub degree: usize,
    /// γ of the kernels `rbf`, `poly` and `sigmoid`; default `scale`.
    pub gamma: Gamma,
    /// c of the kernels `poly` and `sigmoid`; default 0.
    pub coef0: f64,
    /// How far the optimality conditions may be violated, above 0; default 0.001.
    pub tol: f64,
    /// At most this share of the training samples lies beyond the threshold, and at least this share are support vectors; above 0
    /// up to 1; default 0.5.
    pub nu: f64,
    /// Whether samples whose weight is unlikely to change are left out for a while; the solution is the same. Default yes.
    pub shrinking: bool,
    /// Memory for rows of the kernel's matrix, in MB of 2²⁰ bytes, above 0; default 200.
    pub cache_size: f64,
    /// Accepted, so that scikit-learn's blueprints can be read: the library prints nothing.
    pub verbose: bool,
    /// Most steps of the solver; default −1, which is 10,000,000, or 100 a sample if that is more.
    pub max_iter: i64,
}

impl Default for OneClassSvmConfig {
    fn default() -> Self {
        OneClassSvmConfig {
            kernel: KernelName::Rbf,
            degree: 3,
            gamma: Gamma::Rule(GammaRule::Scale),
            coef0: 0.0,
            tol: 1e-3,
            nu: 0.5,
            shrinking: true,
            cache_size: 200.0,
            verbose: false,
            max_iter: -1,
        }
    }
}

/// A kernel k(x, y).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum KernelName {
    /// x·y.
    Linear,
    /// (γ·x·y + c)^degree; `polynomial` is accepted as well.
    #[serde(alias = "polynomial")]
    Poly,
    /// exp(−γ·|x − y|²).
    Rbf,
    /// tanh(γ·x·y + c).
    Sigmoid,
}

impl KernelName {
    /// The kernel with these parameters, as far as it has them.
    pub(crate) fn with(self, gamma: f64, coef0: f64, degree: usize) -> Kernel {
        match self {
            KernelName::Linear => Kernel::Linear,
            KernelName::Poly => Kernel::Poly { gamma, coef0, degree: degree as i32 },
            KernelName::Rbf => Kernel::Rbf { gamma },
            KernelName::Sigmoid => Kernel::Sigmoid { gamma, coef0 },
        }
    }
}

/// The kernel's γ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Gamma {
    /// From the training samples.
    Rule(GammaRule),
    /// This number, from 0.
    Value(f64),
}

/// How γ follows from the training samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GammaRule {
    /// 1 / (width · variance), the variance over all numbers of all samples; 1 where that is zero.
    Scale,
    /// 1 / width.
    Auto,
}

impl OneClassSvmConfig {
    /// Refuses parameters out of range, by name.
    pub fn check(&self) -> Result<()> {
        let above_zero = |value: f64| value > 0.0 && value.is_finite();
        if self.degree > DEGREE_MAX {
            return Err(Error::setting("degree", self.degree, "0 to 1000"));
        }
        if let Gamma::Value(gamma) = self.gamma
            && !(gamma >= 0.0 && gamma.is_finite())
        {
            return Err(Error::setting("gamma", gamma, "scale, auto or a number from 0"));
        }
        if !self.coef0.is_finite() {
            return Err(Error::setting("coef0", self.coef0, "a finite number"));
        }
        if !above_zero(self.tol) {
            return Err(Error::setting("tol", self.tol, "a number above 0"));
        }
        if !(self.nu > 0.0 && self.nu <= 1.0) {
            return Err(Error::setting("nu", self.nu, "a number above 0 up to 1"));
        }
        if !above_zero(self.cache_size) {
            return Err(Error::setting("cache_size", self.cache_size, "a number of megabytes above 0"));
        }
        if self.max_iter < -1 {
            return Err(Error::setting("max_iter", self.max_iter, "-1, or a number of steps from 0"));
        }
        Ok(())
    }

    /// Finds the support vectors. Refuses parameters out of range, no samples, numbers that are not finite, and kernels whose values
    /// become infinite.
    pub fn fit(&self, samples: &Samples) -> Result<OneClassSvm> {
        self.check()?;
        let rows = training_rows(samples, 1)?;
        let (count, width) = (samples.len(), samples.width());
        let gamma = self.gamma_of(&rows, width);
        let kernel = self.kernel(gamma);
        let columns = Columns::new(&rows, width);
        let alpha = feasible_start(count, self.nu);
        let start = first_gradient(&kernel, &rows, &columns, &alpha);
        let room = (self.cache_size * f64::from(1 << 20)) as usize / size_of::<f32>();
        let solution = minimise(Matrix::new(kernel, columns, room), alpha, start, self.stopping(count));
        if !solution.rho.is_finite() {
            return Err(Error::setting(
                "kernel",
                format!("{:?}", self.kernel),
                "one whose values for the samples are finite",
            ));
        }
        let support = |i: &usize| solution.alpha[*i] > 0.0;
        let support: Vec<usize> = (0..count).filter(support).collect();
        let row = |i: &usize| &rows[i * width..(i + 1) * width];
        Ok(OneClassSvm {
            kernel,
            gamma,
            width,
            alpha: support.iter().map(|i| solution.alpha[*i]).collect(),
            support: support.iter().flat_map(row).copied().collect(),
            rho: solution.rho,
            converged: solution.converged,
        })
    }

    fn gamma_of(&self, rows: &[f32], width: usize) -> f64 {
        match self.gamma {
            Gamma::Value(gamma) => gamma,
            Gamma::Rule(GammaRule::Auto) => 1.0 / width as f64,
            Gamma::Rule(GammaRule::Scale) => {
                let count = rows.len() as f64;
                let mean = rows.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
                let variance = rows.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
                if variance > 0.0 { 1.0 / (width as f64 * variance) } else { 1.0 }
            }
        }
    }

    fn kernel(&self, gamma: f64) -> Kernel {
        self.kernel.with(gamma, self.coef0, self.degree)
    }

    fn stopping(&self, count: usize) -> Stopping {
        let max_steps = match self.max_iter {
            -1 => STEPS_MAX.max(STEPS_MAX_PER_SAMPLE * count),
            steps => steps as usize,
        };
        Stopping { tolerance: self.tol, max_steps, shrinking: self.shrinking }
    }
}

/// The first ν·n samples at 1, the rest at 0, and what is left of the sum at the one between. ν·n is a sum of n terms as in scikit-learn's
/// LIBSVM, whose rounding is part of its start.
fn feasible_start(count: usize, nu: f64) -> Vec<f64> {
    let mut left: f64 = (0..count).map(|_| nu).sum();
    let take = |_| {
        let taken = left.clamp(0.0, 1.0);
        left -= taken;
        taken
    };
    (0..count).map(take).collect()
}

/// Q·α, and Q times those that are at 1, in single-precision values of the kernel.
fn first_gradient(kernel: &Kernel, rows: &[f32], columns: &Columns, alpha: &[f64]) -> [Vec<f64>; 2] {
    let width = rows.len() / alpha.len();
    let ones = alpha.iter().take_while(|alpha| **alpha >= 1.0).count();
    let single = |k: f64| f64::from(k as f32);
    let upper = columns.weighted_sums(kernel, &rows[..ones * width], &alpha[..ones], single);
    let mut gradient = upper.clone();
    if let Some(alpha) = alpha.get(ones..=ones).filter(|alpha| alpha[0] > 0.0) {
        let last = columns.weighted_sums(kernel, &rows[ones * width..(ones + 1) * width], alpha, single);
        gradient.iter_mut().zip(last).for_each(|(gradient, last)| *gradient += last);
    }
    [gradient, upper]
}

/// A fitted one-class support vector machine.
///
/// The score of x is −Σ αᵢ·k(xᵢ, x) over the support vectors xᵢ, where Σ αᵢ = ν·n of n training samples. It is minus scikit-learn's
/// `score_samples`: 0 is far from all support vectors under the kernel `rbf`, and no score is higher there.
///
/// # Source
/// Schölkopf, Platt, Shawe-Taylor, Smola, Williamson: *Estimating the Support of a High-Dimensional Distribution*, Neural Computation 2001,
/// formula 3.10; with α scaled by ν·n as in LIBSVM.
#[derive(Debug, Clone, PartialEq)]
pub struct OneClassSvm {
    kernel: Kernel,
    gamma: f64,
    width: usize,
    /// Weight of each support vector, above 0 up to 1.
    alpha: Vec<f64>,
    /// The support vectors, one after the other.
    support: Vec<f32>,
    rho: f64,
    converged: bool,
}

impl OneClassSvm {
    /// The threshold that `nu` gives: a score above it is an alert. Minus scikit-learn's `offset_`.
    pub fn offset(&self) -> f64 {
        -self.rho
    }

    /// The kernel.
    pub fn kernel(&self) -> KernelName {
        match self.kernel {
            Kernel::Linear => KernelName::Linear,
            Kernel::Poly { .. } => KernelName::Poly,
            Kernel::Rbf { .. } => KernelName::Rbf,
            Kernel::Sigmoid { .. } => KernelName::Sigmoid,
        }
    }

    /// γ of the kernel; linear kernels have none.
    pub fn gamma(&self) -> f64 {
        self.gamma
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The support vectors with their weights α, above 0 up to 1.
    pub fn support(&self) -> impl Iterator<Item = (f64, &[f32])> {
        self.alpha.iter().copied().zip(self.support.chunks(self.width))
    }

    /// Whether the solver reached its tolerance before `max_iter`.
    pub fn converged(&self) -> bool {
        self.converged
    }

    /// The machine of these numbers, for rows of `width` numbers; otherwise, in a few words, what is wrong with them.
    pub fn from_arrays(config: &OneClassSvmConfig, width: usize, numbers: &NamedArrays) -> Result<Self, Fault> {
        config.check()?;
        let support = numbers.get("support", &[None, Some(width)])?;
        let alpha = &numbers.get("alpha", &[Some(support.shape[0])])?.values;
        let (gamma, rho) = (numbers.scalar("gamma")?, numbers.scalar("rho")?);
        if width == 0 || alpha.is_empty() {
            return Err(Place::Array("support".into()).empty());
        }
        if let Some(alpha) = alpha.iter().find(|alpha| !(**alpha > 0.0 && **alpha <= 1.0)) {
            return Err(Place::Array("alpha".into()).found(alpha, "numbers above 0 up to 1"));
        }
        if gamma < 0.0 {
            return Err(Place::Array("gamma".into()).found(gamma, "0 or more"));
        }
        if let Some(value) = support.values.iter().find(|value| !(**value as f32).is_finite()) {
            return Err(Place::Array("support".into()).found(value, "numbers in single precision"));
        }
        let converged = numbers.scalar("converged")? == 1.0;
        let support = support.values.iter().map(|value| *value as f32).collect();
        Ok(OneClassSvm { kernel: config.kernel(gamma), gamma, width, alpha: alpha.clone(), support, rho, converged })
    }
}

impl Detector for OneClassSvm {
    fn parts(&self, row: &[f64]) -> Option<Parts> {
        self.taken_apart(row)
    }

    fn own_threshold(&self) -> Option<f64> {
        Some(self.offset())
    }

    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        let columns = Columns::new(&rows_of_width(samples, self.width)?, self.width);
        let mut scores = columns.weighted_sums(&self.kernel, &self.support, &self.alpha, |k| k);
        scores.iter_mut().for_each(|score| *score = -*score);
        Ok(scores)
    }

    fn numbers(&self) -> NamedArrays {
        let mut numbers = NamedArrays::default();
        let support = self.support.iter().map(|value| f64::from(*value)).collect();
        numbers.put_shaped("support", &[self.alpha.len(), self.width], support);
        numbers.put("alpha", self.alpha.clone());
        numbers.put("gamma", vec![self.gamma]);
        numbers.put("rho", vec![self.rho]);
        numbers.put("converged", vec![f64::from(u8::from(self.converged))]);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clouds, and a last row between them.
    fn samples(count: usize) -> Samples {
        let wave = |i: usize, f: f64| (i as f64 * f).sin() as f32 * 0.3;
        let row = |i: usize| [wave(i, 1.3) + if i.is_multiple_of(2) { 1.0 } else { -1.0 }, wave(i, 2.7)];
        let mut numbers: Vec<f32> = (0..count).flat_map(row).collect();
        numbers.extend([0.0, 3.0]);
        Samples::of_numbers(numbers, 2)
    }

    #[test]
    fn nu_bounds_the_share_beyond_the_offset_and_of_support_vectors() {
        let samples = samples(399);
        for nu in [0.05, 0.2, 0.5, 0.9] {
            let config = OneClassSvmConfig { nu, tol: 1e-7, ..Default::default() };
            let svm = config.fit(&samples).unwrap();
            let scores = svm.score(&samples).unwrap();
            // Free support vectors lie on the threshold, give or take the tolerance.
            let beyond = scores.iter().filter(|score| **score > svm.offset() + 1e-5).count() as f64;
            assert!(beyond <= nu * 400.0 + 1e-9 && beyond > nu * 400.0 - 12.0, "{nu}: {beyond}");
            assert!(svm.alpha.len() as f64 >= nu * 400.0 - 1e-9);
            assert!((svm.alpha.iter().sum::<f64>() - nu * 400.0).abs() < 1e-9);
        }
    }

    #[test]
    fn what_lies_between_two_clouds_has_the_highest_score() {
        let samples = samples(200);
        let svm = OneClassSvmConfig { nu: 0.1, ..Default::default() }.fit(&samples).unwrap();
        let scores = svm.score(&samples).unwrap();
        assert!(scores[..200].iter().all(|score| *score < scores[200]));
        assert!(svm.converged());
    }

    #[test]
    fn every_kernel_fits_and_survives_its_numbers() {
        let samples = samples(60);
        for kernel in [KernelName::Linear, KernelName::Poly, KernelName::Rbf, KernelName::Sigmoid] {
            let config = OneClassSvmConfig { kernel, coef0: 0.5, ..Default::default() };
            let svm = config.fit(&samples).unwrap();
            let read = OneClassSvm::from_arrays(&config, 2, &svm.numbers()).unwrap();
            assert_eq!(read.score(&samples).unwrap(), svm.score(&samples).unwrap());
            assert_eq!(read, svm);
        }
    }

    #[test]
    fn one_sample_samples_all_alike_and_nu_1_have_a_solution() {
        let alike = Samples::of_numbers(vec![1.0; 20], 2);
        for (samples, nu) in [(&alike.rows(0..1), 0.5), (&alike, 0.5), (&alike, 1.0), (&samples(20), 1.0)] {
            let svm = OneClassSvmConfig { nu, ..Default::default() }.fit(samples).unwrap();
            assert!(svm.offset().is_finite());
        }
    }

    #[test]
    fn kernels_that_overflow_are_refused() {
        let config = OneClassSvmConfig { kernel: KernelName::Poly, degree: 1000, ..Default::default() };
        let samples = Samples::of_numbers((0..50).map(|i| i as f32 * 1e3).collect(), 2);
        assert!(config.fit(&samples).unwrap_err().to_string().starts_with("kernel Poly"));
    }

    #[test]
    fn damaged_numbers_are_refused() {
        let config = OneClassSvmConfig::default();
        let whole = config.fit(&samples(30)).unwrap().numbers();
        let refusal = |name: &str, value: f64| {
            let mut numbers = whole.clone();
            let mut array = whole.iter().find(|(found, _)| *found == name).unwrap().1.clone();
            array.values[0] = value;
            numbers.put_shaped(name, &array.shape, array.values);
            OneClassSvm::from_arrays(&config, 2, &numbers).unwrap_err().to_string()
        };
        assert_eq!(refusal("alpha", 0.0), "`alpha` holds 0, expected numbers above 0 up to 1");
        assert_eq!(refusal("gamma", -1.0), "`gamma` holds -1, expected 0 or more");
        assert_eq!(refusal("rho", f64::INFINITY), "`rho` holds inf, expected finite numbers");
        assert!(refusal("support", 1e300).ends_with("expected numbers in single precision"));
        assert!(
            OneClassSvm::from_arrays(&config, 3, &whole)
                .unwrap_err()
                .to_string()
                .starts_with("`support` has the shape")
        );
    }

    #[test]
    fn parameters_out_of_range_are_refused_by_name() {
        let parse = |json: &str| serde_json::from_str::<OneClassSvmConfig>(json).unwrap();
        for (json, name) in [
            (r#"{"nu":0}"#, "nu 0"),
            (r#"{"nu":1.5}"#, "nu 1.5"),
            (r#"{"gamma":-1}"#, "gamma -1"),
            (r#"{"tol":0}"#, "tol 0"),
            (r#"{"cache_size":0}"#, "cache_size 0"),
            (r#"{"max_iter":-2}"#, "max_iter -2"),
            (r#"{"degree":1001}"#, "degree 1001"),
        ] {
            let refusal = parse(json).check().unwrap_err().to_string();
            assert!(refusal.starts_with(name), "{refusal}");
        }
        assert_eq!(parse(r#"{"kernel":"polynomial"}"#).kernel, KernelName::Poly);
        assert_eq!(parse(r#"{"gamma":"auto"}"#).gamma, Gamma::Rule(GammaRule::Auto));
        assert!(serde_json::from_str::<OneClassSvmConfig>(r#"{"kernel":"cubic"}"#).is_err());
    }
}
