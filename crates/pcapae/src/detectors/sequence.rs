//! How surprising it is that this packet follows those before it: directions and lengths as a language.

use std::num::NonZeroUsize;

use lru::LruCache;
use serde::{Deserialize, Serialize};

use super::length_back_off::LEAST;
use super::signal::{Margin, SignalSink, UnknownCell, scores};
use super::token::{Counts, TokenMap, Tokens, get_tokens, put_tokens, token};
use super::{Aspect, Detector, PacketRow, Samples, Scorer, Signal, SignalStream};
use crate::Result;
use crate::error::Fault;
use crate::named_arrays::NamedArrays;
use crate::numeric::median;

const NAME: &str = "Sequence";

/// Most conversations, and most connections, whose last packets are remembered; those silent for longest are forgotten.
pub const CONVERSATIONS_REMEMBERED: usize = 65_536;

/// Packets of a connection over which surprise is averaged.
const PACKETS_AVERAGED: usize = 8;

/// Most that one packet adds to the cumulative sum, in nats.
const EXCESS_MAX: f64 = 5.0;

/// Symbols before the first packet of a conversation.
const START: u64 = 0;

const fn aspect(name: &'static str, title: &'static str, sentence: &'static str, floor: f64) -> Aspect {
    Aspect {
        name,
        title,
        sentence,
        rank: Aspect::UNUSUAL,
        margin: Margin::Gumbel(floor),
        unknown_cell: UnknownCell::Silent,
    }
}

const ASPECTS: [Aspect; 2] = [
    aspect("order", "packets in an unusual order", "{from} → {to} {protocol}: packets in an order never seen", 0.35),
    aspect(
        "drift",
        "packets in an unusual order for some time",
        "{from} → {to} {protocol}: for some time, packets in an unusual order",
        2.0,
    ),
];

/// It has no parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SequenceConfig {}

/// −ln p of a packet's direction and length after those before it, in nats.
///
/// p is by back-off over six contexts: none, the service, the service with the last one, two and three packets of the conversation, and the
/// conversation with the last two; in each, p = (c + q) / (n + 1) as in [`LengthBackOff`](super::LengthBackOff). A connection's score is the mean over its
/// last 8 packets, as if 8 of median surprise had gone before; a conversation's, the cumulative sum of what exceeds r, the mean of
/// the service and direction plus 2 standard deviations, but at least .3 each, at most 5
/// nats a packet.
///
/// # Source
/// Variable-order Markov chains: Begleiter, El-Yaniv and Yona, *On prediction using variable order Markov models*, JAIR 2004. The sum: Page,
/// *Continuous inspection schemes*, Biometrika 1954.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    config: SequenceConfig,
    counts: Counts,
    /// Of each service and direction.
    usual: TokenMap<Usual>,
}

/// The surprise of normal packets of a service and direction, each as if its block had not been learned.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Usual {
    median: f64,
    mean: f64,
    deviation: f64,
}

impl Usual {
    fn of(surprises: &mut [f64]) -> Usual {
        let n = surprises.len() as f64;
        let mean = surprises.iter().sum::<f64>() / n;
        let variance = surprises.iter().map(|surprise| (surprise - mean).powi(2)).sum::<f64>() / n;
        Usual { median: median(surprises).unwrap_or(mean), mean, deviation: variance.sqrt() }
    }

    /// What a packet must exceed to add to the cumulative sum.
    fn reference(&self) -> f64 {
        self.mean + 2.0 * self.deviation.max(0.3)
    }
}

impl SequenceConfig {
    /// There is nothing to refuse.
    pub fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Counts what follows what in `samples`, whose facts it looks at.
    pub fn fit(&self, samples: &Samples) -> Result<Sequence> {
        let mut sequence = Sequence { config: self.clone(), counts: Counts::default(), usual: TokenMap::default() };
        let mut conversations = Conversations::new();
        for (row, block) in samples.packets(NAME)? {
            let tokens = row.tokens;
            let conversation = conversations.get(&tokens);
            for (context, symbol) in conversation.contexts(&tokens) {
                sequence.counts.add(context, block);
                sequence.counts.add(symbol, block);
            }
            conversation.push(symbol(&tokens));
        }
        let mut surprises: TokenMap<Vec<f64>> = TokenMap::default();
        let mut conversations = Conversations::new();
        for (row, block) in samples.packets(NAME)? {
            let tokens = row.tokens;
            let conversation = conversations.get(&tokens);
            let surprise = sequence.surprise(conversation, &tokens, Some(block));
            surprises.entry(tokens.group).or_default().push(surprise);
            conversation.push(symbol(&tokens));
        }
        sequence.usual = surprises.into_iter().map(|(group, mut of_group)| (group, Usual::of(&mut of_group))).collect();
        Ok(sequence)
    }
}

