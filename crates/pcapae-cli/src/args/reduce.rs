//! The command lines of `pcapae reduce`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pcapae::detectors::KernelName;
use pcapae::model::Frames;
use pcapae::reduce::{FastIcaConfig, KernelPcaConfig, PcaConfig, RandomProjectionConfig, Reduction, SparsePcaConfig};

use super::{ThreadsArg, positive};

/// Turn windows into codes without a model, to compare with encode; or draw a map of windows or codes.
///
/// A method is fitted to a dataset of normal traffic. The fitted reducer, which --save writes, then gives comparable codes of other datasets.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  pcapae reduce pca normal.h5 -o normal-codes.h5 --save pca.safetensors
  pcapae reduce apply pca.safetensors attack.h5 -o attack-codes.h5
  pcapae reduce map attack-codes.h5 -o map.png")]
pub struct ReduceArgs {
    #[command(subcommand)]
    pub command: ReduceCommand,
}

#[derive(Debug, Subcommand)]
pub enum ReduceCommand {
    Pca(PcaArgs),
    Ica(IcaArgs),
    KernelPca(KernelPcaArgs),
    SparsePca(SparsePcaArgs),
    RandomProjection(RandomProjectionArgs),
    Apply(ApplyArgs),
    Map(MapArgs),
}

/// The dataset to fit to, and the codes to write.
#[derive(Debug, Args)]
pub struct FitReducerArgs {
    /// A dataset of normal traffic, in either layout.
    #[arg(value_name = "DATASET")]
    pub dataset: PathBuf,

    /// The codes of that dataset to write.
    #[arg(short, long, value_name = "CODES.h5")]
    pub output: PathBuf,

    /// Write the fitted reducer, for reduce apply.
    #[arg(long, value_name = "REDUCER.safetensors")]
    pub save: Option<PathBuf>,

    /// Numbers in a code.
    #[arg(long, value_name = "N", default_value = "64")]
    pub components: NonZeroUsize,

    /// Fragments in a window, 1 to 256.
    #[arg(long, alias = "finput", value_name = "N", default_value = "1", value_parser = frames)]
    pub frames: Frames,

    #[command(flatten)]
    pub codes: CodesArgs,
}

/// How codes are written.
#[derive(Debug, Args)]
pub struct CodesArgs {
    /// Write the code of every N-th window only, beginning with the first.
    #[arg(long, value_name = "N", default_value = "1")]
    pub stride: NonZeroUsize,

    /// Print the table as a JSON object.
    #[arg(long)]
    pub json: bool,

    /// Replace outputs that exist.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}

/// Principal components: the linear code with the smallest squared error.
#[derive(Debug, Args)]
pub struct PcaArgs {
    #[command(flatten)]
    pub fit: FitReducerArgs,
}

/// Independent components, by FastICA.
#[derive(Debug, Args)]
pub struct IcaArgs {
    #[command(flatten)]
    pub fit: FitReducerArgs,

    /// Fit to at most N windows, drawn at random.
    #[arg(long, value_name = "N", default_value = "20000")]
    pub sample: NonZeroUsize,

    /// Maximum number of iterations.
    #[arg(long, value_name = "N", default_value = "200")]
    pub max_iter: NonZeroUsize,

    /// Stop when no direction turns by more than this in an iteration.
    #[arg(long, value_name = "X", default_value = "0.0001", value_parser = positive)]
    pub tol: f64,

    /// Random seed.
    #[arg(long, value_name = "SEED", default_value_t = 1994)]
    pub seed: u64,
}

/// Kernel principal components, with a learned inverse.
#[derive(Debug, Args)]
pub struct KernelPcaArgs {
    #[command(flatten)]
    pub fit: FitReducerArgs,

    /// Fit to at most N windows, drawn at random; time grows with their square, and the reducer stores them.
    #[arg(long, value_name = "N", default_value = "2000")]
    pub sample: NonZeroUsize,

    /// The kernel.
    #[arg(long, value_name = "KERNEL", default_value = "rbf")]
    pub kernel: KernelArg,

    /// Gamma of the kernels rbf, poly and sigmoid [default: 1 / bytes in a window].
    #[arg(long, value_name = "X", value_parser = positive)]
    pub gamma: Option<f64>,

    /// Degree of the kernel poly, 0 to 1000.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub degree: usize,

    /// The constant in the kernels poly and sigmoid.
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    pub coef0: f64,

    /// Learn no inverse from codes to windows: faster, but there is no reconstruction error.
    #[arg(long)]
    pub no_inverse: bool,

    /// Ridge penalty of the inverse; alpha in scikit-learn.
    #[arg(long, value_name = "X", default_value = "1", value_parser = positive, conflicts_with = "no_inverse")]
    pub ridge: f64,

    /// Random seed of the windows that are drawn.
    #[arg(long, value_name = "SEED", default_value_t = 1994)]
    pub seed: u64,
}

/// Sparse principal components: each uses few bytes.
#[derive(Debug, Args)]
pub struct SparsePcaArgs {
    #[command(flatten)]
    pub fit: FitReducerArgs,

    /// Sparsity penalty (L1): the larger, the fewer bytes a component uses. It is weighed against a sum over all windows.
    #[arg(long, value_name = "X", default_value = "1", value_parser = positive)]
    pub alpha: f64,

