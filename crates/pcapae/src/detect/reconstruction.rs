//! The reconstruction error: how badly the model redraws a fragment.

/// Score of a fragment: the mean over its bytes of (x − x̂)², where x is the byte divided by 255 and x̂ its reconstruction.
///
/// `squared_errors` holds one value a byte, padding included. From 0; 1 if every byte is off by the full range.
///
/// # Source
/// Hawkins, He, Williams, Baxter: *Outlier Detection Using Replicator Neural Networks*, DaWaK 2002, formula 5 (their outlier factor).
pub fn reconstruction_error(squared_errors: &[f32]) -> f32 {
    squared_errors.iter().sum::<f32>() / squared_errors.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_mean() {
        assert_eq!(reconstruction_error(&[0.0, 1.0, 0.0, 1.0]), 0.5);
    }
}
