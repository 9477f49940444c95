//! The whole network over a block of windows, forward and backward.

use super::categorical::Categorical;
use super::cell::{Cell, Sources, State};
use super::loss::{lanes_of, loss, loss_back};
use super::planes::Planes;
use super::simd::Simd;
use super::stage::{Down, Up};
use super::workspace::Workspace;
use crate::model::{Architecture, Autoencoder, Grid, Head, ModelConfig, conv_window, stride, transposed_window};

/// All layers with their weights, ready to compute. Index 0 of a list is stage 1.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub config: ModelConfig,
    pub down: Vec<Down>,
    pub encoder: Vec<Cell>,
    pub decoder: Vec<Cell>,
    /// `up[0]` leads from stage 2 to stage 1.
    pub up: Vec<Up>,
    pub narrow: Down,
    pub last: Last,
}

/// The last layer.
#[derive(Debug, Clone)]
pub(crate) enum Last {
    /// To the pixel.
    Mix(Down),
    /// To how probable each value of the byte is.
    Categorical(Categorical),
}

impl Network {
    /// The layers of a model; its weights are not loaded yet.
    pub fn new(model: &Autoencoder) -> Network {
        let (config, architecture): (_, &Architecture) = (*model.config(), model.architecture());
        let shape = config.shape;
        let one = Grid { height: 1, width: 1 };
        let step = |stage: usize| if stage == 0 { one } else { stride(shape) };
        let down = |(stage, conv)| Down::new(conv, &conv_window(conv, step(stage)));
        let top = architecture.decoder.len() - 1;
        let sources = |stage: usize| if stage == top { Sources::State } else { Sources::Both };
        Network {
            config,
            down: architecture.down.iter().enumerate().map(down).collect(),
            encoder: architecture.encoder.iter().map(|cell| Cell::new(shape, cell, Sources::Both)).collect(),
            decoder: architecture
                .decoder
                .iter()
                .enumerate()
                .map(|(s, cell)| Cell::new(shape, cell, sources(s)))
                .collect(),
            up: architecture.up.iter().map(|conv| Up::new(conv, &transposed_window(conv, shape))).collect(),
            narrow: down((0, &architecture.narrow)),
            last: match config.head {
                Head::Linear | Head::Sigmoid => Last::Mix(down((0, &architecture.mix))),
                Head::Categorical => Last::Categorical(Categorical::new(&architecture.mix)),
            },
        }
    }

    /// Takes all weights out of the line of parameters.
    pub fn load(&mut self, values: &[f32]) {
        self.down.iter_mut().for_each(|layer| layer.load(values));
        self.encoder.iter_mut().chain(&mut self.decoder).for_each(|cell| cell.load(values));
        self.up.iter_mut().for_each(|layer| layer.load(values));
        self.narrow.load(values);
        match &mut self.last {
            Last::Mix(mix) => mix.load(values),
            Last::Categorical(categorical) => categorical.load(values),
        }
    }

    /// Sends the workspace's frames through the encoder: its last states hold the code.
    pub fn encode<S: Simd>(&self, s: S, work: &mut Workspace) {
        for t in 0..self.config.frames.count() {
            for stage in 0..self.encoder.len() {
                let (below, here) = work.encoder.split_at_mut(stage);
                let (before, tape) = here[0].step(t);
                let x = below.last().map_or(&work.frames[t], |below| &below.at(t).h);
                self.down[stage].forward(s, x, &mut work.phases[stage], &mut tape.x);
                self.encoder[stage].forward(s, before.map(|tape| tape.state()), tape, &mut work.scratch);
            }
        }
    }

    /// And through the decoder, frame by frame; `each` sees every frame that it gives, before a sigmoid
    /// head (of a categorical head its two results), and the window's frames.
    pub fn forward<S: Simd>(&self, s: S, work: &mut Workspace, mut each: impl FnMut(usize, &Planes, &[Planes])) {
        self.encode(s, work);
        for t in 0..self.config.emitted_frames() {
            for stage in (0..self.decoder.len()).rev() {
                let (here, above) = work.decoder.split_at_mut(stage + 1);
                let (before, tape) = here[stage].step(t);
                if let (Some(above), Some(up)) = (above.first(), self.up.get(stage)) {
                    up.forward(s, &above.at(t).h, &mut work.phases[stage + 1], &mut tape.x);
                }
                let before = before.map_or(work.encoder[stage].last().state(), |tape| tape.state());
                self.decoder[stage].forward(s, Some(before), tape, &mut work.scratch);
            }
            let heads = work.heads.len();
            let head = &mut work.heads[t % heads];
            // Without a stride there are no phases.
            let (h, phases) = (&work.decoder[0].at(t).h, &mut work.phases[0]);
            self.narrow.forward(s, h, phases, &mut head.narrow);
            match &self.last {
                Last::Mix(mix) => mix.forward(s, &head.narrow, phases, &mut head.result),
                Last::Categorical(categorical) => {
                    let target = &work.frames[self.first_target() + t];
                    categorical.forward(s, &head.narrow, target, &mut head.result);
                }
            }
            each(t, &head.result, &work.frames);
        }
    }

