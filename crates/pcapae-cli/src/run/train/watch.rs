//! What is said and written while a training runs.

use std::time::{Duration, Instant};

use pcapae::Result;
use pcapae::progress::Progress;
use pcapae::report::EpochRow;
use pcapae::train::{Observer, Step, Training};

use super::folder::TrainingFolder;
use super::tensorboard::Board;
use crate::progress::Console;

/// Measures the time, shows how it goes, and keeps the files of the folder up to date.
pub struct Watch<'a> {
    console: &'a Console,
    folder: &'a TrainingFolder,
    board: Option<Board>,
    rows: Vec<EpochRow>,
    /// Fragments in a window.
    frames: usize,
    /// When the epoch began, or the training went on in it.
    began: Instant,
    /// Fragments learned since then, and the time that took.
    fragments: usize,
    learning: Duration,
    last: Option<Step>,
    /// Whole epochs of this run, and the time they took.
    epochs: u32,
    elapsed: Duration,
}

impl<'a> Watch<'a> {
    /// Begins to measure. `rows` are the epochs so far.
    pub fn new(
        console: &'a Console,
        folder: &'a TrainingFolder,
        board: Option<Board>,
        training: &Training,
        rows: Vec<EpochRow>,
    ) -> Watch<'a> {
        Watch {
            console,
            folder,
            board,
            rows,
            frames: training.model().config().window_frames(),
            began: Instant::now(),
            fragments: 0,
            learning: Duration::ZERO,
            last: None,
            epochs: 0,
            elapsed: Duration::ZERO,
        }
    }

    /// All epochs so far.
    pub fn rows(&self) -> &[EpochRow] {
        &self.rows
    }

    /// Writes down how it ended.
    pub fn end(&mut self, finished: bool) -> Result<()> {
        self.board.as_mut().map_or(Ok(()), |board| board.end(finished))
    }

    fn fragments_per_second(&self) -> f64 {
        self.fragments as f64 / self.learning.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

impl Observer for Watch<'_> {
    fn step(&mut self, step: &Step) -> Result<()> {
        self.fragments += step.windows * self.frames;
        self.learning = self.began.elapsed();
        self.last = Some(*step);
        let validation = match self.rows.last() {
            Some(row) => format!(", validation {:.6}", row.validation_loss),
            None => String::new(),
        };
        let (loss, rate, speed) = (step.mean_loss, step.learning_rate, self.fragments_per_second());
        self.console.remark(&format!("loss {loss:.6}{validation}, rate {rate:.2e}, {speed:.0} fragments/s"));
        self.board.as_mut().map_or(Ok(()), |board| board.step(step))
    }

    fn epoch(&mut self, training: &Training) -> Result<()> {
        let history = training.history();
        let Some(losses) = history.epochs.last() else { return Ok(()) };
        let best = history.best == Some(history.epochs.len() - 1);
        let row = EpochRow {
            epoch: history.epochs.len(),
            steps: self.last.map_or(0, |step| step.step as u64),
            learning_rate: self.last.map_or(f64::NAN, |step| step.learning_rate),
            loss: losses.train,
            validation_loss: losses.validation,
            seconds: self.began.elapsed().as_secs_f64(),
            fragments_per_second: self.fragments_per_second(),
            best,
        };
        self.rows.push(row);
        if best {
            self.folder.save_best(training)?;
        }
        self.folder.save_last(training, &self.rows)?;
        if let Some(board) = &mut self.board {
            board.epoch(training, &row)?;
        }
        self.epochs += 1;
        self.elapsed += self.began.elapsed();
        let left = training.config().epochs.saturating_sub(row.epoch);
        let time_left = match training.is_over() {
            true => String::new(),
            false => format!(", at most {} left", words(self.elapsed / self.epochs * left as u32)),
        };
        self.console.say(format_args!(
            "epoch {} of {}: loss {:.6}, validation {:.6}{}, rate {:.2e}, {:.0} fragments/s{time_left}",
            row.epoch,
            training.config().epochs,
            row.loss,
            row.validation_loss,
            if best { " (best)" } else { "" },
            row.learning_rate,
            row.fragments_per_second,
        ));
        (self.began, self.fragments, self.learning) = (Instant::now(), 0, Duration::ZERO);
        Ok(())
    }
}

/// `40 s`, `12 min`, `3 h 20 min`.
fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=99 => format!("{seconds} s"),
        seconds @ 100..=5999 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}
