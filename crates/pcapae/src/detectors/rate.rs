//! How many packets come in a second and in ten: of one kind between two hosts, and from one host.

use std::num::NonZeroUsize;

use lru::LruCache;
use serde::{Deserialize, Serialize};

use super::signal::{Margin, SignalSink, UnknownCell, scores};
use super::token::token;
use super::{Aspect, Detector, PacketRow, Samples, Scorer, Signal, SignalStream};
use crate::Result;
use crate::error::Fault;
use crate::named_arrays::NamedArrays;

const NAME: &str = "Rate";

/// Most kinds of packets, and most hosts, whose rate is counted at a time; those quiet for longest are forgotten.
pub const RATES_REMEMBERED: usize = 65_536;

/// Parts of a window: a rate is exact to a tenth of its window.
const PARTS: usize = 10;

const fn aspect(name: &'static str, title: &'static str, sentence: &'static str) -> Aspect {
    Aspect {
        name,
        title,
        sentence,
        rank: Aspect::UNUSUAL,
        margin: Margin::Gumbel(1.0),
        unknown_cell: UnknownCell::Highest,
    }
}

const ASPECTS: [Aspect; 3] = [
    aspect(
        "packets-1s",
        "more packets in a second than ever",
        "{from} → {to} {protocol}: {times} as many packets of one length in a second as ever before",
    ),
    aspect(
        "packets-10s",
        "more packets in 10 s than ever",
        "{from} → {to} {protocol}: {times} as many packets of one length in 10 s as ever before",
    ),
    aspect(
        "host-10s",
        "a host that sends more than any",
        "{from} sends {times} as many packets in 10 s as any host before",
    ),
];

/// It has no parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateConfig {}

/// The binary logarithm of how many packets of the same service, hosts, direction and length came in the last second and in the last ten, this one
/// included; and of how many the sender sent in the last ten.
///
/// There is nothing to fit: what normal rates are, calibration says. Windows are counted in tenths.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    config: RateConfig,
}

impl RateConfig {
    /// There is nothing to refuse.
    pub fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Refuses samples that are no packets.
    pub fn fit(&self, samples: &Samples) -> Result<Rate> {
        samples.packets(NAME).map(|_| Rate { config: self.clone() })
    }
}

impl Rate {
    /// What it was fitted with.
    pub fn config(&self) -> &RateConfig {
        &self.config
    }

    /// A detector; it has no arrays.
    pub fn from_arrays(config: &RateConfig, _width: usize, _arrays: &NamedArrays) -> Result<Rate, Fault> {
        Ok(Rate { config: config.clone() })
    }
}

impl Detector for Rate {
    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        scores(&mut RateStream::new(), |_| true, NAME, samples)
    }

    fn scorer(&self) -> Scorer<'_> {
        let mut stream = RateStream::new();
        Box::new(move |samples| scores(&mut stream, |_| true, NAME, samples))
    }

    fn numbers(&self) -> NamedArrays {
        NamedArrays::default()
    }

    fn aspects(&self) -> &'static [Aspect] {
        &ASPECTS
    }

    /// There is nothing to add.
    fn fit_further(&self, samples: &Samples) -> Result<Option<Box<dyn Detector>>> {
        Ok(Some(Box::new(self.config.fit(samples)?)))
    }

    fn signals(&self) -> Option<Box<dyn SignalStream + '_>> {
        Some(Box::new(RateStream::new()))
    }
}

/// Packets in the last parts of a window that slides with time.
#[derive(Debug, Clone, Copy)]
struct Window<const PART_NS: i64> {
    part: i64,
    counts: [u32; PARTS],
}

impl<const PART_NS: i64> Window<PART_NS> {
    const EMPTY: Window<PART_NS> = Window { part: i64::MIN, counts: [0; PARTS] };

    /// Counts one more packet, and gives all of the window. Time that runs backwards a little stands still; by more than a
    /// window, it begins anew.
    fn add(&mut self, time_ns: i64) -> u32 {
        let now = time_ns.div_euclid(PART_NS);
        if self.part.saturating_sub(now) >= PARTS as i64 {
            *self = Window { part: now, counts: [0; PARTS] };
        }
        let part = now.max(self.part);
        let passed = part.saturating_sub(self.part).min(PARTS as i64);
        for at in 1..=passed {
            self.counts[(part - passed + at).rem_euclid(PARTS as i64) as usize] = 0;
        }
        self.part = part;
        let own = &mut self.counts[part.rem_euclid(PARTS as i64) as usize];
        *own = own.saturating_add(1);
        self.counts.iter().fold(0, |sum: u32, count| sum.saturating_add(*count))
    }
}

type Second = Window<100_000_000>;
type TenSeconds = Window<1_000_000_000>;

struct RateStream {
    /// By service, hosts, direction and length.
    kinds: LruCache<u64, (Second, TenSeconds)>,
    senders: LruCache<u64, TenSeconds>,
}