    /// Goes back from the loss: adds the gradient of every parameter to `gradient` and returns the sum of the losses of all
    /// pixels of the first `count` windows. `factor` is what that sum is multiplied by to give the batch's loss.
    pub fn backward<S: Simd>(
        &self,
        s: S,
        work: &mut Workspace,
        count: usize,
        factor: f32,
        gradient: &mut [f32],
    ) -> f64 {
        let Workspace { frames, encoder, decoder, phases, heads, gradients, head_gradients, sums, scratch } = work;
        gradients.iter_mut().for_each(|gradients| gradients.clear());
        let targets = &frames[self.first_target()..];
        let mut sum = 0.0;
        for t in (0..self.config.emitted_frames()).rev() {
            let (head, back) = (&heads[t], &mut *head_gradients);
            let [dnarrow, dresult, phases_of_one] = [&mut back.narrow, &mut back.result, &mut phases[0]];
            dnarrow.all_mut().fill(0.0);
            match &self.last {
                Last::Mix(mix) => {
                    sum += loss_back(s, self.config.head, count, factor, &head.result, &targets[t], dresult);
                    mix.backward(s, &head.narrow, &head.result, dresult, phases_of_one, Some(dnarrow), gradient);
                }
                Last::Categorical(categorical) => {
                    sum += loss(s, self.config.head, count, &head.result, &targets[t]);
                    let wanted = lanes_of(count, head.result.raster.windows).map(|lane| lane * factor);
                    categorical.backward(s, &head.narrow, &targets[t], &wanted, dnarrow, sums, gradient);
                }
            }
            let (h, dh) = (&decoder[0].at(t).h, &mut gradients[0].h);
            self.narrow.backward(s, h, &head.narrow, dnarrow, phases_of_one, Some(dh), gradient);
            for stage in 0..self.decoder.len() {
                let (before, tape) = decoder[stage].look(t);
                let before: State = before.map_or(encoder[stage].last().state(), |tape| tape.state());
                let (here, above) = gradients.split_at_mut(stage + 1);
                let here = &mut here[stage];
                self.decoder[stage].backward(s, Some(before), tape, here, gradient, scratch);
                if let (Some(above), Some(up)) = (above.first_mut(), self.up.get(stage)) {
                    let h = &decoder[stage + 1].at(t).h;
                    up.backward(s, h, &tape.x, &mut here.x, &mut phases[stage + 1], &mut above.h, gradient);
                }
            }
        }
        for t in (0..self.config.frames.count()).rev() {
            for stage in (0..self.encoder.len()).rev() {
                let (before, tape) = encoder[stage].look(t);
                let (below, here) = gradients.split_at_mut(stage);
                let here = &mut here[0];
                self.encoder[stage].backward(s, before.map(|tape| tape.state()), tape, here, gradient, scratch);
                let (x, dx) = match below.last_mut() {
                    Some(below) => (&encoder[stage - 1].at(t).h, Some(&mut below.h)),
                    None => (&frames[t], None),
                };
                self.down[stage].backward(s, x, &tape.x, &mut here.x, &mut phases[stage], dx, gradient);
            }
        }
        sum
    }

    /// The sum of the losses of all pixels of the first `count` windows.
    pub fn loss<S: Simd>(&self, s: S, work: &mut Workspace, count: usize) -> f64 {
        let (mut sum, first) = (0.0, self.first_target());
        self.forward(s, work, |t, y, frames| sum += loss(s, self.config.head, count, y, &frames[first + t]));
        sum
    }

    /// Which of a window's frames the decoder's first one is compared with.
    pub fn first_target(&self) -> usize {
        self.config.window_frames() - self.config.emitted_frames()
    }
}
