//! The options of `pcapae learn`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use pcapae::fragment::Mask;

use super::{CaptureArgs, LossArg, ModeArg, ThreadsArg, positive};

/// Learn what normal traffic looks like from captures of normal operation.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae learn monday.pcap.gz tuesday.pcapng -o plant.pcapae
  tcpdump -i eth0 -w - | pcapae learn - -o plant.pcapae
  pcapae learn week.pcap -o plant.pcapae --detectors position-histogram,length-rarity --false-alarm-rate 0.0001
  pcapae learn week.pcap -o plant.pcapae --model training/best.safetensors --detectors isolation_forest.yaml

The detectors are fitted to the first 60 % of the packets, the next 10 % decide when to stop, 10 % calibrate each detector, and the
last 20 % what they say together, which decides what is an alert.")]
pub struct LearnArgs {
    #[command(flatten)]
    pub input: CaptureArgs,

    /// The bundle to write: all that detect needs, in one file.
    #[arg(short, long, value_name = "PLANT.pcapae")]
    pub output: PathBuf,

    /// How packets become fragments [default: packet, or as the model of --model was trained].
    #[arg(short, long, alias = "modus", value_name = "MODE")]
    pub mode: Option<ModeArg>,

    /// Bytes in a fragment: 256, 1024 or 4096, which the model sees as a square of 16, 32 or 64 [default: 256, or what the model of --model takes].
    #[arg(long, alias = "chunk", value_name = "BYTES")]
    pub fragment_size: Option<usize>,

    /// Header fields to read as zeros, with commas between, as for dataset [default: volatile, or as the model of --model was trained].
    #[arg(long, value_name = "FIELDS")]
    pub mask: Option<Mask>,

    /// What scores packets, with commas between: Autoencoder, any detector that fit knows (PositionHistogram, LengthRarity, InterArrival,
    /// IsolationForest, ...) by its name, a blueprint, or a detector that fit made [default: Autoencoder,PositionHistogram; in byte and
    /// flow mode Autoencoder].
    ///
    /// Upper and lower case, hyphens and underscores do not matter: isolation-forest is IsolationForest. PositionHistogram, LengthRarity and
    /// InterArrival look at packets, and go with packet mode only. The others look at the model's codes where there is a model, as there is with
    /// Autoencoder or --model, and else at the bytes of fragments.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub detectors: Option<Vec<String>>,

    /// A model that pcapae train made, or a bundle that holds one, instead of a new one: of either cell, with any number of frames, predicting or not.
    ///
    /// It should not have been trained on these captures: calibrated on packets that it knows, it would raise more alerts than is promised.
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["loss", "epochs", "batch", "learning_rate"])]
    pub model: Option<PathBuf>,

    /// From the autoencoder's error at each byte to one score.
    #[arg(long, value_name = "HEAD", default_value = "mean")]
    pub scoring: ScoringArg,

    /// What the autoencoder is trained to make small.
    #[arg(long, value_name = "LOSS", default_value = "mse")]
    pub loss: LossArg,

    /// Whether the last packets of a connection are scored together, beside each packet by itself.
    #[arg(long, value_name = "WHETHER", default_value = "on")]
    pub connections: ConnectionsArg,

    /// Fragments in a window, 1 to 256 [default: 1, or as the model of --model was trained].
    #[arg(long, alias = "finput", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub frames: Option<u16>,

    /// Share of normal packets that may raise an alert.
    #[arg(long, value_name = "SHARE", default_value_t = 0.001, allow_negative_numbers = true)]
    pub false_alarm_rate: f64,

    /// Keep this many different normal fragments in the bundle, at most, which the report shows beside odd ones; 0 keeps none.
    ///
    /// The bundle then holds normal traffic as it is, but for masked fields.
    #[arg(long, value_name = "N", default_value_t = pcapae::monitor::NORMAL_FRAGMENTS)]
    pub normal_fragments: usize,

    /// Passes over all training windows [default: as many as make about 4,000 steps of the optimiser].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,

    /// Windows in a batch.
    #[arg(short, long, alias = "batch_size", value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,

    /// Peak learning rate: the highest step size of the optimiser.
    #[arg(long, alias = "learn_rate", value_name = "RATE", default_value_t = 1e-3, allow_negative_numbers = true, value_parser = positive)]
    pub learning_rate: f64,

    /// Seed of the first weights and of the order of windows: the same seed and captures give the same bundle.
    #[arg(long, value_name = "SEED", default_value_t = 1994)]
    pub seed: u64,

    /// Replace the output if it exists.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ScoringArg {
    /// The mean over all bytes.
    Mean,
    /// The sum over all bytes.
    Sum,
    /// The mean of the eight largest, each compared with what is usual at its place.
    Top8,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ConnectionsArg {
    /// They are, and half of the false-alarm rate is for them.
    On,
    /// Packets are scored by themselves only.
    Off,
}
