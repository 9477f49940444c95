//! How two inspections differ: what is in only one of them, and how far their distributions are apart.

use std::collections::BTreeSet;
use std::hash::Hash;

use serde::Serialize;

use super::byte_values::entropy;
use super::{Counts, Inspection, Traffic};

/// What a first and a second inspection do not have in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// How far distributions are apart.
    pub distances: Distances,
    /// Hosts in only one of them.
    pub hosts: [OnlyIn; 2],
    /// Pairs of hosts.
    #[serde(rename = "conversations")]
    pub host_pairs: [OnlyIn; 2],
    /// Services.
    pub services: [OnlyIn; 2],
    /// Lengths of packets.
    pub sizes: [OnlyIn; 2],
    /// False where one had more hosts, pairs of hosts or services than are counted: their differences may then be too large.
    pub is_complete: bool,
}

/// Jensen-Shannon divergences, in bits: [`divergence`]. 0 where packets are spread alike, 1 where nothing is common; `None` where one is empty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Distances {
    /// Over values of bytes.
    pub byte_values: Option<f64>,
    /// Over lengths of packets.
    pub sizes: Option<f64>,
    /// Over protocols.
    pub protocols: Option<f64>,
    /// Over services, by packets.
    pub services: Option<f64>,
    /// Over hosts, by packets.
    pub hosts: Option<f64>,
    /// Over pairs of hosts, by packets.
    #[serde(rename = "conversations")]
    pub host_pairs: Option<f64>,
}

/// What is in only one of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OnlyIn {
    /// How many different ones.
    pub different: usize,
    /// Their packets, of all packets that have one.
    pub packets: u64,
}

impl Comparison {
    /// Compares a first with a second inspection.
    pub fn of(first: &Inspection, second: &Inspection) -> Comparison {
        let sizes = |inspection: &Inspection| inspection.sizes.counts().collect::<Vec<_>>();
        let lengths =
            || sizes(first).into_iter().chain(sizes(second)).map(|(length, _)| length).collect::<BTreeSet<_>>();
        let size_pairs: Vec<(u64, u64)> =
            lengths().into_iter().map(|length| (first.sizes.of(length), second.sizes.of(length))).collect();
        let bytes = first.byte_values.counts().iter().copied().zip(second.byte_values.counts().iter().copied());
        let hosts = pairs(&first.hosts, &second.hosts);
        let host_pairs = pairs(&first.host_pairs, &second.host_pairs);
        let services = pairs(&first.services, &second.services);
        let complete = |inspection: &Inspection| {
            inspection.hosts.is_complete() && inspection.host_pairs.is_complete() && inspection.services.is_complete()
        };
        Comparison {
            distances: Distances {
                byte_values: divergence(&bytes.collect::<Vec<_>>()),
                sizes: divergence(&size_pairs),
                protocols: divergence(&pairs(&first.protocols, &second.protocols)),
                services: divergence(&services),
                hosts: divergence(&hosts),
                host_pairs: divergence(&host_pairs),
            },
            hosts: only_in(&hosts),
            host_pairs: only_in(&host_pairs),
            services: only_in(&services),
            sizes: only_in(&size_pairs),
            is_complete: complete(first) && complete(second),
        }
    }
}

/// The Jensen-Shannon divergence of two distributions, given as how often each key occurs in the first and in the second:
///
/// D = H(M) − (H(P) + H(Q)) / 2 with M = (P + Q) / 2 and H(P) = −Σ p log₂ p,
///
/// in bits: 0 for equal distributions, 1 where nothing occurs in both. `None` where one of them is empty.
///
/// # Source
/// Lin: *Divergence Measures Based on the Shannon Entropy*, 1991.
pub fn divergence(pairs: &[(u64, u64)]) -> Option<f64> {
    let all = pairs.iter().fold((0, 0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    if all.0 == 0 || all.1 == 0 {
        return None;
    }
    let first = || pairs.iter().map(|pair| pair.0 as f64 / all.0 as f64);
    let second = || pairs.iter().map(|pair| pair.1 as f64 / all.1 as f64);
    let middle = entropy(first().zip(second()).map(|(p, q)| (p + q) / 2.0));
    Some((middle - (entropy(first()) + entropy(second())) / 2.0).clamp(0.0, 1.0))
}

/// Packets in the first and in the second of everything that is in either, in its own order.
fn pairs<K: Eq + Hash + Ord + Copy>(first: &Counts<K>, second: &Counts<K>) -> Vec<(u64, u64)> {
    let keys = |counts: &Counts<K>| counts.ranked().into_iter().map(|(key, _)| key).collect::<BTreeSet<K>>();
    let packets = |traffic: Traffic| traffic.packets;
    keys(first).union(&keys(second)).map(|key| (packets(first.of(key)), packets(second.of(key)))).collect()
}

fn only_in(pairs: &[(u64, u64)]) -> [OnlyIn; 2] {
    let count = |packets: &mut dyn Iterator<Item = u64>| {
        packets.fold(OnlyIn { different: 0, packets: 0 }, |sum, packets| OnlyIn {
            different: sum.different + 1,
            packets: sum.packets + packets,
        })
    };
    [
        count(&mut pairs.iter().filter(|pair| pair.1 == 0).map(|pair| pair.0)),
        count(&mut pairs.iter().filter(|pair| pair.0 == 0).map(|pair| pair.1)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `scipy.spatial.distance.jensenshannon(p, q, base=2) ** 2` of p = [10, 40, 50, 0], q = [20, 20, 10, 50] is 0.3917601481809734.
    #[test]
    fn the_divergence_is_that_of_scipy() {
        let found = divergence(&[(10, 20), (40, 20), (50, 10), (0, 50)]).unwrap();
        assert!((found - 0.391_760_148_180_973_4).abs() < 1e-12, "{found}");
        assert_eq!(divergence(&[(1, 0), (0, 9)]), Some(1.0));
        assert_eq!((divergence(&[(1, 0)]), divergence(&[])), (None, None));
    }

    proptest! {
        /// The mean of the two Kullback-Leibler divergences from the middle, which is how it is also defined.
        #[test]
        fn the_divergence_is_the_mean_of_two(pairs in prop::collection::vec((0..50u64, 0..50u64), 1..20)) {
            let sums = pairs.iter().fold((0, 0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
            prop_assume!(sums.0 > 0 && sums.1 > 0);
            let shares = pairs.iter().map(|pair| (pair.0 as f64 / sums.0 as f64, pair.1 as f64 / sums.1 as f64));
            let part = |p: f64, q: f64| if p > 0.0 { p * (p / ((p + q) / 2.0)).log2() } else { 0.0 };
            let expected: f64 = shares.map(|(p, q)| (part(p, q) + part(q, p)) / 2.0).sum();
            let found = divergence(&pairs).unwrap();
            prop_assert!((found - expected).abs() < 1e-9, "{} {}", found, expected);
            let turned: Vec<_> = pairs.iter().map(|pair| (pair.1, pair.0)).collect();
            prop_assert!((found - divergence(&turned).unwrap()).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_in_only_one_is_counted() {
        let [first, second] = only_in(&[(3, 0), (2, 2), (0, 7), (0, 1)]);
        assert_eq!(first, OnlyIn { different: 1, packets: 3 });
        assert_eq!(second, OnlyIn { different: 2, packets: 8 });
    }
}
