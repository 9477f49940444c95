//! The command line of `pcapae train`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use super::{LossArg, ThreadsArg, positive};

/// Train an autoencoder on a dataset.
///
/// Square fragments must have 256, 1024 or 4096 bytes, and so must fragments of a dataset with --one-d.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae train monday.h5 -v tuesday.h5 -o plant
  pcapae train monday.h5 -v tuesday.h5 -o plant3 --cell lstm --frames 3 --tensorboard
  pcapae train monday.h5 -v tuesday.h5 --resume plant

DIR gets best.safetensors (the model with the smallest validation loss), last.safetensors (to resume from), history.csv and
loss.png. Ctrl-C saves, too. A resumed training takes all settings from its file; only --epochs and --patience may be others.")]
pub struct TrainArgs {
    /// The dataset to train on.
    #[arg(value_name = "TRAIN.h5")]
    pub train: PathBuf,

    /// The validation dataset, for the best epoch and early stopping.
    #[arg(short = 'v', long, alias = "vali", value_name = "VALIDATION.h5")]
    pub validation: PathBuf,

    /// The folder to write to; made if it is not there [default with --resume: the folder of MODEL].
    #[arg(short, long, value_name = "DIR", required_unless_present = "resume")]
    pub output: Option<PathBuf>,

    /// The recurrent cell [default: gru].
    #[arg(long, value_name = "CELL", ignore_case = true)]
    pub cell: Option<CellArg>,

    /// Fragments that the encoder takes, 1 to 256 [default: 1].
    #[arg(long, alias = "finput", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub frames: Option<u16>,

    /// Fragments after those that the decoder predicts, up to 256; 0 reconstructs instead [default: 0].
    #[arg(long, alias = "foutput", value_name = "K", value_parser = clap::value_parser!(u16).range(0..=256))]
    pub predict_frames: Option<u16>,

    /// Windows in a batch [default: 128].
    #[arg(short, long, alias = "batch_size", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: Option<u32>,

    /// Peak learning rate [default: 0.001].
    #[arg(long, alias = "learn_rate", value_name = "RATE", allow_negative_numbers = true, value_parser = positive)]
    pub learning_rate: Option<f64>,

    /// The optimizer [default: adamw].
    #[arg(long, alias = "optim", value_name = "OPTIMIZER", ignore_case = true)]
    pub optimizer: Option<OptimizerArg>,

    /// The learning-rate schedule [default: cycle].
    #[arg(long, value_name = "SCHEDULER", ignore_case = true)]
    pub scheduler: Option<SchedulerArg>,

    /// Gradient-norm clipping: maximum norm of a step's gradient; 0 is no limit [default: 10].
    #[arg(long, alias = "clipping", value_name = "NORM", allow_negative_numbers = true, value_parser = zero_or_more)]
    pub clip: Option<f64>,

    /// The loss to minimise [default: mse].
    #[arg(long, value_name = "LOSS", ignore_case = true)]
    pub loss: Option<LossArg>,

    /// Maximum epochs [default: 144].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,

    /// Early stopping: epochs without a smaller validation loss before the training ends [default: 7].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub patience: Option<u32>,

    /// Dropout: probability that a channel of a hidden state is dropped, less than 1 [default: 0].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub dropout: Option<f64>,

    /// No normalisation inside the cells.
    #[arg(long, alias = "no_bn")]
    pub no_norm: bool,

    /// Share of the training windows to use, from the front [default: 1].
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub fraction: Option<f64>,

    /// Use every N-th window only [default: 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub stride: Option<u32>,

    /// Keep the windows in capture order instead of shuffling them in every epoch.
    #[arg(long)]
    pub no_shuffle: bool,

    /// Seed of initial weights, shuffling and dropout: the same seed gives the same files [default: 1994].
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,

    /// Also write event files for TensorBoard.
    #[arg(long)]
    pub tensorboard: bool,

    /// As without --tensorboard.
    #[arg(long = "noTensorboard", hide = true, conflicts_with = "tensorboard")]
    pub no_tensorboard: bool,

    /// Resume a training: its last.safetensors, or its folder. With any other model file, a new training starts from its weights.
    #[arg(long, alias = "retrain", value_name = "MODEL")]
    pub resume: Option<PathBuf>,

    /// Replace the training in DIR.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}

fn zero_or_more(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number >= 0.0 && number.is_finite() => Ok(number),
        _ => Err("expected 0 or a number above it".into()),
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CellArg {
    /// Gated recurrent unit.
    Gru,
    /// Long short-term memory.
    Lstm,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum OptimizerArg {
    /// Adam with decoupled weight decay of 0.01.
    #[value(name = "adamw")]
    AdamW,
    /// Adam.
    Adam,
    /// Plain gradient descent.
    Sgd,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum SchedulerArg {
    /// One cycle: up to the peak rate in the first 30 % of all batches, then down to almost zero.
    Cycle,
    /// A tenth of the rate after every 100 epochs.
    Step,
    /// Half the rate after five epochs without a smaller validation loss.
    Plateau,
    /// The peak rate throughout.
    Constant,
}
