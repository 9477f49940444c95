//! Measures the engine in one case, or the processor, and prints a JSON line; `benches/against_pytorch.py` calls it.
//!
//! ```text
//! cargo run --release --example engine_speed -- encode|forward|train gru|lstm FRAMES BATCH SECONDS [INSTRUCTIONS]
//! cargo run --release --example engine_speed -- peak SECONDS
//! ```
//!
//! Times are medians over at least three calls and as many as fit into the seconds; three more are made beforehand. As many threads
//! as `RAYON_NUM_THREADS` says, or one a core.

use std::error::Error;
use std::time::Instant;

use pcapae::engine::peak::multiply_adds;
use pcapae::engine::{Cost, Engine, Instructions};
use pcapae::model::{Autoencoder, Cell, Frames, ModelConfig, Side};
use pcapae::train::{Optimizer, OptimizerState, StepParameters};
use serde_json::{Value, json};

const USAGE: &str = "usage: engine_speed encode|forward|train gru|lstm FRAMES BATCH SECONDS [INSTRUCTIONS], or engine_speed peak SECONDS";

/// Calls before the first that is measured, and the fewest that are.
const CALLS: usize = 3;

/// Multiply-adds of a thread in one call: a few thousandths of a second, in which even a busy machine now and then leaves all threads
/// alone.
const PEAK_COUNT: u64 = 1 << 27;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["peak", seconds] => peak(seconds.parse()?),
        [step, cell, frames, batch, seconds] => {
            let config = config(cell, frames.parse()?)?;
            speed(step, config, batch.parse()?, seconds.parse()?, Instructions::best())?
        }
        [step, cell, frames, batch, seconds, instructions] => {
            let found = Instructions::available().into_iter().find(|family| family.to_string() == instructions);
            let instructions = found.ok_or(format!("this processor has no {instructions}"))?;
            speed(step, config(cell, frames.parse()?)?, batch.parse()?, seconds.parse()?, instructions)?
        }
        _ => return Err(USAGE.into()),
    };
    #[allow(clippy::print_stdout, reason = "the result")]
    {
        println!("{result}");
    }
    Ok(())
}

fn config(cell: &str, frames: usize) -> Result<ModelConfig, Box<dyn Error>> {
    let cell = match cell {
        "gru" => Cell::Gru,
        "lstm" => Cell::Lstm,
        _ => return Err(USAGE.into()),
    };
    Ok(ModelConfig { cell, frames: Frames::try_from(frames)?, ..ModelConfig::new(Side::ThirtyTwo) })
}

fn speed(
    step: &str,
    config: ModelConfig,
    batch: usize,
    seconds: f64,
    instructions: Instructions,
) -> Result<Value, Box<dyn Error>> {
    let mut model = Autoencoder::new(config, 1);
    let mut engine = Engine::with_instructions(&model, instructions);
    let bytes: Vec<u8> = (0..batch * config.window_size()).map(|i| ((i * i) >> 5) as u8).collect();
    let windows: Vec<&[u8]> = bytes.chunks(config.window_size()).collect();
    let costs = [Cost::direct(&config), engine.cost(batch)];
    let (time, costs) = match step {
        "encode" => (median(seconds, || drop(engine.encode(&windows))), costs.map(|cost| cost.encode)),
        "forward" => {
            let mut outputs = Vec::new();
            (median(seconds, || engine.reconstruct_into(&windows, &mut outputs)), costs.map(|cost| cost.forward))
        }
        "train" => {
            let mut optimizer = OptimizerState::new(Optimizer::AdamW, model.parameters().values().len());
            let mut gradient = model.parameters().zeros_like();
            let time = median(seconds, || {
                engine.loss_and_gradient(&windows, None, &mut gradient);
                optimizer.step(
                    model.values_mut(),
                    gradient.values(),
                    StepParameters { learning_rate: 1e-5, beta1: 0.9 },
                );
                engine.load(model.parameters());
            });
            (time, costs.map(|cost| cost.train))
        }
        _ => return Err(USAGE.into()),
    };
    Ok(json!({
        "windows_per_second": batch as f64 / time,
        "peak_megabytes": peak_megabytes(),
        "instructions": instructions.to_string(),
        "multiply_adds_direct": costs[0],
        "multiply_adds_as_computed": costs[1],
    }))
}

/// What all threads together can do with the best instructions, the fastest call of all.
fn peak(seconds: f64) -> Value {
    let start = Instant::now();
    let mut fastest = f64::INFINITY;
    while fastest.is_infinite() || start.elapsed().as_secs_f64() < seconds {
        let one = Instant::now();
        std::hint::black_box(rayon::broadcast(|_| multiply_adds(Instructions::best(), PEAK_COUNT)));
        fastest = fastest.min(one.elapsed().as_secs_f64());
    }
    let threads = rayon::current_num_threads();
    json!({ "multiply_adds_per_second": threads as f64 * PEAK_COUNT as f64 / fastest, "threads": threads })
}

fn median(seconds: f64, mut work: impl FnMut()) -> f64 {
    (0..CALLS).for_each(|_| work());
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.len() < CALLS || start.elapsed().as_secs_f64() < seconds {
        let one = Instant::now();
        work();
        times.push(one.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The most memory that this process had, in millions of bytes, where Linux says it.
fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024.0 / 1e6)
}
