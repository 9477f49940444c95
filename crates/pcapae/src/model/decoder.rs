//! The decoder: the encoder's mirror, from the code back to the frames.

use super::config::{FIRST_CHANNELS, ModelConfig, STATE_CHANNELS};
use super::conv::{Conv, ConvTape, Stride};
use super::encoder::EncoderTape;
use super::gate::Inputs;
use super::gru::{Gru, GruScratch, GruTape};
use super::parameters::Layout;
use super::planes::{Grid, Planes};
use super::transposed_conv::{TransposedConv, TransposedConvTape};

/// Stages S … 1: cell, transposed convolution that doubles the side; the last one: cell, 3 × 3 and 1 × 1 convolution.
#[derive(Debug, Clone)]
pub(crate) struct Decoder {
    /// Stages S … 2.
    stages: Vec<Stage>,
    last: LastStage,
}

#[derive(Debug, Clone)]
struct Stage {
    cell: Gru,
    up: TransposedConv,
}

#[derive(Debug, Clone)]
struct LastStage {
    cell: Gru,
    narrow: Conv,
    mix: Conv,
}

/// What the way back through a window needs: per stage, per frame.
#[derive(Debug, Clone)]
pub(crate) struct DecoderTape {
    stages: Vec<StageTape>,
    last: LastTape,
}

#[derive(Debug, Clone)]
struct StageTape {
    steps: Vec<Step>,
    scratch: GruScratch,
    /// Gradient of the state from the transposed convolution.
    dh: Planes,
}

#[derive(Debug, Clone)]
struct Step {
    cell: GruTape,
    up: TransposedConvTape,
    /// Gradient of the transposed convolution's output.
    dy: Planes,
}

#[derive(Debug, Clone)]
struct LastTape {
    steps: Vec<LastStep>,
    scratch: GruScratch,
    dh: Planes,
    dnarrow: Planes,
    dmix: Planes,
}

#[derive(Debug, Clone)]
struct LastStep {
    cell: GruTape,
    narrow: ConvTape,
    mix: ConvTape,
}

impl Decoder {
    /// Declares its parameters: `decoder.rnn4`, `decoder.stage4.deconv0_leaky_1`, ..., `decoder.stage1.conv4_leaky_1`.
    ///
    /// The original numbers the transposed convolution of stage s with 4 − s; so stage 5, of side 64, which the original
    /// does not have, gets `deconv-1`.
    pub fn new(layout: &mut Layout, config: &ModelConfig) -> Decoder {
        let cell = |layout: &mut Layout, s: usize| {
            let grid = Grid { side: config.side.at_stage(s) };
            Gru::new(layout, &format!("decoder.rnn{s}"), grid, STATE_CHANNELS, config.norm)
        };
        let stage = |s: usize| {
            let cell = cell(layout, s);
            let name = format!("decoder.stage{s}.deconv{}_leaky_1", 4 - s as isize);
            let grid = Grid { side: config.side.at_stage(s) };
            Stage { cell, up: TransposedConv::new(layout, &name, grid, STATE_CHANNELS) }
        };
        let stages = (2..=config.side.stages()).rev().map(stage).collect();
        let grid = Grid { side: config.side.pixels() };
        let cell = cell(layout, 1);
        let conv = |layout: &mut Layout, name, shape| {
            Conv::new(layout, &format!("decoder.stage1.{name}_leaky_1"), grid, shape, Stride::One)
        };
        let narrow = conv(layout, "conv3", [FIRST_CHANNELS, STATE_CHANNELS, 3]);
        let mix = conv(layout, "conv4", [1, FIRST_CHANNELS, 1]);
        Decoder { stages, last: LastStage { cell, narrow, mix } }
    }

