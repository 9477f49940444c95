//! The options of `pcapae learn`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use pcapae::fragment::Mask;
use pcapae::monitor::Exclusion;

use super::{CaptureArgs, LossArg, ModeArg, ThreadsArg, positive};

/// Learn what normal traffic looks like from captures of normal operation.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae learn monday.pcap.gz tuesday.pcapng -o plant.pcapae
  tcpdump -i eth0 -w - | pcapae learn - -o plant.pcapae
  pcapae learn week.pcap -o plant.pcapae --exclude 10.0.0.66 --exclude 2026-03-01T10:00:00Z..2026-03-01T10:20:00Z
  pcapae learn tuesday.pcap --update plant.pcapae
  pcapae learn week.pcap -o plant.pcapae --detectors novelty,position-histogram --margin 5
  pcapae learn week.pcap -o plant.pcapae --model training/best.safetensors --detectors isolation_forest.yaml

Every packet is learned. The packets are divided into ten blocks of time, and each is scored as if only the others had been learned: what
blocks reach so sets the limits. learn tells what of the captures would have been alerts; leave out what was not normal.")]
pub struct LearnArgs {
    #[command(flatten)]
    pub input: CaptureArgs,

    /// The bundle to write: all that detect needs, in one file.
    #[arg(short, long, value_name = "PLANT.pcapae", required_unless_present = "update")]
    pub output: Option<PathBuf>,

    /// Add the captures to this bundle instead, without the captures that it was learned from; the bundle is replaced unless --output names
    /// another file. How it cuts and what raises alerts stay as they are.
    #[arg(long, value_name = "PLANT.pcapae", conflicts_with_all = ["mode", "fragment_size", "mask", "detectors", "explainer", "model", "loss",
        "frames", "epochs", "margin", "scoring", "normal_fragments", "batch", "learning_rate", "seed"])]
    pub update: Option<PathBuf>,

    /// How packets become fragments [default: packet, or as the model of --model was trained].
    #[arg(short, long, alias = "modus", value_name = "MODE")]
    pub mode: Option<ModeArg>,

    /// Bytes in a fragment: 256, 1024 or 4096, which the model sees as a square of 16, 32 or 64 [default: 256, or what the model of --model takes].
    #[arg(long, alias = "chunk", value_name = "BYTES")]
    pub fragment_size: Option<usize>,

    /// Header fields to read as zeros, with commas between, as for dataset [default: volatile, or as the model of --model was trained].
    #[arg(long, value_name = "FIELDS")]
    pub mask: Option<Mask>,

    /// What raises alerts, with commas between: any detector that fit knows by its name, Autoencoder, a blueprint, or a detector that fit made
    /// [default: Novelty,LengthBackOff,Sequence,ClosedPositions,Rate].
    ///
    /// Upper and lower case, hyphens and underscores do not matter: isolation-forest is IsolationForest. PositionHistogram, LengthRarity and
    /// InterArrival go with packet mode only. IsolationForest and the others of numbers look at the model's codes where there is a model, and
    /// else at the bytes of fragments.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub detectors: Option<Vec<String>>,

    /// Whether an autoencoder is trained that explains and ranks alerts [default: on, but off where --detectors names what raises alerts].
    #[arg(long, value_name = "WHETHER")]
    pub explainer: Option<SwitchArg>,

    /// A model that pcapae train made, or a bundle that holds one, instead of a new one: of either cell, with any number of frames, predicting or not.
    ///
    /// Where the autoencoder raises alerts, it should not have been trained on these captures: its limits would rest on packets that it knows.
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["loss", "epochs", "batch", "learning_rate"])]
    pub model: Option<PathBuf>,

    /// From the autoencoder's error at each byte to one score.
    #[arg(long, value_name = "HEAD", default_value = "mean")]
    pub scoring: ScoringArg,

    /// What the autoencoder is trained to make small.
    #[arg(long, value_name = "LOSS", default_value = "mse")]
    pub loss: LossArg,

    /// Fragments in a window, 1 to 256 [default: 1, or as the model of --model was trained].
    #[arg(long, alias = "finput", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub frames: Option<u16>,

    /// How far above what normal traffic reached a score must be, in scales of how much blocks of time differ: more gives fewer alerts.
    #[arg(long, value_name = "SCALES", default_value_t = 3.0, allow_negative_numbers = true)]
    pub margin: f64,

    /// Leave packets out: of a host (IP or hardware address), of a time (FROM..TO as 2026-03-01T10:00:00Z), or of an event that learn told
    /// of the same captures (event:N). May be given more than once.
    #[arg(long, value_name = "WHAT", value_parser = exclusion)]
    pub exclude: Vec<Exclusion>,

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SwitchArg {
    On,
    Off,
}

/// What is left out of the captures, as the user writes it.
fn exclusion(text: &str) -> Result<Exclusion, String> {
    if let Some(number) = text.strip_prefix("event:") {
        return number.parse().map(Exclusion::Event).map_err(|_| format!("{number:?} is no number of an event"));
    }
    if let Some((from, to)) = text.split_once("..") {
        let time = |text: &str| {
            let time: jiff::Timestamp =
                text.parse().map_err(|_| format!("{text:?} is no time as 2026-03-01T10:00:00Z"))?;
            i64::try_from(time.as_nanosecond()).map_err(|_| format!("{text} is out of range"))
        };
        return Ok(Exclusion::Time(time(from)?, time(to)?));
    }
    if let Ok(address) = text.parse() {
        return Ok(Exclusion::Address(address));
    }
    let bytes: Vec<u8> = text.split([':', '-']).map_while(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    match bytes.try_into() {
        Ok(address) if text.len() == 17 => Ok(Exclusion::Hardware(address)),
        _ => Err("expected an IP address, a hardware address, FROM..TO, or event:N".into()),
    }
}
