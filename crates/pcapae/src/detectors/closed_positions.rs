//! Values never seen where bytes take few values: enumerations, constants, the high bytes of counters and measurements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::blocks::BLOCKS;
use super::signal::{Margin, SignalSink, UnknownCell, scores};
use super::token::{TokenMap, get_tokens, put_tokens};
use super::{Aspect, Detector, PacketRow, Samples, Signal, SignalStream, fact_numbers};
use crate::capture::headers::{Direction, PacketFacts};
use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;
use crate::{Error, Result};

const NAME: &str = "ClosedPositions";

/// Most positions that are looked at.
pub const POSITIONS: usize = 256;

/// Most services and directions with positions of their own, the most frequent; the others share theirs.
pub const GROUPS: usize = 512;

/// The symbol of a position past the end of the packet, after the 256 byte values.
const PAST_END: u16 = 256;
const SYMBOLS: usize = 257;

/// A position is closed if this many from it on take no new values: the high bytes of what counts on are not closed.
const NEIGHBOURS: usize = 4;

/// The bit of traffic that was learned before, which nothing holds out.
const FORMER: u16 = 1 << 15;

/// Blocks that must hold packets of a group for it to have closed positions.
const BLOCKS_NEEDED: u32 = 3;

const ASPECTS: [Aspect; 1] = [Aspect {
    name: "values",
    title: "byte values never seen",
    sentence: "{from} → {to} {protocol}: byte values never seen at {score} positions that take few values",
    rank: Aspect::UNUSUAL,
    margin: Margin::Gumbel(0.5),
    unknown_cell: UnknownCell::Silent,
}];

/// How positions are grouped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClosedPositionsConfig {
    /// A service and direction with fewer packets than these shares its positions with all others so rare. Default 16.
    pub rows_min: usize,
}

impl Default for ClosedPositionsConfig {
    fn default() -> Self {
        ClosedPositionsConfig { rows_min: 16 }
    }
}

/// At how many closed positions of a packet there is a value that was never seen there, of its service and direction.
///
/// A position is open if in any block of the training packets it took a value that the other blocks do not have; it is closed if none of the 4
/// positions from it on is open. Addresses and the port of the client are read as zeros, and a position past the end has a value of its own.
/// Where packets lie in fewer than 3 blocks, no position is closed.
///
/// # Source
/// Byte positions as features: Wang and Stolfo, *Anomalous Payload-Based Network Intrusion Detection*, RAID 2004; which of them are
/// constants, enumerations and counters, as in Markovitz and Wool, *Field classification, modeling and anomaly detection in unknown CAN bus
/// networks*, Vehicular Communications 2017.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosedPositions {
    config: ClosedPositionsConfig,
    positions: usize,
    /// Index of the group of each service and direction.
    group_of: TokenMap<usize>,
    /// The first is that of all rare ones.
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq)]
struct Group {
    /// In which blocks each symbol was seen at each position, a bit each.
    seen: Vec<u16>,
    /// In which blocks each position took a value that no other block has.
    open_in: Vec<u16>,
    /// In which blocks there are packets.
    blocks: u16,
    closed: Vec<u16>,
    /// The positions that were closed in traffic learned before; `None` where nothing is known of it.
    closed_before: Option<Vec<u16>>,
}

impl ClosedPositionsConfig {
    /// Refuses a group of no rows.
    pub fn check(&self) -> Result<()> {
        match self.rows_min {
            0 => Err(Error::Setting {
                setting: "rows_min",
                got: "0".into(),
                expected: "at least 1".into(),
                remedy: None,
            }),
            _ => Ok(()),
        }
    }

    /// Finds the closed positions in `samples`, whose facts and bytes it looks at.
    pub fn fit(&self, samples: &Samples) -> Result<ClosedPositions> {
        self.fit_after(samples, None)
    }

