//! The gated recurrent unit, forward and backward; its formulas are in `model/definition.rs`.

use super::cell::{CellGradients, CellTape, Convs, Quads, Sources, State};
use super::cell_conv::{Output, QUAD, Start};
use super::norm::Norm;
use super::planes::{Raster, for_places};
use super::simd::Simd;
use super::winograd::WinogradScratch;
use crate::fragment::Shape;
use crate::model::NormedConv;

/// First channels of the gates in a tape, and where they end.
const UPDATE: usize = QUAD;
const CANDIDATE: usize = 2 * QUAD;
const END: usize = 3 * QUAD;

/// Reset gate, update gate and candidate.
#[derive(Debug, Clone)]
pub(crate) struct Gru {
    gates: Convs,
    candidate: Convs,
    /// Update gate and candidate in a step without a state: the reset gate has nothing to reset.
    first: Convs,
    pub gates_norm: Norm,
    candidate_norm: Norm,
}

impl Gru {
    pub fn new(shape: Shape, gates: &NormedConv, candidate: &NormedConv, sources: Sources) -> Gru {
        let first = Quads::of(gates, [1]).and(Quads::of(candidate, [0]));
        Gru {
            gates: Convs::new(shape, Quads::of(gates, [0, 1]), sources),
            candidate: Convs::new(shape, Quads::of(candidate, [0]), sources),
            first: Convs::new(shape, first, Sources::Input),
            gates_norm: Norm::new(gates.norm.clone(), 2 * QUAD),
            candidate_norm: Norm::new(candidate.norm.clone(), QUAD),
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
            self.first.forward(s, &raster, x, &[], [tape.sums.channels_mut(UPDATE..END)], scratch);
            self.moments(s, &raster, UPDATE, tape);
            self.open_gates(s, &raster, UPDATE, tape);
            self.next_state(s, &raster, None, tape);
            return;
        };
        self.gates.forward(s, &raster, x, h, [tape.sums.channels_mut(0..CANDIDATE)], scratch);
        self.gates_norm.moments(s, &raster, tape.sums.channels(0..CANDIDATE), &mut tape.moments[..CANDIDATE]);
        self.open_gates(s, &raster, 0, tape);
        keep(s, &raster, h, tape);
        let kept = tape.memory.channels(0..QUAD);
        self.candidate.forward(s, &raster, tape.x.all(), kept, [tape.sums.channels_mut(CANDIDATE..END)], scratch);
        self.candidate_norm.moments(s, &raster, tape.sums.channels(CANDIDATE..END), &mut tape.moments[CANDIDATE..]);
        self.next_state(s, &raster, Some(h), tape);
    }

    /// Moments of the gates from channel `first` on, and of the candidate.
    fn moments<S: Simd>(&self, s: S, raster: &Raster, first: usize, tape: &mut CellTape) {
        let (gates, candidate) = tape.moments.split_at_mut(CANDIDATE);
        self.gates_norm.moments(s, raster, tape.sums.channels(first..CANDIDATE), &mut gates[first..]);
        self.candidate_norm.moments(s, raster, tape.sums.channels(CANDIDATE..END), candidate);
    }

