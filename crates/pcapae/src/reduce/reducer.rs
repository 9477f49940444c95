//! A fitted method with what it was fitted to: all that reducing other datasets needs.

mod file;

use std::num::NonZeroUsize;
use std::path::Path;

use nalgebra::DMatrix;
use rayon::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::projection::Projection;
use super::{Quality, Reduction, TrainingWindows};
use crate::code::{CodesDescription, CodesWriter, entropy_of_codes};
use crate::dataset::{Dataset, WantedWindows};
use crate::detectors::Rows;
use crate::model::Frames;
use crate::named_arrays::NamedArrays;
use crate::progress::Progress;
use crate::{Error, Result};

/// Windows in a block, the work of one thread.
const TILE: usize = 256;

/// A method fitted to the windows of a dataset.
#[derive(Debug)]
pub struct Reducer {
    reduction: Reduction,
    rows: Rows,
    frames: Frames,
    count: u64,
    sources: Option<String>,
    projection: Box<dyn Projection>,
}

/// The codes of some windows, and the sum of the squared errors of their reconstructions.
type Reduced = (Vec<f32>, Option<f64>);

impl Reducer {
    /// Fits `reduction` to the windows of `frames` fragments of `dataset`, all of them or, where the method says so, a sample.
    ///
    /// Refuses parameters out of range, a dataset without windows, and too few, too similar or too wide windows.
    pub fn fit(reduction: &Reduction, dataset: &Dataset, frames: Frames, progress: &dyn Progress) -> Result<Reducer> {
        reduction.check()?;
        let windows = TrainingWindows::new(dataset, frames.count())?;
        Ok(Reducer {
            reduction: reduction.clone(),
            rows: Rows::of_fragments(dataset),
            frames,
            count: windows.len() as u64,
            sources: dataset.sources().map(str::to_owned),
            projection: reduction.projection(&windows, progress)?,
        })
    }

    /// Which method, and with which parameters.
    pub fn reduction(&self) -> &Reduction {
        &self.reduction
    }

    /// How the fragments that it was fitted to were cut.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Fragments in a window.
    pub fn frames(&self) -> Frames {
        self.frames
    }

    /// Windows in the dataset that it was fitted to; the method may have looked at a sample of them.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The captures of that dataset, as JSON, where they are known.
    pub fn sources(&self) -> Option<&str> {
        self.sources.as_deref()
    }

    /// All that the projection consists of, by name.
    pub fn numbers(&self) -> NamedArrays {
        self.projection.numbers()
    }

    /// False where the method searched for its projection and was stopped by its number of iterations.
    pub fn converged(&self) -> bool {
        !self.numbers().scalar("converged").is_ok_and(|converged| converged == 0.0)
    }

    /// How many windows a dataset has for it. Refuses a dataset without one, and fragments of another size, mode or mask than it was fitted to.
    pub fn check(&self, dataset: &Dataset) -> Result<usize> {
        let rows = Rows::of_fragments(dataset);
        if !self.rows.go_with(&rows) {
            return Err(Error::OtherFragments {
                path: dataset.path().to_owned(),
                got: rows.to_string(),
                other: "the reducer".into(),
                expected: format!("been fitted to {}", self.rows),
            });
        }
        Ok(TrainingWindows::new(dataset, self.frames.count())?.len())
    }

    /// The codes of windows of as many bytes as those it was fitted to, one after the other. Panics where one has another number.
    pub fn codes(&self, windows: &[&[u8]]) -> Vec<f32> {
        self.reduced(windows).0
    }

    /// Writes the codes of the windows of `dataset` to a [codes](crate::code) file at `place`, replacing what is there, as
    /// [`encode`](crate::encode::encode) does: of all windows every `stride`-th, the first included. The file is whole if this succeeds.
    ///
    /// Memory holds three blocks of windows. The file is the same with any number of threads. Progress counts codes.
    ///
    /// What [`check`](Self::check) refuses is refused before any work.
    pub fn reduce(
        &self,
        dataset: &Dataset,
        stride: NonZeroUsize,
        place: &Path,
        progress: &dyn Progress,
    ) -> Result<Quality> {
        let windows = self.check(dataset)?;
        let (frames, stride) = (self.frames.count(), stride.get());
        let description = CodesDescription::new(dataset, self.description()?, frames as u64, stride as u64);
        let width = self.projection.components();
        let mut writer = CodesWriter::create(place, &description, width)?;
        progress.begin("reducing", Some(windows.div_ceil(stride) as u64));
        let (mut written, mut squares) = (0, Some(0.0));
        WantedWindows { dataset, frames, stride }.each_block(
            |block| self.reduced(&block.bytes_of_windows()),
            |block, (codes, more)| {
                for (window, code) in block.windows.iter().zip(codes.chunks(width)) {
                    writer.push(code, window.clone(), &block.provenance)?;
                }
                squares = squares.zip(more).map(|(squares, more)| squares + more);
                written += block.windows.len() as u64;
                progress.advance(block.windows.len() as u64);
                Ok(())
            },
            progress,
        )?;
        writer.finish()?;
        let bytes = written as f64 * (frames * dataset.size().bytes()) as f64;
        Ok(Quality {
            windows: written,
            reconstruction_error: squares.map(|squares| squares / bytes),
            entropy: entropy_of_codes(place)?,
        })
    }

    fn reduced(&self, windows: &[&[u8]]) -> Reduced {
        let width = self.frames.count() * self.rows.width();
        let of_tile = |tile: &[&[u8]]| {
            assert!(tile.iter().all(|window| window.len() == width), "windows of {width} bytes are reduced");
            let bytes = tile.iter().flat_map(|window| window.iter().map(|&byte| f64::from(byte) / 255.0));
            let tile = DMatrix::from_iterator(width, tile.len(), bytes);
            let codes = self.projection.codes(&tile);
            let squares = self.projection.windows(&codes).map(|back| (tile - back).norm_squared());
            (codes.iter().map(|number| *number as f32).collect(), squares)
        };
        // Tile after tile is added in the same order, whoever computed it.
        let tiles: Vec<Reduced> = windows.par_chunks(TILE).map(of_tile).collect();
        let squares = tiles.iter().map(|(_, squares)| *squares).sum();
        (tiles.into_iter().flat_map(|(codes, _)| codes).collect(), squares)
    }

    /// The reducer as the codes' file names it: its method, and the SHA-256 of its numbers.
    fn description(&self) -> Result<String> {
        let unwritable = Error::unwritable::<serde_json::Error>("codes");
        let reduction = serde_json::to_value(&self.reduction).map_err(unwritable)?;
        let hash =
            Sha256::digest(self.to_bytes()?).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        Ok(json!({ "reduction": reduction, "frames": self.frames, "sha256": hash }).to_string())
    }
}
