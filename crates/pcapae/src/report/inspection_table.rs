//! What is in captures, as tables of texts: for terminals and for pages.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::hash::Hash;

use super::timestamp;
use crate::capture::headers::{Endpoint, SkipReason};
use crate::capture::{LinkType, Warning};
use crate::inspect::{COUNTED_MAX, Comparison, Counts, Inspection, OnlyIn};

/// Rows of a ranking.
const RANKS: usize = 12;
/// Further rows for what is in only one of two.
const ONLY_RANKS: usize = 8;
/// Gaps shown.
const GAPS: usize = 5;

/// A table. All rows have as many cells as the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectionTable {
    /// What it shows.
    pub title: String,
    /// What to know when reading it, as a sentence without a period.
    pub note: Option<String>,
    /// Names of the columns; the first one's cells are names, the others' numbers.
    pub header: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<String>>,
}

/// The tables of one inspection, or of two side by side. Panics without an inspection.
pub fn inspection_tables(inspections: &[&Inspection]) -> Vec<InspectionTable> {
    let mut tables = vec![overview(inspections)];
    if let [first, second] = inspections {
        tables.push(differences(&Comparison::of(first, second), first, second));
    }
    tables.extend([
        ranking("Protocols", inspections, |inspection| &inspection.protocols),
        ranking("Services", inspections, |inspection| &inspection.services),
        ranking("Hosts: packets sent or received", inspections, |inspection| &inspection.hosts),
        host_pairs(inspections),
        lengths(inspections),
        link_types(inspections),
        skipped(inspections),
        gaps(inspections),
    ]);
    tables.retain(|table| !table.rows.is_empty());
    tables
}

fn cells<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

/// `first` and `second`, where there are two.
fn sides<'a>(inspections: &[&'a Inspection]) -> Vec<(&'static str, &'a Inspection)> {
    ["first", "second"].into_iter().zip(inspections.iter().copied()).collect()
}

fn percent(part: u64, all: u64) -> String {
    if all == 0 { String::new() } else { format!("{:.2} %", 100.0 * part as f64 / all as f64) }
}

/// One column a side, or one that is called `name`.
fn header(first: &str, name: &str, inspections: &[&Inspection]) -> Vec<String> {
    match inspections {
        [_] => cells([first, name]),
        _ => cells([first, "first", "second"]),
    }
}

