//! How rare it is that these two hosts send a packet of this length for this service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Detector, Samples, fact_numbers};
use crate::capture::headers::{Direction, Endpoint, PacketFacts, Service};
use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;
use crate::{Error, Result};

const NAME: &str = "length rarity";

/// Numbers of a kind of packet in a file: service and direction, two hosts, length.
const COLUMNS: usize = 4 + 5 + 5 + 1;

/// Which facts make two packets of one kind; all by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LengthRarityConfig {
    /// EtherType, IP protocol and lower port.
    pub service: bool,
    /// The sending host, without its port.
    pub source: bool,
    /// The receiving host, without its port.
    pub destination: bool,
    /// How many bytes were captured.
    pub length: bool,
}

impl Default for LengthRarityConfig {
    fn default() -> Self {
        LengthRarityConfig { service: true, source: true, destination: true, length: true }
    }
}

/// −ln of the smoothed frequency of (service, source, destination, length), in nats.
///
/// p = (c + 1) / (n + k + 1): c of the n packets fitted were of the same kind, k kinds were seen, and all that were not
/// count as one more. So a kind never seen scores ln(n + k + 1), higher than every other.
///
/// # Source
/// Laplace's rule of succession on counts of tuples; rarity as a score as in Wang and Stolfo, *Anomalous Payload-Based Network Intrusion
/// Detection*, RAID 2004, which conditions on port and length.
#[derive(Debug, Clone, PartialEq)]
pub struct LengthRarity {
    config: LengthRarityConfig,
    packets: usize,
    counts: BTreeMap<Kind, usize>,
}

/// What a packet is; facts that do not count have one value for all packets.
type Kind = (Service, Endpoint, Endpoint, u32);

impl LengthRarityConfig {
    /// Refuses to let no fact count.
    pub fn check(&self) -> Result<()> {
        if self.service || self.source || self.destination || self.length {
            return Ok(());
        }
        Err(Error::Setting {
            setting: "length rarity of",
            got: "no fact".into(),
            expected: "one or more of service, source, destination and length".into(),
            remedy: None,
        })
    }

    /// Counts the kinds of packets among `samples`, whose facts it looks at.
    pub fn fit(&self, samples: &Samples) -> Result<LengthRarity> {
        self.check()?;
        let facts = facts(samples)?;
        let mut counts = BTreeMap::new();
        for facts in facts {
            *counts.entry(self.kind(facts)).or_default() += 1;
        }
        Ok(LengthRarity { config: self.clone(), packets: facts.len(), counts })
    }

    fn kind(&self, facts: &PacketFacts) -> Kind {
        (
            if self.service { facts.service } else { Service::default() },
            if self.source { facts.source.host() } else { Endpoint::Unknown },
            if self.destination { facts.destination.host() } else { Endpoint::Unknown },
            if self.length { facts.length } else { 0 },
        )
    }
}

fn facts(samples: &Samples) -> Result<&[PacketFacts]> {
    samples.facts().ok_or(Error::Lacking { detector: NAME, lacking: "facts of packets" })
}

impl LengthRarity {
    /// What it was fitted with.
    pub fn config(&self) -> &LengthRarityConfig {
        &self.config
    }

    /// A detector from its parameters and numbers; says in a few words what is wrong with them. The width of rows does not matter to it.
    pub fn from_arrays(
        config: &LengthRarityConfig,
        _width: usize,
        numbers: &NamedArrays,
    ) -> Result<LengthRarity, Fault> {
        config.check()?;
        let kinds = numbers.get("kinds", &[None, Some(COLUMNS)])?;
        let of_kinds = numbers.get("counts", &[Some(kinds.shape[0])])?;
        let (mut counts, mut packets) = (BTreeMap::new(), 0);
        for (row, &count) in kinds.values.chunks_exact(COLUMNS).zip(&of_kinds.values) {
            let (service, _) = fact_numbers::service(&row[..4])?;
            let (source, destination) = (fact_numbers::host(&row[4..9])?, fact_numbers::host(&row[9..14])?);
            let length = fact_numbers::whole(row[14], 1 << 32)? as u32;
            let count = fact_numbers::whole(count, 1 << 40)?;
            packets += count;
            if counts.insert((service, source, destination, length), count).is_some() {
                return Err(Place::Array("kinds".into()).found("a kind of packet twice", "each once"));
            }
        }
        Ok(LengthRarity { config: config.clone(), packets, counts })
    }
}

