//! Attacks as wholes: which episodes were found, after what time, and how often there was a false alarm.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Confusion;
use crate::label::Label;

/// Rows of one kind that are further apart in time than this, 10 s, are never one episode. The gap of a report's events is the same.
pub const EPISODE_GAP_NS: u64 = 10_000_000_000;

/// A row or packet at its place in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Capture time in nanoseconds since 1970.
    pub time_ns: Option<i64>,
    /// What the ground truth says.
    pub label: Label,
    /// Whether the score is above the threshold.
    pub flagged: bool,
}

/// Moments of one kind, close in time. Moments of other kinds may lie between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spell {
    /// Index of the first.
    pub first: usize,
    /// Index of the last.
    pub last: usize,
    /// How many there are.
    pub moments: u64,
}

/// One attack or fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Episode {
    /// What the ground truth calls it.
    pub name: Option<String>,
    /// Index of its first anomalous moment.
    pub first: usize,
    /// Index of its last anomalous moment.
    pub last: usize,
    /// How many anomalous moments it has.
    pub anomalous: u64,
    /// How many of them are flagged; the episode is found if there is one.
    pub flagged: u64,
    /// Index of the first that is flagged.
    pub first_flagged: Option<usize>,
    /// From its beginning to the first alert, in seconds; `None` where it is missed or times are unknown.
    pub seconds_to_detect: Option<f64>,
}

/// How good alerts are, attack by attack.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventMeasures {
    /// All attacks, in the order of time; not in JSON, where places say nothing.
    #[serde(skip)]
    pub episodes: Vec<Episode>,
    /// Attacks with an alert.
    pub found: u64,
    /// Attacks without one.
    pub missed: u64,
    /// Spells of flagged normal moments outside of attacks.
    pub false_alarms: u64,
    /// Found attacks among found attacks and false alarms.
    pub precision: Option<f64>,
    /// Found attacks among all.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// The recall to be expected of flagging moments at random, as often as normal ones are flagged: the mean of 1 − (1 − rate)^moments.
    pub recall_by_chance: Option<f64>,
    /// Median over the found attacks, in seconds.
    pub median_seconds_to_detect: Option<f64>,
    /// Hours from the first moment to the last, less those of attacks.
    pub normal_hours: Option<f64>,
    /// Spells of false alarms in an hour of normal traffic.
    pub false_alarms_per_hour: Option<f64>,
    /// Flagged normal moments in an hour of normal traffic.
    pub false_positives_per_hour: Option<f64>,
}

/// Groups the moments that `belongs` chooses: two that follow each other are one spell if they are at most `gap_ns` apart in time, or, where
/// a time is unknown, if they are neighbours.
pub fn spells(moments: &[Moment], gap_ns: u64, belongs: impl Fn(usize, &Moment) -> bool) -> Vec<Spell> {
    let mut spells: Vec<Spell> = Vec::new();
    for (index, moment) in moments.iter().enumerate().filter(|(index, moment)| belongs(*index, moment)) {
        let joins = spells.last().is_some_and(|spell| match (moments[spell.last].time_ns, moment.time_ns) {
            (Some(before), Some(now)) => before.abs_diff(now) <= gap_ns,
            _ => spell.last + 1 == index,
        });
        match spells.last_mut() {
            Some(spell) if joins => (spell.last, spell.moments) = (index, spell.moments + 1),
            _ => spells.push(Spell { first: index, last: index, moments: 1 }),
        }
    }
    spells
}

