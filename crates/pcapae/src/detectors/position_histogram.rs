//! How surprising each byte of a packet is at its place: a histogram of byte values per position.

mod group;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{Detector, Samples, ScoringHead, fact_numbers};
use crate::capture::headers::{Direction, PacketFacts, Service};
use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;
use crate::{Error, Result};
use group::Group;

const NAME: &str = "position histogram";

/// The symbol of a position past the end of the packet, after the 256 byte values.
const PAST_END: u16 = 256;

/// Smallest deviation by which a position is divided, in nats: a position that hardly varies counts its surprise as it is.
pub const DEVIATION_FLOOR: f32 = 1.0;

/// Index of the group of each service and direction.
type GroupOf = BTreeMap<(Service, Direction), usize>;

/// The bytes of all rows, and the facts of the packets they are.
type LookedAt<'a> = (&'a [u8], Option<&'a [PacketFacts]>);

/// How byte values are counted, and how their surprises become a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PositionHistogramConfig {
    /// Whether each service and direction has histograms of its own; else all packets share one per position. Default true.
    pub per_service: bool,
    /// From surprises to a score. Default the 8 largest, standardised.
    pub head: ScoringHead,
    /// A service and direction with fewer rows than these shares its histograms with all others so rare. Default 16.
    pub rows_min: usize,
    /// Of no effect, and not written: nothing is held back any more. It is read so that files of former versions are.
    #[serde(skip_serializing)]
    pub held_back_min: IgnoredAny,
}

impl Default for PositionHistogramConfig {
    fn default() -> Self {
        PositionHistogramConfig { per_service: true, head: ScoringHead::TOP, rows_min: 16, held_back_min: IgnoredAny }
    }
}

/// Histograms of byte values, one per position of the row, for each service and direction.
///
/// The surprise of value b at position i is −ln p with p = (c + 1) / (n + s): c of the n rows fitted of the same service and direction
/// have b there, s is the number of symbols. A position past the packet's end is a symbol of its own, so that an
/// unusual length shows; s is 257 where lengths are known, else 256, and padding counts as the zeros it is.
///
/// A service and direction never seen has no histogram. Each of its positions is as surprising as a value that none of *all* rows
/// had, ln(N + s), and is not standardised: no packet of a known service can score higher.
///
/// # Source
/// The simplest of the byte-frequency models: Wang and Stolfo, *Anomalous Payload-Based Network Intrusion Detection* (PAYL), RAID 2004,
/// condition on port and length; here on service, direction and position. Smoothing: Laplace's rule of succession.
#[derive(Debug, Clone, PartialEq)]
pub struct PositionHistogram {
    config: PositionHistogramConfig,
    width: usize,
    /// Rows fitted.
    rows: usize,
    lengths_known: bool,
    /// Group of each service and direction; empty where all share one.
    services: GroupOf,
    groups: Vec<Group>,
}

impl PositionHistogramConfig {
    /// Refuses what is out of range.
    pub fn check(&self) -> Result<()> {
        self.head.check()
    }

    /// Counts the bytes of `samples`, with facts where services are told apart.
    pub fn fit(&self, samples: &Samples) -> Result<PositionHistogram> {
        self.check()?;
        let (bytes, facts) = self.looked_at(samples)?;
        if samples.is_empty() {
            return Err(Error::Lacking { detector: NAME, lacking: "rows" });
        }
        let symbols = symbols(facts.is_some());
        let (services, members) = self.groups_of(samples.len(), facts);
        let row = |i: usize| Row::of(bytes, samples.width(), facts, i);
        let groups = members.iter().map(|rows| Group::count(rows, samples.width(), symbols, row)).collect();
        let mut fitted = PositionHistogram {
            config: self.clone(),
            width: samples.width(),
            rows: samples.len(),
            lengths_known: facts.is_some(),
            services,
            groups,
        };
        if self.head.is_standardised() {
            fitted.groups.iter_mut().for_each(|group| group.usual = Some(group.leave_one_out(DEVIATION_FLOOR)));
        }
        Ok(fitted)
    }

