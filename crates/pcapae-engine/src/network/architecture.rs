//! The architecture: which layers the network has, and where their parameters lie.

use std::ops::Range;

use super::config::{
    BYTE_VALUES, CATEGORICAL_CHANNELS, Cell, FIRST_CHANNELS, Grid, Head, ModelConfig, Norm, STATE_CHANNELS, Shape,
};
use super::parameters::{Initialisation, Layout};

/// Side of the kernels inside the cells.
pub(crate) const CELL_KERNEL: usize = 5;

/// Side of the other convolutions' kernels.
const CONV_KERNEL: usize = 3;

/// Side of the transposed convolutions' kernels.
const TRANSPOSED_KERNEL: usize = 4;

/// Channels in a group of the LSTM's normalisation, as in the original; the GRU's groups have one.
const LSTM_GROUP: usize = 2;

/// All layers of an autoencoder. Index 0 of a list is stage 1, the one at full size.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// Convolution and leaky ReLU before each encoder cell; all but the first halve the side.
    pub down: Vec<ConvParameters>,
    /// The encoder's cells.
    pub encoder: Vec<CellParameters>,
    /// The decoder's cells.
    pub decoder: Vec<CellParameters>,
    /// Transposed convolution and leaky ReLU after the decoder cells of stages 2 and on: `up[0]` leads from stage 2 to 1.
    pub up: Vec<ConvParameters>,
    /// 3 × 3 convolution and leaky ReLU after the decoder cell of stage 1.
    pub narrow: ConvParameters,
    /// 1 × 1 convolution, the last layer: to the pixel, with a leaky ReLU; with a categorical head to a logit for each value of
    /// the byte, without.
    pub pointwise: ConvParameters,
}

/// A convolution's parameters: a weight [outputs, inputs, taps], or of a transposed one [inputs, outputs, taps], and a bias.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvParameters {
    /// Range of the weight in [`Parameters::values`](super::Parameters::values).
    pub weight: Range<usize>,
    /// Range of the bias, one number an output channel.
    pub bias: Range<usize>,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
    /// Extent of the kernel.
    pub kernel: Grid,
}

/// The parameters of a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum CellParameters {
    /// A gated recurrent unit.
    Gru {
        /// Reset and update gate.
        gates: NormedConv,
        /// The candidate state.
        candidate: NormedConv,
    },
    /// A long short-term memory.
    Lstm {
        /// Input, forget, cell and output gate.
        gates: NormedConv,
    },
}

/// A convolution of input and state, concatenated, and the normalisation of its output.
#[derive(Debug, Clone, PartialEq)]
pub struct NormedConv {
    /// The convolution.
    pub conv: ConvParameters,
    /// The normalisation, if there is one.
    pub norm: Option<NormParameters>,
}

/// Parameters of a group normalisation.
#[derive(Debug, Clone, PartialEq)]
pub struct NormParameters {
    /// Range of the scale γ, one number a channel.
    pub gamma: Range<usize>,
    /// Range of the shift β, one number a channel.
    pub beta: Range<usize>,
    /// Channels in a group.
    pub group: usize,
}

/// side × side, or for a line as many taps in a row.
fn kernel(side: usize, shape: Shape) -> Grid {
    match shape {
        Shape::Square => Grid { height: side, width: side },
        Shape::Line => Grid { height: 1, width: side * side },
    }
}

impl CellParameters {
    /// Channels of the cell's input, without the state.
    pub fn inputs(&self) -> usize {
        match self {
            CellParameters::Gru { gates, .. } | CellParameters::Lstm { gates } => gates.conv.inputs - STATE_CHANNELS,
        }
    }
}

