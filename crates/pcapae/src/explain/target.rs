//! Targets: which number is explained, its value, its gradient, and where its relevance begins.

use super::backward::{Backward, dense};
use super::code_score::CodeScore;
use super::composite::{Composite, ErrorRule};
use crate::engine::Architecture;
use crate::engine::reference::{FeatureMap, Node, Op, Recording};
use crate::model::{CODE_SIZE, Head, ModelConfig};
use crate::{Error, Result};

/// The number that is explained.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Target<'a> {
    /// The anomaly score of one of the frames that the decoder gives, counted from 0: the mean over its pixels of the squared error,
    /// or of a categorical head of −ln p of the byte.
    Score {
        /// Which frame.
        frame: usize,
    },
    /// One number of the code, counted from 0.
    Code {
        /// Which, below [`CODE_SIZE`].
        entry: usize,
    },
    /// What a detector says of the code.
    Detector(CodeScore<'a>),
    /// A pixel that the decoder gives. Not of a categorical head, which gives none.
    Pixel {
        /// Which of the decoder's frames, counted from 0.
        frame: usize,
        /// Which of its pixels, row by row from 0.
        pixel: usize,
    },
    /// The brightest of them, as in the thesis's code.
    Brightest,
}

impl Target<'_> {
    /// Its name: `score`, `code:3`, `detector`, `brightest`.
    pub fn name(&self) -> String {
        match self {
            Target::Score { .. } => "score".into(),
            Target::Code { entry } => format!("code:{entry}"),
            Target::Detector(score) if score.is_sampled() => "detector, sampled".into(),
            Target::Detector(_) => "detector".into(),
            Target::Pixel { frame, pixel } => format!("pixel:{frame}:{pixel}"),
            Target::Brightest => "brightest".into(),
        }
    }

    pub(super) fn check(&self, config: &ModelConfig) -> Result<()> {
        let refuse = |setting, got: usize, count: usize| {
            let expected = format!("0 to {}", count - 1);
            Err(Error::Setting { setting, got: got.to_string(), expected, remedy: None })
        };
        match self {
            Target::Score { frame } if *frame >= config.emitted_frames() => {
                refuse("frame", *frame, config.emitted_frames())
            }
            Target::Code { entry } if *entry >= CODE_SIZE => refuse("entry of the code", *entry, CODE_SIZE),
            Target::Pixel { frame, .. } if *frame >= config.emitted_frames() => {
                refuse("frame", *frame, config.emitted_frames())
            }
            Target::Pixel { pixel, .. } if *pixel >= config.side.fragment_size() => {
                refuse("pixel", *pixel, config.side.fragment_size())
            }
            Target::Pixel { .. } | Target::Brightest if config.head == Head::Categorical => Err(Error::Setting {
                setting: "target",
                got: self.name(),
                expected: "score, code or detector: this model gives probabilities, not pixels".into(),
                remedy: None,
            }),
            _ => Ok(()),
        }
    }
}

/// A window's recorded way through the network, and the frames that the output is compared with.
pub(super) struct Run<'a> {
    pub config: &'a ModelConfig,
    pub architecture: &'a Architecture,
    pub recording: Recording<'a>,
    /// All values of the window: those of the encoder's frames, then of those to be predicted.
    pub window: Vec<f64>,
    /// The byte at each pixel, for a categorical head: the classes do not move with the values.
    pub bytes: &'a [u8],
}

/// Numbers for every frame of a window.
pub(super) type Frames = Vec<Vec<f64>>;

