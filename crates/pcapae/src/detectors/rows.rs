//! Rows of numbers that a detector can work with: enough of them, finite, of the width it was fitted to.

use std::borrow::Cow;

use super::Samples;
use crate::{Error, Result};

/// All rows as numbers to be fitted to; refused where there are fewer than `least` or one holds a number that is not finite.
pub(super) fn training_rows(samples: &Samples, least: usize) -> Result<Cow<'_, [f32]>> {
    if samples.len() < least {
        return Err(Error::Setting {
            setting: "number of training samples",
            got: samples.len().to_string(),
            expected: format!("at least {least}"),
            remedy: None,
        });
    }
    finite(samples)
}

/// All rows as numbers to be scored; refused where they are not of the width `width` or one holds a number that is not finite.
pub(super) fn rows_of_width(samples: &Samples, width: usize) -> Result<Cow<'_, [f32]>> {
    if samples.width() != width {
        return Err(Error::Setting {
            setting: "width of samples",
            got: samples.width().to_string(),
            expected: format!("{width}, to which the detector was fitted"),
            remedy: None,
        });
    }
    finite(samples)
}

fn finite(samples: &Samples) -> Result<Cow<'_, [f32]>> {
    let numbers = samples.numbers();
    match numbers.iter().position(|number| !number.is_finite()) {
        Some(i) => Err(Error::Setting {
            setting: "sample",
            got: format!("{} holds {} at position {}", i / samples.width(), numbers[i], i % samples.width()),
            expected: "finite numbers".into(),
            remedy: None,
        }),
        None => Ok(numbers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_samples_is_said() {
        let samples = Samples::of_numbers(vec![0.0, 1.0, 2.0, f32::NAN], 2);
        let refusal = |refused: Result<_>| refused.map(|_: Cow<[f32]>| ()).unwrap_err().to_string();
        assert_eq!(refusal(training_rows(&samples, 3)), "number of training samples 2: expected at least 3");
        assert_eq!(
            refusal(rows_of_width(&samples, 3)),
            "width of samples 2: expected 3, to which the detector was fitted"
        );
        assert_eq!(refusal(rows_of_width(&samples, 2)), "sample 1 holds NaN at position 1: expected finite numbers");
        assert!(training_rows(&samples.rows(0..1), 1).is_ok());
    }
}
