//! How surprising the length of a packet is: of this service between these hosts, of this service, of all.

use serde::{Deserialize, Serialize};

use super::signal::{Margin, SignalSink, UnknownCell, scores};
use super::token::{Counts, Tokens, token};
use super::{Aspect, Detector, PacketRow, Samples, Signal, SignalStream};
use crate::Result;
use crate::error::Fault;
use crate::named_arrays::NamedArrays;

const NAME: &str = "LengthBackOff";

/// The probability of a length that nothing is known of.
pub(super) const LEAST: f64 = 1.0 / 1000.0;

const ASPECTS: [Aspect; 1] = [Aspect {
    name: "length",
    title: "rare length",
    sentence: "{from} → {to} {protocol}: a rare length, {length} bytes",
    rank: Aspect::UNUSUAL,
    margin: Margin::Gumbel(0.7),
    unknown_cell: UnknownCell::Silent,
}];

/// It has no parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LengthBackOffConfig {}

/// −ln p of a packet's length on the wire, in nats, by back-off over three contexts: all packets, its service and direction, and these between its
/// two hosts. In each, p = (c + q) / (n + 1): c of the n packets of the context had this length, and q is p of the context before, 1/1000 of none.
///
/// # Source
/// Interpolated back-off, as in Moffat, *Implementing the PPM data compression scheme*, IEEE Transactions on Communications 1990 (escape
/// method A).
#[derive(Debug, Clone, PartialEq)]
pub struct LengthBackOff {
    config: LengthBackOffConfig,
    counts: Counts,
}

/// The contexts of a packet, each with the length in it.
fn contexts(tokens: &Tokens) -> [(u64, u64); 3] {
    let Tokens { group, one_way, length, .. } = *tokens;
    let of = |tag: u8, context: u64| (token(tag, [context]), token(tag, [context, length]));
    [of(64, 0), of(65, group), of(66, one_way)]
}

impl LengthBackOffConfig {
    /// There is nothing to refuse.
    pub fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Counts the lengths in `samples`, whose facts it looks at.
    pub fn fit(&self, samples: &Samples) -> Result<LengthBackOff> {
        let mut counts = Counts::default();
        for (row, block) in samples.packets(NAME)? {
            for (context, length) in contexts(&row.tokens) {
                counts.add(context, block);
                counts.add(length, block);
            }
        }
        Ok(LengthBackOff { config: self.clone(), counts })
    }
}

impl LengthBackOff {
    /// What it was fitted with.
    pub fn config(&self) -> &LengthBackOffConfig {
        &self.config
    }

    /// A detector from its arrays; says in a few words what is wrong with them. The width of rows does not matter to it.
    pub fn from_arrays(
        config: &LengthBackOffConfig,
        _width: usize,
        arrays: &NamedArrays,
    ) -> Result<LengthBackOff, Fault> {
        Ok(LengthBackOff { config: config.clone(), counts: Counts::from_arrays(arrays)? })
    }
}

impl Detector for LengthBackOff {
    fn score(&self, samples: &Samples) -> Result<Vec<f64>> {
        scores(&mut LengthStream(self), |_| true, NAME, samples)
    }

    fn numbers(&self) -> NamedArrays {
        let mut arrays = NamedArrays::default();
        self.counts.put(&mut arrays);
        arrays
    }

    fn aspects(&self) -> &'static [Aspect] {
        &ASPECTS
    }

    fn signals(&self) -> Option<Box<dyn SignalStream + '_>> {
        Some(Box::new(LengthStream(self)))
    }

    fn fit_further(&self, samples: &Samples) -> Result<Option<Box<dyn Detector>>> {
        let mut all = self.config.fit(samples)?;
        all.counts.merge(&self.counts);
        Ok(Some(Box::new(all)))
    }

    fn forget_blocks(&mut self) {
        self.counts.forget_blocks();
    }
}

/// It remembers nothing.
struct LengthStream<'a>(&'a LengthBackOff);

