//! The command lines of `pcapae fit`, `pcapae score` and `pcapae grid-search`.

use std::path::PathBuf;

use clap::Parser;
use pcapae::detectors::ScoringHead;

use super::ThreadsArg;

/// Fit a detector to codes, or directly to the bytes of a dataset.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae fit blueprints/isolation_forest.yaml codes.h5 -o forest.safetensors
  pcapae fit blueprints/position_histogram.yaml monday.h5 -o histogram.safetensors

A blueprint is YAML: the name of a detector, and below it its parameters, where they are not to have their defaults.
The detectors: IsolationForest, LocalOutlierFactor, OneClassSVM, KNearestNeighbours, Mahalanobis, PrincipalComponents,
PositionHistogram, LengthRarity, InterArrival, Novelty, LengthBackOff, Sequence, ClosedPositions, Rate. From PositionHistogram on they look at
bytes and packets, so at datasets cut by packets only.")]
pub struct FitArgs {
    /// Which detector, with which parameters.
    #[arg(value_name = "BLUEPRINT.yaml")]
    pub blueprint: PathBuf,

    /// Normal traffic: codes, or a dataset for a detector on the bytes themselves.
    #[arg(value_name = "CODES|DATASET")]
    pub input: PathBuf,

    /// The fitted detector to write.
    #[arg(short, long, value_name = "DETECTOR.safetensors")]
    pub output: PathBuf,

    /// Seed of a detector that draws random numbers, instead of random_state in the blueprint.
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,

    /// Replace the output if it exists.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}

/// Score every row of a dataset or of codes: by a model's residual, or by a fitted detector.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae score forest.safetensors codes.h5 -o scores.csv
  pcapae score plant/best.safetensors tuesday.h5 -o scores.csv
  pcapae score plant/best.safetensors tuesday.h5 -o scores.csv --scoring top8 --standardise monday.h5

A model gives a score for each of its windows: the squared error of each byte (divided by 255) or, trained with --loss ce, -ln p of
each byte, brought to one number by --scoring. A detector gives one for each row of what it was fitted to. A higher score is more anomalous.")]
pub struct ScoreArgs {
    /// A detector made by fit; or a model, as for encode.
    #[arg(value_name = "MODEL|DETECTOR")]
    pub scorer: PathBuf,

    /// What to score: a dataset for a model; what a detector was fitted to the like of.
    #[arg(value_name = "DATASET|CODES")]
    pub input: PathBuf,

    /// The scores to write.
    #[arg(short, long, value_name = "SCORES.csv")]
    pub output: PathBuf,

    /// How a model's window gets its score: mean, sum, or topK for the mean of the K largest values [default: mean].
    #[arg(long, alias = "head", value_name = "HOW", value_parser = scoring)]
    pub scoring: Option<ScoringHead>,

    /// With --scoring topK: standardise each position by its mean and deviation in this dataset of normal traffic, which the model was not
    /// trained on.
    #[arg(long, alias = "calibration-dataset", value_name = "DATASET", requires = "scoring")]
    pub standardise: Option<PathBuf>,

    /// Fragments in a window, 1 to 256: only for weights that do not say it themselves.
    #[arg(long, alias = "finput", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub frames: Option<u16>,

    /// Replace the output if it exists.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}

/// Try all combinations of a detector's parameters, and say which is best.
#[derive(Debug, Parser)]
#[command(
    visible_alias = "grid_search",
    after_help = "\
Example:
  pcapae grid-search grid.yaml monday-codes.h5 --validation tuesday-codes.h5 -o search

A grid is a blueprint in which any parameter may be a list:
  LocalOutlierFactor:
    n_neighbors: [10, 20, 40]
    metric: [euclidean, cosine]

With labels of both kinds in the validation, the area under the precision-recall curve decides; without, the mean of the ranks in
stability, excess mass and mass volume. DIR gets results.csv, and best.yaml for fit."
)]
pub struct GridSearchArgs {
    /// Which detector, with which values of its parameters.
    #[arg(value_name = "GRID.yaml")]
    pub grid: PathBuf,

    /// Normal traffic to fit to: codes, or a dataset.
    #[arg(value_name = "CODES|DATASET")]
    pub input: PathBuf,

    /// Later traffic to validate on, of the same kind, with labels or without.
    #[arg(short = 'v', long, alias = "vali", value_name = "CODES|DATASET")]
    pub validation: PathBuf,

    /// The folder for the results; made if it is not there.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    /// Consecutive parts of the input that are compared for the stability; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=100))]
    pub parts: u16,

    /// Times that a few coordinates are drawn for excess mass and mass volume; 0 leaves them out.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub draws: u16,

    /// Seed of what is drawn.
    #[arg(long, value_name = "SEED", default_value_t = 1994)]
    pub seed: u64,

    /// Show at most this many combinations in the table, the best; the file has all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,

    /// Print all combinations as JSON lines, the best first.
    #[arg(long)]
    pub json: bool,

    /// Replace results that are there.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}

fn scoring(text: &str) -> Result<ScoringHead, String> {
    match text {
        "mean" => Ok(ScoringHead::Mean),
        "sum" => Ok(ScoringHead::Sum),
        _ => match text.strip_prefix("top").map(str::parse) {
            Some(Ok(k)) if k > 0 => Ok(ScoringHead::Top { k, standardised: false }),
            _ => Err("expected mean, sum, or topK with a number K from 1, such as top8".into()),
        },
    }
}