impl Run<'_> {
    fn size(&self) -> usize {
        self.config.side.fragment_size()
    }

    /// Which frame of the window the decoder's frame `emitted` should equal.
    fn frame_of(&self, emitted: usize) -> usize {
        self.config.window_frames() - self.config.emitted_frames() + emitted
    }

    fn pixels_of(&self, frame: usize) -> std::ops::Range<usize> {
        frame * self.size()..(frame + 1) * self.size()
    }

    /// Zeros for every frame.
    pub fn zeros(&self) -> Frames {
        vec![vec![0.0; self.size()]; self.config.window_frames()]
    }

    fn code(&self) -> &[f64] {
        &self.recording.graph.value(self.recording.code).values
    }

    /// The target with the position of the brightest pixel fixed, so that it stays the same when the window is changed.
    pub fn fixed<'t>(&self, target: &Target<'t>) -> Target<'t> {
        match target {
            Target::Brightest => {
                let (frame, pixel) = self.pixel(target);
                Target::Pixel { frame, pixel }
            }
            other => *other,
        }
    }

    /// Each pixel's own part of the score, zeros for other targets.
    pub fn residual_map(&self, target: &Target) -> Frames {
        let mut map = self.zeros();
        if let Target::Score { frame } = target {
            map[self.frame_of(*frame)] = self.errors(*frame);
        }
        map
    }

    /// The target's value.
    pub fn value(&self, target: &Target) -> Result<f64> {
        Ok(match target {
            Target::Score { frame } => self.errors(*frame).iter().sum(),
            Target::Code { entry } => self.code()[*entry],
            Target::Detector(score) => score.value(self.code())?,
            Target::Pixel { .. } | Target::Brightest => {
                let (frame, pixel) = self.pixel(target);
                self.recording.graph.value(self.recording.outputs[frame]).values[pixel]
            }
        })
    }

    /// Each pixel's share of the score.
    pub fn errors(&self, emitted: usize) -> Vec<f64> {
        let y = self.recording.graph.value(self.recording.outputs[emitted]);
        let target = self.pixels_of(self.frame_of(emitted));
        let size = self.size() as f64;
        match self.config.head {
            Head::Categorical => {
                let surprise = |(pixel, byte): (usize, &u8)| surprise(y, pixel, *byte) / size;
                self.bytes[target].iter().enumerate().map(surprise).collect()
            }
            Head::Linear | Head::Sigmoid => {
                y.values.iter().zip(&self.window[target]).map(|(y, x)| (y - x).powi(2) / size).collect()
            }
        }
    }

    /// Frame and pixel that a target of pixels means; of the brightest, the first of equal ones.
    pub fn pixel(&self, target: &Target) -> (usize, usize) {
        if let Target::Pixel { frame, pixel } = target {
            return (*frame, *pixel);
        }
        let mut best = ((0, 0), f64::NEG_INFINITY);
        for (frame, node) in self.recording.outputs.iter().enumerate() {
            for (pixel, value) in self.recording.graph.value(*node).values.iter().enumerate() {
                if *value > best.1 {
                    best = ((frame, pixel), *value);
                }
            }
        }
        best.0
    }

    /// The gradient of the target with respect to every pixel of the window.
    pub fn gradient(&self, target: &Target) -> Result<Frames> {
        let graph = &self.recording.graph;
        let mut total = self.zeros();
        let seed = match target {
            Target::Score { frame } => {
                let node = self.recording.outputs[*frame];
                let of_window = self.frame_of(*frame);
                let gradient = self.error_gradient(node, of_window);
                if self.config.head != Head::Categorical {
                    // The byte is not only seen by the encoder: it is also what the reconstruction is compared with.
                    let behind_head = graph.value(node).values.iter().zip(&self.window[self.pixels_of(of_window)]);
                    let size = self.size() as f64;
                    total[of_window] = behind_head.map(|(y, x)| -2.0 * (y - x) / size).collect();
                }
                (node, FeatureMap { values: gradient, ..graph.value(node).clone() })
            }
            Target::Code { entry } => (self.recording.code, self.one_hot(self.recording.code, *entry, 1.0)),
            Target::Detector(score) => {
                let code = graph.value(self.recording.code);
                (self.recording.code, FeatureMap { values: score.gradient(&code.values)?, ..code.clone() })
            }
            Target::Pixel { .. } | Target::Brightest => {
                let (frame, pixel) = self.pixel(target);
                let node = self.recording.outputs[frame];
                (node, self.one_hot(node, pixel, 1.0))
            }
        };
        let count = self.architecture.pointwise.bias.end.max(self.architecture.pointwise.weight.end);
        let gradient = graph.gradient(vec![seed], count);
        for (frame, total) in self.recording.frames.iter().zip(&mut total) {
            if let Some(of_frame) = &gradient.values[frame.0] {
                total.iter_mut().zip(&of_frame.values).for_each(|(total, part)| *total += part);
            }
        }
        Ok(total)
    }

    /// The gradient of the score with respect to what the decoder outputs for its frame.
    fn error_gradient(&self, node: Node, of_window: usize) -> Vec<f64> {
        let y = self.recording.graph.value(node);
        let (target, size) = (self.pixels_of(of_window), self.size());
        match self.config.head {
            Head::Categorical => {
                let mut gradient = vec![0.0; y.values.len()];
                for (pixel, byte) in self.bytes[target].iter().enumerate() {
                    for (value, p) in probabilities(y, pixel).into_iter().enumerate() {
                        let wanted = if value == usize::from(*byte) { 1.0 } else { 0.0 };
                        gradient[value * size + pixel] = (p - wanted) / size as f64;
                    }
                }
                gradient
            }
            Head::Linear | Head::Sigmoid => {
                y.values.iter().zip(&self.window[target]).map(|(y, x)| 2.0 * (y - x) / size as f64).collect()
            }
        }
    }

    /// Gives the target's relevance to where it begins; what stays at pixels, and what is constant.
    pub fn begin(&self, target: &Target, composite: &Composite, backward: &mut Backward) -> Result<(Frames, f64)> {
        let mut stays = self.zeros();
        let mut constant = 0.0;
        match target {
            Target::Score { frame } => {
                let mut errors = self.errors(*frame);
                if composite.error == ErrorRule::Both {
                    errors.iter_mut().for_each(|error| *error /= 2.0);
                    stays[self.frame_of(*frame)].clone_from(&errors);
                }
                let node = self.recording.outputs[*frame];
                match self.config.head {
                    Head::Categorical => self.begin_at_logits(*frame, &errors, composite, backward),
                    Head::Linear | Head::Sigmoid => {
                        backward.add(node, FeatureMap { values: errors, ..self.recording.graph.value(node).clone() });
                    }
                }
            }
            Target::Code { entry } => {
                let value = self.code()[*entry];
                backward.add(self.recording.code, self.one_hot(self.recording.code, *entry, value));
            }
            Target::Detector(score) => {
                let taken_apart = score.shares(self.code())?;
                constant = taken_apart.constant;
                let code = self.recording.graph.value(self.recording.code).clone();
                backward.add(self.recording.code, FeatureMap { values: taken_apart.shares, ..code });
            }
            Target::Pixel { .. } | Target::Brightest => {
                let (frame, pixel) = self.pixel(target);
                let node = self.recording.outputs[frame];
                let value = self.recording.graph.value(node).values[pixel];
                backward.add(node, self.one_hot(node, pixel, value));
            }
        }
        Ok((stays, constant))
    }

    /// −ln p of the byte v is a soft maximum over the other values v' of z(v') − z(v), each a neuron whose weights are the difference of
    /// two logits' weights. Its relevance goes to these neurons as their softmax says, and by the last layer's rule on to the layer before.
    ///
    /// After Kauffmann et al., *From Clustering to Cluster Explanations via Neural Networks*, 2022, where it is a soft minimum over clusters.
    fn begin_at_logits(&self, frame: usize, errors: &[f64], composite: &Composite, backward: &mut Backward) {
        let graph = &self.recording.graph;
        let node = self.recording.outputs[frame];
        let Op::Conv { x: before, weight, bias, .. } = graph.op(node).clone() else { return };
        let (logits, x) = (graph.value(node), graph.value(before));
        let (w, b) = (graph.parameters(&weight), graph.parameters(&bias));
        let (pixels, channels) = (x.grid.pixels(), x.channels);
        let bytes = &self.bytes[self.pixels_of(self.frame_of(frame))];
        let mut relevance = FeatureMap::zeros(channels, x.grid);
        for (pixel, (byte, error)) in bytes.iter().zip(errors).enumerate() {
            let byte = usize::from(*byte);
            let others: Vec<usize> = (0..b.len()).filter(|value| *value != byte).collect();
            let p = probabilities(logits, pixel);
            let rest: f64 = others.iter().map(|value| p[*value]).sum();
            let of_neuron =
                |value: &usize| if rest > 0.0 { error * p[*value] / rest } else { error / others.len() as f64 };
            let difference = |value: &usize| {
                let row = |value: usize| &w[value * channels..(value + 1) * channels];
                row(*value).iter().zip(row(byte)).map(|(other, own)| other - own).collect::<Vec<f64>>()
            };
            let shared = dense(
                others.iter().flat_map(difference).collect(),
                others.iter().map(|value| b[*value] - b[byte]).collect(),
                (0..channels).map(|channel| x.values[channel * pixels + pixel]).collect(),
                others.iter().map(of_neuron).collect(),
                &composite.output,
            );
            for (channel, r) in shared.inputs.values.iter().enumerate() {
                relevance.values[channel * pixels + pixel] = *r;
            }
            backward.account(&weight, &shared);
        }
        backward.add(before, relevance);
    }

    fn one_hot(&self, node: Node, at: usize, value: f64) -> FeatureMap {
        let whole = self.recording.graph.value(node);
        let mut map = FeatureMap::zeros(whole.channels, whole.grid);
        map.values[at] = value;
        map
    }
}

fn logits_of(logits: &FeatureMap, pixel: usize) -> Vec<f64> {
    logits.values.iter().skip(pixel).step_by(logits.grid.pixels()).copied().collect()
}

/// −ln p of a byte, finite where p is too small for a number.
fn surprise(logits: &FeatureMap, pixel: usize, byte: u8) -> f64 {
    let z = logits_of(logits, pixel);
    let highest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = z.iter().map(|z| (z - highest).exp()).sum();
    highest + sum.ln() - z[usize::from(byte)]
}

/// The softmax of a pixel's logits.
fn probabilities(logits: &FeatureMap, pixel: usize) -> Vec<f64> {
    let z = logits_of(logits, pixel);
    let highest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = z.iter().map(|z| (z - highest).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|e| e / sum).collect()
}
