//! The convolutions inside the cells: 5 × 5, or 25 taps in a line, between channel blocks.

use crate::direct_conv::{DirectConv, Epilogue, Tap};
use crate::feature_maps::{CHANNEL_BLOCK, Raster};
use crate::network::Shape;
use crate::output::Output;
use crate::simd::Simd;
use crate::weights::{TAPS, Weights};
use crate::winograd::{Winograd, WinogradScratch};

/// A convolution between channel blocks, by the method that suits the shape.
#[derive(Debug, Clone)]
pub(crate) struct CellConv {
    weights: Weights,
    method: Method,
}

#[derive(Debug, Clone)]
enum Method {
    Winograd(Winograd),
    Direct(DirectConv),
}

impl CellConv {
    pub fn new(shape: Shape, weights: Weights) -> CellConv {
        let method = match shape {
            Shape::Square => Method::Winograd(Winograd::new(&weights)),
            Shape::Line => Method::Direct(DirectConv::new(&line_taps(&weights), weights.blocks() * CHANNEL_BLOCK)),
        };
        CellConv { weights, method }
    }

    /// Loads the weights from the flat parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        match &mut self.method {
            Method::Winograd(winograd) => winograd.load(&self.weights, parameters),
            Method::Direct(direct) => direct.load(parameters),
        }
    }

    /// Adds the convolution of `inputs`, channel after channel, to the initialised outputs, block after block.
    pub fn apply<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        outputs: &mut [Output],
        scratch: &mut WinogradScratch,
    ) {
        match &self.method {
            Method::Winograd(winograd) => winograd.apply(s, raster, inputs, outputs, scratch),
            Method::Direct(direct) => direct.apply(s, raster, inputs, outputs, Epilogue::Identity),
        }
    }

    /// Adds `grad_weight` to `gradient`, where `grad_output` holds the gradient of all outputs.
    pub fn add_gradient<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        grad_output: &[&[f32]],
        gradient: &mut [f32],
        scratch: &mut WinogradScratch,
    ) {
        match &self.method {
            Method::Winograd(winograd) => {
                winograd.add_gradient(s, raster, &self.weights, inputs, grad_output, gradient, scratch)
            }
            Method::Direct(direct) => direct.add_gradient(s, raster, inputs, grad_output, gradient),
        }
    }
}

/// 25 taps in a row, the centre on the pixel.
fn line_taps(weights: &Weights) -> Vec<Tap> {
    let mut taps = Vec::new();
    for (kernel, index) in weights.kernels().enumerate() {
        let (block, input) = (kernel / weights.inputs(), kernel % weights.inputs());
        for output in 0..CHANNEL_BLOCK {
            for tap in 0..TAPS {
                if let Some(parameter) = index(output, tap) {
                    let dx = tap as isize - (TAPS / 2) as isize;
                    taps.push(Tap { output: block * CHANNEL_BLOCK + output, input, dy: 0, dx, parameter });
                }
            }
        }
    }
    taps
}
