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
    Aspect { name, title, sentence, margin: Margin::Gumbel(floor), unknown_cell: UnknownCell::Silent }
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
    fn add_former(&mut self, former: &dyn Detector) -> bool {
        let Ok(former) = Sequence::from_arrays(&self.config, 0, &former.numbers()) else { return false };
        self.counts.merge(&former.counts);
        self.usual.extend(former.usual);
        true
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
        self.0.get_or_insert_mut(tokens.conversation, || Conversation { last: [START; 3], sum: 0.0 })
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
        let excess = (surprise - usual.reference()).min(EXCESS_MAX);
        conversation.sum = (conversation.sum + excess).max(0.0);
        // A packet that is as usual is no alert, however high the sum still is.
        let threshold = sink(signal(1, if excess > 0.0 { conversation.sum } else { 0.0 }));
        conversation.sum = conversation.sum.min(2.0 * f64::from(threshold));
    }
}
