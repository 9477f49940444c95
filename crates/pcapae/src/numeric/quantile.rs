//! Quantiles of sorted numbers.

/// The quantile of sorted scores: linear between the two nearest of ranks (n − 1) q.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    // The sum of parts stays between the two, and does not overflow where they are far apart.
    below * (1.0 - place.fract()) + above * place.fract()
}

/// The median; `None` of no values. Sorts them.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    (n > 0).then(|| (values[(n - 1) / 2] + values[n / 2]) / 2.0)
}
