//! Attacks as wholes: which episodes were noticed, after what time, and how many events were false.
//!
//! - An *episode* is one attack: all anomalous packets of one name; without names, anomalous packets at most 60 s apart.
//! - It is *noticed* if one of its packets raises an alert.
//! - It has an *event of its own* if an event begins with one of its packets.
//! - An event is *false* if it begins with a normal packet outside of every episode.
//!
//! If packets are not known, rows of a table of scores are used instead.

use std::collections::HashMap;

use serde::Serialize;

use super::Confusion;
use crate::label::{Label, PacketLabels};
use crate::monitor::{EVENT_GAP_NS, Event, PacketRecords};
use crate::numeric::median;
use crate::scores::{ScoreRow, ScoreTable};

/// Anomalous packets without a name that are further apart in time than this, 60 s, are not one episode.
pub const EPISODE_GAP_NS: u64 = 60_000_000_000;

/// A packet or row: what the ground truth says of it, and what the detector says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation<'a> {
    /// The packet's number, where it is known.
    pub packet: Option<u64>,
    /// Capture time in nanoseconds since 1970.
    pub time_ns: Option<i64>,
    /// What the ground truth says.
    pub label: Label,
    /// What the ground truth calls the attack.
    pub name: Option<&'a str>,
    /// Whether the score is above the threshold.
    pub flagged: bool,
    /// Whether an event begins here.
    pub opens_event: bool,
}

impl<'a> Observation<'a> {
    /// The rows of a table, in the order of time if all have one; those with a score above `threshold` are flagged.
    ///
    /// Rows do not say which hosts take part, so an event begins with every flagged row that comes more than [`EVENT_GAP_NS`] after the
    /// flagged row before it.
    pub fn of_table(table: &ScoreTable, threshold: f64, truth: Option<&'a PacketLabels>) -> Vec<Observation<'a>> {
        let mut rows: Vec<ScoreRow> = table.rows().collect();
        if rows.iter().all(|row| row.time_ns.is_some()) {
            rows.sort_by_key(|row| row.time_ns);
        }
        let observation = |row: &ScoreRow| Observation {
            packet: row.first_packet,
            time_ns: row.time_ns,
            label: row.label,
            name: truth.zip(row.first_packet).and_then(|(truth, packet)| truth.attack(packet)),
            flagged: row.score > threshold,
            opens_event: false,
        };
        let mut observations: Vec<Observation> = rows.iter().map(observation).collect();
        let mut before: Option<usize> = None;
        for index in 0..observations.len() {
            if observations[index].flagged {
                let joins = before.is_some_and(|before| near(&observations, before, index, EVENT_GAP_NS));
                observations[index].opens_event = !joins;
                before = Some(index);
            }
        }
        observations
    }

    /// The packets of a detection that were kept.
    pub fn of_detection(records: &PacketRecords, events: &[Event], truth: &'a PacketLabels) -> Vec<Observation<'a>> {
        let mut openings: Vec<u64> = events.iter().filter_map(|event| event.packets.first().copied()).collect();
        openings.sort_unstable();
        let observation = |packet| Observation {
            packet: Some(packet),
            time_ns: Some(records.log.time_ns(packet)),
            label: truth.label(packet),
            name: truth.attack(packet),
            flagged: records.event(packet).is_some(),
            opens_event: openings.binary_search(&packet).is_ok(),
        };
        (1..=records.log.len() as u64).map(observation).collect()
    }
}

/// One attack or fault, and whether it was noticed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Episode {
    /// What the ground truth calls it.
    pub name: Option<String>,
    /// Capture time of its first packet or row, in nanoseconds since 1970.
    pub time_ns: Option<i64>,
    /// Its first anomalous packet, where packets are known.
    pub first_packet: Option<u64>,
    /// Its last anomalous packet.
    pub last_packet: Option<u64>,
    /// How many anomalous packets or rows it has.
    pub anomalous: u64,
    /// How many of them are flagged.
    pub flagged: u64,
    /// The first that is flagged, where packets are known.
    pub first_flagged_packet: Option<u64>,
    /// From its beginning to the first that is flagged, in seconds; `None` where it is not noticed or times are unknown.
    pub seconds_to_detect: Option<f64>,
    /// Whether an event begins with one of its packets.
    pub own_event: bool,
}

impl Episode {
    fn new(first: &Observation) -> Episode {
        Episode {
            name: first.name.map(str::to_owned),
            time_ns: first.time_ns,
            first_packet: first.packet,
            last_packet: first.packet,
            anomalous: 0,
            flagged: 0,
            first_flagged_packet: None,
            seconds_to_detect: None,
            own_event: false,
        }
    }

