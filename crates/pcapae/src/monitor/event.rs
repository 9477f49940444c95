//! Alerts merged into events by their cause, which is what an analyst looks at.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroUsize;

use lru::LruCache;

use super::{Alert, Finding};
use crate::capture::headers::Endpoint;
use crate::detectors::{Aspect, Margin};
use crate::label::Label;

/// Alerts further apart in time than this, 10 s, do not join one event by their hosts alone.
pub const EVENT_GAP_NS: u64 = 10_000_000_000;

/// Most packets of an event that are listed; further ones are counted.
pub const PACKETS_LISTED: usize = 1000;

/// Most packets of an event of which it is known what was found.
pub const ALERTS_KEPT: usize = 64;

/// Most causes of an event that are listed.
pub const CAUSES_LISTED: usize = 256;

/// Most hosts of an event that are told apart.
const HOSTS_COUNTED: usize = 1000;

/// Most causes that are remembered at a time; those not seen for longest are forgotten.
const CAUSES_REMEMBERED: usize = 65_536;

/// Most events that alerts may join by their hosts: the latest.
const EVENTS_OPEN: usize = 16;

/// Alerts of the same kinds at most this far apart are one event whoever takes part: a flood from forged addresses.
const SAME_KIND_GAP_NS: u64 = 1_000_000_000;

/// An event of more hosts takes all alerts that close.
const FLOOD_HOSTS: usize = 64;

const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: u64 = 86_400 * SECOND_NS;

/// Something new or unusual, and all packets that it explains.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number among all events of a detection, from 1, in the order of their first packets.
    pub number: usize,
    /// The reason in a sentence.
    pub reason: String,
    kind: (&'static str, &'static Aspect),
    /// The numbers of its packets in order, the one that opened it first, at most [`PACKETS_LISTED`].
    pub packets: Vec<u64>,
    /// How many packets it has.
    pub packet_count: u64,
    /// The last packet.
    pub last_packet: u64,
    /// Capture time of the first packet, in nanoseconds since 1970.
    pub first_ns: i64,
    /// Capture time of the last packet.
    pub last_ns: i64,
    /// What was found in the first [`ALERTS_KEPT`] packets.
    pub alerts: Vec<Alert>,
    /// The alert that the reason tells of: the one that opened the event, or one soon after that says more.
    pub told: Alert,
    /// The alert with the strongest finding.
    pub peak: Alert,
    /// What explains its packets, each with its highest score, at most [`CAUSES_LISTED`].
    pub causes: Vec<Finding>,
    /// Whether there are more causes than are listed.
    pub more_causes: bool,
    /// How often it came back after more than 10 s without a packet.
    pub recurrences: u64,
    /// The event in which the same cause was told before.
    pub again: Option<usize>,
    /// How many different hosts take part, up to 1,000.
    pub hosts: usize,
    /// How many of the packets are labelled anomalous; `None` where no label is known.
    pub anomalous: Option<u64>,
}

impl Event {
    /// What is worth a glance beside the reason: how many hosts take part, how often it came back, and which event had the same cause.
    pub fn remarks(&self) -> Vec<String> {
        let hosts = match self.hosts {
            0..=2 => None,
            HOSTS_COUNTED.. => Some(format!("more than {HOSTS_COUNTED} hosts take part")),
            hosts => Some(format!("{hosts} hosts take part")),
        };
        let recurrences = match self.recurrences {
            0 => None,
            1 => Some("came back once".to_owned()),
            times => Some(format!("came back {times} times")),
        };
        let again = self.again.map(|before| format!("as in event {before}"));
        [hosts, recurrences, again].into_iter().flatten().collect()
    }

    /// What it is: the detector and aspect that are told.
    pub fn kind(&self) -> (&'static str, &'static Aspect) {
        self.kind
    }
}

/// Merges alerts, which come in the order of their packets, into events.
///
/// A cause is what is new, or who talks to whom in an unusual way. A packet whose causes were all seen lately belongs to their event; lately is within a
/// minute where something is new, else within 20 s, twice as long each time the cause comes back later, at most a day: so
/// what recurs is told ever more seldom. A packet with another cause joins one of the latest events if a host takes part in all alerts
/// that opened or widened it, the last of them at most 10 s ago; or, at most 1 s away, if it is of the same kinds or more than 64 hosts
/// take part, as in a flood from forged addresses. Otherwise it opens an event; but where the 16 latest events all began in the last 10 s, it joins the latest.
///
/// Work is linear in the alerts. Memory: up to 65,536 causes and, of each event, 1,000 packet numbers, 64 alerts, 256 causes.
#[derive(Debug)]
pub struct EventMerger {
    causes: LruCache<u64, Cause>,
    events: Vec<OpenEvent>,
    latest: VecDeque<usize>,
}

