//! From a dataset and a model to the file of its codes, block by block.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;

use serde_json::json;

use crate::code::{CodesDescription, CodesWriter};
use crate::dataset::{Dataset, Provenance, Windows};
use crate::engine::Engine;
use crate::model::{Autoencoder, CODE_SIZE};
use crate::progress::Progress;
use crate::{Error, Result};

/// Bytes of fragments that are encoded at a time: windows enough for all threads, and a stop within the second.
const BLOCK_BYTES: usize = 1 << 20;

/// Fragments that are encoded at a time, at least.
const BLOCK_MIN: usize = 512;

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
    let windows = checked_windows(model, dataset)?;
    let description = CodesDescription::new(dataset, description(model)?, frames as u64, stride.get() as u64);
    let mut writer = CodesWriter::create(place, &description, CODE_SIZE)?;
    progress.begin("encoding", Some(windows.div_ceil(stride.get()) as u64));

    let engine = Engine::new(model);
    let mut blocks = Blocks { dataset, frames, stride: stride.get(), next: 0, windows: 0 };
    let mut written = 0;
    let mut write = |block: &Block, codes: &[[f32; CODE_SIZE]]| -> Result<()> {
        for (window, code) in block.windows.iter().zip(codes) {
            writer.push(code, window.clone(), &block.provenance)?;
        }
        written += codes.len() as u64;
        progress.advance(codes.len() as u64);
        Ok(())
    };
    let mut read = blocks.next().transpose()?;
    let mut encoded: Option<(Block, Vec<[f32; CODE_SIZE]>)> = None;
    while let Some(block) = read.take() {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let mut codes = Vec::new();
        rayon::in_place_scope(|threads| -> Result<()> {
            threads.spawn(|_| codes = engine.encode(&block.bytes_of_windows()));
            if let Some((block, codes)) = &encoded {
                write(block, codes)?;
            }
            read = blocks.next().transpose()?;
            Ok(())
        })?;
        encoded = Some((block, codes));
    }
    if let Some((block, codes)) = &encoded {
        write(block, codes)?;
    }
    writer.finish()?;
    Ok(written)
}

/// How many windows the dataset has; refuses one that does not suit the model.
fn checked_windows(model: &Autoencoder, dataset: &Dataset) -> Result<usize> {
    let (config, got) = (model.config(), dataset.size());
    let taken = config.fragment_size()?;
    if got != taken {
        return Err(Error::OtherFragments {
            path: dataset.path().to_owned(),
            got: format!("fragments of {got}"),
            other: "the model".to_owned(),
            expected: format!("an input of {taken}"),
        });
    }
    match dataset.count_windows(config.frames.count())? {
        _ if dataset.is_empty() => Err(Error::NoFragments { path: dataset.path().to_owned() }),
        0 => Err(Error::NoWindows { what: "the dataset", frames: config.frames.count() }),
        windows => Ok(windows),
    }
}

/// The model as the codes' file names it: its configuration, and the SHA-256 of its weights.
fn description(model: &Autoencoder) -> Result<String> {
    let config = serde_json::to_value(model.config())
        .map_err(|error| Error::Unwritable { what: "codes", reason: error.to_string() })?;
    Ok(json!({ "config": config, "sha256": model.parameters().sha256() }).to_string())
}

/// A run of fragments and the windows that begin in it.
struct Block {
    bytes: Vec<u8>,
    fragment_size: usize,
    provenance: Provenance,
    /// The fragments of each window, by their index in the dataset.
    windows: Vec<Range<usize>>,
}

impl Block {
    fn bytes_of_windows(&self) -> Vec<&[u8]> {
        let place = |fragment: usize| (fragment - self.provenance.fragments().start) * self.fragment_size;
        self.windows.iter().map(|window| &self.bytes[place(window.start)..place(window.end)]).collect()
    }
}

/// The dataset block by block; neighbours overlap in all frames of a window but one.
struct Blocks<'a> {
    dataset: &'a Dataset,
    frames: usize,
    stride: usize,
    /// Where the next block begins.
    next: usize,
    /// Windows so far, those included that the stride leaves out.
    windows: usize,
}

impl Blocks<'_> {
    fn read(&mut self, starts: Range<usize>) -> Result<Block> {
        let (size, frames) = (self.dataset.size().bytes(), self.frames);
        let fragments = starts.start..starts.end + frames - 1;
        let mut bytes = Vec::with_capacity(fragments.len() * size);
        self.dataset.read(fragments.clone(), &mut bytes)?;
        let provenance = self.dataset.provenance(fragments)?;
        let all = match provenance.flows() {
            Some(flows) => Windows::within_flows(&bytes, size, frames, flows),
            None => Windows::over_run(&bytes, size, frames),
        };
        let wanted = (0..all.len()).filter(|i| (self.windows + i).is_multiple_of(self.stride));
        let window = |i| starts.start + all.first_fragment(i)..starts.start + all.first_fragment(i) + frames;
        let windows = wanted.map(window).collect();
        self.windows += all.len();
        Ok(Block { bytes, fragment_size: size, provenance, windows })
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Result<Block>> {
        let last_start = self.dataset.len().checked_sub(self.frames)?;
        let block = (BLOCK_BYTES / self.dataset.size().bytes()).max(BLOCK_MIN);
        let starts = self.next..(self.next + block).min(last_start + 1);
        self.next = starts.end;
        (!starts.is_empty()).then(|| self.read(starts))
    }
}
