//! What the options of `train` mean for model and training.

use pcapae::model::{Cell, Frames, Head, ModelConfig, Norm, PredictFrames};
use pcapae::train::{Optimizer, Order, Schedule, TrainConfig};
use pcapae::{Error, Result};

use crate::args::{CellArg, LossArg, OptimizerArg, SchedulerArg, TrainArgs};

/// A training without options.
pub fn defaults() -> TrainConfig {
    TrainConfig { schedule: Schedule::Cycle, ..TrainConfig::default() }
}

impl From<LossArg> for Head {
    fn from(loss: LossArg) -> Head {
        match loss {
            LossArg::Mse => Head::Linear,
            LossArg::Bce => Head::Sigmoid,
            LossArg::Ce => Head::Categorical,
        }
    }
}

/// The word of `--loss` for a head.
pub fn loss_name(head: Head) -> &'static str {
    match head {
        Head::Linear => "mse",
        Head::Sigmoid => "bce",
        Head::Categorical => "ce",
    }
}

/// The model that the options ask for, where they leave nothing open.
pub fn model_settings(args: &TrainArgs, base: ModelConfig) -> Result<ModelConfig> {
    let cell = |cell| match cell {
        CellArg::Gru => Cell::Gru,
        CellArg::Lstm => Cell::Lstm,
    };
    Ok(ModelConfig {
        cell: args.cell.map_or(base.cell, cell),
        frames: args.frames.map_or(Ok(base.frames), |frames| Frames::try_from(usize::from(frames)))?,
        predict_frames: args
            .predict_frames
            .map_or(Ok(base.predict_frames), |frames| PredictFrames::try_from(usize::from(frames)))?,
        norm: if args.no_norm { Norm::None } else { base.norm },
        head: args.loss.map_or(base.head, Head::from),
        ..base
    })
}

/// The training that the options ask for, where they leave nothing open.
pub fn training_settings(args: &TrainArgs, base: TrainConfig) -> TrainConfig {
    let optimizer = |optimizer| match optimizer {
        OptimizerArg::AdamW => Optimizer::AdamW,
        OptimizerArg::Adam => Optimizer::Adam,
        OptimizerArg::Sgd => Optimizer::Sgd,
    };
    let schedule = |scheduler| match scheduler {
        SchedulerArg::Cycle => Schedule::Cycle,
        SchedulerArg::Step => Schedule::Step,
        SchedulerArg::Plateau => Schedule::Plateau,
        SchedulerArg::Constant => Schedule::Constant,
    };
    let whole = |given: Option<u32>, base| given.map_or(base, |number| number as usize);
    TrainConfig {
        epochs: whole(args.epochs, base.epochs),
        batch: whole(args.batch, base.batch),
        optimizer: args.optimizer.map_or(base.optimizer, optimizer),
        learning_rate: args.learning_rate.unwrap_or(base.learning_rate),
        schedule: args.scheduler.map_or(base.schedule, schedule),
        patience: whole(args.patience, base.patience),
        clip: args.clip.map_or(base.clip, |clip| (clip > 0.0).then_some(clip)),
        dropout: args.dropout.unwrap_or(base.dropout),
        stride: whole(args.stride, base.stride),
        fraction: args.fraction.unwrap_or(base.fraction),
        order: if args.no_shuffle { Order::Capture } else { base.order },
        seed: args.seed.unwrap_or(base.seed),
    }
}

/// Refuses another network than that of a training.
pub fn check_model(own: &ModelConfig, wanted: &ModelConfig) -> Result<()> {
    let words = |config: &ModelConfig| {
        [
            ("cell", format!("{:?}", config.cell).to_lowercase()),
            ("frames", config.frames.count().to_string()),
            ("predict frames", config.predict_frames.count().to_string()),
            ("normalisation", format!("{:?}", config.norm).to_lowercase()),
            ("loss", loss_name(config.head).into()),
        ]
    };
    for ((setting, expected), (_, got)) in words(own).into_iter().zip(words(wanted)) {
        if got != expected {
            return Err(Error::OtherSetting { setting: setting.into(), got, expected });
        }
    }
    Ok(())
}
