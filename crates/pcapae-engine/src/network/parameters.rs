//! The parameters: named tensors in one flat array.

use std::ops::Range;

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Where each named tensor lies in the flat array, in the order of the original's state dict.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Layout {
    tensors: Vec<TensorShape>,
    len: usize,
}

/// Name, shape and range of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorShape {
    /// The name in the original's state dict, as `encoder.rnn1.conv_gates.0.weight`.
    pub name: String,
    /// Its axes, outermost first; row-major.
    pub shape: Vec<usize>,
    /// Its elements in [`Parameters::values`].
    pub range: Range<usize>,
    initialisation: Initialisation,
}

/// The values of a tensor before training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Initialisation {
    /// Uniform in (−bound, bound).
    Uniform { bound: f32 },
    /// One value everywhere.
    Constant(f32),
}

impl Initialisation {
    /// PyTorch's default for weights and biases of convolutions: bound = 1/√fan_in
    /// (He et al. 2015, kaiming_uniform with a = √5).
    ///
    /// `fan_in` is the product of all axes of the weight but the first; as in PyTorch also for transposed convolutions, whose
    /// first axis is the input.
    pub fn of_conv(shape: &[usize]) -> Initialisation {
        let fan_in: usize = shape[1..].iter().product();
        Initialisation::Uniform { bound: 1.0 / (fan_in as f32).sqrt() }
    }
}

impl Layout {
    /// Elements of all tensors.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends a tensor and returns its range.
    pub fn declare(&mut self, name: String, shape: &[usize], initialisation: Initialisation) -> Range<usize> {
        let range = self.len..self.len + shape.iter().product::<usize>();
        self.len = range.end;
        self.tensors.push(TensorShape { name, shape: shape.to_vec(), range: range.clone(), initialisation });
        range
    }
}

/// The parameters of a network, or anything else of their shape (a gradient, an optimizer's moments).
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    layout: Layout,
    values: Vec<f32>,
}

impl Parameters {
    /// Random values from a seed: the same seed gives the same values on every machine.
    pub(crate) fn random(layout: Layout, seed: u64) -> Parameters {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut values = Vec::with_capacity(layout.len);
        for tensor in &layout.tensors {
            values.extend(tensor.range.clone().map(|_| match tensor.initialisation {
                Initialisation::Uniform { bound } => rng.random_range(-bound..bound),
                Initialisation::Constant(value) => value,
            }));
        }
        Parameters { layout, values }
    }

    /// Whether these have the names and shapes of a layout.
    pub(crate) fn fits(&self, layout: &Layout) -> bool {
        self.layout == *layout
    }

    /// Zeros of the same shapes.
    pub fn zeros_like(&self) -> Parameters {
        Parameters { layout: self.layout.clone(), values: vec![0.0; self.values.len()] }
    }

    /// All values, tensor after tensor.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, mutable.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Names, shapes and ranges of the tensors, in the order of the original's state dict.
    pub fn shapes(&self) -> &[TensorShape] {
        &self.layout.tensors
    }

    /// Every tensor with its name, shape and elements, in the order of the original's state dict.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize], &[f32])> {
        self.shapes().iter().map(|t| (t.name.as_str(), t.shape.as_slice(), &self.values[t.range.clone()]))
    }

    /// The elements of the tensor `name`, if there is one.
    pub fn tensor(&self, name: &str) -> Option<&[f32]> {
        self.tensors().find(|(found, ..)| *found == name).map(|(_, _, values)| values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut layout = Layout::default();
        let weight = Initialisation::of_conv(&[100, 4, 5, 5]);
        layout.declare("weight".into(), &[100, 4, 5, 5], weight);
        layout.declare("gamma".into(), &[4], Initialisation::Constant(1.0));
        layout
    }

    #[test]
    fn random_weights_fill_their_bounds_evenly() {
        let parameters = Parameters::random(layout(), 7);
        let weight = parameters.tensor("weight").unwrap();
        let largest = weight.iter().fold(0f32, |m, w| m.max(w.abs()));
        assert!((0.099..=0.1).contains(&largest), "{largest}");
        let mean: f32 = weight.iter().sum::<f32>() / weight.len() as f32;
        assert!(mean.abs() < 2e-3, "{mean}");
        assert_eq!(parameters.tensor("gamma").unwrap(), [1.0; 4]);
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(Parameters::random(layout(), 1), Parameters::random(layout(), 1));
        assert_ne!(Parameters::random(layout(), 1), Parameters::random(layout(), 2));
    }
}
