//! The weights: named tensors over one line of floats.

use std::ops::Range;

use rand::RngExt;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Where each named tensor lies in the line of floats, in the order in which the layers declared them.
///
/// The layers declare in the order of the original's state dict, so that order is this one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Layout {
    tensors: Vec<TensorShape>,
    len: usize,
}

/// Name, shape and place of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorShape {
    /// The name in the original's state dict, as `encoder.rnn1.conv_gates.0.weight`.
    pub name: String,
    /// Its axes, outermost first; row-major.
    pub shape: Vec<usize>,
    /// Its elements in [`Parameters::values`].
    pub range: Range<usize>,
    start: Start,
}

/// What a tensor holds before training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Start {
    /// Uniform in (−bound, bound).
    Uniform { bound: f32 },
    /// One value everywhere.
    Constant(f32),
}

impl Start {
    /// What PyTorch gives convolutions, weights and biases alike: bound = 1/√fan_in
    /// (He et al. 2015, kaiming_uniform with a = √5).
    ///
    /// `fan_in` is the product of all axes of the weight but the first; so too, as PyTorch has it, for transposed
    /// convolutions, whose first axis is the input.
    pub fn of_weight(shape: &[usize]) -> Start {
        let fan_in: usize = shape[1..].iter().product();
        Start::Uniform { bound: 1.0 / (fan_in as f32).sqrt() }
    }
}

impl Layout {
    /// How many elements all tensors have together.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a tensor at the end and returns its elements.
    pub fn declare(&mut self, name: String, shape: &[usize], start: Start) -> Range<usize> {
        let range = self.len..self.len + shape.iter().product::<usize>();
        self.len = range.end;
        self.tensors.push(TensorShape { name, shape: shape.to_vec(), range: range.clone(), start });
        range
    }
}

/// The weights of a network, or anything else of their shape (a gradient, an optimiser's moments).
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    layout: Layout,
    values: Vec<f32>,
}

impl Parameters {
    /// Random weights from a seed: the same seed gives the same weights on every machine.
    pub(crate) fn random(layout: Layout, seed: u64) -> Parameters {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut values = Vec::with_capacity(layout.len);
        for tensor in &layout.tensors {
            values.extend(tensor.range.clone().map(|_| match tensor.start {
                Start::Uniform { bound } => rng.random_range(-bound..bound),
                Start::Constant(value) => value,
            }));
        }
        Parameters { layout, values }
    }

    /// Whether these have the names and shapes of a layout.
    pub(crate) fn fits(&self, layout: &Layout) -> bool {
        self.layout == *layout
    }

    /// Zeros in the shape of these.
    pub fn zeros_like(&self) -> Parameters {
        Parameters { layout: self.layout.clone(), values: vec![0.0; self.values.len()] }
    }

    /// All values, tensor after tensor.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, to be changed.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Names, shapes and places of the tensors, in the order of the original's state dict.
    pub fn shapes(&self) -> &[TensorShape] {
        &self.layout.tensors
    }

    /// Every tensor with its name, shape and elements, in the order of the original's state dict.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize], &[f32])> {
        self.shapes().iter().map(|t| (t.name.as_str(), t.shape.as_slice(), &self.values[t.range.clone()]))
    }

    /// The SHA-256 of all values, as little-endian floats, tensor after tensor; hexadecimal, lower case.
    pub fn sha256(&self) -> String {
        let bytes: Vec<u8> = self.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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
        let weight = Start::of_weight(&[100, 4, 5, 5]);
        layout.declare("weight".into(), &[100, 4, 5, 5], weight);
        layout.declare("gamma".into(), &[4], Start::Constant(1.0));
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
