//! Neighbouring alerts merged into events, which is what an analyst looks at.

use std::collections::BTreeSet;

use super::Alert;
use crate::calibration::Trigger;
use crate::capture::headers::Endpoint;
use crate::label::Label;

/// Alerts further apart in time than this, 10 s, are never one event.
pub const EVENT_GAP_NS: u64 = 10_000_000_000;

/// Alerts that belong together: close in time, and one host takes part in all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number among all events of a detection, from 1.
    pub number: usize,
    /// Numbers of the packets above the threshold, in order.
    pub packets: Vec<u64>,
    /// Capture time of the first of them, in nanoseconds since 1970.
    pub first_ns: i64,
    /// Capture time of the last of them, in nanoseconds since 1970.
    pub last_ns: i64,
    /// The alert with the highest score.
    pub peak: Alert,
    /// How many of the packets are alerts by themselves.
    pub by_packet: usize,
    /// How many are alerts by what their connections did lately; those by both count here and there.
    pub by_connection: usize,
    /// How many different hosts take part.
    pub hosts: usize,
    /// How many of the packets are labelled anomalous; `None` where no label is known.
    pub anomalous: Option<usize>,
}

/// Merges alerts, which come in the order of their packets, into events, in the order of their first packets, and numbers them.
///
/// An alert joins the latest event of which one host takes part in all alerts, this one included, if the event's last packet is
/// at most [`EVENT_GAP_NS`] away in time. So the packets of a scan from one host are one event, and those of a flood from
/// many forged addresses to one host are, too.
pub fn events(alerts: impl IntoIterator<Item = Alert>) -> Vec<Event> {
    let mut open: Vec<OpenEvent> = Vec::new();
    let mut closed: Vec<OpenEvent> = Vec::new();
    for alert in alerts {
        let is_near = |event: &OpenEvent| event.last_ns.abs_diff(alert.time_ns) <= EVENT_GAP_NS;
        let (near, far): (Vec<_>, Vec<_>) = open.into_iter().partition(is_near);
        open = near;
        closed.extend(far);
        match open.iter_mut().rev().find(|event| event.takes(&alert)) {
            Some(event) => event.add(&alert),
            None => open.push(OpenEvent::new(&alert)),
        }
    }
    closed.extend(open);
    closed.sort_by_key(|event| event.packets[0]);
    closed.into_iter().zip(1..).map(|(event, number)| event.finish(number)).collect()
}

/// An event to which alerts may still be added.
struct OpenEvent {
    packets: Vec<u64>,
    first_ns: i64,
    last_ns: i64,
    peak: Alert,
    /// Hosts that take part in all alerts so far: one or two.
    in_all: Vec<Endpoint>,
    hosts: BTreeSet<Endpoint>,
    by_packet: usize,
    by_connection: usize,
    labelled: bool,
    anomalous: usize,
}

fn hosts(alert: &Alert) -> [Endpoint; 2] {
    [alert.conversation.source.host(), alert.conversation.destination.host()]
}

impl OpenEvent {
    fn new(alert: &Alert) -> OpenEvent {
        let mut event = OpenEvent {
            packets: Vec::new(),
            first_ns: alert.time_ns,
            last_ns: alert.time_ns,
            peak: alert.clone(),
            in_all: hosts(alert).to_vec(),
            hosts: BTreeSet::new(),
            by_packet: 0,
            by_connection: 0,
            labelled: false,
            anomalous: 0,
        };
        event.add(alert);
        event
    }

    fn takes(&self, alert: &Alert) -> bool {
        hosts(alert).iter().any(|host| self.in_all.contains(host))
    }

    fn add(&mut self, alert: &Alert) {
        self.packets.push(alert.packet);
        self.last_ns = alert.time_ns;
        if alert.score > self.peak.score {
            self.peak = alert.clone();
        }
        self.in_all.retain(|host| hosts(alert).contains(host));
        self.hosts.extend(hosts(alert));
        self.by_packet += usize::from(alert.trigger != Trigger::Connection);
        self.by_connection += usize::from(alert.trigger != Trigger::Packet);
        self.labelled |= alert.label != Label::Unknown;
        self.anomalous += usize::from(alert.label == Label::Anomalous);
    }

    fn finish(self, number: usize) -> Event {
        Event {
            number,
            packets: self.packets,
            first_ns: self.first_ns,
            last_ns: self.last_ns,
            peak: self.peak,
            by_packet: self.by_packet,
            by_connection: self.by_connection,
            hosts: self.hosts.len(),
            anomalous: self.labelled.then_some(self.anomalous),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::capture::headers::Conversation;
    use std::net::Ipv4Addr;

    /// An alert at a time in seconds from host 10.0.0.`source` to host 10.0.0.`destination`, with a port of its own.
    pub fn alert(packet: u64, seconds: i64, source: u8, destination: u8) -> Alert {
        let host = |last| Endpoint::Ip(Ipv4Addr::new(10, 0, 0, last).into(), Some(1000 + packet as u16));
        let (source, destination) = (host(source), host(destination));
        let conversation = Conversation { source, destination, protocol: "TCP", service: None };
        Alert {
            packet,
            time_ns: seconds * 1_000_000_000,
            trigger: if packet.is_multiple_of(2) { Trigger::Both } else { Trigger::Connection },
            score: packet as f32,
            threshold: 2.0,
            p_value: 0.5,
            packet_score: packet as f32,
            connection_score: None,
            shares: Vec::new(),
            conversation,
            label: Label::Unknown,
        }
    }

    fn merged(alerts: &[Alert]) -> Vec<Vec<u64>> {
        events(alerts.iter().cloned()).into_iter().map(|event| event.packets).collect()
    }

    #[test]
    fn a_scan_from_one_host_and_the_answers_to_it_are_one_event() {
        let found = events([alert(1, 0, 9, 1), alert(2, 1, 9, 2), alert(3, 2, 2, 9), alert(4, 3, 9, 3)]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].hosts, found[0].peak.packet, found[0].peak.multiple()), (4, 4, 2.0));
        assert_eq!((found[0].by_packet, found[0].by_connection), (2, 4));
    }

    #[test]
    fn a_flood_from_forged_addresses_is_one_event() {
        assert_eq!(merged(&[alert(1, 0, 50, 1), alert(2, 0, 51, 1), alert(3, 0, 52, 1)]), [[1, 2, 3]]);
    }

    #[test]
    fn alerts_of_strangers_or_far_apart_are_events_of_their_own() {
        assert_eq!(merged(&[alert(1, 0, 1, 2), alert(2, 1, 3, 4), alert(3, 2, 2, 1)]), [vec![1, 3], vec![2]]);
        assert_eq!(merged(&[alert(1, 0, 1, 2), alert(2, 11, 1, 2)]), [[1], [2]]);
    }

    #[test]
    fn a_chain_of_neighbours_without_a_common_host_is_not_one_event() {
        assert_eq!(merged(&[alert(1, 0, 1, 2), alert(2, 0, 2, 3), alert(3, 0, 3, 4)]), [vec![1, 2], vec![3]]);
    }

    #[test]
    fn labels_are_counted_only_where_there_are_any() {
        let unknown = alert(1, 0, 1, 2);
        assert_eq!(events([unknown.clone()])[0].anomalous, None);
        let anomalous = Alert { label: Label::Anomalous, ..alert(2, 0, 1, 2) };
        assert_eq!(events([unknown, anomalous])[0].anomalous, Some(1));
    }
}
