//! Whole numbers in files that hold 64-bit floats only.

use crate::error::Fault;

/// A whole number from 0, below `end`.
pub(crate) fn whole(value: f64, end: usize) -> Result<usize, Fault> {
    if value >= 0.0 && value.fract() == 0.0 && value < end as f64 {
        Ok(value as usize)
    } else {
        Err(Fault::found(value, format!("a whole number from 0, below {end}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_number_in_its_range_is_refused() {
        for value in [-1.0, 0.5, 4.0, f64::NAN, f64::INFINITY] {
            assert!(whole(value, 4).is_err(), "{value}");
        }
        assert_eq!(whole(3.0, 4), Ok(3));
    }
}
