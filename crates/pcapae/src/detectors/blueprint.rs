//! Blueprints: which detector to fit, with which parameters, as a YAML file says it.
//!
//! ```yaml
//! IsolationForest:
//!   n_estimators: 200
//!   contamination: 0
//! ```
//!
//! Names and parameters are those of scikit-learn where it has the detector; what is left out has its default.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[cfg(test)]
use super::row_mean::{RowMean, RowMeanConfig};
use super::{ClosedPositions, ClosedPositionsConfig, LengthBackOff, LengthBackOffConfig, Novelty, NoveltyConfig};
use super::{Detector, Samples};
use super::{
    InterArrival, InterArrivalConfig, IsolationForest, IsolationForestConfig, LengthRarity, LengthRarityConfig,
};
use super::{KNearestNeighbours, KNearestNeighboursConfig, LocalOutlierFactor, LocalOutlierFactorConfig};
use super::{Mahalanobis, MahalanobisConfig, OneClassSvm, OneClassSvmConfig};
use super::{PositionHistogram, PositionHistogramConfig, PrincipalComponents, PrincipalComponentsConfig};
use super::{Rate, RateConfig, Sequence, SequenceConfig};
use crate::error::{Fault, FileKind, Place, Problem};
use crate::named_arrays::NamedArrays;
use crate::{Error, Result};

/// A longer file is no blueprint.
const BYTES_MAX: u64 = 1 << 20;

/// The parameter that holds a detector's seed, where it has one.
const SEED: &str = "random_state";

/// What a detector looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Rows of numbers: codes, or the bytes of fragments divided by 255.
    Numbers,
    /// Rows that are packets: fragments with the facts of their packets.
    Packets,
    /// Packets in the order of time, whatever fragments are.
    Stream,
}

