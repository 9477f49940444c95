//! The layers between the cells: convolutions with a leaky ReLU, down to the next stage and up again.

use crate::direct_conv::{DirectConv, Epilogue};
use crate::feature_maps::{FeatureMaps, Raster, channel_sums, for_vectors};
use crate::network::{ConvGeometry, ConvParameters, Grid};
use crate::output::{Init, Output};
use crate::phases::{self, conv_taps, merge, merge_add, split, transposed_conv_taps};
use crate::simd::{LEAK, Simd};

/// y = leaky(W ∗ x + b); with a stride, y is smaller.
#[derive(Debug, Clone)]
pub(crate) struct ConvLayer {
    conv: PhaseConv,
}

/// y = leaky(Wᵀ ∗ x + b), larger by the stride.
#[derive(Debug, Clone)]
pub(crate) struct TransposedConvLayer {
    conv: PhaseConv,
}

/// A convolution between the small feature map and the phases of the large one, and its transpose.
#[derive(Debug, Clone)]
struct PhaseConv {
    parameters: ConvParameters,
    stride: Grid,
    forward: DirectConv,
    backward: DirectConv,
    biases: Vec<f32>,
}

impl PhaseConv {
    fn load(&mut self, values: &[f32]) {
        self.forward.load(values);
        self.backward.load(values);
        self.biases.copy_from_slice(&values[self.parameters.bias.clone()]);
    }

    /// Replaces the gradient of y by that of its pre-activation, which has the sign of y; adds the gradient of the biases.
    fn activation_backward<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        y: &[f32],
        grad_output: &mut [f32],
        gradient: &mut [f32],
    ) {
        // The buffer may have more channels.
        let grad_output = &mut grad_output[..y.len()];
        s.vectorize(
            #[inline(always)]
            || {
                for (y, grad_output) in y.chunks_exact(raster.size).zip(grad_output.chunks_exact_mut(raster.size)) {
                    for_vectors::<S>(raster, |at| {
                        let grad = at.load(s, grad_output);
                        let low = s.mul(grad, s.splat(LEAK));
                        let grad = s.where_positive(at.load(s, y), grad, low);
                        at.store(s, grad, grad_output);
                    });
                }
            },
        );
        channel_sums(s, raster, grad_output, |c, sum| gradient[self.parameters.bias.start + c] += sum);
    }
}

impl ConvLayer {
    pub fn new(parameters: &ConvParameters, geometry: &ConvGeometry) -> ConvLayer {
        let taps = conv_taps(parameters, geometry);
        let inputs = phases::count(geometry.stride) * parameters.inputs;
        let forward = DirectConv::new(&taps, parameters.outputs);
        let backward = DirectConv::transposed(&taps, inputs);
        let (parameters, biases) = (parameters.clone(), vec![0.0; parameters.outputs]);
        ConvLayer { conv: PhaseConv { parameters, stride: geometry.stride, forward, backward, biases } }
    }

    pub fn load(&mut self, values: &[f32]) {
        self.conv.load(values);
    }

    /// Channels of all phases of the input.
    pub fn phase_channels(&self) -> usize {
        phases::count(self.conv.stride) * self.conv.parameters.inputs
    }

    fn has_stride(&self) -> bool {
        self.conv.stride.pixels() > 1
    }

    /// Computes y from x; with a stride, `phases` then holds x's phases.
    pub fn forward<S: Simd>(&self, s: S, x: &FeatureMaps, phases: &mut FeatureMaps, y: &mut FeatureMaps) {
        let (raster, init) = (y.raster, Init::Bias(&self.conv.biases));
        let mut outputs = [Output { feature_maps: y.channels_mut(0..self.conv.parameters.outputs), init }];
        if self.has_stride() {
            split(s, self.conv.stride, &x.raster, x.all(), &raster, phases.all_mut());
            self.conv.forward.apply(s, &raster, &[phases.all()], &mut outputs, Epilogue::LeakyRelu);
        } else {
            self.conv.forward.apply(s, &raster, &[x.all()], &mut outputs, Epilogue::LeakyRelu);
        }
    }

