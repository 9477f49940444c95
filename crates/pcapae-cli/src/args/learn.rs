//! The options of `pcapae learn`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use pcapae::fragment::Mask;
use pcapae::monitor::DetectorSet;

use super::{CaptureArgs, LossArg, ModeArg, ThreadsArg, positive};

/// Learn what normal traffic looks like from captures of normal operation.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae learn monday.pcap.gz tuesday.pcapng -o plant.pcapae
  tcpdump -i eth0 -w - | pcapae learn - -o plant.pcapae
  pcapae learn week.pcap -o plant.pcapae --detectors histograms,lengths --false-alarm-rate 0.0001

The first 60 % of the packets teach the detectors, the next 10 % decide when to stop, 10 % calibrate each detector, and the
last 20 % what they say together, which decides what is an alert.")]
pub struct LearnArgs {
    #[command(flatten)]
    pub input: CaptureArgs,

    /// The bundle to write: all that detect needs, in one file.
    #[arg(short, long, value_name = "PLANT.pcapae")]
    pub output: PathBuf,

    /// How packets become fragments.
    #[arg(short, long, alias = "modus", value_name = "MODE", default_value = "packet")]
    pub mode: ModeArg,

    /// Bytes in a fragment: 256, 1024 or 4096, which the model sees as a square of 16, 32 or 64.
    #[arg(long, alias = "chunk", value_name = "BYTES", default_value_t = 256)]
    pub fragment_size: usize,

    /// Header fields to read as zeros, with commas between, as for dataset.
    #[arg(long, value_name = "FIELDS", default_value = "volatile")]
    pub mask: Mask,

    /// What judges packets, with commas between: autoencoder, histograms (of byte values at each place), lengths (between two hosts),
    /// gaps (in time) [default: autoencoder,histograms; in byte and flow mode autoencoder].
    #[arg(long, value_name = "NAMES")]
    pub detectors: Option<DetectorSet>,

    /// From the autoencoder's error at each byte to one score.
    #[arg(long, value_name = "HEAD", default_value = "mean")]
    pub scoring: ScoringArg,

    /// What the autoencoder is trained to make small.
    #[arg(long, value_name = "LOSS", default_value = "mse")]
    pub loss: LossArg,

    /// Whether the last packets of a connection are judged together, beside each packet by itself.
    #[arg(long, value_name = "WHETHER", default_value = "on")]
    pub connections: ConnectionsArg,

    /// Fragments in a window, 1 to 256.
    #[arg(long, alias = "finput", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub frames: u16,

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

    /// Highest step size of the optimiser.
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
    /// Packets are judged by themselves only.
    Off,
}
