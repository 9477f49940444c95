//! The long short-term memory, forward and backward; its formulas are in `reference/recording.rs`.

use std::ops::Range;

use crate::feature_maps::{CHANNEL_BLOCK, Raster, for_vectors};
use crate::gate_convs::{ChannelBlocks, GateConvs, Sources};
use crate::network::{NormedConv, Shape};
use crate::norm::Norm;
use crate::output::Init;
use crate::simd::Simd;
use crate::tape::{CellGradients, CellTape, State};
use crate::winograd::WinogradScratch;

/// First channels of the gates in a tape, and where they end. The first is the input gate.
const FORGET: usize = CHANNEL_BLOCK;
const CELL: usize = 2 * CHANNEL_BLOCK;
const OUTPUT: usize = 3 * CHANNEL_BLOCK;
const END: usize = 4 * CHANNEL_BLOCK;

/// Input, forget, cell and output gate.
#[derive(Debug, Clone)]
pub(crate) struct Lstm {
    gates: GateConvs,
    /// All but the forget gate, for a step without a state: there is nothing to forget.
    first: GateConvs,
    norm: Norm,
}

impl Lstm {
    pub fn new(shape: Shape, gates: &NormedConv, sources: Sources) -> Lstm {
        Lstm {
            gates: GateConvs::new(shape, ChannelBlocks::of(gates, 0..4), sources),
            first: GateConvs::new(shape, ChannelBlocks::of(gates, [0, 2, 3]), Sources::Input),
            norm: Norm::new(gates.norm.clone(), END),
        }
    }

    pub fn load(&mut self, parameters: &[f32]) {
        self.gates.load(parameters);
        self.first.load(parameters);
        self.norm.load(parameters);
    }

    pub fn forward<S: Simd>(&self, s: S, before: Option<State>, tape: &mut CellTape, scratch: &mut WinogradScratch) {
        let raster = tape.h.raster;
        let x = tape.x.all();
        match before {
            Some(state) => {
                self.gates.forward(s, &raster, x, state.h, [tape.pre_activations.channels_mut(0..END)], scratch);
                self.activate_gates(s, &raster, 0..END, tape);
                next_state(s, &raster, Some(state.cell_state), tape);
            }
            None => {
                let (input, others) = tape.pre_activations.all_mut().split_at_mut(CELL * raster.size);
                let sums = [&mut input[..FORGET * raster.size], others];
                self.first.forward(s, &raster, x, &[], sums, scratch);
                self.activate_gates(s, &raster, 0..FORGET, tape);
                self.activate_gates(s, &raster, CELL..END, tape);
                next_state(s, &raster, None, tape);
            }
        }
    }

    /// Normalises some channels and applies σ, or tanh to those of the cell gate.
    fn activate_gates<S: Simd>(&self, s: S, raster: &Raster, channels: Range<usize>, tape: &mut CellTape) {
        tape.set_moments(s, &self.norm, channels.clone());
        for c in channels {
            let affine = self.norm.affine(c, &tape.moments[c]);
            let (sums, gate) = (tape.pre_activations.channels(c..c + 1), tape.activations.channels_mut(c..c + 1));
            s.vectorize(
                #[inline(always)]
                || {
                    let (factor, offset) = (s.load(&affine.factor), s.load(&affine.offset));
                    for_vectors::<S>(raster, |at| {
                        let normed = s.mul_add(at.load(s, sums), factor, offset);
                        let open = if (CELL..OUTPUT).contains(&c) { s.tanh(normed) } else { s.sigmoid(normed) };
                        at.store(s, open, gate);
                    });
                },
            );
        }
    }

    pub fn backward<S: Simd>(
        &self,
        s: S,
        before: Option<State>,
        tape: &CellTape,
        gradients: &mut CellGradients,
        gradient: &mut [f32],
        scratch: &mut WinogradScratch,
    ) {
        let raster = tape.h.raster;
        let CellGradients { h: grad_h, cell_state: grad_cell_state, gates, x: grad_x, .. } = gradients;
        let x = tape.x.all();
        let cell_state = before.map(|state| state.cell_state);
        state_backward(s, &raster, cell_state, tape, grad_h.all(), grad_cell_state.all_mut(), gates.all_mut());
        match before {
            Some(State { h, .. }) => {
                tape.norm_backward(s, &self.norm, 0, 0..END, gates, gradient);
                let (grad_gates, to) = ([gates.all()], [grad_x.all_mut(), grad_h.all_mut()]);
                self.gates.backward(s, &raster, x, h, &grad_gates, to, Init::Zero, gradient, scratch);
            }
            None => {
                for channels in [0..FORGET, CELL..END] {
                    tape.norm_backward(s, &self.norm, channels.start, channels, gates, gradient);
                }
                let grad_gates = [gates.channels(0..FORGET), gates.channels(CELL..END)];
                let to = [grad_x.all_mut(), &mut []];
                self.first.backward(s, &raster, x, &[], &grad_gates, to, Init::Zero, gradient, scratch);
            }
        }
    }
}