    /// Ridge penalty of the codes; ridge_alpha in scikit-learn.
    #[arg(long, value_name = "X", default_value = "0.01", value_parser = positive)]
    pub ridge: f64,

    /// Maximum number of iterations.
    #[arg(long, value_name = "N", default_value = "1000")]
    pub max_iter: NonZeroUsize,

    /// Stop when the cost falls by less than this share of it in an iteration.
    #[arg(long, value_name = "X", default_value = "0.00000001", value_parser = positive)]
    pub tol: f64,
}

/// Gaussian random projection: distances are nearly preserved, and nothing is learned.
#[derive(Debug, Args)]
pub struct RandomProjectionArgs {
    #[command(flatten)]
    pub fit: FitReducerArgs,

    /// Random seed of the directions.
    #[arg(long, value_name = "SEED", default_value_t = 1994)]
    pub seed: u64,
}

/// Write the codes of another dataset with a saved reducer.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A reducer that --save wrote.
    #[arg(value_name = "REDUCER.safetensors")]
    pub reducer: PathBuf,

    /// A dataset, cut as the one that the reducer was fitted to.
    #[arg(value_name = "DATASET")]
    pub dataset: PathBuf,

    /// The codes to write.
    #[arg(short, long, value_name = "CODES.h5")]
    pub output: PathBuf,

    #[command(flatten)]
    pub codes: CodesArgs,
}

/// Draw windows or codes in the plane, coloured by label. A map is a chart only: no rows can be added to it later.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pcapae reduce map codes.h5 -o map.png
  pcapae reduce map attack.h5 -o map.png --method pca --csv map.csv")]
pub struct MapArgs {
    /// Codes of encode or reduce, or a dataset, whose fragments are then drawn.
    #[arg(value_name = "CODES|DATASET")]
    pub input: PathBuf,

    /// The chart to write.
    #[arg(short, long, value_name = "MAP.png")]
    pub output: PathBuf,

    /// Also write the coordinates as CSV: row, x, y, label, first and last packet.
    #[arg(long, value_name = "MAP.csv")]
    pub csv: Option<PathBuf>,

    /// The method.
    #[arg(long, value_name = "METHOD", default_value = "tsne")]
    pub method: MapMethodArg,

    /// With tsne: the perplexity, about how many neighbours each row has [default: 30].
    #[arg(long, value_name = "X", value_parser = positive)]
    pub perplexity: Option<f64>,

    /// With tsne: number of iterations [default: 1000].
    #[arg(long, value_name = "N")]
    pub max_iter: Option<NonZeroUsize>,

    /// Draw at most N rows, chosen at random.
    #[arg(long, value_name = "N", default_value = "5000")]
    pub sample: NonZeroUsize,

    /// Random seed of the rows that are chosen.
    #[arg(long, value_name = "SEED", default_value_t = 1994)]
    pub seed: u64,

    /// Replace outputs that exist.
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub threads: ThreadsArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MapMethodArg {
    /// t-SNE: groups become visible; their sizes and distances mean nothing.
    Tsne,
    /// The two directions of greatest variance.
    Pca,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KernelArg {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

impl PcaArgs {
    /// The method with its parameters.
    pub fn reduction(&self) -> Reduction {
        Reduction::Pca(PcaConfig { n_components: self.fit.components.get() })
    }
}

impl IcaArgs {
    /// The method with its parameters.
    pub fn reduction(&self) -> Reduction {
        Reduction::FastIca(FastIcaConfig {
            n_components: self.fit.components.get(),
            max_iter: self.max_iter.get(),
            tol: self.tol,
            max_samples: self.sample.get(),
            random_state: self.seed,
        })
    }
}

impl KernelPcaArgs {
    /// The method with its parameters.
    pub fn reduction(&self) -> Reduction {
        let kernel = match self.kernel {
            KernelArg::Linear => KernelName::Linear,
            KernelArg::Poly => KernelName::Poly,
            KernelArg::Rbf => KernelName::Rbf,
            KernelArg::Sigmoid => KernelName::Sigmoid,
        };
        Reduction::KernelPca(KernelPcaConfig {
            n_components: self.fit.components.get(),
            kernel,
            gamma: self.gamma,
            degree: self.degree,
            coef0: self.coef0,
            fit_inverse_transform: !self.no_inverse,
            alpha: self.ridge,
            max_samples: self.sample.get(),
            random_state: self.seed,
        })
    }
}

impl SparsePcaArgs {
    /// The method with its parameters.
    pub fn reduction(&self) -> Reduction {
        Reduction::SparsePca(SparsePcaConfig {
            n_components: self.fit.components.get(),
            alpha: self.alpha,
            ridge_alpha: self.ridge,
            max_iter: self.max_iter.get(),
            tol: self.tol,
        })
    }
}

impl RandomProjectionArgs {
    /// The method with its parameters.
    pub fn reduction(&self) -> Reduction {
        Reduction::RandomProjection(RandomProjectionConfig {
            n_components: self.fit.components.get(),
            random_state: self.seed,
        })
    }
}

fn frames(text: &str) -> Result<Frames, String> {
    let expected = || "expected a number from 1 to 256".to_owned();
    text.parse::<usize>().ok().and_then(|count| Frames::try_from(count).ok()).ok_or_else(expected)
}
