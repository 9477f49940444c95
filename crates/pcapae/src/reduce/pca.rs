//! Principal component analysis: the directions in which windows vary most.

use serde::{Deserialize, Serialize};

use super::TrainingWindows;
use super::parameters::{COMPONENTS, check_components, check_count};
use super::projection::Linear;
use crate::Result;
use crate::error::Fault;
use crate::numeric::leading;
use crate::progress::Progress;

/// Parameters, with the names and defaults of scikit-learn's `PCA`, except `n_components`, which is 64, the size of the autoencoder's code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PcaConfig {
    /// Numbers in a code, from 1 to the bytes of a window; default 64.
    pub n_components: usize,
}

impl Default for PcaConfig {
    fn default() -> Self {
        PcaConfig { n_components: COMPONENTS }
    }
}

impl PcaConfig {
    /// Refuses parameters out of range, by name.
    pub fn check(&self) -> Result<()> {
        check_count("n_components", self.n_components)
    }

    /// Finds the eigenvectors V of the windows' covariance with the largest eigenvalues: code = Vᵀ(window − mean), window ≈ V·code + mean.
    /// No other linear code of this size has a smaller squared error.
    ///
    /// # Source
    /// Pearson: *On lines and planes of closest fit to systems of points in space*, 1901. Signs as scikit-learn's.
    pub(super) fn fit(&self, windows: &TrainingWindows<'_>, progress: &dyn Progress) -> Result<Linear> {
        self.check()?;
        check_components(self.n_components, windows)?;
        let moments = windows.moments(progress)?;
        let vectors = leading(moments.covariance, self.n_components).vectors;
        Ok(Linear::new(moments.mean, vectors.transpose(), vectors))
    }

    pub(super) fn projection(&self, width: usize, numbers: &crate::named_arrays::NamedArrays) -> Result<Linear, Fault> {
        Linear::from_arrays(self.n_components, width, numbers)
    }
}
