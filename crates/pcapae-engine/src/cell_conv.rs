//! The convolutions inside the cells: 5 × 5, or 25 taps in a line, between channel blocks.

use crate::direct_conv::{DirectConv, Epilogue, Tap};
use crate::feature_maps::Raster;
use crate::network::Shape;
use crate::simd::Simd;
use crate::winograd::{Winograd, WinogradScratch};

/// Channels that are computed together, a channel block: those of a state, or of a gate.
pub(crate) const CHANNEL_BLOCK: usize = 4;

/// Taps of a kernel.
pub(crate) const TAPS: usize = 25;

/// Which parameter is the weight of each input, tap and output.
#[derive(Debug, Clone)]
pub(crate) struct Weights {
    inputs: usize,
    blocks: usize,
    /// [block][input][output of the block][tap].
    indices: Vec<Option<u32>>,
}

impl Weights {
    /// `index(output, input, tap)` is the parameter, or `None` where there is no such output.
    pub fn new(inputs: usize, blocks: usize, index: impl Fn(usize, usize, usize) -> Option<usize>) -> Weights {
        let mut indices = Vec::with_capacity(blocks * inputs * CHANNEL_BLOCK * TAPS);
        for block in 0..blocks {
            for input in 0..inputs {
                for output in block * CHANNEL_BLOCK..(block + 1) * CHANNEL_BLOCK {
                    indices.extend((0..TAPS).map(|tap| index(output, input, tap).map(|index| index as u32)));
                }
            }
        }
        Weights { inputs, blocks, indices }
    }

    /// Input channels.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Output channel blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// For each block and, within it, each input: the index of the weight by output of the block and tap.
    pub fn kernels(&self) -> impl Iterator<Item = impl Fn(usize, usize) -> Option<usize>> {
        (0..self.blocks * self.inputs).map(|number| self.kernel(number))
    }

    /// One of them.
    pub fn kernel(&self, number: usize) -> impl Fn(usize, usize) -> Option<usize> {
        let indices = &self.indices[number * CHANNEL_BLOCK * TAPS..][..CHANNEL_BLOCK * TAPS];
        move |output: usize, tap: usize| indices[output * TAPS + tap].map(|index| index as usize)
    }
}

/// Where a convolution writes, channel after channel, and what it adds to.
pub(crate) struct Output<'a> {
    pub feature_maps: &'a mut [f32],
    pub init: Init<'a>,
}

/// The initial value of an accumulator.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Init<'a> {
    Zero,
    /// A bias for each channel; where there are fewer biases, again from the first.
    Bias(&'a [f32]),
    /// What the output holds.
    Accumulate,
}

impl Output<'_> {
    /// Writes `Q` vectors of `R` rows of a channel, from row `y` and float `x` of the row on, with `epilogue` applied.
    #[inline(always)]
    pub fn write<S: Simd, const R: usize, const Q: usize>(
        &mut self,
        s: S,
        raster: &Raster,
        channel: usize,
        [y, x]: [usize; 2],
        sums: [[S::F; Q]; R],
        epilogue: impl Fn(S::F) -> S::F,
    ) {
        let feature_map = &mut self.feature_maps[channel * raster.size..(channel + 1) * raster.size];
        let value = match self.init {
            Init::Bias(biases) => s.splat(biases[channel % biases.len()]),
            Init::Zero | Init::Accumulate => s.splat(0.0),
        };
        let accumulate = matches!(self.init, Init::Accumulate);
        let count = raster.row_len() - x;
        let place = |r: usize, q: usize| raster.row(y + r) + x + q * S::LANES;
        if count >= Q * S::LANES {
            assert!(place(R - 1, Q) <= feature_map.len());
            for (r, sums) in sums.into_iter().enumerate() {
                for (q, sum) in sums.into_iter().enumerate() {
                    // SAFETY: the last vector of the last row ends in the feature map, as asserted.
                    unsafe {
                        let initial = if accumulate { s.load_at(feature_map, place(r, q)) } else { value };
                        s.store_at(epilogue(s.add(initial, sum)), feature_map, place(r, q));
                    }
                }
            }
            return;
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (q, sum) in sums.into_iter().enumerate() {
                let (place, count) = (&mut feature_map[place(r, q)..], count - q * S::LANES);
                let initial = if accumulate { s.load_first(place, count) } else { value };
                s.store_first(epilogue(s.add(initial, sum)), place, count);
            }
        }
    }
}

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
