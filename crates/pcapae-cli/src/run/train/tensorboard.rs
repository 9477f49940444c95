//! The event file of a training for TensorBoard: `DIR/tensorboard/<name of DIR>/events.out.tfevents…`.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use pcapae::engine::Engine;
use pcapae::model::Norm;
use pcapae::report::{
    Ending, EpochRow, EventTime, HyperParameter, TensorBoardFile, TrainingFigure, entropy_of_code,
    tensorboard_file_name,
};
use pcapae::train::{Order, Step, Training};
use pcapae::{Error, Result};

use super::folder::TrainingFolder;
use super::settings::loss_name;

/// Stands for the host in the file's name: curves do not depend on it.
const HOST: &str = "local";

/// The event file under way.
pub struct Board {
    file: TensorBoardFile<BufWriter<File>>,
    path: PathBuf,
    /// The window whose reconstruction is shown after every epoch: bytes of its fragments.
    window: Vec<u8>,
}

impl Board {
    /// Begins a file. A training that goes on gets one more, so that the curves go on too; a new one replaces those that are there.
    pub fn begin(folder: &TrainingFolder, going_on: bool, training: &Training, window: &[u8]) -> Result<Board> {
        let whole = folder.path().canonicalize().map_err(Error::io("read", folder.path()))?;
        let run = whole.join("tensorboard").join(whole.file_name().unwrap_or("training".as_ref()));
        fs::create_dir_all(&run).map_err(Error::io("create", &run))?;
        if !going_on {
            remove_events(&run)?;
        }
        let (path, file) = create(&run)?;
        let file = TensorBoardFile::begin(BufWriter::new(file), now()).map_err(Error::io("write", &path))?;
        let mut board = Board { file, path, window: window.to_vec() };
        let settings = settings(training);
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.clone())).collect();
        board.write(|file| file.hyperparameters(now(), &settings).and_then(|()| file.flush()))?;
        Ok(board)
    }

    /// Loss and rate of a step.
    pub fn step(&mut self, step: &Step) -> Result<()> {
        let at = EventTime { step: step.step as i64, wall_time: now() };
        self.write(|file| {
            file.scalar(at, "batch/loss", step.loss)?;
            file.scalar(at, "batch/learning_rate", step.learning_rate)
        })
    }

    /// The curves over the epochs, and a window's way through the network.
    pub fn epoch(&mut self, training: &Training, row: &EpochRow) -> Result<()> {
        let config = training.model().config();
        let engine = Engine::new(training.model());
        let values: Vec<f32> = self.window.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let emitted = config.emitted_frames() * config.side.fragment_size();
        let (codes, outputs) = (engine.encode(&[&self.window]), engine.reconstruct(&[&self.window]));
        let (code, reconstruction) = (codes.concat(), outputs);
        let image = TrainingFigure {
            side: config.side.pixels(),
            input: &values[..config.window_size()],
            code: &code,
            reconstruction: &reconstruction,
            target: &values[values.len() - emitted..],
        };
        let image = image.draw()?;
        let at = EventTime { step: row.epoch as i64, wall_time: now() };
        self.write(|file| {
            file.scalar(at, "loss/training", row.loss)?;
            file.scalar(at, "loss/validation", row.validation_loss)?;
            file.scalar(at, "learning_rate", row.learning_rate)?;
            file.scalar(at, "fragments_per_second", row.fragments_per_second)?;
            file.scalar(at, "code/entropy", entropy_of_code(&code))?;
            file.image(at, "validation/first_window", &image)?;
            file.flush()
        })
    }

    /// How the training ended.
    pub fn end(&mut self, finished: bool) -> Result<()> {
        let ending = if finished { Ending::Done } else { Ending::Failed };
        self.write(|file| file.end(now(), ending).and_then(|()| file.flush()))
    }

    fn write(&mut self, act: impl FnOnce(&mut TensorBoardFile<BufWriter<File>>) -> io::Result<()>) -> Result<()> {
        act(&mut self.file).map_err(Error::io("write", &self.path))
    }
}

/// A new file; in a second that has one already, it counts as of the next.
fn create(run: &Path) -> Result<(PathBuf, File)> {
    let mut second = now();
    loop {
        let path = run.join(tensorboard_file_name(second, HOST));
        match File::create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => second += 1.0,
            created => {
                let file = created.map_err(Error::io("write", &path))?;
                return Ok((path, file));
            }
        }
    }
}

/// Removes the event files of ours.
fn remove_events(run: &Path) -> Result<()> {
    for entry in fs::read_dir(run).map_err(Error::io("read", run))? {
        let path = entry.map_err(Error::io("read", run))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("events.out.tfevents.") && name.ends_with(".pcapae") {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

fn settings(training: &Training) -> Vec<(&'static str, HyperParameter)> {
    use HyperParameter::{Number, Switch, Text};
    let (model, config) = (training.model().config(), training.config());
    let word = |value: &dyn std::fmt::Debug| Text(format!("{value:?}").to_lowercase());
    let mode = training.model().trained_on().mode.map(|mode| ("mode", Text(mode.name().to_owned())));
    let loss = loss_name(model.head);
    let known = vec![
        ("cell", word(&model.cell)),
        ("side", Number(model.side.pixels() as f64)),
        ("shape", word(&model.shape)),
        ("frames", Number(model.frames.count() as f64)),
        ("predict_frames", Number(model.predict_frames.count() as f64)),
        ("norm", Switch(model.norm == Norm::Group)),
        ("loss", Text(loss.to_owned())),
        ("batch", Number(config.batch as f64)),
        ("optimizer", word(&config.optimizer)),
        ("learning_rate", Number(config.learning_rate)),
        ("scheduler", word(&config.schedule)),
        ("clip", Number(config.clip.unwrap_or(0.0))),
        ("epochs", Number(config.epochs as f64)),
        ("patience", Number(config.patience as f64)),
        ("dropout", Number(config.dropout)),
        ("fraction", Number(config.fraction)),
        ("stride", Number(config.stride as f64)),
        ("shuffle", Switch(config.order == Order::Shuffled)),
        ("seed", Number(config.seed as f64)),
    ];
    known.into_iter().chain(mode).collect()
}
