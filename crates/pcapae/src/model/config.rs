//! What the network looks like: plain data, stored as JSON beside the weights.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Channels of every recurrent state.
pub(crate) const STATE_CHANNELS: usize = 4;

/// Channels of the first stage's convolution; all later ones have as many as a state.
pub(crate) const FIRST_CHANNELS: usize = 2;

/// More frames than this in a window are refused: the memory for the way back through time grows with them.
const MAX_FRAMES: usize = 256;

/// The shape of a network; two networks of equal configuration have the same parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The recurrent cell; default GRU.
    #[serde(default)]
    pub cell: Cell,
    /// Side of a fragment seen as a square picture.
    pub side: Side,
    /// Fragments in a window; default 1.
    #[serde(default)]
    pub frames: Frames,
    /// What follows the convolutions inside the cells; default group normalisation.
    #[serde(default)]
    pub norm: Norm,
}

impl ModelConfig {
    /// The configuration of fragments of `side`, everything else at its default.
    pub fn new(side: Side) -> ModelConfig {
        ModelConfig { cell: Cell::default(), side, frames: Frames::default(), norm: Norm::default() }
    }

    /// Bytes, and input values, in a window: frames × side².
    pub fn window_size(&self) -> usize {
        self.frames.count() * self.side.fragment_size()
    }
}

/// The kind of recurrent cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Cell {
    /// Convolutional gated recurrent unit (Ballas et al. 2016).
    #[default]
    Gru,
}

/// What follows a convolution inside a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Group normalisation with one channel a group (Wu & He 2018).
    #[default]
    Group,
    /// Nothing.
    None,
}

/// Side of the square picture that a fragment is: 16, 32 or 64 (fragments of 256, 1024, 4096 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "usize", into = "usize")]
pub enum Side {
    /// 16 × 16, three stages.
    Sixteen,
    /// 32 × 32, four stages.
    ThirtyTwo,
    /// 64 × 64, five stages.
    SixtyFour,
}

impl Side {
    /// Every side, smallest first.
    pub const ALL: [Side; 3] = [Side::Sixteen, Side::ThirtyTwo, Side::SixtyFour];

    /// Pixels along the side.
    pub fn pixels(self) -> usize {
        match self {
            Side::Sixteen => 16,
            Side::ThirtyTwo => 32,
            Side::SixtyFour => 64,
        }
    }

    /// Bytes in a fragment of this side: side².
    pub fn fragment_size(self) -> usize {
        self.pixels() * self.pixels()
    }

    /// The side of fragments of `size` bytes; refused unless 256, 1024 or 4096.
    pub fn of_fragment_size(size: usize) -> Result<Side> {
        let found = Side::ALL.into_iter().find(|side| side.fragment_size() == size);
        found.ok_or(Error::ModelConfig { what: "fragment size", expected: "256, 1024 or 4096", got: size })
    }

    /// Stages of the encoder, and of the decoder: each halves the side, down to a code of 4 × 4.
    pub fn stages(self) -> usize {
        match self {
            Side::Sixteen => 3,
            Side::ThirtyTwo => 4,
            Side::SixtyFour => 5,
        }
    }

    /// Side of the states of stage `stage`, counted from 1: the whole side, a half, a quarter, ...
    pub(crate) fn at_stage(self, stage: usize) -> usize {
        self.pixels() >> (stage - 1)
    }
}

impl TryFrom<usize> for Side {
    type Error = Error;

    fn try_from(pixels: usize) -> Result<Side> {
        let found = Side::ALL.into_iter().find(|side| side.pixels() == pixels);
        found.ok_or(Error::ModelConfig { what: "side", expected: "16, 32 or 64", got: pixels })
    }
}

impl From<Side> for usize {
    fn from(side: Side) -> usize {
        side.pixels()
    }
}

/// Fragments in a window: 1 to 256; default 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "usize", into = "usize")]
pub struct Frames(usize);

impl Frames {
    /// How many.
    pub fn count(self) -> usize {
        self.0
    }
}

impl Default for Frames {
    fn default() -> Frames {
        Frames(1)
    }
}

impl TryFrom<usize> for Frames {
    type Error = Error;

    fn try_from(count: usize) -> Result<Frames> {
        if (1..=MAX_FRAMES).contains(&count) {
            Ok(Frames(count))
        } else {
            Err(Error::ModelConfig { what: "number of frames", expected: "between 1 and 256", got: count })
        }
    }
}

impl From<Frames> for usize {
    fn from(frames: Frames) -> usize {
        frames.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_survives_json() {
        let config = ModelConfig { frames: Frames(3), norm: Norm::None, ..ModelConfig::new(Side::SixtyFour) };
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(json, r#"{"cell":"gru","side":64,"frames":3,"norm":"none"}"#);
        assert_eq!(serde_json::from_str::<ModelConfig>(&json).unwrap(), config);
    }

    #[test]
    fn what_the_network_cannot_be_is_refused() {
        for json in
            [r#"{"side":17}"#, r#"{"side":16,"frames":0}"#, r#"{"side":16,"frames":257}"#, r#"{"side":16,"x":1}"#]
        {
            assert!(serde_json::from_str::<ModelConfig>(json).is_err(), "{json}");
        }
        assert!(Side::of_fragment_size(100).is_err());
    }

    #[test]
    fn every_side_ends_at_four_by_four() {
        for side in Side::ALL {
            assert_eq!(side.at_stage(side.stages()), 4);
        }
    }
}
