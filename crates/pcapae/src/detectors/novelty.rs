//! What was never seen in normal traffic: addresses, services, who talks to whom, lengths and flags.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use lru::LruCache;
use serde::{Deserialize, Serialize};

use super::signal::{Margin, SignalSink, UnknownCell, scores};
use super::token::{TokenMap, Tokens, get_tokens, hardware, host, put_tokens, token};
use super::{Aspect, Detector, PacketRow, Samples, Scorer, Signal, SignalStream, fact_numbers};
use crate::capture::headers::{Direction, Endpoint, PacketFacts};
use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;
use crate::{Error, Result};

const NAME: &str = "Novelty";

/// Most senders whose new things are counted at a time; those quiet for longest are forgotten.
pub const SENDERS_REMEMBERED: usize = 16_384;

/// Most new things of one kind and sender that are told apart; more count as this many.
pub const NEW_COUNTED: usize = 64;

/// The bit of traffic that was learned before, which nothing holds out.
const FORMER: u32 = 1 << 31;

/// Most hosts whose hardware address is kept.
const HOSTS_KEPT: usize = 65_536;

/// What can be new, in the order in which it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoveltyKind {
    /// An IP address that sends.
    Address,
    /// A service.
    Service,
    /// An IP address with this hardware address.
    Binding,
    /// An ARP operation, and whether the sender is who it says it is.
    Arp,
    /// A host that serves a service.
    Server,
    /// Two hosts that speak a service.
    Pair,
    /// A hardware address that sends.
    SourceHardware,
    /// A hardware address that is sent to.
    DestinationHardware,
    /// A length, of a service and direction.
    Length,
    /// A length, between two hosts.
    PairLength,
    /// TCP flags, with or without a payload.
    Flags,
}

impl NoveltyKind {
    /// All kinds.
    pub const ALL: [NoveltyKind; 11] = [
        NoveltyKind::Address,
        NoveltyKind::Service,
        NoveltyKind::Binding,
        NoveltyKind::Arp,
        NoveltyKind::Server,
        NoveltyKind::Pair,
        NoveltyKind::SourceHardware,
        NoveltyKind::DestinationHardware,
        NoveltyKind::Length,
        NoveltyKind::PairLength,
        NoveltyKind::Flags,
    ];
}

const fn aspect(rank: u8, name: &'static str, title: &'static str, sentence: &'static str) -> Aspect {
    // Where nothing new was ever seen, the first new thing is one.
    Aspect { name, title, sentence, rank, margin: Margin::SecondHighest, unknown_cell: UnknownCell::Highest }
}

/// In the order of [`NoveltyKind::ALL`], in which they are told where several are new at once.
const ASPECTS: [Aspect; 11] = [
    aspect(0, "address", "address never seen", "{from}, never seen, speaks {protocol} to {to}"),
    aspect(1, "service", "service never seen", "{from} → {to}: a service never seen, {service}"),
    aspect(
        2,
        "binding",
        "new hardware address of a known host",
        "{from} has a new hardware address ({link}{whose}, was {was})",
    ),
    aspect(3, "arp", "ARP of a kind never seen", "{from} sends ARP of a kind never seen, about {to}"),
    aspect(4, "server", "new server", "{server} serves {protocol}, which it never did"),
    aspect(5, "pair", "hosts that never spoke so", "{from} speaks {protocol} to {to}, which it never did"),
    aspect(
        6,
        "source-hardware",
        "hardware address never seen",
        "{from} sends from the hardware address {link}, never seen",
    ),
    aspect(
        7,
        "destination-hardware",
        "hardware address never sent to",
        "{from} sends {protocol} to the hardware address {to-link}, never seen",
    ),
    aspect(8, "length", "length never seen", "{from} → {to} {protocol}: a length never seen, {length} bytes"),
    aspect(
        9,
        "pair-length",
        "length never seen between hosts",
        "{from} → {to} {protocol}: a length never seen between them, {length} bytes",
    ),
    aspect(10, "flags", "TCP flags never seen", "{from} → {to} {protocol}: TCP flags never seen there"),
];

