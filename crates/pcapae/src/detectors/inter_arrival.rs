//! How unusual the time since the packet before is: a histogram of gaps.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use lru::LruCache;
use serde::{Deserialize, Serialize};

use super::{Detector, Samples, Scorer, fact_numbers};
use crate::capture::headers::{Connection, Direction, PacketFacts, Service};
use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;
use crate::{Error, Result};

const NAME: &str = "inter-arrival time";

/// Octaves of the histogram, from 1 µs: the last bin takes all gaps from 2³⁶ µs, about 19 hours.
const OCTAVES: usize = 36;

/// Most connections whose last packet is remembered; those silent for longest are forgotten.
pub const GAPS_REMEMBERED: usize = 65_536;

/// Which packet is the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Before {
    /// The last of the same connection and direction.
    Connection,
    /// The last of the same service and direction, whoever sent it.
    Service,
}

/// Which gaps are counted, and how finely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InterArrivalConfig {
    /// Which packet is the one before. Default that of the connection.
    pub before: Before,
    /// Bins per doubling of the gap, 1 to 16. Default 2.
    pub bins_per_octave: usize,
}

impl Default for InterArrivalConfig {
    fn default() -> Self {
        InterArrivalConfig { before: Before::Connection, bins_per_octave: 2 }
    }
}

/// −ln of the smoothed frequency of the gap to the packet before, in nats, by service and direction.
///
/// Gaps are counted in bins of equal width in log₂(1 + gap in µs), so that a packet which comes too soon is as visible as one which
/// comes too late; *none before* is a bin of its own. p = (c + 1) / (n + b): c of the n packets of the service and direction
/// fell into the same of b bins. A service and direction never seen scores ln(N + b) with N all packets: no packet scores higher.
///
/// Causal: a packet is judged by what came before it. At the beginning of samples nothing came before; [`GapClock`] carries on.
///
/// # Source
/// Laplace's rule of succession on a histogram. Inter-arrival times as a feature: Kitsune (Mirsky, Doitshman, Elovici, Shabtai, NDSS
/// 2018), which keeps damped moments of them instead.
#[derive(Debug, Clone, PartialEq)]
pub struct InterArrival {
    config: InterArrivalConfig,
    packets: usize,
    histograms: BTreeMap<(Service, Direction), Histogram>,
}

#[derive(Debug, Clone, PartialEq)]
struct Histogram {
    counts: Vec<usize>,
    packets: usize,
}

/// When the last packet of each connection came, while packets come in.
#[derive(Debug)]
pub struct GapClock {
    before: Before,
    last_ns: LruCache<(Service, Direction, Option<Connection>), i64>,
}

impl InterArrivalConfig {
    /// Refuses a number of bins that is out of range.
    pub fn check(&self) -> Result<()> {
        if (1..=16).contains(&self.bins_per_octave) {
            return Ok(());
        }
        Err(Error::Setting {
            setting: "bins per octave",
            got: self.bins_per_octave.to_string(),
            expected: "1 to 16".into(),
            remedy: None,
        })
    }

    /// Counts the gaps between `samples`, whose facts it looks at.
    pub fn fit(&self, samples: &Samples) -> Result<InterArrival> {
        self.check()?;
        let facts = facts(samples)?;
        let mut clock = self.clock();
        let mut histograms: BTreeMap<(Service, Direction), Histogram> = BTreeMap::new();
        for facts in facts {
            let bin = self.bin(clock.tick(facts));
            let histogram = histograms
                .entry((facts.service, facts.direction))
                .or_insert_with(|| Histogram { counts: vec![0; self.bins()], packets: 0 });
            histogram.counts[bin] += 1;
            histogram.packets += 1;
        }
        Ok(InterArrival { config: self.clone(), packets: facts.len(), histograms })
    }

    /// A clock before the first packet.
    fn clock(&self) -> GapClock {
        let remembered = NonZeroUsize::new(GAPS_REMEMBERED).unwrap_or(NonZeroUsize::MIN);
        GapClock { before: self.before, last_ns: LruCache::new(remembered) }
    }

    /// Bins of gaps, and one for *none before*.
    fn bins(&self) -> usize {
        OCTAVES * self.bins_per_octave + 2
    }