impl Sequence {
    /// What it was fitted with.
    pub fn config(&self) -> &SequenceConfig {
        &self.config
    }

    fn surprise(&self, conversation: &Conversation, tokens: &Tokens, held_out: Option<u32>) -> f64 {
        let mut p = LEAST;
        for (context, symbol) in conversation.contexts(tokens) {
            let [n, c] = [context, symbol].map(|token| f64::from(self.counts.get(token, held_out)));
            p = (c + p) / (n + 1.0);
        }
        -p.ln()
    }

    /// A detector from its arrays; says in a few words what is wrong with them. The width of rows does not matter to it.
    pub fn from_arrays(config: &SequenceConfig, _width: usize, arrays: &NamedArrays) -> Result<Sequence, Fault> {
        let groups = get_tokens(arrays, "groups")?;
        let usual = arrays.get("usual", &[Some(groups.len()), Some(3)])?;
        let of_row = |row: &[f64]| Usual { median: row[0], mean: row[1], deviation: row[2] };
        let usual = groups.into_iter().zip(usual.values.chunks_exact(3).map(of_row)).collect();
        Ok(Sequence { config: config.clone(), counts: Counts::from_arrays(arrays)?, usual })
    }
}

impl Detector for Sequence {
    /// Of each packet, the mean over its connection.
    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        scores(&mut SequenceStream::new(self), |aspect| aspect == 0, NAME, samples)
    }

    fn scorer(&self) -> Scorer<'_> {
        let mut stream = SequenceStream::new(self);
        Box::new(move |samples| scores(&mut stream, |aspect| aspect == 0, NAME, samples))
    }

    fn numbers(&self) -> NamedArrays {
        let mut arrays = NamedArrays::default();
        self.counts.put(&mut arrays);
        let mut usual: Vec<(u64, Usual)> = self.usual.iter().map(|(group, usual)| (*group, *usual)).collect();
        usual.sort_unstable_by_key(|(group, _)| *group);
        put_tokens(&mut arrays, "groups", usual.iter().map(|(group, _)| *group));
        let numbers = usual.iter().flat_map(|(_, usual)| [usual.median, usual.mean, usual.deviation]).collect();
        arrays.put_shaped("usual", &[usual.len(), 3], numbers);
        arrays
    }

    fn aspects(&self) -> &'static [Aspect] {
        &ASPECTS
    }

    fn signals(&self) -> Option<Box<dyn SignalStream + '_>> {
        Some(Box::new(SequenceStream::new(self)))
    }

    /// What is usual in a service and direction stays as it was learned first.
    fn fit_further(&self, samples: &Samples) -> Result<Option<Box<dyn Detector>>> {
        let mut all = self.config.fit(samples)?;
        all.counts.merge(&self.counts);
        all.usual.extend(&self.usual);
        Ok(Some(Box::new(all)))
    }

    fn forget_blocks(&mut self) {
        self.counts.forget_blocks();
    }
}

/// What a packet is in a conversation: its direction and length.
fn symbol(tokens: &Tokens) -> u64 {
    1 + (tokens.length << 1 | tokens.group & 1)
}

/// The last packets of a conversation, the latest first, and its cumulative sum.
#[derive(Debug, Clone, Copy)]
struct Conversation {
    last: [u64; 3],
    sum: f64,
    /// The block that the sum began in, while learning: what one block adds up is not the next one's.
    block: Option<u32>,
}

impl Conversation {
    /// The contexts of the next packet, each with the packet in it.
    fn contexts(&self, tokens: &Tokens) -> [(u64, u64); 6] {
        let (service, conversation, [a, b, c]) = (tokens.service, tokens.conversation, self.last);
        let next = symbol(tokens);
        let of = |tag: u8, context: [u64; 4]| {
            let [w, x, y, z] = context;
            (token(tag, [w, x, y, z]), token(tag, [w, x, y, z, next]))
        };
        [
            of(96, [0; 4]),
            of(97, [service, 0, 0, 0]),
            of(98, [service, a, 0, 0]),
            of(99, [service, a, b, 0]),
            of(100, [service, a, b, c]),
            of(101, [conversation, a, b, 0]),
        ]
    }