    /// The bytes and facts that the histograms look at.
    fn looked_at<'a>(&self, samples: &'a Samples) -> Result<LookedAt<'a>> {
        let lacking = |lacking| Error::Lacking { detector: NAME, lacking };
        let bytes = samples.bytes().ok_or(lacking("bytes"))?;
        let facts = samples.facts();
        if self.per_service && facts.is_none() {
            return Err(lacking("facts of packets"));
        }
        Ok((bytes, facts))
    }

    /// The group of each service and direction, and the rows of each group.
    fn groups_of(&self, rows: usize, facts: Option<&[PacketFacts]>) -> (GroupOf, Vec<Vec<usize>>) {
        let Some(facts) = facts.filter(|_| self.per_service) else {
            return (GroupOf::new(), vec![(0..rows).collect()]);
        };
        let mut by_service: BTreeMap<(Service, Direction), Vec<usize>> = BTreeMap::new();
        for (i, facts) in facts.iter().enumerate() {
            by_service.entry((facts.service, facts.direction)).or_default().push(i);
        }
        let (mut services, mut members, mut rare) = (GroupOf::new(), Vec::new(), (Vec::new(), Vec::new()));
        for (service, rows) in by_service {
            if rows.len() < self.rows_min {
                rare.0.push(service);
                rare.1.extend(rows);
            } else {
                services.insert(service, members.len());
                members.push(rows);
            }
        }
        if !rare.0.is_empty() {
            services.extend(rare.0.into_iter().map(|service| (service, members.len())));
            members.push(rare.1);
        }
        (services, members)
    }
}

/// How many different symbols there are.
fn symbols(lengths_known: bool) -> usize {
    if lengths_known { 257 } else { 256 }
}

/// The bytes of a packet that lie in its row; the row's other positions are past its end.
#[derive(Clone, Copy)]
struct Row<'a> {
    bytes: &'a [u8],
}

impl<'a> Row<'a> {
    fn of(bytes: &'a [u8], width: usize, facts: Option<&[PacketFacts]>, i: usize) -> Row<'a> {
        let length = facts.map_or(width, |facts| width.min(facts[i].length as usize));
        Row { bytes: &bytes[i * width..i * width + length] }
    }

    fn symbol(self, position: usize) -> u16 {
        self.bytes.get(position).map_or(PAST_END, |&byte| u16::from(byte))
    }
}

impl PositionHistogram {
    /// What it was fitted with.
    pub fn config(&self) -> &PositionHistogramConfig {
        &self.config
    }

    /// The surprise, −ln p in nats, of every position of row `i`, and its group; `None` where its service and direction is unknown.
    fn surprises(&self, (bytes, facts): LookedAt<'_>, i: usize, to: &mut Vec<f32>) -> Option<usize> {
        let group = match facts.filter(|_| self.config.per_service) {
            Some(facts) => *self.services.get(&(facts[i].service, facts[i].direction))?,
            None => 0,
        };
        self.groups[group].surprises(Row::of(bytes, self.width, facts, i), to);
        Some(group)
    }

    /// The surprise of each position of a row of an unknown service and direction.
    fn surprise_of_unknown(&self) -> f32 {
        ((self.rows + symbols(self.lengths_known)) as f64).ln() as f32
    }

    /// The score of such a row, which no other row can exceed.
    fn score_of_unknown(&self) -> f64 {
        self.config.head.score(&vec![self.surprise_of_unknown(); self.width], None)
    }

    /// The bytes and facts that were looked at when it was fitted; refused where they are not there.
    fn seen_of<'a>(&self, samples: &'a Samples) -> Result<LookedAt<'a>> {
        let (bytes, facts) = self.config.looked_at(samples)?;
        if self.lengths_known && facts.is_none() {
            return Err(Error::Lacking { detector: NAME, lacking: "facts of packets" });
        }
        Ok((bytes, facts.filter(|_| self.lengths_known)))
    }

    /// A detector from its parameters and numbers, for rows of `width` bytes; says in a few words what is wrong with them.
    pub fn from_arrays(
        config: &PositionHistogramConfig,
        width: usize,
        numbers: &NamedArrays,
    ) -> Result<PositionHistogram, Fault> {
        config.check()?;
        let lengths_known = match numbers.scalar("lengths_known")? {
            0.0 if config.per_service => {
                return Err(Place::Array("lengths_known".into()).found(0, "1, since it is per service"));
            }
            0.0 => false,
            1.0 => true,
            other => return Err(Place::Array("lengths_known".into()).found(other, "0 or 1")),
        };
        let groups = group::from_arrays(width, symbols(lengths_known), config.head.is_standardised(), numbers)?;
        let mut services = GroupOf::new();
        for row in numbers.get("services", &[None, Some(5)])?.values.chunks_exact(5) {
            let (service, group) = (fact_numbers::service(row)?, fact_numbers::whole(row[4], groups.len())?);
            services.insert(service, group);
        }
        if groups.is_empty() || (!config.per_service && groups.len() != 1) {
            return Err(Place::Array("group_rows".into())
                .found(format!("{} groups", groups.len()), "1, or more if per service"));
        }
        let rows = groups.iter().map(Group::rows).sum();
        Ok(PositionHistogram { config: config.clone(), width, rows, lengths_known, services, groups })
    }
}

