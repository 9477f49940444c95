//! A method of reduction with its parameters, as plans name it and reducers keep it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::TrainingWindows;
use super::fast_ica::FastIcaConfig;
use super::kernel_pca::KernelPcaConfig;
use super::pca::PcaConfig;
use super::projection::Projection;
use super::random_projection::RandomProjectionConfig;
use super::sparse_pca::SparsePcaConfig;
use crate::Result;
use crate::error::Fault;
use crate::named_arrays::NamedArrays;
use crate::progress::Progress;

/// The parameter that holds a method's seed, where it has one.
const SEED: &str = "random_state";

/// Makes the enum of all methods: a line each, of scikit-learn's name, which is that in YAML, and the variant with its parameters.
macro_rules! reductions {
    ($($name:literal: $variant:ident($config:ident),)*) => {
        /// A method and its parameters, all in range.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Reduction {
            $(
                #[doc = concat!("In YAML, `", $name, "`.")]
                #[serde(rename = $name)]
                $variant($config),
            )*
        }

        impl Reduction {
            /// The names of all methods in YAML.
            pub const NAMES: &[&str] = &[$($name),*];

            /// The method's name in YAML.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Reduction::$variant(_) => $name,)*
                }
            }

            /// Numbers in a code.
            pub fn components(&self) -> usize {
                match self {
                    $(Reduction::$variant(config) => config.n_components,)*
                }
            }

            /// Refuses parameters out of range, by name.
            pub fn check(&self) -> Result<()> {
                match self {
                    $(Reduction::$variant(config) => config.check(),)*
                }
            }

            pub(super) fn projection(
                &self,
                windows: &TrainingWindows<'_>,
                progress: &dyn Progress,
            ) -> Result<Box<dyn Projection>> {
                Ok(match self {
                    $(Reduction::$variant(config) => Box::new(config.fit(windows, progress)?),)*
                })
            }

            /// The projection that gave these numbers, for windows of `width` bytes; otherwise, in a few words, what is wrong with them.
            pub(super) fn read_back(&self, width: usize, numbers: &NamedArrays) -> Result<Box<dyn Projection>, Fault> {
                self.check()?;
                Ok(match self {
                    $(Reduction::$variant(config) => Box::new(config.projection(width, numbers)?),)*
                })
            }

            fn of_name(name: &str, parameters: Value) -> Option<Reduction> {
                match name {
                    $($name => serde_json::from_value(parameters).ok().map(Reduction::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

reductions! {
    "PCA": Pca(PcaConfig),
    "FastICA": FastIca(FastIcaConfig),
    "KernelPCA": KernelPca(KernelPcaConfig),
    "SparsePCA": SparsePca(SparsePcaConfig),
    "GaussianRandomProjection": RandomProjection(RandomProjectionConfig),
}

impl Reduction {
    /// Most windows that the method looks at; `None` where it looks at all of them, or at none.
    pub fn max_samples(&self) -> Option<usize> {
        match self {
            Reduction::FastIca(config) => Some(config.max_samples),
            Reduction::KernelPca(config) => Some(config.max_samples),
            Reduction::Pca(_) | Reduction::SparsePca(_) | Reduction::RandomProjection(_) => None,
        }
    }

    /// The same method with this seed; `None` where it has nothing random.
    pub fn with_seed(&self, seed: u64) -> Option<Reduction> {
        let mut parameters = self.parameters();
        *parameters.get_mut(SEED)? = seed.into();
        Self::of_name(self.name(), parameters.into())
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

    /// The method with those of its parameters that are not at their default: `KernelPCA (gamma 0.1)`.
    pub fn title(&self) -> String {
        let usual = Self::of_name(self.name(), Map::new().into()).map(|usual| usual.parameters()).unwrap_or_default();
        let parameters = self.parameters();
        let others = parameters.iter().filter(|(parameter, value)| usual.get(*parameter) != Some(value));
        let others: Vec<String> = others.map(|(parameter, value)| format!("{parameter} {value}")).collect();
        if others.is_empty() { self.name().to_owned() } else { format!("{} ({})", self.name(), others.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Reduction> {
        Reduction::NAMES.iter().map(|name| Reduction::of_name(name, Map::new().into()).unwrap()).collect()
    }

    #[test]
    fn a_method_survives_its_json_and_is_called_after_what_is_unusual_about_it() {
        for reduction in all() {
            reduction.check().unwrap();
            assert_eq!(reduction.title(), reduction.name());
            let text = serde_json::to_string(&reduction).unwrap();
            assert_eq!(serde_json::from_str::<Reduction>(&text).unwrap(), reduction);
        }
        let kernel: Reduction = serde_json::from_str(r#"{"KernelPCA":{"gamma":0.1,"n_components":8}}"#).unwrap();
        assert_eq!(kernel.title(), "KernelPCA (gamma 0.1, n_components 8)");
        assert!(serde_json::from_str::<Reduction>(r#"{"PCA":{"whiten":true}}"#).is_err());
    }

    #[test]
    fn only_a_method_with_something_random_has_a_seed() {
        let seeded: Vec<_> = all().iter().filter_map(|reduction| reduction.with_seed(7)).map(|r| r.name()).collect();
        assert_eq!(seeded, ["FastICA", "KernelPCA", "GaussianRandomProjection"]);
    }

    #[test]
    fn parameters_out_of_range_are_refused_by_name() {
        for (text, expected) in [
            (r#"{"PCA":{"n_components":0}}"#, "n_components 0: expected at least 1"),
            (r#"{"FastICA":{"tol":0.0}}"#, "tol 0: expected a number above 0"),
            (r#"{"KernelPCA":{"gamma":-1.0}}"#, "gamma -1: expected a number above 0"),
            (r#"{"KernelPCA":{"degree":1001}}"#, "degree 1001: expected 0 to 1000"),
            (r#"{"SparsePCA":{"alpha":-1.0}}"#, "alpha -1: expected a number above 0"),
        ] {
            let reduction: Reduction = serde_json::from_str(text).unwrap();
            assert_eq!(reduction.check().unwrap_err().to_string(), expected);
        }
    }
}
