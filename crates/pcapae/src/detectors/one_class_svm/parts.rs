//! The score of a one-class support vector machine taken apart, for the kernels that allow it.

use super::{KernelName, OneClassSvm};
use crate::numeric::Parts;

impl OneClassSvm {
    /// The parts of the score of a row; `None` for other kernels than the linear and the radial one, and for rows of another width.
    ///
    /// - linear: −Σᵢ αᵢ·xᵢₖ·cₖ is the share of number k, exactly;
    /// - radial: the score above its lowest, s + Σα, is shared out among the support vectors by how near they are (softmin,
    ///   pᵢ ∝ αᵢ·k(xᵢ, c)), and for each among the numbers by their part of the squared distance, (cₖ − xᵢₖ)²/|c − xᵢ|². −Σα, the score of a
    ///   row as normal as can be, is a constant. Kauffmann, Müller, Montavon, *Towards Explaining Anomalies: A Deep Taylor Decomposition
    ///   of One-Class Models*, 2020.
    pub(super) fn taken_apart(&self, row: &[f64]) -> Option<Parts> {
        if row.len() != self.width() {
            return None;
        }
        match self.kernel() {
            KernelName::Linear => Some(self.linear(row)),
            KernelName::Rbf => Some(self.radial(row)),
            KernelName::Poly | KernelName::Sigmoid => None,
        }
    }

    fn linear(&self, row: &[f64]) -> Parts {
        let mut parts = Parts::none(row.len());
        for (alpha, x) in self.support() {
            parts.gradient.iter_mut().zip(x).for_each(|(derivative, x)| *derivative -= alpha * f64::from(*x));
        }
        parts.shares = parts.gradient.iter().zip(row).map(|(derivative, c)| derivative * c).collect();
        parts
    }

    fn radial(&self, row: &[f64]) -> Parts {
        let gamma = self.gamma();
        let support: Vec<(f64, &[f32], f64)> = self.support().map(|(a, x)| (a, x, distance_squared(row, x))).collect();
        let all: f64 = support.iter().map(|(alpha, ..)| alpha).sum();
        let score: f64 = -support.iter().map(|(alpha, _, d)| alpha * (-gamma * d).exp()).sum::<f64>();
        // pᵢ by differences to the nearest, so that far rows do not make all of them zero.
        let nearness = |(alpha, _, d): &(f64, &[f32], f64)| alpha.ln() - gamma * d;
        let nearest = support.iter().map(nearness).fold(f64::NEG_INFINITY, f64::max);
        let p: Vec<f64> = support.iter().map(|s| (nearness(s) - nearest).exp()).collect();
        let total: f64 = p.iter().sum();
        let mut parts = Parts { constant: -all, ..Parts::none(row.len()) };
        for ((alpha, x, d), p) in support.iter().zip(p) {
            let differences = || row.iter().zip(*x).map(|(c, x)| c - f64::from(*x));
            let k = alpha * (-gamma * d).exp();
            parts
                .gradient
                .iter_mut()
                .zip(differences())
                .for_each(|(derivative, far)| *derivative += 2.0 * gamma * k * far);
            let part = (score + all) * p / total;
            if *d == 0.0 {
                // The row is this support vector: no number is further away than another.
                parts.constant += part;
                continue;
            }
            parts.shares.iter_mut().zip(differences()).for_each(|(share, far)| *share += part * far * far / d);
        }
        parts
    }
}

fn distance_squared(row: &[f64], x: &[f32]) -> f64 {
    row.iter().zip(x).map(|(c, x)| (c - f64::from(*x)).powi(2)).sum()
}