impl Detector for LengthRarity {
    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        let ln_all = ((self.packets + self.counts.len() + 1) as f64).ln();
        let score = |facts| {
            let count = self.counts.get(&self.config.kind(facts)).copied().unwrap_or(0);
            ln_all - ((count + 1) as f64).ln()
        };
        Ok(facts(samples)?.iter().map(score).collect())
    }

    fn numbers(&self) -> NamedArrays {
        let mut kinds = Vec::with_capacity(self.counts.len() * COLUMNS);
        for (service, source, destination, length) in self.counts.keys() {
            // A direction follows from the hosts and counts for nothing here.
            kinds.extend(fact_numbers::of_service(&(*service, Direction::ToService)));
            kinds.extend(fact_numbers::of_host(*source));
            kinds.extend(fact_numbers::of_host(*destination));
            kinds.push(f64::from(*length));
        }
        let mut numbers = NamedArrays::default();
        numbers.put_shaped("kinds", &[self.counts.len(), COLUMNS], kinds);
        numbers.put("counts", self.counts.values().map(|&count| count as f64).collect());
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::headers::fixtures::packet;
    use crate::detectors::fixtures::samples;
    use proptest::prelude::*;

    #[test]
    fn a_kind_never_seen_is_the_rarest() {
        let fitted =
            LengthRarityConfig::default().fit(&samples(&[packet(1, 2, 502, 60), packet(1, 2, 502, 60)])).unwrap();
        let scores =
            fitted.score(&samples(&[packet(1, 2, 502, 60), packet(1, 2, 502, 61), packet(3, 2, 502, 60)])).unwrap();
        assert_eq!(scores, [4f64.ln() - 3f64.ln(), 4f64.ln(), 4f64.ln()]);
    }

    #[test]
    fn only_the_wanted_facts_count() {
        let config = LengthRarityConfig { source: false, destination: false, ..LengthRarityConfig::default() };
        let fitted = config.fit(&samples(&[packet(1, 2, 502, 60)])).unwrap();
        let scores =
            fitted.score(&samples(&[packet(7, 8, 502, 60), packet(1, 2, 502, 61), packet(1, 2, 80, 60)])).unwrap();
        assert!(scores[0] < scores[1] && scores[1] == scores[2]);
        let none = LengthRarityConfig { service: false, length: false, ..config };
        assert!(none.fit(&samples(&[])).is_err());
    }

    #[test]
    fn numbers_of_strangers_are_refused() {
        let config = LengthRarityConfig::default();
        let fitted = config.fit(&samples(&[packet(1, 2, 502, 60), packet(1, 2, 80, 60)])).unwrap();
        let with = |change: &dyn Fn(&mut Vec<f64>)| {
            let mut kinds = fitted.numbers().get("kinds", &[None, None]).unwrap().values.clone();
            change(&mut kinds);
            let mut numbers = fitted.numbers();
            numbers.put_shaped("kinds", &[2, COLUMNS], kinds);
            LengthRarity::from_arrays(&config, 4, &numbers)
        };
        assert_eq!(with(&|_| {}).unwrap(), fitted);
        assert!(with(&|kinds| kinds[0] = -1.0).is_err());
        assert!(with(&|kinds| kinds.copy_within(..COLUMNS, COLUMNS)).unwrap_err().to_string().contains("twice"));
    }

    proptest! {
        #[test]
        fn scores_are_what_counting_gives_and_survive_their_numbers(
            seen in prop::collection::vec((1u8..4, 1u8..4, 0u16..3, 60u32..63), 1..40),
            new in prop::collection::vec((1u8..5, 1u8..4, 0u16..4, 60u32..64), 1..20),
        ) {
            let of = |kinds: &[(u8, u8, u16, u32)]| kinds.iter().map(|&(a, b, c, d)| packet(a, b, c, d)).collect::<Vec<_>>();
            let fitted = LengthRarityConfig::default().fit(&samples(&of(&seen))).unwrap();
            let mut kinds = seen.clone();
            kinds.sort_unstable();
            kinds.dedup();
            let scores = fitted.score(&samples(&of(&new))).unwrap();
            for (kind, score) in new.iter().zip(&scores) {
                let count = seen.iter().filter(|other| *other == kind).count();
                let p = (count as f64 + 1.0) / (seen.len() + kinds.len() + 1) as f64;
                prop_assert!((score + p.ln()).abs() < 1e-12);
            }
            let again = LengthRarity::from_arrays(&LengthRarityConfig::default(), 4, &fitted.numbers()).unwrap();
            prop_assert_eq!(again.score(&samples(&of(&new))).unwrap(), scores);
        }
    }
}
