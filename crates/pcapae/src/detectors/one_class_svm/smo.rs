//! Sequential minimal optimisation: two variables at a time, those that promise most, until the optimality conditions hold.
//!
//! The one-class problem of n samples with the kernel's matrix Q:
//!
//! ```text
//! minimise ½ αᵀQα   where 0 ≤ αᵢ ≤ 1 and Σ αᵢ = ν·n
//! ```
//!
//! Working set by second-order information (Fan, Chen, Lin: *Working Set Selection Using Second Order Information for Training
//! Support Vector Machines*, JMLR 2005), shrinking, start, stopping and ρ as in Chang & Lin: *LIBSVM: A Library for Support Vector
//! Machines*, 2011, sections 4 and 5. Among equals the last is chosen, variables that are shrunk are moved to the end, and the
//! gradient is updated in the same order as there, so that the steps, and so the last digits, are LIBSVM's.

use super::cache::Matrix;

/// What the curvature along a direction is taken for where it is not positive.
const FLAT: f64 = 1e-12;

/// Most steps between two attempts to shrink.
const SHRINK_EVERY: usize = 1000;

/// Shrunk variables are looked at once more when the optimality conditions hold to this many tolerances.
const UNSHRINK_AT: f64 = 10.0;

/// When to stop, and what to leave out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stopping {
    /// How far the optimality conditions may be violated.
    pub tolerance: f64,
    /// Most steps.
    pub max_steps: usize,
    /// Whether variables that stay at a bound are left out for a while.
    pub shrinking: bool,
}

/// The solution.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Solution {
    /// One a sample, 0 to 1.
    pub alpha: Vec<f64>,
    /// (Qα)ᵢ of the samples with 0 < αᵢ < 1, their mean; the offset of the decision.
    pub rho: f64,
    /// Whether the optimality conditions hold to the tolerance.
    pub converged: bool,
}

/// Minimises from `alpha`, which must be feasible: ones, at most one number between, zeros.
///
/// `upper` is Q times those that are 1, `gradient` is Q·α.
pub(super) fn minimise(
    matrix: Matrix,
    alpha: Vec<f64>,
    [gradient, upper]: [Vec<f64>; 2],
    stopping: Stopping,
) -> Solution {
    let count = alpha.len();
    let order = (0..count).collect();
    let diagonal = matrix.diagonal();
    let mut smo = Smo { matrix, diagonal, alpha, gradient, upper, order, active: count, unshrunk: false, stopping };
    let converged = smo.run();
    let rho = smo.rho();
    let mut alpha = vec![0.0; count];
    smo.order.iter().zip(&smo.alpha).for_each(|(place, value)| alpha[*place] = *value);
    Solution { alpha, rho, converged }
}

struct Smo {
    matrix: Matrix,
    /// Qᵢᵢ.
    diagonal: Vec<f64>,
    alpha: Vec<f64>,
    /// Q·α; known of the active variables only.
    gradient: Vec<f64>,
    /// Q times those variables that are at 1: where the gradient of the others is made from.
    upper: Vec<f64>,
    /// Which sample each variable belongs to.
    order: Vec<usize>,
    /// Variables before this are worked on.
    active: usize,
    /// Whether all variables were made active once more near the end.
    unshrunk: bool,
    stopping: Stopping,
}

impl Smo {
    fn at_upper(&self, i: usize) -> bool {
        self.alpha[i] >= 1.0
    }

    fn at_lower(&self, i: usize) -> bool {
        self.alpha[i] <= 0.0
    }

    fn is_free(&self, i: usize) -> bool {
        !self.at_upper(i) && !self.at_lower(i)
    }

    /// Steps until the conditions hold; false if there were too many.
    fn run(&mut self) -> bool {
        let every = self.alpha.len().min(SHRINK_EVERY);
        let mut until_shrinking = every + 1;
        for _ in 0..self.stopping.max_steps {
            until_shrinking -= 1;
            if until_shrinking == 0 {
                until_shrinking = every;
                if self.stopping.shrinking {
                    self.shrink();
                }
            }
            let pair = match self.select() {
                Some(pair) => pair,
                None => {
                    self.activate_all();
                    let Some(pair) = self.select() else { return true };
                    until_shrinking = 1;
                    pair
                }
            };
            self.step(pair);
        }
        self.activate_all();
        self.select().is_none()
    }

    /// The pair i, j that violates the conditions and, among all with the most violating i, promises the greatest decrease; `None`
    /// where the violation is within the tolerance.
    fn select(&mut self) -> Option<(usize, usize)> {
        let (mut highest, mut i) = (f64::NEG_INFINITY, None);
        for t in 0..self.active {
            if !self.at_upper(t) && -self.gradient[t] >= highest {
                (highest, i) = (-self.gradient[t], Some(t));
            }
        }
        let i = i?;
        let Smo { matrix, diagonal, alpha, gradient, active, .. } = self;
        let (mut lowest, mut best, mut j) = (f64::NEG_INFINITY, f64::INFINITY, None);
        for (t, value) in matrix.row(i, *active).iter().enumerate() {
            if alpha[t] <= 0.0 {
                continue;
            }
            lowest = lowest.max(gradient[t]);
            let violation = highest + gradient[t];
            if violation > 0.0 {
                let along = diagonal[i] + diagonal[t] - 2.0 * f64::from(*value);
                let decrease = -(violation * violation) / positive(along);
                if decrease <= best {
                    (best, j) = (decrease, Some(t));
                }
            }
        }
        let j = j?;
        (highest + lowest >= self.stopping.tolerance).then_some((i, j))
    }

