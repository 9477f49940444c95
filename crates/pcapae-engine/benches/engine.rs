//! The engine, whole and in parts, with every family of instructions that this processor has: `cargo bench -p pcapae`.
//!
//! `cargo bench -p pcapae -- train` takes only the benchmarks whose name has this word.

use std::fmt;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use pcapae::engine::kernels::{Kernel, Kernels};
use pcapae::engine::{Engine, Instructions};
use pcapae::model::{Autoencoder, Cell, ModelConfig, Side};

/// Windows in a batch, as `pcapae learn` takes them.
const BATCH: usize = 32;

/// Samples of a benchmark, and the time after which no more are taken.
const SAMPLES: u32 = 50;
const TIME_MAX: Duration = Duration::from_millis(400);

const SIDES: [Side; 3] = [Side::Sixteen, Side::ThirtyTwo, Side::SixtyFour];

fn main() {
    divan::Divan::from_args().sample_count(SAMPLES).max_time(TIME_MAX).main();
}

/// A network and the instructions that it runs with.
#[derive(Clone, Copy)]
struct Case {
    config: ModelConfig,
    instructions: Instructions,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let cell = if self.config.cell == Cell::Gru { "gru" } else { "lstm" };
        write!(f, "{cell} {} {}", self.config.side.pixels(), self.instructions)
    }
}

impl Case {
    fn model(&self) -> Autoencoder {
        Autoencoder::new(self.config, 1)
    }

    fn engine(&self) -> Engine {
        Engine::with_instructions(&self.model(), self.instructions)
    }

    fn bytes(&self) -> Vec<u8> {
        (0..BATCH * self.config.window_size()).map(|i| ((i * i) >> 5) as u8).collect()
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for cell in [Cell::Gru, Cell::Lstm] {
        for side in SIDES {
            let config = ModelConfig { cell, ..ModelConfig::new(side) };
            cases.extend(Instructions::available().into_iter().map(|instructions| Case { config, instructions }));
        }
    }
    cases
}

#[divan::bench(args = cases())]
fn encode(bencher: Bencher, case: &Case) {
    let (engine, bytes) = (case.engine(), case.bytes());
    let windows: Vec<&[u8]> = bytes.chunks(case.config.window_size()).collect();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| engine.encode(&windows));
}

#[divan::bench(args = cases())]
fn forward(bencher: Bencher, case: &Case) {
    let (engine, bytes) = (case.engine(), case.bytes());
    let windows: Vec<&[u8]> = bytes.chunks(case.config.window_size()).collect();
    let mut outputs = Vec::new();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| engine.reconstruct_into(&windows, &mut outputs));
}

/// A training step without the optimiser's part, which is the same for all instructions.
#[divan::bench(args = cases())]
fn train(bencher: Bencher, case: &Case) {
    let (model, mut engine, bytes) = (case.model(), case.engine(), case.bytes());
    let windows: Vec<&[u8]> = bytes.chunks(case.config.window_size()).collect();
    let mut gradient = model.parameters().zeros_like();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let loss = engine.loss_and_gradient(&windows, None, &mut gradient);
        engine.load(model.parameters());
        loss
    });
}

/// A kernel on one block of pictures of a side.
#[derive(Clone, Copy)]
struct OneKernel {
    kernel: Kernel,
    side: Side,
    instructions: Instructions,
}

impl fmt::Display for OneKernel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {} {}", self.kernel, self.side.pixels(), self.instructions)
    }
}

fn kernels() -> Vec<OneKernel> {
    let mut kernels = Vec::new();
    for kernel in Kernel::ALL {
        for side in SIDES {
            let with = |instructions| OneKernel { kernel, side, instructions };
            kernels.extend(Instructions::available().into_iter().map(with));
        }
    }
    kernels
}

/// Items are windows: a block has more of them where vectors are longer.
#[divan::bench(args = kernels())]
fn kernel(bencher: Bencher, one: &OneKernel) {
    let mut kernels = Kernels::new(one.side, one.instructions);
    bencher.counter(ItemsCount::new(kernels.windows())).bench_local(|| kernels.run(one.kernel));
}
