//! Methods: layer-wise relevance propagation, and simpler ways to beside it.

use std::fmt;

use super::composite::Composite;

/// How relevance is found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// Layer-wise relevance propagation: Bach et al., *On Pixel-Wise Explanations for Non-Linear Classifier Decisions*, 2015.
    Lrp(Composite),
    /// ∂f/∂x: how fast the target changes with a byte, per 255. Simonyan, Vedaldi, Zisserman, *Deep Inside Convolutional Networks*, 2014.
    /// This is what the thesis's code gave for the target [`Brightest`](super::Target::Brightest).
    Gradient,
    /// x·∂f/∂x: Shrikumar et al., *Not Just a Black Box*, 2016.
    GradientTimesInput,
    /// (x − x')·∫ ∂f/∂x along the line from a baseline x' to x, by the midpoint rule. The target's value at the baseline is the bias.
    /// Sundararajan, Taly, Yan, *Axiomatic Attribution for Deep Networks*, 2017.
    IntegratedGradients {
        /// Points on the line, from 1; 64 are usual.
        steps: usize,
        /// Where the line begins.
        baseline: Baseline,
    },
    /// How much the target falls where one byte is replaced: Zeiler & Fergus, *Visualizing and Understanding Convolutional Networks*, 2014,
    /// with a single byte as the patch. A window for every byte, by the engine, in single precision.
    Occlusion {
        /// By what.
        baseline: Baseline,
    },
    /// Each pixel's own part of the score; no other target has it.
    Residual,
}

/// What a byte is compared with, or replaced by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Baseline {
    /// Zeros. For integrated gradients they are no good baseline here: the normalisation makes a faint picture as strong as a clear one, so
    /// that all of the change lies close to the zeros, between two points of the integral.
    Zeros,
    /// What the model makes of the frame, as far as the decoder gives it: what should stand there. Of frames that it does not give, as
    /// where others are predicted, and of a categorical head, whose mean stands nowhere, zeros.
    #[default]
    Reconstruction,
}

impl Method {
    /// The usual settings of a method, by its name: `lrp`, `gradient`, `gradient-x-input`, `integrated-gradients`, `occlusion`, `residual`.
    pub fn named(name: &str) -> Option<Method> {
        Some(match name {
            "lrp" => Method::Lrp(Composite::default()),
            "gradient" => Method::Gradient,
            "gradient-x-input" => Method::GradientTimesInput,
            "integrated-gradients" => Method::IntegratedGradients { steps: 64, baseline: Baseline::default() },
            "occlusion" => Method::Occlusion { baseline: Baseline::default() },
            "residual" => Method::Residual,
            _ => return None,
        })
    }
}

/// The composite, or the method's name.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::Lrp(composite) => composite.fmt(f),
            Method::Gradient => f.write_str("gradient"),
            Method::GradientTimesInput => f.write_str("gradient-x-input"),
            Method::IntegratedGradients { .. } => f.write_str("integrated-gradients"),
            Method::Occlusion { .. } => f.write_str("occlusion"),
            Method::Residual => f.write_str("residual"),
        }
    }
}
