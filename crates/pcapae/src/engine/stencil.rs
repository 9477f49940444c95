//! Convolutions of any kind as links: *this output pixel gets that input pixel, so far away, times that parameter*.
//!
//! A stride, and the transposed convolution, become the same once the larger picture is split into its
//! [phases](super::phases). From the links follow the way forward, the gradient of the input (the links turned round) and the
//! gradient of the parameters.

use super::cell_conv::{Output, QUAD};
use super::planes::{Raster, for_places};
use super::simd::Simd;

/// One parameter's part in a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// Channel that is computed.
    pub output: usize,
    /// Channel that it comes from.
    pub input: usize,
    /// How many rows further down.
    pub dy: isize,
    /// How many columns further right.
    pub dx: isize,
    /// Which parameter is the weight.
    pub parameter: usize,
}

/// Links in groups of outputs that look at the same pixels.
#[derive(Debug, Clone)]
pub(crate) struct Stencil {
    groups: Vec<Group>,
}

/// Up to four neighbouring outputs.
#[derive(Debug, Clone)]
struct Group {
    first_output: usize,
    outputs: usize,
    /// Input by input.
    taps: Vec<Tap>,
    /// How many of the taps are of each input.
    of_input: Vec<usize>,
    /// Parameter of each tap and each of four outputs; none where an output lacks the link.
    parameters: Vec<[Option<usize>; QUAD]>,
    weights: Vec<[f32; QUAD]>,
}

/// A pixel that a group looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Tap {
    input: usize,
    dy: isize,
    dx: isize,
}

/// What happens to a finished sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Nothing,
    /// The leaky rectifier.
    Leaky,
}

/// Vectors of columns that are computed at once.
const WIDEST: usize = 4;

impl Stencil {
    /// Groups the links to `outputs` channels.
    pub fn new(links: &[Link], outputs: usize) -> Stencil {
        let inputs = links.iter().map(|link| link.input + 1).max().unwrap_or(0);
        let group = |first: usize| {
            let outputs = QUAD.min(outputs - first);
            let wanted = || links.iter().filter(|link| (first..first + outputs).contains(&link.output));
            let tap = |link: &Link| Tap { input: link.input, dy: link.dy, dx: link.dx };
            let mut taps: Vec<Tap> = wanted().map(tap).collect();
            taps.sort_unstable();
            taps.dedup();
            let mut parameters = vec![[None; QUAD]; taps.len()];
            for link in wanted() {
                if let Ok(i) = taps.binary_search(&tap(link)) {
                    parameters[i][link.output - first] = Some(link.parameter);
                }
            }
            let weights = vec![[0.0; QUAD]; taps.len()];
            let of_input = (0..inputs).map(|input| taps.iter().filter(|tap| tap.input == input).count()).collect();
            Group { first_output: first, outputs, taps, of_input, parameters, weights }
        };
        Stencil { groups: (0..outputs).step_by(QUAD).map(group).collect() }
    }

    /// The same links in the other direction, for the gradient of the input.
    pub fn turned(links: &[Link], inputs: usize) -> Stencil {
        let turn = |link: &Link| Link { output: link.input, input: link.output, dy: -link.dy, dx: -link.dx, ..*link };
        Stencil::new(&links.iter().map(turn).collect::<Vec<_>>(), inputs)
    }

    /// Takes the weights out of the line of parameters.
    pub fn load(&mut self, parameters: &[f32]) {
        for group in &mut self.groups {
            for (weights, places) in group.weights.iter_mut().zip(&group.parameters) {
                *weights = places.map(|place| place.map_or(0.0, |place| parameters[place]));
            }
        }
    }

    /// Adds the sums over the links to what the outputs start with, channel after channel.
    pub fn apply<S: Simd>(&self, s: S, raster: &Raster, inputs: &[&[f32]], outputs: &mut [Output], finish: Finish) {
        let mut groups = self.groups.iter();
        for output in outputs {
            let channels = output.planes.len() / raster.size;
            for first in (0..channels).step_by(QUAD) {
                if let Some(group) = groups.next() {
                    group.apply(s, raster, inputs, output, first, finish);
                }
            }
        }
    }

    /// Adds the gradient of every parameter; `slopes` holds that of the outputs, channel after channel.
    pub fn add_gradient<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        slopes: &[f32],
        gradient: &mut [f32],
    ) {
        for group in &self.groups {
            let slopes = &slopes[group.first_output * raster.size..(group.first_output + group.outputs) * raster.size];
            s.vectorize(
                #[inline(always)]
                || match (S::MANY_REGISTERS, group.outputs) {
                    (true, 1) => group.add_gradient::<S, 1, 5>(s, raster, inputs, slopes, gradient),
                    (true, 2) => group.add_gradient::<S, 2, 5>(s, raster, inputs, slopes, gradient),
                    (true, _) => group.add_gradient::<S, 4, 5>(s, raster, inputs, slopes, gradient),
                    (false, 1) => group.add_gradient::<S, 1, 5>(s, raster, inputs, slopes, gradient),
                    (false, 2) => group.add_gradient::<S, 2, 4>(s, raster, inputs, slopes, gradient),
                    (false, _) => group.add_gradient::<S, 4, 2>(s, raster, inputs, slopes, gradient),
                },
            );
        }
    }
}

/// A channel of many that lie in a few pieces.
fn plane<'a>(pieces: &[&'a [f32]], raster: &Raster, mut channel: usize) -> &'a [f32] {
    for piece in pieces {
        let channels = piece.len() / raster.size;
        if channel < channels {
            return &piece[channel * raster.size..(channel + 1) * raster.size];
        }
        channel -= channels;
    }
    &[]
}