/// Attacks and false alarms of moments, which must be in the order of time; those of unknown label are passed over.
///
/// An attack is all anomalous moments of one name, by `name_of` their index; those without a name are as many attacks as they have
/// [spells]. Flagged normal moments between the first and the last moment of a spell of anomalous ones are no false alarms here: they come
/// during an attack.
pub fn event_measures<'a>(
    moments: &[Moment],
    gap_ns: u64,
    name_of: impl Fn(usize) -> Option<&'a str>,
) -> EventMeasures {
    let attacks = spells(moments, gap_ns, |_, moment| moment.label == Label::Anomalous);
    let episodes = episodes(moments, &attacks, gap_ns, name_of);
    let during_attack = |index: usize| {
        let next = attacks.partition_point(|attack| attack.last < index);
        attacks.get(next).is_some_and(|attack| attack.first <= index)
    };
    let is_false =
        |index: usize, moment: &Moment| moment.flagged && moment.label == Label::Normal && !during_attack(index);
    let false_spells = spells(moments, gap_ns, is_false);

    let found = episodes.iter().filter(|episode| episode.flagged > 0).count() as u64;
    let missed = episodes.len() as u64 - found;
    let false_alarms = false_spells.len() as u64;
    let of_events =
        Confusion { true_positives: found, false_positives: false_alarms, true_negatives: 0, false_negatives: missed };
    let mut seconds: Vec<f64> = episodes.iter().filter_map(|episode| episode.seconds_to_detect).collect();
    let normal_hours = normal_hours(moments, &attacks);
    let per_hour = |count: u64| normal_hours.map(|hours| count as f64 / hours);
    EventMeasures {
        found,
        missed,
        false_alarms,
        precision: of_events.precision(),
        recall: of_events.recall(),
        f1: of_events.f1(),
        recall_by_chance: recall_by_chance(moments, &episodes),
        median_seconds_to_detect: median(&mut seconds),
        normal_hours,
        false_alarms_per_hour: per_hour(false_alarms),
        false_positives_per_hour: per_hour(false_spells.iter().map(|spell| spell.moments).sum()),
        episodes,
    }
}

fn episodes<'a>(
    moments: &[Moment],
    attacks: &[Spell],
    gap_ns: u64,
    name_of: impl Fn(usize) -> Option<&'a str>,
) -> Vec<Episode> {
    let mut named: BTreeMap<&str, Growing> = BTreeMap::new();
    for attack in attacks {
        for index in (attack.first..=attack.last).filter(|&index| moments[index].label == Label::Anomalous) {
            if let Some(name) = name_of(index) {
                named.entry(name).or_insert(Growing::at(index)).add(index, moments[index].flagged);
            }
        }
    }
    let nameless = |index: usize, moment: &Moment| moment.label == Label::Anomalous && name_of(index).is_none();
    let nameless = spells(moments, gap_ns, nameless).into_iter().map(|spell| {
        let mut growing = Growing::at(spell.first);
        for (index, moment) in moments.iter().enumerate().take(spell.last + 1).skip(spell.first) {
            if moment.label == Label::Anomalous && name_of(index).is_none() {
                growing.add(index, moment.flagged);
            }
        }
        growing.finish(None, moments)
    });
    let mut episodes: Vec<Episode> = nameless.collect();
    episodes.extend(named.into_iter().map(|(name, growing)| growing.finish(Some(name.to_owned()), moments)));
    episodes.sort_by_key(|episode| episode.first);
    episodes
}

struct Growing {
    first: usize,
    last: usize,
    anomalous: u64,
    flagged: u64,
    first_flagged: Option<usize>,
}

impl Growing {
    fn at(first: usize) -> Growing {
        Growing { first, last: first, anomalous: 0, flagged: 0, first_flagged: None }
    }

    fn add(&mut self, index: usize, flagged: bool) {
        self.last = index;
        self.anomalous += 1;
        if flagged {
            self.flagged += 1;
            self.first_flagged.get_or_insert(index);
        }
    }

    fn finish(self, name: Option<String>, moments: &[Moment]) -> Episode {
        let begin = moments[self.first].time_ns;
        let alert = self.first_flagged.and_then(|index| moments[index].time_ns);
        let seconds_to_detect = begin.zip(alert).map(|(begin, alert)| begin.abs_diff(alert) as f64 / 1e9);
        let Growing { first, last, anomalous, flagged, first_flagged } = self;
        Episode { name, first, last, anomalous, flagged, first_flagged, seconds_to_detect }
    }
}

fn normal_hours(moments: &[Moment], attacks: &[Spell]) -> Option<f64> {
    let seconds =
        |first: usize, last: usize| Some(moments[first].time_ns?.abs_diff(moments[last].time_ns?) as f64 / 1e9);
    let all = seconds(0, moments.len().checked_sub(1)?)?;
    let attacked = attacks.iter().map(|attack| seconds(attack.first, attack.last)).sum::<Option<f64>>()?;
    (all > attacked).then(|| (all - attacked) / 3600.0)
}