/// Which kinds count, and how long new things of one sender add up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoveltyConfig {
    /// Which kinds. Default all.
    pub kinds: Vec<NoveltyKind>,
    /// For how many seconds different new things of one kind and sender add up: above 0, at most 3,600. Default 10.
    pub window_seconds: f64,
}

impl Default for NoveltyConfig {
    fn default() -> Self {
        NoveltyConfig { kinds: NoveltyKind::ALL.to_vec(), window_seconds: 10.0 }
    }
}

impl NoveltyConfig {
    /// Refuses no kinds at all, and a window out of range.
    pub fn check(&self) -> Result<()> {
        let refuse = |setting, got: String, expected: &str| {
            Err(Error::Setting { setting, got, expected: expected.into(), remedy: None })
        };
        if self.kinds.is_empty() {
            return refuse("kinds", "none".into(), "one or more kinds of novelty");
        }
        match self.window_seconds > 0.0 && self.window_seconds <= 3600.0 {
            true => Ok(()),
            false => refuse("window_seconds", self.window_seconds.to_string(), "above 0, at most 3600"),
        }
    }

    /// Remembers all that is there in `samples`, whose facts it looks at.
    pub fn fit(&self, samples: &Samples) -> Result<Novelty> {
        self.check()?;
        let mut novelty = Novelty {
            config: self.clone(),
            seen: TokenMap::default(),
            hardware_of: BTreeMap::new(),
            host_of: BTreeMap::new(),
        };
        for (row, block) in samples.packets(NAME)? {
            things(row.facts, &row.tokens, &mut |thing| {
                *novelty.seen.entry(thing.token).or_default() |= 1_u32 << block;
            });
            if let (host @ Endpoint::Ip(..), Some(hardware)) = bound(row.facts)
                && (novelty.hardware_of.len() < HOSTS_KEPT || novelty.hardware_of.contains_key(&host))
            {
                novelty.hardware_of.insert(host, hardware);
            }
        }
        novelty.host_of = hosts_of(&novelty.hardware_of);
        Ok(novelty)
    }
}

/// What of a packet is new: how many different things, of one kind and one sender, in the last ten seconds.
///
/// A thing is new if it was never seen in normal traffic. The score of a packet with something new is the number of different new things of that
/// kind (in that cell: the service, or service and direction, where there is one) which its sender has shown in
/// [`window_seconds`](NoveltyConfig::window_seconds); else 0. Of a service that was never seen only that is told.
///
/// # Source
/// First-seen rules, as in Zeek's `known-hosts`, and host-based profiles of IP addresses and services, Tartakovsky and others and the
/// survey of Garcia-Teodoro and others, *Anomaly-based network intrusion detection*, Computers & Security 2009.
#[derive(Debug, Clone, PartialEq)]
pub struct Novelty {
    config: NoveltyConfig,
    /// In which blocks each thing was seen, a bit each.
    seen: TokenMap<u32>,
    /// The hardware address that each host had last.
    hardware_of: BTreeMap<Endpoint, [u8; 6]>,
    /// The first host of each hardware address.
    host_of: BTreeMap<[u8; 6], Endpoint>,
}

/// The first host of each hardware address.
fn hosts_of(hardware_of: &BTreeMap<Endpoint, [u8; 6]>) -> BTreeMap<[u8; 6], Endpoint> {
    hardware_of.iter().rev().map(|(host, address)| (*address, *host)).collect()
}

/// One thing about a packet that may be new.
struct Thing {
    kind: NoveltyKind,
    token: u64,
    cell: u64,
}

/// The sender with its hardware address; of ARP, those that it claims.
fn bound(facts: &PacketFacts) -> (Endpoint, Option<[u8; 6]>) {
    match facts.arp {
        Some(arp) => (arp.sender, Some(arp.sender_hardware)),
        None => (facts.sender(), facts.link_source),
    }
}

