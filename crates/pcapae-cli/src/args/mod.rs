//! The command line as types; every command is its own struct, so that impossible combinations cannot be said.

mod accept;
mod detect;
mod detector;
mod evaluate;
mod experiment;
mod explain;
mod inspect;
mod learn;
mod reduce;
mod report;
mod train;

pub use accept::AcceptArgs;
pub use detect::DetectArgs;
pub use detector::{FitArgs, GridSearchArgs, ScoreArgs};
pub use evaluate::EvaluateArgs;
pub use experiment::ExperimentArgs;
pub use explain::{BaselineArg, ErrorArg, ExplainArgs, GatesArg, MethodArg, TargetArg};
pub use inspect::InspectArgs;
pub use learn::{LearnArgs, ScoringArg, SwitchArg};
pub use reduce::{ApplyArgs, FitReducerArgs, MapArgs, MapMethodArg, ReduceArgs, ReduceCommand};
pub use report::ReportArgs;
pub use train::{CellArg, OptimizerArg, SchedulerArg, TrainArgs};

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Style, Styles};
use clap::{Parser, Subcommand, ValueEnum};
use pcapae::fragment::Mask;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(Style::new());

/// Learns what normal traffic on an industrial network looks like from raw bytes and flags what does not fit.
#[derive(Debug, Parser)]
#[command(
    name = "pcapae",
    version,
    styles = STYLES,
    max_term_width = 110,
    after_help = "\
Begin with the demo, which brings its own captures:
  pcapae demo --keep demo
  pcapae detect demo/plant.pcapae demo/attack.pcap.zst -g demo/attack.labels.csv"
)]
pub struct Args {
    /// Say nothing but warnings and errors.
    #[arg(short, long, global = true)]
    pub quiet: bool,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Learn(Box<LearnArgs>),
    Detect(DetectArgs),
    Accept(AcceptArgs),
    Report(ReportArgs),
    Demo(DemoArgs),
    Inspect(InspectArgs),
    Dataset(DatasetArgs),
    Train(Box<TrainArgs>),
    Encode(EncodeArgs),
    Reduce(Box<ReduceArgs>),
    Fit(FitArgs),
    GridSearch(GridSearchArgs),
    Score(ScoreArgs),
    Evaluate(Box<EvaluateArgs>),
    Experiment(ExperimentArgs),
    Export(ExportArgs),
    Explain(Box<ExplainArgs>),
}

/// Learn a small recorded plant, detect attacks on it, and say which it noticed.
#[derive(Debug, Parser)]
#[command(after_help = "Example:\n  pcapae demo --keep demo")]
pub struct DemoArgs {
    /// Keep the bundle, the captures and the labels in this folder, to try other commands on.
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,

    /// Replace files in the folder.
    #[arg(long, requires = "keep")]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}

/// Cut captures into fragments and write them as a dataset.
#[derive(Debug, Parser)]
#[command(
    visible_alias = "pcap2ds",
    after_help = "Example:\n  pcapae dataset monday.pcap.gz tuesday.pcapng -o week.h5 -m packet --fragment-size 256"
)]
pub struct DatasetArgs {
    #[command(flatten)]
    pub input: CaptureArgs,

    /// The dataset to write; if this is a folder, the file is named after NAME.
    #[arg(short, long, value_name = "OUT.h5")]
    pub output: PathBuf,

    #[command(flatten)]
    pub cutting: CuttingArgs,

    /// Ground truth: CSV with one row per packet, in the first column -1 normal, 1 anomalous or 0 unknown.
    #[arg(short = 'g', long = "labels", alias = "ground", value_name = "LABELS.csv")]
    pub ground_truth: Option<PathBuf>,

    /// Label of all packets, without --labels.
    #[arg(long, value_name = "LABEL")]
    pub label: Option<LabelArg>,

    /// Same as --label anomaly.
    #[arg(long, hide = true, conflicts_with = "label")]
    pub bad: bool,

    /// Same output as the original pcap2ds, bit for bit: remainders dropped, flows from IPv4 over Ethernet only.
    #[arg(long)]
    pub compat: bool,

    /// Layout of the dataset file.
    #[arg(long, value_name = "LAYOUT", default_value = "arrays")]
    pub layout: LayoutArg,

    /// Name of the dataset [default: the first capture's name without its extensions, dots replaced].
    #[arg(short, long)]
    pub name: Option<String>,