    /// The same, beside what was learned before.
    fn fit_after(&self, samples: &Samples, former: Option<&ClosedPositions>) -> Result<ClosedPositions> {
        self.check()?;
        let positions = samples.width().min(POSITIONS);
        let mut group_of = former.map_or_else(TokenMap::default, |former| former.group_of.clone());
        for group in self.frequent(samples)? {
            let next = group_of.len() + 1;
            if group_of.contains_key(&group) || next <= GROUPS {
                group_of.entry(group).or_insert(next);
            }
        }
        let group = |index: usize| match former {
            // A group that was rare before has its former packets among the rare ones.
            Some(former) => {
                Group::after(former.groups.get(index).unwrap_or(&former.groups[0]), index < former.groups.len())
            }
            None => Group::new(positions),
        };
        let mut groups: Vec<Group> = (0..=group_of.len()).map(group).collect();
        let mut symbols = [0; POSITIONS];
        for (row, block) in samples.packets(NAME)? {
            let group = group_of.get(&row.tokens.group).copied().unwrap_or(0);
            groups[group].see(symbols_of(row, &mut symbols[..positions]), block);
        }
        groups.iter_mut().for_each(Group::close);
        Ok(ClosedPositions { config: self.clone(), positions, group_of, groups })
    }

    /// The services and directions of which there are enough packets, the most frequent first.
    fn frequent(&self, samples: &Samples) -> Result<Vec<u64>> {
        let mut rows: BTreeMap<u64, usize> = BTreeMap::new();
        for (row, _) in samples.packets(NAME)? {
            *rows.entry(row.tokens.group).or_default() += 1;
        }
        let mut frequent: Vec<(u64, usize)> = rows.into_iter().filter(|(_, rows)| *rows >= self.rows_min).collect();
        frequent.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        Ok(frequent.into_iter().map(|(group, _)| group).collect())
    }
}

impl Group {
    fn new(positions: usize) -> Group {
        Group {
            seen: vec![0; positions * SYMBOLS],
            open_in: vec![0; positions],
            blocks: 0,
            closed: Vec::new(),
            closed_before: None,
        }
    }

    /// A group that has seen what another saw before; its positions can only be closed where those of its `own` former traffic were.
    fn after(former: &Group, own: bool) -> Group {
        let seen = former.seen.iter().map(|blocks| if *blocks != 0 { FORMER } else { 0 }).collect();
        // Closed positions take enough blocks: where there are none, nothing is known of the former ones.
        let closed_before = (own && !former.closed.is_empty()).then(|| former.closed.clone());
        Group { seen, closed_before, ..Group::new(former.open_in.len()) }
    }

    fn see(&mut self, symbols: &[u16], block: u32) {
        self.blocks |= 1 << block;
        for (of_position, symbol) in self.seen.chunks_exact_mut(SYMBOLS).zip(symbols) {
            of_position[usize::from(*symbol)] |= 1 << block;
        }
    }

    /// Finds the closed positions, once all is seen.
    fn close(&mut self) {
        let of_one_block = |blocks: &&u16| blocks.is_power_of_two() && **blocks != FORMER;
        for (open_in, of_position) in self.open_in.iter_mut().zip(self.seen.chunks_exact(SYMBOLS)) {
            *open_in = of_position.iter().filter(of_one_block).fold(0, |open, blocks| open | blocks);
        }
        if let Some(before) = &self.closed_before {
            // What was open before is known, and says nothing of its neighbours again.
            let was_closed = |at: usize| before.binary_search(&(at as u16)).is_ok();
            let open = self.open_in.iter_mut().enumerate().filter(|(at, _)| !was_closed(*at));
            open.for_each(|(_, open_in)| *open_in = 0);
        }
        self.closed = match self.has_closed_positions() {
            true => (0..self.open_in.len()).filter(|at| self.is_closed(*at, u16::MAX)).map(|at| at as u16).collect(),
            false => Vec::new(),
        };
    }