    /// Adds the gradients of the parameters, and that of x to `grad_input`; overwrites `grad_output` and `phases`.
    #[allow(clippy::too_many_arguments, reason = "input and output, their gradients and those of the parameters")]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        x: &FeatureMaps,
        y: &FeatureMaps,
        grad_output: &mut FeatureMaps,
        phases: &mut FeatureMaps,
        grad_input: Option<&mut FeatureMaps>,
        gradient: &mut [f32],
    ) {
        let raster = y.raster;
        let outputs = self.conv.parameters.outputs;
        self.conv.activation_backward(s, &raster, y.channels(0..outputs), grad_output.all_mut(), gradient);
        let grad_output = grad_output.channels(0..outputs);
        if !self.has_stride() {
            self.conv.forward.add_gradient(s, &raster, &[x.all()], &[grad_output], gradient);
            if let Some(grad_input) = grad_input {
                let mut outputs = [Output { feature_maps: grad_input.all_mut(), init: Init::Accumulate }];
                self.conv.backward.apply(s, &raster, &[grad_output], &mut outputs, Epilogue::Identity);
            }
            return;
        }
        split(s, self.conv.stride, &x.raster, x.all(), &raster, phases.all_mut());
        self.conv.forward.add_gradient(s, &raster, &[phases.all()], &[grad_output], gradient);
        if let Some(grad_input) = grad_input {
            let mut outputs = [Output { feature_maps: phases.all_mut(), init: Init::Zero }];
            self.conv.backward.apply(s, &raster, &[grad_output], &mut outputs, Epilogue::Identity);
            let large = grad_input.raster;
            merge_add(s, self.conv.stride, &raster, phases.all(), &large, grad_input.all_mut());
        }
    }
}

impl TransposedConvLayer {
    pub fn new(parameters: &ConvParameters, geometry: &ConvGeometry) -> TransposedConvLayer {
        let taps = transposed_conv_taps(parameters, geometry);
        let outputs = phases::count(geometry.stride) * parameters.outputs;
        let (forward, backward) = (DirectConv::new(&taps, outputs), DirectConv::transposed(&taps, parameters.inputs));
        let (parameters, biases) = (parameters.clone(), vec![0.0; parameters.outputs]);
        TransposedConvLayer { conv: PhaseConv { parameters, stride: geometry.stride, forward, backward, biases } }
    }

    pub fn load(&mut self, values: &[f32]) {
        self.conv.load(values);
    }

    /// Computes y from x through y's phases.
    pub fn forward<S: Simd>(&self, s: S, x: &FeatureMaps, phases: &mut FeatureMaps, y: &mut FeatureMaps) {
        let (raster, large) = (x.raster, y.raster);
        let mut outputs = [Output { feature_maps: phases.all_mut(), init: Init::Bias(&self.conv.biases) }];
        self.conv.forward.apply(s, &raster, &[x.all()], &mut outputs, Epilogue::LeakyRelu);
        merge(s, self.conv.stride, &raster, phases.all(), &large, y.all_mut());
    }

    /// Adds the gradients of the parameters, and that of x to `grad_input`; overwrites `grad_output` and `phases`.
    #[allow(clippy::too_many_arguments, reason = "input and output, their gradients and those of the parameters")]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        x: &FeatureMaps,
        y: &FeatureMaps,
        grad_output: &mut FeatureMaps,
        phases: &mut FeatureMaps,
        grad_input: &mut FeatureMaps,
        gradient: &mut [f32],
    ) {
        let (raster, large) = (x.raster, y.raster);
        self.conv.activation_backward(s, &large, y.all(), grad_output.all_mut(), gradient);
        split(s, self.conv.stride, &large, grad_output.all(), &raster, phases.all_mut());
        self.conv.forward.add_gradient(s, &raster, &[x.all()], &[phases.all()], gradient);
        let mut outputs = [Output { feature_maps: grad_input.all_mut(), init: Init::Accumulate }];
        self.conv.backward.apply(s, &raster, &[phases.all()], &mut outputs, Epilogue::Identity);
    }
}
