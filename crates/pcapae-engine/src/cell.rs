//! A recurrent cell of either kind.

use crate::feature_maps::{CHANNEL_BLOCK, Raster};
use crate::gate_convs::Sources;
use crate::gru::Gru;
use crate::lstm::Lstm;
use crate::network::{CellParameters, Shape};
use crate::simd::Simd;
use crate::tape::{CellGradients, CellTape, State};
use crate::winograd::WinogradScratch;

/// A recurrent cell of either kind.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Gru(Box<Gru>),
    Lstm(Box<Lstm>),
}

impl Cell {
    /// A cell whose steps read these sources; a first step without a state reads the input alone.
    pub fn new(shape: Shape, parameters: &CellParameters, sources: Sources) -> Cell {
        match parameters {
            CellParameters::Gru { gates, candidate } => Cell::Gru(Box::new(Gru::new(shape, gates, candidate, sources))),
            CellParameters::Lstm { gates } => Cell::Lstm(Box::new(Lstm::new(shape, gates, sources))),
        }
    }

    /// Loads the weights from the flat parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        match self {
            Cell::Gru(gru) => gru.load(parameters),
            Cell::Lstm(lstm) => lstm.load(parameters),
        }
    }

    fn channels(&self) -> usize {
        match self {
            Cell::Gru(_) => 3 * CHANNEL_BLOCK,
            Cell::Lstm(_) => 4 * CHANNEL_BLOCK,
        }
    }

    /// Buffers of a step.
    pub fn tape(&self, raster: Raster, inputs: usize) -> CellTape {
        CellTape::new(raster, inputs, self.channels())
    }

    /// Buffers for the gradients of all steps.
    pub fn gradients(&self, raster: Raster) -> CellGradients {
        CellGradients::new(raster, self.channels())
    }

    /// Computes the next state from `tape.x` and the previous state, if there is one.
    pub fn forward<S: Simd>(&self, s: S, before: Option<State>, tape: &mut CellTape, scratch: &mut WinogradScratch) {
        match self {
            Cell::Gru(gru) => gru.forward(s, before, tape, scratch),
            Cell::Lstm(lstm) => lstm.forward(s, before, tape, scratch),
        }
        tape.drop_out(s);
    }

    /// Backward pass of a step: adds the gradients of the parameters, writes that of the input to `gradients.x` and replaces that
    /// of the next state by that of the previous one.
    pub fn backward<S: Simd>(
        &self,
        s: S,
        before: Option<State>,
        tape: &CellTape,
        gradients: &mut CellGradients,
        gradient: &mut [f32],
        scratch: &mut WinogradScratch,
    ) {
        gradients.drop_out(s, tape);
        match self {
            Cell::Gru(gru) => gru.backward(s, before, tape, gradients, gradient, scratch),
            Cell::Lstm(lstm) => lstm.backward(s, before, tape, gradients, gradient, scratch),
        }
    }
}
