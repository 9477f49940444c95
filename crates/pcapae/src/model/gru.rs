//! The convolutional gated recurrent unit (Ballas et al., *Delving Deeper into Convolutional Networks for Learning Video
//! Representations*, 2016), in the original's form.

use super::activation::Activation;
use super::config::{Norm, STATE_CHANNELS};
use super::gate::{Gate, GateParameters, GateTape, InputGradients, Inputs, KERNEL};
use super::group_norm::{self, GroupNorm};
use super::parameters::{Layout, Start};
use super::planes::{Grid, Planes};

/// One step of the cell, from input x and state h to the next state h':
///
/// ```text
/// r  = σ(norm(Wr ∗ [x, h] + br))           reset
/// u  = σ(norm(Wu ∗ [x, h] + bu))           update
/// c  = tanh(norm(Wc ∗ [x, r·h] + bc))      candidate
/// h' = (1 − u)·h + u·c
/// ```
///
/// Reset acts before the candidate's convolution, and u weighs the candidate, as in the original; PyTorch's own (dense)
/// GRU does both the other way. Without a state, r is not needed and h' = u·c.
#[derive(Debug, Clone)]
pub(crate) struct Gru {
    grid: Grid,
    reset: Gate,
    update: Gate,
    candidate: Gate,
}

/// What the way back through one step needs.
#[derive(Debug, Clone)]
pub(crate) struct GruTape {
    reset: GateTape,
    update: GateTape,
    candidate: GateTape,
    /// r·h.
    kept: Planes,
    /// The next state.
    pub h: Planes,
}

/// Gradients on their way through one step, reused from step to step.
#[derive(Debug, Clone)]
pub(crate) struct GruScratch {
    reset: Planes,
    update: Planes,
    candidate: Planes,
    kept: Planes,
}

impl Gru {
    /// Declares `conv_gates` (reset, then update) and `conv_can` (candidate) under `name`.
    pub fn new(layout: &mut Layout, name: &str, grid: Grid, channels_x: usize, norm: Norm) -> Gru {
        let [reset, update] = declare(layout, &format!("{name}.conv_gates"), channels_x, norm);
        let [candidate] = declare(layout, &format!("{name}.conv_can"), channels_x, norm);
        Gru {
            grid,
            reset: Gate::new(grid, channels_x, reset, Activation::Sigmoid),
            update: Gate::new(grid, channels_x, update, Activation::Sigmoid),
            candidate: Gate::new(grid, channels_x, candidate, Activation::Tanh),
        }
    }

