//! The fitted detectors of a bundle, and the plan of which to fit.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Told;
use crate::capture::headers::PacketFacts;
use crate::detectors::{Aspect, Blueprint, Fitted, FragmentScorer, Input, RowStream, Rows, SignalStream, plain};
use crate::encode::model_description;
use crate::fragment::{Cutting, Mode};
use crate::model::{Autoencoder, CODE_SIZE};
use crate::residual::{AUTOENCODER, CodeStream, ResidualScore, ResidualStream};
use crate::{Error, Result};

/// Names of detectors in bundles of version 3 and before, which `learn` takes as well.
pub(super) const FORMER_NAMES: [(&str, &str); 3] =
    [("histograms", "PositionHistogram"), ("lengths", "LengthRarity"), ("gaps", "InterArrival")];

/// A detector that a bundle is to have.
#[derive(Debug, Clone)]
pub enum DetectorPlan {
    /// How badly the autoencoder reconstructs fragments.
    Autoencoder,
    /// A detector of the registry, to be fitted.
    Fit(Blueprint),
    /// One that was fitted before, which is only calibrated.
    Fitted(Arc<Fitted>),
}

/// A detector of a bundle.
#[derive(Debug, Clone)]
pub enum FittedDetector {
    /// The residual of the bundle's model.
    Autoencoder(ResidualScore),
    /// A detector of the registry, on fragments or on the codes of the bundle's model, as its [rows](Fitted::rows) say.
    Rows(Arc<Fitted>),
}

/// The detectors of a bundle, at least one, and the model that some of them need.
#[derive(Debug, Clone)]
pub struct Detectors {
    /// The model; `None` where no detector needs one.
    pub model: Option<Autoencoder>,
    /// The detectors, in the order in which scores and shares come: the autoencoder, then as in [`Blueprint::NAMES`].
    pub fitted: Vec<FittedDetector>,
}

impl DetectorPlan {
    /// The detectors that raise alerts unless others are asked for: those that look at packets one by one, in any mode.
    pub fn defaults() -> Vec<DetectorPlan> {
        let all = Blueprint::NAMES.iter().filter_map(|name| Blueprint::named(name).ok());
        all.filter(|blueprint| blueprint.input() == Input::Stream).map(DetectorPlan::Fit).collect()
    }

    /// The detector's name.
    pub fn name(&self) -> &'static str {
        match self {
            DetectorPlan::Autoencoder => AUTOENCODER,
            DetectorPlan::Fit(blueprint) => blueprint.name(),
            DetectorPlan::Fitted(fitted) => fitted.blueprint().name(),
        }
    }

    /// Refuses plans for one bundle: none at all, one detector twice, one that looks at packets where fragments are none, and one that was fitted
    /// to other rows.
    pub(super) fn check_all(plans: &[DetectorPlan], cutting: &Cutting, codes: Option<&Rows>) -> Result<()> {
        let refuse = |got: String, expected: String, remedy: Option<&str>| {
            Err(Error::Setting { setting: "detectors", got, expected, remedy: remedy.map(str::to_owned) })
        };
        if plans.is_empty() {
            return refuse("none".into(), format!("one or more of {}", all_names().join(", ")), None);
        }
        for (i, plan) in plans.iter().enumerate() {
            let name = plan.name();
            if plans[..i].iter().any(|other| other.name() == name) {
                return refuse(format!("{name} twice"), "each detector once".into(), None);
            }
            let blueprint = match plan {
                DetectorPlan::Autoencoder => continue,
                DetectorPlan::Fit(blueprint) => blueprint,
                DetectorPlan::Fitted(fitted) => fitted.blueprint(),
            };
            if blueprint.input() == Input::Packets && cutting.mode != Mode::Packet {
                return refuse(
                    format!("{name} in {} mode", cutting.mode.name()),
                    "detectors that look at fragments: only in packet mode is a fragment a packet".into(),
                    Some("learn in packet mode, or take other detectors"),
                );
            }
            if let DetectorPlan::Fitted(fitted) = plan {
                let taken = rows_of(blueprint, cutting, codes);
                let not_yet_trained = matches!(taken, Rows::Codes { model: None, .. });
                if not_yet_trained || !fitted.rows().go_with(&taken) {
                    return refuse(
                        format!("{name}, fitted to {}", fitted.rows()),
                        format!("one fitted to {taken}"),
                        None,
                    );
                }
            }
        }
        Ok(())
    }
}

/// The rows that a detector looks at in a bundle: codes, where it looks at numbers and there is a model; the beginnings of packets, where it looks
/// at packets one by one; else fragments.
pub(super) fn rows_of(blueprint: &Blueprint, cutting: &Cutting, codes: Option<&Rows>) -> Rows {
    match codes {
        Some(codes) if blueprint.input() == Input::Numbers => codes.clone(),
        _ => {
            let mode = if blueprint.input() == Input::Stream { Mode::Packet } else { cutting.mode };
            Rows::Fragments { size: cutting.size.bytes(), mode: Some(mode), mask: Some(cutting.mask) }
        }
    }
}

/// The codes of a model, as rows.
pub(super) fn codes_of(model: &Autoencoder) -> Result<Rows> {
    Ok(Rows::Codes { width: CODE_SIZE, model: Some(model_description(model)?) })
}

