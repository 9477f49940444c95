//! Alternatives to the autoencoder: other methods that turn windows into codes, and maps of windows or codes.
//!
//! A [`Reduction`] names a method and its parameters, fitting it to windows of normal traffic gives a [`Reducer`], which turns windows of any
//! dataset with the same cutting into a file of [codes](crate::code), as the encoder does.
//!
//! | method | codes of new windows | inverse | fitted to |
//! |---|---|---|---|
//! | principal components | yes | yes | the covariance of all windows |
//! | fast ICA | yes | yes | that, and a sample of the windows |
//! | kernel principal components | yes | learned | a sample of the windows |
//! | sparse principal components | yes | yes | the covariance of all windows |
//! | Gaussian random projection | yes | yes | nothing |
//! | a [map](MapMethod), by principal components or t-SNE | no | no | a sample of the windows or codes |

mod parameters;

mod training_windows;

mod projection;

mod pca;

mod random_projection;

mod fast_ica;

mod kernel_pca;

mod sparse_pca;

mod reduction;

mod reducer;

mod quality;

mod t_sne;

mod map;

pub use fast_ica::FastIcaConfig;
pub use kernel_pca::KernelPcaConfig;
pub use map::{Map, MapConfig, MapMethod, MapPoint};
pub use pca::PcaConfig;
pub use quality::Quality;
pub use random_projection::RandomProjectionConfig;
pub use reducer::Reducer;
pub use reduction::Reduction;
pub use sparse_pca::SparsePcaConfig;
pub use training_windows::{MOMENTS_WIDTH_MAX, TrainingWindows};
