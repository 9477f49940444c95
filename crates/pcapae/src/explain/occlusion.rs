//! Occlusion: every byte replaced in turn, and the target computed again by the engine.

use super::target::{Frames, Run, Target};
use crate::engine::Engine;
use crate::model::{Autoencoder, CODE_SIZE};
use crate::progress::Progress;
use crate::{Error, Result};

/// Windows that are computed together.
const BLOCK: usize = 256;

/// How much the target falls where a byte is replaced by `replacement`, a value from 0 to 1 for every byte of the window.
pub(super) fn occlude(
    model: &Autoencoder,
    run: &Run,
    target: &Target,
    replacement: &[f64],
    progress: &dyn Progress,
) -> Result<Frames> {
    let engine = Engine::new(model);
    let whole = values(&engine, run, target, &[run.bytes])?[0];
    let mut falls = Vec::with_capacity(run.bytes.len());
    progress.begin("occluding", Some(run.bytes.len() as u64));
    for first in (0..run.bytes.len()).step_by(BLOCK) {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let places = first..(first + BLOCK).min(run.bytes.len());
        let with_one_replaced = |place: usize| {
            let mut window = run.bytes.to_vec();
            window[place] = (replacement[place] * 255.0).round() as u8;
            window
        };
        let windows: Vec<Vec<u8>> = places.map(with_one_replaced).collect();
        let windows: Vec<&[u8]> = windows.iter().map(Vec::as_slice).collect();
        falls.extend(values(&engine, run, target, &windows)?.into_iter().map(|value| whole - value));
        progress.advance(windows.len() as u64);
    }
    Ok(falls.chunks(run.config.side.fragment_size()).map(<[f64]>::to_vec).collect())
}

/// The target's value for each window.
fn values(engine: &Engine, run: &Run, target: &Target, windows: &[&[u8]]) -> Result<Vec<f64>> {
    let size = run.config.side.fragment_size();
    let emitted = run.config.emitted_frames() * size;
    Ok(match target {
        Target::Score { frame } => {
            let mean = |residual: &[f32]| {
                residual[frame * size..(frame + 1) * size].iter().map(|r| f64::from(*r)).sum::<f64>() / size as f64
            };
            engine.residual(windows).chunks(emitted).map(mean).collect()
        }
        Target::Code { entry } => engine.encode(windows).iter().map(|code| f64::from(code[*entry])).collect(),
        Target::Detector(score) => {
            let codes: Vec<f32> = engine.encode(windows).as_flattened().to_vec();
            debug_assert_eq!(codes.len(), windows.len() * CODE_SIZE);
            score.scores(&codes)?
        }
        Target::Pixel { .. } | Target::Brightest => {
            let (frame, pixel) = run.pixel(target);
            let at = |output: &[f32]| f64::from(output[frame * size + pixel]);
            engine.reconstruct(windows).chunks(emitted).map(at).collect()
        }
    })
}