/// The place of a detector among all.
pub(super) fn place(name: &str) -> Option<usize> {
    all_names().iter().position(|known| *known == name)
}

fn all_names() -> Vec<&'static str> {
    [AUTOENCODER].into_iter().chain(Blueprint::NAMES.iter().copied()).collect()
}

impl FromStr for DetectorPlan {
    type Err = Error;

    /// A detector by its [name](Blueprint::named), with its defaults; or `autoencoder`.
    fn from_str(name: &str) -> Result<DetectorPlan> {
        if plain(name) == plain(AUTOENCODER) {
            return Ok(DetectorPlan::Autoencoder);
        }
        let former = FORMER_NAMES.iter().find(|(former, _)| *former == name);
        Blueprint::named(former.map_or(name, |(_, name)| name)).map(DetectorPlan::Fit).map_err(|_| Error::Setting {
            setting: "detector",
            got: format!("{name:?}"),
            expected: format!("one of {}", all_names().join(", ")),
            remedy: None,
        })
    }
}

impl FittedDetector {
    /// The detector's name.
    pub fn name(&self) -> &'static str {
        match self {
            FittedDetector::Autoencoder(_) => AUTOENCODER,
            FittedDetector::Rows(fitted) => fitted.blueprint().name(),
        }
    }

    /// Whether the detector needs the bundle's model.
    pub(super) fn needs_model(&self) -> bool {
        match self {
            FittedDetector::Autoencoder(_) => true,
            FittedDetector::Rows(fitted) => matches!(fitted.rows(), Rows::Codes { .. }),
        }
    }

    /// Forgets what came in which block of the recording.
    pub(super) fn forget_blocks(&mut self) {
        if let FittedDetector::Rows(fitted) = self
            && let Some(fitted) = Arc::get_mut(fitted)
        {
            fitted.forget_blocks();
        }
    }

    /// Whether the detector looks at packets one by one.
    pub(super) fn is_stream(&self) -> bool {
        match self {
            FittedDetector::Autoencoder(_) => false,
            FittedDetector::Rows(fitted) => fitted.is_stream(),
        }
    }

    /// The detector at work on packets one by one; `None` of one that looks at fragments.
    pub(super) fn signals(&self) -> Option<Box<dyn SignalStream + '_>> {
        match self {
            FittedDetector::Autoencoder(_) => None,
            FittedDetector::Rows(fitted) => fitted.detector().signals(),
        }
    }

    /// What it watches.
    pub(super) fn aspects(&self) -> &'static [Aspect] {
        match self {
            FittedDetector::Autoencoder(_) => &[Aspect::SCORE],
            FittedDetector::Rows(fitted) => fitted.detector().aspects(),
        }
    }

    /// The detector at work on fragments; `None` where it needs a model and there is none.
    fn scorer<'a>(&'a self, model: Option<&Autoencoder>) -> Option<Box<dyn FragmentScorer + 'a>> {
        Some(match self {
            FittedDetector::Autoencoder(score) => Box::new(ResidualStream::new(model?, score)),
            FittedDetector::Rows(fitted) => match fitted.rows() {
                Rows::Codes { .. } => Box::new(CodeStream::new(model?, fitted.detector().scorer())),
                Rows::Fragments { size, .. } => Box::new(RowStream::new(fitted.detector(), *size)),
            },
        })
    }
}

impl Detectors {
    /// Their names, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'static str> + '_ {
        self.fitted.iter().map(FittedDetector::name)
    }

    /// The detectors that look at fragments, at work, with their places.
    pub(super) fn fragment_scorers(&self) -> impl Iterator<Item = (usize, Box<dyn FragmentScorer + '_>)> {
        let of_fragments = self.fitted.iter().enumerate().filter(|(_, detector)| !detector.is_stream());
        of_fragments.filter_map(|(place, detector)| Some((place, detector.scorer(self.model.as_ref())?)))
    }

    /// All detectors that can say which bytes of a fragment mattered, at work, with their names.
    pub(super) fn byte_scorers(&self, mode: Mode) -> Vec<(&'static str, Box<dyn FragmentScorer + '_>)> {
        let scorer = |detector: &'_ FittedDetector| !detector.is_stream() || mode == Mode::Packet;
        let scorers = self.fitted.iter().filter(|detector| scorer(detector));
        scorers.filter_map(|detector| Some((detector.name(), detector.scorer(self.model.as_ref())?))).collect()
    }

    /// What is told of a packet with these facts.
    pub(super) fn told(&self, facts: &PacketFacts) -> Told {
        let known = || {
            self.fitted.iter().filter_map(|detector| match detector {
                FittedDetector::Autoencoder(_) => None,
                FittedDetector::Rows(fitted) => Some(fitted.detector()),
            })
        };
        let told = Told::of(facts);
        let was = known().find_map(|detector| detector.hardware_of(facts.sender()));
        let whose = told.link.and_then(|link| known().find_map(|detector| detector.host_of(link)));
        Told { was, whose: whose.filter(|host| *host != facts.sender()), ..told }
    }
}

/// Names with commas between: `Autoencoder, PositionHistogram`.
impl fmt::Display for Detectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(", "))
    }
}
