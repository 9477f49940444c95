//! The network written out in ONNX, for ONNX Runtime and all that reads its files.
//!
//! The steps of the [reference implementation](crate::engine::reference) become nodes one by one, so no second description of the
//! network can differ. Operators: <https://onnx.ai/onnx/operators/>.

mod message;

use std::collections::HashSet;
use std::ops::Range;

use prost::Message;

use self::message::{Attribute, Entry, Graph, Model, OperatorSet, Tensor, ValueInfo};
use super::autoencoder::Autoencoder;
use super::{CODE_SIZE, Head, ModelConfig};
use crate::engine::reference::{LEAK, NORM_EPSILON, Node, Op, Recording};
use crate::engine::{BYTE_VALUES, ConvGeometry, Grid};
use crate::fragment::Shape;
use crate::{Error, Result};

/// Version of ONNX's operators: the oldest that has all we need.
const OPERATORS: i64 = 17;

/// Version of the file's own structure that came with these operators (ONNX 1.12).
const IR_VERSION: i64 = 8;

/// The name of the input.
const FRAMES: &str = "frames";

/// Which part of a network to write out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From frames to the code.
    Encoder,
    /// From frames to the code and to the frames that the decoder gives.
    Autoencoder,
}

impl Part {
    /// Its name in the file's metadata.
    pub fn name(self) -> &'static str {
        match self {
            Part::Encoder => "encoder",
            Part::Autoencoder => "autoencoder",
        }
    }
}

impl Autoencoder {
    /// The network as an ONNX file, of operator set 17, for batches of any size; the same model gives the same bytes.
    ///
    /// | value | shape | meaning |
    /// |---|---|---|
    /// | input `frames` | f32 `[batch, frames, 1, side, side]` | byte / 255 |
    /// | output `code` | f32 `[batch, 64]` | the code, as [`Engine::encode`](crate::engine::Engine::encode) gives it |
    /// | output `reconstruction` | f32 `[batch, emitted frames, 1, side, side]` | the decoder's frames, of a categorical head the mean of each byte; not of the encoder alone |
    /// | output `logits` | f32 `[batch, emitted frames, 256, side, side]` | of a categorical head only: its softmax is how probable each byte is |
    ///
    /// For lines the last two axes are one, of side² values. Parameters have the names of the original's state dict. The metadata
    /// have the configuration as JSON, `config`, and the `part`.
    pub fn to_onnx(&self, part: Part) -> Result<Vec<u8>> {
        let zeros = vec![0.0; self.config().window_size()];
        let recording = self.network().record(&zeros);
        let config = serde_json::to_string(self.config()).map_err(Error::unwritable("model"))?;
        let entry = |key: &str, value: &str| Entry { key: key.to_owned(), value: value.to_owned() };
        let file = Model {
            ir_version: IR_VERSION,
            producer_name: env!("CARGO_PKG_NAME").to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(Writing::of(self, &recording, part)),
            opset_import: vec![OperatorSet { version: OPERATORS }],
            metadata_props: vec![entry("config", &config), entry("part", part.name())],
        };
        Ok(file.encode_to_vec())
    }
}

/// An ONNX graph under construction.
struct Writing<'a> {
    model: &'a Autoencoder,
    graph: Graph,
    /// The names of its constants so far.
    constants: HashSet<String>,
    /// The name of each recorded step's value.
    names: Vec<String>,
}

