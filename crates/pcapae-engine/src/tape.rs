//! The tape of a cell's step, and the gradients that are carried back through the steps.

use std::ops::Range;

use crate::feature_maps::{CHANNEL_BLOCK, FeatureMaps, PerLane, Raster, for_vectors};
use crate::network::STATE_CHANNELS;
use crate::norm::{Moments, Norm};
use crate::simd::Simd;

/// One step of a cell: input, output, and the intermediate values that backpropagation needs.
#[derive(Debug, Clone)]
pub(crate) struct CellTape {
    /// The input.
    pub x: FeatureMaps,
    /// The gates before normalisation. GRU: reset, update, candidate. LSTM: input, forget, cell, output.
    pub pre_activations: FeatureMaps,
    /// The gates after normalisation and activation.
    pub activations: FeatureMaps,
    /// LSTM: the cell state c, then tanh c. GRU: the reset hidden state r·h.
    pub cell_state: FeatureMaps,
    /// The next hidden state, after dropout.
    pub h: FeatureMaps,
    /// Of the pre-activations, channel by channel.
    pub moments: Vec<Moments>,
    /// The dropout factors of each channel and window; `None` without dropout.
    pub dropout: Option<[PerLane; STATE_CHANNELS]>,
}

/// A cell's state: hidden state h, and the LSTM's cell state.
#[derive(Clone, Copy)]
pub(crate) struct State<'a> {
    pub h: &'a [f32],
    pub cell_state: &'a [f32],
}

/// Gradients that are carried back through the steps of one stage, and buffers for those within a step.
#[derive(Debug, Clone)]
pub(crate) struct CellGradients {
    /// Of the hidden state; the backward pass of a step replaces it by that of the previous state.
    pub h: FeatureMaps,
    /// Of the LSTM's cell state, likewise.
    pub cell_state: FeatureMaps,
    /// Of the activations, then of the pre-activations.
    pub gates: FeatureMaps,
    /// Of the GRU's reset hidden state r·h.
    pub reset_h: FeatureMaps,
    /// Of the input.
    pub x: FeatureMaps,
}

impl CellTape {
    /// For a cell with this many channels in all gates together.
    pub fn new(raster: Raster, inputs: usize, channels: usize) -> CellTape {
        let feature_maps = |channels| FeatureMaps::zeros(raster, channels);
        CellTape {
            x: feature_maps(inputs),
            pre_activations: feature_maps(channels),
            activations: feature_maps(channels),
            cell_state: feature_maps(2 * CHANNEL_BLOCK),
            h: feature_maps(STATE_CHANNELS),
            moments: vec![Moments::NONE; channels],
            dropout: None,
        }
    }

    /// The state for the next step.
    pub fn state(&self) -> State<'_> {
        State { h: self.h.all(), cell_state: self.cell_state.channels(0..CHANNEL_BLOCK) }
    }

    /// Computes the moments of some channels of the pre-activations, which `norm` normalises.
    pub fn set_moments<S: Simd>(&mut self, s: S, norm: &Norm, channels: Range<usize>) {
        let (raster, sums) = (&self.h.raster, self.pre_activations.channels(channels.clone()));
        norm.moments(s, raster, sums, &mut self.moments[channels]);
    }

    /// Backward pass of `norm`, whose channels `first` and on normalised these channels of the pre-activations: replaces their gradient, after
    /// the normalisation, by that before it.
    pub fn norm_backward<S: Simd>(
        &self,
        s: S,
        norm: &Norm,
        first: usize,
        channels: Range<usize>,
        gates: &mut FeatureMaps,
        gradient: &mut [f32],
    ) {
        let (raster, sums) = (&self.h.raster, self.pre_activations.channels(channels.clone()));
        let (moments, grad_sums) = (&self.moments[channels.clone()], gates.channels_mut(channels));
        norm.backward(s, raster, first, sums, moments, grad_sums, gradient);
    }

    /// Multiplies the hidden state by the dropout factors.
    pub fn drop_out<S: Simd>(&mut self, s: S) {
        scale_channels(s, &mut self.h, &self.dropout);
    }
}

impl CellGradients {
    /// For the steps of a cell with this many channels in all gates together.
    pub fn new(raster: Raster, channels: usize) -> CellGradients {
        let feature_maps = |channels| FeatureMaps::zeros(raster, channels);
        CellGradients {
            h: feature_maps(STATE_CHANNELS),
            cell_state: feature_maps(CHANNEL_BLOCK),
            gates: feature_maps(channels),
            reset_h: feature_maps(CHANNEL_BLOCK),
            x: feature_maps(CHANNEL_BLOCK),
        }
    }

    /// Multiplies the gradient of a step's hidden state by the dropout factors.
    pub fn drop_out<S: Simd>(&mut self, s: S, tape: &CellTape) {
        scale_channels(s, &mut self.h, &tape.dropout);
    }

    /// Sets the gradients of the state to zero.
    pub fn clear(&mut self) {
        self.h.all_mut().fill(0.0);
        self.cell_state.all_mut().fill(0.0);
    }
}

fn scale_channels<S: Simd>(s: S, feature_maps: &mut FeatureMaps, factors: &Option<[PerLane; STATE_CHANNELS]>) {
    let Some(factors) = factors else { return };
    let raster = feature_maps.raster;
    s.vectorize(
        #[inline(always)]
        || {
            for (feature_map, factor) in feature_maps.all_mut().chunks_exact_mut(raster.size).zip(factors) {
                let factor = s.load(factor);
                for_vectors::<S>(&raster, |at| {
                    let scaled = s.mul(at.load(s, feature_map), factor);
                    at.store(s, scaled, feature_map);
                });
            }
        },
    );
}