/// All things about a packet that may be new.
fn things(facts: &PacketFacts, tokens: &Tokens, found: &mut dyn FnMut(Thing)) {
    let mut add = |kind: NoveltyKind, cell: u64, parts: [u64; 5]| {
        found(Thing { kind, token: token(32 + kind as u8, parts), cell });
    };
    if let Some(address) = facts.link_source {
        add(NoveltyKind::SourceHardware, 0, [hardware(address), 0, 0, 0, 0]);
    }
    if let Some(address) = facts.link_destination {
        add(NoveltyKind::DestinationHardware, 0, [hardware(address), 0, 0, 0, 0]);
    }
    if let Endpoint::Ip(address, _) = facts.sender()
        && !address.is_unspecified()
    {
        add(NoveltyKind::Address, 0, [tokens.sender, 0, 0, 0, 0]);
        if let (sender, Some(address)) = bound(facts) {
            add(NoveltyKind::Binding, 0, [host(sender), hardware(address), 0, 0, 0]);
        }
    }
    if let Some(arp) = facts.arp {
        let own = u64::from(facts.link_source == Some(arp.sender_hardware));
        add(NoveltyKind::Arp, 0, [own, u64::from(arp.operation > 2), 0, 0, 0]);
    }
    let Tokens { service, group, sender, receiver, one_way, length, .. } = *tokens;
    add(NoveltyKind::Service, 0, [service, 0, 0, 0, 0]);
    if facts.service.port > 0 {
        let server = if facts.direction == Direction::ToService { receiver } else { sender };
        add(NoveltyKind::Server, service, [service, server, 0, 0, 0]);
    }
    add(NoveltyKind::Pair, service, [service, sender, receiver, 0, 0]);
    add(NoveltyKind::Length, group, [group, length, 0, 0, 0]);
    add(NoveltyKind::PairLength, group, [one_way, length, 0, 0, 0]);
    if let Some(flags) = facts.tcp_flags {
        add(NoveltyKind::Flags, group, [group, u64::from(flags), u64::from(facts.has_payload), 0, 0]);
    }
}

impl Novelty {
    /// What it was fitted with.
    pub fn config(&self) -> &NoveltyConfig {
        &self.config
    }

    fn is_new(&self, token: u64, held_out: Option<u32>) -> bool {
        match (self.seen.get(&token), held_out) {
            (None, _) => true,
            (Some(blocks), Some(held_out)) => blocks & !(1 << held_out) == 0,
            (Some(_), None) => false,
        }
    }

    /// A detector from its parameters and arrays; says in a few words what is wrong with them. The width of rows does not matter to it.
    pub fn from_arrays(config: &NoveltyConfig, _width: usize, arrays: &NamedArrays) -> Result<Novelty, Fault> {
        config.check()?;
        let seen = get_tokens(arrays, "tokens")?.into_iter().map(|token| (token, 1)).collect();
        let hosts = arrays.get("hosts", &[None, Some(6)])?;
        let binding = |row: &[f64]| {
            let address = fact_numbers::whole(row[5], 1 << 48)?.to_be_bytes();
            Ok((fact_numbers::host(&row[..5])?, [2, 3, 4, 5, 6, 7].map(|at| address[at])))
        };
        let hardware_of: Result<BTreeMap<_, _>, Fault> = hosts.values.chunks_exact(6).map(binding).collect();
        let hardware_of = hardware_of.map_err(|fault| fault.within(Place::Array("hosts".into())))?;
        let host_of = hosts_of(&hardware_of);
        Ok(Novelty { config: config.clone(), seen, hardware_of, host_of })
    }
}

impl Detector for Novelty {
    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        scores(&mut NoveltyStream::new(self), |_| true, NAME, samples)
    }

    fn scorer(&self) -> Scorer<'_> {
        let mut stream = NoveltyStream::new(self);
        Box::new(move |samples| scores(&mut stream, |_| true, NAME, samples))
    }

    fn numbers(&self) -> NamedArrays {
        let mut tokens: Vec<u64> = self.seen.keys().copied().collect();
        tokens.sort_unstable();
        let hosts = self.hardware_of.iter();
        let hosts: Vec<f64> = hosts
            .flat_map(|(host, address)| fact_numbers::of_host(*host).into_iter().chain([hardware(*address) as f64]))
            .collect();
        let mut arrays = NamedArrays::default();
        put_tokens(&mut arrays, "tokens", tokens.into_iter());
        arrays.put_shaped("hosts", &[self.hardware_of.len(), 6], hosts);
        arrays
    }

    fn aspects(&self) -> &'static [Aspect] {
        &ASPECTS
    }

    fn signals(&self) -> Option<Box<dyn SignalStream + '_>> {
        Some(Box::new(NoveltyStream::new(self)))
    }

    fn fit_further(&self, samples: &Samples) -> Result<Option<Box<dyn Detector>>> {
        let mut all = self.config.fit(samples)?;
        self.seen.keys().for_each(|token| *all.seen.entry(*token).or_default() |= FORMER);
        for (host, address) in &self.hardware_of {
            if all.hardware_of.len() < HOSTS_KEPT {
                all.hardware_of.entry(*host).or_insert(*address);
            }
        }
        all.host_of = hosts_of(&all.hardware_of);
        Ok(Some(Box::new(all)))
    }

    fn hardware_of(&self, host: Endpoint) -> Option<[u8; 6]> {
        self.hardware_of.get(&host).copied()
    }

    fn host_of(&self, hardware: [u8; 6]) -> Option<Endpoint> {
        self.host_of.get(&hardware).copied()
    }
}