    fn add(&mut self, observation: &Observation) {
        self.last_packet = observation.packet;
        self.anomalous += 1;
        self.own_event |= observation.opens_event;
        if observation.flagged && !self.is_noticed() {
            self.first_flagged_packet = observation.packet;
            let times = self.time_ns.zip(observation.time_ns);
            self.seconds_to_detect = times.map(|(begin, alert)| begin.abs_diff(alert) as f64 / 1e9);
        }
        self.flagged += u64::from(observation.flagged);
    }

    /// Whether one of its packets raised an alert.
    pub fn is_noticed(&self) -> bool {
        self.flagged > 0
    }
}

/// How good alerts are, attack by attack.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpisodeMeasures {
    /// Episodes that were noticed.
    #[serde(rename = "found")]
    pub noticed: u64,
    /// Episodes that were not.
    pub missed: u64,
    /// Episodes with an event of their own.
    pub own_events: u64,
    /// Events that begin with a normal packet outside of every episode.
    #[serde(rename = "false_alarms")]
    pub false_events: u64,
    /// Noticed episodes among noticed episodes and false events.
    pub precision: Option<f64>,
    /// Noticed episodes among all.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// The recall to be expected of flagging packets at random, as often as normal ones are flagged: the mean of 1 − (1 − rate)^packets.
    pub recall_by_chance: Option<f64>,
    /// Median over the noticed episodes, in seconds.
    pub median_seconds_to_detect: Option<f64>,
    /// Hours from the first packet to the last, less those of attacks.
    pub normal_hours: Option<f64>,
    /// False events in an hour of normal traffic.
    #[serde(rename = "false_alarms_per_hour")]
    pub false_events_per_hour: Option<f64>,
    /// False events in a day of normal traffic.
    pub false_events_per_day: Option<f64>,
    /// Flagged packets or rows for each event.
    pub packets_per_event: Option<f64>,
    /// Flagged normal packets outside of episodes in an hour of normal traffic.
    pub false_positives_per_hour: Option<f64>,
}

/// Episodes, in the order of their first packets, and how good the alerts are. Observations must be in the order of time.
///
/// An episode with a name may pause: between two of its packets that are more than [`EPISODE_GAP_NS`] apart, traffic is outside of it.
pub fn episodes(observations: &[Observation]) -> (Vec<Episode>, EpisodeMeasures) {
    let episodes = collected(observations);
    let attacks = attack_ranges(observations);
    let is_outside = |index: usize| {
        let next = attacks.partition_point(|attack| attack.1 < index);
        attacks.get(next).is_none_or(|attack| index < attack.0)
    };
    let outside = observations.iter().enumerate().filter(|(index, _)| is_outside(*index));
    let normal = outside.filter(|(_, observation)| observation.label == Label::Normal);
    let (mut false_events, mut false_positives) = (0, 0);
    for (_, observation) in normal {
        false_events += u64::from(observation.opens_event);
        false_positives += u64::from(observation.flagged);
    }

    let noticed = episodes.iter().filter(|episode| episode.is_noticed()).count() as u64;
    let missed = episodes.len() as u64 - noticed;
    let confusion = Confusion {
        true_positives: noticed,
        false_positives: false_events,
        true_negatives: 0,
        false_negatives: missed,
    };
    let mut seconds: Vec<f64> = episodes.iter().filter_map(|episode| episode.seconds_to_detect).collect();
    let normal_hours = normal_hours(observations, &attacks);
    let per_hour = |count: u64| normal_hours.map(|hours| count as f64 / hours);
    let measures = EpisodeMeasures {
        noticed,
        missed,
        own_events: episodes.iter().filter(|episode| episode.own_event).count() as u64,
        false_events,
        precision: confusion.precision(),
        recall: confusion.recall(),
        f1: confusion.f1(),
        recall_by_chance: recall_by_chance(observations, &episodes),
        median_seconds_to_detect: median(&mut seconds),
        normal_hours,
        false_events_per_hour: per_hour(false_events),
        false_events_per_day: per_hour(24 * false_events),
        packets_per_event: packets_per_event(observations),
        false_positives_per_hour: per_hour(false_positives),
    };
    (episodes, measures)
}

