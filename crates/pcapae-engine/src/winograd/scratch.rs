//! The scratch buffers of both methods, and when F(4×4, 5×5) is used.

use std::ops::Range;

use super::tile_transforms::{transform_grad_output_rows, transform_input_rows};
use super::transforms::TILE;
use crate::aligned::AlignedBuffer;
use crate::feature_maps::Raster;
use crate::purpose::Purpose;
use crate::simd::Simd;

/// Scratch buffers, reused from call to call.
#[derive(Debug, Clone, Default)]
pub(crate) struct WinogradScratch {
    /// Whether F(4×4, 5×5) is used where it fits: faster, with more rounding.
    pub(super) prefer_2d: bool,
    /// Bᵀ·x: [row of tiles][point][input][pixel and window].
    pub(super) inputs: AlignedBuffer,
    /// A·y': [row of tiles][point][output][pixel and window].
    pub(super) grad_output: AlignedBuffer,
    /// Bᵀ·x·B and A·y'·Aᵀ at one point down the columns: [point along the rows][channel][tile and window].
    pub(super) inputs_2d: AlignedBuffer,
    pub(super) grad_output_2d: AlignedBuffer,
    /// Sums over inputs: F(4, 5) [point][output][pixel and window], F(4×4, 5×5) [point][output of a block][tile and window].
    pub(super) sums: AlignedBuffer,
    /// Outputs of a row of tiles before the output transform down the columns: [point][output][pixel and window].
    pub(super) rows: AlignedBuffer,
    /// Sums of products: F(4, 5) [point][block][input][output of the block][tap][lane], F(4×4, 5×5) [point down][point along][block][group
    /// of inputs][output of the block][input of the group].
    pub(super) products: AlignedBuffer,
}

impl WinogradScratch {
    /// F(4×4, 5×5) for training, where gradients are sums over many windows; F(4, 5) for inference.
    pub fn new(purpose: Purpose) -> WinogradScratch {
        WinogradScratch { prefer_2d: purpose == Purpose::Training, ..WinogradScratch::default() }
    }

    /// Whether feature maps of this raster are computed by F(4×4, 5×5).
    pub(super) fn uses_2d<S: Simd>(&self, raster: &Raster) -> bool {
        self.prefer_2d && fits_2d(raster.grid.width, raster.windows, S::LANES)
    }

    /// Transforms a few rows of tiles of inputs and `grad_output` down the columns; `sizes` are the floats of one row of each.
    pub(super) fn transform_tiles<S: Simd>(
        &mut self,
        s: S,
        raster: &Raster,
        [inputs, grad_output]: [&[&[f32]]; 2],
        tiles: Range<usize>,
        sizes: [usize; 2],
    ) {
        self.inputs.grow(tiles.len() * sizes[0]);
        self.grad_output.grow(tiles.len() * sizes[1]);
        for (tile, points) in tiles.clone().zip(self.inputs.chunks_exact_mut(sizes[0])) {
            transform_input_rows(s, raster, inputs, tile, points);
        }
        for (tile, points) in tiles.zip(self.grad_output.chunks_exact_mut(sizes[1])) {
            transform_grad_output_rows(s, raster, grad_output, tile, points);
        }
    }
}

/// Whether F(4×4, 5×5) fits feature maps of this width with this many windows in a block: a vector must hold the same pixel of one tile,
/// or of two.
pub(crate) fn fits_2d(width: usize, windows: usize, lanes: usize) -> bool {
    let tiles = lanes / windows;
    tiles <= 2 && width.is_multiple_of(tiles * TILE)
}