impl Group {
    /// Computes channels `first` and on of an output.
    fn apply<S: Simd>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        output: &mut Output,
        first: usize,
        finish: Finish,
    ) {
        s.vectorize(
            #[inline(always)]
            || match (self.outputs, finish) {
                (1, Finish::Leaky) => self.rows::<S, 1, true>(s, raster, inputs, output, first),
                (2, Finish::Leaky) => self.rows::<S, 2, true>(s, raster, inputs, output, first),
                (_, Finish::Leaky) => self.rows::<S, 4, true>(s, raster, inputs, output, first),
                (1, Finish::Nothing) => self.rows::<S, 1, false>(s, raster, inputs, output, first),
                (2, Finish::Nothing) => self.rows::<S, 2, false>(s, raster, inputs, output, first),
                (_, Finish::Nothing) => self.rows::<S, 4, false>(s, raster, inputs, output, first),
            },
        );
    }

    #[inline(always)]
    fn rows<S: Simd, const C: usize, const LEAKY: bool>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        output: &mut Output,
        first: usize,
    ) {
        for y in 0..raster.grid.height {
            let (row_len, mut x) = (raster.row_len(), 0);
            while S::MANY_REGISTERS && x + WIDEST * S::LANES <= row_len {
                self.columns::<S, C, WIDEST, LEAKY>(s, raster, inputs, output, first, [y, x]);
                x += WIDEST * S::LANES;
            }
            while x + 2 * S::LANES <= row_len {
                self.columns::<S, C, 2, LEAKY>(s, raster, inputs, output, first, [y, x]);
                x += 2 * S::LANES;
            }
            while x < row_len {
                self.columns::<S, C, 1, LEAKY>(s, raster, inputs, output, first, [y, x]);
                x += S::LANES;
            }
        }
    }

    /// `Q` vectors of columns of one row of `C` outputs.
    #[inline(always)]
    fn columns<S: Simd, const C: usize, const Q: usize, const LEAKY: bool>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        output: &mut Output,
        first: usize,
        [y, x]: [usize; 2],
    ) {
        let mut acc = [[s.splat(0.0); Q]; C];
        let pixel = raster.row(y) + x;
        let mut taps = self.taps.iter().zip(&self.weights);
        let planes = inputs.iter().flat_map(|planes| planes.chunks_exact(raster.size));
        for (plane, count) in planes.zip(&self.of_input) {
            for (tap, weights) in taps.by_ref().take(*count) {
                let input = &plane[pixel.wrapping_add_signed(raster.offset(tap.dy, tap.dx))..][..Q * S::LANES];
                let taps: [S::F; Q] = std::array::from_fn(|q| s.load(&input[q * S::LANES..]));
                for (acc, w) in acc.iter_mut().zip(weights) {
                    let w = s.splat(*w);
                    for (acc, tap) in acc.iter_mut().zip(taps) {
                        *acc = s.mul_add(w, tap, *acc);
                    }
                }
            }
        }
        for (c, acc) in acc.into_iter().enumerate() {
            for (q, sum) in acc.into_iter().enumerate() {
                let finish = |sum| if LEAKY { s.leaky(sum) } else { sum };
                output.write::<S, 1>(s, raster, first + c, [y, x + q * S::LANES], [sum], finish);
            }
        }
    }

    /// `C` outputs with `T` taps at a time.
    #[inline(always)]
    fn add_gradient<S: Simd, const C: usize, const T: usize>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        slopes: &[f32],
        gradient: &mut [f32],
    ) {
        for (taps, parameters) in self.taps.chunks(T).zip(self.parameters.chunks(T)) {
            // Where taps are left over, the last one is taken again, and not looked at.
            let tap = |t: usize| taps[t.min(taps.len() - 1)];
            let planes: [&[f32]; T] = std::array::from_fn(|t| plane(inputs, raster, tap(t).input));
            let offsets: [isize; T] = std::array::from_fn(|t| raster.offset(tap(t).dy, tap(t).dx));
            let slopes: [&[f32]; C] = std::array::from_fn(|c| &slopes[c * raster.size..(c + 1) * raster.size]);
            let mut acc = [[s.splat(0.0); T]; C];
            for_places::<S>(raster, |at| {
                let slopes: [S::F; C] = std::array::from_fn(|c| at.load(s, slopes[c]));
                for t in 0..T {
                    let tap = at.load_beside(s, planes[t], offsets[t]);
                    for c in 0..C {
                        acc[c][t] = s.mul_add(tap, slopes[c], acc[c][t]);
                    }
                }
            });
            for (t, places) in parameters.iter().enumerate() {
                for (acc, place) in acc.iter().zip(places) {
                    if let Some(place) = place {
                        gradient[*place] += s.sum(acc[t]);
                    }
                }
            }
        }
    }
}

/// The sum of each channel of `planes` over pixels and windows.
pub(crate) fn channel_sums<S: Simd>(s: S, raster: &Raster, planes: &[f32], mut each: impl FnMut(usize, f32)) {
    for (c, plane) in planes.chunks_exact(raster.size).enumerate() {
        let sum = s.vectorize(
            #[inline(always)]
            || {
                let mut sum = s.splat(0.0);
                for_places::<S>(raster, |at| sum = s.add(sum, at.load(s, plane)));
                sum
            },
        );
        each(c, s.sum(sum));
    }
}