    fn has_closed_positions(&self) -> bool {
        self.closed_before.is_some() || self.blocks.count_ones() >= BLOCKS_NEEDED
    }

    /// Whether a position is closed by what these blocks show, and by what was learned before.
    fn is_closed(&self, at: usize, blocks: u16) -> bool {
        let before = self.closed_before.as_ref().is_none_or(|closed| closed.binary_search(&(at as u16)).is_ok());
        let neighbours = at..(at + NEIGHBOURS).min(self.open_in.len());
        before && self.open_in[neighbours].iter().all(|open_in| open_in & blocks == 0)
    }

    /// At how many closed positions there is a symbol that was not seen.
    fn new_values(&self, symbols: &[u16], held_out: Option<u32>) -> usize {
        let is_new = |at: usize, but: u16| self.seen[at * SYMBOLS + usize::from(symbols[at])] & !but == 0;
        match held_out {
            None => self.closed.iter().filter(|at| is_new(usize::from(**at), 0)).count(),
            // Whether a position is closed must not follow from the block itself, or nothing would be new there.
            Some(block) if self.has_closed_positions() => {
                let others = if block % 2 == 0 { 0xaaaa } else { 0x5555 };
                (0..symbols.len()).filter(|at| is_new(*at, 1 << block) && self.is_closed(*at, others)).count()
            }
            Some(_) => 0,
        }
    }
}

/// What a packet has at each position, written to `symbols`.
fn symbols_of<'a>(packet: PacketRow<'_>, symbols: &'a mut [u16]) -> &'a [u16] {
    let kept = packet.bytes.len().min(symbols.len());
    for (symbol, byte) in symbols.iter_mut().zip(packet.bytes) {
        *symbol = u16::from(*byte);
    }
    symbols[kept..].fill(PAST_END);
    for range in addresses(packet.facts) {
        let end = range.end.min(kept);
        symbols[range.start.min(end)..end].fill(0);
    }
    symbols
}

/// Where addresses and the client's port lie.
fn addresses(facts: &PacketFacts) -> [std::ops::Range<usize>; 3] {
    let (network, transport) = (usize::from(facts.network_offset), usize::from(facts.transport_offset));
    let of_network = match facts.service.ethertype {
        0x0800 => 12..20,
        0x86dd => 8..40,
        0x0806 => 8..28,
        _ => 0..0,
    };
    let of_link = if facts.link_destination.is_some() { 0..12 } else { 0..0 };
    let port = match facts.direction {
        _ if transport == 0 => 0..0,
        Direction::ToService => transport..transport + 2,
        Direction::FromService => transport + 2..transport + 4,
    };
    [of_link, network + of_network.start..network + of_network.end, port]
}

impl ClosedPositions {
    /// What it was fitted with.
    pub fn config(&self) -> &ClosedPositionsConfig {
        &self.config
    }

    fn group(&self, group: u64) -> &Group {
        &self.groups[self.group_of.get(&group).copied().unwrap_or(0)]
    }

    /// A detector from its parameters and arrays, for rows of `width`; says in a few words what is wrong with them.
    pub fn from_arrays(
        config: &ClosedPositionsConfig,
        width: usize,
        arrays: &NamedArrays,
    ) -> Result<ClosedPositions, Fault> {
        config.check()?;
        let positions = width.min(POSITIONS);
        let services = get_tokens(arrays, "groups")?;
        let count = services.len() + 1;
        let words = (positions * SYMBOLS).div_ceil(WORD);
        let seen = arrays.get("seen", &[Some(count), Some(words)])?;
        let closed = arrays.get("closed", &[Some(count), Some(positions)])?;
        let group = |(seen, closed): (&[f64], &[f64])| {
            let words: Result<Vec<usize>, Fault> =
                seen.iter().map(|word| fact_numbers::whole(*word, 1 << WORD)).collect();
            let words = words.map_err(|fault| fault.within(Place::Array("seen".into())))?;
            let bit = |at: usize| (words[at / WORD] >> (at % WORD) & 1) as u16;
            let closed = closed.iter().enumerate().filter(|(_, is_closed)| **is_closed == 1.0);
            Ok(Group {
                seen: (0..positions * SYMBOLS).map(bit).collect(),
                open_in: vec![0; positions],
                blocks: u16::MAX,
                closed: closed.map(|(at, _)| at as u16).collect(),
                closed_before: None,
            })
        };
        let rows = seen.values.chunks_exact(words).zip(closed.values.chunks_exact(positions.max(1)));
        let groups = rows.map(group).collect::<Result<Vec<Group>, Fault>>()?;
        Ok(ClosedPositions {
            config: config.clone(),
            positions,
            group_of: services.into_iter().zip(1..).collect(),
            groups,
        })
    }
}