fn collected(observations: &[Observation]) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    // Of each name, its latest episode and that episode's last observation.
    let mut latest: HashMap<Option<&str>, (usize, usize)> = HashMap::new();
    for (index, observation) in anomalous(observations) {
        let known = latest.get(&observation.name).copied();
        let joins = |last| observation.name.is_some() || near(observations, last, index, EPISODE_GAP_NS);
        let episode = known.filter(|(_, last)| joins(*last)).map_or(episodes.len(), |(episode, _)| episode);
        if episode == episodes.len() {
            episodes.push(Episode::new(observation));
        }
        episodes[episode].add(observation);
        latest.insert(observation.name, (episode, index));
    }
    episodes
}

fn anomalous<'o, 'a>(observations: &'o [Observation<'a>]) -> impl Iterator<Item = (usize, &'o Observation<'a>)> {
    observations.iter().enumerate().filter(|(_, observation)| observation.label == Label::Anomalous)
}

/// Whether two observations are at most `gap_ns` apart, or, where a time is unknown, neighbours.
fn near(observations: &[Observation], before: usize, index: usize, gap_ns: u64) -> bool {
    match (observations[before].time_ns, observations[index].time_ns) {
        (Some(before), Some(now)) => before.abs_diff(now) <= gap_ns,
        _ => before + 1 == index,
    }
}

/// First and last index of anomalous observations of one name without a gap of more than [`EPISODE_GAP_NS`]; those that overlap are one.
fn attack_ranges(observations: &[Observation]) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut latest: HashMap<Option<&str>, usize> = HashMap::new();
    for (index, observation) in anomalous(observations) {
        let known = latest.get(&observation.name).copied();
        match known.filter(|range| near(observations, ranges[*range].1, index, EPISODE_GAP_NS)) {
            Some(range) => ranges[range].1 = index,
            None => {
                latest.insert(observation.name, ranges.len());
                ranges.push((index, index));
            }
        }
    }
    ranges.sort_unstable();
    let mut separate: Vec<(usize, usize)> = Vec::new();
    for (first, last) in ranges {
        match separate.last_mut().filter(|range| first <= range.1) {
            Some(range) => range.1 = range.1.max(last),
            None => separate.push((first, last)),
        }
    }
    separate
}

fn packets_per_event(observations: &[Observation]) -> Option<f64> {
    let count = |is: fn(&&Observation) -> bool| observations.iter().filter(is).count() as f64;
    let (flagged, events) = (count(|observation| observation.flagged), count(|observation| observation.opens_event));
    (events > 0.0).then(|| flagged / events)
}

fn normal_hours(observations: &[Observation], attacks: &[(usize, usize)]) -> Option<f64> {
    let seconds = |first: usize, last: usize| {
        Some(observations[first].time_ns?.abs_diff(observations[last].time_ns?) as f64 / 1e9)
    };
    let all = seconds(0, observations.len().checked_sub(1)?)?;
    let attacked = attacks.iter().map(|(first, last)| seconds(*first, *last)).sum::<Option<f64>>()?;
    (all > attacked).then(|| (all - attacked) / 3600.0)
}