    /// r = σ(norm(…)) and u = σ(norm(…)), from channel `first` on.
    pub fn open_gates<S: Simd>(&self, s: S, raster: &Raster, first: usize, tape: &mut CellTape) {
        s.vectorize(
            #[inline(always)]
            || {
                for c in first..CANDIDATE {
                    let line = self.gates_norm.line(c, &tape.moments[c]);
                    let (factor, offset) = (s.load(&line.factor), s.load(&line.offset));
                    let (sums, gate) = (tape.sums.channels(c..c + 1), tape.gates.channels_mut(c..c + 1));
                    for_places::<S>(raster, |at| {
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
                for c in 0..QUAD {
                    let line = self.candidate_norm.line(c, &tape.moments[CANDIDATE + c]);
                    let (factor, offset) = (s.load(&line.factor), s.load(&line.offset));
                    let sums = tape.sums.channels(CANDIDATE + c..CANDIDATE + c + 1);
                    let (gates, candidate) =
                        tape.gates.channels_mut(UPDATE + c..CANDIDATE + c + 1).split_at_mut(QUAD * raster.size);
                    let next = tape.h.channels_mut(c..c + 1);
                    let before = before.map(|h| &h[c * raster.size..(c + 1) * raster.size]);
                    for_places::<S>(raster, |at| {
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
        let CellGradients { h: dh, gates, kept, x: dx, .. } = gradients;
        let x = tape.x.all();
        let anew = Start::Zero;
        differentiate_state(
            s,
            &raster,
            before.map(|state| state.h),
            tape,
            dh.all_mut(),
            gates.channels_mut(UPDATE..END),
        );
        self.candidate_norm.backward(
            s,
            &raster,
            0,
            tape.sums.channels(CANDIDATE..END),
            &tape.moments[CANDIDATE..],
            gates.channels_mut(CANDIDATE..END),
            gradient,
        );
        let Some(State { h, .. }) = before else {
            self.gates_backward(s, &raster, UPDATE, tape, gates.channels_mut(UPDATE..CANDIDATE), gradient);
            let to = [Output { planes: dx.all_mut(), start: anew }, Output { planes: &mut [], start: anew }];
            self.first.backward(s, &raster, x, &[], &[gates.channels(UPDATE..END)], to, gradient, scratch);
            return;
        };
        let to = [Output { planes: dx.all_mut(), start: anew }, Output { planes: kept.all_mut(), start: anew }];
        let reset = tape.memory.channels(0..QUAD);
        self.candidate.backward(s, &raster, x, reset, &[gates.channels(CANDIDATE..END)], to, gradient, scratch);
        differentiate_reset(s, &raster, h, tape, kept.all(), dh.all_mut(), gates.channels_mut(0..QUAD));
        self.gates_backward(s, &raster, 0, tape, gates.channels_mut(0..CANDIDATE), gradient);
        let to = [
            Output { planes: dx.all_mut(), start: Start::Present },
            Output { planes: dh.all_mut(), start: Start::Present },
        ];
        self.gates.backward(s, &raster, x, h, &[gates.channels(0..CANDIDATE)], to, gradient, scratch);
    }

    fn gates_backward<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        first: usize,
        tape: &CellTape,
        slopes: &mut [f32],
        gradient: &mut [f32],
    ) {
        let (sums, moments) = (tape.sums.channels(first..CANDIDATE), &tape.moments[first..CANDIDATE]);
        self.gates_norm.backward(s, raster, first, sums, moments, slopes, gradient);
    }
}

/// What the reset gate keeps of the state: r·h.
fn keep<S: Simd>(s: S, raster: &Raster, h: &[f32], tape: &mut CellTape) {
    s.vectorize(
        #[inline(always)]
        || {
            for c in 0..QUAD {
                let (reset, kept) = (tape.gates.channels(c..c + 1), tape.memory.channels_mut(c..c + 1));
                let h = &h[c * raster.size..(c + 1) * raster.size];
                for_places::<S>(raster, |at| {
                    let product = s.mul(at.load(s, reset), at.load(s, h));
                    at.store(s, product, kept);
                });
            }
        },
    );
}

/// Through h' = (1 − u)·h + u·c and the activations of u and c: `slopes` becomes the gradient of update gate and candidate
/// before their activation, `dh` what reaches h directly.
fn differentiate_state<S: Simd>(
    s: S,
    raster: &Raster,
    before: Option<&[f32]>,
    tape: &CellTape,
    dh: &mut [f32],
    slopes: &mut [f32],
) {
    let (to_update, to_candidate) = slopes.split_at_mut(QUAD * raster.size);
    let one = s.splat(1.0);
    s.vectorize(
        #[inline(always)]
        || {
            for c in 0..QUAD {
                let plane = c * raster.size..(c + 1) * raster.size;
                let update = tape.gates.channels(UPDATE + c..UPDATE + c + 1);
                let candidate = tape.gates.channels(CANDIDATE + c..CANDIDATE + c + 1);
                let before = before.map(|h| &h[plane.clone()]);
                let dh = &mut dh[plane.clone()];
                let (to_update, to_candidate) = (&mut to_update[plane.clone()], &mut to_candidate[plane]);
                for_places::<S>(raster, |at| {
                    let d = at.load(s, dh);
                    let (u, new) = (at.load(s, update), at.load(s, candidate));
                    let h = before.map_or(s.splat(0.0), |before| at.load(s, before));
                    let closed = s.sub(one, u);
                    let du = s.mul(s.mul(d, s.sub(new, h)), s.mul(u, closed));
                    let dc = s.mul(s.mul(d, u), s.sub(one, s.mul(new, new)));
                    at.store(s, du, to_update);
                    at.store(s, dc, to_candidate);
                    at.store(s, s.mul(d, closed), dh);
                });
            }
        },
    );
}

/// Through r·h and the activation of r: `slopes` becomes the gradient of the reset gate before its activation, and what reaches
/// h is added to `dh`.
fn differentiate_reset<S: Simd>(
    s: S,
    raster: &Raster,
    h: &[f32],
    tape: &CellTape,
    dkept: &[f32],
    dh: &mut [f32],
    slopes: &mut [f32],
) {
    let one = s.splat(1.0);
    s.vectorize(
        #[inline(always)]
        || {
            for c in 0..QUAD {
                let plane = c * raster.size..(c + 1) * raster.size;
                let reset = tape.gates.channels(c..c + 1);
                let (h, dkept) = (&h[plane.clone()], &dkept[plane.clone()]);
                let (dh, slopes) = (&mut dh[plane.clone()], &mut slopes[plane]);
                for_places::<S>(raster, |at| {
                    let d = at.load(s, dkept);
                    let (r, h) = (at.load(s, reset), at.load(s, h));
                    let dr = s.mul(s.mul(d, h), s.mul(r, s.sub(one, r)));
                    at.store(s, dr, slopes);
                    let sum = s.mul_add(d, r, at.load(s, dh));
                    at.store(s, sum, dh);
                });
            }
        },
    );
}