    /// Takes its weights out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        for stage in &mut self.stages {
            stage.cell.load(parameters);
            stage.up.load(parameters);
        }
        self.last.cell.load(parameters);
        self.last.narrow.load(parameters);
        self.last.mix.load(parameters);
    }

    /// Room for windows of `frames` frames.
    pub fn tape(&self, frames: usize) -> DecoderTape {
        let stage = |stage: &Stage| {
            let up = stage.up.tape();
            let step = Step { cell: stage.cell.tape(), dy: up.y.clone(), up };
            StageTape { steps: vec![step; frames], scratch: stage.cell.scratch(), dh: stage.cell.state() }
        };
        let LastStage { cell, narrow, mix } = &self.last;
        let step = LastStep { cell: cell.tape(), narrow: narrow.tape(), mix: mix.tape() };
        let last = LastTape {
            dnarrow: step.narrow.y.clone(),
            dmix: step.mix.y.clone(),
            steps: vec![step; frames],
            scratch: cell.scratch(),
            dh: cell.state(),
        };
        DecoderTape { stages: self.stages.iter().map(stage).collect(), last }
    }

    /// Runs from the encoder's last states; the frames are then in the tape.
    pub fn forward(&self, encoder: &EncoderTape, tape: &mut DecoderTape) {
        let frames = tape.last.steps.len();
        for (i, stage) in self.stages.iter().enumerate() {
            let (above, here) = tape.stages.split_at_mut(i);
            let start = encoder.last_state(self.stages.len() - i);
            for t in 0..frames {
                let (before, now) = here[0].steps.split_at_mut(t);
                let h = Some(before.last().map_or(start, |step| &step.cell.h));
                stage.cell.forward(Inputs { x: input(above, t), h }, &mut now[0].cell);
                stage.up.forward(&now[0].cell.h, &mut now[0].up);
            }
        }
        let start = encoder.last_state(0);
        for t in 0..frames {
            let (before, now) = tape.last.steps.split_at_mut(t);
            let step = &mut now[0];
            let h = Some(before.last().map_or(start, |step| &step.cell.h));
            self.last.cell.forward(Inputs { x: input(&tape.stages, t), h }, &mut step.cell);
            self.last.narrow.forward(&step.cell.h, &mut step.narrow);
            self.last.mix.forward(&step.narrow.y, &mut step.mix);
        }
    }

    /// Goes back over the frames: `dy(t, y, planes)` writes the gradient of frame t, y, the parameters' gradients are added, and
    /// `first[s]` becomes the gradient of the encoder's last state of stage s (from 0).
    pub fn backward(
        &self,
        encoder: &EncoderTape,
        tape: &mut DecoderTape,
        first: &mut [Planes],
        gradient: &mut [f32],
        dy: impl Fn(usize, &Planes, &mut Planes),
    ) {
        let frames = tape.last.steps.len();
        first.iter_mut().for_each(Planes::clear);
        let LastTape { steps, scratch, dh, dnarrow, dmix } = &mut tape.last;
        for t in (0..frames).rev() {
            let (before, now) = steps.split_at_mut(t);
            let step = &mut now[0];
            dy(t, &step.mix.y, dmix);
            self.last.mix.backward(&step.narrow.y, &step.mix, dmix, gradient);
            self.last.mix.input_gradient(&mut step.mix, dmix, dnarrow);
            self.last.narrow.backward(&step.cell.h, &step.narrow, dnarrow, gradient);
            self.last.narrow.input_gradient(&mut step.narrow, dnarrow, dh);
            first[0].add(dh);
            let h = Some(before.last().map_or(encoder.last_state(0), |step| &step.cell.h));
            let (x, dx) = input_and_gradient(&mut tape.stages, t);
            self.last.cell.backward(Inputs { x, h }, &step.cell, scratch, gradient, dx, &mut first[0]);
        }
        for (i, stage) in self.stages.iter().enumerate().rev() {
            let s = self.stages.len() - i;
            let (above, here) = tape.stages.split_at_mut(i);
            let StageTape { steps, scratch, dh } = &mut here[0];
            for t in (0..frames).rev() {
                let (before, now) = steps.split_at_mut(t);
                let step = &mut now[0];
                stage.up.backward(&step.cell.h, &mut step.up, &mut step.dy, gradient, dh);
                first[s].add(dh);
                let h = Some(before.last().map_or(encoder.last_state(s), |step| &step.cell.h));
                let (x, dx) = input_and_gradient(above, t);
                stage.cell.backward(Inputs { x, h }, &step.cell, scratch, gradient, dx, &mut first[s]);
            }
        }
    }
}

impl DecoderTape {
    /// The reconstruction of frame `t`: one channel.
    pub fn frame(&self, t: usize) -> &Planes {
        &self.last.steps[t].mix.y
    }
}

/// What the stage below `above` gets in step `t`: nothing if there is none above.
fn input(above: &[StageTape], t: usize) -> Option<&Planes> {
    above.last().map(|stage| &stage.steps[t].up.y)
}

/// As [`input`], and the place, cleared, where the gradient of that input is added.
fn input_and_gradient(above: &mut [StageTape], t: usize) -> (Option<&Planes>, Option<&mut Planes>) {
    let Some(stage) = above.last_mut() else { return (None, None) };
    let Step { up, dy, .. } = &mut stage.steps[t];
    dy.clear();
    (Some(&up.y), Some(dy))
}