    /// The bin of a gap in nanoseconds; time that runs backwards is no gap at all.
    fn bin(&self, gap_ns: Option<i64>) -> usize {
        let Some(gap_ns) = gap_ns else { return self.bins() - 1 };
        let octaves = (gap_ns.max(0) as f64 / 1000.0).ln_1p() / std::f64::consts::LN_2;
        ((octaves * self.bins_per_octave as f64) as usize).min(self.bins() - 2)
    }
}

impl GapClock {
    /// The time since the packet before, in nanoseconds, negative where time runs backwards; `None` if there was none before.
    fn tick(&mut self, facts: &PacketFacts) -> Option<i64> {
        let connection = match self.before {
            Before::Connection => Some(facts.connection()),
            Before::Service => None,
        };
        let last = self.last_ns.put((facts.service, facts.direction, connection), facts.time_ns);
        last.map(|last| facts.time_ns.saturating_sub(last))
    }
}

fn facts(samples: &Samples) -> Result<&[PacketFacts]> {
    samples.facts().ok_or(Error::Lacking { detector: NAME, lacking: "facts of packets" })
}

impl InterArrival {
    /// What it was fitted with.
    pub fn config(&self) -> &InterArrivalConfig {
        &self.config
    }

    /// A clock with which samples that follow each other are scored as if they were one.
    pub fn clock(&self) -> GapClock {
        self.config.clock()
    }

    /// The score of each row, which follow those that `clock` has seen.
    pub fn score_after(&self, clock: &mut GapClock, samples: &Samples) -> Result<Vec<f64>> {
        let score = |facts: &PacketFacts| {
            let bin = self.config.bin(clock.tick(facts));
            match self.histograms.get(&(facts.service, facts.direction)) {
                Some(of_service) => {
                    let all = (of_service.packets + self.config.bins()) as f64;
                    all.ln() - ((of_service.counts[bin] + 1) as f64).ln()
                }
                None => ((self.packets + self.config.bins()) as f64).ln(),
            }
        };
        Ok(facts(samples)?.iter().map(score).collect())
    }

    /// A detector from its parameters and numbers; says in a few words what is wrong with them. The width of rows does not matter to it.
    pub fn from_arrays(
        config: &InterArrivalConfig,
        _width: usize,
        numbers: &NamedArrays,
    ) -> Result<InterArrival, Fault> {
        config.check()?;
        let services = numbers.get("services", &[None, Some(4)])?;
        let counts = numbers.get("counts", &[Some(services.shape[0]), Some(config.bins())])?;
        let (mut histograms, mut packets) = (BTreeMap::new(), 0);
        for (service, counts) in services.values.chunks_exact(4).zip(counts.values.chunks_exact(config.bins())) {
            let counts: Vec<usize> =
                counts.iter().map(|&count| fact_numbers::whole(count, 1 << 40)).collect::<Result<_, _>>()?;
            let of_service: usize = counts.iter().sum();
            packets += of_service;
            if histograms.insert(fact_numbers::service(service)?, Histogram { counts, packets: of_service }).is_some() {
                return Err(Place::Array("services".into()).found("a service and direction twice", "each once"));
            }
        }
        Ok(InterArrival { config: config.clone(), packets, histograms })
    }
}

