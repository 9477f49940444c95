//! An evaluation as people read it.

use comfy_table::Cell;
use pcapae::metrics::{Episode, EpisodeMeasures, Evaluation, Measures, Rate};
use pcapae::report::timestamp;

use super::dense_table::{align_right, dense_table};
use super::input::counted;

/// Attacks shown in the table.
const ATTACKS_MAX: usize = 40;
const UNDEFINED: &str = "undefined";

/// `4 of 10 attacks noticed after 0.3 s, 3 with an event of their own; 2 false events in 1.20 hours of normal traffic, 40.0 a day; 12.0 packets an
/// event`. Seconds are the median.
pub fn noticed(episodes: &EpisodeMeasures) -> String {
    let seconds = episodes.median_seconds_to_detect.map_or(String::new(), |seconds| format!(" after {seconds:.1} s"));
    let normal = episodes.normal_hours.map_or(String::new(), |hours| format!(" in {hours:.2} hours of normal traffic"));
    let per_day = episodes.false_events_per_day.map_or(String::new(), |rate| format!(", {rate:.1} a day"));
    format!(
        "{} of {} noticed{seconds}, {} with an event of their own; {}{normal}{per_day}; {} packets an event",
        episodes.noticed,
        counted(episodes.noticed + episodes.missed, "attack"),
        episodes.own_events,
        counted(episodes.false_events, "false event"),
        episodes.packets_per_event.map_or(UNDEFINED.into(), |packets| format!("{packets:.1}")),
    )
}

/// Threshold and false alarms, the measures, the attacks.
pub fn text(evaluation: &Evaluation) -> String {
    let parts = [threshold(evaluation), measures(evaluation), further(evaluation), attacks(&evaluation.attacks)];
    parts.iter().filter(|part| !part.is_empty()).map(|part| format!("{part}\n")).collect::<Vec<_>>().join("\n")
}

fn number(value: Option<f64>) -> String {
    value.map_or(UNDEFINED.into(), |value| format!("{value:.3}"))
}

fn percent(share: Option<f64>) -> String {
    share.map_or(UNDEFINED.into(), |share| format!("{:.3} %", share * 100.0))
}

fn threshold(evaluation: &Evaluation) -> String {
    let rates = &evaluation.false_alarms;
    let of = |rate: Rate, what: &str| {
        format!("  {:>11}  {what}: {} of {}", percent(rate.share()), rate.flagged, counted(rate.rows, "row"))
    };
    let mut lines = vec![format!("threshold {:.6} by {}", evaluation.threshold, evaluation.rule)];
    lines.push("false alarms".into());
    if let Some(wanted) = rates.wanted {
        lines.push(format!("  {:>11}  wanted", percent(Some(wanted))));
    }
    lines.extend((rates.calibration.rows > 0).then(|| of(rates.calibration, "of the calibration scores")));
    lines.extend(rates.check.map(|check| of(check, "of the further normal traffic")));
    lines.push(of(rates.evaluated, "of the normal rows evaluated"));
    lines.join("\n")
}

