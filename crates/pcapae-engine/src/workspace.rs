//! The buffers of a block of windows, allocated once for each thread.

use crate::categorical::RESULTS;
use crate::cell::Cell;
use crate::feature_maps::{FeatureMaps, Raster};
use crate::layers::{Last, Layers};
use crate::network::{CATEGORICAL_CHANNELS, FIRST_CHANNELS, Grid};
use crate::purpose::Purpose;
use crate::tape::{CellGradients, CellTape};
use crate::winograd::WinogradScratch;

/// The network's input for each byte: byte / 255.
pub(crate) const VALUES: [f32; 256] = {
    let mut values = [0.0; 256];
    let mut byte = 0;
    while byte < 256 {
        values[byte] = byte as f32 / 255.0;
        byte += 1;
    }
    values
};

/// All intermediate values of a block of windows.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The windows' frames: those that the encoder takes, then those that are to be predicted.
    pub frames: Vec<FeatureMaps>,
    pub encoder: Vec<Ring>,
    pub decoder: Vec<Ring>,
    /// Phases of a stage's input, or of the output of the stage above.
    pub phases: Vec<FeatureMaps>,
    pub heads: Vec<Head>,
    pub gradients: Vec<CellGradients>,
    pub head_gradients: Head,
    /// Scratch buffer of the categorical head's backward pass.
    pub sums: Vec<f32>,
    pub scratch: WinogradScratch,
}

/// The last two layers of one frame, or their gradients.
#[derive(Debug)]
pub(crate) struct Head {
    pub narrow: FeatureMaps,
    /// Before a sigmoid; of a categorical head its two results.
    pub result: FeatureMaps,
}

/// The tapes of a cell's steps, a ring buffer where there are fewer than steps.
#[derive(Debug)]
pub(crate) struct Ring {
    tapes: Vec<CellTape>,
    steps: usize,
}

impl Ring {
    fn new(cell: &Cell, raster: Raster, inputs: usize, steps: usize, purpose: Purpose) -> Ring {
        let count = match purpose {
            Purpose::Inference => steps.min(2),
            Purpose::Training => steps,
        };
        Ring { tapes: (0..count).map(|_| cell.tape(raster, inputs)).collect(), steps }
    }

    /// The tape of step `t`.
    pub fn at(&self, t: usize) -> &CellTape {
        &self.tapes[t % self.tapes.len()]
    }

    /// The tapes of the previous step, if there is one, and of step `t`.
    pub fn look(&self, t: usize) -> (Option<&CellTape>, &CellTape) {
        (t.checked_sub(1).map(|before| self.at(before)), self.at(t))
    }

    /// The same, with the tape of step `t` mutable.
    pub fn step(&mut self, t: usize) -> (Option<&CellTape>, &mut CellTape) {
        let count = self.tapes.len();
        let Some(before) = t.checked_sub(1).map(|before| before % count) else {
            return (None, &mut self.tapes[0]);
        };
        let (low, high) = self.tapes.split_at_mut(before.max(t % count));
        if before < t % count { (Some(&low[before]), &mut high[0]) } else { (Some(&high[0]), &mut low[t % count]) }
    }

    /// The tape of the last step.
    pub fn last(&self) -> &CellTape {
        self.at(self.steps - 1)
    }

    /// All tapes, in the order of the steps if each step has its own.
    pub fn tapes_mut(&mut self) -> impl Iterator<Item = &mut CellTape> {
        self.tapes.iter_mut()
    }
}

impl Workspace {
    /// For blocks of `windows` windows.
    pub fn new(layers: &Layers, windows: usize, purpose: Purpose) -> Workspace {
        let config = &layers.config;
        let raster = |grid: Grid| Raster::new(config.shape, grid, windows);
        let rasters: Vec<Raster> = (1..=config.side.stages()).map(|stage| raster(config.grid(stage))).collect();
        let ring = |cell, stage: usize, inputs, steps| Ring::new(cell, rasters[stage], inputs, steps, purpose);
        let (narrow, results) = match layers.last {
            Last::Pointwise(_) => (FIRST_CHANNELS, 1),
            Last::Categorical(_) => (CATEGORICAL_CHANNELS, RESULTS),
        };
        let head =
            || Head { narrow: FeatureMaps::zeros(rasters[0], narrow), result: FeatureMaps::zeros(rasters[0], results) };
        let emitted = config.emitted_frames();
        let training = purpose == Purpose::Training;
        let inputs_of = |stage: usize| if stage == 0 { 2 } else { 4 };
        Workspace {
            frames: (0..config.window_frames()).map(|_| FeatureMaps::zeros(rasters[0], 1)).collect(),
            encoder: (layers.encoder.iter().enumerate())
                .map(|(stage, cell)| ring(cell, stage, inputs_of(stage), config.frames.count()))
                .collect(),
            decoder: (layers.decoder.iter().enumerate()).map(|(stage, cell)| ring(cell, stage, 4, emitted)).collect(),
            phases: (layers.down.iter().enumerate())
                .map(|(stage, down)| {
                    FeatureMaps::zeros(rasters[stage], if stage == 0 { 0 } else { down.phase_channels() })
                })
                .collect(),
            heads: (0..if training { emitted } else { 1 }).map(|_| head()).collect(),
            gradients: (layers.encoder.iter().zip(&rasters))
                .filter(|_| training)
                .map(|(cell, raster)| cell.gradients(*raster))
                .collect(),
            head_gradients: head(),
            sums: Vec::new(),
            scratch: WinogradScratch::new(purpose),
        }
    }

    /// Windows in a block.
    pub fn windows(&self) -> usize {
        self.frames[0].raster.windows
    }

    /// Sets a window's input from its bytes, frame after frame.
    pub fn set_window(&mut self, number: usize, bytes: &[u8]) {
        let size = self.frames[0].raster.grid.pixels();
        for (frame, bytes) in self.frames.iter_mut().zip(bytes.chunks_exact(size)) {
            frame.set_window(0, number, bytes.iter().map(|byte| VALUES[usize::from(*byte)]));
        }
    }

    /// The code of a window: the encoder's last state in its last stage, channel after channel.
    pub fn code(&self, number: usize) -> impl Iterator<Item = f32> {
        let h = self.encoder.last().map(|ring| &ring.last().h);
        h.into_iter().flat_map(move |h| (0..4).flat_map(move |channel| h.window(channel, number)))
    }
}
