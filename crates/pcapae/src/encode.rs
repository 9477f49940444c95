//! From a dataset and a model to the file of its codes, block by block.

use std::num::NonZeroUsize;
use std::path::Path;

use serde_json::json;

use crate::code::{CodesDescription, CodesWriter};
use crate::dataset::{Dataset, WantedWindows};
use crate::engine::Engine;
use crate::model::{Autoencoder, CODE_SIZE, TrainedOn};
use crate::progress::Progress;
use crate::{Error, Result};

/// Writes the codes that `model` gives of the windows of `dataset` to a [codes](crate::code) file at `place`, replacing what is
/// there; gives their number. The file is whole if this succeeds.
///
/// A window is as many fragments as the model's encoder takes. Neighbours overlap in all but one, and in flow mode none crosses from
/// one flow to another. Of all windows every `stride`-th is encoded, the first included.
///
/// While the engine computes a block, this thread writes the codes of the last one and reads the next. Memory holds three blocks,
/// besides what [`Dataset`] holds. The file is the same with any number of threads. Progress counts codes.
///
/// Refuses a dataset whose fragments have another size or shape than the model takes, and one without a window, before any long work.
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

/// Refuses a dataset without fragments, and one whose fragments are not of the size that the model takes, or were cut or masked otherwise
/// than those it was trained on.
pub fn check_fragments(model: &Autoencoder, dataset: &Dataset) -> Result<()> {
    let differ = |got: String, other: &str, expected: String| {
        Err(Error::OtherFragments { path: dataset.path().to_owned(), got, other: other.to_owned(), expected })
    };
    let (taken, got) = (model.config().fragment_size()?, dataset.size());
    if got != taken {
        return differ(format!("fragments of {got}"), "the model", format!("an input of {taken}"));
    }
    if let Some([got, expected]) = TrainedOn::from(dataset.cutting()).difference(model.trained_on()) {
        return differ(got, "what the model was trained on", expected);
    }
    if dataset.is_empty() { Err(Error::NoFragments { path: dataset.path().to_owned() }) } else { Ok(()) }
}

/// How many windows of `frames` fragments the dataset has; refuses one that does not suit the model.
pub(crate) fn checked_windows(model: &Autoencoder, dataset: &Dataset, frames: usize) -> Result<usize> {
    check_fragments(model, dataset)?;
    match dataset.count_windows(frames)? {
        0 => Err(Error::NoWindows { what: "the dataset", frames }),
        windows => Ok(windows),
    }
}

/// The model as the codes' file names it: its configuration, and the SHA-256 of its weights.
pub fn model_description(model: &Autoencoder) -> Result<String> {
    let config = serde_json::to_value(model.config()).map_err(Error::unwritable("codes"))?;
    Ok(json!({ "config": config, "sha256": model.parameters().sha256() }).to_string())
}