    fn push(&mut self, symbol: u64) {
        self.last = [symbol, self.last[0], self.last[1]];
    }
}

struct Conversations(LruCache<u64, Conversation>);

impl Conversations {
    fn new() -> Conversations {
        Conversations(LruCache::new(NonZeroUsize::new(CONVERSATIONS_REMEMBERED).unwrap_or(NonZeroUsize::MIN)))
    }

    fn get(&mut self, tokens: &Tokens) -> &mut Conversation {
        self.0.get_or_insert_mut(tokens.conversation, || Conversation { last: [START; 3], sum: 0.0, block: None })
    }
}

/// The surprise of the last packets of a connection.
#[derive(Debug, Clone, Copy)]
struct Connection {
    last: [f64; PACKETS_AVERAGED],
    next: usize,
}

struct SequenceStream<'a> {
    sequence: &'a Sequence,
    conversations: Conversations,
    connections: LruCache<u64, Connection>,
}

impl SequenceStream<'_> {
    fn new(sequence: &Sequence) -> SequenceStream<'_> {
        let remembered = NonZeroUsize::new(CONVERSATIONS_REMEMBERED).unwrap_or(NonZeroUsize::MIN);
        SequenceStream { sequence, conversations: Conversations::new(), connections: LruCache::new(remembered) }
    }
}