impl SignalStream for LengthStream<'_> {
    fn packet(&mut self, packet: PacketRow<'_>, held_out: Option<u32>, sink: &mut SignalSink<'_>) {
        let tokens = packet.tokens;
        let mut p = LEAST;
        for (context, length) in contexts(&tokens) {
            let [n, c] = [context, length].map(|token| f64::from(self.0.counts.get(token, held_out)));
            p = (c + p) / (n + 1.0);
        }
        sink(Signal { aspect: 0, cell: tokens.group, score: -p.ln() as f32, cause: tokens.conversation });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::headers::PacketFacts;
    use crate::detectors::Blocks;
    use crate::detectors::fixtures::{samples, signals, traffic};
    use proptest::prelude::*;

    /// By counting through all that was seen.
    fn expected(seen: &[PacketFacts], new: &PacketFacts) -> f64 {
        let to_service = |facts: &PacketFacts| match facts.service.port {
            0 => facts.sender() < facts.receiver(),
            _ => facts.direction == crate::capture::headers::Direction::ToService,
        };
        let group = |facts: &PacketFacts| (facts.service, to_service(facts));
        let hosts = |facts: &PacketFacts| (facts.sender(), facts.receiver());
        let alike: [&dyn Fn(&PacketFacts) -> bool; 3] = [&|_| true, &|seen| group(seen) == group(new), &|seen| {
            group(seen) == group(new) && hosts(seen) == hosts(new)
        }];
        let p = alike.iter().fold(1e-3, |p, is_alike| {
            let of_context: Vec<&PacketFacts> = seen.iter().filter(|seen| is_alike(seen)).collect();
            let of_length = of_context.iter().filter(|seen| seen.wire_length == new.wire_length).count();
            (of_length as f64 + p) / (of_context.len() as f64 + 1.0)
        });
        -f64::ln(p)
    }

    fn close(score: f32, expected: f64) -> bool {
        (f64::from(score) - expected).abs() < 1e-5
    }

    proptest! {
        #[test]
        fn scores_are_what_counting_gives_and_survive_their_numbers(seen in traffic(0..30), new in traffic(1..20)) {
            let fitted = LengthBackOffConfig::default().fit(&samples(&seen)).unwrap();
            let again = LengthBackOff::from_arrays(fitted.config(), 4, &fitted.numbers()).unwrap();
            for fitted in [fitted, again] {
                for (found, facts) in signals(&fitted, &samples(&new), 0.0, |_| None).iter().zip(&new) {
                    prop_assert!(found.len() == 1 && close(found[0].score, expected(&seen, facts)));
                }
            }
        }

        #[test]
        fn a_block_that_is_held_out_was_not_counted(all in traffic(3..40)) {
            let fitted = LengthBackOffConfig::default().fit(&samples(&all).in_blocks(3)).unwrap();
            let found = signals(&fitted, &samples(&all).in_blocks(3), 0.0, Some);
            let blocks = Blocks::new(all.len(), 3);
            for (row, found) in found.iter().enumerate() {
                let own = blocks.packets(blocks.block(row));
                let others = [&all[..own.start], &all[own.end..]].concat();
                prop_assert!(close(found[0].score, expected(&others, &all[row])));
            }
        }
    }

    #[test]
    fn numbers_of_strangers_are_refused() {
        let facts = crate::capture::headers::fixtures::packet(1, 2, 502, 60);
        let fitted = LengthBackOffConfig::default().fit(&samples(&[facts])).unwrap();
        let refused = |name: &str, values: Vec<f64>| {
            let mut arrays = fitted.numbers();
            arrays.put(name, values);
            LengthBackOff::from_arrays(fitted.config(), 4, &arrays).unwrap_err().to_string()
        };
        assert!(refused("counts", vec![1.0]).contains("`counts` has the shape"));
        for count in [-1.0, 0.5, 4_294_967_296.0] {
            assert!(refused("counts", [count].repeat(6)).starts_with("`counts`"), "{count}");
        }
        assert!(refused("tokens", vec![0.0; 12]).contains("`tokens` has the shape"));
    }
}
