//! `pcapae train`: datasets to a model.

mod folder;
mod settings;
mod tensorboard;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pcapae::dataset::Dataset;
use pcapae::error::{FileKind, Place};
use pcapae::fragment::{FragmentSize, Shape};
use pcapae::model::{Autoencoder, Frames, ModelConfig, Side, TrainedOn, is_safetensors};
use pcapae::train::{Outcome, TrainConfig, Training};
use pcapae::{Error, Result};

use super::input::counted;
use crate::args::TrainArgs;
use crate::failure::REFUSED;
use crate::progress::Console;
use folder::TrainingFolder;
use settings::{check_model, model_settings, training_settings};
use tensorboard::Board;
use watch::Watch;

/// Checks everything, then trains until the end or Ctrl-C.
pub fn run(args: &TrainArgs, console: &Console) -> anyhow::Result<ExitCode> {
    args.threads.apply()?;
    let (train, validation) = (open(&args.train)?, open(&args.validation)?);
    check_pair(&train, &validation)?;
    let resumed = args.resume.as_deref().map(model_file);
    let mut training = match &resumed {
        None => begin(args, &train)?,
        Some(file) => resume(args, file, &train, console)?,
    };
    let folder = TrainingFolder::new(place(args, resumed.as_deref()));
    let going_on = resumed.as_deref().is_some_and(|file| folder.is_of(file));
    if !going_on && !args.force {
        folder.refuse_if_used()?;
    }
    let frames = training.model().config().window_frames();
    let (train, validation) = (train.load(console)?, validation.load(console)?);
    let (train, validation) = (train.windows(frames), validation.windows(frames));
    training.check(&train, &validation)?;
    folder.create()?;
    let rows = match &resumed {
        Some(file) => TrainingFolder::beside(file).rows(&training)?,
        None => Vec::new(),
    };
    if training.next_step() != (1, 1) && !going_on {
        folder.save(&training, &rows)?;
    }
    let board =
        args.tensorboard.then(|| Board::begin(&folder, going_on, &training, validation.bytes(0))).transpose()?;
    let mut watch = Watch::new(console, &folder, board, &training, rows);
    console.let_work_end();
    let outcome = training.run(&train, &validation, console, &mut watch);
    watch.end(matches!(outcome, Ok(Outcome::Finished)))?;
    console.clear();
    match outcome? {
        Outcome::Interrupted => {
            folder.save(&training, watch.rows())?;
            let (epoch, batch) = training.next_step();
            let done = counted(batch as u64 - 1, "batch").replace("batchs", "batches");
            console
                .warn(format_args!("stopped in epoch {epoch}, after {done}; go on with: {}", command(&folder.last())));
            Ok(ExitCode::from(REFUSED))
        }
        Outcome::Finished => {
            report(&training, &folder, console);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn open(path: &Path) -> Result<Dataset> {
    let dataset = Dataset::open(path)?;
    if dataset.is_empty() { Err(Error::NoFragments { path: path.to_owned() }) } else { Ok(dataset) }
}

fn words(size: FragmentSize) -> String {
    let shape = if size.shape() == Shape::Line { "one-dimensional" } else { "square" };
    format!("{shape} fragments of {} bytes", size.bytes())
}

/// Refuses a dataset whose fragments are not those of `other`.
fn check_fragments(dataset: &Dataset, other: &str, size: FragmentSize, cut: TrainedOn) -> Result<()> {
    let differ = |got, expected| {
        Err(Error::OtherFragments { path: dataset.path().to_owned(), got, other: other.to_owned(), expected })
    };
    if dataset.size() != size {
        return differ(words(dataset.size()), words(size));
    }
    match TrainedOn::from(dataset.cutting()).difference(cut) {
        Some([got, expected]) => differ(got, expected),
        None => Ok(()),
    }
}

fn check_pair(train: &Dataset, validation: &Dataset) -> Result<()> {
    check_fragments(validation, &train.path().display().to_string(), train.size(), train.cutting().into())
}

/// The file to resume from: of a folder, its last.safetensors.
fn model_file(given: &Path) -> PathBuf {
    if given.is_dir() { TrainingFolder::new(given.to_owned()).last() } else { given.to_owned() }
}

fn place(args: &TrainArgs, resumed: Option<&Path>) -> PathBuf {
    let beside = || resumed.and_then(Path::parent).map(Path::to_owned);
    args.output.clone().or_else(beside).unwrap_or_default()
}

/// A new training.
fn begin(args: &TrainArgs, dataset: &Dataset) -> Result<Training> {
    let side = Side::of_fragment_size(dataset.size().bytes())?;
    let model = ModelConfig { shape: dataset.size().shape(), ..ModelConfig::new(side) };
    let config = training_settings(args, settings::defaults());
    let model = Autoencoder::new(model_settings(args, model)?, config.seed);
    Training::new(model.with_trained_on(dataset.cutting().into()), config)
}

/// The training that a file holds, or a new one with its weights.
fn resume(args: &TrainArgs, file: &Path, dataset: &Dataset, console: &Console) -> Result<Training> {
    let frames = Frames::try_from(usize::from(args.frames.unwrap_or(1)))?;
    let model = pcapae::model::open(file, Some(frames))?;
    let training = match found(file)? {
        Some(mut training) => {
            let own = *training.model().config();
            check_model(&own, &model_settings(args, own)?)?;
            training.reconfigure(training_settings(args, training.config().clone()))?;
            training
        }
        None => {
            let training = begin_with_weights(args, file, &model, dataset)?;
            console.warn(format_args!(
                "{} holds weights but no training to go on with: a new one begins with these weights",
                file.display()
            ));
            training
        }
    };
    let size = FragmentSize::try_from(training.model().config())?;
    check_fragments(dataset, &format!("the model in {}", file.display()), size, training.model().trained_on())?;
    Ok(training)
}

/// The training in a file of a model, if it holds one.
fn found(file: &Path) -> Result<Option<Training>> {
    let bytes = std::fs::read(file).map_err(Error::io("read", file))?;
    if !is_safetensors(&bytes) {
        return Ok(None);
    }
    Training::from_safetensors(&bytes).map_err(FileKind::Training.unreadable(file))
}

fn begin_with_weights(args: &TrainArgs, file: &Path, model: &Autoencoder, dataset: &Dataset) -> Result<Training> {
    // The number of frames and the loss may be others: the weights do not depend on them.
    let wanted = model_settings(args, *model.config())?;
    let fitting = Autoencoder::from_parameters(wanted, model.parameters().clone());
    let Some(model) = fitting else {
        check_model(model.config(), &wanted)?;
        let fault = Place::Part("weights".into()).found("those of another network", "those of the model to train");
        return Err(FileKind::Model.unreadable(file)(fault));
    };
    let config: TrainConfig = training_settings(args, settings::defaults());
    Training::new(model.with_trained_on(dataset.cutting().into()), config)
}

/// The command line of this run, changed to resume the training.
fn command(last: &Path) -> String {
    let mut words = vec!["pcapae".to_owned()];
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        match word.split('=').next().unwrap_or_default() {
            "--force" => {}
            "--resume" | "--retrain" if word.contains('=') => {}
            "--resume" | "--retrain" => drop(given.next()),
            _ => words.push(quoted(&word)),
        }
    }
    words.extend(["--resume".to_owned(), quoted(&last.display().to_string())]);
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |sign: char| sign.is_alphanumeric() || "-_./=:,+@%".contains(sign);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn report(training: &Training, folder: &TrainingFolder, console: &Console) {
    let history = training.history();
    if let (Some(best), Some(epoch)) = (history.best, history.best_epoch()) {
        console.say(format_args!(
            "{}: epoch {} of {}, validation loss {:.6}",
            folder.best().display(),
            best + 1,
            history.epochs.len(),
            epoch.validation
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        for (word, expected) in [("a-b_c/d.h5", "a-b_c/d.h5"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''")] {
            assert_eq!(quoted(word), expected);
        }
    }
}
