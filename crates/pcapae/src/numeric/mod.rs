//! Numerics that know nothing of packets or models: distances and neighbours, moments, eigenvectors, kernels, quantiles.

mod parts;

mod difference_sums;

mod distance;

mod neighbours;

mod moments;

mod eigen;

mod kernel;

mod quantile;

mod whole;

pub(crate) use distance::Distance;
pub use distance::MetricName;
pub(crate) use eigen::{Eigen, leading};
pub(crate) use kernel::{Columns, Kernel};
pub(crate) use moments::{Moments, centred, of_blocks};
pub(crate) use neighbours::{Neighbour, Neighbourhood};
pub use parts::Parts;
pub(crate) use quantile::{median, quantile};
pub(crate) use whole::whole;