impl RateStream {
    fn new() -> RateStream {
        let remembered = NonZeroUsize::new(RATES_REMEMBERED).unwrap_or(NonZeroUsize::MIN);
        RateStream { kinds: LruCache::new(remembered), senders: LruCache::new(remembered) }
    }
}

impl SignalStream for RateStream {
    fn packet(&mut self, packet: PacketRow<'_>, _held_out: Option<u32>, sink: &mut SignalSink<'_>) {
        let (tokens, time_ns) = (packet.tokens, packet.facts.time_ns);
        let key = token(80, [tokens.one_way, tokens.length]);
        let (second, ten_seconds) = self.kinds.get_or_insert_mut(key, || (Second::EMPTY, TenSeconds::EMPTY));
        let of_kind = [second.add(time_ns), ten_seconds.add(time_ns)];
        let of_sender = self.senders.get_or_insert_mut(tokens.sender, || TenSeconds::EMPTY).add(time_ns);
        let mut signal = |aspect, cell, count: u32, cause| {
            sink(Signal { aspect, cell, score: f64::from(count).log2() as f32, cause });
        };
        signal(0, tokens.group, of_kind[0], tokens.conversation);
        signal(1, tokens.group, of_kind[1], tokens.conversation);
        signal(2, 0, of_sender, tokens.sender);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::headers::fixtures::packet;
    use crate::capture::headers::{Endpoint, PacketFacts};
    use crate::detectors::fixtures::{samples, signals};
    use proptest::prelude::*;

    /// Of each packet, those of its key in its window: tenths of it, the present one and nine before; time that runs backwards stands still, or by more than the window
    /// begins anew.
    fn counts<K: PartialEq>(packets: &[PacketFacts], key: impl Fn(&PacketFacts) -> K, part_ns: i64) -> Vec<f32> {
        let mut parts: Vec<(K, i64)> = Vec::new();
        let count = |facts: &PacketFacts| {
            let of_key = |parts: &[(K, i64)]| {
                parts.iter().filter(|other| other.0 == key(facts)).map(|other| other.1).collect::<Vec<_>>()
            };
            let now = facts.time_ns.div_euclid(part_ns);
            if of_key(&parts).into_iter().max().is_some_and(|latest| latest - now >= 10) {
                parts.retain(|other| other.0 != key(facts));
            }
            let part = of_key(&parts).into_iter().fold(now, i64::max);
            parts.push((key(facts), part));
            (of_key(&parts).iter().filter(|other| **other > part - 10).count() as f64).log2() as f32
        };
        packets.iter().map(count).collect()
    }

    proptest! {
        #[test]
        fn windows_hold_what_counting_in_tenths_gives(
            drawn in prop::collection::vec((1u8..3, 1u8..3, 60u32..62, prop_oneof![-200_000_000i64..900_000_000, 0i64..6_000_000_000]), 1..80),
            start in prop_oneof![Just(0), Just(-3_000_000_000i64), Just(1_700_000_000_000_000_000)],
        ) {
            let mut time_ns = start;
            let packets: Vec<PacketFacts> = drawn.into_iter().map(|(a, b, length, later)| {
                time_ns += later;
                PacketFacts { time_ns, ..packet(a, b, 502, length) }
            }).collect();
            let rate = RateConfig::default().fit(&samples(&packets)).unwrap();
            let again = Rate::from_arrays(rate.config(), 4, &rate.numbers()).unwrap();
            let kind = |facts: &PacketFacts| (facts.source, facts.destination, facts.wire_length);
            let expected = [
                counts(&packets, kind, 100_000_000),
                counts(&packets, kind, 1_000_000_000),
                counts(&packets, |facts| facts.source, 1_000_000_000),
            ];
            for (row, found) in signals(&again, &samples(&packets), 0.0, Some).iter().enumerate() {
                let found: Vec<(u8, f32)> = found.iter().map(|signal| (signal.aspect, signal.score)).collect();
                prop_assert_eq!(found, [0, 1, 2].map(|aspect| (aspect as u8, expected[aspect][row])));
            }
        }
    }

    #[test]
    fn extreme_times_do_no_harm_and_what_is_remembered_is_bounded() {
        let mut stream = RateStream::new();
        let mut see = |facts: &PacketFacts| stream.packet(PacketRow::new(facts, &[]), None, &mut |_| 0.0);
        for time_ns in [0, i64::MAX, i64::MIN, -1, i64::MAX] {
            see(&PacketFacts { time_ns, ..packet(1, 2, 502, 60) });
        }
        for i in 0..RATES_REMEMBERED + 3000 {
            let [.., a, b, c] = i.to_be_bytes();
            let source = Endpoint::Ip(std::net::Ipv4Addr::new(11, a, b, c).into(), Some(40_000));
            see(&PacketFacts { source, ..packet(1, 2, 502, 60) });
        }
        assert_eq!((stream.kinds.len(), stream.senders.len()), (RATES_REMEMBERED, RATES_REMEMBERED));
    }
}
