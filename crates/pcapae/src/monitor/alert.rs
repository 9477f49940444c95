//! A packet that does not fit, and why.

use crate::calibration::Limit;
use crate::capture::headers::{Conversation, Direction, Endpoint, PacketFacts, service};
use crate::detectors::{Aspect, Margin};
use crate::label::Label;

/// What one detector found in a packet: a score above its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// The detector's name.
    pub detector: &'static str,
    /// Which of the things it watches.
    pub aspect: &'static Aspect,
    /// The score, in the detector's own unit.
    pub score: f32,
    /// What it exceeds.
    pub limit: Limit,
    /// Within what it was compared, as its service and direction: a hash, or 0 for all packets.
    pub cell: u64,
    /// What alerts for one and the same reason have in common: a hash of detector, aspect, and what is new or who talks to whom.
    pub cause: u64,
}

impl Finding {
    /// Detector and aspect: `Novelty/binding`.
    pub fn kind(&self) -> String {
        format!("{}/{}", self.detector, self.aspect.name)
    }

    /// How far the score exceeds what normal traffic reached, in margins: 1 at the threshold.
    pub fn strength(&self) -> f32 {
        self.limit.strength(self.score)
    }

    /// Up to which score the cause is taken as normal where it is accepted: this one and a margin; whatever the number, of things that are new.
    pub fn accepted_up_to(&self) -> f32 {
        match self.aspect.margin {
            Margin::SecondHighest => f32::MAX,
            Margin::Gumbel(_) => self.score + (self.limit.threshold - self.limit.highest).max(0.0),
        }
    }
}

/// A packet with findings.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its number, from 1.
    pub packet: u64,
    /// Its capture time in nanoseconds since 1970.
    pub time_ns: i64,
    /// What was found, at least one thing; first what is told first.
    pub findings: Vec<Finding>,
    /// Who talked to whom.
    pub conversation: Conversation,
    /// What else is told of the packet.
    pub told: Told,
    /// What the ground truth says.
    pub label: Label,
}

/// What a reason may name beside who talks to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// The sender's hardware address; of ARP the one that it claims.
    pub link: Option<[u8; 6]>,
    /// The sender's hardware address in normal traffic.
    pub was: Option<[u8; 6]>,
    /// Another host that had this hardware address in normal traffic.
    pub whose: Option<Endpoint>,
    /// The receiver's hardware address.
    pub to_link: Option<[u8; 6]>,
    /// Whether the packet goes to the one that serves.
    pub to_server: bool,
    /// Bytes on the wire; 0 where that is not known.
    pub length: u32,
}

impl Told {
    /// What its facts say of a packet.
    pub fn of(facts: &PacketFacts) -> Told {
        Told {
            link: facts.arp.map(|arp| arp.sender_hardware).or(facts.link_source),
            was: None,
            whose: None,
            to_link: facts.link_destination,
            to_server: facts.direction == Direction::ToService,
            length: facts.wire_length,
        }
    }
}

impl Alert {
    /// The strength of the strongest finding.
    pub fn strength(&self) -> f32 {
        self.findings.iter().map(Finding::strength).fold(0.0, f32::max)
    }

    /// What each detector contributed, in shares of 1, in the order of the detectors.
    pub fn shares(&self) -> Vec<(&'static str, f64)> {
        let mut shares: Vec<(&'static str, f64)> = Vec::new();
        for finding in &self.findings {
            let strength = f64::from(finding.strength().clamp(0.0, f32::MAX));
            match shares.iter_mut().find(|(name, _)| *name == finding.detector) {
                Some((_, share)) => *share = share.max(strength),
                None => shares.push((finding.detector, strength)),
            }
        }
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        shares.iter_mut().for_each(|(_, share)| *share /= sum.max(f64::MIN_POSITIVE));
        shares
    }

    /// The two hosts; one that has no IP address yet by its hardware address.
    pub(crate) fn hosts(&self) -> [Endpoint; 2] {
        let told = [self.told.link, self.told.to_link].map(|address| address.map(Endpoint::Mac));
        let ends = [self.conversation.source.host(), self.conversation.destination.host()];
        let host = |(end, hardware): (Endpoint, Option<Endpoint>)| match end {
            Endpoint::Ip(address, _) if address.is_unspecified() => hardware.unwrap_or(end),
            end => end,
        };
        [host((ends[0], told[0])), host((ends[1], told[1]))]
    }

    /// Who takes part: the two hosts, and hardware addresses that a finding names.
    pub(super) fn takes_part(&self) -> impl Iterator<Item = Endpoint> + '_ {
        let names = |part: &str| self.findings.iter().any(|finding| finding.aspect.sentence.contains(part));
        let named = [("{link}", self.told.link), ("{to-link}", self.told.to_link)];
        let hardware = named.into_iter().filter(move |(part, _)| names(part)).filter_map(|(_, address)| address);
        self.hosts().into_iter().chain(hardware.filter(|address| address[0] & 1 == 0).map(Endpoint::Mac))
    }

    /// The reason in a sentence: that of the first finding.
    pub fn reason(&self) -> String {
        self.findings.first().map_or_else(String::new, |finding| self.sentence(finding))
    }

    /// What a finding says of the packet, in a sentence.
    pub(super) fn sentence(&self, finding: &Finding) -> String {
        let conversation = &self.conversation;
        let [from, to] = self.hosts();
        let protocol = conversation.service.unwrap_or(conversation.protocol);
        let hardware = |address: Option<[u8; 6]>| match address {
            Some([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]) => "of all (broadcast)".to_owned(),
            address => address.map_or(Endpoint::Unknown, Endpoint::Mac).to_string(),
        };
        let told = &self.told;
        let values = [
            ("{from}", from.to_string()),
            ("{to}", to.to_string()),
            ("{server}", if told.to_server { to } else { from }.to_string()),
            ("{protocol}", port_named(conversation, protocol)),
            ("{service}", service_named(conversation)),
            ("{link}", hardware(told.link)),
            ("{whose}", told.whose.map_or_else(String::new, |host| format!(", that of {host}"))),
            ("{was}", told.was.map_or_else(|| "another".to_owned(), |was| hardware(Some(was)))),
            ("{to-link}", hardware(told.to_link)),
            ("{length}", told.length.to_string()),
            ("{score}", format!("{:.0}", finding.score)),
            ("{times}", times(finding)),
        ];
        values.iter().fold(finding.aspect.sentence.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// The service, or where it has no name the protocol with the lower port.
fn port_named(conversation: &Conversation, protocol: &str) -> String {
    match (conversation.service, lower_port(conversation)) {
        (None, Some(port)) => format!("{protocol} port {port}"),
        _ => protocol.to_owned(),
    }
}

/// The protocol with the lower port, and the name of the service that this port stands for.
fn service_named(conversation: &Conversation) -> String {
    match lower_port(conversation) {
        Some(port) => match service(port) {
            Some(name) => format!("{name} ({} port {port})", conversation.protocol),
            None => format!("{} port {port}", conversation.protocol),
        },
        None => conversation.protocol.to_owned(),
    }
}

fn lower_port(conversation: &Conversation) -> Option<u16> {
    match (conversation.source, conversation.destination) {
        (Endpoint::Ip(_, Some(source)), Endpoint::Ip(_, Some(destination))) => Some(source.min(destination)),
        _ => None,
    }
}

/// `40 times`, of a score that is a binary logarithm.
fn times(finding: &Finding) -> String {
    let times = f64::from(finding.score - finding.limit.highest).exp2();
    if times < 10.0 { format!("{times:.1} times") } else { format!("{times:.0} times") }
}