fn measures(evaluation: &Evaluation) -> String {
    type Value = fn(&Measures) -> String;
    let rows: [(&str, Value, Value); 12] = [
        ("true positives", |m| m.confusion.true_positives.to_string(), |m| m.confusion.anomalous().to_string()),
        ("misses", |m| m.confusion.false_negatives.to_string(), |_| "0".into()),
        ("false positives", |m| m.confusion.false_positives.to_string(), |m| m.confusion.normal().to_string()),
        ("true negatives", |m| m.confusion.true_negatives.to_string(), |_| "0".into()),
        ("precision", |m| number(m.precision), |m| number(m.flagging_everything.precision)),
        ("recall", |m| number(m.recall), |_| number(Some(1.0))),
        ("F1", |m| number(m.f1), |m| number(m.flagging_everything.f1)),
        ("false-positive rate", |m| percent(m.false_positive_rate), |_| percent(Some(1.0))),
        ("Matthews correlation", |m| number(m.matthews), |_| UNDEFINED.into()),
        ("average precision", |m| number(m.average_precision), |m| number(m.flagging_everything.average_precision)),
        ("area under ROC", |m| number(m.roc_auc), |m| number(m.flagging_everything.roc_auc)),
        ("base rate", |m| number(m.base_rate), |m| number(m.base_rate)),
    ];
    // Where every row is a packet, both columns would be the same.
    let packets = evaluation.packets.as_ref().filter(|packets| **packets != evaluation.rows);
    let units = match (packets, &evaluation.packets) {
        (Some(packets), _) => vec![("by row", &evaluation.rows), ("by packet", packets)],
        (None, Some(packets)) => vec![("by packet", packets)],
        (None, None) => vec![("by row", &evaluation.rows)],
    };
    let mut header = vec![String::new()];
    for (name, _) in &units {
        header.extend([(*name).to_owned(), "flagging all".into()]);
    }
    let mut table = dense_table(header);
    for (name, value, everything) in rows {
        let cells = units.iter().flat_map(|(_, measures)| [value(measures), everything(measures)]);
        table.add_row([name.to_owned()].into_iter().chain(cells));
    }
    align_right(&mut table, 1..=2 * units.len());
    let mut text = table.to_string();
    for (name, measures) in units {
        if measures.unlabelled > 0 {
            text += &format!("\n{name}: {} without a label count nowhere", measures.unlabelled);
        }
        if measures.unscored > 0 {
            text += &format!("\n{name}: {} without a score count as not flagged", measures.unscored);
        }
    }
    text
}

fn further(evaluation: &Evaluation) -> String {
    let (episodes, ranges) = (&evaluation.episodes, &evaluation.time_aware);
    let mut lines = vec![
        format!(
            "{}; precision {}, recall {}, F1 {}",
            noticed(episodes),
            number(episodes.precision),
            number(episodes.recall),
            number(episodes.f1),
        ),
        format!(
            "by chance {} would be noticed; in an hour of normal traffic: {} false positives",
            number(episodes.recall_by_chance),
            episodes.false_positives_per_hour.map_or(UNDEFINED.into(), |rate| format!("{rate:.1}")),
        ),
        format!("eTaP {}, eTaR {}, F1 of both {}", number(ranges.precision), number(ranges.recall), number(ranges.f1)),
    ];
    if let Some(volume) = evaluation.volume {
        lines.push(format!(
            "VUS-PR {} with buffers up to {} rows (the labels as scores: {})",
            number(volume.value),
            volume.buffer_max,
            number(volume.of_labels)
        ));
    }
    lines.join("\n")
}

/// What became of each attack; of very many, the first.
pub fn attacks(attacks: &[Episode]) -> String {
    let header = ["attack", "time (UTC)", "packets", "anomalous", "flagged", "share", "noticed", "own event"];
    let mut table = dense_table(header);
    for (attack, index) in attacks.iter().zip(1..=ATTACKS_MAX) {
        table.add_row(row(attack, index));
    }
    align_right(&mut table, 3..=6);
    match attacks.len().checked_sub(ATTACKS_MAX) {
        Some(more) if more > 0 => format!("{table}\n… and {more} attacks more; --json shows all"),
        _ => table.to_string(),
    }
}

fn row(attack: &Episode, index: usize) -> [Cell; 8] {
    let time =
        attack.time_ns.map_or(String::new(), |time| timestamp(time).replace('T', " ").chars().take(19).collect());
    let packets = match (attack.first_packet, attack.last_packet) {
        (Some(first), Some(last)) if first != last => format!("{first}–{last}"),
        (Some(first), _) => first.to_string(),
        _ => String::new(),
    };
    let noticed = match attack.seconds_to_detect {
        Some(seconds) => format!("after {seconds:.1} s"),
        None if attack.is_noticed() => "yes".into(),
        None => "no".into(),
    };
    [
        Cell::new(attack.name.clone().unwrap_or_else(|| format!("{index}"))),
        Cell::new(time),
        Cell::new(packets),
        Cell::new(attack.anomalous),
        Cell::new(attack.flagged),
        Cell::new(format!("{:.0} %", 100.0 * attack.flagged as f64 / attack.anomalous.max(1) as f64)),
        Cell::new(noticed),
        Cell::new(if attack.own_event { "yes" } else { "no" }),
    ]
}