impl Detector for PositionHistogram {
    /// The surprise of every position, standardised where the head standardises. Positions of an unknown service and direction are all as
    /// surprising as can be.
    fn position_values(&self, row: &Samples) -> Option<Vec<f32>> {
        let mut surprises = Vec::new();
        Some(match self.surprises(self.seen_of(row).ok()?, 0, &mut surprises) {
            Some(group) => self.config.head.position_values(&surprises, self.groups[group].usual.as_ref()),
            None => vec![self.surprise_of_unknown(); self.width],
        })
    }

    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        let looked_at = self.seen_of(samples)?;
        let unknown = self.score_of_unknown();
        let score = |surprises: &mut Vec<f32>, i| match self.surprises(looked_at, i, surprises) {
            Some(group) => self.config.head.score(surprises, self.groups[group].usual.as_ref()),
            None => unknown,
        };
        Ok((0..samples.len()).into_par_iter().map_init(Vec::new, score).collect())
    }

    fn numbers(&self) -> NamedArrays {
        let mut numbers = NamedArrays::default();
        numbers.put("lengths_known", vec![f64::from(u8::from(self.lengths_known))]);
        let services = self
            .services
            .iter()
            .flat_map(|(service, group)| fact_numbers::of_service(service).into_iter().chain([*group as f64]));
        numbers.put_shaped("services", &[self.services.len(), 5], services.collect());
        group::put(&self.groups, self.width, &mut numbers);
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::headers::fixtures::packet;
    use proptest::prelude::*;

    const WIDTH: usize = 4;

    /// Packets of a service and direction each, with their bytes.
    #[derive(Debug, Clone)]
    struct Traffic(Vec<(u16, bool, Vec<u8>)>);

    impl Traffic {
        fn samples(&self) -> Samples {
            let mut bytes = Vec::new();
            let facts = self.0.iter().map(|(port, back, data)| {
                bytes.extend(data.iter().copied().chain(std::iter::repeat(0)).take(WIDTH));
                let direction = if *back { Direction::FromService } else { Direction::ToService };
                PacketFacts { direction, ..packet(1, 2, *port, data.len() as u32) }
            });
            let facts = facts.collect();
            Samples::of_bytes(bytes, WIDTH).with_facts(facts)
        }

        /// The symbols of the packets that share their histograms with a packet of `port` and `back`; none if it is unknown.
        fn like(&self, port: u16, back: bool, rows_min: usize) -> Vec<Vec<u16>> {
            let of = |port: u16, back: bool| self.0.iter().filter(|other| (other.0, other.1) == (port, back)).count();
            let is_rare = |port, back| of(port, back) < rows_min;
            let alike = |other: &&(u16, bool, Vec<u8>)| match is_rare(port, back) {
                true => is_rare(other.0, other.1),
                false => (other.0, other.1) == (port, back),
            };
            let known = of(port, back) > 0;
            self.0.iter().filter(|_| known).filter(alike).map(|other| symbols_of(&other.2)).collect()
        }
    }

    fn symbols_of(data: &[u8]) -> Vec<u16> {
        (0..WIDTH).map(|i| data.get(i).map_or(256, |&byte| byte.into())).collect()
    }

    fn traffic(packets: std::ops::Range<usize>) -> impl Strategy<Value = Traffic> {
        let packet = (0u16..4, any::<bool>(), prop::collection::vec(0u8..3, 0..6));
        prop::collection::vec(packet, packets).prop_map(Traffic)
    }

    /// −ln p by counting.
    fn surprises(like: &[Vec<u16>], of: &[u16]) -> Vec<f64> {
        let surprise = |i: usize| {
            let count = like.iter().filter(|other| other[i] == of[i]).count();
            -((count as f64 + 1.0) / (like.len() as f64 + 257.0)).ln()
        };
        (0..WIDTH).map(surprise).collect()
    }

    fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt().max(1.0))
    }

    proptest! {
        #[test]
        fn sums_are_what_counting_gives(seen in traffic(1..40), new in traffic(1..20), rows_min in 0usize..6) {
            let config = PositionHistogramConfig { head: ScoringHead::Sum, rows_min, ..Default::default() };
            let scores = config.fit(&seen.samples()).unwrap().score(&new.samples()).unwrap();
            for ((port, back, data), score) in new.0.iter().zip(scores) {
                let like = seen.like(*port, *back, rows_min);
                let expected = match like.is_empty() {
                    true => WIDTH as f64 * (seen.0.len() as f64 + 257.0).ln(),
                    false => surprises(&like, &symbols_of(data)).iter().sum(),
                };
                prop_assert!((score - expected).abs() < 1e-4, "{score} {expected}");
            }
        }

        #[test]
        fn positions_are_standardised_by_the_other_rows(seen in traffic(1..40), new in traffic(1..10)) {
            let head = ScoringHead::Top { k: 2, standardised: true };
            let config = PositionHistogramConfig { head, rows_min: 3, ..Default::default() };
            let fitted = config.fit(&seen.samples()).unwrap();
            let unknown = (seen.0.len() as f64 + 257.0).ln();
            for ((port, back, data), score) in new.0.iter().zip(fitted.score(&new.samples()).unwrap()) {
                let like = seen.like(*port, *back, 3);
                if like.is_empty() {
                    prop_assert!((score - unknown).abs() < 1e-4);
                    continue;
                }
                let usual: Vec<Vec<f64>> = (0..like.len()).map(|i| {
                    let mut others = like.clone();
                    let own = others.remove(i);
                    surprises(&others, &own)
                }).collect();
                let mut z: Vec<f64> = surprises(&like, &symbols_of(data)).iter().enumerate().map(|(i, surprise)| {
                    let (mean, deviation) = mean_and_deviation(&usual.iter().map(|row| row[i]).collect::<Vec<_>>());
                    (surprise - mean) / deviation
                }).collect();
                z.sort_by(|a, b| b.total_cmp(a));
                prop_assert!((score - (z[0] + z[1]) / 2.0).abs() < 1e-4, "{score} {z:?}");
                prop_assert!(score <= unknown + 1e-4, "a known service scores higher than an unknown one");
            }
        }

        #[test]
        fn numbers_give_the_same_scores(
            seen in traffic(1..40), new in traffic(1..20), per_service: bool, top: bool,
        ) {
            let head = if top { ScoringHead::TOP } else { ScoringHead::Mean };
            let config = PositionHistogramConfig { head, per_service, rows_min: 3, ..Default::default() };
            let fitted = config.fit(&seen.samples()).unwrap();
            let again = PositionHistogram::from_arrays(&config, WIDTH, &fitted.numbers()).unwrap();
            prop_assert_eq!(&again, &fitted);
            let scores = fitted.score(&new.samples()).unwrap();
            prop_assert_eq!(&again.score(&new.samples()).unwrap(), &scores);
            let samples = new.samples();
            let rows = (0..samples.len()).map(|i| samples.rows(i..i + 1));
            let values: Vec<f32> = rows.flat_map(|row| fitted.position_values(&row).unwrap()).collect();
            let plain = if top { ScoringHead::Top { k: 8, standardised: false } } else { ScoringHead::Mean };
            let of_values: Vec<f64> = values.chunks(WIDTH).map(|row| plain.score(row, None)).collect();
            prop_assert_eq!(of_values, scores, "the score is made of the values");
        }

        #[test]
        fn changed_numbers_are_refused_or_give_scores(seen in traffic(1..10), array in 0usize..5, at: usize, value in prop_oneof![
            Just(-1.0), Just(0.0), Just(1.0), Just(1e18), Just(0.5), Just(700.0),
        ]) {
            let config = PositionHistogramConfig { rows_min: 3, ..Default::default() };
            let fitted = config.fit(&seen.samples()).unwrap();
            let mut numbers = fitted.numbers();
            let (name, shape, mut values) = {
                let (name, array) = numbers.iter().nth(array).unwrap();
                (name.to_owned(), array.shape.clone(), array.values.clone())
            };
            let length = values.len();
            values[at % length] = value;
            numbers.put_shaped(&name, &shape, values);
            if let Ok(changed) = PositionHistogram::from_arrays(&config, WIDTH, &numbers) {
                prop_assert!(changed.score(&seen.samples()).unwrap().iter().all(|score| score.is_finite()));
            }
        }
    }

    #[test]
    fn without_facts_padding_counts_as_the_zeros_it_is() {
        let config = PositionHistogramConfig { per_service: false, head: ScoringHead::Sum, ..Default::default() };
        let rows = Samples::of_bytes(vec![1, 0, 1, 0, 1, 7], 2);
        let scores = config.fit(&rows).unwrap().score(&rows).unwrap();
        let expected = [4.0f64, 3.0].map(|first| -(first / 259.0).ln());
        assert!((scores[0] - expected[0] - expected[1]).abs() < 1e-5, "{scores:?}");
        assert!((scores[2] - expected[0] + (2f64 / 259.0).ln()).abs() < 1e-5, "{scores:?}");
    }

    #[test]
    fn samples_that_lack_something_are_refused() {
        let bytes = Samples::of_bytes(vec![0; 4], 4);
        let refusal =
            |config: &PositionHistogramConfig, samples: &Samples| config.fit(samples).unwrap_err().to_string();
        let default = PositionHistogramConfig::default();
        assert!(refusal(&default, &bytes).contains("looks at facts of packets"));
        let pooled = PositionHistogramConfig { per_service: false, ..default };
        assert!(refusal(&pooled, &Samples::of_numbers(vec![0.0; 4], 4)).contains("looks at bytes"));
        assert!(refusal(&pooled, &Samples::of_bytes(Vec::new(), 4)).contains("looks at rows"));
        let with_facts = pooled.fit(&bytes.clone().with_facts(vec![packet(1, 2, 3, 4)])).unwrap();
        assert!(with_facts.score(&bytes).is_err());
    }
}
