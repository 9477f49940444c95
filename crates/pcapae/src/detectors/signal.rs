//! What a detector says of single packets, for a decision: signals, each compared with what its cell reached in normal traffic.

use super::Samples;
use super::token::Tokens;
use crate::Result;
use crate::capture::headers::PacketFacts;

/// One thing that a detector watches, with a threshold of its own in every cell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Aspect {
    /// Its name within the detector, as files and JSON have it.
    pub name: &'static str,
    /// What an event of it is, in a few words that are the same for all such events.
    pub title: &'static str,
    /// What an event of it says. `{from}` and `{to}` stand for hosts, `{server}` for the one that serves, `{protocol}` for the protocol, `{service}` for it with the lower port, `{link}` and
    /// `{was}` for the hardware address that the sender has and had, `{whose}` for the host that had it, `{to-link}` for the receiver's, `{length}` for the bytes on the wire,
    /// `{score}` for the score, `{times}` for 2 to the power of how far it exceeds the highest before, in words.
    pub sentence: &'static str,
    /// How much it tells, the lowest most: of several findings the lowest is told.
    pub rank: u8,
    /// How the threshold follows from the highest scores of blocks of normal traffic.
    pub margin: Margin,
    /// What holds in a cell that was not learned.
    pub unknown_cell: UnknownCell,
}

impl Aspect {
    /// The rank of what is not new, but unusual: the strongest finding is told.
    pub const UNUSUAL: u8 = 100;

    /// The score of a row, of a detector that scores rows.
    pub const SCORE: Aspect = Aspect {
        name: "score",
        title: "packet unlike normal traffic",
        sentence: "{from} → {to} {protocol}: unlike what was learned",
        rank: Aspect::UNUSUAL,
        margin: Margin::Gumbel(0.0),
        unknown_cell: UnknownCell::Highest,
    };
}

/// How a threshold follows from the highest scores of blocks of normal traffic, one of each block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Margin {
    /// The second highest. For counts of what is new, which are 0 in most blocks.
    SecondHighest,
    /// The highest and a margin of some scales of a Gumbel distribution. The scale is .78 of their standard deviation, and at least this.
    Gumbel(f64),
}

/// The threshold in a cell that was not learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownCell {
    /// None: nothing there is an alert.
    Silent,
    /// The highest of all cells.
    Highest,
}

/// What a detector says of one packet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signal {
    /// Which of the detector's [aspects](super::Detector::aspects).
    pub aspect: u8,
    /// What the packet is compared within, as its service and direction: a hash, or 0 for all packets.
    pub cell: u64,
    /// Higher is more anomalous.
    pub score: f32,
    /// What alerts for one and the same reason have in common: a hash of what is new, or of who talks to whom.
    pub cause: u64,
}

/// A packet: its facts, and its bytes, masked, as far as they are kept.
#[derive(Debug, Clone, Copy)]
pub struct PacketRow<'a> {
    /// What is known of it beside its bytes.
    pub facts: &'a PacketFacts,
    /// Its first bytes.
    pub bytes: &'a [u8],
    pub(crate) tokens: Tokens,
}

impl<'a> PacketRow<'a> {
    /// Of a packet with these facts and first bytes.
    pub fn new(facts: &'a PacketFacts, bytes: &'a [u8]) -> PacketRow<'a> {
        PacketRow { facts, bytes, tokens: Tokens::of(facts) }
    }
}

/// Takes signals, and says what the threshold is there; infinite where there is none.
pub type SignalSink<'a> = dyn FnMut(Signal) -> f32 + 'a;

/// A detector at work on packets, in the order of time, with a memory of what went before.
pub trait SignalStream: Send {
    /// The signals of the next packet; of one that was learned from, as if its block `held_out` had not been.
    fn packet(&mut self, packet: PacketRow<'_>, held_out: Option<u32>, sink: &mut SignalSink<'_>);
}

/// The highest score among the signals of each row, as far as their aspects are wanted; 0 where there is none.
pub(super) fn scores(
    stream: &mut dyn SignalStream,
    wanted: impl Fn(u8) -> bool,
    detector: &'static str,
    samples: &Samples,
) -> Result<Vec<f64>> {
    let mut score = |row: PacketRow<'_>| {
        let mut highest = 0.0_f32;
        stream.packet(row, None, &mut |signal| {
            if wanted(signal.aspect) {
                highest = highest.max(signal.score);
            }
            f32::INFINITY
        });
        f64::from(highest)
    };
    Ok(samples.packets(detector)?.map(|(row, _)| score(row)).collect())
}
