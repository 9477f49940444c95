//! The size of a fragment in bytes, and the shape in which the model sees it.

use std::fmt;

use pcapae_engine::ModelConfig;
pub use pcapae_engine::Shape;

use crate::{Error, Result};

/// A checked fragment size.
///
/// Square: a perfect square from 16 to 65,536 bytes. Line: from 1 byte to 1 MiB.
/// The default of the thesis is 1,024 bytes, 32 × 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FragmentSize {
    bytes: usize,
    shape: Shape,
}

impl FragmentSize {
    /// Smallest square fragment, 4 × 4.
    pub const SQUARE_MIN: usize = 16;
    /// Largest square fragment, 256 × 256.
    pub const SQUARE_MAX: usize = 65_536;
    /// Largest one-dimensional fragment.
    pub const LINE_MAX: usize = 1 << 20;

    /// A fragment of `bytes` bytes in the given shape; refuses sizes that the shape does not allow.
    pub fn new(bytes: usize, shape: Shape) -> Result<FragmentSize> {
        let side = bytes.isqrt();
        let allowed = match shape {
            Shape::Square => (Self::SQUARE_MIN..=Self::SQUARE_MAX).contains(&bytes) && side * side == bytes,
            Shape::Line => (1..=Self::LINE_MAX).contains(&bytes),
        };
        if allowed { Ok(FragmentSize { bytes, shape }) } else { Err(Self::refusal(bytes, shape)) }
    }

    fn refusal(bytes: usize, shape: Shape) -> Error {
        let (expected, remedy) = match shape {
            Shape::Square => {
                let below = bytes.isqrt().clamp(4, 255);
                let above = below + 1;
                let remedy = format!(
                    "the nearest are {} and {}; one-dimensional fragments can have any size",
                    below * below,
                    above * above
                );
                (format!("a perfect square from {} to {}", Self::SQUARE_MIN, Self::SQUARE_MAX), Some(remedy))
            }
            Shape::Line => (format!("1 to {}", Self::LINE_MAX), None),
        };
        Error::Setting { setting: "fragment size", got: bytes.to_string(), expected, remedy }
    }

    /// Bytes in a fragment.
    pub fn bytes(self) -> usize {
        self.bytes
    }

    /// The shape of a fragment.
    pub fn shape(self) -> Shape {
        self.shape
    }

    /// Lengths of the axes: `[side, side]` or `[bytes]`.
    pub fn axes(self) -> Vec<usize> {
        match self.shape {
            Shape::Square => vec![self.bytes.isqrt(); 2],
            Shape::Line => vec![self.bytes],
        }
    }
}

/// `32 × 32 bytes`, or `1000 bytes in a line`.
impl TryFrom<&ModelConfig> for FragmentSize {
    type Error = Error;

    /// The fragments that a network of this configuration takes.
    fn try_from(config: &ModelConfig) -> Result<FragmentSize> {
        FragmentSize::new(config.side.fragment_size(), config.shape)
    }
}

impl fmt::Display for FragmentSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shape {
            Shape::Square => write!(f, "{0} × {0} bytes", self.bytes.isqrt()),
            Shape::Line => write!(f, "{} bytes in a line", self.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_from_16_to_65536_are_allowed() {
        for side in 4..=256 {
            assert_eq!(FragmentSize::new(side * side, Shape::Square).unwrap().axes(), [side, side]);
        }
    }

    #[test]
    fn other_sizes_are_refused_unless_one_dimensional() {
        for bytes in [0, 9, 15, 1000, 1023, 66_049] {
            assert!(FragmentSize::new(bytes, Shape::Square).is_err(), "{bytes}");
        }
        assert_eq!(FragmentSize::new(1000, Shape::Line).unwrap().axes(), [1000]);
        assert!(FragmentSize::new(0, Shape::Line).is_err());
    }
}
