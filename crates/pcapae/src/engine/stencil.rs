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
    /// Groups the links to `outputs` channels: one, two, or a multiple of four.
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
        slopes: &[&[f32]],
        gradient: &mut [f32],
    ) {
        for group in &self.groups {
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
        let finish = |sum| if LEAKY { s.leaky(sum) } else { sum };
        for (c, sums) in acc.into_iter().enumerate() {
            output.write::<S, 1, Q>(s, raster, first + c, [y, x], [sums], finish);
        }
    }

    /// `C` outputs with `T` taps at a time.
    #[inline(always)]
    fn add_gradient<S: Simd, const C: usize, const T: usize>(
        &self,
        s: S,
        raster: &Raster,
        inputs: &[&[f32]],
        slopes: &[&[f32]],
        gradient: &mut [f32],
    ) {
        let slopes: [&[f32]; C] = std::array::from_fn(|c| plane(slopes, raster, self.first_output + c));
        for (taps, parameters) in self.taps.chunks(T).zip(self.parameters.chunks(T)) {
            // Where taps are left over, the last one is taken again, and not looked at.
            let tap = |t: usize| taps[t.min(taps.len() - 1)];
            let planes: [&[f32]; T] = std::array::from_fn(|t| plane(inputs, raster, tap(t).input));
            let offsets: [isize; T] = std::array::from_fn(|t| raster.offset(tap(t).dy, tap(t).dx));
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::cell_conv::Start;
    use super::super::instructions::Work;
    use super::super::phases::{self, conv_links, merge, split, transposed_links};
    use super::super::planes::{Planes, channel_sums};
    use super::super::specimen::{
        CASES, Random, any_windows, assert_close, assert_pictures, instructions_for, picture, widened,
    };
    use super::*;
    use crate::fragment::Shape;
    use crate::model::{ConvParameters, Graph, Grid, Map, Op, Window, conv_window, transposed_window};

    /// The convolutions of the network, and how each moves over a picture.
    #[derive(Debug, Clone, Copy)]
    enum Kind {
        Conv { shape: Shape, kernel: Grid, stride: Grid },
        Transposed { shape: Shape, kernel: Grid },
    }

    fn any_kind() -> impl Strategy<Value = Kind> {
        let square = |side: usize| Grid { height: side, width: side };
        let line = |width: usize| Grid { height: 1, width };
        prop::sample::select(vec![
            Kind::Conv { shape: Shape::Square, kernel: square(1), stride: square(1) },
            Kind::Conv { shape: Shape::Square, kernel: square(3), stride: square(1) },
            Kind::Conv { shape: Shape::Square, kernel: square(3), stride: square(2) },
            Kind::Conv { shape: Shape::Line, kernel: line(9), stride: line(1) },
            Kind::Conv { shape: Shape::Line, kernel: line(9), stride: line(4) },
            Kind::Conv { shape: Shape::Line, kernel: line(25), stride: line(1) },
            Kind::Transposed { shape: Shape::Square, kernel: square(4) },
            Kind::Transposed { shape: Shape::Line, kernel: line(16) },
        ])
    }

    /// A convolution, and what it is applied to.
    struct Case {
        transposed: bool,
        conv: ConvParameters,
        window: Window,
        parameters: Vec<f32>,
        finish: Finish,
        x: Planes,
        slopes: Planes,
    }

    impl Case {
        fn random(
            kind: Kind,
            [height, width]: [usize; 2],
            windows: usize,
            [inputs, outputs]: [usize; 2],
            finish: Finish,
            seed: u64,
        ) -> Case {
            let mut random = Random::new(seed);
            let (shape, kernel) = match kind {
                Kind::Conv { shape, kernel, .. } | Kind::Transposed { shape, kernel } => (shape, kernel),
            };
            let weights = inputs * outputs * kernel.pixels();
            let conv = ConvParameters { weight: 0..weights, bias: weights..weights + outputs, inputs, outputs, kernel };
            let window = match kind {
                Kind::Conv { stride, .. } => conv_window(&conv, stride),
                Kind::Transposed { .. } => transposed_window(&conv, shape),
            };
            let small = match shape {
                Shape::Square => Grid { height, width },
                Shape::Line => Grid { height: 1, width },
            };
            let [small, large] = [small, window.large(small)].map(|grid| Raster::new(shape, grid, windows));
            let transposed = matches!(kind, Kind::Transposed { .. });
            let (before, after) = if transposed { (small, large) } else { (large, small) };
            let parameters = random.values(weights + outputs);
            let (x, slopes) = (random.planes(before, inputs), random.planes(after, outputs));
            Case { transposed, conv, window, parameters, finish, x, slopes }
        }

        /// Outputs of each window and gradients of its input, and the gradient of the parameters.
        fn by_definition(&self) -> (Vec<[Map; 2]>, Vec<f64>) {
            let mut gradient = vec![0.0; self.parameters.len()];
            let maps = (0..self.x.raster.windows).map(|number| {
                let mut graph = Graph::new(&self.parameters);
                let x = graph.input(picture(&self.x, 0..self.conv.inputs, number));
                let (window, weight, bias) = (self.window, self.conv.weight.clone(), self.conv.bias.clone());
                let y = graph.push(if self.transposed {
                    Op::TransposedConv { x, window, weight, bias }
                } else {
                    Op::Conv { x, window, weight, bias }
                });
                let seed = picture(&self.slopes, 0..self.conv.outputs, number);
                let mut of_window = graph.gradient(vec![(y, seed)], self.parameters.len());
                gradient.iter_mut().zip(&of_window.parameters).for_each(|(sum, part)| *sum += part);
                let y = match self.finish {
                    Finish::Nothing => y,
                    Finish::Leaky => graph.push(Op::Leaky { x: y }),
                };
                [graph.value(y).clone(), of_window.values[0].take().unwrap()]
            });
            let maps = maps.collect();
            (maps, gradient)
        }
    }

    impl Work for &Case {
        type Output = (Planes, Planes, Vec<f32>);

        fn run<S: Simd>(self, s: S) -> (Planes, Planes, Vec<f32>) {
            let (conv, stride) = (&self.conv, self.window.stride);
            let phases = phases::count(stride);
            let mut gradient = vec![0.0; self.parameters.len()];
            let start = Start::Values(&self.parameters[conv.bias.clone()]);
            let (mut y, mut dx) = (Planes::zeros(self.slopes.raster, conv.outputs), self.x.clone());
            let of_phases = |large: &Planes, small: Raster| {
                let mut parts = Planes::zeros(small, phases * large.count());
                split(s, stride, &large.raster, large.all(), &small, parts.all_mut());
                parts
            };
            let (small, links, inputs, outputs) = if self.transposed {
                (self.x.raster, transposed_links(conv, &self.window), conv.inputs, phases * conv.outputs)
            } else {
                (self.slopes.raster, conv_links(conv, &self.window), phases * conv.inputs, conv.outputs)
            };
            let (mut forward, mut back) = (Stencil::new(&links, outputs), Stencil::turned(&links, inputs));
            forward.load(&self.parameters);
            back.load(&self.parameters);
            let (x, slopes) = if self.transposed {
                (self.x.clone(), of_phases(&self.slopes, small))
            } else {
                (of_phases(&self.x, small), self.slopes.clone())
            };
            let (mut sums, mut turned) = (Planes::zeros(small, outputs), Planes::zeros(small, inputs));
            let mut output = [Output { planes: sums.all_mut(), start }];
            forward.apply(s, &small, &[x.all()], &mut output, self.finish);
            let mut output = [Output { planes: turned.all_mut(), start: Start::Zero }];
            back.apply(s, &small, &[slopes.all()], &mut output, Finish::Nothing);
            forward.add_gradient(s, &small, &[x.all()], &[slopes.all()], &mut gradient);
            if self.transposed {
                merge(s, stride, &small, sums.all(), &y.raster.clone(), y.all_mut());
                dx = turned;
            } else {
                y = sums;
                merge(s, stride, &small, turned.all(), &dx.raster.clone(), dx.all_mut());
            }
            let slopes = &self.slopes;
            channel_sums(s, &slopes.raster, slopes.all(), |c, sum| gradient[conv.bias.start + c] += sum);
            (y, dx, gradient)
        }
    }

    /// As many channels as the network has somewhere.
    fn channels() -> impl Strategy<Value = usize> {
        prop::sample::select(vec![1, 2, 4, 8])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4 * CASES))]

        #[test]
        fn links_give_every_convolution_of_the_network_and_its_gradients(
            kind in any_kind(),
            sides in [1usize..6, 1usize..9],
            windows in any_windows(),
            channels in [channels(), channels()],
            finish in prop::sample::select(vec![Finish::Nothing, Finish::Leaky]),
            seed: u64,
        ) {
            let case = Case::random(kind, sides, windows, channels, finish, seed);
            let (maps, exact) = case.by_definition();
            for instructions in instructions_for(windows) {
                let (y, dx, gradient) = instructions.run(&case);
                for (window, [y_map, dx_map]) in maps.iter().enumerate() {
                    let what = format!("{instructions}, window {window}");
                    assert_pictures(&format!("{what}: y"), &y, window, y_map, 5e-6);
                    assert_pictures(&format!("{what}: dx"), &dx, window, dx_map, 5e-6);
                }
                assert_close(&format!("{instructions}, gradient"), &widened(&gradient), &exact, 5e-6);
            }
        }
    }
}
