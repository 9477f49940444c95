//! All layers over a block of windows, forward and backward.

use crate::categorical::Categorical;
use crate::cell::Cell;
use crate::conv_layer::{ConvLayer, TransposedConvLayer};
use crate::feature_maps::FeatureMaps;
use crate::gate_convs::Sources;
use crate::loss::{loss, loss_backward, window_mask};
use crate::network::{ConvGeometry, Grid, Head, ModelConfig, Network, stride};
use crate::simd::Simd;
use crate::tape::State;
use crate::workspace::Workspace;

/// All layers with their weights, ready to compute. Index 0 of a list is stage 1.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    pub config: ModelConfig,
    pub down: Vec<ConvLayer>,
    pub encoder: Vec<Cell>,
    pub decoder: Vec<Cell>,
    /// `up[0]` leads from stage 2 to stage 1.
    pub up: Vec<TransposedConvLayer>,
    pub narrow: ConvLayer,
    pub last: Last,
}

/// The last layer.
#[derive(Debug, Clone)]
pub(crate) enum Last {
    /// To the pixel.
    Pointwise(ConvLayer),
    /// To the probability of each value of the byte.
    Categorical(Categorical),
}

impl Layers {
    /// The layers of a network; the parameters are not loaded yet.
    pub fn new(network: &Network) -> Layers {
        let (config, architecture) = (*network.config(), network.architecture());
        let shape = config.shape;
        let step = |stage: usize| if stage == 0 { Grid::ONE } else { stride(shape) };
        let down = |(stage, conv)| ConvLayer::new(conv, &ConvGeometry::conv(conv, step(stage)));
        let top = architecture.decoder.len() - 1;
        let sources = |stage: usize| if stage == top { Sources::State } else { Sources::Both };
        Layers {
            config,
            down: architecture.down.iter().enumerate().map(down).collect(),
            encoder: architecture.encoder.iter().map(|cell| Cell::new(shape, cell, Sources::Both)).collect(),
            decoder: architecture
                .decoder
                .iter()
                .enumerate()
                .map(|(s, cell)| Cell::new(shape, cell, sources(s)))
                .collect(),
            up: architecture
                .up
                .iter()
                .map(|conv| TransposedConvLayer::new(conv, &ConvGeometry::transposed(conv, shape)))
                .collect(),
            narrow: down((0, &architecture.narrow)),
            last: match config.head {
                Head::Linear | Head::Sigmoid => Last::Pointwise(down((0, &architecture.pointwise))),
                Head::Categorical => Last::Categorical(Categorical::new(&architecture.pointwise)),
            },
        }
    }

    /// Loads all weights from the flat parameters.
    pub fn load(&mut self, values: &[f32]) {
        self.down.iter_mut().for_each(|layer| layer.load(values));
        self.encoder.iter_mut().chain(&mut self.decoder).for_each(|cell| cell.load(values));
        self.up.iter_mut().for_each(|layer| layer.load(values));
        self.narrow.load(values);
        match &mut self.last {
            Last::Pointwise(conv) => conv.load(values),
            Last::Categorical(categorical) => categorical.load(values),
        }
    }

    /// Runs the encoder over the workspace's frames; its last states hold the code.
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

    /// Runs encoder and decoder; `each` gets the number and the output of every frame, before a sigmoid head (of a categorical head
    /// its two results), and the window's frames.
    pub fn forward<S: Simd>(
        &self,
        s: S,
        work: &mut Workspace,
        mut each: impl FnMut(usize, &FeatureMaps, &[FeatureMaps]),
    ) {
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
            // Without a stride the phases are not used.
            let (h, phases) = (&work.decoder[0].at(t).h, &mut work.phases[0]);
            self.narrow.forward(s, h, phases, &mut head.narrow);
            match &self.last {
                Last::Pointwise(conv) => conv.forward(s, &head.narrow, phases, &mut head.result),
                Last::Categorical(categorical) => {
                    let target = &work.frames[self.first_target() + t];
                    categorical.forward(s, &head.narrow, target, &mut head.result);
                }
            }
            each(t, &head.result, &work.frames);
        }
    }

    /// Backward pass from the loss: adds the gradient of every parameter to `gradient` and returns the sum of the losses of all
    /// pixels of the first `count` windows. The batch's loss is that sum times `factor`.
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
            let [grad_narrow, grad_result, phases_of_one] = [&mut back.narrow, &mut back.result, &mut phases[0]];
            grad_narrow.all_mut().fill(0.0);
            match &self.last {
                Last::Pointwise(conv) => {
                    sum += loss_backward(s, self.config.head, count, factor, &head.result, &targets[t], grad_result);
                    conv.backward(
                        s,
                        &head.narrow,
                        &head.result,
                        grad_result,
                        phases_of_one,
                        Some(grad_narrow),
                        gradient,
                    );
                }
                Last::Categorical(categorical) => {
                    sum += loss(s, self.config.head, count, &head.result, &targets[t]);
                    let factors = window_mask(count, head.result.raster.windows).map(|lane| lane * factor);
                    categorical.backward(s, &head.narrow, &targets[t], &factors, grad_narrow, sums, gradient);
                }
            }
            let (h, grad_h) = (&decoder[0].at(t).h, &mut gradients[0].h);
            self.narrow.backward(s, h, &head.narrow, grad_narrow, phases_of_one, Some(grad_h), gradient);
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
                let (x, grad_input) = match below.last_mut() {
                    Some(below) => (&encoder[stage - 1].at(t).h, Some(&mut below.h)),
                    None => (&frames[t], None),
                };
                self.down[stage].backward(s, x, &tape.x, &mut here.x, &mut phases[stage], grad_input, gradient);
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

    /// The window's frame that the decoder's first frame is compared with.
    pub fn first_target(&self) -> usize {
        self.config.window_frames() - self.config.emitted_frames()
    }
}
