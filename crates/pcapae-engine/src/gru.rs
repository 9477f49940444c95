//! The gated recurrent unit, forward and backward; its formulas are in `reference/recording.rs`.

use crate::feature_maps::{CHANNEL_BLOCK, Raster, for_vectors};
use crate::gate_convs::{ChannelBlocks, GateConvs, Sources};
use crate::network::{NormedConv, Shape};
use crate::norm::Norm;
use crate::output::Init;
use crate::simd::Simd;
use crate::tape::{CellGradients, CellTape, State};
use crate::winograd::WinogradScratch;

/// First channels of the gates in a tape, and where they end.
const UPDATE: usize = CHANNEL_BLOCK;
const CANDIDATE: usize = 2 * CHANNEL_BLOCK;
const END: usize = 3 * CHANNEL_BLOCK;

/// Reset gate, update gate and candidate.
#[derive(Debug, Clone)]
pub(crate) struct Gru {
    gates: GateConvs,
    candidate: GateConvs,
    /// Update gate and candidate, for a step without a state: there is nothing to reset.
    first: GateConvs,
    pub gates_norm: Norm,
    candidate_norm: Norm,
}

impl Gru {
    pub fn new(shape: Shape, gates: &NormedConv, candidate: &NormedConv, sources: Sources) -> Gru {
        let first = ChannelBlocks::of(gates, [1]).and(ChannelBlocks::of(candidate, [0]));
        Gru {
            gates: GateConvs::new(shape, ChannelBlocks::of(gates, [0, 1]), sources),
            candidate: GateConvs::new(shape, ChannelBlocks::of(candidate, [0]), sources),
            first: GateConvs::new(shape, first, Sources::Input),
            gates_norm: Norm::new(gates.norm.clone(), 2 * CHANNEL_BLOCK),
            candidate_norm: Norm::new(candidate.norm.clone(), CHANNEL_BLOCK),
        }
    }

    pub fn load(&mut self, parameters: &[f32]) {
        for convs in [&mut self.gates, &mut self.candidate, &mut self.first] {
            convs.load(parameters);
        }
        self.gates_norm.load(parameters);
        self.candidate_norm.load(parameters);
    }

    pub fn forward<S: Simd>(&self, s: S, before: Option<State>, tape: &mut CellTape, scratch: &mut WinogradScratch) {
        let raster = tape.h.raster;
        let x = tape.x.all();
        let Some(State { h, .. }) = before else {
            self.first.forward(s, &raster, x, &[], [tape.pre_activations.channels_mut(UPDATE..END)], scratch);
            tape.set_moments(s, &self.gates_norm, UPDATE..CANDIDATE);
            tape.set_moments(s, &self.candidate_norm, CANDIDATE..END);
            self.activate_gates(s, &raster, UPDATE, tape);
            self.next_state(s, &raster, None, tape);
            return;
        };
        self.gates.forward(s, &raster, x, h, [tape.pre_activations.channels_mut(0..CANDIDATE)], scratch);
        tape.set_moments(s, &self.gates_norm, 0..CANDIDATE);
        self.activate_gates(s, &raster, 0, tape);
        reset_state(s, &raster, h, tape);
        let (x, kept) = (tape.x.all(), tape.cell_state.channels(0..CHANNEL_BLOCK));
        let candidate = [tape.pre_activations.channels_mut(CANDIDATE..END)];
        self.candidate.forward(s, &raster, x, kept, candidate, scratch);
        tape.set_moments(s, &self.candidate_norm, CANDIDATE..END);
        self.next_state(s, &raster, Some(h), tape);
    }

    /// r = σ(norm(…)) and u = σ(norm(…)), from channel `first` on.
    pub fn activate_gates<S: Simd>(&self, s: S, raster: &Raster, first: usize, tape: &mut CellTape) {
        s.vectorize(
            #[inline(always)]
            || {
                for c in first..CANDIDATE {
                    let affine = self.gates_norm.affine(c, &tape.moments[c]);
                    let (factor, offset) = (s.load(&affine.factor), s.load(&affine.offset));
                    let (sums, gate) =
                        (tape.pre_activations.channels(c..c + 1), tape.activations.channels_mut(c..c + 1));
                    for_vectors::<S>(raster, |at| {
                        let open = s.sigmoid(s.mul_add(at.load(s, sums), factor, offset));
                        at.store(s, open, gate);
                    });
                }
            },
        );
    }