/// A cause that was seen: in which event, when last, and how long it explains packets.
#[derive(Debug, Clone, Copy)]
struct Cause {
    event: usize,
    last_ns: i64,
    hold_ns: u64,
}

#[derive(Debug)]
struct OpenEvent {
    event: Event,
    /// When an alert that nothing explained came last.
    widened_ns: i64,
    opened_ns: i64,
    /// Hosts that take part in all alerts that opened or widened it.
    in_all: Vec<Endpoint>,
    hosts: BTreeSet<Endpoint>,
    kinds: Vec<(&'static str, &'static str)>,
    labelled: bool,
    anomalous: u64,
}

impl Default for EventMerger {
    fn default() -> Self {
        let remembered = NonZeroUsize::new(CAUSES_REMEMBERED).unwrap_or(NonZeroUsize::MIN);
        EventMerger { causes: LruCache::new(remembered), events: Vec::new(), latest: VecDeque::new() }
    }
}

impl EventMerger {
    /// Takes the next alert, and gives the number of the event that it belongs to.
    pub fn add(&mut self, alert: Alert) -> usize {
        let now = alert.time_ns;
        let explains = |cause: &Cause| cause.last_ns.abs_diff(now) <= cause.hold_ns;
        let known: Vec<Option<Cause>> =
            alert.findings.iter().map(|finding| self.causes.peek(&finding.cause).copied()).collect();
        let unexplained: Vec<Finding> = alert
            .findings
            .iter()
            .zip(&known)
            .filter(|(_, cause)| !cause.as_ref().is_some_and(explains))
            .map(|(finding, _)| *finding)
            .collect();
        let index = if unexplained.is_empty() {
            known.iter().flatten().map(|cause| cause.event).next().unwrap_or(0)
        } else {
            self.unexplained(&alert, &unexplained, known.iter().flatten().find(|cause| !explains(cause)))
        };
        for (finding, cause) in alert.findings.iter().zip(known) {
            let cause = match cause {
                Some(cause) if explains(&cause) => Cause { last_ns: now, ..cause },
                Some(cause) => Cause { event: index, last_ns: now, hold_ns: (cause.hold_ns * 2).min(DAY_NS) },
                None => Cause { event: index, last_ns: now, hold_ns: hold_ns(finding.aspect) },
            };
            self.causes.put(finding.cause, cause);
        }
        self.events[index].add(alert);
        index + 1
    }

    /// The event that an alert with unexplained findings joins or opens.
    fn unexplained(&mut self, alert: &Alert, findings: &[Finding], before: Option<&Cause>) -> usize {
        let joined = self.latest.iter().rev().copied().find(|index| self.events[*index].takes(alert, findings));
        let crowded = || {
            let oldest = self.latest.front().filter(|_| self.latest.len() == EVENTS_OPEN)?;
            let lately = self.events[*oldest].opened_ns.abs_diff(alert.time_ns) <= EVENT_GAP_NS;
            self.latest.back().copied().filter(|_| lately)
        };
        let index = joined.or_else(crowded).unwrap_or_else(|| {
            let again = before.map(|cause| cause.event + 1);
            self.events.push(OpenEvent::new(self.events.len() + 1, alert, &findings[0], again));
            if self.latest.len() == EVENTS_OPEN {
                self.latest.pop_front();
            }
            self.latest.push_back(self.events.len() - 1);
            self.events.len() - 1
        });
        self.events[index].widen(alert, findings);
        index
    }

    /// All events, in the order of their first packets.
    pub fn finish(self) -> Vec<Event> {
        self.events.into_iter().map(OpenEvent::finish).collect()
    }
}

/// For how long a cause explains packets when it is seen for the first time.
fn hold_ns(aspect: &Aspect) -> u64 {
    match aspect.margin {
        Margin::SecondHighest => 60 * SECOND_NS,
        Margin::Gumbel(_) => 20 * SECOND_NS,
    }
}

fn kind(finding: &Finding) -> (&'static str, &'static str) {
    (finding.detector, finding.aspect.name)
}

