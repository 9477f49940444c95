//! The configuration of a network: plain data, stored as JSON beside the parameters.

use serde::{Deserialize, Serialize};

use crate::InvalidSetting;

/// Channels of every recurrent state.
pub const STATE_CHANNELS: usize = 4;

/// Numbers in a code: four channels of 16 pixels, for every side.
pub const CODE_SIZE: usize = 64;

/// Channels that the categorical head takes of each pixel.
pub const CATEGORICAL_CHANNELS: usize = 8;

/// Values of a byte: the classes of the categorical head.
pub const BYTE_VALUES: usize = 256;

/// Channels of the first stage's convolution; all later ones have as many as a state.
pub const FIRST_CHANNELS: usize = 2;

/// Most frames in a window: the memory for backpropagation through time grows with them.
const MAX_FRAMES: usize = 256;

/// The configuration of a network; networks of equal configuration have parameters of the same shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The recurrent cell; default GRU.
    #[serde(default)]
    pub cell: Cell,
    /// Side of a fragment seen as a square; a line has side² bytes.
    pub side: Side,
    /// Whether the network sees a fragment as a square or as a line; default a square.
    ///
    /// For a line every k × k kernel becomes one of k² taps, and a stride that halves the side of a square quarters the line. So
    /// both have as many parameters and a code of the same size.
    #[serde(default = "square")]
    pub shape: Shape,
    /// Fragments that the encoder takes; default 1.
    #[serde(default)]
    pub frames: Frames,
    /// Following fragments that the decoder predicts, 0 to 256; default 0: it reconstructs the input instead.
    #[serde(default)]
    pub predict_frames: PredictFrames,
    /// What follows the convolutions inside the cells; default group normalisation.
    #[serde(default)]
    pub norm: Norm,
    /// What the last layer outputs; default linear.
    #[serde(default)]
    pub head: Head,
}

fn square() -> Shape {
    Shape::Square
}

impl ModelConfig {
    /// For fragments of `side`, everything else at its default.
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

    /// Bytes, and values, that the encoder takes: frames × side².
    pub fn window_size(&self) -> usize {
        self.frames.count() * self.side.fragment_size()
    }

    /// Fragments that the decoder outputs: those it predicts, or as many as the encoder takes.
    pub fn emitted_frames(&self) -> usize {
        match self.predict_frames.count() {
            0 => self.frames.count(),
            frames => frames,
        }
    }

    /// Fragments in a window: those that the encoder takes and those that the decoder predicts.
    pub fn window_frames(&self) -> usize {
        self.frames.count() + self.predict_frames.count()
    }

    /// The size of the feature maps of a stage, counted from 1: each stage has a quarter of the pixels of the one before.
    pub fn grid(&self, stage: usize) -> Grid {
        let side = self.side.pixels() >> (stage - 1);
        match self.shape {
            Shape::Square => Grid { height: side, width: side },
            Shape::Line => Grid { height: 1, width: side * side },
        }
    }
}

/// The shape in which a fragment's bytes are laid out, row-major.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// A square of `side × side` bytes, as a grey-scale picture.
    Square,
    /// One row of bytes.
    Line,
}

/// Extent of a feature map, a kernel or a stride; a line has height 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Grid {
    /// One row and one column.
    pub const ONE: Grid = Grid { height: 1, width: 1 };

    /// height × width.
    pub fn pixels(self) -> usize {
        self.height * self.width
    }
}

/// The kind of recurrent cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// What the last layer outputs for a pixel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// The value itself, about 0 to 1 but not bounded. For the mean squared error.
    #[default]
    Linear,
    /// σ after the last leaky ReLU: the values are in (0, 1). For the binary cross-entropy.
    Sigmoid,
    /// 256 logits a pixel, one for each value of the byte: p(byte) instead of the byte. For the cross-entropy −ln p.
    ///
    /// The layer before has 8 channels instead of 2, and no leaky ReLU follows the last one. The code is the same as with other heads.
    Categorical,
}

/// Side of a square fragment: 16, 32 or 64 (fragments of 256, 1024, 4096 bytes).
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

    /// Bytes in a fragment: side².
    pub fn fragment_size(self) -> usize {
        self.pixels() * self.pixels()
    }

    /// The side of fragments of `size` bytes.
    ///
    /// # Errors
    ///
    /// A size other than 256, 1024 or 4096.
    pub fn of_fragment_size(size: usize) -> Result<Side, InvalidSetting> {
        let found = Side::ALL.into_iter().find(|side| side.fragment_size() == size);
        found.ok_or(InvalidSetting::new("fragment size of a model", size, "256, 1024 or 4096"))
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
    type Error = InvalidSetting;

    fn try_from(pixels: usize) -> Result<Side, InvalidSetting> {
        let found = Side::ALL.into_iter().find(|side| side.pixels() == pixels);
        found.ok_or(InvalidSetting::new("side of a model", pixels, "16, 32 or 64"))
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
    /// The number of frames.
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
    type Error = InvalidSetting;

    fn try_from(count: usize) -> Result<Frames, InvalidSetting> {
        if (1..=MAX_FRAMES).contains(&count) {
            Ok(Frames(count))
        } else {
            Err(InvalidSetting::new("number of frames", count, "1 to 256"))
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
    /// The number of frames.
    pub fn count(self) -> usize {
        self.0
    }
}

impl TryFrom<usize> for PredictFrames {
    type Error = InvalidSetting;

    fn try_from(count: usize) -> Result<PredictFrames, InvalidSetting> {
        if count <= MAX_FRAMES {
            Ok(PredictFrames(count))
        } else {
            Err(InvalidSetting::new("number of predicted frames", count, "0 to 256"))
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
    fn a_configuration_out_of_range_is_refused() {
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