    /// The best step along αᵢ − αⱼ, cut where a bound is met.
    fn step(&mut self, (i, j): (usize, usize)) {
        let old = [self.alpha[i], self.alpha[j]];
        let were_upper = [i, j].map(|k| self.at_upper(k));
        let Smo { matrix, diagonal, alpha, gradient, active, .. } = self;
        let [qi, qj] = matrix.both_rows(i, j, *active);
        let along = diagonal[i] + diagonal[j] - 2.0 * f64::from(qi[j]);
        let delta = (gradient[i] - gradient[j]) / positive(along);
        [alpha[i], alpha[j]] = within_bounds(old[0] - delta, old[1] + delta, old[0] + old[1]);
        let change = [alpha[i] - old[0], alpha[j] - old[1]];
        for ((gradient, qi), qj) in gradient.iter_mut().zip(qi).zip(qj) {
            *gradient += f64::from(*qi) * change[0] + f64::from(*qj) * change[1];
        }
        for (k, was_upper) in [i, j].into_iter().zip(were_upper) {
            if was_upper != self.at_upper(k) {
                let sign = if was_upper { -1.0 } else { 1.0 };
                let row = self.matrix.row(k, self.alpha.len());
                self.upper.iter_mut().zip(row).for_each(|(upper, q)| *upper += sign * f64::from(*q));
            }
        }
    }

    /// Leaves out variables at a bound that the gradient holds there.
    fn shrink(&mut self) {
        let (mut up, mut down) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for t in 0..self.active {
            if !self.at_upper(t) {
                up = up.max(-self.gradient[t]);
            }
            if !self.at_lower(t) {
                down = down.max(self.gradient[t]);
            }
        }
        if !self.unshrunk && up + down <= self.stopping.tolerance * UNSHRINK_AT {
            self.unshrunk = true;
            self.activate_all();
        }
        let held = |smo: &Smo, t: usize| {
            (smo.at_upper(t) && -smo.gradient[t] > up)
                || (!smo.at_upper(t) && smo.at_lower(t) && smo.gradient[t] > down)
        };
        let mut t = 0;
        while t < self.active {
            if held(self, t) {
                self.active -= 1;
                while self.active > t {
                    if !held(self, self.active) {
                        self.swap(t, self.active);
                        break;
                    }
                    self.active -= 1;
                }
            }
            t += 1;
        }
    }

    fn swap(&mut self, i: usize, j: usize) {
        self.matrix.swap(i, j);
        self.diagonal.swap(i, j);
        self.alpha.swap(i, j);
        self.gradient.swap(i, j);
        self.upper.swap(i, j);
        self.order.swap(i, j);
    }

    /// Makes all variables active, with their gradient.
    fn activate_all(&mut self) {
        let (active, count) = (self.active, self.alpha.len());
        if active == count {
            return;
        }
        self.gradient[active..].copy_from_slice(&self.upper[active..]);
        let free: Vec<usize> = (0..active).filter(|i| self.is_free(*i)).collect();
        // By rows of those left out, or of those that are free: whichever are fewer to compute.
        if free.len() * count > 2 * active * (count - active) {
            for t in active..count {
                let row = self.matrix.row(t, active);
                for i in &free {
                    self.gradient[t] += self.alpha[*i] * f64::from(row[*i]);
                }
            }
        } else {
            for i in free {
                let (alpha, row) = (self.alpha[i], self.matrix.row(i, count));
                for (gradient, q) in self.gradient[active..].iter_mut().zip(&row[active..]) {
                    *gradient += alpha * f64::from(*q);
                }
            }
        }
        self.active = count;
    }

    /// The mean gradient of the free variables, or where there is none the middle of what the others allow.
    fn rho(&self) -> f64 {
        let free: Vec<f64> = (0..self.active).filter(|i| self.is_free(*i)).map(|i| self.gradient[i]).collect();
        if !free.is_empty() {
            return free.iter().sum::<f64>() / free.len() as f64;
        }
        let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
        for i in 0..self.active {
            if self.at_upper(i) {
                least = least.max(self.gradient[i]);
            } else {
                most = most.min(self.gradient[i]);
            }
        }
        // With ν = 1 all are at 1, and nothing bounds from above: any offset from there on is a solution.
        if most.is_finite() { (most + least) / 2.0 } else { least }
    }
}

fn positive(curvature: f64) -> f64 {
    if curvature > 0.0 { curvature } else { FLAT }
}

