//! Which detectors a bundle has, by their names.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::fragment::Mode;
use crate::{Error, Result};

/// A detector of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DetectorName {
    /// How badly the autoencoder redraws the fragments.
    Autoencoder,
    /// How surprising each byte is at its place: [`PositionHistogram`](crate::detectors::PositionHistogram).
    Histograms,
    /// How rare the packet's length is between its two hosts: [`LengthRarity`](crate::detectors::LengthRarity).
    Lengths,
    /// How unusual the time since the packet before is: [`InterArrival`](crate::detectors::InterArrival).
    Gaps,
}

impl DetectorName {
    /// All of them.
    pub const ALL: [DetectorName; 4] =
        [DetectorName::Autoencoder, DetectorName::Histograms, DetectorName::Lengths, DetectorName::Gaps];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            DetectorName::Autoencoder => "autoencoder",
            DetectorName::Histograms => "histograms",
            DetectorName::Lengths => "lengths",
            DetectorName::Gaps => "gaps",
        }
    }
}

/// One or more detectors. In text, their words with commas between: `autoencoder,histograms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DetectorSet(BTreeSet<DetectorName>);

impl DetectorSet {
    /// The detectors that are used unless others are asked for: autoencoder and histograms, but outside packet mode, where fragments are
    /// no packets, the autoencoder alone.
    pub fn usual(mode: Mode) -> DetectorSet {
        match mode {
            Mode::Packet => DetectorSet([DetectorName::Autoencoder, DetectorName::Histograms].into()),
            Mode::Byte | Mode::Flow => DetectorSet([DetectorName::Autoencoder].into()),
        }
    }

    /// True if `name` is among them.
    pub fn contains(&self, name: DetectorName) -> bool {
        self.0.contains(&name)
    }

    /// The detectors, in the order in which their scores and shares always come.
    pub fn names(&self) -> impl ExactSizeIterator<Item = DetectorName> + '_ {
        self.0.iter().copied()
    }

    /// Refuses detectors that look at whole packets in a mode whose fragments are none.
    pub fn check(&self, mode: Mode) -> Result<()> {
        if mode == Mode::Packet || *self == DetectorSet::usual(mode) {
            return Ok(());
        }
        Err(Error::Setting {
            setting: "detectors",
            got: format!("{self} in {} mode", mode.name()),
            expected: "autoencoder alone, since the others look at packets and only packet mode has one in a fragment"
                .into(),
            remedy: Some("take --mode packet, or leave --detectors out".into()),
        })
    }
}

impl FromIterator<DetectorName> for DetectorSet {
    /// Panics if there is none.
    fn from_iter<I: IntoIterator<Item = DetectorName>>(names: I) -> DetectorSet {
        let names: BTreeSet<DetectorName> = names.into_iter().collect();
        assert!(!names.is_empty(), "a set of detectors has at least one");
        DetectorSet(names)
    }
}

impl fmt::Display for DetectorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.names().map(DetectorName::word).collect();
        f.write_str(&words.join(","))
    }
}

impl FromStr for DetectorSet {
    type Err = Error;

    fn from_str(text: &str) -> Result<DetectorSet> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let name = |word: &str| DetectorName::ALL.into_iter().find(|name| name.word() == word).ok_or(unknown(word));
        let names: BTreeSet<DetectorName> = words.map(name).collect::<Result<_>>()?;
        if names.is_empty() { Err(unknown("")) } else { Ok(DetectorSet(names)) }
    }
}

fn unknown(word: &str) -> Error {
    Error::Setting {
        setting: "detector",
        got: format!("{word:?}"),
        expected: format!("one or more of {}", DetectorName::ALL.map(DetectorName::word).join(", ")),
        remedy: None,
    }
}

impl TryFrom<String> for DetectorSet {
    type Error = Error;

    fn try_from(text: String) -> Result<DetectorSet> {
        text.parse()
    }
}

impl From<DetectorSet> for String {
    fn from(set: DetectorSet) -> String {
        set.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_any_order_are_a_set_and_others_are_refused() {
        let set: DetectorSet = "gaps, autoencoder,gaps".parse().unwrap();
        assert_eq!(set.to_string(), "autoencoder,gaps");
        for text in ["", ",", "autoencoder,forest"] {
            let refusal = text.parse::<DetectorSet>().unwrap_err().to_string();
            assert!(refusal.contains("one or more of autoencoder, histograms, lengths, gaps"), "{refusal}");
        }
    }

    #[test]
    fn outside_packet_mode_there_is_only_the_autoencoder() {
        let both = DetectorSet::usual(Mode::Packet);
        assert!(both.check(Mode::Packet).is_ok() && both.check(Mode::Byte).is_err() && both.check(Mode::Flow).is_err());
        assert!(DetectorSet::usual(Mode::Flow).check(Mode::Flow).is_ok());
    }
}