fn recall_by_chance(moments: &[Moment], episodes: &[Episode]) -> Option<f64> {
    let mut confusion = Confusion::default();
    for moment in moments {
        confusion.add(moment.label, moment.flagged);
    }
    let rate = confusion.false_positive_rate()?;
    let each = episodes.iter().map(|episode| 1.0 - (1.0 - rate).powf(episode.anomalous as f64));
    (!episodes.is_empty()).then(|| each.sum::<f64>() / episodes.len() as f64)
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    (n > 0).then(|| (values[(n - 1) / 2] + values[n / 2]) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Anomalous, Normal, Unknown};

    fn moment(second: i64, label: Label, flagged: bool) -> Moment {
        Moment { time_ns: Some(second * 1_000_000_000), label, flagged }
    }

    fn measured(moments: &[Moment]) -> EventMeasures {
        event_measures(moments, EPISODE_GAP_NS, |_| None)
    }

    /// Two attacks, of which normal traffic goes on during the first: one found after 3 s, one missed; two false alarms outside, one inside.
    fn example() -> Vec<Moment> {
        vec![
            moment(0, Normal, true),
            moment(5, Normal, true),
            moment(20, Normal, true),
            moment(3000, Anomalous, false),
            moment(3001, Normal, true),
            moment(3002, Unknown, true),
            moment(3003, Anomalous, true),
            moment(3012, Anomalous, true),
            moment(3600, Anomalous, false),
            moment(3612, Normal, false),
        ]
    }

    #[test]
    fn attacks_are_found_or_missed_as_wholes() {
        let got = measured(&example());
        assert_eq!((got.found, got.missed, got.false_alarms), (1, 1, 2));
        assert_eq!((got.precision, got.recall, got.f1), (Some(1.0 / 3.0), Some(0.5), Some(0.4)));
        let first = &got.episodes[0];
        assert_eq!(
            (first.first, first.last, first.anomalous, first.flagged, first.first_flagged),
            (3, 7, 3, 2, Some(6))
        );
        assert_eq!((first.seconds_to_detect, got.median_seconds_to_detect), (Some(3.0), Some(3.0)));
        assert_eq!(got.normal_hours, Some(1.0));
        assert_eq!((got.false_alarms_per_hour, got.false_positives_per_hour), (Some(2.0), Some(3.0)));
    }

    #[test]
    fn a_perfect_detector_scores_1_and_one_of_opposite_sign_0() {
        let with = |verdict: fn(Label) -> bool| {
            let moments: Vec<_> =
                example().into_iter().map(|moment| Moment { flagged: verdict(moment.label), ..moment }).collect();
            let got = measured(&moments);
            (got.precision, got.recall, got.f1, got.false_alarms_per_hour)
        };
        assert_eq!(with(|label| label == Anomalous), (Some(1.0), Some(1.0), Some(1.0), Some(0.0)));
        // Four normal moments, two of them within 10 s of each other, one during an attack.
        assert_eq!(with(|label| label == Normal), (Some(0.0), Some(0.0), Some(0.0), Some(3.0)));
    }

    #[test]
    fn names_join_what_is_far_apart_and_part_what_is_close() {
        let got = event_measures(&example(), EPISODE_GAP_NS, |index| [Some("scan"), None, Some("flood")][index % 3]);
        let named: Vec<_> = got.episodes.iter().map(|episode| (episode.name.as_deref(), episode.anomalous)).collect();
        assert_eq!(named, [(Some("scan"), 2), (None, 1), (Some("flood"), 1)]);
    }

    #[test]
    fn without_times_neighbours_are_one_attack() {
        let labels = [Anomalous, Anomalous, Normal, Anomalous];
        let moments: Vec<_> = labels.map(|label| Moment { time_ns: None, label, flagged: true }).into();
        let got = measured(&moments);
        assert_eq!((got.found, got.false_alarms, got.normal_hours), (2, 1, None));
        assert_eq!((got.episodes[0].seconds_to_detect, got.false_alarms_per_hour), (None, None));
    }

    #[test]
    fn chance_finds_a_long_attack() {
        let mut moments: Vec<_> = (0..1000).map(|i| moment(i, Normal, i % 100 == 0)).collect();
        moments.extend((1000..1200).map(|i| moment(i, Anomalous, i == 1100)));
        let by_chance = measured(&moments).recall_by_chance.unwrap();
        assert!((by_chance - (1.0 - 0.99f64.powi(200))).abs() < 1e-12);
    }

    #[test]
    fn what_is_undefined_is_none() {
        let nothing = measured(&[]);
        assert_eq!((nothing.precision, nothing.recall, nothing.recall_by_chance), (None, None, None));
        assert_eq!(measured(&[moment(0, Normal, false)]).normal_hours, None);
    }
}
