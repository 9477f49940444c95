//! What the options of `explain` mean.

use std::path::Path;

use pcapae::explain::{Baseline, Composite, ErrorRule, Method, ProductRule};
use pcapae::{Error, Result};

use crate::args::{BaselineArg, ErrorArg, ExplainArgs, GatesArg, MethodArg};

/// The form of the output file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Image,
    Json,
}

impl Form {
    /// The form that a name's ending says.
    pub fn of(path: &Path) -> Result<Form> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("png") => Ok(Form::Image),
            Some("json") => Ok(Form::Json),
            _ => Err(Error::Setting {
                setting: "output",
                got: path.display().to_string(),
                expected: "a name that ends in .png or .json".into(),
                remedy: None,
            }),
        }
    }
}

/// How relevance is found.
pub(super) fn method(args: &ExplainArgs) -> Result<Method> {
    let baseline = match args.baseline {
        BaselineArg::Reconstruction => Baseline::Reconstruction,
        BaselineArg::Zeros => Baseline::Zeros,
    };
    Ok(match args.method {
        MethodArg::Lrp => {
            let composite = match (&args.composite, args.rule) {
                (Some(name), _) => Composite::named(name)?,
                (None, Some(rule)) => Composite::of_rule(rule),
                (None, None) => Composite::default(),
            };
            composite.check()?;
            let product = match args.gates {
                GatesArg::Signal => ProductRule::SignalTakeAll,
                GatesArg::Half => ProductRule::Half,
                GatesArg::Proportional => ProductRule::Proportional,
            };
            let error = match args.error {
                ErrorArg::Both => ErrorRule::Both,
                ErrorArg::Reconstruction => ErrorRule::Reconstruction,
            };
            Method::Lrp(Composite { product, error, ..composite })
        }
        MethodArg::Gradient => Method::Gradient,
        MethodArg::GradientXInput => Method::GradientTimesInput,
        MethodArg::IntegratedGradients => Method::IntegratedGradients { steps: 64, baseline },
        MethodArg::Occlusion => Method::Occlusion { baseline },
        MethodArg::Residual => Method::Residual,
    })
}
