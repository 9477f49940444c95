//! A fitted detector as what is explained: its score of the code.

use std::path::Path;

use pcapae::dataset::Dataset;
use pcapae::detectors::{Fitted, Rows};
use pcapae::encode::model_description;
use pcapae::engine::Engine;
use pcapae::explain::{CodeScore, DatasetWindow, Sampling, Target};
use pcapae::model::{Autoencoder, CODE_SIZE};
use pcapae::{Error, Result};

/// Orders in which numbers are replaced where a score is sampled: shares have an error of about a tenth.
const ORDERS: usize = 64;
const SEED: u64 = 1994;
/// Most windows whose codes make the usual one.
const WINDOWS: usize = 512;

/// A detector that was fitted to codes of this model.
pub(super) struct CodeDetector {
    fitted: Fitted,
    /// A usual code; zeros until one is known, and where none is needed.
    reference: Vec<f32>,
    /// Where that is from.
    origin: Option<String>,
}

impl CodeDetector {
    /// Reads the file; refuses a detector that was not fitted to codes of `model`, which lies at `place`.
    pub fn open(path: &Path, model: &Autoencoder, place: &Path) -> Result<CodeDetector> {
        let fitted = Fitted::open(path)?;
        fitted.check_rows(place, &Rows::Codes { width: CODE_SIZE, model: Some(model_description(model)?) })?;
        Ok(CodeDetector { fitted, reference: vec![0.0; CODE_SIZE], origin: None })
    }

    /// Whether its score has no closed form, so that a usual code is needed.
    pub fn is_sampled(&self) -> bool {
        self.fitted.detector().parts(&[0.0; CODE_SIZE]).is_none()
    }

    /// Takes the mean of these codes for the usual one; `origin` says of what they are.
    pub fn with_usual(mut self, codes: &[[f32; CODE_SIZE]], origin: &str) -> CodeDetector {
        let mean = |k: usize| codes.iter().map(|code| f64::from(code[k])).sum::<f64>() / codes.len().max(1) as f64;
        self.reference = (0..CODE_SIZE).map(|k| mean(k) as f32).collect();
        self.origin = Some(format!("{} codes of {origin}", codes.len()));
        self
    }

    /// The detector's score as a target.
    pub fn target(&self) -> Target<'_> {
        let sampling = Sampling { reference: &self.reference, orders: ORDERS, seed: SEED };
        Target::Detector(CodeScore::Detector(self.fitted.detector(), sampling))
    }

    /// Which detector it is, and how its score is shared out.
    pub fn remark(&self) -> String {
        let name = self.fitted.blueprint().name();
        match &self.origin {
            Some(origin) => {
                format!("{name}: its score is shared out by sampling, over {ORDERS} orders, from the mean of {origin}")
            }
            None => format!("{name}: its score is shared out by a closed form"),
        }
    }
}

/// The codes of windows evenly spread over a dataset.
pub(super) fn codes_of(dataset: &Dataset, model: &Autoencoder) -> Result<Vec<[f32; CODE_SIZE]>> {
    let count = dataset.len().min(WINDOWS);
    let mut windows = Vec::with_capacity(count);
    for i in 0..count {
        // Some have no window of their own: the first of a run where the model predicts.
        let Ok(window) = DatasetWindow::of(dataset, model.config(), i * dataset.len() / count) else { continue };
        if window.fragments.len() == model.config().window_frames() {
            windows.push(window.bytes(dataset)?);
        }
    }
    if windows.is_empty() {
        return Err(Error::NoWindows { what: "the dataset", frames: model.config().window_frames() });
    }
    let windows: Vec<&[u8]> = windows.iter().map(Vec::as_slice).collect();
    Ok(Engine::new(model).encode(&windows))
}
