//! The encoder: stages of convolution and cell, each at half the side of the one before.

use super::config::{FIRST_CHANNELS, ModelConfig, STATE_CHANNELS};
use super::conv::{Conv, ConvTape, Stride};
use super::gate::Inputs;
use super::gru::{Gru, GruScratch, GruTape};
use super::parameters::Layout;
use super::planes::{Grid, Planes};

/// Stages 1 … S: 3 × 3 convolution (stride 2 but in the first), leaky rectifier, cell.
#[derive(Debug, Clone)]
pub(crate) struct Encoder {
    stages: Vec<Stage>,
}

#[derive(Debug, Clone)]
struct Stage {
    conv: Conv,
    cell: Gru,
}

/// What the way back through a window needs: per stage, per frame.
#[derive(Debug, Clone)]
pub(crate) struct EncoderTape {
    stages: Vec<StageTape>,
}

#[derive(Debug, Clone)]
struct StageTape {
    steps: Vec<Step>,
    scratch: GruScratch,
    /// Gradient of the convolution's output.
    dx: Planes,
}

#[derive(Debug, Clone)]
struct Step {
    conv: ConvTape,
    cell: GruTape,
    /// Gradient of this step's state from the stage above.
    dh: Planes,
}

impl Encoder {
    /// Declares its parameters: `encoder.stage1.conv1_leaky_1`, `encoder.rnn1`, `encoder.stage2.conv2_leaky_1`, ...
    pub fn new(layout: &mut Layout, config: &ModelConfig) -> Encoder {
        let stages = 1..=config.side.stages();
        let stage = |s: usize| {
            let name = format!("encoder.stage{s}.conv{s}_leaky_1");
            let grid = Grid { side: config.side.at_stage(s) };
            let (conv, channels) = if s == 1 {
                (Conv::new(layout, &name, grid, [FIRST_CHANNELS, 1, 3], Stride::One), FIRST_CHANNELS)
            } else {
                let above = Grid { side: config.side.at_stage(s - 1) };
                let shape = [STATE_CHANNELS, STATE_CHANNELS, 3];
                (Conv::new(layout, &name, above, shape, Stride::Two), STATE_CHANNELS)
            };
            Stage { conv, cell: Gru::new(layout, &format!("encoder.rnn{s}"), grid, channels, config.norm) }
        };
        Encoder { stages: stages.map(stage).collect() }
    }

    /// Takes its weights out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        for stage in &mut self.stages {
            stage.conv.load(parameters);
            stage.cell.load(parameters);
        }
    }

    /// Room for windows of `frames` frames.
    pub fn tape(&self, frames: usize) -> EncoderTape {
        let stage = |stage: &Stage| {
            let step = Step { conv: stage.conv.tape(), cell: stage.cell.tape(), dh: stage.cell.state() };
            StageTape { dx: step.conv.y.clone(), steps: vec![step; frames], scratch: stage.cell.scratch() }
        };
        EncoderTape { stages: self.stages.iter().map(stage).collect() }
    }

    /// Runs over the frames; the states are then in the tape.
    pub fn forward(&self, frames: &[Planes], tape: &mut EncoderTape) {
        for (s, stage) in self.stages.iter().enumerate() {
            let (below, here) = tape.stages.split_at_mut(s);
            let steps = &mut here[0].steps;
            for t in 0..frames.len() {
                let (before, now) = steps.split_at_mut(t);
                let step = &mut now[0];
                stage.conv.forward(input(frames, below, t), &mut step.conv);
                let h = before.last().map(|step| &step.cell.h);
                stage.cell.forward(Inputs { x: Some(&step.conv.y), h }, &mut step.cell);
            }
        }
    }

    /// Goes back over the frames and adds the parameters' gradients; `last[s]` is the gradient of the last state of the
    /// stage s (from 0), and is spent.
    pub fn backward(&self, frames: &[Planes], tape: &mut EncoderTape, last: &mut [Planes], gradient: &mut [f32]) {
        let top = self.stages.len() - 1;
        for (s, stage) in self.stages.iter().enumerate().rev() {
            let (below, here) = tape.stages.split_at_mut(s);
            let StageTape { steps, scratch, dx } = &mut here[0];
            let dh = &mut last[s];
            for t in (0..frames.len()).rev() {
                let (before, now) = steps.split_at_mut(t);
                let step = &mut now[0];
                if s < top {
                    dh.add(&step.dh);
                }
                dx.clear();
                let inputs = Inputs { x: Some(&step.conv.y), h: before.last().map(|step| &step.cell.h) };
                stage.cell.backward(inputs, &step.cell, scratch, gradient, Some(dx), dh);
                stage.conv.backward(input(frames, below, t), &step.conv, dx, gradient);
                if let Some(below) = below.last_mut() {
                    stage.conv.input_gradient(&mut step.conv, dx, &mut below.steps[t].dh);
                }
            }
        }
    }
}

/// What the stage above `below` sees of frame `t`.
fn input<'a>(frames: &'a [Planes], below: &'a [StageTape], t: usize) -> &'a Planes {
    below.last().map_or(&frames[t], |stage| &stage.steps[t].cell.h)
}

impl EncoderTape {
    /// The last state of stage `s`, counted from 0.
    pub fn last_state(&self, s: usize) -> &Planes {
        let steps = &self.stages[s].steps;
        &steps[steps.len() - 1].cell.h
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use npyz::NpyFile;
    use npyz::npz::NpzArchive;

    use super::*;
    use crate::model::{Autoencoder, Side};

    /// The original's last states of every stage, for four windows: `tests/golden/README.md` says how they were made.
    #[test]
    fn every_stage_ends_in_the_state_of_the_original() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gru16_f1");
        let weights = std::fs::read(golden.join("init_state.safetensors")).unwrap();
        let model = Autoencoder::from_safetensors(&weights, Some(Default::default())).unwrap();
        let mut layout = Layout::default();
        let mut encoder = Encoder::new(&mut layout, model.config());
        encoder.load(model.parameters().values());
        let input: Vec<f32> =
            NpyFile::new(&std::fs::read(golden.join("input.npy")).unwrap()[..]).unwrap().into_vec().unwrap();
        let mut states = NpzArchive::open(golden.join("encoder_states.npz")).unwrap();
        let mut tape = encoder.tape(1);
        for s in 0..Side::Sixteen.stages() {
            let name = format!("stage{}_h", s + 1);
            let expected: Vec<f32> = states.by_name(&name).unwrap().unwrap().into_vec().unwrap();
            let windows = input.chunks(256);
            assert_eq!(windows.len(), 4);
            for (window, expected) in windows.zip(expected.chunks(expected.len() / 4)) {
                let mut frame = Planes::zeros(Grid { side: 16 }, 1);
                frame.set_pixels(window.iter().copied());
                encoder.forward(&[frame], &mut tape);
                let got: Vec<f32> = tape.last_state(s).pixels().collect();
                assert_eq!(got.len(), expected.len());
                for (got, expected) in got.iter().zip(expected) {
                    assert!((got - expected).abs() < 1e-5, "{name}: {got} instead of {expected}");
                }
            }
        }
    }
}
