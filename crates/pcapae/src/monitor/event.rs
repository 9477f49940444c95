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
const HOSTS_COUNTED: usize = 1024;

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
    /// How many different hosts take part, up to 1,024.
    pub hosts: usize,
    /// How many of the packets are labelled anomalous; `None` where no label is known.
    pub anomalous: Option<u64>,
}

impl Event {
    /// What it is: the detector and aspect that are told.
    pub fn kind(&self) -> (&'static str, &'static Aspect) {
        // An event has at least the alert that opened it, and an alert at least one finding.
        self.causes
            .first()
            .map_or((crate::residual::AUTOENCODER, &Aspect::SCORE), |first| (first.detector, first.aspect))
    }

    /// Whom the alert that opened it is about.
    pub fn opening(&self) -> &Alert {
        self.alerts.first().unwrap_or(&self.peak)
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
            self.unexplained(&alert, &unexplained, known.iter().flatten().next())
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
            packets: Vec::new(),
            packet_count: 0,
            last_packet: alert.packet,
            first_ns: alert.time_ns,
            last_ns: alert.time_ns,
            alerts: Vec::new(),
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
            in_all: alert.hosts().to_vec(),
            hosts: BTreeSet::new(),
            kinds: Vec::new(),
            labelled: false,
            anomalous: 0,
        }
    }

    fn takes(&self, alert: &Alert, findings: &[Finding]) -> bool {
        let gap = self.widened_ns.abs_diff(alert.time_ns);
        let same_kinds = || findings.iter().all(|finding| self.kinds.contains(&kind(finding)));
        let shares_host = || alert.hosts().iter().any(|host| self.in_all.contains(host));
        let is_flood = || self.hosts.len() > FLOOD_HOSTS;
        (gap <= EVENT_GAP_NS && shares_host()) || (gap <= SAME_KIND_GAP_NS && (is_flood() || same_kinds()))
    }

    /// Takes what nothing explained before.
    fn widen(&mut self, alert: &Alert, findings: &[Finding]) {
        self.widened_ns = alert.time_ns;
        self.in_all.retain(|host| alert.hosts().contains(host));
        for finding in findings {
            if !self.kinds.contains(&kind(finding)) {
                self.kinds.push(kind(finding));
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
