//! The numbers of a fitted detector, by name: what its file holds beside its parameters.

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::error::{Fault, Place, Problem};
use crate::tensor_file::FileTensor;

/// Named arrays of 64-bit floats; counts and indices are whole numbers among them, exact up to 2⁵³.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamedArrays(BTreeMap<String, Array>);

/// An array with its shape; the values are row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The values, the last axis fastest.
    pub values: Vec<f64>,
}

impl NamedArrays {
    /// Adds an array of one axis.
    pub fn put(&mut self, name: &str, values: Vec<f64>) {
        self.put_shaped(name, &[values.len()], values);
    }

    /// Adds an array.
    ///
    /// # Panics
    ///
    /// If shape and number of values differ.
    pub fn put_shaped(&mut self, name: &str, shape: &[usize], values: Vec<f64>) {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "`{name}` is not of the shape {shape:?}");
        self.0.insert(name.to_owned(), Array { shape: shape.to_vec(), values });
    }

    /// The array `name`, whose axes must have the lengths of `shape`, or any length where that is `None`.
    ///
    /// # Errors
    ///
    /// The array is missing, has another shape, or holds a value that is not finite.
    pub fn get(&self, name: &str, shape: &[Option<usize>]) -> Result<&Array, Fault> {
        let place = || Place::Array(name.to_owned());
        let array = self.0.get(name).ok_or_else(|| place().missing())?;
        let fits = array.shape.len() == shape.len()
            && array.shape.iter().zip(shape).all(|(got, wanted)| wanted.is_none_or(|wanted| wanted == *got));
        if !fits {
            let problem = Problem::Shape { found: array.shape.clone(), expected: shape.to_vec() };
            return Err(Fault::from(problem).within(place()));
        }
        match array.values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(place().found(value, "finite numbers")),
            None => Ok(array),
        }
    }

    /// The only value of the array `name`.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn scalar(&self, name: &str) -> Result<f64, Fault> {
        Ok(self.get(name, &[Some(1)])?.values[0])
    }

    /// The arrays as tensors of a file, `prefix` before their names.
    pub(crate) fn tensors(&self, prefix: &str) -> impl Iterator<Item = FileTensor> {
        self.iter().map(move |(name, array)| FileTensor::of_f64(format!("{prefix}{name}"), &array.shape, &array.values))
    }

    /// The arrays in those tensors of a file whose names begin with `prefix`.
    ///
    /// # Errors
    ///
    /// A tensor does not hold 64-bit floats.
    pub(crate) fn from_tensors(prefix: &str, tensors: &SafeTensors) -> Result<NamedArrays, Fault> {
        let mut numbers = NamedArrays::default();
        for (full, view) in tensors.iter() {
            let Some(name) = full.strip_prefix(prefix) else { continue };
            if view.dtype() != Dtype::F64 {
                return Err(Place::Array(full.to_owned()).found(view.dtype(), "F64"));
            }
            let values = view.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
            numbers.put_shaped(name, view.shape(), values);
        }
        Ok(numbers)
    }

    /// All arrays, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Array)> {
        self.0.iter().map(|(name, array)| (name.as_str(), array))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_given_only_in_the_shape_that_is_wanted() {
        let mut numbers = NamedArrays::default();
        numbers.put_shaped("support", &[2, 3], vec![0.0; 6]);
        numbers.put("offset", vec![f64::NAN]);
        assert_eq!(numbers.get("support", &[None, Some(3)]).unwrap().values.len(), 6);
        assert_eq!(
            numbers.get("support", &[None, Some(4)]).unwrap_err().to_string(),
            "`support` has the shape [2, 3], expected [any, 4]"
        );
        assert_eq!(numbers.get("gamma", &[]).unwrap_err().to_string(), "`gamma` is missing");
        assert_eq!(numbers.scalar("offset").unwrap_err().to_string(), "`offset` holds NaN, expected finite numbers");
    }
}
