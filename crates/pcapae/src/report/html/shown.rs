//! Which events and alert packets are shown.

use std::collections::BTreeSet;

use crate::monitor::{Event, Wanted};

/// Most events in the table, the strongest.
const EVENTS_MAX: usize = 2000;

/// Maximum number of packets of an event that are shown beside the strongest: the first ones.
pub(super) const PACKETS_OF_EVENT: usize = 8;

/// Maximum number of packets over all events.
pub(super) const PACKETS_MAX: usize = 2000;

/// Maximum bytes of windows that are explained for a report, which bounds the time.
const EXPLAINED_BYTES_MAX: usize = 1 << 19;

/// Minimum number of packets that are explained, however long their windows are.
const EXPLAINED_LEAST: usize = 16;

/// The packets that a report shows in full: of every event the strongest and the first few, as far as there is room. Of them,
/// as many are explained as time allows, with windows of this many bytes.
pub fn packets_to_show(events: &[Event], window_size: usize) -> Wanted {
    let packets = ranked(events);
    let explained = (EXPLAINED_BYTES_MAX / window_size.max(1)).max(EXPLAINED_LEAST);
    Wanted { explained: packets.iter().take(explained).copied().collect(), shown: packets.into_iter().collect() }
}

/// The packets to show, the most important first.
fn ranked(events: &[Event]) -> Vec<u64> {
    let mut shown = strongest(events);
    shown.sort_by(|a, b| b.peak.strength().total_cmp(&a.peak.strength()));
    let mut packets: Vec<u64> = shown.iter().map(|event| event.peak.packet).collect();
    let mut wanted: BTreeSet<u64> = packets.iter().copied().collect();
    for rank in 0..PACKETS_OF_EVENT {
        for packet in shown.iter().filter_map(|event| event.packets.get(rank)) {
            if packets.len() >= PACKETS_MAX {
                return packets;
            }
            if wanted.insert(*packet) {
                packets.push(*packet);
            }
        }
    }
    packets
}

/// The strongest events, in the order of time.
pub(super) fn strongest(events: &[Event]) -> Vec<&Event> {
    let mut strongest: Vec<&Event> = events.iter().collect();
    strongest.sort_by(|a, b| b.peak.strength().total_cmp(&a.peak.strength()));
    strongest.truncate(EVENTS_MAX);
    strongest.sort_by_key(|event| event.packets.first());
    strongest
}
