//! How the fragments were cut that a model was trained on, as far as its file says.

use std::collections::HashMap;

use crate::error::{Fault, Place};
use crate::fragment::{Cutting, Mask, Mode};

/// Metadata keys of a model's file.
const MODE: &str = "mode";
const MASK: &str = "mask";

/// How fragments were cut, as far as it is known: beside their size, what a model must be given to understand it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrainedOn {
    /// How packets became fragments.
    pub mode: Option<Mode>,
    /// Which header fields were read as zeros.
    pub mask: Option<Mask>,
}

impl From<Option<Cutting>> for TrainedOn {
    /// A dataset in the original's layout does not say how it was cut.
    fn from(cutting: Option<Cutting>) -> TrainedOn {
        TrainedOn { mode: cutting.map(|cutting| cutting.mode), mask: cutting.map(|cutting| cutting.mask) }
    }
}

impl TrainedOn {
    /// What is known of both and differs, in words: of these fragments, and of `others`.
    pub fn difference(&self, others: TrainedOn) -> Option<[String; 2]> {
        let differ = |one: Option<String>, other: Option<String>| {
            one.zip(other).filter(|(one, other)| one != other).map(|(one, other)| [one, other])
        };
        let mode = |mode: Mode| format!("fragments cut in {} mode", mode.name());
        let mask = |mask: Mask| match mask.is_empty() {
            true => "fragments with no field masked".to_owned(),
            false => format!("fragments with {mask} masked"),
        };
        differ(self.mode.map(mode), others.mode.map(mode))
            .or_else(|| differ(self.mask.map(mask), others.mask.map(mask)))
    }

    pub(super) fn to_metadata(self) -> Vec<(&'static str, String)> {
        let mode = self.mode.map(|mode| (MODE, mode.name().to_owned()));
        mode.into_iter().chain(self.mask.map(|mask| (MASK, mask.to_string()))).collect()
    }

    pub(super) fn from_metadata(metadata: &HashMap<String, String>) -> Result<TrainedOn, Fault> {
        let unusable = |key: &str, got: &str| {
            Place::Entry(key.into()).found(format!("{got:?}"), format!("the {key} of the fragments it was trained on"))
        };
        let mode = metadata.get(MODE).map(|name| Mode::from_name(name).ok_or_else(|| unusable(MODE, name)));
        let mask = metadata.get(MASK).map(|text| text.parse().map_err(|_| unusable(MASK, text)));
        Ok(TrainedOn { mode: mode.transpose()?, mask: mask.transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trained_on(mode: Mode, mask: Option<Mask>) -> TrainedOn {
        TrainedOn { mode: Some(mode), mask }
    }

    #[test]
    fn what_is_known_survives_a_models_file() {
        for known in [
            TrainedOn::default(),
            trained_on(Mode::Flow, None),
            trained_on(Mode::Byte, Some(Mask::NONE)),
            trained_on(Mode::Packet, Some(Mask::volatile())),
        ] {
            let metadata = known.to_metadata().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            assert_eq!(TrainedOn::from_metadata(&metadata).unwrap(), known);
        }
        let wrong = HashMap::from([(MASK.to_owned(), "colour".to_owned())]);
        let refusal = TrainedOn::from_metadata(&wrong).unwrap_err().to_string();
        assert_eq!(refusal, "its mask is \"colour\", expected the mask of the fragments it was trained on");
    }

    #[test]
    fn only_what_is_known_of_both_can_differ() {
        let volatile = trained_on(Mode::Packet, Some(Mask::volatile()));
        assert_eq!(volatile.difference(volatile), None);
        assert_eq!(volatile.difference(TrainedOn::default()), None);
        assert_eq!(volatile.difference(trained_on(Mode::Packet, None)), None);
        let [flow, packet] = trained_on(Mode::Flow, None).difference(volatile).unwrap();
        assert_eq!((&*flow, &*packet), ("fragments cut in flow mode", "fragments cut in packet mode"));
        let [none, masked] = trained_on(Mode::Packet, Some(Mask::NONE)).difference(volatile).unwrap();
        assert_eq!(none, "fragments with no field masked");
        assert!(masked.contains("tcp-sequence"), "{masked}");
    }
}