    /// c = tanh(norm(…)), h' = h + u·(c − h).
    fn next_state<S: Simd>(&self, s: S, raster: &Raster, before: Option<&[f32]>, tape: &mut CellTape) {
        s.vectorize(
            #[inline(always)]
            || {
                for c in 0..CHANNEL_BLOCK {
                    let affine = self.candidate_norm.affine(c, &tape.moments[CANDIDATE + c]);
                    let (factor, offset) = (s.load(&affine.factor), s.load(&affine.offset));
                    let sums = tape.pre_activations.channels(CANDIDATE + c..CANDIDATE + c + 1);
                    let (gates, candidate) = tape
                        .activations
                        .channels_mut(UPDATE + c..CANDIDATE + c + 1)
                        .split_at_mut(CHANNEL_BLOCK * raster.size);
                    let next = tape.h.channels_mut(c..c + 1);
                    let before = before.map(|h| &h[c * raster.size..(c + 1) * raster.size]);
                    for_vectors::<S>(raster, |at| {
                        let new = s.tanh(s.mul_add(at.load(s, sums), factor, offset));
                        at.store(s, new, candidate);
                        let update = at.load(s, gates);
                        let h = match before {
                            Some(before) => {
                                let h = at.load(s, before);
                                s.mul_add(update, s.sub(new, h), h)
                            }
                            None => s.mul(update, new),
                        };
                        at.store(s, h, next);
                    });
                }
            },
        );
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
        let CellGradients { h: grad_h, gates, reset_h: grad_reset_h, x: grad_x, .. } = gradients;
        let x = tape.x.all();
        let h = before.map(|state| state.h);
        state_backward(s, &raster, h, tape, grad_h.all_mut(), gates.channels_mut(UPDATE..END));
        tape.norm_backward(s, &self.candidate_norm, 0, CANDIDATE..END, gates, gradient);
        let Some(h) = h else {
            tape.norm_backward(s, &self.gates_norm, UPDATE, UPDATE..CANDIDATE, gates, gradient);
            let (grad_gates, to) = ([gates.channels(UPDATE..END)], [grad_x.all_mut(), &mut []]);
            self.first.backward(s, &raster, x, &[], &grad_gates, to, Init::Zero, gradient, scratch);
            return;
        };
        let (reset, grad_candidate) = (tape.cell_state.channels(0..CHANNEL_BLOCK), [gates.channels(CANDIDATE..END)]);
        let to = [grad_x.all_mut(), grad_reset_h.all_mut()];
        self.candidate.backward(s, &raster, x, reset, &grad_candidate, to, Init::Zero, gradient, scratch);
        reset_backward(s, &raster, h, tape, grad_reset_h.all(), grad_h.all_mut(), gates.channels_mut(0..CHANNEL_BLOCK));
        tape.norm_backward(s, &self.gates_norm, 0, 0..CANDIDATE, gates, gradient);
        let (grad_gates, to) = ([gates.channels(0..CANDIDATE)], [grad_x.all_mut(), grad_h.all_mut()]);
        self.gates.backward(s, &raster, x, h, &grad_gates, to, Init::Accumulate, gradient, scratch);
    }
}

/// The reset hidden state r·h.
fn reset_state<S: Simd>(s: S, raster: &Raster, h: &[f32], tape: &mut CellTape) {
    s.vectorize(
        #[inline(always)]
        || {
            for c in 0..CHANNEL_BLOCK {
                let (reset, kept) = (tape.activations.channels(c..c + 1), tape.cell_state.channels_mut(c..c + 1));
                let h = &h[c * raster.size..(c + 1) * raster.size];
                for_vectors::<S>(raster, |at| {
                    let product = s.mul(at.load(s, reset), at.load(s, h));
                    at.store(s, product, kept);
                });
            }
        },
    );
}

/// Backward pass of h' = (1 − u)·h + u·c and of the activations of u and c: writes the gradient of update gate and candidate to
/// `grad_pre_activations`, and replaces `grad_h` by what reaches h directly.
fn state_backward<S: Simd>(
    s: S,
    raster: &Raster,
    before: Option<&[f32]>,
    tape: &CellTape,
    grad_h: &mut [f32],
    grad_pre_activations: &mut [f32],
) {
    let (to_update, to_candidate) = grad_pre_activations.split_at_mut(CHANNEL_BLOCK * raster.size);
    let one = s.splat(1.0);
    s.vectorize(
        #[inline(always)]
        || {
            for c in 0..CHANNEL_BLOCK {
                let feature_map = c * raster.size..(c + 1) * raster.size;
                let update = tape.activations.channels(UPDATE + c..UPDATE + c + 1);
                let candidate = tape.activations.channels(CANDIDATE + c..CANDIDATE + c + 1);
                let before = before.map(|h| &h[feature_map.clone()]);
                let grad_h = &mut grad_h[feature_map.clone()];
                let (to_update, to_candidate) = (&mut to_update[feature_map.clone()], &mut to_candidate[feature_map]);
                for_vectors::<S>(raster, |at| {
                    let d = at.load(s, grad_h);
                    let (u, new) = (at.load(s, update), at.load(s, candidate));
                    let h = before.map_or(s.splat(0.0), |before| at.load(s, before));
                    let closed = s.sub(one, u);
                    let du = s.mul(s.mul(d, s.sub(new, h)), s.mul(u, closed));
                    let dc = s.mul(s.mul(d, u), s.sub(one, s.mul(new, new)));
                    at.store(s, du, to_update);
                    at.store(s, dc, to_candidate);
                    at.store(s, s.mul(d, closed), grad_h);
                });
            }
        },
    );
}

/// Backward pass of r·h and of the activation of r: writes the gradient of the reset gate to `grad_pre_activations`, and adds what
/// reaches h to `grad_h`.
fn reset_backward<S: Simd>(
    s: S,
    raster: &Raster,
    h: &[f32],
    tape: &CellTape,
    grad_reset_h: &[f32],
    grad_h: &mut [f32],
    grad_pre_activations: &mut [f32],
) {
    let one = s.splat(1.0);
    s.vectorize(
        #[inline(always)]
        || {
            for c in 0..CHANNEL_BLOCK {
                let feature_map = c * raster.size..(c + 1) * raster.size;
                let reset = tape.activations.channels(c..c + 1);
                let (h, grad_reset_h) = (&h[feature_map.clone()], &grad_reset_h[feature_map.clone()]);
                let (grad_h, grad_pre_activations) =
                    (&mut grad_h[feature_map.clone()], &mut grad_pre_activations[feature_map]);
                for_vectors::<S>(raster, |at| {
                    let d = at.load(s, grad_reset_h);
                    let (r, h) = (at.load(s, reset), at.load(s, h));
                    let dr = s.mul(s.mul(d, h), s.mul(r, s.sub(one, r)));
                    at.store(s, dr, grad_pre_activations);
                    let sum = s.mul_add(d, r, at.load(s, grad_h));
                    at.store(s, sum, grad_h);
                });
            }
        },
    );
}
