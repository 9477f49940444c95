//! Why a packet is in no flow, and how many are for which reason.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason why a packet is in no flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// Its link type is not one whose headers are known.
    LinkType,
    /// It carries no IP: ARP, LLDP, PROFINET, LLC.
    NotIp,
    /// It carries IPv6, which the original skipped. Only [`transport_compat`](super::Dissection::transport_compat) says so.
    Ipv6,
    /// It carries IP, but neither TCP nor UDP.
    OtherProtocol,
    /// It is a fragment of an IP packet and not the first, so that it has no ports.
    LaterFragment,
    /// A header contradicts itself, or ends before its end though the whole packet was captured.
    Malformed,
    /// Fewer bytes were captured than the headers take.
    Cut,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::LinkType => "link type not supported",
            SkipReason::NotIp => "not IP",
            SkipReason::Ipv6 => "IPv6",
            SkipReason::OtherProtocol => "neither TCP nor UDP",
            SkipReason::LaterFragment => "later IP fragment",
            SkipReason::Malformed => "malformed",
            SkipReason::Cut => "cut short by the capture",
        })
    }
}

/// Skipped packets, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SkipCounts(pub BTreeMap<SkipReason, u64>);

impl SkipCounts {
    /// Counts one packet.
    pub fn count(&mut self, reason: SkipReason) {
        *self.0.entry(reason).or_default() += 1;
    }

    /// All skipped packets.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for SkipCounts {
    /// `12 not IP, 3 malformed`; `none` where there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, (reason, count)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{count} {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_show_and_survive_json() {
        let mut counts = SkipCounts::default();
        assert_eq!(counts.to_string(), "none");
        for reason in [SkipReason::Malformed, SkipReason::NotIp, SkipReason::NotIp] {
            counts.count(reason);
        }
        assert_eq!((counts.to_string().as_str(), counts.total()), ("2 not IP, 1 malformed", 3));
        let text = serde_json::to_string(&counts).unwrap();
        assert_eq!(text, r#"{"not_ip":2,"malformed":1}"#);
        assert_eq!(serde_json::from_str::<SkipCounts>(&text).unwrap(), counts);
    }
}