impl OpenEvent {
    fn new(number: usize, alert: &Alert, told: &Finding, again: Option<usize>) -> OpenEvent {
        let event = Event {
            number,
            reason: alert.sentence(told),
            kind: (told.detector, told.aspect),
            packets: Vec::new(),
            packet_count: 0,
            last_packet: alert.packet,
            first_ns: alert.time_ns,
            last_ns: alert.time_ns,
            alerts: Vec::new(),
            told: alert.clone(),
            peak: alert.clone(),
            causes: Vec::new(),
            more_causes: false,
            recurrences: 0,
            again,
            hosts: 0,
            anomalous: None,
        };
        OpenEvent {
            event,
            widened_ns: alert.time_ns,
            opened_ns: alert.time_ns,
            in_all: alert.takes_part().collect(),
            hosts: BTreeSet::new(),
            kinds: Vec::new(),
            labelled: false,
            anomalous: 0,
        }
    }

    fn takes(&self, alert: &Alert, findings: &[Finding]) -> bool {
        let gap = self.widened_ns.abs_diff(alert.time_ns);
        let same_kinds = || findings.iter().all(|finding| self.kinds.contains(&kind(finding)));
        let shares_host = || alert.takes_part().any(|host| self.in_all.contains(&host));
        let is_flood = || self.hosts.len() > FLOOD_HOSTS;
        (gap <= EVENT_GAP_NS && shares_host()) || (gap <= SAME_KIND_GAP_NS && (is_flood() || same_kinds()))
    }

    /// Takes what nothing explained before.
    fn widen(&mut self, alert: &Alert, findings: &[Finding]) {
        self.widened_ns = alert.time_ns;
        let taking_part: Vec<Endpoint> = alert.takes_part().collect();
        self.in_all.retain(|host| taking_part.contains(host));
        let best = findings.iter().min_by_key(|finding| finding.aspect.rank);
        if let Some(best) = best.filter(|best| best.aspect.rank < self.event.kind.1.rank) {
            self.event.reason = alert.sentence(best);
            self.event.kind = (best.detector, best.aspect);
            self.event.told = alert.clone();
        }
        for finding in findings {
            if !self.kinds.contains(&kind(finding)) {
                self.kinds.push(kind(finding));
            }
            if self.event.causes.iter().any(|known| known.cause == finding.cause) {
                continue;
            }
            if self.event.causes.len() < CAUSES_LISTED {
                self.event.causes.push(*finding);
            } else {
                self.event.more_causes = true;
            }
        }
    }

    fn add(&mut self, alert: Alert) {
        let event = &mut self.event;
        if event.packet_count > 0 && event.last_ns.abs_diff(alert.time_ns) > EVENT_GAP_NS {
            event.recurrences += 1;
        }
        event.packet_count += 1;
        event.last_packet = alert.packet;
        event.last_ns = alert.time_ns;
        if event.packets.len() < PACKETS_LISTED {
            event.packets.push(alert.packet);
        }
        if self.hosts.len() < HOSTS_COUNTED {
            self.hosts.extend(alert.hosts());
        }
        self.labelled |= alert.label != Label::Unknown;
        self.anomalous += u64::from(alert.label == Label::Anomalous);
        for finding in &alert.findings {
            let known = event.causes.iter_mut().find(|known| known.cause == finding.cause);
            if let Some(known) = known.filter(|known| known.score < finding.score) {
                (known.score, known.limit) = (finding.score, finding.limit);
            }
        }
        if alert.strength() > event.peak.strength() {
            event.peak = alert.clone();
        }
        if event.alerts.len() < ALERTS_KEPT {
            event.alerts.push(alert);
        }
    }

