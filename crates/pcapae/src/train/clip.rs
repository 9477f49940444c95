//! Gradient-norm clipping (Pascanu et al., *On the difficulty of training recurrent neural networks*, 2013).

/// Scales a gradient whose 2-norm exceeds `max_norm` down to it; returns the norm before.
///
/// A gradient that is not finite is left unchanged: the loss is not finite either, and training stops.
pub fn clip_norm(gradient: &mut [f32], max_norm: f64) -> f64 {
    let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    if norm.is_finite() && norm > max_norm {
        let factor = (max_norm / norm) as f32;
        gradient.iter_mut().for_each(|g| *g *= factor);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_gradient_above_the_limit_is_scaled() {
        let mut gradient = [3.0, 4.0];
        assert_eq!(clip_norm(&mut gradient, 5.0), 5.0);
        assert_eq!(gradient, [3.0, 4.0]);
        assert_eq!(clip_norm(&mut gradient, 1.0), 5.0);
        assert!((gradient[0] - 0.6).abs() < 1e-6 && (gradient[1] - 0.8).abs() < 1e-6);
    }
}