/// Makes the registry of all detectors: a line each, of the name, the variant with its parameters, what is fitted, and what it looks at.
macro_rules! detectors {
    ($($(#[$attribute:meta])* $name:literal: $variant:ident($config:ident) => $fitted:ident on $input:ident,)*) => {
        /// A detector's kind and parameters, all in range.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Blueprint {
            $(
                $(#[$attribute])*
                #[doc = concat!("`", $name, "`.")]
                #[serde(rename = $name)]
                $variant($config),
            )*
        }

        impl Blueprint {
            /// The names of all detectors.
            pub const NAMES: &[&str] = &[$($(#[$attribute])* $name),*];

            /// The detector's name: in YAML, in files, on the command line and in reports.
            pub fn name(&self) -> &'static str {
                match self {
                    $($(#[$attribute])* Blueprint::$variant(_) => $name,)*
                }
            }

            /// What the detector looks at.
            pub fn input(&self) -> Input {
                match self {
                    $($(#[$attribute])* Blueprint::$variant(_) => Input::$input,)*
                }
            }

            /// Refuses parameters out of range, by name.
            pub fn check(&self) -> Result<()> {
                match self {
                    $($(#[$attribute])* Blueprint::$variant(config) => config.check(),)*
                }
            }

            /// Fits the detector. Refuses samples that it cannot be fitted to: too few, with numbers that are not finite, or without what it
            /// looks at.
            pub fn fit(&self, samples: &Samples) -> Result<Box<dyn Detector>> {
                Ok(match self {
                    $($(#[$attribute])* Blueprint::$variant(config) => Box::new(config.fit(samples)?),)*
                })
            }

            /// The detector that gave these numbers, for rows of `width`; otherwise, in a few words, what is wrong with them.
            pub(super) fn read_back(&self, width: usize, numbers: &NamedArrays) -> Result<Box<dyn Detector>, Fault> {
                Ok(match self {
                    $($(#[$attribute])* Blueprint::$variant(config) => Box::new($fitted::from_arrays(config, width, numbers)?),)*
                })
            }

            /// The blueprint of the detector `name` with these parameters, unchecked for their range.
            fn of_name(name: &str, parameters: Map<String, Value>) -> Result<Blueprint, Fault> {
                match name {
                    $($(#[$attribute])* $name => Ok(Blueprint::$variant(config(parameters)?)),)*
                    other => Err(Fault::found(format!("the detector {other:?}"), format!("one of {}", Self::NAMES.join(", ")))),
                }
            }
        }
    };
}

detectors! {
    "IsolationForest": IsolationForest(IsolationForestConfig) => IsolationForest on Numbers,
    "LocalOutlierFactor": LocalOutlierFactor(LocalOutlierFactorConfig) => LocalOutlierFactor on Numbers,
    "OneClassSVM": OneClassSvm(OneClassSvmConfig) => OneClassSvm on Numbers,
    "KNearestNeighbours": KNearestNeighbours(KNearestNeighboursConfig) => KNearestNeighbours on Numbers,
    "Mahalanobis": Mahalanobis(MahalanobisConfig) => Mahalanobis on Numbers,
    "PrincipalComponents": PrincipalComponents(PrincipalComponentsConfig) => PrincipalComponents on Numbers,
    "PositionHistogram": PositionHistogram(PositionHistogramConfig) => PositionHistogram on Packets,
    "LengthRarity": LengthRarity(LengthRarityConfig) => LengthRarity on Packets,
    "InterArrival": InterArrival(InterArrivalConfig) => InterArrival on Packets,
    "Novelty": Novelty(NoveltyConfig) => Novelty on Stream,
    "LengthBackOff": LengthBackOff(LengthBackOffConfig) => LengthBackOff on Stream,
    "Sequence": Sequence(SequenceConfig) => Sequence on Stream,
    "ClosedPositions": ClosedPositions(ClosedPositionsConfig) => ClosedPositions on Stream,
    "Rate": Rate(RateConfig) => Rate on Stream,
    #[cfg(test)]
    "RowMean": RowMean(RowMeanConfig) => RowMean on Numbers,
}

impl Blueprint {
    /// Reads a blueprint; whatever is wrong in the file is an [`Error::Unreadable`].
    pub fn open(path: &Path) -> Result<Blueprint> {
        Self::from_yaml(&read_text(path)?).map_err(FileKind::Blueprint.unreadable(path))
    }

    /// The blueprint that a text says; otherwise, in a few words, what is wrong with it.
    pub fn from_yaml(text: &str) -> Result<Blueprint, Fault> {
        let (name, parameters) = detector_and_parameters(text)?;
        Self::from_parameters(&name, parameters)
    }

    /// The blueprint of the detector `name` with these parameters; otherwise, in a few words, what is wrong with them.
    pub fn from_parameters(name: &str, parameters: Map<String, Value>) -> Result<Blueprint, Fault> {
        let name = registered(name);
        let blueprint = Self::of_name(name, parameters)?;
        blueprint.check().map_err(|refusal| Fault::from(refusal).within(Place::Part(name.into())))?;
        Ok(blueprint)
    }

    /// The detector of this name, with its defaults. Case, hyphens and underscores do not matter: `isolation-forest` is `IsolationForest`.
    pub fn named(name: &str) -> Result<Blueprint> {
        Self::of_name(registered(name), Map::new()).map_err(|_| Error::Setting {
            setting: "detector",
            got: format!("{name:?}"),
            expected: format!("one of {}", Self::NAMES.join(", ")),
            remedy: None,
        })
    }

    /// The file of the blueprint, with all parameters.
    pub fn to_yaml(&self) -> Result<String> {
        serde_saphyr::to_string(self).map_err(|error| Error::unwritable("blueprint")(one_line(&error.to_string())))
    }

    /// The same blueprint with this seed; `None` where the detector has nothing random.
    pub fn with_seed(&self, seed: u64) -> Option<Blueprint> {
        let mut parameters = self.parameters();
        *parameters.get_mut(SEED)? = seed.into();
        Self::of_name(self.name(), parameters).ok()
    }

    /// All parameters by name.
    pub fn parameters(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(mut of_name)) => match of_name.remove(self.name()) {
                Some(Value::Object(parameters)) => parameters,
                _ => Map::new(),
            },
            _ => Map::new(),
        }
    }
}

/// The name in the registry that is meant, or the name itself where none is.
fn registered(name: &str) -> &str {
    Blueprint::NAMES.iter().find(|known| plain(known) == plain(name)).copied().unwrap_or(name)
}

/// A name as it is compared: its letters and digits, in lower case.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

/// The text of a YAML file; refuses one that is too long to be meant.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let bytes = std::fs::metadata(path).map_err(Error::io("open", path))?.len();
    let refuse = FileKind::Blueprint.unreadable(path);
    if bytes > BYTES_MAX {
        return Err(refuse(Fault::found(format!("a file of {bytes} bytes"), format!("at most {BYTES_MAX}"))));
    }
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    String::from_utf8(bytes).map_err(|_| refuse(Fault::found("text in another encoding", "UTF-8")))
}

/// The one detector that a text names, and what the text says below it.
pub(crate) fn detector_and_parameters(text: &str) -> Result<(String, Map<String, Value>), Fault> {
    let value: Value = serde_saphyr::from_str(text).map_err(|error| Fault::parser(one_line(&error.to_string())))?;
    let names = || Blueprint::NAMES.join(", ");
    match value {
        Value::String(name) => Ok((name, Map::new())),
        Value::Object(detectors) if detectors.len() == 1 => match detectors.into_iter().next() {
            Some((name, Value::Object(parameters))) => Ok((name, parameters)),
            Some((name, Value::Null)) => Ok((name, Map::new())),
            Some((name, other)) => Err(Place::Parameter(name).found(other, "a line for each parameter and its value")),
            None => Err(Problem::Empty.into()),
        },
        Value::Object(detectors) if detectors.len() > 1 => {
            let found = format!("{} things side by side", detectors.len());
            Err(Fault::found(found, "one detector and its parameters below it"))
        }
        _ => {
            let expected = format!("the name of a detector ({}) and its parameters below it", names());
            Err(Fault::found("something else", expected))
        }
    }
}

/// The parameters of a detector. Each is tried alone first, so that a refusal can name it: all have defaults.
fn config<C: DeserializeOwned>(parameters: Map<String, Value>) -> Result<C, Fault> {
    for (name, value) in &parameters {
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        if let Err(error) = serde_json::from_value::<C>(alone.into()) {
            let error = error.to_string();
            return Err(match error.strip_prefix("unknown field ") {
                Some(unknown) => Fault::parser(format!("unknown parameter {unknown}")),
                None if error.contains("untagged enum") => {
                    Place::Parameter(name.into()).found(value, "a value that it takes")
                }
                None => Fault::parser(format!("{name} {value}: {error}")),
            });
        }
    }
    serde_json::from_value(parameters.into()).map_err(Fault::parser)
}

/// The first line of what the YAML library says, without its decoration.
fn one_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim().trim_start_matches("error: ").trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::detectors::{Contamination, MaxFeatures, MaxSamples, Verbosity};

    fn refused(yaml: &str) -> String {
        let reason = Blueprint::from_yaml(yaml).unwrap_err().to_string();
        assert!(!reason.contains('\n') && !reason.ends_with('.'), "{reason}");
        reason
    }

    /// As the thesis's program has them: all parameters, Python's spelling of truth, comments with colons in them.
    #[test]
    fn the_originals_form_is_read() {
        let forest = Blueprint::from_yaml(
            "# https://example.org/x.html\nIsolationForest:\n  n_estimators: 100 # How many: all.\n  max_samples: auto\n  \
             contamination: 0\n  max_features: 1.0\n  bootstrap: False # If True, …\n  n_jobs: 1\n  random_state: 42\n  \
             verbose: True\n  warm_start: False",
        );
        let Ok(Blueprint::IsolationForest(config)) = forest else { panic!("{forest:?}") };
        assert_eq!(config.contamination, Contamination::Share(0.0));
        assert_eq!((config.max_features, config.random_state), (MaxFeatures::Share(1.0), Some(42)));
        assert_eq!(config.verbose, Verbosity::Any(true));
        let machine = Blueprint::from_yaml(
            "OneClassSVM:\n  kernel: rbf # linear | poly\n  degree: 8\n  gamma: scale\n  coef0: 0.0\n  tol: 0.001\n  nu: 0.5\n  \
             shrinking: True\n  cache_size: 200\n  verbose: True\n  max_iter: -1\n",
        );
        let Ok(Blueprint::OneClassSvm(config)) = machine else { panic!("{machine:?}") };
        assert_eq!((config.degree, config.max_iter, config.cache_size), (8, -1, 200.0));
    }

    #[test]
    fn the_originals_local_outlier_factor_is_read() {
        let factor = Blueprint::from_yaml(
            "LocalOutlierFactor:\n  n_neighbors: 20\n  algorithm: auto # How:\n  leaf_size: 30\n  metric: minkowski # l1 | l2\n  p: 2\n  \
             contamination: 0.00001\n  n_jobs: 1\n  novelty: True",
        );
        let Ok(Blueprint::LocalOutlierFactor(config)) = factor else { panic!("{factor:?}") };
        assert_eq!((config.n_neighbors, config.contamination), (20, Contamination::Share(1e-5)));
        assert!(refused("LocalOutlierFactor:\n  novelty: False").starts_with("LocalOutlierFactor: novelty false"));
    }

    #[test]
    fn a_name_alone_is_a_detector_with_its_defaults() {
        for name in Blueprint::NAMES {
            for yaml in [format!("{name}\n"), format!("{name}:\n"), format!("{name}: {{}}")] {
                let blueprint = Blueprint::from_yaml(&yaml).unwrap();
                assert_eq!(blueprint.name(), *name);
                assert_eq!(Blueprint::from_yaml(&blueprint.to_yaml().unwrap()), Ok(blueprint));
            }
        }
    }

    #[test]
    fn shares_and_counts_survive_their_file() {
        for (yaml, expected) in
            [("1", MaxSamples::Count(1)), ("1.0", MaxSamples::Share(1.0)), ("1e-5", MaxSamples::Share(1e-5))]
        {
            let blueprint = Blueprint::from_yaml(&format!("IsolationForest:\n  max_samples: {yaml}")).unwrap();
            let written = blueprint.to_yaml().unwrap();
            for blueprint in [&blueprint, &Blueprint::from_yaml(&written).unwrap()] {
                let Blueprint::IsolationForest(config) = blueprint else { panic!("{blueprint:?}") };
                assert_eq!(config.max_samples, expected, "{written}");
            }
        }
        let head = "PositionHistogram:\n  head:\n    top: {k: 3, standardised: false}\n";
        let blueprint = Blueprint::from_yaml(head).unwrap();
        assert_eq!(Blueprint::from_yaml(&blueprint.to_yaml().unwrap()), Ok(blueprint));
    }

    #[test]
    fn what_is_wrong_is_said_by_name() {
        let unknown = refused("IsolationForest:\n  trees: 3");
        assert!(unknown.starts_with("unknown parameter `trees`, expected one of `n_estimators`"), "{unknown}");
        assert_eq!(
            refused("IsolationForest:\n  n_estimators: 0"),
            "IsolationForest: n_estimators 0: expected 1 to 100000"
        );
        let type_ = refused("IsolationForest:\n  n_estimators: many");
        assert!(type_.starts_with("n_estimators \"many\": invalid type"), "{type_}");
        assert_eq!(
            refused("IsolationForest:\n  max_samples: most"),
            "`max_samples` is \"most\", expected a value that it takes"
        );
        assert!(refused("OneClassSVM:\n  nu: .nan").contains(".nan"));
        assert!(refused("OneClassSVM:\n  nu: [0.1, 0.2]").starts_with("nu [0.1,0.2]"));
        assert!(
            refused("IForest:\n  trees: 3")
                .starts_with("found the detector \"IForest\", expected one of IsolationForest, ")
        );
        assert!(refused("IsolationForest: 3").starts_with("`IsolationForest` is 3, expected a line for each"));
        assert!(refused("IsolationForest:\nOneClassSVM:\n").contains("2 things"));
        for yaml in [
            "",
            "- a\n- b",
            "IsolationForest:\n  nu: [",
            "a: {b",
            "IsolationForest:\n  n_jobs: 1\n  n_jobs: 2",
            "3",
            "&a [*a]",
        ] {
            refused(yaml);
        }
    }

    proptest! {
        /// Pieces of YAML in any order, and any text: read or refused in one line, never a panic; what is read survives its file.
        #[test]
        fn any_text_is_a_blueprint_or_refused(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(vec![
                        "IsolationForest", "OneClassSVM", "PositionHistogram", ":", "\n  ", "\n", "nu", "n_estimators", "head", "gamma",
                        "1", "1.0", "-1", "auto", "[", "]", "{", "}", ",", "&a ", "*a", "!!str ", "'", "\"", "|", "? ", "- ", "~", "1e999",
                        " ", "max_samples: ", "contamination: 0", "top: {k: 3}", "#", "\t", "---", "...", "<<: ",
                    ]).prop_map(str::to_owned),
                    ".{0,4}",
                ],
                0..12,
            ),
        ) {
            match Blueprint::from_yaml(&pieces.concat()) {
                Ok(blueprint) => {
                    let written = blueprint.to_yaml().unwrap();
                    prop_assert_eq!(Blueprint::from_yaml(&written), Ok(blueprint));
                }
                Err(fault) => {
                    let reason = fault.to_string();
                    prop_assert!(!reason.is_empty() && !reason.contains('\n') && !reason.ends_with('.'), "{}", reason);
                }
            }
        }
    }

    #[test]
    fn a_seed_replaces_the_blueprints_where_there_is_one() {
        let forest = Blueprint::from_yaml("IsolationForest:\n  random_state: 3\n  n_estimators: 7").unwrap();
        assert_eq!(forest.with_seed(9).unwrap().parameters()["random_state"], 9);
        assert_eq!(forest.with_seed(3), Some(forest));
        assert_eq!(Blueprint::from_yaml("LengthRarity").unwrap().with_seed(9), None);
    }
}