fn recall_by_chance(observations: &[Observation], episodes: &[Episode]) -> Option<f64> {
    let mut confusion = Confusion::default();
    for observation in observations {
        confusion.add(observation.label, observation.flagged);
    }
    let rate = confusion.false_positive_rate()?;
    let each = episodes.iter().map(|episode| 1.0 - (1.0 - rate).powf(episode.anomalous as f64));
    (!episodes.is_empty()).then(|| each.sum::<f64>() / episodes.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Anomalous, Normal, Unknown};

    /// A row at each time in seconds, above the threshold or not.
    fn table(rows: &[(i64, Label, bool)]) -> ScoreTable {
        let row = |(at, &(second, label, flagged)): (u64, &(i64, Label, bool))| ScoreRow {
            window: at,
            first_packet: Some(at + 1),
            last_packet: Some(at + 1),
            time_ns: (second >= 0).then_some(second * 1_000_000_000),
            score: f64::from(u8::from(flagged)),
            label,
        };
        (0..).zip(rows).map(row).collect()
    }

    fn measured(rows: &[(i64, Label, bool)]) -> (Vec<Episode>, EpisodeMeasures) {
        episodes(&Observation::of_table(&table(rows), 0.5, None))
    }

    /// Two attacks, of which normal traffic goes on during the first: one noticed after 3 s, one missed; two false events outside of
    /// them, and none of an alert during the first or soon after it.
    fn example() -> Vec<(i64, Label, bool)> {
        vec![
            (0, Normal, true),
            (5, Normal, true),
            (20, Normal, true),
            (3000, Anomalous, false),
            (3001, Normal, true),
            (3002, Unknown, true),
            (3003, Anomalous, true),
            (3012, Anomalous, true),
            (3020, Normal, true),
            (3600, Anomalous, false),
            (3612, Normal, false),
        ]
    }

    #[test]
    fn attacks_are_noticed_or_missed_as_wholes() {
        let (episodes, got) = measured(&example());
        assert_eq!((got.noticed, got.missed, got.own_events, got.false_events), (1, 1, 0, 2));
        assert_eq!((got.precision, got.recall, got.f1), (Some(1.0 / 3.0), Some(0.5), Some(0.4)));
        let first = &episodes[0];
        assert_eq!((first.first_packet, first.last_packet, first.anomalous, first.flagged), (Some(4), Some(8), 3, 2));
        assert_eq!((first.first_flagged_packet, first.seconds_to_detect), (Some(7), Some(3.0)));
        assert_eq!((got.median_seconds_to_detect, got.normal_hours), (Some(3.0), Some(1.0)));
        assert_eq!((got.false_events_per_hour, got.false_positives_per_hour), (Some(2.0), Some(4.0)));
    }

    #[test]
    fn an_event_belongs_to_the_packet_that_it_begins_with() {
        let (episodes, got) = measured(&[(0, Normal, true), (9, Anomalous, true), (90, Anomalous, true)]);
        assert_eq!((got.noticed, got.own_events, got.false_events), (2, 1, 1));
        assert_eq!([episodes[0].own_event, episodes[1].own_event], [false, true]);
    }

    #[test]
    fn a_perfect_detector_scores_1_and_one_of_opposite_sign_0() {
        let with = |flagged: fn(Label) -> bool| {
            let rows: Vec<_> =
                example().into_iter().map(|(second, label, _)| (second, label, flagged(label))).collect();
            let got = measured(&rows).1;
            (got.precision, got.recall, got.f1, got.own_events, got.false_events)
        };
        assert_eq!(with(|label| label == Anomalous), (Some(1.0), Some(1.0), Some(1.0), 2, 0));
        // Two events before the attacks, one during the first, one after it, one after the second.
        assert_eq!(with(|label| label == Normal), (Some(0.0), Some(0.0), Some(0.0), 0, 4));
    }

    #[test]
    fn names_join_what_is_far_apart_and_part_what_is_close() {
        let truth = "-1\n-1\n-1\n1,scan\n-1\n0\n1\n1,flood\n-1\n1,scan\n-1\n";
        let truth = PacketLabels::from_reader(std::path::Path::new("truth.csv"), truth.as_bytes()).unwrap();
        let (episodes, _) = episodes(&Observation::of_table(&table(&example()), 0.5, Some(&truth)));
        let named: Vec<_> = episodes.iter().map(|episode| (episode.name.as_deref(), episode.anomalous)).collect();
        assert_eq!(named, [(Some("scan"), 2), (None, 1), (Some("flood"), 1)]);
    }

    #[test]
    fn without_names_a_minute_parts_attacks() {
        let rows = [(0, Anomalous, true), (60, Anomalous, false), (121, Anomalous, false)];
        assert_eq!(measured(&rows).0.iter().map(|episode| episode.anomalous).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn without_times_neighbours_are_one_attack() {
        let (episodes, got) = measured(&[
            (-1, Anomalous, true),
            (-1, Anomalous, true),
            (-1, Normal, false),
            (-1, Normal, true),
            (-1, Anomalous, true),
        ]);
        assert_eq!((got.noticed, got.own_events, got.false_events, got.normal_hours), (2, 1, 1, None));
        assert_eq!((episodes[0].seconds_to_detect, got.false_events_per_hour), (None, None));
    }

    #[test]
    fn chance_notices_a_long_attack() {
        let mut rows: Vec<_> = (0..1000).map(|i| (i, Normal, i % 100 == 0)).collect();
        rows.extend((1000..1200).map(|i| (i, Anomalous, i == 1100)));
        let by_chance = measured(&rows).1.recall_by_chance.unwrap();
        assert!((by_chance - (1.0 - 0.99f64.powi(200))).abs() < 1e-12);
    }

    #[test]
    fn what_is_undefined_is_none() {
        let nothing = measured(&[]).1;
        assert_eq!((nothing.precision, nothing.recall, nothing.recall_by_chance), (None, None, None));
        assert_eq!(measured(&[(0, Normal, false)]).1.normal_hours, None);
    }
}
