//! What the network looks like: plain data, stored as JSON beside the weights.

use serde::{Deserialize, Serialize};

use crate::fragment::{FragmentSize, Shape};
use crate::{Error, Result};

/// Channels of every recurrent state.
pub(crate) const STATE_CHANNELS: usize = 4;

/// Channels that the categorical head sees of each pixel.
pub(crate) const CATEGORICAL_CHANNELS: usize = 8;

/// Values that a byte can have: the classes of the categorical head.
pub(crate) const BYTE_VALUES: usize = 256;

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
    /// Side of a fragment seen as a square picture; a line has the side's square of bytes.
    pub side: Side,
    /// Whether the model sees a fragment as a square or as a line; default a square.
    ///
    /// For a line every k × k kernel becomes one of k² taps, and what halves the side of a square quarters the line. So
    /// both have the same numbers of weights and the same size of code.
    #[serde(default = "square")]
    pub shape: Shape,
    /// Fragments that the encoder takes; default 1.
    #[serde(default)]
    pub frames: Frames,
    /// Fragments after those that the decoder gives instead of the reconstruction, 0 to 256; default 0: the reconstruction.
    #[serde(default)]
    pub predict_frames: PredictFrames,
    /// What follows the convolutions inside the cells; default group normalisation.
    #[serde(default)]
    pub norm: Norm,
    /// How the last layer gives a pixel; default as it is.
    #[serde(default)]
    pub head: Head,
}

fn square() -> Shape {
    Shape::Square
}

impl ModelConfig {
    /// The configuration of fragments of `side`, everything else at its default.
    pub fn new(side: Side) -> ModelConfig {
        ModelConfig {
            cell: Cell::default(),
            side,
            shape: Shape::Square,
            frames: Frames::default(),
            predict_frames: PredictFrames::default(),
            norm: Norm::default(),
            head: Head::default(),
        }
    }

    /// Size and shape of the fragments that the model takes.
    pub fn fragment_size(&self) -> Result<FragmentSize> {
        FragmentSize::new(self.side.fragment_size(), self.shape)
    }

    /// Bytes, and values, that the encoder takes: frames × side².
    pub fn window_size(&self) -> usize {
        self.frames.count() * self.side.fragment_size()
    }

    /// Fragments that the decoder gives: those it predicts, or as many as the encoder takes.
    pub fn emitted_frames(&self) -> usize {
        match self.predict_frames.count() {
            0 => self.frames.count(),
            frames => frames,
        }
    }

    /// Fragments in a window: those that the encoder takes and those that the decoder is to predict.
    pub fn window_frames(&self) -> usize {
        self.frames.count() + self.predict_frames.count()
    }

    /// The states of stage `stage`, counted from 1: the whole picture, a quarter of its pixels, a sixteenth, ...
    pub(crate) fn grid(&self, stage: usize) -> Grid {
        let side = self.side.pixels() >> (stage - 1);
        match self.shape {
            Shape::Square => Grid { height: side, width: side },
            Shape::Line => Grid { height: 1, width: side * side },
        }
    }
}

/// Rows and columns of a picture; a line has one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub height: usize,
    pub width: usize,
}

impl Grid {
    pub fn pixels(self) -> usize {
        self.height * self.width
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
    /// Convolutional long short-term memory (Shi et al. 2015), without peepholes.
    Lstm,
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

/// How the last layer gives a pixel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// Nothing: the values are about 0 to 1 but not bounded. For the mean squared error.
    #[default]
    Linear,
    /// σ, after the last leaky rectifier: the values are in (0, 1). For the binary cross-entropy.
    Sigmoid,
    /// 256 logits a pixel, one for each value of the byte: the model gives p(byte), not the byte. For the cross-entropy −ln p.
    ///
    /// The layer before has 8 channels instead of 2, and no leaky rectifier follows the last one. The code is as in the others.
    Categorical,
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
        found.ok_or(Error::setting("fragment size of a model", size, "256, 1024 or 4096"))
    }

    /// Stages of the encoder, and of the decoder: each halves the side, down to a code of 4 × 4.
    pub fn stages(self) -> usize {
        match self {
            Side::Sixteen => 3,
            Side::ThirtyTwo => 4,
            Side::SixtyFour => 5,
        }
    }
}

impl TryFrom<usize> for Side {
    type Error = Error;

    fn try_from(pixels: usize) -> Result<Side> {
        let found = Side::ALL.into_iter().find(|side| side.pixels() == pixels);
        found.ok_or(Error::setting("side of a model", pixels, "16, 32 or 64"))
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
            Err(Error::setting("number of frames", count, "1 to 256"))
        }
    }
}

impl From<Frames> for usize {
    fn from(frames: Frames) -> usize {
        frames.0
    }
}

/// Fragments that the decoder predicts: 0 to 256; default 0, none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "usize", into = "usize")]
pub struct PredictFrames(usize);

impl PredictFrames {
    /// How many.
    pub fn count(self) -> usize {
        self.0
    }
}

impl TryFrom<usize> for PredictFrames {
    type Error = Error;

    fn try_from(count: usize) -> Result<PredictFrames> {
        if count <= MAX_FRAMES {
            Ok(PredictFrames(count))
        } else {
            Err(Error::setting("number of predicted frames", count, "0 to 256"))
        }
    }
}

impl From<PredictFrames> for usize {
    fn from(frames: PredictFrames) -> usize {
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
        assert_eq!(
            json,
            concat!(
                r#"{"cell":"gru","side":64,"shape":"square","frames":3,"predict_frames":0,"#,
                r#""norm":"none","head":"linear"}"#
            )
        );
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
    fn every_side_ends_at_sixteen_pixels() {
        for side in Side::ALL {
            let square = ModelConfig::new(side);
            assert_eq!(square.grid(side.stages()), Grid { height: 4, width: 4 });
            let line = ModelConfig { shape: Shape::Line, ..square };
            assert_eq!(line.grid(side.stages()), Grid { height: 1, width: 16 });
        }
    }
}
