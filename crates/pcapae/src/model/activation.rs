//! The nonlinear functions, over whole planes, and their derivatives from the value alone.

use super::planes::Planes;

/// Slope of the leaky rectifier below zero, as in the original.
const LEAK: f32 = 0.2;

/// What a gate does to its normalised sum.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Activation {
    /// σ(z) = 1 / (1 + e^−z): how far a gate is open.
    Sigmoid,
    /// tanh z: a candidate for the state.
    Tanh,
}

impl Activation {
    /// y = f(z), in place, over a line of floats.
    pub fn apply(self, z: &mut [f32]) {
        match self {
            Activation::Sigmoid => z.iter_mut().for_each(|z| *z = sigmoid(*z)),
            Activation::Tanh => z.iter_mut().for_each(|z| *z = 2.0 * sigmoid(2.0 * *z) - 1.0),
        }
    }

    /// z' = y'·f'(z), in place of y', where f' follows from y: σ' = y(1 − y), tanh' = 1 − y².
    pub fn differentiate(self, y: &Planes, dy: &mut Planes) {
        let pairs = dy.data_mut().iter_mut().zip(y.data());
        match self {
            Activation::Sigmoid => pairs.for_each(|(dy, y)| *dy *= y * (1.0 - y)),
            Activation::Tanh => pairs.for_each(|(dy, y)| *dy *= 1.0 - y * y),
        }
    }
}

/// y = max(z, 0.2·z), in place: the leaky rectifier after every convolution outside the cells, the last one too.
pub(crate) fn leaky(z: &mut Planes) {
    z.data_mut().iter_mut().for_each(|z| *z = z.max(LEAK * *z));
}

/// z' = y'·(1 or 0.2), in place of y'; y has the sign of z.
pub(crate) fn differentiate_leaky(y: &Planes, dy: &mut Planes) {
    dy.data_mut().iter_mut().zip(y.data()).for_each(|(dy, y)| *dy *= if *y > 0.0 { 1.0 } else { LEAK });
}

fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + exp(-z))
}

/// eˣ to within 2 units in the last place, in arithmetic that vectorises; beyond ±87 it stays at e^±87.
///
/// eˣ = 2ⁿ·eʳ with n = round(x / ln 2) and |r| ≤ ln 2 / 2; ln 2 is taken in two parts so that r keeps its digits. The
/// polynomial is that of Moshier's Cephes library (`expf`, 1989).
fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// Adding and subtracting 1.5·2²³ rounds to an integer.
    const ROUND: f32 = 12_582_912.0;
    const POLYNOMIAL: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let x = x.clamp(-87.0, 87.0);
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let p = POLYNOMIAL.iter().fold(0.0, |p, c| p * r + c);
    let two_to_n = f32::from_bits(((n + 127.0 + 8_388_608.0).to_bits()) << 23);
    (p * r * r + r + 1.0) * two_to_n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_exact_to_the_last_places() {
        for i in -8700..=8700 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 2.5e-7, "e^{x}");
        }
    }

    #[test]
    fn sigmoid_and_tangent_follow_the_standard_library() {
        for i in -400..=400 {
            let x = i as f32 / 10.0;
            let [mut s, mut t] = [[x], [x]];
            Activation::Sigmoid.apply(&mut s);
            Activation::Tanh.apply(&mut t);
            assert!((f64::from(s[0]) - 1.0 / (1.0 + f64::from(-x).exp())).abs() < 2e-7);
            assert!((f64::from(t[0]) - f64::from(x).tanh()).abs() < 4e-7);
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        let mut z = [f32::NAN];
        Activation::Sigmoid.apply(&mut z);
        assert!(z[0].is_nan());
    }
}
