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
    Aspect { name, title, sentence, margin: Margin::Gumbel(1.0), unknown_cell: UnknownCell::Highest }
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
    fn add_former(&mut self, _former: &dyn Detector) -> bool {
        true
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

    /// Counts one more packet, and gives all of the window. Time that runs backwards stands still.
    fn add(&mut self, time_ns: i64) -> u32 {
        let part = time_ns.div_euclid(PART_NS).max(self.part);
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