/// c' = f·c + i·g, h' = o·tanh c'.
fn next_state<S: Simd>(s: S, raster: &Raster, before: Option<&[f32]>, tape: &mut CellTape) {
    s.vectorize(
        #[inline(always)]
        || {
            for c in 0..CHANNEL_BLOCK {
                let [input, forget, cell, output] =
                    [0, FORGET, CELL, OUTPUT].map(|gate| tape.activations.channels(gate + c..gate + c + 1));
                let (cell_state, open) =
                    tape.cell_state.channels_mut(c..CHANNEL_BLOCK + c + 1).split_at_mut(CHANNEL_BLOCK * raster.size);
                let next = tape.h.channels_mut(c..c + 1);
                let before = before.map(|cell_state| &cell_state[c * raster.size..(c + 1) * raster.size]);
                for_vectors::<S>(raster, |at| {
                    let at_gate = |gate: &[f32]| at.load(s, gate);
                    let new = s.mul(at_gate(input), at_gate(cell));
                    let kept = before.map_or(new, |before| s.mul_add(at_gate(forget), at_gate(before), new));
                    let opened = s.tanh(kept);
                    at.store(s, kept, cell_state);
                    at.store(s, opened, open);
                    at.store(s, s.mul(at_gate(output), opened), next);
                });
            }
        },
    );
}

/// Backward pass of h' = o·tanh c', c' = f·c + i·g and of the activations: writes the gradient of all gates to
/// `grad_pre_activations`, and replaces `grad_cell_state` by that of the previous cell state.
fn state_backward<S: Simd>(
    s: S,
    raster: &Raster,
    before: Option<&[f32]>,
    tape: &CellTape,
    grad_h: &[f32],
    grad_cell_state: &mut [f32],
    grad_pre_activations: &mut [f32],
) {
    s.vectorize(
        #[inline(always)]
        || {
            for c in 0..CHANNEL_BLOCK {
                let feature_map = |channel: usize| channel * raster.size..(channel + 1) * raster.size;
                let [input, forget, cell, output] =
                    [0, FORGET, CELL, OUTPUT].map(|gate| tape.activations.channels(gate + c..gate + c + 1));
                let open = tape.cell_state.channels(CHANNEL_BLOCK + c..CHANNEL_BLOCK + c + 1);
                let before = before.map(|cell_state| &cell_state[feature_map(c)]);
                let (grad_h, grad_cell_state) = (&grad_h[feature_map(c)], &mut grad_cell_state[feature_map(c)]);
                for_vectors::<S>(
                    raster,
                    #[inline(always)]
                    |at| {
                        let [i, f, g, o] = [input, forget, cell, output].map(|gate| at.load(s, gate));
                        let (d, opened) = (at.load(s, grad_h), at.load(s, open));
                        let cell_state =
                            s.mul_add(s.mul(d, o), tanh_derivative(s, opened), at.load(s, grad_cell_state));
                        let di = s.mul(s.mul(cell_state, g), sigmoid_derivative(s, i));
                        let dg = s.mul(s.mul(cell_state, i), tanh_derivative(s, g));
                        let opening = s.mul(s.mul(d, opened), sigmoid_derivative(s, o));
                        at.store(s, di, &mut grad_pre_activations[feature_map(c)]);
                        at.store(s, dg, &mut grad_pre_activations[feature_map(CELL + c)]);
                        at.store(s, opening, &mut grad_pre_activations[feature_map(OUTPUT + c)]);
                        if let Some(before) = before {
                            let df = s.mul(s.mul(cell_state, at.load(s, before)), sigmoid_derivative(s, f));
                            at.store(s, df, &mut grad_pre_activations[feature_map(FORGET + c)]);
                            at.store(s, s.mul(cell_state, f), grad_cell_state);
                        }
                    },
                );
            }
        },
    );
}

/// σ' from σ: y·(1 − y).
#[inline(always)]
fn sigmoid_derivative<S: Simd>(s: S, y: S::F) -> S::F {
    s.mul(y, s.sub(s.splat(1.0), y))
}

/// tanh' from tanh: 1 − y².
#[inline(always)]
fn tanh_derivative<S: Simd>(s: S, y: S::F) -> S::F {
    s.sub(s.splat(1.0), s.mul(y, y))
}
