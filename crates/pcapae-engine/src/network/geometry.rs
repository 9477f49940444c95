//! How a convolution's kernel moves over a feature map.

use super::architecture::ConvParameters;
use super::config::{Grid, Shape};

/// Kernel, stride and padding. The *small* feature map is the output of a convolution and the input of a transposed one; the
/// *large* one is the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Extent of the kernel.
    pub kernel: Grid,
    /// From one pixel of the small feature map to the next, in pixels of the large one.
    pub stride: Grid,
    /// Zeros before the first row and column of the large feature map.
    pub padding: Grid,
}

impl ConvGeometry {
    /// Of a convolution: the kernel's centre is on the pixel.
    pub fn conv(conv: &ConvParameters, stride: Grid) -> ConvGeometry {
        let kernel = conv.kernel;
        ConvGeometry { kernel, stride, padding: Grid { height: kernel.height / 2, width: kernel.width / 2 } }
    }

    /// Of a transposed convolution that leads up one stage: the kernel overhangs its stride equally on both sides.
    pub fn transposed(conv: &ConvParameters, shape: Shape) -> ConvGeometry {
        let (kernel, stride) = (conv.kernel, stride(shape));
        let overhang = |kernel: usize, stride: usize| (kernel - stride) / 2;
        let padding =
            Grid { height: overhang(kernel.height, stride.height), width: overhang(kernel.width, stride.width) };
        ConvGeometry { kernel, stride, padding }
    }

    /// Calls `visit` with each pixel p of a small feature map, the number of each tap of the kernel, and the pixel of the large
    /// feature map that this tap reaches, stride·p − padding + tap, which may lie outside.
    pub fn for_each_tap(&self, small: Grid, mut visit: impl FnMut([usize; 2], usize, [isize; 2])) {
        let place =
            |p: usize, stride: usize, padding: usize, tap: usize| (stride * p + tap) as isize - padding as isize;
        for y in 0..small.height {
            for x in 0..small.width {
                for ky in 0..self.kernel.height {
                    for kx in 0..self.kernel.width {
                        let row = place(y, self.stride.height, self.padding.height, ky);
                        let column = place(x, self.stride.width, self.padding.width, kx);
                        visit([y, x], ky * self.kernel.width + kx, [row, column]);
                    }
                }
            }
        }
    }

    /// The size of the large feature map that belongs to a small one.
    pub fn large(&self, small: Grid) -> Grid {
        Grid { height: small.height * self.stride.height, width: small.width * self.stride.width }
    }

    /// The size of the small feature map that belongs to a large one.
    pub fn small(&self, large: Grid) -> Grid {
        Grid { height: large.height / self.stride.height, width: large.width / self.stride.width }
    }
}

/// The stride between two stages: 2 × 2 halves a square's side, 1 × 4 quarters a line.
pub(crate) fn stride(shape: Shape) -> Grid {
    match shape {
        Shape::Square => Grid { height: 2, width: 2 },
        Shape::Line => Grid { height: 1, width: 4 },
    }
}