/// New things of one kind and sender, each with the time it was last seen.
type Recent = Vec<(u64, i64)>;

struct NoveltyStream<'a> {
    novelty: &'a Novelty,
    window_ns: i64,
    /// By kind, cell and sender.
    recent: LruCache<u64, Recent>,
}

impl NoveltyStream<'_> {
    fn new(novelty: &Novelty) -> NoveltyStream<'_> {
        let window_ns = (novelty.config.window_seconds * 1e9) as i64;
        let remembered = NonZeroUsize::new(SENDERS_REMEMBERED).unwrap_or(NonZeroUsize::MIN);
        NoveltyStream { novelty, window_ns, recent: LruCache::new(remembered) }
    }

    /// How many different new things of this kind the sender has shown lately, this one included.
    fn count(&mut self, thing: &Thing, sender: u64, time_ns: i64) -> usize {
        let key = token(48 + thing.kind as u8, [thing.cell, sender]);
        let recent = self.recent.get_or_insert_mut(key, Recent::new);
        let window_ns = self.window_ns;
        recent.retain(|(_, last_ns)| time_ns.abs_diff(*last_ns) <= window_ns.unsigned_abs());
        match recent.iter_mut().find(|(token, _)| *token == thing.token) {
            Some((_, last_ns)) => *last_ns = time_ns,
            None => recent.push((thing.token, time_ns)),
        }
        let count = recent.len();
        recent.truncate(NEW_COUNTED);
        count.min(NEW_COUNTED)
    }
}