/// The point of a + b = sum in [0, 1]² that is nearest to (a, b).
fn within_bounds(mut a: f64, mut b: f64, sum: f64) -> [f64; 2] {
    if sum > 1.0 {
        if a > 1.0 {
            (a, b) = (1.0, sum - 1.0);
        }
        if b > 1.0 {
            (a, b) = (sum - 1.0, 1.0);
        }
    } else {
        if b < 0.0 {
            (a, b) = (sum, 0.0);
        }
        if a < 0.0 {
            (a, b) = (0.0, sum);
        }
    }
    [a, b]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::{Columns, Kernel};

    fn solve(rows: &[f32], width: usize, kernel: Kernel, sum: f64, stopping: Stopping) -> Solution {
        let count = rows.len() / width;
        let alpha: Vec<f64> = (0..count).map(|i| (sum - i as f64).clamp(0.0, 1.0)).collect();
        let ones: Vec<f64> = alpha.iter().map(|alpha| alpha.floor()).collect();
        let columns = Columns::new(rows, width);
        let single = |k: f64| f64::from(k as f32);
        let start = [&alpha, &ones].map(|weights| columns.weighted_sums(&kernel, rows, weights, single));
        // Room for a few rows only, so that some are forgotten.
        minimise(Matrix::new(kernel, columns, 5 * count), alpha, start, stopping)
    }

    fn rows(count: usize, width: usize) -> Vec<f32> {
        let value = |i: usize| ((i.wrapping_mul(2_654_435_761) >> 8) % 1000) as f32 / 500.0 - 1.0;
        (0..count * width).map(value).collect()
    }

    fn exact(shrinking: bool) -> Stopping {
        Stopping { tolerance: 1e-9, max_steps: 1_000_000, shrinking }
    }

    /// ½ αᵀQα.
    fn objective(rows: &[f32], width: usize, gamma: f64, alpha: &[f64]) -> f64 {
        let k = |a: &[f32], b: &[f32]| {
            let distance: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            (-gamma * distance).exp()
        };
        let all: Vec<&[f32]> = rows.chunks(width).collect();
        let pair = |(i, j): (usize, usize)| alpha[i] * alpha[j] * k(all[i], all[j]);
        let pairs = (0..all.len()).flat_map(|i| (0..all.len()).map(move |j| (i, j)));
        0.5 * pairs.map(pair).sum::<f64>()
    }

    #[test]
    fn three_variables_are_as_a_fine_grid_finds_them() {
        let rows = [0.0, 0.1, 1.0];
        let solution = solve(&rows, 1, Kernel::Rbf { gamma: 1.0 }, 1.5, exact(true));
        let mut best = (f64::INFINITY, [0.0; 3]);
        for a in 0..=200 {
            for b in 0..=200 {
                let (a, b) = (f64::from(a) / 200.0, f64::from(b) / 200.0);
                let c = 1.5 - a - b;
                if (0.0..=1.0).contains(&c) {
                    let value = objective(&rows, 1, 1.0, &[a, b, c]);
                    if value < best.0 {
                        best = (value, [a, b, c]);
                    }
                }
            }
        }
        assert!(objective(&rows, 1, 1.0, &solution.alpha) <= best.0 + 1e-7);
        for (got, expected) in solution.alpha.iter().zip(best.1) {
            assert!((got - expected).abs() < 0.01, "{:?} {best:?}", solution.alpha);
        }
    }

    #[test]
    fn the_optimality_conditions_hold_with_and_without_shrinking() {
        let (rows, kernel) = (rows(1500, 3), Kernel::Rbf { gamma: 2.0 });
        let columns = Columns::new(&rows, 3);
        for (sum, shrinking) in [(150.0, true), (750.5, true), (150.0, false), (0.3, true)] {
            let solution = solve(&rows, 3, kernel, sum, exact(shrinking));
            assert!(solution.converged);
            assert!(solution.alpha.iter().all(|alpha| (0.0..=1.0).contains(alpha)));
            assert!((solution.alpha.iter().sum::<f64>() - sum).abs() < 1e-9);
            let single = |k: f64| f64::from(k as f32);
            let gradient = columns.weighted_sums(&kernel, &rows, &solution.alpha, single);
            for (alpha, gradient) in solution.alpha.iter().zip(gradient) {
                let beyond = gradient - solution.rho;
                assert!(*alpha < 1.0 || beyond < 1e-6, "{alpha} {beyond}");
                assert!(*alpha > 0.0 || beyond > -1e-6, "{alpha} {beyond}");
            }
        }
    }

    #[test]
    fn too_few_steps_are_told() {
        let stopping = Stopping { max_steps: 3, ..exact(true) };
        let solution = solve(&rows(200, 2), 2, Kernel::Rbf { gamma: 2.0 }, 50.0, stopping);
        assert!(!solution.converged);
        assert!((solution.alpha.iter().sum::<f64>() - 50.0).abs() < 1e-9);
    }
}
