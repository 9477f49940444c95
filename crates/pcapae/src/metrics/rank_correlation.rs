//! Whether two scores put the same rows in the same order.

/// Spearman's rank correlation: the correlation of the ranks, equal values having the mean of theirs. From −1 to 1.
///
/// `None` for fewer than two values, or if all values of one side are equal. The same as scipy's `spearmanr`. Panics if the two have
/// different lengths.
///
/// # Source
/// Spearman: *The Proof and Measurement of Association between Two Things*, American Journal of Psychology 1904.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "there are {} and {} values", a.len(), b.len());
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 + 1.0) / 2.0;
    let (mut together, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        together += (a - mean) * (b - mean);
        of_a += (a - mean).powi(2);
        of_b += (b - mean).powi(2);
    }
    (of_a > 0.0 && of_b > 0.0).then(|| together / (of_a * of_b).sqrt())
}

/// The rank of each value, from 1 for the smallest; equal ones have the mean of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&i, &j| values[i].total_cmp(&values[j]));
    let (mut ranks, mut before) = (vec![0.0; values.len()], 0);
    for equal in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let mean = before as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|&i| ranks[i] = mean);
        before += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `scipy.stats.spearmanr([1, 2, 2, 5, 4], [3, 1, 4, 4, 9])` is 0.6052…
    #[test]
    fn the_number_of_scipy() {
        let correlation = rank_correlation(&[1.0, 2.0, 2.0, 5.0, 4.0], &[3.0, 1.0, 4.0, 4.0, 9.0]).unwrap();
        assert!((correlation - SCIPY).abs() < 1e-12, "{correlation}");
    }
    const SCIPY: f64 = 0.605_263_157_894_737;

    #[test]
    fn the_same_order_is_1_and_the_opposite_is_minus_1() {
        let values = [3.0, 1.0, 2.0, 10.0];
        assert_eq!(rank_correlation(&values, &values.map(|value: f64| value.exp())), Some(1.0));
        assert_eq!(rank_correlation(&values, &values.map(|value| -value)), Some(-1.0));
        assert_eq!(rank_correlation(&values, &[1.0; 4]), None);
        assert_eq!(rank_correlation(&[1.0], &[1.0]), None);
    }

    proptest! {
        #[test]
        fn a_rank_counts_what_is_below_and_half_of_what_is_equal(values in prop::collection::vec(0i8..6, 0..40)) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            for (value, rank) in values.iter().zip(ranks(&values)) {
                let below = values.iter().filter(|other| *other < value).count() as f64;
                let equal = values.iter().filter(|other| *other == value).count() as f64;
                prop_assert_eq!(rank, below + (equal + 1.0) / 2.0);
            }
        }
    }
}