impl Architecture {
    /// Declares the parameters in the order, and by the names, of the original's state dict.
    ///
    /// The original numbers the transposed convolution of stage s with 4 − s; so stage 5, of side 64, which the original
    /// does not have, gets `deconv-1`.
    pub(crate) fn declare(config: &ModelConfig) -> (Architecture, Layout) {
        let mut layout = Layout::default();
        let mut declare = Declare { layout: &mut layout, config };
        let stages = config.side.stages();
        let (mut down, mut encoder) = (Vec::new(), Vec::new());
        for s in 1..=stages {
            let channels = if s == 1 { [FIRST_CHANNELS, 1] } else { [STATE_CHANNELS; 2] };
            down.push(declare.conv(&format!("encoder.stage{s}.conv{s}_leaky_1"), channels, CONV_KERNEL));
            encoder.push(declare.cell(&format!("encoder.rnn{s}"), channels[0]));
        }
        let (mut decoder, mut up) = (Vec::new(), Vec::new());
        for s in (2..=stages).rev() {
            decoder.push(declare.cell(&format!("decoder.rnn{s}"), STATE_CHANNELS));
            let name = format!("decoder.stage{s}.deconv{}_leaky_1", 4 - s as isize);
            up.push(declare.conv(&name, [STATE_CHANNELS; 2], TRANSPOSED_KERNEL));
        }
        decoder.push(declare.cell("decoder.rnn1", STATE_CHANNELS));
        let (channels, last, outputs) = match config.head {
            Head::Linear | Head::Sigmoid => (FIRST_CHANNELS, "conv4_leaky_1", 1),
            Head::Categorical => (CATEGORICAL_CHANNELS, "conv4_1", BYTE_VALUES),
        };
        let narrow = declare.conv("decoder.stage1.conv3_leaky_1", [channels, STATE_CHANNELS], CONV_KERNEL);
        let pointwise = declare.conv(&format!("decoder.stage1.{last}"), [outputs, channels], 1);
        decoder.reverse();
        up.reverse();
        (Architecture { down, encoder, decoder, up, narrow, pointwise }, layout)
    }
}

struct Declare<'a> {
    layout: &'a mut Layout,
    config: &'a ModelConfig,
}

impl Declare<'_> {
    /// `name.weight` and `name.bias`. Transposed convolutions are square in their channels, so the order does not matter.
    fn conv(&mut self, name: &str, [outputs, inputs]: [usize; 2], side: usize) -> ConvParameters {
        let kernel = kernel(side, self.config.shape);
        let shape = match self.config.shape {
            Shape::Square => vec![outputs, inputs, kernel.height, kernel.width],
            Shape::Line => vec![outputs, inputs, kernel.width],
        };
        let initialisation = Initialisation::of_conv(&shape);
        let weight = self.layout.declare(format!("{name}.weight"), &shape, initialisation);
        let bias = self.layout.declare(format!("{name}.bias"), &[outputs], initialisation);
        ConvParameters { weight, bias, inputs, outputs, kernel }
    }

    fn cell(&mut self, name: &str, inputs: usize) -> CellParameters {
        match self.config.cell {
            Cell::Gru => CellParameters::Gru {
                gates: self.normed_conv(&format!("{name}.conv_gates"), 2, inputs, 1),
                candidate: self.normed_conv(&format!("{name}.conv_can"), 1, inputs, 1),
            },
            Cell::Lstm => {
                CellParameters::Lstm { gates: self.normed_conv(&format!("{name}.conv"), 4, inputs, LSTM_GROUP) }
            }
        }
    }

    /// `name.0`, a convolution for `gates` gates, and `name.1`, its normalisation.
    fn normed_conv(&mut self, name: &str, gates: usize, inputs: usize, group: usize) -> NormedConv {
        let outputs = gates * STATE_CHANNELS;
        let conv = self.conv(&format!("{name}.0"), [outputs, inputs + STATE_CHANNELS], CELL_KERNEL);
        let norm = (self.config.norm == Norm::Group).then(|| NormParameters {
            gamma: self.layout.declare(format!("{name}.1.weight"), &[outputs], Initialisation::Constant(1.0)),
            beta: self.layout.declare(format!("{name}.1.bias"), &[outputs], Initialisation::Constant(0.0)),
            group,
        });
        NormedConv { conv, norm }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Side;

    fn count(config: ModelConfig) -> usize {
        Architecture::declare(&config).1.len()
    }

    #[test]
    fn every_network_has_as_many_parameters_as_the_original() {
        let gru = ModelConfig::new(Side::ThirtyTwo);
        assert_eq!(count(gru), 20_209);
        assert_eq!(count(ModelConfig { norm: Norm::None, ..gru }), 20_017);
        assert_eq!(count(ModelConfig::new(Side::Sixteen)), 14_929);
        // 64 has as many more than 32 as 32 has than 16.
        assert_eq!(count(ModelConfig::new(Side::SixtyFour)), 25_489);
        assert_eq!(count(ModelConfig { cell: Cell::Lstm, ..gru }), 26_505);
        assert_eq!(count(ModelConfig { cell: Cell::Lstm, ..ModelConfig::new(Side::Sixteen) }), 19_601);
    }

    #[test]
    fn a_line_has_as_many_parameters_as_a_square() {
        let square = ModelConfig::new(Side::ThirtyTwo);
        assert_eq!(count(ModelConfig { shape: Shape::Line, ..square }), count(square));
    }
}