impl Writing<'_> {
    fn of(model: &Autoencoder, recording: &Recording, part: Part) -> Graph {
        let config = model.config();
        let frame = [vec![1], extents(config, config.grid(1))].concat();
        let frames = |count: usize| [vec![count as i64], frame.clone()].concat();
        let mut writing = Writing { model, graph: Graph::default(), constants: HashSet::new(), names: Vec::new() };
        writing.graph.name = format!("pcapae_{}", part.name());
        writing.graph.doc_string = "frames are bytes divided by 255".to_owned();
        writing.graph.input = vec![ValueInfo::of_batch(FRAMES, &frames(config.frames.count()))];
        writing.graph.output = vec![ValueInfo::of_batch("code", &[CODE_SIZE as i64])];
        let outputs = match part {
            Part::Encoder => &[][..],
            Part::Autoencoder => {
                let outputs = ValueInfo::of_batch("reconstruction", &frames(config.emitted_frames()));
                writing.graph.output.push(outputs);
                &recording.outputs
            }
        };
        writing.steps(recording, &[&[recording.code], outputs].concat());
        let code = writing.names[recording.code.0].clone();
        writing.named_node("code", "Flatten", vec![code], vec![Attribute::int("axis", 1)]);
        if !outputs.is_empty() {
            let given: Vec<String> = outputs.iter().map(|node| writing.names[node.0].clone()).collect();
            if config.head == Head::Categorical {
                let means = given.iter().map(|logits| writing.mean_byte(logits)).collect();
                writing.frames("reconstruction", means);
                writing.frames("logits", given);
                let logits = [&[config.emitted_frames() as i64, BYTE_VALUES as i64], &frame[1..]].concat();
                writing.graph.output.push(ValueInfo::of_batch("logits", &logits));
            } else {
                writing.frames("reconstruction", given);
            }
        }
        writing.graph
    }

    /// The frames of a window as one value.
    fn frames(&mut self, name: &str, frames: Vec<String>) {
        let axis = self.integers(&[1]);
        let frames = frames.into_iter().map(|x| self.node("Unsqueeze", vec![x, axis.clone()], vec![])).collect();
        self.named_node(name, "Concat", frames, vec![Attribute::int("axis", 1)]);
    }

    /// Σ p(v) · v / 255 of logits: a softmax, and a convolution with the values as its kernel.
    fn mean_byte(&mut self, logits: &str) -> String {
        let p = self.node("Softmax", vec![logits.to_owned()], vec![Attribute::int("axis", 1)]);
        let values: Vec<f32> = (0..BYTE_VALUES).map(|value| value as f32 / 255.0).collect();
        let one = vec![1; extents(self.model.config(), self.model.config().grid(1)).len()];
        let kernel = self.floats("byte_values", [vec![1, BYTE_VALUES as i64], one].concat(), &values);
        self.node("Conv", vec![p, kernel], vec![])
    }

    /// Writes all steps that `wanted` needs, in order.
    fn steps(&mut self, recording: &Recording, wanted: &[Node]) {
        let graph = &recording.graph;
        let mut needed = vec![false; graph.len()];
        wanted.iter().for_each(|node| needed[node.0] = true);
        for i in (0..graph.len()).rev() {
            if needed[i] {
                graph.op(Node(i)).inputs().iter().for_each(|node| needed[node.0] = true);
            }
        }
        for (i, needed) in needed.into_iter().enumerate() {
            let name = if needed { self.step(recording, Node(i)) } else { String::new() };
            self.names.push(name);
        }
    }

    /// Writes a step and returns the name of its value.
    fn step(&mut self, recording: &Recording, node: Node) -> String {
        let value = recording.graph.value(node);
        let shape = [vec![value.channels as i64], extents(self.model.config(), value.grid)].concat();
        let of = |node: &Node| self.names[node.0].clone();
        match recording.graph.op(node) {
            Op::Input => match recording.frames.iter().position(|frame| *frame == node) {
                Some(t) => self.frame(t),
                // Every other input is a state or an input of zeros.
                None => self.zeros(&shape),
            },
            Op::Conv { x, geometry, weight, bias } => self.convolution("Conv", of(x), geometry, weight, bias),
            Op::TransposedConv { x, geometry, weight, bias } => {
                self.convolution("ConvTranspose", of(x), geometry, weight, bias)
            }
            Op::GroupNorm { x, group, gamma, beta } => self.group_norm(of(x), &shape, *group as i64, gamma, beta),
            Op::Leaky { x } => self.node("LeakyRelu", vec![of(x)], vec![Attribute::float("alpha", LEAK as f32)]),
            Op::Sigmoid { x } => self.node("Sigmoid", vec![of(x)], vec![]),
            Op::Tanh { x } => self.node("Tanh", vec![of(x)], vec![]),
            Op::Concat { a, b } => self.node("Concat", vec![of(a), of(b)], vec![Attribute::int("axis", 1)]),
            Op::Channels { x, channels } => {
                let [x, start] = [of(x), self.integers(&[channels.start as i64])];
                let [end, axis] = [self.integers(&[channels.end as i64]), self.integers(&[1])];
                self.node("Slice", vec![x, start, end, axis], vec![])
            }
            Op::Sum { a, b } => self.node("Add", vec![of(a), of(b)], vec![]),
            Op::Product { a, b } => self.node("Mul", vec![of(a), of(b)], vec![]),
            Op::Complement { x } => {
                let [x, one] = [of(x), self.floats("one", vec![], &[1.0])];
                self.node("Sub", vec![one, x], vec![])
            }
            Op::Scale { x, factors } => {
                let [x, name] = [of(x), format!("factors_{}", node.0)];
                let factors: Vec<f32> = factors.iter().map(|factor| *factor as f32).collect();
                let factors = self.floats(&name, per_channel(&shape), &factors);
                self.node("Mul", vec![x, factors], vec![])
            }
        }
    }

    /// Frame `t` of each window.
    fn frame(&mut self, t: usize) -> String {
        let t = self.integers(&[t as i64]);
        let axis = self.integers(&[1]);
        let frame = self.node("Gather", vec![FRAMES.to_owned(), t], vec![Attribute::int("axis", 1)]);
        self.node("Squeeze", vec![frame, axis], vec![])
    }

    /// Zeros of some shape, for every window of the batch.
    fn zeros(&mut self, shape: &[i64]) -> String {
        let first = vec![Attribute::int("start", 0), Attribute::int("end", 1)];
        let batch = self.node("Shape", vec![FRAMES.to_owned()], first);
        let shape = self.integers(shape);
        let shape = self.node("Concat", vec![batch, shape], vec![Attribute::int("axis", 0)]);
        self.node("ConstantOfShape", vec![shape], vec![])
    }

    fn convolution(
        &mut self,
        operator: &str,
        x: String,
        geometry: &ConvGeometry,
        weight: &Range<usize>,
        bias: &Range<usize>,
    ) -> String {
        let [kernel, strides, padding] =
            [geometry.kernel, geometry.stride, geometry.padding].map(|grid| extents(self.model.config(), grid));
        let inputs = vec![x, self.parameter(weight), self.parameter(bias)];
        let attributes = vec![
            Attribute::ints("kernel_shape", kernel),
            Attribute::ints("strides", strides),
            Attribute::ints("pads", [padding.clone(), padding].concat()),
        ];
        self.node(operator, inputs, attributes)
    }

    /// ONNX normalises each channel, so a group becomes one channel and back.
    fn group_norm(
        &mut self,
        x: String,
        shape: &[i64],
        group: i64,
        gamma: &Range<usize>,
        beta: &Range<usize>,
    ) -> String {
        let epsilon = || vec![Attribute::float("epsilon", NORM_EPSILON as f32)];
        let [gamma, beta] = [gamma, beta].map(|range| self.parameter(range));
        if group == 1 {
            return self.node("InstanceNormalization", vec![x, gamma, beta], epsilon());
        }
        let groups = shape[0] / group;
        // A 0 stands for the batch, whatever its size.
        let grouped = self.integers(&[0, groups, -1]);
        let x = self.node("Reshape", vec![x, grouped], vec![]);
        let ones = self.floats(&format!("ones_{groups}"), vec![groups], &vec![1.0; groups as usize]);
        let zeros = self.floats(&format!("zeros_{groups}"), vec![groups], &vec![0.0; groups as usize]);
        let x = self.node("InstanceNormalization", vec![x, ones, zeros], epsilon());
        let channels = self.integers(&[&[0], shape].concat());
        let x = self.node("Reshape", vec![x, channels], vec![]);
        let per_channel = self.integers(&per_channel(shape));
        let gamma = self.node("Reshape", vec![gamma, per_channel.clone()], vec![]);
        let beta = self.node("Reshape", vec![beta, per_channel], vec![]);
        let x = self.node("Mul", vec![x, gamma], vec![]);
        self.node("Add", vec![x, beta], vec![])
    }

    fn node(&mut self, operator: &str, inputs: Vec<String>, attributes: Vec<Attribute>) -> String {
        let output = format!("{operator}_{}", self.graph.node.len());
        self.named_node(&output, operator, inputs, attributes);
        output
    }

    fn named_node(&mut self, output: &str, operator: &str, input: Vec<String>, attribute: Vec<Attribute>) {
        let (name, op_type) = (output.to_owned(), operator.to_owned());
        self.graph.node.push(message::Node { input, output: vec![output.to_owned()], name, op_type, attribute });
    }

    /// The name of a parameter in the state dict.
    fn parameter(&mut self, range: &Range<usize>) -> String {
        let parameters = self.model.parameters();
        let found = parameters.shapes().iter().find(|tensor| tensor.range == *range);
        let (name, dims) = found.map_or_else(Default::default, |tensor| (tensor.name.clone(), tensor.shape.clone()));
        let dims = dims.into_iter().map(|axis| axis as i64).collect();
        self.floats(&name, dims, &parameters.values()[range.clone()])
    }

    fn floats(&mut self, name: &str, dims: Vec<i64>, values: &[f32]) -> String {
        self.constant(name, || Tensor::floats(name.to_owned(), dims, values))
    }

    /// A row of integers, named by what it holds.
    fn integers(&mut self, values: &[i64]) -> String {
        let words: Vec<String> = values.iter().map(i64::to_string).collect();
        let name = format!("integers_{}", words.join("_"));
        self.constant(&name, || Tensor::integers(name.clone(), values))
    }

    fn constant(&mut self, name: &str, tensor: impl FnOnce() -> Tensor) -> String {
        if self.constants.insert(name.to_owned()) {
            self.graph.initializer.push(tensor());
        }
        name.to_owned()
    }
}

/// The lengths of a feature map's axes: two, or one of a line.
fn extents(config: &ModelConfig, grid: Grid) -> Vec<i64> {
    match config.shape {
        Shape::Square => vec![grid.height as i64, grid.width as i64],
        Shape::Line => vec![grid.width as i64],
    }
}

/// The shape of one number a channel that is the same for all its pixels.
fn per_channel(shape: &[i64]) -> Vec<i64> {
    shape.iter().enumerate().map(|(i, axis)| if i == 0 { *axis } else { 1 }).collect()
}