    /// Takes its weights out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        for gate in [&mut self.reset, &mut self.update, &mut self.candidate] {
            gate.load(parameters);
        }
    }

    /// A state, or the gradient of one.
    pub fn state(&self) -> Planes {
        Planes::zeros(self.grid, STATE_CHANNELS)
    }

    /// Room for one step.
    pub fn tape(&self) -> GruTape {
        let gate = GateTape::new(self.grid);
        GruTape { reset: gate.clone(), update: gate.clone(), candidate: gate, kept: self.state(), h: self.state() }
    }

    /// Room for gradients.
    pub fn scratch(&self) -> GruScratch {
        GruScratch { reset: self.state(), update: self.state(), candidate: self.state(), kept: self.state() }
    }

    /// Computes `tape.h`, the next state.
    pub fn forward(&self, inputs: Inputs, tape: &mut GruTape) {
        let Inputs { x, h } = inputs;
        let GruTape { reset, update, candidate, kept, h: next } = tape;
        self.update.forward(inputs, update);
        let Some(h) = h else {
            self.candidate.forward(inputs, candidate);
            for ((next, u), c) in next.data_mut().iter_mut().zip(update.y.data()).zip(candidate.y.data()) {
                *next = u * c;
            }
            return;
        };
        self.reset.forward(inputs, reset);
        for ((kept, r), h) in kept.data_mut().iter_mut().zip(reset.y.data()).zip(h.data()) {
            *kept = r * h;
        }
        self.candidate.forward(Inputs { x, h: Some(kept) }, candidate);
        let (u, c) = (update.y.data(), candidate.y.data());
        for (((next, u), c), h) in next.data_mut().iter_mut().zip(u).zip(c).zip(h.data()) {
            *next = (1.0 - u) * h + u * c;
        }
    }

    /// One step back: adds the parameters' gradients, adds x' to `dx`, and turns `dh` from the gradient of the next state
    /// into that of the state before (into nothing of use where there was none).
    ///
    /// ```text
    /// u' = h''·(c − h)    c' = h''·u    h' = h''·(1 − u) + (r·h)'·r + …through the gates    r' = (r·h)'·h
    /// ```
    pub fn backward(
        &self,
        inputs: Inputs,
        tape: &GruTape,
        scratch: &mut GruScratch,
        gradient: &mut [f32],
        mut dx: Option<&mut Planes>,
        dh: &mut Planes,
    ) {
        let Inputs { x, h } = inputs;
        let (u, c) = (tape.update.y.data(), tape.candidate.y.data());
        let GruScratch { reset: dr, update: du, candidate: dc, kept: dkept } = scratch;
        let Some(h) = h else {
            for ((((du, dc), dh), u), c) in du.data_mut().iter_mut().zip(dc.data_mut()).zip(dh.data()).zip(u).zip(c) {
                (*du, *dc) = (dh * c, dh * u);
            }
            let to = InputGradients { x: dx.as_deref_mut(), h: None };
            self.candidate.backward(inputs, &tape.candidate, dc, gradient, to);
            self.update.backward(inputs, &tape.update, du, gradient, InputGradients { x: dx, h: None });
            return;
        };
        for (((((du, dc), dh), u), c), h) in
            du.data_mut().iter_mut().zip(dc.data_mut()).zip(dh.data_mut()).zip(u).zip(c).zip(h.data())
        {
            (*du, *dc) = (*dh * (c - h), *dh * u);
            *dh *= 1.0 - u;
        }
        dkept.clear();
        let kept = Inputs { x, h: Some(&tape.kept) };
        let to = InputGradients { x: dx.as_deref_mut(), h: Some(&mut *dkept) };
        self.candidate.backward(kept, &tape.candidate, dc, gradient, to);
        let states = dh.data_mut().iter_mut().zip(h.data());
        for ((((dh, h), dr), dkept), r) in states.zip(dr.data_mut()).zip(dkept.data()).zip(tape.reset.y.data()) {
            *dr = dkept * h;
            *dh += dkept * r;
        }
        let to = InputGradients { x: dx.as_deref_mut(), h: Some(&mut *dh) };
        self.reset.backward(inputs, &tape.reset, dr, gradient, to);
        self.update.backward(inputs, &tape.update, du, gradient, InputGradients { x: dx, h: Some(dh) });
    }
}

/// Declares one convolution over [x, h] for `N` gates, and its normalisation, and deals them out in rows of four.
fn declare<const N: usize>(layout: &mut Layout, name: &str, channels_x: usize, norm: Norm) -> [GateParameters; N] {
    let shape = [N * STATE_CHANNELS, channels_x + STATE_CHANNELS, KERNEL, KERNEL];
    let start = Start::of_weight(&shape);
    let weight = layout.declare(format!("{name}.0.weight"), &shape, start);
    let bias = layout.declare(format!("{name}.0.bias"), &shape[..1], start);
    let norms = match norm {
        Norm::Group => Some(group_norm::declare(layout, &format!("{name}.1"), shape[0])),
        Norm::None => None,
    };
    std::array::from_fn(|gate| {
        let rows = |first: usize| first + gate * STATE_CHANNELS..first + (gate + 1) * STATE_CHANNELS;
        GateParameters {
            weight: weight.start + gate * weight.len() / N,
            bias: rows(bias.start),
            norm: norms.as_ref().map(|[gamma, beta]| GroupNorm::new(rows(gamma.start), rows(beta.start))),
        }
    })
}
