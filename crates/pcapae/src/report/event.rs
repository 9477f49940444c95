//! Neighbouring alerts merged into events, which is what an analyst looks at.

use crate::bundle::Detection;
use crate::capture::headers::{Conversation, Endpoint};
use crate::label::Label;

/// Alerts of one host further apart than this, 10 s, are two events.
pub const EVENT_GAP_NS: i64 = 10_000_000_000;

/// Alerts that belong together: close in time and with one host in all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Numbers of the packets above the threshold, in order.
    pub packets: Vec<u64>,
    /// Capture time of the first of them, in nanoseconds since 1970.
    pub first_ns: i64,
    /// Capture time of the last of them, in nanoseconds since 1970.
    pub last_ns: i64,
    /// The packet with the highest score.
    pub peak_packet: u64,
    /// Its score.
    pub peak_score: f32,
    /// Its score as a multiple of the threshold.
    pub peak_multiple: f32,
    /// Who talked to whom in it.
    pub peak_conversation: Conversation,
    /// How many different hosts the event's host exchanged alerted packets with.
    pub peers: usize,
    /// How many of the packets are labelled anomalous; `None` where no label is known.
    pub anomalous: Option<usize>,
}

/// Merges the alerts of a detection into events, in the order of their first packets.
///
/// An alert joins the latest event whose host, the sender of the event's first packet, it comes from or goes to, if that event's
/// last packet is at most [`EVENT_GAP_NS`] away in time.
pub fn events(detection: &Detection) -> Vec<Event> {
    let mut open: Vec<Growing> = Vec::new();
    let mut closed: Vec<Growing> = Vec::new();
    let alerts = detection.scores.iter().filter(|(_, score)| detection.threshold.exceeded_by(*score));
    for (packet, score) in alerts {
        let time_ns = detection.packets.time_ns(packet);
        let talk = detection.packets.conversation(packet);
        let (source, destination) = (talk.source.host(), talk.destination.host());
        let (near, far): (Vec<Growing>, Vec<Growing>) =
            open.into_iter().partition(|event| time_ns.abs_diff(event.last_ns) <= EVENT_GAP_NS as u64);
        open = near;
        closed.extend(far);
        let joined = open.iter_mut().rev().find(|event| event.host == source || event.host == destination);
        match joined {
            Some(event) => event.add(packet, score, time_ns, if event.host == source { destination } else { source }),
            None => open.push(Growing::new(packet, score, time_ns, source, destination)),
        }
    }
    closed.extend(open);
    closed.sort_by_key(|event| event.packets[0]);
    closed.into_iter().map(|event| event.finish(detection)).collect()
}

/// An event to which alerts may still be added.
struct Growing {
    packets: Vec<u64>,
    host: Endpoint,
    peers: Vec<Endpoint>,
    first_ns: i64,
    last_ns: i64,
    peak: (u64, f32),
}

impl Growing {
    fn new(packet: u64, score: f32, time_ns: i64, host: Endpoint, peer: Endpoint) -> Growing {
        let (first_ns, last_ns, peak) = (time_ns, time_ns, (packet, score));
        Growing { packets: vec![packet], host, peers: vec![peer], first_ns, last_ns, peak }
    }

    fn add(&mut self, packet: u64, score: f32, time_ns: i64, peer: Endpoint) {
        self.packets.push(packet);
        self.last_ns = time_ns;
        if score > self.peak.1 {
            self.peak = (packet, score);
        }
        if let Err(place) = self.peers.binary_search(&peer) {
            self.peers.insert(place, peer);
        }
    }

    fn finish(self, detection: &Detection) -> Event {
        let labels: Vec<Label> = self.packets.iter().map(|&packet| detection.packets.label(packet)).collect();
        let labelled = labels.iter().any(|label| *label != Label::Unknown);
        let anomalous = labels.iter().filter(|label| **label == Label::Anomalous).count();
        let (peak_packet, peak_score) = self.peak;
        Event {
            first_ns: self.first_ns,
            last_ns: self.last_ns,
            peak_packet,
            peak_score,
            peak_multiple: detection.threshold.multiple(peak_score),
            peak_conversation: *detection.packets.conversation(peak_packet),
            peers: self.peers.len(),
            anomalous: labelled.then_some(anomalous),
            packets: self.packets,
        }
    }
}