impl Detector for InterArrival {
    fn scorer(&self) -> Scorer<'_> {
        let mut clock = self.clock();
        Box::new(move |samples| self.score_after(&mut clock, samples))
    }

    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        self.score_after(&mut self.clock(), samples)
    }

    fn numbers(&self) -> NamedArrays {
        let mut numbers = NamedArrays::default();
        let services = self.histograms.keys().flat_map(fact_numbers::of_service).collect();
        numbers.put_shaped("services", &[self.histograms.len(), 4], services);
        let counts = self.histograms.values().flat_map(|histogram| &histogram.counts).map(|&count| count as f64);
        numbers.put_shaped("counts", &[self.histograms.len(), self.config.bins()], counts.collect());
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::headers::fixtures::packet;
    use crate::detectors::fixtures::samples;
    use proptest::prelude::*;

    const MS: i64 = 1_000_000;

    fn at(time_ms: i64, source: u8) -> PacketFacts {
        PacketFacts { time_ns: time_ms * MS, ..packet(source, 2, 502, 60) }
    }

    #[test]
    fn what_comes_too_soon_or_too_late_is_unusual_and_the_connection_decides() {
        let regular: Vec<PacketFacts> = (0..200).flat_map(|i| [at(1000 * i, 1), at(1000 * i + 1, 9)]).collect();
        let fitted = InterArrivalConfig::default().fit(&samples(&regular)).unwrap();
        let new = [at(0, 1), at(1000, 1), at(1001, 9), at(1002, 1), at(2001, 9), at(60_000, 1)];
        let scores = fitted.score(&samples(&new)).unwrap();
        let ln = |count: f64| 474f64.ln() - count.ln();
        // First of its connection twice in 400; 398 gaps of a second.
        let expected = [ln(3.0), ln(399.0), ln(3.0), ln(1.0), ln(399.0), ln(1.0)];
        assert!(scores.iter().zip(expected).all(|(got, wanted)| (got - wanted).abs() < 1e-12), "{scores:?}");
        let stranger = fitted.score(&samples(&[packet(1, 2, 80, 60)])).unwrap();
        assert!(stranger[0] >= ln(1.0));

        let of_service = InterArrivalConfig { before: Before::Service, ..InterArrivalConfig::default() };
        let scores = of_service.fit(&samples(&regular)).unwrap().score(&samples(&new)).unwrap();
        assert!(scores[2] < scores[4] && scores[2] < 1.0, "{scores:?}");
    }

    #[test]
    fn samples_in_pieces_are_scored_as_one() {
        let all: Vec<PacketFacts> = (0..50).map(|i| at(i * i, (i % 3) as u8)).collect();
        let fitted = InterArrivalConfig::default().fit(&samples(&all)).unwrap();
        let mut clock = fitted.clock();
        let mut pieces = fitted.score_after(&mut clock, &samples(&all[..20])).unwrap();
        pieces.extend(fitted.score_after(&mut clock, &samples(&all[20..])).unwrap());
        assert_eq!(pieces, fitted.score(&samples(&all)).unwrap());
    }

    #[test]
    fn every_gap_has_a_bin() {
        let config = InterArrivalConfig::default();
        let bins = [Some(i64::MIN), Some(0), Some(999), Some(1000), Some(3000), Some(i64::MAX), None];
        assert_eq!(bins.map(|gap| config.bin(gap)), [0, 0, 1, 2, 4, 72, 73]);
        assert!(InterArrivalConfig { bins_per_octave: 17, ..config }.check().is_err());
    }

    proptest! {
        #[test]
        fn scores_are_what_counting_gives_and_survive_their_numbers(
            packets in prop::collection::vec((0i64..5000, 1u8..4, 0u16..3), 1..60),
        ) {
            let mut now = 0;
            let facts: Vec<PacketFacts> = packets.iter().map(|&(gap, source, port)| {
                now += gap;
                PacketFacts { time_ns: now * MS, ..packet(source, 2, port, 60) }
            }).collect();
            let config = InterArrivalConfig::default();
            let fitted = config.fit(&samples(&facts)).unwrap();
            let scores = fitted.score(&samples(&facts)).unwrap();
            let bin = |i: usize| {
                let before = facts[..i].iter().rev().find(|other| other.connection() == facts[i].connection());
                config.bin(before.map(|before| facts[i].time_ns - before.time_ns))
            };
            for i in 0..facts.len() {
                let same: Vec<usize> = (0..facts.len()).filter(|&j| facts[j].service == facts[i].service).collect();
                let count = same.iter().filter(|&&j| bin(j) == bin(i)).count();
                let p = (count as f64 + 1.0) / (same.len() + config.bins()) as f64;
                prop_assert!((scores[i] + p.ln()).abs() < 1e-12);
            }
            let again = InterArrival::from_arrays(&config, 4, &fitted.numbers()).unwrap();
            prop_assert_eq!(again.score(&samples(&facts)).unwrap(), scores);
        }
    }
}
