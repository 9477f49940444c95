//! The long short-term memory, forward and backward; its formulas are in `model/definition.rs`.

use super::cell::{CellGradients, CellTape, Convs, Quads, Sources, State};
use super::cell_conv::{Output, QUAD, Start};
use super::norm::Norm;
use super::planes::{Raster, for_places};
use super::simd::Simd;
use super::winograd::WinogradScratch;
use crate::fragment::Shape;
use crate::model::NormedConv;

/// First channels of the gates in a tape, and where they end. The first is the input gate.
const FORGET: usize = QUAD;
const CELL: usize = 2 * QUAD;
const OUTPUT: usize = 3 * QUAD;
const END: usize = 4 * QUAD;

/// Input, forget, cell and output gate.
#[derive(Debug, Clone)]
pub(crate) struct Lstm {
    gates: Convs,
    /// All but the forget gate, which in a step without a state has nothing to forget.
    first: Convs,
    norm: Norm,
}

impl Lstm {
    pub fn new(shape: Shape, gates: &NormedConv, sources: Sources) -> Lstm {
        Lstm {
            gates: Convs::new(shape, Quads::of(gates, 0..4), sources),
            first: Convs::new(shape, Quads::of(gates, [0, 2, 3]), Sources::Input),
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
                self.gates.forward(s, &raster, x, state.h, [tape.sums.channels_mut(0..END)], scratch);
                self.open_gates(s, &raster, 0..END, tape);
                next_state(s, &raster, Some(state.memory), tape);
            }
            None => {
                let (input, others) = tape.sums.all_mut().split_at_mut(CELL * raster.size);
                let sums = [&mut input[..FORGET * raster.size], others];
                self.first.forward(s, &raster, x, &[], sums, scratch);
                self.open_gates(s, &raster, 0..FORGET, tape);
                self.open_gates(s, &raster, CELL..END, tape);
                next_state(s, &raster, None, tape);
            }
        }
    }

    /// Normalises some channels and sends them through σ, or through tanh those of the cell gate.
    fn open_gates<S: Simd>(&self, s: S, raster: &Raster, channels: std::ops::Range<usize>, tape: &mut CellTape) {
        self.norm.moments(s, raster, tape.sums.channels(channels.clone()), &mut tape.moments[channels.clone()]);
        for c in channels {
            let line = self.norm.line(c, &tape.moments[c]);
            let (sums, gate) = (tape.sums.channels(c..c + 1), tape.gates.channels_mut(c..c + 1));
            s.vectorize(
                #[inline(always)]
                || {
                    let (factor, offset) = (s.load(&line.factor), s.load(&line.offset));
                    for_places::<S>(raster, |at| {
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
        let CellGradients { h: dh, memory: dc, gates, x: dx, .. } = gradients;
        let x = tape.x.all();
        let anew = Start::Zero;
        let memory = before.map(|state| state.memory);
        differentiate_state(s, &raster, memory, tape, dh.all(), dc.all_mut(), gates.all_mut());
        match before {
            Some(State { h, .. }) => {
                self.norm_backward(s, &raster, 0..END, tape, gates.all_mut(), gradient);
                let to = [Output { planes: dx.all_mut(), start: anew }, Output { planes: dh.all_mut(), start: anew }];
                self.gates.backward(s, &raster, x, h, &[gates.channels(0..END)], to, gradient, scratch);
            }
            None => {
                for channels in [0..FORGET, CELL..END] {
                    let slopes = gates.channels_mut(channels.clone());
                    self.norm_backward(s, &raster, channels, tape, slopes, gradient);
                }
                let slopes = [gates.channels(0..FORGET), gates.channels(CELL..END)];
                let to = [Output { planes: dx.all_mut(), start: anew }, Output { planes: &mut [], start: anew }];
                self.first.backward(s, &raster, x, &[], &slopes, to, gradient, scratch);
            }
        }
    }

    fn norm_backward<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        channels: std::ops::Range<usize>,
        tape: &CellTape,
        slopes: &mut [f32],
        gradient: &mut [f32],
    ) {
        let (sums, moments) = (tape.sums.channels(channels.clone()), &tape.moments[channels.clone()]);
        self.norm.backward(s, raster, channels.start, sums, moments, slopes, gradient);
    }
}

/// c' = f·c + i·g, h' = o·tanh c'.
fn next_state<S: Simd>(s: S, raster: &Raster, before: Option<&[f32]>, tape: &mut CellTape) {
    s.vectorize(
        #[inline(always)]
        || {
            for c in 0..QUAD {
                let [input, forget, cell, output] =
                    [0, FORGET, CELL, OUTPUT].map(|gate| tape.gates.channels(gate + c..gate + c + 1));
                let (memory, open) = tape.memory.channels_mut(c..QUAD + c + 1).split_at_mut(QUAD * raster.size);
                let next = tape.h.channels_mut(c..c + 1);
                let before = before.map(|memory| &memory[c * raster.size..(c + 1) * raster.size]);
                for_places::<S>(raster, |at| {
                    let at_gate = |gate: &[f32]| at.load(s, gate);
                    let new = s.mul(at_gate(input), at_gate(cell));
                    let kept = before.map_or(new, |before| s.mul_add(at_gate(forget), at_gate(before), new));
                    let opened = s.tanh(kept);
                    at.store(s, kept, memory);
                    at.store(s, opened, open);
                    at.store(s, s.mul(at_gate(output), opened), next);
                });
            }
        },
    );
}

/// Through h' = o·tanh c', c' = f·c + i·g and the activations: `slopes` becomes the gradient of all gates before their activation, `dc`
/// that of the memory before.
fn differentiate_state<S: Simd>(
    s: S,
    raster: &Raster,
    before: Option<&[f32]>,
    tape: &CellTape,
    dh: &[f32],
    dc: &mut [f32],
    slopes: &mut [f32],
) {
    s.vectorize(
        #[inline(always)]
        || {
            for c in 0..QUAD {
                let plane = |channel: usize| channel * raster.size..(channel + 1) * raster.size;
                let [input, forget, cell, output] =
                    [0, FORGET, CELL, OUTPUT].map(|gate| tape.gates.channels(gate + c..gate + c + 1));
                let open = tape.memory.channels(QUAD + c..QUAD + c + 1);
                let before = before.map(|memory| &memory[plane(c)]);
                let (dh, dc) = (&dh[plane(c)], &mut dc[plane(c)]);
                for_places::<S>(
                    raster,
                    #[inline(always)]
                    |at| {
                        let [i, f, g, o] = [input, forget, cell, output].map(|gate| at.load(s, gate));
                        let (d, opened) = (at.load(s, dh), at.load(s, open));
                        let memory = s.mul_add(s.mul(d, o), tanh_slope(s, opened), at.load(s, dc));
                        let di = s.mul(s.mul(memory, g), sigmoid_slope(s, i));
                        let dg = s.mul(s.mul(memory, i), tanh_slope(s, g));
                        let opening = s.mul(s.mul(d, opened), sigmoid_slope(s, o));
                        at.store(s, di, &mut slopes[plane(c)]);
                        at.store(s, dg, &mut slopes[plane(CELL + c)]);
                        at.store(s, opening, &mut slopes[plane(OUTPUT + c)]);
                        if let Some(before) = before {
                            let df = s.mul(s.mul(memory, at.load(s, before)), sigmoid_slope(s, f));
                            at.store(s, df, &mut slopes[plane(FORGET + c)]);
                            at.store(s, s.mul(memory, f), dc);
                        }
                    },
                );
            }
        },
    );
}

/// σ' from σ: y·(1 − y).
#[inline(always)]
fn sigmoid_slope<S: Simd>(s: S, y: S::F) -> S::F {
    s.mul(y, s.sub(s.splat(1.0), y))
}

/// tanh' from tanh: 1 − y².
#[inline(always)]
fn tanh_slope<S: Simd>(s: S, y: S::F) -> S::F {
    s.sub(s.splat(1.0), s.mul(y, y))
}