impl SignalStream for SequenceStream<'_> {
    fn packet(&mut self, packet: PacketRow<'_>, held_out: Option<u32>, sink: &mut SignalSink<'_>) {
        let tokens = packet.tokens;
        let conversation = self.conversations.get(&tokens);
        let surprise = self.sequence.surprise(conversation, &tokens, held_out);
        conversation.push(symbol(&tokens));
        let Some(usual) = self.sequence.usual.get(&tokens.group) else { return };

        let fresh = || Connection { last: [usual.median; PACKETS_AVERAGED], next: 0 };
        let connection = self.connections.get_or_insert_mut(tokens.connection, fresh);
        connection.last[connection.next] = surprise;
        connection.next = (connection.next + 1) % PACKETS_AVERAGED;
        let mean = connection.last.iter().sum::<f64>() / PACKETS_AVERAGED as f64;
        let signal =
            |aspect, score: f64| Signal { aspect, cell: tokens.group, score: score as f32, cause: tokens.conversation };
        sink(signal(0, mean));

        // One packet, however odd, is no drift.
        if conversation.block != held_out {
            (conversation.block, conversation.sum) = (held_out, 0.0);
        }
        let excess = (surprise - usual.reference()).min(EXCESS_MAX);
        conversation.sum = (conversation.sum + excess).max(0.0);
        // A packet that is as usual is no alert, however high the sum still is.
        let threshold = sink(signal(1, if excess > 0.0 { conversation.sum } else { 0.0 }));
        conversation.sum = conversation.sum.min(2.0 * f64::from(threshold));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::headers::fixtures::packet;
    use crate::capture::headers::{Direction, PacketFacts};
    use crate::detectors::Blocks;
    use crate::detectors::fixtures::{samples, signals, traffic};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// What a packet is in a conversation, and the contexts it comes in, in words.
    type Said = (String, [String; 6]);

    fn to_service(facts: &PacketFacts) -> bool {
        match facts.service.port {
            0 => facts.sender() < facts.receiver(),
            _ => facts.direction == Direction::ToService,
        }
    }

    fn group(facts: &PacketFacts) -> String {
        format!("{:?} {}", facts.service, to_service(facts))
    }

    fn conversation(facts: &PacketFacts) -> String {
        let mut hosts = [facts.sender(), facts.receiver()];
        hosts.sort();
        format!("{:?} {hosts:?}", facts.service)
    }

    fn said(packets: &[PacketFacts]) -> Vec<Said> {
        let symbol = |facts: &PacketFacts| format!("{} {}", to_service(facts), facts.wire_length);
        let said = |at: usize| {
            let own = conversation(&packets[at]);
            let before: Vec<&PacketFacts> = packets[..at].iter().filter(|other| conversation(other) == own).collect();
            let last = |n: usize| before.len().checked_sub(n).map_or(String::new(), |i| symbol(before[i]));
            let service = format!("{:?}", packets[at].service);
            let [a, b, c] = [last(1), last(2), last(3)];
            let contexts = [
                String::new(),
                service.clone(),
                format!("1 {service} {a}"),
                format!("2 {service} {a} {b}"),
                format!("3 {service} {a} {b} {c}"),
                format!("conversation {own} {a} {b}"),
            ];
            (symbol(&packets[at]), contexts)
        };
        (0..packets.len()).map(said).collect()
    }

    /// −ln p, by counting through all that was said.
    fn surprise(seen: &[&Said], (symbol, contexts): &Said) -> f64 {
        let p = contexts.iter().enumerate().fold(1e-3, |p, (i, context)| {
            let of_context: Vec<_> = seen.iter().filter(|seen| seen.1[i] == *context).collect();
            let so = of_context.iter().filter(|seen| seen.0 == *symbol).count();
            (so as f64 + p) / (of_context.len() as f64 + 1.0)
        });
        -f64::ln(p)
    }

    /// Median, and what a packet must exceed, of groups of surprises.
    fn usual(of_groups: impl Iterator<Item = (String, f64)>) -> BTreeMap<String, (f64, f64)> {
        let mut groups: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        of_groups.for_each(|(group, surprise)| groups.entry(group).or_default().push(surprise));
        let usual = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            let n = values.len();
            let median = (values[(n - 1) / 2] + values[n / 2]) / 2.0;
            let mean = values.iter().sum::<f64>() / n as f64;
            let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
            (median, mean + 2.0 * deviation.max(0.3))
        };
        groups.into_iter().map(|(group, values)| (group, usual(values))).collect()
    }

    /// The scores of both aspects, where the group is known.
    fn scores(
        packets: &[PacketFacts],
        surprises: &[f64],
        usual: &BTreeMap<String, (f64, f64)>,
        block: impl Fn(usize) -> Option<u32>,
    ) -> Vec<Vec<f64>> {
        let mut sums: BTreeMap<(Option<u32>, String), f64> = BTreeMap::new();
        let mut connections: BTreeMap<_, Vec<f64>> = BTreeMap::new();
        let score = |(row, (facts, surprise)): (usize, (&PacketFacts, &f64))| {
            let Some((median, reference)) = usual.get(&group(facts)) else { return Vec::new() };
            // Of ARP, those who speak; its link addresses are no ends.
            let mut ends = [facts.source, facts.destination];
            if let Some(arp) = facts.arp {
                ends = [arp.sender, arp.target];
            }
            ends.sort();
            let last = connections.entry((facts.service, ends)).or_insert_with(|| vec![*median; 8]);
            last.push(*surprise);
            let mean = last[last.len() - 8..].iter().sum::<f64>() / 8.0;
            let excess = (surprise - reference).min(5.0);
            // What one block adds up is not the next one's.
            let sum = sums.entry((block(row), conversation(facts))).or_default();
            *sum = (*sum + excess).max(0.0);
            vec![mean, if excess > 0.0 { *sum } else { 0.0 }]
        };
        packets.iter().zip(surprises).enumerate().map(score).collect()
    }

    fn check(found: &[Vec<Signal>], expected: &[Vec<f64>]) -> std::result::Result<(), TestCaseError> {
        for (found, expected) in found.iter().zip(expected) {
            prop_assert_eq!(
                found.iter().map(|signal| signal.aspect).collect::<Vec<_>>(),
                (0..expected.len() as u8).collect::<Vec<_>>()
            );
            let close =
                found.iter().zip(expected).all(|(signal, score)| (f64::from(signal.score) - score).abs() < 1e-4);
            prop_assert!(close, "{:?} {:?}", found, expected);
        }
        Ok(())
    }

    fn left_out(all: &[PacketFacts], blocks: u32) -> Vec<f64> {
        let (said, blocks) = (said(all), Blocks::new(all.len(), blocks));
        let surprise = |row: usize| {
            let own = blocks.packets(blocks.block(row));
            let others: Vec<&Said> = said[..own.start].iter().chain(&said[own.end..]).collect();
            surprise(&others, &said[row])
        };
        (0..all.len()).map(surprise).collect()
    }

    proptest! {
        #[test]
        fn scores_are_what_counting_gives_and_survive_their_numbers(seen in traffic(1..30), new in traffic(1..30)) {
            let fitted = SequenceConfig::default().fit(&samples(&seen).in_blocks(3)).unwrap();
            let again = Sequence::from_arrays(fitted.config(), 4, &fitted.numbers()).unwrap();
            let usual = usual(seen.iter().map(group).zip(left_out(&seen, 3)));
            let seen = said(&seen);
            let surprises: Vec<f64> = said(&new).iter().map(|said| surprise(&seen.iter().collect::<Vec<_>>(), said)).collect();
            let expected = scores(&new, &surprises, &usual, |_| None);
            for fitted in [fitted, again] {
                check(&signals(&fitted, &samples(&new), f32::INFINITY, |_| None), &expected)?;
            }
        }

        #[test]
        fn what_a_block_that_is_held_out_says_was_not_counted(all in traffic(3..40)) {
            let fitted = SequenceConfig::default().fit(&samples(&all).in_blocks(3)).unwrap();
            let surprises = left_out(&all, 3);
            let usual = usual(all.iter().map(group).zip(surprises.iter().copied()));
            let found = signals(&fitted, &samples(&all).in_blocks(3), f32::INFINITY, Some);
            let blocks = Blocks::new(all.len(), 3);
            check(&found, &scores(&all, &surprises, &usual, |row| Some(blocks.block(row))))?;
        }
    }

    #[test]
    fn the_sum_is_cut_at_twice_its_threshold_so_that_it_ends_soon() {
        let usual = |i: usize| packet(1, 2, 502, 60 + (i % 2) as u32);
        let fitted = SequenceConfig::default().fit(&samples(&(0..400).map(usual).collect::<Vec<_>>())).unwrap();
        let odd: Vec<PacketFacts> =
            (0..500).map(|i| if i < 100 { packet(1, 2, 502, 900 + i) } else { usual(i as usize) }).collect();
        let sums = |threshold| {
            let found = signals(&fitted, &samples(&odd), threshold, |_| None);
            found.iter().map(|signals| signals[1].score).collect::<Vec<f32>>()
        };
        let (cut, uncut) = (sums(10.0), sums(f32::INFINITY));
        // Each odd packet adds at most 5.
        assert!(cut.iter().all(|sum| *sum <= 25.0) && uncut[99] > 400.0, "{cut:?} {}", uncut[99]);
        assert!(cut[101..].iter().all(|sum| *sum == 0.0), "a usual packet scores");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let fitted = SequenceConfig::default().fit(&samples(&[packet(1, 2, 502, 60)])).unwrap();
        let mut stream = SequenceStream::new(&fitted);
        for i in 0..CONVERSATIONS_REMEMBERED + 3000 {
            let [.., a, b, c] = i.to_be_bytes();
            let source =
                crate::capture::headers::Endpoint::Ip(std::net::Ipv4Addr::new(11, a, b, c).into(), Some(40_000));
            let facts = PacketFacts { source, ..packet(1, 2, 502, 60) };
            stream.packet(PacketRow::new(&facts, &[]), None, &mut |_| 1.0);
        }
        assert_eq!(
            (stream.conversations.0.len(), stream.connections.len()),
            (CONVERSATIONS_REMEMBERED, CONVERSATIONS_REMEMBERED)
        );
    }

    #[test]
    fn numbers_of_strangers_are_refused() {
        let fitted = SequenceConfig::default().fit(&samples(&[packet(1, 2, 502, 60)])).unwrap();
        let refused = |name: &str, shape: &[usize], values: Vec<f64>| {
            let mut arrays = fitted.numbers();
            arrays.put_shaped(name, shape, values);
            Sequence::from_arrays(fitted.config(), 4, &arrays).unwrap_err().to_string()
        };
        assert!(refused("usual", &[2, 3], vec![0.0; 6]).contains("`usual` has the shape"));
        assert!(refused("usual", &[1, 3], vec![0.0, f64::NAN, 0.0]).contains("finite"));
        assert!(refused("groups", &[1, 2], vec![-1.0, 0.0]).starts_with("`groups`"));
        assert!(refused("counts", &[1], vec![1.0]).contains("`counts` has the shape"));
    }
}
