//! The engine, whole and in parts, with every family of instructions that this processor has: `cargo bench -p pcapae-engine`.
//!
//! `cargo bench -p pcapae-engine -- train` takes only the benchmarks whose name has this word.

use std::fmt;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use pcapae_engine::kernel_benchmark::{KernelBenchmark, Operation};
use pcapae_engine::{Cell, Engine, Instructions, ModelConfig, Network, Side};

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
    fn network(&self) -> Network {
        Network::new(self.config, 1)
    }

    fn engine(&self) -> Engine {
        Engine::with_instructions(&self.network(), self.instructions)
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

/// A training step without the optimizer, which is the same for all instructions.
#[divan::bench(args = cases())]
fn train(bencher: Bencher, case: &Case) {
    let (network, mut engine, bytes) = (case.network(), case.engine(), case.bytes());
    let windows: Vec<&[u8]> = bytes.chunks(case.config.window_size()).collect();
    let mut gradient = network.parameters().zeros_like();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        let loss = engine.loss_and_gradient(&windows, None, &mut gradient);
        engine.load(network.parameters());
        loss
    });
}

/// A kernel on one block of windows of a side.
#[derive(Clone, Copy)]
struct KernelCase {
    operation: Operation,
    side: Side,
    instructions: Instructions,
}

impl fmt::Display for KernelCase {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {} {}", self.operation, self.side.pixels(), self.instructions)
    }
}

fn kernel_cases() -> Vec<KernelCase> {
    let mut cases = Vec::new();
    for operation in Operation::ALL {
        for side in SIDES {
            let with = |instructions| KernelCase { operation, side, instructions };
            cases.extend(Instructions::available().into_iter().map(with));
        }
    }
    cases
}

/// Items are windows: a block has more of them where vectors are longer.
#[divan::bench(args = kernel_cases())]
fn kernel(bencher: Bencher, case: &KernelCase) {
    let mut benchmark = KernelBenchmark::new(case.side, case.instructions);
    bencher.counter(ItemsCount::new(benchmark.windows())).bench_local(|| benchmark.run(case.operation));
}