    /// Replace the output if it exists.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}

/// Write the codes that a model gives of the windows of a dataset.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae encode plant.pcapae week.h5 -o codes.h5
  pcapae encode weights.safetensors --frames 3 week.h5 -o codes.h5")]
pub struct EncodeArgs {
    #[command(flatten)]
    pub model: ModelArgs,

    /// A dataset, in either layout.
    #[arg(value_name = "DATASET")]
    pub dataset: PathBuf,

    /// The codes to write.
    #[arg(short, long, value_name = "CODES.h5")]
    pub output: PathBuf,

    /// Encode every N-th window only, beginning with the first.
    #[arg(long, value_name = "N", default_value = "1")]
    pub stride: NonZeroUsize,

    /// Replace the output if it exists.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}

/// Write a model for other programs: as ONNX, or as safetensors that PyTorch loads.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae export plant.pcapae -o plant.onnx
  pcapae export plant.pcapae --part encoder -o encoder.onnx
  pcapae export plant.pcapae --format safetensors -o weights.safetensors")]
pub struct ExportArgs {
    #[command(flatten)]
    pub model: ModelArgs,

    /// The file to write.
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,

    /// The form of the file.
    #[arg(long, value_name = "FORMAT", default_value = "onnx")]
    pub format: FormatArg,

    /// Which part of the model, with ONNX [default: autoencoder].
    #[arg(long, value_name = "PART")]
    pub part: Option<PartArg>,

    /// Replace the output if it exists.
    #[arg(long)]
    pub force: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("expected a number above 0".into()),
    }
}

/// What to read.
#[derive(Debug, clap::Args)]
pub struct CaptureArgs {
    /// pcap or pcapng files, also compressed with gzip, zstd or lz4; text files that list captures; - for standard input.
    #[arg(value_name = "CAPTURE", required = true)]
    pub captures: Vec<PathBuf>,
}

/// Which model.
#[derive(Debug, clap::Args)]
pub struct ModelArgs {
    /// A model: a bundle made by learn, a safetensors file with or without its configuration, or a checkpoint or state dict of PyTorch.
    #[arg(value_name = "MODEL")]
    pub path: PathBuf,

    /// Fragments in a window, 1 to 256: only for weights that do not say it themselves.
    #[arg(long, alias = "finput", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub frames: Option<u16>,
}

/// How to cut.
#[derive(Debug, clap::Args)]
pub struct CuttingArgs {
    /// How packets become fragments.
    #[arg(short, long, alias = "modus", value_name = "MODE", default_value = "byte")]
    pub mode: ModeArg,

    /// Bytes in a fragment: a square from 16 to 65,536, or with --one-d any number up to 1,048,576.
    #[arg(long, alias = "chunk", value_name = "BYTES", default_value_t = 1024)]
    pub fragment_size: usize,

    /// One-dimensional fragments instead of square ones.
    #[arg(long, alias = "oneD")]
    pub one_d: bool,

    /// Header fields to set to zero, separated by commas: volatile, addresses, none, link-addresses, ip-addresses, ip-id, ttl,
    /// ports, tcp-sequence, tcp-acknowledgement, tcp-window, tcp-timestamps, checksums.
    ///
    /// volatile stands for ip-id, checksums, and sequence, acknowledgement, window and timestamps of TCP; addresses for link and IP addresses.
    #[arg(long, value_name = "FIELDS", default_value = "none")]
    pub mask: Mask,
}

/// How many processors to use.
#[derive(Debug, clap::Args)]
pub struct ThreadsArg {
    /// Threads to work with [default: one per processor].
    #[arg(short, long, alias = "workers", value_name = "THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ModeArg {
    /// The bytes of all packets, concatenated and cut.
    Byte,
    /// The first bytes of each packet.
    Packet,
    /// Per TCP or UDP flow, the first 64 bytes of each packet from its transport header on.
    Flow,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LossArg {
    /// The mean squared error.
    Mse,
    /// The binary cross-entropy, behind a sigmoid.
    Bce,
    /// The cross-entropy of each byte's 256 values: the model says how probable each is.
    Ce,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LabelArg {
    Normal,
    Anomaly,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum LayoutArg {
    /// Arrays over all fragments.
    Arrays,
    /// A group per fragment, as the original pcap2ds writes.
    Original,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// ONNX, operator set 17, for batches of any size.
    Onnx,
    /// The weights under the names of the original's state dict, the configuration in the metadata.
    Safetensors,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum PartArg {
    /// From frames to codes.
    Encoder,
    /// From frames to codes and reconstructions.
    Autoencoder,
}