impl SignalStream for NoveltyStream<'_> {
    fn packet(&mut self, packet: PacketRow<'_>, held_out: Option<u32>, sink: &mut SignalSink<'_>) {
        let tokens = packet.tokens;
        let mut new: Vec<Thing> = Vec::new();
        things(packet.facts, &tokens, &mut |thing| {
            if self.novelty.is_new(thing.token, held_out) {
                new.push(thing);
            }
        });
        new.retain(|thing| self.novelty.config.kinds.contains(&thing.kind));
        if new.iter().any(|thing| thing.kind == NoveltyKind::Service) {
            new.retain(|thing| thing.kind == NoveltyKind::Service);
        }
        new.sort_unstable_by_key(|thing| thing.kind);
        for thing in new {
            let score = self.count(&thing, tokens.sender, packet.facts.time_ns) as f32;
            sink(Signal { aspect: thing.kind as u8, cell: thing.cell, score, cause: thing.token });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::headers::fixtures::packet;
    use crate::detectors::Blocks;
    use crate::detectors::fixtures::{samples, signals, traffic};
    use proptest::prelude::*;

    /// Kind, cell and what it is of all things about a packet, in words.
    fn told(facts: &PacketFacts) -> Vec<(NoveltyKind, String, String)> {
        let PacketFacts { service, direction, wire_length, .. } = facts;
        let (from, to) = (facts.sender(), facts.receiver());
        // Without ports, the direction is that of addresses.
        let group =
            if service.port > 0 { format!("{service:?} {direction:?}") } else { format!("{service:?} {}", from < to) };
        let mut told = Vec::new();
        let mut tell = |kind, cell: &str, what: String| told.push((kind, cell.to_owned(), what));
        tell(NoveltyKind::SourceHardware, "", format!("{:?}", facts.link_source));
        tell(NoveltyKind::DestinationHardware, "", format!("{:?}", facts.link_destination));
        tell(NoveltyKind::Address, "", format!("{from:?}"));
        let hardware = facts.arp.map_or(facts.link_source, |arp| Some(arp.sender_hardware));
        tell(NoveltyKind::Binding, "", format!("{from:?} {hardware:?}"));
        if let Some(arp) = facts.arp {
            let own = facts.link_source == Some(arp.sender_hardware);
            tell(NoveltyKind::Arp, "", format!("{own} {}", arp.operation > 2));
        }
        tell(NoveltyKind::Service, "", format!("{service:?}"));
        let of_service = format!("{service:?}");
        if service.port > 0 {
            let server = if *direction == Direction::ToService { to } else { from };
            tell(NoveltyKind::Server, &of_service, format!("{server:?}"));
        }
        tell(NoveltyKind::Pair, &of_service, format!("{from:?} {to:?}"));
        tell(NoveltyKind::Length, &group, format!("{wire_length}"));
        tell(NoveltyKind::PairLength, &group, format!("{from:?} {to:?} {wire_length}"));
        if let Some(flags) = facts.tcp_flags {
            tell(NoveltyKind::Flags, &group, format!("{flags} {}", facts.has_payload));
        }
        told
    }

    /// The kinds of new things of each packet and how many of them lately, by looking through all that was seen.
    fn expected(seen: &[PacketFacts], new: &[PacketFacts]) -> Vec<Vec<(u8, f32)>> {
        let known: Vec<_> = seen.iter().flat_map(told).collect();
        let mut shown: Vec<(Endpoint, i64, (NoveltyKind, String, String))> = Vec::new();
        let mut expected = Vec::new();
        for facts in new {
            let mut things: Vec<_> = told(facts).into_iter().filter(|thing| !known.contains(thing)).collect();
            if things.iter().any(|thing| thing.0 == NoveltyKind::Service) {
                things.retain(|thing| thing.0 == NoveltyKind::Service);
            }
            things.sort();
            let scores = things.into_iter().map(|thing| {
                shown.push((facts.sender(), facts.time_ns, thing.clone()));
                let lately = shown.iter().filter(|(sender, time_ns, other)| {
                    *sender == facts.sender()
                        && facts.time_ns - time_ns <= 10_000_000_000
                        && (&other.0, &other.1) == (&thing.0, &thing.1)
                });
                let different: std::collections::BTreeSet<&String> = lately.map(|(_, _, other)| &other.2).collect();
                (thing.0 as u8, different.len() as f32)
            });
            expected.push(scores.collect());
        }
        expected
    }

    fn scored(found: Vec<Vec<Signal>>) -> Vec<Vec<(u8, f32)>> {
        found.iter().map(|signals| signals.iter().map(|signal| (signal.aspect, signal.score)).collect()).collect()
    }

    proptest! {
        #[test]
        fn new_is_what_is_not_among_all_that_was_seen(seen in traffic(0..30), new in traffic(1..40)) {
            let novelty = NoveltyConfig::default().fit(&samples(&seen)).unwrap();
            let again = Novelty::from_arrays(novelty.config(), 4, &novelty.numbers()).unwrap();
            for novelty in [novelty, again] {
                prop_assert_eq!(scored(signals(&novelty, &samples(&new), 0.0, |_| None)), expected(&seen, &new));
            }
        }

        #[test]
        fn a_block_that_is_held_out_was_not_seen(all in traffic(3..40), held_out in 0u32..3) {
            let novelty = NoveltyConfig::default().fit(&samples(&all).in_blocks(3)).unwrap();
            let packets = Blocks::new(all.len(), 3).packets(held_out);
            let others = [&all[..packets.start], &all[packets.end..]].concat();
            let block = &all[packets];
            let found = signals(&novelty, &samples(block), 0.0, |_| Some(held_out));
            prop_assert_eq!(scored(found), expected(&others, block));
        }
    }

    #[test]
    fn the_last_hardware_address_of_a_host_is_known_and_survives_the_file() {
        let moved = PacketFacts { link_source: Some([2, 0, 0, 0, 7, 7]), ..packet(1, 2, 502, 60) };
        let novelty = NoveltyConfig::default().fit(&samples(&[packet(1, 2, 502, 60), moved])).unwrap();
        let again = Novelty::from_arrays(novelty.config(), 4, &novelty.numbers()).unwrap();
        for novelty in [&novelty, &again] {
            assert_eq!(novelty.hardware_of(moved.sender()), Some([2, 0, 0, 0, 7, 7]));
            assert_eq!(novelty.hardware_of(moved.receiver()), None);
        }
        // In normal traffic both addresses were seen.
        assert_eq!(novelty.score(&samples(&[packet(1, 2, 502, 60), moved])).unwrap(), [0.0, 0.0]);
    }

    #[test]
    fn only_wanted_kinds_count() {
        let config = NoveltyConfig { kinds: vec![NoveltyKind::Length], window_seconds: 1.0 };
        let novelty = config.fit(&samples(&[packet(1, 2, 502, 60)])).unwrap();
        let found = signals(&novelty, &samples(&[packet(3, 2, 502, 61), packet(3, 2, 503, 61)]), 0.0, |_| None);
        // Without the kind of services, a length of a service never seen is a length never seen.
        assert_eq!(scored(found), [vec![(NoveltyKind::Length as u8, 1.0)], vec![(NoveltyKind::Length as u8, 1.0)]]);
        for refused in
            [NoveltyConfig { kinds: Vec::new(), ..config.clone() }, NoveltyConfig { window_seconds: 0.0, ..config }]
        {
            assert!(refused.check().is_err());
        }
    }

    #[test]
    fn a_sweep_is_counted_up_to_a_limit_and_what_is_remembered_is_bounded() {
        let novelty = NoveltyConfig::default().fit(&samples(&[packet(1, 2, 502, 60)])).unwrap();
        let mut stream = NoveltyStream::new(&novelty);
        let see = |stream: &mut NoveltyStream<'_>, facts: &PacketFacts| {
            let mut highest = 0.0_f32;
            stream.packet(PacketRow::new(facts, &[]), None, &mut |signal| {
                highest = highest.max(signal.score);
                0.0
            });
            highest
        };
        let sweep: Vec<f32> = (0..1000).map(|i| see(&mut stream, &packet(9, 2, 502, 100 + i))).collect();
        assert_eq!((sweep[9], sweep[999]), (10.0, NEW_COUNTED as f32));
        assert!(stream.recent.iter().all(|(_, recent)| recent.len() <= NEW_COUNTED));
        for i in 0..SENDERS_REMEMBERED {
            let [.., b, c] = i.to_be_bytes();
            let source = Endpoint::Ip(std::net::Ipv4Addr::new(11, 0, b, c).into(), Some(40_000));
            see(&mut stream, &PacketFacts { source, ..packet(1, 2, 502, 60) });
            assert!(stream.recent.len() <= SENDERS_REMEMBERED);
        }
        assert_eq!(stream.recent.len(), SENDERS_REMEMBERED);
    }

    #[test]
    fn numbers_of_strangers_are_refused() {
        let novelty = NoveltyConfig::default().fit(&samples(&[packet(1, 2, 502, 60)])).unwrap();
        let refused = |name: &str, shape: &[usize], values: Vec<f64>| {
            let mut arrays = novelty.numbers();
            arrays.put_shaped(name, shape, values);
            Novelty::from_arrays(novelty.config(), 4, &arrays).unwrap_err().to_string()
        };
        assert!(refused("tokens", &[3], vec![0.0; 3]).contains("`tokens` has the shape"));
        assert!(refused("tokens", &[1, 2], vec![0.5, 0.0]).starts_with("`tokens`"));
        assert!(refused("tokens", &[1, 2], vec![4_294_967_296.0, 0.0]).starts_with("`tokens`"));
        assert!(refused("hosts", &[1, 6], vec![9.0, 0.0, 0.0, 0.0, 0.0, 0.0]).starts_with("`hosts`"));
        assert!(refused("hosts", &[1, 6], vec![2.0, 0.0, 0.0, 0.0, 0.0, -1.0]).starts_with("`hosts`"));
    }
}
