//! Planes: the channels of a picture, each with a border of zeros, so that no convolution asks where the picture ends.

/// Width of the border of zeros around a picture: what a 5 × 5 kernel reaches over the edge.
pub(crate) const BORDER: usize = 2;

/// Floats that the inner loops handle together; every body is a multiple of it.
pub(crate) const LANES: usize = 16;

/// How a square picture lies in a line of floats.
///
/// ```text
/// 0 0 0 0 0 0          BORDER rows of zeros, and BORDER zeros
/// 0 0 a b c d          the body starts at the first pixel …
/// 0 0 e f g h          … two zeros after a row are the border right of it and left of the next …
/// 0 0 i j k l
/// 0 0 m n o p 0 0 …    … and it is filled with zeros up to a multiple of LANES, after which come
/// 0 0 0 0 0 0          as many zeros as in front
/// ```
///
/// A shift by (dy, dx) within the border is then one offset, `dy × stride + dx`, for the whole body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Pixels along the side.
    pub side: usize,
}

impl Grid {
    /// From a pixel to the one below it.
    pub fn stride(self) -> usize {
        self.side + BORDER
    }

    /// Where the body starts in a plane.
    pub fn body_start(self) -> usize {
        BORDER * self.stride() + BORDER
    }

    /// Floats in the body.
    pub fn body_len(self) -> usize {
        ((self.side - 1) * self.stride() + self.side).next_multiple_of(LANES)
    }

    /// Floats in a plane.
    pub fn plane_len(self) -> usize {
        self.body_len() + 2 * self.body_start()
    }

    /// Pixels in the picture.
    pub fn pixels(self) -> usize {
        self.side * self.side
    }
}

/// Channels of pictures of one size. Everything outside the pictures is zero, always.
#[derive(Debug, Clone)]
pub(crate) struct Planes {
    grid: Grid,
    channels: usize,
    data: Vec<f32>,
}

impl Planes {
    /// Black pictures.
    pub fn zeros(grid: Grid, channels: usize) -> Planes {
        Planes { grid, channels, data: vec![0.0; channels * grid.plane_len()] }
    }

    pub fn grid(&self) -> Grid {
        self.grid
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All floats, borders included: plane after plane. Good for reading, and for sums and products of planes, which keep
    /// the zeros; whoever else writes here calls [`clear_border`](Planes::clear_border).
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// As [`data`](Planes::data), to be changed.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The body of a channel: its rows with [`BORDER`] zeros between them.
    pub fn body(&self, channel: usize) -> &[f32] {
        let start = channel * self.grid.plane_len() + self.grid.body_start();
        &self.data[start..start + self.grid.body_len()]
    }

    /// As [`body`](Planes::body), to be changed; the caller clears the border.
    pub fn body_mut(&mut self, channel: usize) -> &mut [f32] {
        let start = channel * self.grid.plane_len() + self.grid.body_start();
        &mut self.data[start..start + self.grid.body_len()]
    }

    /// Row `y` of a channel: `side` pixels.
    pub fn row(&self, channel: usize, y: usize) -> &[f32] {
        &self.body(channel)[y * self.grid.stride()..][..self.grid.side]
    }

    /// As [`row`](Planes::row), to be changed.
    pub fn row_mut(&mut self, channel: usize, y: usize) -> &mut [f32] {
        let Grid { side, .. } = self.grid;
        let start = y * self.grid.stride();
        &mut self.body_mut(channel)[start..start + side]
    }

    /// Sets the border of a channel to zero again after its whole body was written.
    pub fn clear_border(&mut self, channel: usize) {
        let Grid { side, .. } = self.grid;
        let stride = self.grid.stride();
        let body = self.body_mut(channel);
        for y in 1..side {
            body[y * stride - BORDER..y * stride].fill(0.0);
        }
        body[(side - 1) * stride + side..].fill(0.0);
    }

    /// Sets every pixel of a channel to `value`.
    pub fn fill(&mut self, channel: usize, value: f32) {
        self.body_mut(channel).fill(value);
        self.clear_border(channel);
    }

    /// Takes over pixels: channels × side × side, row-major.
    pub fn set_pixels(&mut self, pixels: impl IntoIterator<Item = f32>) {
        let mut pixels = pixels.into_iter();
        for channel in 0..self.channels {
            for y in 0..self.grid.side {
                for (to, from) in self.row_mut(channel, y).iter_mut().zip(&mut pixels) {
                    *to = from;
                }
            }
        }
    }

    /// The pixels: channels × side × side, row-major.
    pub fn pixels(&self) -> impl Iterator<Item = f32> {
        (0..self.channels)
            .flat_map(move |channel| (0..self.grid.side).flat_map(move |y| self.row(channel, y).iter().copied()))
    }

    /// Adds planes of the same shape.
    pub fn add(&mut self, other: &Planes) {
        for (a, b) in self.data.iter_mut().zip(&other.data) {
            *a += b;
        }
    }

    /// Makes every float zero.
    pub fn clear(&mut self) {
        self.data.fill(0.0);
    }
}

/// Σ aᵢ, summed in [`LANES`] partial sums; the length is a multiple of [`LANES`].
pub(crate) fn sum(a: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    for a in a.as_chunks::<LANES>().0 {
        for l in 0..LANES {
            lanes[l] += a[l];
        }
    }
    lanes.iter().sum()
}

/// Σ aᵢ·bᵢ, summed in [`LANES`] partial sums; the length is a multiple of [`LANES`].
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for l in 0..LANES {
            lanes[l] += a[l] * b[l];
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_come_back_and_the_border_stays_zero() {
        for side in [4, 5, 8, 16] {
            let mut planes = Planes::zeros(Grid { side }, 2);
            let pixels: Vec<f32> = (1..=2 * side * side).map(|i| i as f32).collect();
            planes.set_pixels(pixels.iter().copied());
            assert_eq!(planes.pixels().collect::<Vec<_>>(), pixels);
            planes.fill(1, 3.0);
            planes.body_mut(0).fill(1.0);
            planes.clear_border(0);
            let inside: f32 = planes.pixels().sum();
            assert_eq!(planes.data().iter().sum::<f32>(), inside);
            assert_eq!(inside, 4.0 * (side * side) as f32);
        }
    }

    #[test]
    fn sums_and_products_reach_every_element() {
        let a: Vec<f32> = (0..48).map(|i| i as f32).collect();
        assert_eq!(sum(&a), 1128.0);
        assert_eq!(dot(&a, &a), 35720.0);
    }
}
