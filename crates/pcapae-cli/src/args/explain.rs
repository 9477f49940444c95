//! The command line of `explain`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Parser, ValueEnum};
use pcapae::explain::Rule;

use super::ModelArgs;

/// Show which bytes of a fragment, a packet or an alert made the model say what it said.
#[derive(Debug, Parser)]
#[command(
    group(ArgGroup::new("which").required(true).args(["fragment", "packet", "alert"])),
    after_help = "\
Examples:
  pcapae explain plant.pcapae week.h5 --packet 4782
  pcapae explain plant.pcapae week.h5 --packet 4782 -o packet.png
  pcapae explain plant.pcapae today.pcap --alert 3
  pcapae explain plant.pcapae today.pcap --alert 3 -o alert.png
  pcapae explain model/best.safetensors week.h5 --fragment 17 --method occlusion
  pcapae explain plant.pcapae week.h5 --fragment 17 --target code:3 --json | jq .summary
  pcapae explain plant.pcapae today.pcap --alert 3 --target detector:svm.safetensors

A red byte speaks for a higher value, a blue one for a lower. Composites: gamma-box, plus, plus-flat, alpha2-beta1, alpha2-beta1-flat,
and as zennit has them epsilon-gamma-box, epsilon-plus, epsilon-plus-flat, epsilon."
)]
pub struct ExplainArgs {
    #[command(flatten)]
    pub model: ModelArgs,

    /// A dataset, in either layout; with --alert, the captures that were given to detect.
    #[arg(value_name = "DATASET or CAPTURE", required = true)]
    pub inputs: Vec<PathBuf>,

    /// The fragment, by its row in the dataset, from 0.
    #[arg(long, value_name = "N")]
    pub fragment: Option<usize>,

    /// The packet, from 1; of several fragments with bytes of it, the one with the highest score.
    #[arg(long, value_name = "N")]
    pub packet: Option<u64>,

    /// An alert that detect raises in the captures, by its number there: all its packets together. MODEL is the bundle.
    #[arg(long, value_name = "N")]
    pub alert: Option<usize>,

    /// Of an alert, explain at most this many packets: the strongest.
    #[arg(long, value_name = "N", default_value = "64", conflicts_with_all = ["fragment", "packet"])]
    pub packets: NonZeroUsize,

    /// What to explain: score, code:K (a number of the code, from 0), detector:FILE (what a detector that fit made says of the code), or
    /// brightest (the brightest pixel of the reconstruction).
    #[arg(long, value_name = "TARGET", default_value = "score")]
    pub target: TargetArg,

    /// How relevance is found.
    #[arg(long, value_name = "METHOD", default_value = "lrp")]
    pub method: MethodArg,

    /// Which rule serves which layer, by name [default: gamma-box].
    #[arg(long, value_name = "NAME", conflicts_with = "rule")]
    pub composite: Option<String>,

    /// One rule for all layers: epsilon[:E], gamma[:G], z-plus, alpha-beta[:A], z-box[:LOW:HIGH], w-square, flat.
    #[arg(long, value_name = "RULE")]
    pub rule: Option<Rule>,

    /// Who gets the relevance of a product of gate and signal.
    #[arg(long, value_name = "RULE", default_value = "signal")]
    pub gates: GatesArg,

    /// What the error of a pixel is put down to.
    #[arg(long, value_name = "RULE", default_value = "both")]
    pub error: ErrorArg,

    /// What integrated gradients begin at, and what occlusion replaces a byte by.
    #[arg(long, value_name = "BASELINE", default_value = "reconstruction")]
    pub baseline: BaselineArg,

    /// Write an image (OUT.png) or all numbers (OUT.json).
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,

    /// Print all numbers as JSON.
    #[arg(long)]
    pub json: bool,

    /// List at most this many fields.
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub top: usize,

    /// Replace OUT if it exists.
    #[arg(long)]
    pub force: bool,
}

/// What to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetArg {
    Score,
    Code(usize),
    Detector(PathBuf),
    Brightest,
}

impl FromStr for TargetArg {
    type Err = String;

    fn from_str(text: &str) -> Result<TargetArg, String> {
        if let Some(path) = text.strip_prefix("detector:").filter(|path| !path.is_empty()) {
            return Ok(TargetArg::Detector(path.into()));
        }
        match (text, text.strip_prefix("code:").map(str::parse)) {
            ("score", _) => Ok(TargetArg::Score),
            ("brightest", _) => Ok(TargetArg::Brightest),
            (_, Some(Ok(entry))) => Ok(TargetArg::Code(entry)),
            _ => Err("expected score, code:K, detector:FILE or brightest".into()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MethodArg {
    /// Layer-wise relevance propagation.
    Lrp,
    /// How fast the target changes with a byte.
    Gradient,
    /// The gradient times the byte.
    GradientXInput,
    /// The gradient along the way from a baseline.
    IntegratedGradients,
    /// How much the target falls where a byte is replaced.
    Occlusion,
    /// Each byte's own part of the score.
    Residual,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum GatesArg {
    /// The signal, all of it.
    Signal,
    /// Half each.
    Half,
    /// Each in proportion to its value.
    Proportional,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ErrorArg {
    /// Half to the byte, half to what the model made of the others.
    Both,
    /// What the model made of the bytes.
    Reconstruction,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum BaselineArg {
    /// What the model would have expected.
    Reconstruction,
    /// Zeros.
    Zeros,
}
