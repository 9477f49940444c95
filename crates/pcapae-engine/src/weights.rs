//! Which parameter of the network each weight of a cell's convolution is.

use crate::feature_maps::CHANNEL_BLOCK;

/// Taps of a kernel.
pub(crate) const TAPS: usize = 25;

/// The index of the parameter that is the weight of each input, tap and output.
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

    /// The kernel of this number.
    pub fn kernel(&self, number: usize) -> impl Fn(usize, usize) -> Option<usize> {
        let indices = &self.indices[number * CHANNEL_BLOCK * TAPS..][..CHANNEL_BLOCK * TAPS];
        move |output: usize, tap: usize| indices[output * TAPS + tap].map(|index| index as usize)
    }
}
