//! The folder of a training and the files in it.

use std::fs;
use std::path::{Path, PathBuf};

use pcapae::atomic_file::{AtomicFile, Existing};
use pcapae::model::Head;
use pcapae::report::{EpochRow, history_csv, loss_curve, read_history};
use pcapae::train::Training;
use pcapae::{Error, Result};

use crate::progress::remove_if_stopped;

/// Where a training writes to.
#[derive(Debug)]
pub struct TrainingFolder {
    path: PathBuf,
}

impl TrainingFolder {
    /// The folder at `path`, whether it is there or not; an empty path is the current folder.
    pub fn new(path: PathBuf) -> TrainingFolder {
        TrainingFolder { path: if path.as_os_str().is_empty() { ".".into() } else { path } }
    }

    /// The folder that a file is in.
    pub fn beside(file: &Path) -> TrainingFolder {
        TrainingFolder::new(file.parent().unwrap_or(Path::new("")).to_owned())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model with the smallest validation loss.
    pub fn best(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// The model as of the last step, and what the training needs to go on.
    pub fn last(&self) -> PathBuf {
        self.path.join("last.safetensors")
    }

    fn history(&self) -> PathBuf {
        self.path.join("history.csv")
    }

    fn chart(&self) -> PathBuf {
        self.path.join("loss.png")
    }

    /// Whether `file` is the last weights of this folder.
    pub fn is_of(&self, file: &Path) -> bool {
        self.last().canonicalize().is_ok_and(|last| file.canonicalize().is_ok_and(|file| file == last))
    }

    /// Refuses a folder with a training in it.
    pub fn refuse_if_used(&self) -> Result<()> {
        let used = [self.best(), self.last(), self.history(), self.chart()].iter().any(|file| file.exists());
        if used { Err(Error::TrainingExists { folder: self.path.clone() }) } else { Ok(()) }
    }

    /// Makes the folder if it is not there; refuses one that cannot be written to.
    pub fn create(&self) -> Result<()> {
        fs::create_dir_all(&self.path).map_err(Error::io("create", &self.path))?;
        AtomicFile::create(&self.last(), Existing::Replace).map(drop)
    }

    /// The history up to the last whole epoch of `training`; where it is not in the file, what is not known is not a number.
    pub fn rows(&self, training: &Training) -> Result<Vec<EpochRow>> {
        let stored = if self.history().exists() { read_history(&self.history())? } else { Vec::new() };
        let mut best = f64::INFINITY;
        let row = |(epoch, losses): (usize, &pcapae::train::Epoch)| {
            let known = stored.iter().find(|row| row.epoch == epoch);
            let unknown = f64::NAN;
            let is_best = losses.validation < best;
            best = best.min(losses.validation);
            EpochRow {
                epoch,
                steps: known.map_or(0, |row| row.steps),
                learning_rate: known.map_or(unknown, |row| row.learning_rate),
                loss: losses.train,
                validation_loss: losses.validation,
                seconds: known.map_or(unknown, |row| row.seconds),
                fragments_per_second: known.map_or(unknown, |row| row.fragments_per_second),
                best: is_best,
            }
        };
        Ok((1..).zip(&training.history().epochs).map(row).collect())
    }

    /// Writes all files, each whole; those of a best epoch are removed where there was none yet.
    pub fn save(&self, training: &Training, rows: &[EpochRow]) -> Result<()> {
        self.save_best(training)?;
        self.save_last(training, rows)
    }

    /// Writes the model of the best epoch, if there was an epoch.
    pub fn save_best(&self, training: &Training) -> Result<()> {
        if training.history().best.is_some() {
            return write(&self.best(), &training.best_to_safetensors()?);
        }
        for stale in [self.best(), self.chart()] {
            if stale.exists() {
                fs::remove_file(&stale).map_err(Error::io("remove", &stale))?;
            }
        }
        Ok(())
    }

    /// Writes history, chart and, as the last, what the training needs to go on.
    pub fn save_last(&self, training: &Training, rows: &[EpochRow]) -> Result<()> {
        write(&self.history(), &history_csv(rows)?)?;
        if !rows.is_empty() {
            let loss = match training.model().config().head {
                Head::Linear => "mean squared error",
                Head::Sigmoid => "binary cross-entropy",
                Head::Categorical => "cross-entropy",
            };
            let png = loss_curve(rows, loss)?.png().map_err(Error::io("write", &self.chart()))?;
            write(&self.chart(), &png)?;
        }
        write(&self.last(), &training.to_safetensors()?)
    }
}

fn write(place: &Path, bytes: &[u8]) -> Result<()> {
    let file = AtomicFile::create(place, Existing::Replace)?;
    remove_if_stopped(file.path());
    file.write(bytes)
}