fn overview(inspections: &[&Inspection]) -> InspectionTable {
    type Value = fn(&Inspection) -> String;
    let values: [(&str, Value); 18] = [
        ("captures", captures),
        ("packets", |i| i.all.packets.to_string()),
        ("bytes", |i| i.all.bytes.to_string()),
        ("first packet (UTC)", |i| or_dash(i.captures.time_range_ns.map(|range| second(range.0)))),
        ("last packet (UTC)", |i| or_dash(i.captures.time_range_ns.map(|range| second(range.1)))),
        ("duration", |i| or_dash(i.seconds().map(duration))),
        ("packets a second", |i| or_dash(i.packets_per_second().map(|rate| format!("{rate:.1}")))),
        ("bits a second", |i| {
            let rate = i.seconds().filter(|seconds| *seconds > 0.0).map(|seconds| i.all.bytes as f64 * 8.0 / seconds);
            or_dash(rate.map(|rate| format!("{rate:.0}")))
        }),
        ("packet length, median", |i| or_dash(i.sizes.quantile(0.5).map(|length| length.to_string()))),
        ("packet length, mean", |i| or_dash(i.sizes.mean().map(|length| format!("{length:.1}")))),
        ("packet length, 5 % to 95 %", |i| {
            let range = i.sizes.quantile(0.05).zip(i.sizes.quantile(0.95));
            or_dash(range.map(|(low, high)| format!("{low} to {high}")))
        }),
        ("entropy of bytes, bits of 8", |i| or_dash(i.byte_values.entropy().map(|bits| format!("{bits:.3}")))),
        ("hosts", |i| different(&i.hosts)),
        ("pairs of hosts", |i| different(&i.host_pairs)),
        ("services", |i| different(&i.services)),
        ("longest gap", |i| or_dash(i.gaps.longest().first().map(|gap| duration(gap.nanoseconds as f64 / 1e9)))),
        ("packets older than the one before", |i| backwards(i).to_string()),
        ("captures cut or damaged", |i| {
            i.captures
                .warnings
                .iter()
                .filter(|warning| !matches!(warning, Warning::TimeBackwards { .. }))
                .count()
                .to_string()
        }),
    ];
    let row = |(name, value): (&str, Value)| {
        [name.to_owned()].into_iter().chain(inspections.iter().map(|inspection| value(inspection))).collect()
    };
    InspectionTable {
        title: "Overview".into(),
        note: None,
        header: header("", "value", inspections),
        rows: values.into_iter().map(row).collect(),
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".into())
}

fn captures(inspection: &Inspection) -> String {
    let name = |path: &std::path::Path| {
        path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
    };
    match inspection.captures.sources.as_slice() {
        [] => "–".into(),
        [only] => name(&only.path),
        [first, rest @ ..] => format!("{} and {} more", name(&first.path), rest.len()),
    }
}

fn second(time_ns: i64) -> String {
    timestamp(time_ns).replace('T', " ").chars().take(19).collect()
}

fn duration(seconds: f64) -> String {
    match seconds {
        0.0..1.0 => format!("{:.3} ms", seconds * 1e3),
        1.0..120.0 => format!("{seconds:.3} s"),
        120.0..7200.0 => format!("{:.1} min", seconds / 60.0),
        7200.0..172_800.0 => format!("{:.1} h", seconds / 3600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}

fn different<K: Eq + Hash + Ord + Copy>(counts: &Counts<K>) -> String {
    let more = if counts.is_complete() { "" } else { " and more" };
    format!("{}{more}", counts.different())
}

fn backwards(inspection: &Inspection) -> u64 {
    let counts = inspection.captures.warnings.iter().map(|warning| match warning {
        Warning::TimeBackwards { count, .. } => *count,
        _ => 0,
    });
    counts.sum()
}

fn differences(comparison: &Comparison, first: &Inspection, second: &Inspection) -> InspectionTable {
    let only = |only: OnlyIn, all: u64| format!("{} ({})", only.different, percent(only.packets, all));
    let far = |distance: Option<f64>| or_dash(distance.map(|distance| format!("{distance:.4}")));
    let (in_first, in_second) = (first.all.packets, second.all.packets);
    let row = |name: &str, distance, sides: Option<[OnlyIn; 2]>| match sides {
        Some([a, b]) => vec![name.to_owned(), far(distance), only(a, in_first), only(b, in_second)],
        None => vec![name.to_owned(), far(distance), String::new(), String::new()],
    };
    let distances = &comparison.distances;
    let beyond = if comparison.is_complete {
        ""
    } else {
        "; there were more hosts, pairs of hosts or services than are counted, so these may be too many"
    };
    InspectionTable {
        title: "Differences".into(),
        note: Some(format!(
            "D is the Jensen-Shannon divergence of the shares of packets (of bytes in the first row), H((P + Q) / 2) − (H(P) + H(Q)) / 2 in bits: 0 the same, 1 nothing in common{beyond}"
        )),
        header: cells(["", "D", "only in first", "only in second"]),
        rows: vec![
            row("values of bytes", distances.byte_values, None),
            row("lengths of packets", distances.sizes, Some(comparison.sizes)),
            row("protocols", distances.protocols, None),
            row("services", distances.services, Some(comparison.services)),
            row("hosts", distances.hosts, Some(comparison.hosts)),
            row("pairs of hosts", distances.host_pairs, Some(comparison.host_pairs)),
        ],
    }
}

/// A row per key with its packets on each side: those with the greatest shares, and the greatest of those in only one.
struct Ranks {
    names: Vec<String>,
    packets: Vec<Vec<u64>>,
    /// Packets of all keys, on each side.
    all: Vec<u64>,
    different: usize,
    /// Packets of keys that are not counted exactly.
    others: u64,
}

impl Ranks {
    fn of<K: Eq + Hash + Ord + Copy>(counts: &[&Counts<K>], all: Vec<u64>, name: impl Fn(K) -> String) -> Ranks {
        let keys: BTreeSet<K> = counts.iter().flat_map(|counts| counts.ranked()).map(|(key, _)| key).collect();
        let packets = |key: &K| counts.iter().map(|counts| counts.of(key).packets).collect::<Vec<u64>>();
        let rows = keys.into_iter().map(|key| (key, packets(&key))).collect();
        let others = counts.iter().map(|counts| counts.others().packets).sum();
        Ranks { others, ..Ranks::chosen(rows, all, name) }
    }

    fn chosen<K: Copy>(mut rows: Vec<(K, Vec<u64>)>, all: Vec<u64>, name: impl Fn(K) -> String) -> Ranks {
        let share = |packets: &[u64]| {
            packets.iter().zip(&all).map(|(packets, all)| *packets as f64 / (*all).max(1) as f64).fold(0.0, f64::max)
        };
        rows.sort_by(|a, b| share(&b.1).total_cmp(&share(&a.1)));
        let different = rows.len();
        let rest = rows.split_off(RANKS.min(rows.len()));
        rows.extend(rest.into_iter().filter(|(_, packets)| packets.len() > 1 && packets.contains(&0)).take(ONLY_RANKS));
        let (names, packets) = rows.into_iter().map(|(key, packets)| (name(key), packets)).unzip();
        Ranks { names, packets, all, different, others: 0 }
    }

    fn note(&self) -> Option<String> {
        let (shown, different) = (self.names.len(), self.different);
        let rest = match self.others {
            0 => String::new(),
            others => format!("; only the first {COUNTED_MAX} are counted one by one, {others} packets are of others"),
        };
        (shown < different || self.others > 0).then(|| format!("{shown} of {different} are shown{rest}"))
    }

    fn table(self, title: &str, first: &str) -> InspectionTable {
        let two = self.all.len() > 1;
        let header = match two {
            false => cells([first, "packets", "share"]),
            true => cells([first, "packets, first", "share", "packets, second", "share", "only in"]),
        };
        let note = self.note();
        let row = |(name, packets): (String, Vec<u64>)| {
            let mut row = vec![name];
            for (packets, all) in packets.iter().zip(&self.all) {
                row.extend([packets.to_string(), percent(*packets, *all)]);
            }
            if two {
                row.push(match packets.as_slice() {
                    [_, 0] => "first".into(),
                    [0, _] => "second".into(),
                    _ => String::new(),
                });
            }
            row
        };
        InspectionTable {
            title: title.into(),
            note,
            header,
            rows: self.names.into_iter().zip(self.packets).map(row).collect(),
        }
    }
}

fn all_packets(inspections: &[&Inspection]) -> Vec<u64> {
    inspections.iter().map(|inspection| inspection.all.packets).collect()
}

fn ranking<'a, K: Eq + Hash + Ord + Copy + Display + 'a>(
    title: &str,
    inspections: &[&'a Inspection],
    counts: fn(&'a Inspection) -> &'a Counts<K>,
) -> InspectionTable {
    let counts: Vec<&Counts<K>> = inspections.iter().map(|inspection| counts(inspection)).collect();
    Ranks::of(&counts, all_packets(inspections), |key| key.to_string()).table(title, "")
}

fn host_pairs(inspections: &[&Inspection]) -> InspectionTable {
    let counts: Vec<_> = inspections.iter().map(|inspection| &inspection.host_pairs).collect();
    let name = |[one, other]: [Endpoint; 2]| format!("{one} – {other}");
    Ranks::of(&counts, all_packets(inspections), name).table("Pairs of hosts: packets between the two", "")
}

fn lengths(inspections: &[&Inspection]) -> InspectionTable {
    let lengths = inspections.iter().flat_map(|inspection| inspection.sizes.counts()).map(|(length, _)| length);
    let packets = |length| inspections.iter().map(|inspection| inspection.sizes.of(length)).collect();
    let rows = lengths.collect::<BTreeSet<usize>>().into_iter().map(|length| (length, packets(length))).collect();
    let name = |length: usize| format!("{length} bytes");
    Ranks::chosen(rows, all_packets(inspections), name).table("Commonest lengths of packets", "")
}

fn link_types(inspections: &[&Inspection]) -> InspectionTable {
    let count = |inspection: &Inspection, link: LinkType| -> u64 {
        inspection.captures.sources.iter().filter_map(|source| source.link_types.get(&link)).sum()
    };
    let types = inspections
        .iter()
        .flat_map(|inspection| &inspection.captures.sources)
        .flat_map(|source| source.link_types.keys());
    let types: BTreeSet<LinkType> = types.copied().collect();
    let packets = |link| inspections.iter().map(|inspection| count(inspection, link)).collect();
    let rows = types.into_iter().map(|link| (link, packets(link))).collect();
    Ranks::chosen(rows, all_packets(inspections), |link: LinkType| link.to_string()).table("Link types", "")
}

fn skipped(inspections: &[&Inspection]) -> InspectionTable {
    let reasons: BTreeSet<_> = inspections.iter().flat_map(|inspection| inspection.skipped.0.keys().copied()).collect();
    let packets = |reason| inspections.iter().map(|i| i.skipped.0.get(&reason).copied().unwrap_or(0)).collect();
    let rows = reasons.into_iter().map(|reason| (reason, packets(reason))).collect();
    let name = |reason: SkipReason| reason.to_string();
    Ranks::chosen(rows, all_packets(inspections), name).table("Packets in no TCP or UDP flow, by reason", "")
}

fn gaps(inspections: &[&Inspection]) -> InspectionTable {
    let mut header = cells(["gap", "before packet", "until (UTC)"]);
    if inspections.len() > 1 {
        header.push("in".into());
    }
    let mut rows = Vec::new();
    for (side, inspection) in sides(inspections) {
        for gap in inspection.gaps.longest().iter().take(GAPS) {
            let length = duration(gap.nanoseconds as f64 / 1e9);
            let mut row = vec![length, gap.before_packet.to_string(), second(gap.until_ns)];
            if inspections.len() > 1 {
                row.push(side.into());
            }
            rows.push(row);
        }
    }
    InspectionTable { title: "Longest gaps between packets".into(), note: None, header, rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_cell_a_column() {
        let mut one = Inspection::default();
        one.protocols.add("TCP", crate::inspect::Traffic { packets: 3, bytes: 200 });
        one.all.add(60);
        one.sizes.add(60);
        let nothing = Inspection::default();
        for inspections in [vec![&nothing], vec![&one], vec![&one, &nothing], vec![&one, &one]] {
            let tables = inspection_tables(&inspections);
            assert!(tables.iter().all(|table| table.rows.iter().all(|row| row.len() == table.header.len())));
        }
        let tables = inspection_tables(&[&one, &nothing]);
        let protocols = tables.iter().find(|table| table.title == "Protocols").unwrap();
        assert_eq!(protocols.rows, [["TCP", "3", "300.00 %", "0", "", "first"]]);
    }

    #[test]
    fn durations_have_units() {
        let units = [0.5, 1.0, 119.0, 120.0, 7200.0, 172_800.0].map(duration);
        assert_eq!(units, ["500.000 ms", "1.000 s", "119.000 s", "2.0 min", "2.0 h", "2.0 days"]);
    }
}