    fn finish(self) -> Event {
        Event { hosts: self.hosts.len(), anomalous: self.labelled.then_some(self.anomalous), ..self.event }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::calibration::Limit;
    use crate::capture::headers::Conversation;
    use crate::detectors::UnknownCell;
    use crate::monitor::alert::Told;
    use std::net::Ipv4Addr;

    static NEW_PAIR: Aspect = Aspect {
        name: "pair",
        title: "hosts that never spoke so",
        sentence: "{from} speaks {protocol} to {to}, which it never did",
        rank: 5,
        margin: Margin::SecondHighest,
        unknown_cell: UnknownCell::Highest,
    };
    static NEW_ADDRESS: Aspect = Aspect { name: "address", title: "address never seen", ..NEW_PAIR };
    static RARE_LENGTH: Aspect = Aspect { name: "length", margin: Margin::Gumbel(0.5), ..NEW_PAIR };

    fn conversation(packet: u64, source: [u8; 2], destination: [u8; 2]) -> Conversation {
        let port = Some(1000 + (packet % 50_000) as u16);
        let host = |[a, b]: [u8; 2]| Endpoint::Ip(Ipv4Addr::new(10, 0, a, b).into(), port);
        let (source, destination) = (host(source), host(destination));
        Conversation { source, destination, protocol: "TCP", service: None }
    }

    fn finding(aspect: &'static Aspect, cause: u64, score: f32) -> Finding {
        let limit = Limit { highest: 0.0, threshold: if aspect.margin == Margin::SecondHighest { 0.0 } else { 1.0 } };
        Finding { detector: "Novelty", aspect, score, limit, cell: 0, cause }
    }

    fn with_findings(packet: u64, time_ns: i64, hosts: [[u8; 2]; 2], findings: Vec<Finding>) -> Alert {
        let (conversation, told) = (conversation(packet, hosts[0], hosts[1]), Told::default());
        Alert { packet, time_ns, findings, conversation, told, label: Label::Unknown }
    }

    /// An alert at a time in seconds from host 10.0.0.`source` to host 10.0.0.`destination`, who never spoke so; each pair is a cause of its own. The
    /// score is the packet's number.
    pub fn alert(packet: u64, seconds: i64, source: u8, destination: u8) -> Alert {
        let cause = u64::from(source.min(destination)) << 8 | u64::from(source.max(destination));
        let hosts = [[0, source], [0, destination]];
        with_findings(packet, seconds * 1_000_000_000, hosts, vec![finding(&NEW_PAIR, cause, packet as f32)])
    }

    pub fn events(alerts: impl IntoIterator<Item = Alert>) -> Vec<Event> {
        let mut merger = EventMerger::default();
        let numbers: Vec<usize> = alerts.into_iter().map(|alert| merger.add(alert)).collect();
        let events = merger.finish();
        assert_eq!(events.iter().map(|event| event.packet_count).sum::<u64>(), numbers.len() as u64);
        assert!(events.iter().zip(1..).all(|(event, number)| event.number == number));
        events
    }

    fn merged(alerts: &[Alert]) -> Vec<Vec<u64>> {
        events(alerts.iter().cloned()).into_iter().map(|event| event.packets).collect()
    }

    /// One cause alone, of an aspect, in packets at these seconds.
    fn recurring(aspect: &'static Aspect, seconds: &[i64]) -> Vec<Event> {
        let alert = |(packet, second): (u64, &i64)| {
            with_findings(packet, second * 1_000_000_000, [[0, 1], [0, 2]], vec![finding(aspect, 7, 3.0)])
        };
        events((1..).zip(seconds).map(alert))
    }

    #[test]
    fn a_scan_from_one_host_and_the_answers_to_it_are_one_event() {
        let found = events([alert(1, 0, 9, 1), alert(2, 1, 9, 2), alert(3, 2, 2, 9), alert(4, 3, 9, 3)]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].hosts, found[0].peak.packet, found[0].peak.strength()), (4, 4, 5.0));
        assert_eq!((found[0].told.packet, found[0].causes.len(), found[0].alerts.len()), (1, 3, 4));
        assert_eq!(found[0].kind(), ("Novelty", &NEW_PAIR));
        assert_eq!(found[0].reason, "10.0.0.9 speaks TCP port 1001 to 10.0.0.1, which it never did");
        // The answer raised the score of a cause that was listed already.
        assert_eq!(found[0].causes[1].score, 3.0);
    }

    #[test]
    fn a_cause_explains_packets_as_long_as_it_comes_back_within_its_hold() {
        assert_eq!(recurring(&NEW_PAIR, &[0, 60, 120, 180])[0].packets, [1, 2, 3, 4]);
        assert_eq!(recurring(&RARE_LENGTH, &[0, 20, 40]).len(), 1);
        let parted = recurring(&RARE_LENGTH, &[0, 21]);
        assert_eq!((parted.len(), parted[1].again), (2, Some(1)));
        // Packets more than 10 s after the one before are recurrences, but told in the same event.
        let found = &recurring(&NEW_PAIR, &[0, 5, 50, 55, 100])[..];
        assert_eq!((found.len(), found[0].recurrences, found[0].packet_count), (1, 2, 5));
    }

    #[test]
    fn the_hold_doubles_each_time_a_cause_comes_back_later_up_to_a_day() {
        // A minute, then two, then four: 61 s and 122 s are too late, 240 s is not.
        let found = recurring(&NEW_PAIR, &[0, 61, 183, 423]);
        assert_eq!(found.iter().map(|event| event.packets.as_slice()).collect::<Vec<_>>(), [&[1][..], &[2], &[3, 4]]);
        assert_eq!(found.iter().map(|event| event.again).collect::<Vec<_>>(), [None, Some(1), Some(2)]);
        // Every day and a bit: in the end the hold is a day, and no longer, so that it is told again each time.
        let days: Vec<i64> = (0..20).map(|day| day * 86_401).collect();
        assert_eq!(recurring(&NEW_PAIR, &days).len(), 20);
        // Every 12 hours: after ten or eleven times it is not told any more.
        let half_days: Vec<i64> = (0..40).map(|half| half * 43_200).collect();
        assert_eq!(recurring(&NEW_PAIR, &half_days).len(), 11);
    }

    #[test]
    fn a_flood_from_forged_addresses_is_one_event_of_bounded_size() {
        const PACKETS: u64 = 20_000;
        let forged = |packet: u64| {
            let [.., high, low] = packet.to_be_bytes();
            let new = [finding(&NEW_ADDRESS, packet << 1, 1.0), finding(&NEW_PAIR, packet << 1 | 1, 1.0)];
            with_findings(packet, packet as i64 * 1000, [[high, low], [high ^ 0x80, low]], new.into())
        };
        let found = events((1..=PACKETS).map(forged));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].packet_count, found[0].last_packet, found[0].packets.len()),
            (PACKETS, PACKETS, PACKETS_LISTED)
        );
        assert_eq!(
            (found[0].alerts.len(), found[0].causes.len(), found[0].more_causes),
            (ALERTS_KEPT, CAUSES_LISTED, true)
        );
        assert_eq!(found[0].hosts, HOSTS_COUNTED);
    }

    #[test]
    fn causes_and_open_events_are_bounded() {
        let mut merger = EventMerger::default();
        for packet in 1..=(CAUSES_REMEMBERED as u64 + 5000) {
            // Two seconds apart, so that nothing joins; hosts of their own.
            let [.., a, b, c] = packet.to_be_bytes();
            let hosts = [[a ^ b, c], [a ^ b ^ 0x80, c]];
            merger.add(with_findings(
                packet,
                packet as i64 * 2_000_000_000,
                hosts,
                vec![finding(&NEW_PAIR, packet, 1.0)],
            ));
            assert!(merger.latest.len() <= EVENTS_OPEN);
        }
        assert_eq!(merger.causes.len(), CAUSES_REMEMBERED);
    }

    #[test]
    fn alerts_of_strangers_or_far_apart_are_events_of_their_own() {
        assert_eq!(merged(&[alert(1, 0, 1, 2), alert(2, 2, 3, 4), alert(3, 4, 2, 1)]), [vec![1, 3], vec![2]]);
        assert_eq!(merged(&[alert(1, 0, 1, 2), alert(2, 11, 1, 3)]), [[1], [2]]);
    }

    #[test]
    fn a_chain_of_neighbours_without_a_common_host_is_not_one_event() {
        assert_eq!(merged(&[alert(1, 0, 1, 2), alert(2, 2, 2, 3), alert(3, 4, 3, 4)]), [vec![1, 2], vec![3]]);
    }

    #[test]
    fn a_burst_of_strangers_is_no_more_than_16_events() {
        // Each of a kind of its own, so that nothing but the crowd joins them.
        const NAMES: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN";
        let stranger = |(packet, at): (u64, usize)| {
            let found = Finding { detector: &NAMES[at..=at], ..finding(&NEW_PAIR, packet, 1.0) };
            with_findings(packet, 0, [[1, packet as u8], [2, packet as u8]], vec![found])
        };
        assert_eq!(events((1..).zip(0..NAMES.len()).map(stranger)).len(), EVENTS_OPEN);
    }

    #[test]
    fn labels_are_counted_only_where_there_are_any() {
        let unknown = alert(1, 0, 1, 2);
        assert_eq!(events([unknown.clone()])[0].anomalous, None);
        let anomalous = Alert { label: Label::Anomalous, ..alert(2, 0, 1, 2) };
        assert_eq!(events([unknown, anomalous])[0].anomalous, Some(1));
    }

    #[test]
    fn time_that_runs_backwards_is_as_far_as_it_is_forwards() {
        assert_eq!(
            merged(&[alert(1, 100, 1, 2), alert(2, 41, 1, 2), alert(3, i64::MIN / 2_000_000_000, 1, 2)]).len(),
            2
        );
    }
}
