//! Encoding: from a dataset and a model to the file of its codes, block by block.

use std::num::NonZeroUsize;
use std::path::Path;

use serde_json::json;

use crate::code::{CodesDescription, CodesWriter};
use crate::dataset::{Dataset, WantedWindows};
use crate::engine::Engine;
use crate::fragment::FragmentSize;
use crate::model::{Autoencoder, CODE_SIZE, TrainedOn};
use crate::progress::Progress;
use crate::{Error, Result};

/// Writes the codes of the windows of `dataset` to a [codes](crate::code) file at `place`, replacing a file that is there; returns
/// their number.
///
/// A window is as many fragments as the model's encoder takes. Consecutive windows overlap in all but one, and in flow mode no window
/// spans two flows. Every `stride`-th window is encoded, from the first.
///
/// While the engine computes a block, this thread writes the codes of the previous one and reads the next. Memory: three blocks, beside
/// the [`Dataset`]'s own. The file is the same with any number of threads. Progress counts codes.
///
/// # Errors
///
/// A dataset whose fragments do not suit the model, or without a window, before any long work; a file that cannot be written.
pub fn encode(
    model: &Autoencoder,
    dataset: &Dataset,
    stride: NonZeroUsize,
    place: &Path,
    progress: &dyn Progress,
) -> Result<u64> {
    let frames = model.config().frames.count();
    let windows = checked_windows(model, dataset, frames)?;
    let description = CodesDescription::new(dataset, model_description(model)?, frames as u64, stride.get() as u64);
    let mut writer = CodesWriter::create(place, &description, CODE_SIZE)?;
    progress.begin("encoding", Some(windows.div_ceil(stride.get()) as u64));

    let engine = Engine::new(model);
    let mut written = 0;
    let wanted = WantedWindows { dataset, frames, stride: stride.get() };
    wanted.each_block(
        |block| engine.encode(&block.bytes_of_windows()),
        |block, codes| {
            for (window, code) in block.windows.iter().zip(&codes) {
                writer.push(code, window.clone(), &block.provenance)?;
            }
            written += codes.len() as u64;
            progress.advance(codes.len() as u64);
            Ok(())
        },
        progress,
    )?;
    writer.finish()?;
    Ok(written)
}

/// Refuses a dataset without fragments, or whose fragments have another size than the model takes, or were cut or masked differently
/// from those it was trained on.
pub fn check_fragments(model: &Autoencoder, dataset: &Dataset) -> Result<()> {
    let differ = |got: String, other: &str, expected: String| {
        Err(Error::OtherFragments { path: dataset.path().to_owned(), got, other: other.to_owned(), expected })
    };
    let (taken, got) = (FragmentSize::try_from(model.config())?, dataset.size());
    if got != taken {
        return differ(format!("fragments of {got}"), "the model", format!("an input of {taken}"));
    }
    if let Some([got, expected]) = TrainedOn::from(dataset.cutting()).difference(model.trained_on()) {
        return differ(got, "what the model was trained on", expected);
    }
    if dataset.is_empty() { Err(Error::NoFragments { path: dataset.path().to_owned() }) } else { Ok(()) }
}

/// The number of windows of `frames` fragments; refuses a dataset that does not suit the model.
pub(crate) fn checked_windows(model: &Autoencoder, dataset: &Dataset, frames: usize) -> Result<usize> {
    check_fragments(model, dataset)?;
    match dataset.count_windows(frames)? {
        0 => Err(Error::NoWindows { what: "the dataset", frames }),
        windows => Ok(windows),
    }
}

/// The model's entry in a codes file: its configuration, and the SHA-256 of its weights.
pub fn model_description(model: &Autoencoder) -> Result<String> {
    let config = serde_json::to_value(model.config()).map_err(Error::unwritable("codes"))?;
    Ok(json!({ "config": config, "sha256": model.sha256() }).to_string())
}
