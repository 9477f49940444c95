//! A fitted detector with its blueprint and what it was fitted to: all that scoring needs.

mod file;

pub(crate) use file::FittedRecord;

use std::path::Path;

use super::sample_file::score_row;
use super::{Blueprint, Detector, Input, Rows, SampleFile, Samples};
use crate::progress::Progress;
use crate::scores::ScoreRow;
use crate::{Error, Result};

/// Numbers of rows that are scored at a time: 16 MiB of them.
const NUMBERS_AT_ONCE: usize = 1 << 22;

/// Takes the scores of rows, in their order, with the cells of their [further columns](SampleFile::further_columns).
pub type ScoreSink<'a> = dyn FnMut(&ScoreRow, &[&str]) -> Result<()> + 'a;

/// A detector that was fitted to the rows of a file.
#[derive(Debug)]
pub struct Fitted {
    blueprint: Blueprint,
    rows: Rows,
    count: u64,
    sources: Option<String>,
    detector: Box<dyn Detector>,
}

impl Fitted {
    /// Fits the detector of `blueprint` to all rows of `file`, which are held in memory.
    ///
    /// Refuses a file without rows, and rows that the detector cannot be fitted to.
    pub fn fit(blueprint: &Blueprint, file: &SampleFile) -> Result<Fitted> {
        file.check_rows()?;
        let fitted = Fitted::fit_samples(blueprint, &file.samples(0..file.len())?, file.rows())?;
        Ok(Fitted { sources: file.sources().map(str::to_owned), ..fitted })
    }

    /// Fits the detector of `blueprint` to samples, which are such rows.
    pub(crate) fn fit_samples(blueprint: &Blueprint, samples: &Samples, rows: Rows) -> Result<Fitted> {
        let detector = blueprint.fit(samples)?;
        Ok(Fitted { blueprint: blueprint.clone(), rows, count: samples.len() as u64, sources: None, detector })
    }

    /// Whether it looks at packets one by one.
    pub(crate) fn is_stream(&self) -> bool {
        self.blueprint.input() == Input::Stream
    }

    /// The detector that knows what this one knows and what is in `samples`; `None` where samples cannot be added.
    pub(crate) fn fit_further(&self, samples: &Samples) -> Result<Option<Fitted>> {
        let (blueprint, rows, sources) = (self.blueprint.clone(), self.rows.clone(), self.sources.clone());
        let count = self.count.saturating_add(samples.len() as u64);
        let detector = self.detector.fit_further(samples)?;
        Ok(detector.map(|detector| Fitted { blueprint, rows, count, sources, detector }))
    }

    /// Forgets what came in which block of the recording that it was fitted to.
    pub(crate) fn forget_blocks(&mut self) {
        self.detector.forget_blocks();
    }

    /// Which detector it is, and with which parameters.
    pub fn blueprint(&self) -> &Blueprint {
        &self.blueprint
    }

    /// What it was fitted to.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// How many rows it was fitted to.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The dataset's name and captures that it was fitted to, as JSON, where that is known.
    pub fn sources(&self) -> Option<&str> {
        self.sources.as_deref()
    }

    /// The detector itself.
    pub fn detector(&self) -> &dyn Detector {
        self.detector.as_ref()
    }

    /// The threshold that the detector's own parameters give, if it has one.
    pub fn own_threshold(&self) -> Option<f64> {
        self.detector.own_threshold()
    }

    /// Refuses rows, those of `path`, of another kind than it was fitted to: other codes, or no codes at all.
    pub fn check_rows(&self, path: &Path, rows: &Rows) -> Result<()> {
        if self.rows.go_with(rows) {
            return Ok(());
        }
        Err(Error::OtherRows { path: path.to_owned(), got: rows.to_string(), expected: self.rows.to_string() })
    }

    /// Refuses a file without rows, and one whose rows are of another kind than those it was fitted to.
    pub fn check(&self, file: &SampleFile) -> Result<()> {
        file.check_rows()?;
        self.check_rows(file.path(), &file.rows())
    }

    /// The score of each row of `samples`; refuses another width than that of the rows it was fitted to.
    pub fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        self.check_width(samples)?;
        self.detector.score(samples)
    }

    /// Scores all rows of `file`, block by block, and hands them to `sink`; gives their number. Progress counts rows.
    ///
    /// What [`check`](Self::check) refuses is refused.
    pub fn score_file(&self, file: &SampleFile, sink: &mut ScoreSink<'_>, progress: &dyn Progress) -> Result<u64> {
        self.check(file)?;
        let rows = file.rows();
        progress.begin("scoring", Some(file.len() as u64));
        let mut score = self.detector.scorer();
        let at_once = (NUMBERS_AT_ONCE / rows.width()).max(1);
        for first in (0..file.len()).step_by(at_once) {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let block = first..(first + at_once).min(file.len());
            let scores = score(&file.samples(block.clone())?)?;
            let origins = file.listed_origins(block.clone())?;
            for ((row, (origin, list)), value) in block.clone().zip(origins).zip(scores) {
                sink(&score_row(row, origin, value), list.as_deref().as_slice())?;
            }
            progress.advance(block.len() as u64);
        }
        Ok(file.len() as u64)
    }

    fn check_width(&self, samples: &Samples) -> Result<()> {
        let expected = self.rows.width();
        if samples.width() == expected {
            return Ok(());
        }
        Err(Error::Setting {
            setting: "width of samples",
            got: samples.width().to_string(),
            expected: format!("{expected}, to which the detector was fitted"),
            remedy: None,
        })
    }
}
