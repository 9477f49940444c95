//! Multiply-adds of a window, to compare the engine's speed with the processor's peak.

use crate::network::Shape;
use crate::network::{Architecture, CellParameters, ConvParameters, ModelConfig, STATE_CHANNELS};
use crate::winograd::fits_2d;

/// Multiply-adds of the convolutions for one window. Normalisation and activations are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// From the window to its code.
    pub encode: u64,
    /// From the window to the decoder's frames.
    pub forward: u64,
    /// Forward and backward: the gradients of all parameters and of all activations.
    pub train: u64,
}

/// What a cell's convolution reads.
#[derive(Clone, Copy)]
enum Step {
    /// Input and state, all gates.
    Whole,
    /// The encoder's first: no state, so the gate that acts on the state alone is left out.
    First,
    /// The decoder's top cell: no input.
    Top,
}

impl Cost {
    /// Of direct convolutions: taps × inputs × outputs × pixels, taps in the padding included, sources that are always zero excluded.
    pub fn direct(config: &ModelConfig) -> Cost {
        Cost::with_cells(config, |products, _| products)
    }

    /// As the engine computes them, so many windows at once in vectors of so many lanes: in a square's cells 8 products instead of 4·5,
    /// in training 64 instead of 16·25 where the lanes hold windows. The Winograd transforms are not counted.
    pub(crate) fn as_computed(config: &ModelConfig, windows: usize, lanes: usize) -> Cost {
        let one_d = |products| if config.shape == Shape::Square { products * 8 / 20 } else { products };
        let two_d = |products, width| match config.shape {
            Shape::Square if fits_2d(width, windows, lanes) => products * 64 / 400,
            _ => one_d(products),
        };
        Cost { train: Cost::with_cells(config, two_d).train, ..Cost::with_cells(config, |products, _| one_d(products)) }
    }

    /// `computed` maps the products of a cell's direct convolution, and the feature map's width, to those that are computed.
    fn with_cells(config: &ModelConfig, computed: impl Fn(u64, usize) -> u64) -> Cost {
        let (network, _) = Architecture::declare(config);
        let (frames, emitted) = (config.frames.count() as u64, config.emitted_frames() as u64);
        let pixels = |stage: usize| config.grid(stage + 1).pixels();
        let conv = |(stage, conv): (usize, &ConvParameters)| products(conv, pixels(stage));
        let cell = |(stage, cell): (usize, &CellParameters), step| {
            computed(cell_products(cell, step, pixels(stage)), config.grid(stage + 1).width)
        };
        let down: u64 = network.down.iter().enumerate().map(conv).sum();
        let first: u64 = network.encoder.iter().enumerate().map(|here| cell(here, Step::First)).sum();
        let later: u64 = network.encoder.iter().enumerate().map(|here| cell(here, Step::Whole)).sum();
        let top = network.decoder.len() - 1;
        let step = |stage| if stage == top { Step::Top } else { Step::Whole };
        let decoder: u64 = network.decoder.iter().enumerate().map(|here| cell(here, step(here.0))).sum();
        // Every pixel of the smaller feature map goes through all taps; `up[0]` leads from stage 2.
        let up: u64 = network.up.iter().enumerate().map(|(stage, up)| conv((stage + 1, up))).sum();
        let head = conv((0, &network.narrow)) + conv((0, &network.pointwise));
        let encode = frames * down + first + (frames - 1) * later;
        let forward = encode + emitted * (decoder + up + head);
        let to_window = frames * conv((0, &network.down[0]));
        Cost { encode, forward, train: 3 * forward - to_window }
    }
}

fn products(conv: &ConvParameters, pixels: usize) -> u64 {
    (conv.kernel.pixels() * conv.inputs * conv.outputs * pixels) as u64
}

fn cell_products(cell: &CellParameters, step: Step, pixels: usize) -> u64 {
    let (conv, gates) = match cell {
        CellParameters::Gru { gates, .. } => (&gates.conv, 3),
        CellParameters::Lstm { gates } => (&gates.conv, 4),
    };
    let (inputs, gates) = match step {
        Step::Whole => (conv.inputs, gates),
        Step::First => (cell.inputs(), gates - 1),
        Step::Top => (STATE_CHANNELS, gates),
    };
    (conv.kernel.pixels() * inputs * gates * STATE_CHANNELS * pixels) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Cell, Frames, Side};

    /// What PyTorch's `FlopCounterMode` counts for one frame of `benches/torch/network.py`, half of it: encode, forward, and forward and
    /// back of the loss.
    const PYTORCH: [(Cell, Side, [u64; 3]); 4] = [
        (Cell::Gru, Side::Sixteen, [668_928, 1_514_752, 4_539_648]),
        (Cell::Gru, Side::ThirtyTwo, [2_716_416, 6_142_208, 18_408_192]),
        (Cell::Gru, Side::SixtyFour, [10_906_368, 24_652_032, 73_882_368]),
        (Cell::Lstm, Side::ThirtyTwo, [3_599_616, 8_113_408, 24_321_792]),
    ];

    /// Of direct convolutions, of one window alone, and of sixteen in vectors of sixteen lanes.
    fn frames(config: ModelConfig, count: usize) -> [Cost; 3] {
        let config = ModelConfig { frames: Frames::try_from(count).unwrap(), ..config };
        let computed = |windows| Cost::as_computed(&config, windows, 16);
        [Cost::direct(&config), computed(1), computed(16)]
    }

    #[test]
    fn one_frame_more_costs_what_pytorch_counts_without_the_top_cells_input() {
        for (cell, side, [encode, forward, train]) in PYTORCH {
            for shape in [Shape::Square, Shape::Line] {
                let config = ModelConfig { cell, shape, ..ModelConfig::new(side) };
                let ([two, ..], [three, ..]) = (frames(config, 2), frames(config, 3));
                let outputs = if cell == Cell::Gru { 12 } else { 16 };
                let zeros = 25 * 4 * outputs * 16;
                assert_eq!(three.encode - two.encode, encode);
                assert_eq!(three.forward - two.forward, forward - zeros);
                assert_eq!(three.train - two.train, train - 3 * zeros);
            }
        }
    }

    #[test]
    fn the_first_frame_meets_no_state() {
        let [gru, ..] = frames(ModelConfig::new(Side::ThirtyTwo), 1);
        let no_state = 25 * 1024 * (6 * 12 - 2 * 8) + 25 * (256 + 64 + 16) * (8 * 12 - 4 * 8);
        assert_eq!(gru.encode, 2_716_416 - no_state);
        let [lstm, ..] = frames(ModelConfig { cell: Cell::Lstm, ..ModelConfig::new(Side::ThirtyTwo) }, 1);
        let no_state = 25 * 1024 * (6 * 16 - 2 * 12) + 25 * (256 + 64 + 16) * (8 * 16 - 4 * 12);
        assert_eq!(lstm.encode, 3_599_616 - no_state);
    }

    #[test]
    fn winograd_takes_fewer_products() {
        let [direct, alone, many] = frames(ModelConfig::new(Side::ThirtyTwo), 3);
        assert_eq!([alone.encode, alone.forward], [many.encode, many.forward]);
        let [one_d, two_d] = [alone, many].map(|computed| direct.train as f64 / computed.train as f64);
        assert!((2.2..2.5).contains(&one_d) && (4.0..6.25).contains(&two_d), "{one_d} {two_d}");
        let line = ModelConfig { shape: Shape::Line, ..ModelConfig::new(Side::Sixteen) };
        let [direct, alone, many] = frames(line, 3);
        assert_eq!([direct; 2], [alone, many]);
    }
}