/// Symbols in a number of the file.
const WORD: usize = 32;

impl Detector for ClosedPositions {
    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        scores(&mut ValueStream(self), |_| true, NAME, samples)
    }

    fn numbers(&self) -> NamedArrays {
        let mut group_of: Vec<(usize, u64)> = self.group_of.iter().map(|(service, group)| (*group, *service)).collect();
        group_of.sort_unstable();
        let word = |symbols: &[u16]| {
            let bits = symbols.iter().enumerate().map(|(at, seen)| u32::from(*seen != 0) << at);
            f64::from(bits.fold(0, |word, bit| word | bit))
        };
        let words = (self.positions * SYMBOLS).div_ceil(WORD);
        let seen = self.groups.iter().flat_map(|group| group.seen.chunks(WORD).map(word)).collect();
        let is_closed =
            |group: &Group, at: usize| f64::from(u8::from(group.closed.binary_search(&(at as u16)).is_ok()));
        let closed = self.groups.iter().flat_map(|group| (0..self.positions).map(|at| is_closed(group, at))).collect();
        let mut arrays = NamedArrays::default();
        put_tokens(&mut arrays, "groups", group_of.iter().map(|(_, service)| *service));
        arrays.put_shaped("seen", &[self.groups.len(), words], seen);
        arrays.put_shaped("closed", &[self.groups.len(), self.positions], closed);
        arrays
    }

    /// 1 at each closed position with a value never seen there.
    fn position_values(&self, row: &Samples) -> Option<Vec<f32>> {
        let (packet, _) = row.packets(NAME).ok()?.next()?;
        let mut symbols = [0; POSITIONS];
        let symbols = symbols_of(packet, &mut symbols[..self.positions]);
        let group = self.group(packet.tokens.group);
        let mut values = vec![0.0; row.width()];
        for at in group.closed.iter().map(|at| usize::from(*at)) {
            values[at] = f32::from(u8::from(group.seen[at * SYMBOLS + usize::from(symbols[at])] == 0));
        }
        Some(values)
    }

    /// A position stays closed where neither the former traffic nor this one shows it open.
    fn fit_further(&self, samples: &Samples) -> Result<Option<Box<dyn Detector>>> {
        Ok(Some(Box::new(self.config.fit_after(samples, Some(self))?)))
    }

    fn aspects(&self) -> &'static [Aspect] {
        &ASPECTS
    }

    fn signals(&self) -> Option<Box<dyn SignalStream + '_>> {
        Some(Box::new(ValueStream(self)))
    }
}

/// It remembers nothing.
struct ValueStream<'a>(&'a ClosedPositions);

impl SignalStream for ValueStream<'_> {
    fn packet(&mut self, packet: PacketRow<'_>, held_out: Option<u32>, sink: &mut SignalSink<'_>) {
        let tokens = packet.tokens;
        let mut symbols = [0; POSITIONS];
        let symbols = symbols_of(packet, &mut symbols[..self.0.positions]);
        let score = self.0.group(tokens.group).new_values(symbols, held_out) as f32;
        sink(Signal { aspect: 0, cell: tokens.group, score, cause: tokens.conversation });
    }
}

