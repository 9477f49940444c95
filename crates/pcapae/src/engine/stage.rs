//! What lies between the cells: convolutions with their leaky rectifier, down to the next stage and up again.

use super::cell_conv::{Output, Start};
use super::phases::{self, conv_links, merge, merge_add, split, transposed_links};
use super::planes::{Planes, Raster, channel_sums, for_places};
use super::simd::{LEAK, Simd};
use super::stencil::{Finish, Stencil};
use crate::model::{ConvParameters, Grid, Window};

/// y = leaky(W ∗ x + b); with a stride, y is smaller.
#[derive(Debug, Clone)]
pub(crate) struct Down {
    map: Map,
}

/// y = leaky(Wᵀ ∗ x + b), larger by the stride.
#[derive(Debug, Clone)]
pub(crate) struct Up {
    map: Map,
}

/// Links between the small picture and the phases of the large one, both ways.
#[derive(Debug, Clone)]
struct Map {
    parameters: ConvParameters,
    stride: Grid,
    forward: Stencil,
    back: Stencil,
    biases: Vec<f32>,
}

impl Map {
    fn load(&mut self, values: &[f32]) {
        self.forward.load(values);
        self.back.load(values);
        self.biases.copy_from_slice(&values[self.parameters.bias.clone()]);
    }

    /// Through the rectifier, where y has the sign of what came in; and adds the gradient of the biases.
    fn rectifier_back<S: Simd>(&self, s: S, raster: &Raster, y: &[f32], dy: &mut [f32], gradient: &mut [f32]) {
        // The gradient may have room for more channels.
        let dy = &mut dy[..y.len()];
        s.vectorize(
            #[inline(always)]
            || {
                for (y, dy) in y.chunks_exact(raster.size).zip(dy.chunks_exact_mut(raster.size)) {
                    for_places::<S>(raster, |at| {
                        let slope = at.load(s, dy);
                        let low = s.mul(slope, s.splat(LEAK));
                        let slope = s.where_positive(at.load(s, y), slope, low);
                        at.store(s, slope, dy);
                    });
                }
            },
        );
        channel_sums(s, raster, dy, |c, sum| gradient[self.parameters.bias.start + c] += sum);
    }
}

impl Down {
    pub fn new(parameters: &ConvParameters, window: &Window) -> Down {
        let links = conv_links(parameters, window);
        let inputs = phases::count(window.stride) * parameters.inputs;
        let forward = Stencil::new(&links, parameters.outputs);
        let back = Stencil::turned(&links, inputs);
        let (parameters, biases) = (parameters.clone(), vec![0.0; parameters.outputs]);
        Down { map: Map { parameters, stride: window.stride, forward, back, biases } }
    }

    pub fn load(&mut self, values: &[f32]) {
        self.map.load(values);
    }

    /// Channels that the phases of the input take, where there are several phases.
    pub fn phase_channels(&self) -> usize {
        phases::count(self.map.stride) * self.map.parameters.inputs
    }

    fn has_stride(&self) -> bool {
        self.map.stride.pixels() > 1
    }

    /// Computes y from x; with a stride, x's phases are left in `phases`.
    pub fn forward<S: Simd>(&self, s: S, x: &Planes, phases: &mut Planes, y: &mut Planes) {
        let (raster, start) = (y.raster, Start::Values(&self.map.biases));
        let mut outputs = [Output { planes: y.channels_mut(0..self.map.parameters.outputs), start }];
        if self.has_stride() {
            split(s, self.map.stride, &x.raster, x.all(), &raster, phases.all_mut());
            self.map.forward.apply(s, &raster, &[phases.all()], &mut outputs, Finish::Leaky);
        } else {
            self.map.forward.apply(s, &raster, &[x.all()], &mut outputs, Finish::Leaky);
        }
    }

    /// Adds the gradients of the parameters, and that of x to `dx` where it is wanted; `dy` and `phases` are spent.
    #[allow(clippy::too_many_arguments, reason = "in, out, and the gradients of both")]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        x: &Planes,
        y: &Planes,
        dy: &mut Planes,
        phases: &mut Planes,
        dx: Option<&mut Planes>,
        gradient: &mut [f32],
    ) {
        let raster = y.raster;
        let outputs = self.map.parameters.outputs;
        self.map.rectifier_back(s, &raster, y.channels(0..outputs), dy.all_mut(), gradient);
        let dy = dy.channels(0..outputs);
        if !self.has_stride() {
            self.map.forward.add_gradient(s, &raster, &[x.all()], &[dy], gradient);
            if let Some(dx) = dx {
                let mut outputs = [Output { planes: dx.all_mut(), start: Start::Present }];
                self.map.back.apply(s, &raster, &[dy], &mut outputs, Finish::Nothing);
            }
            return;
        }
        split(s, self.map.stride, &x.raster, x.all(), &raster, phases.all_mut());
        self.map.forward.add_gradient(s, &raster, &[phases.all()], &[dy], gradient);
        if let Some(dx) = dx {
            let mut outputs = [Output { planes: phases.all_mut(), start: Start::Zero }];
            self.map.back.apply(s, &raster, &[dy], &mut outputs, Finish::Nothing);
            let large = dx.raster;
            merge_add(s, self.map.stride, &raster, phases.all(), &large, dx.all_mut());
        }
    }
}

impl Up {
    pub fn new(parameters: &ConvParameters, window: &Window) -> Up {
        let links = transposed_links(parameters, window);
        let outputs = phases::count(window.stride) * parameters.outputs;
        let (forward, back) = (Stencil::new(&links, outputs), Stencil::turned(&links, parameters.inputs));
        let (parameters, biases) = (parameters.clone(), vec![0.0; parameters.outputs]);
        Up { map: Map { parameters, stride: window.stride, forward, back, biases } }
    }

    pub fn load(&mut self, values: &[f32]) {
        self.map.load(values);
    }

    /// Computes y from x by way of its phases.
    pub fn forward<S: Simd>(&self, s: S, x: &Planes, phases: &mut Planes, y: &mut Planes) {
        let (raster, large) = (x.raster, y.raster);
        let mut outputs = [Output { planes: phases.all_mut(), start: Start::Values(&self.map.biases) }];
        self.map.forward.apply(s, &raster, &[x.all()], &mut outputs, Finish::Leaky);
        merge(s, self.map.stride, &raster, phases.all(), &large, y.all_mut());
    }

    /// Adds the gradients of the parameters, and that of x to `dx`; `dy` and `phases` are spent.
    #[allow(clippy::too_many_arguments, reason = "in, out, and the gradients of both")]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        x: &Planes,
        y: &Planes,
        dy: &mut Planes,
        phases: &mut Planes,
        dx: &mut Planes,
        gradient: &mut [f32],
    ) {
        let (raster, large) = (x.raster, y.raster);
        self.map.rectifier_back(s, &large, y.all(), dy.all_mut(), gradient);
        split(s, self.map.stride, &large, dy.all(), &raster, phases.all_mut());
        self.map.forward.add_gradient(s, &raster, &[x.all()], &[phases.all()], gradient);
        let mut outputs = [Output { planes: dx.all_mut(), start: Start::Present }];
        self.map.back.apply(s, &raster, &[phases.all()], &mut outputs, Finish::Nothing);
    }
}