const _: () = assert!(BLOCKS < u16::BITS, "a bit for each block, and one for former traffic");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::headers::fixtures::packet;
    use crate::detectors::Blocks;
    use crate::detectors::fixtures::signals;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const WIDTH: usize = 8;

    /// Packets of a port and some bytes, with no addresses among them.
    type Packets = Vec<(u16, Vec<u8>)>;

    fn packets(count: std::ops::Range<usize>) -> impl Strategy<Value = Packets> {
        // Most positions take one value, some take two.
        let byte = |at: u8| prop_oneof![9 => Just(at), 1 => Just(100 + at)];
        let bytes = (0..WIDTH as u8).map(byte).collect::<Vec<_>>();
        let packet = (501u16..503, bytes, 5..=WIDTH).prop_map(|(port, mut bytes, length)| {
            bytes.truncate(length);
            (port, bytes)
        });
        prop::collection::vec(packet, count)
    }

    fn samples_of(packets: &[(u16, Vec<u8>)], blocks: u32) -> Samples {
        let bytes = packets.iter().flat_map(|(_, bytes)| bytes.iter().copied().chain([0; WIDTH]).take(WIDTH)).collect();
        let facts = packets.iter().map(|(port, bytes)| PacketFacts {
            link_destination: None,
            network_offset: 1000,
            transport_offset: 0,
            ..packet(1, 2, *port, bytes.len() as u32)
        });
        Samples::of_bytes(bytes, WIDTH).with_facts(facts.collect()).in_blocks(blocks)
    }

    /// How many closed positions of the packet have a value that is new, by looking through all packets; of one of a block as if it had not been
    /// learned.
    fn expected(
        all: &Packets,
        blocks: Blocks,
        rows_min: usize,
        (port, bytes): &(u16, Vec<u8>),
        own: Option<u32>,
    ) -> usize {
        let rows = |port: u16| all.iter().filter(|other| other.0 == port).count();
        let is_frequent = |port: u16| rows(port) >= rows_min;
        // The rare ones share.
        let is_alike = |other: u16| if is_frequent(*port) { other == *port } else { !is_frequent(other) };
        let alike: Vec<(u32, &Vec<u8>)> = all
            .iter()
            .enumerate()
            .filter(|(_, other)| is_alike(other.0))
            .map(|(row, other)| (blocks.block(row), &other.1))
            .collect();
        let in_blocks = |at: usize, value: Option<u8>| -> BTreeSet<u32> {
            alike.iter().filter(|(_, bytes)| bytes.get(at).copied() == value).map(|(block, _)| *block).collect()
        };
        let closes = |block: u32| own.is_none_or(|own| block % 2 != own % 2);
        let is_open = |at: usize| {
            let values: BTreeSet<Option<u8>> = alike.iter().map(|(_, bytes)| bytes.get(at).copied()).collect();
            values.into_iter().map(|value| in_blocks(at, value)).any(|of| of.len() == 1 && of.into_iter().all(closes))
        };
        let is_closed = |at: usize| (at..(at + 4).min(WIDTH)).all(|at| !is_open(at));
        let is_new = |at: usize| in_blocks(at, bytes.get(at).copied()).into_iter().all(|block| Some(block) == own);
        let enough = alike.iter().map(|(block, _)| block).collect::<BTreeSet<_>>().len() >= 3;
        (0..WIDTH).filter(|at| enough && is_closed(*at) && is_new(*at)).count()
    }

    proptest! {
        #[test]
        fn scores_are_what_looking_through_all_gives_and_survive_their_numbers(
            seen in packets(1..60), new in packets(1..10), rows_min in 1usize..30, count in 1u32..6,
        ) {
            let fitted = ClosedPositionsConfig { rows_min }.fit(&samples_of(&seen, count)).unwrap();
            let again = ClosedPositions::from_arrays(fitted.config(), WIDTH, &fitted.numbers()).unwrap();
            prop_assert_eq!(again.numbers(), fitted.numbers());
            let blocks = Blocks::new(seen.len(), count);
            for fitted in [&fitted, &again] {
                let found = signals(fitted, &samples_of(&new, 1), 0.0, |_| None);
                for (i, (found, packet)) in found.iter().zip(&new).enumerate() {
                    let expected = expected(&seen, blocks, rows_min, packet, None);
                    prop_assert_eq!(found[0].score, expected as f32);
                    let heat = fitted.position_values(&samples_of(&new, 1).rows(i..i + 1)).unwrap();
                    prop_assert_eq!(heat.iter().sum::<f32>(), expected as f32);
                }
            }
            let found = signals(&fitted, &samples_of(&seen, count), 0.0, Some);
            for (row, found) in found.iter().enumerate() {
                let expected = expected(&seen, blocks, rows_min, &seen[row], Some(blocks.block(row)));
                prop_assert_eq!(found[0].score, expected as f32);
            }
        }
    }

    #[test]
    fn addresses_and_the_port_of_the_client_do_not_count() {
        let frame = |mac: u8, host: u8, client: u8, value: u8| {
            let mut bytes = vec![0; 64];
            bytes[..12].fill(mac);
            bytes[26..34].fill(host);
            bytes[34..36].fill(client);
            bytes[36..38].copy_from_slice(&502_u16.to_be_bytes());
            bytes[60] = value;
            bytes
        };
        let of = |frames: &[Vec<u8>]| {
            Samples::of_bytes(frames.concat(), 64).with_facts(vec![packet(1, 2, 502, 64); frames.len()])
        };
        let fitted = ClosedPositionsConfig::default().fit(&of(&vec![frame(1, 1, 1, 1); 100])).unwrap();
        let new = [frame(1, 1, 1, 1), frame(9, 9, 9, 1), frame(9, 9, 9, 9)];
        assert_eq!(fitted.score(&of(&new)).unwrap(), [0.0, 0.0, 1.0]);
        let heat = fitted.position_values(&of(&new[2..])).unwrap();
        assert!(heat.iter().enumerate().all(|(at, value)| *value == f32::from(u8::from(at == 60))));
    }

    #[test]
    fn only_so_many_services_have_positions_of_their_own() {
        let seen: Packets = (0..GROUPS as u16 + 100).map(|port| (1000 + port, vec![1; WIDTH])).collect();
        let fitted = ClosedPositionsConfig { rows_min: 1 }.fit(&samples_of(&seen, 3)).unwrap();
        assert_eq!((fitted.groups.len(), fitted.group_of.len()), (GROUPS + 1, GROUPS));
        assert!(ClosedPositionsConfig { rows_min: 0 }.check().is_err());
    }

    #[test]
    fn numbers_of_strangers_are_refused() {
        let fitted = ClosedPositionsConfig::default().fit(&samples_of(&vec![(502, vec![1; WIDTH]); 40], 4)).unwrap();
        let words = (WIDTH * SYMBOLS).div_ceil(WORD);
        let refused = |name: &str, shape: &[usize], values: Vec<f64>| {
            let mut arrays = fitted.numbers();
            arrays.put_shaped(name, shape, values);
            ClosedPositions::from_arrays(fitted.config(), WIDTH, &arrays).unwrap_err().to_string()
        };
        assert!(refused("seen", &[1, words], vec![0.0; words]).contains("`seen` has the shape"));
        assert!(refused("closed", &[2, WIDTH + 1], vec![0.0; 2 * (WIDTH + 1)]).contains("`closed` has the shape"));
        assert!(refused("seen", &[2, words], vec![0.5; 2 * words]).starts_with("`seen`"));
        assert!(refused("seen", &[2, words], vec![4_294_967_296.0; 2 * words]).starts_with("`seen`"));
        assert!(refused("groups", &[2, 2], vec![0.0; 4]).contains("has the shape"));
    }
}
