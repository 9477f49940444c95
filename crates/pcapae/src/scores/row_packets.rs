//! Which packets the rows of a table hold, and from that a score a packet.

use std::fmt;
use std::ops::RangeInclusive;

use super::{Column, ScoreRow, ScoreTable};
use crate::label::{Label, PacketLabels};

/// The further column that lists the packets of a row where they are not all from the first to the last.
pub const PACKETS_COLUMN: &str = "packets";

/// Most packet numbers from the lowest to the highest of a table, 2^27: more would need gigabytes.
const SPAN_MAX: u64 = 1 << 27;
/// Most packets of all rows together, those of overlapping windows counted as often as they are held.
const HELD_MAX: u64 = 1 << 32;

/// Why it is not known which packets the rows hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPackets {
    /// A row, by its index from 0, has no `first_packet`.
    Unnumbered(usize),
    /// Windows of several conversations lie across each other, so that a row does not hold all packets from its first to its last.
    Interleaved,
    /// A row, by its index from 0, has something else in its cell of [`PACKETS_COLUMN`].
    NoList(usize),
    /// More packets than are looked at.
    TooMany,
}

/// The packets of each row of a table.
#[derive(Debug, Clone, Copy)]
pub struct RowPackets<'a> {
    table: &'a ScoreTable,
    lists: Option<&'a Column>,
    lowest: u64,
    highest: u64,
}

impl fmt::Display for NoPackets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoPackets::Unnumbered(row) => write!(f, "row {} has no first_packet", row + 1),
            NoPackets::Interleaved => {
                f.write_str("windows lie across each other, and no column packets lists what each holds")
            }
            NoPackets::NoList(row) => write!(f, "row {} does not list its packets as in \"3-5 9\"", row + 1),
            NoPackets::TooMany => write!(f, "the rows hold more than {SPAN_MAX} packets"),
        }
    }
}

impl<'a> RowPackets<'a> {
    /// Finds out which packets each row holds: those that the column [`PACKETS_COLUMN`] lists, as numbers and ranges with spaces between
    /// (`3-5 9`); without such a column, all from the first to the last, if rows of several packets come in the order of their packets.
    ///
    /// # Errors
    ///
    /// The rows do not say which packets they hold, or hold too many: see [`NoPackets`].
    pub fn of(table: &'a ScoreTable) -> Result<RowPackets<'a>, NoPackets> {
        let lists = table.column(PACKETS_COLUMN);
        let mut packets = RowPackets { table, lists, lowest: u64::MAX, highest: 0 };
        let mut held = 0u64;
        for row in 0..table.len() {
            match lists {
                Some(lists) if !is_list(lists.text(row)) => return Err(NoPackets::NoList(row)),
                None if table.row(row).first_packet.is_none() => return Err(NoPackets::Unnumbered(row)),
                _ => {}
            }
            for range in packets.ranges(row) {
                packets.lowest = packets.lowest.min(*range.start());
                packets.highest = packets.highest.max(*range.end());
                held = held.saturating_add((range.end() - range.start()).saturating_add(1));
            }
        }
        if lists.is_none() && is_interleaved(table) {
            return Err(NoPackets::Interleaved);
        }
        let span = packets.highest.saturating_sub(packets.lowest);
        if span >= SPAN_MAX || held > HELD_MAX || packets.highest == u64::MAX {
            return Err(NoPackets::TooMany);
        }
        Ok(packets)
    }

    /// Numbers of the packets of a row, by its index from 0.
    pub fn ranges(&self, row: usize) -> impl Iterator<Item = RangeInclusive<u64>> + use<'a> {
        let listed = self.lists.map_or("", |lists| lists.text(row)).split_whitespace().filter_map(range);
        listed.chain(if self.lists.is_some() { None } else { whole(&self.table.row(row)) })
    }

    /// The highest number of a packet; 0 without rows.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// A table with a row a packet: its score and `window` are those of its highest window, its time is when the last window up to it begins.
    ///
    /// A packet is normal if one of its windows is, since in a normal window all packets are normal; it is anomalous if its windows are. So
    /// a normal packet that shares all its windows with anomalous ones counts as anomalous; only a ground truth knows better.
    pub fn table(&self) -> ScoreTable {
        let span = (self.highest + 1).saturating_sub(self.lowest) as usize;
        let mut packets = vec![Packet { row: None, label: Label::Unknown }; span];
        let scores = self.table.scores();
        for (row, &label) in self.table.labels().iter().enumerate() {
            for range in self.ranges(row) {
                let (first, last) = ((range.start() - self.lowest) as usize, (range.end() - self.lowest) as usize);
                for packet in &mut packets[first..=last] {
                    if packet.row.is_none_or(|worst| scores[row] > scores[worst as usize]) {
                        packet.row = Some(row as u32);
                    }
                    packet.label = match (packet.label, label) {
                        (Label::Normal, _) | (_, Label::Unknown) => packet.label,
                        _ => label,
                    };
                }
            }
        }
        self.rows_of(&packets)
    }

    fn rows_of(&self, packets: &[Packet]) -> ScoreTable {
        let begins = |row: ScoreRow| row.first_packet.zip(row.time_ns);
        let mut starts: Vec<(u64, i64)> = self.table.rows().filter_map(begins).collect();
        starts.sort_unstable();
        let mut starts = starts.into_iter().peekable();
        let mut time_ns = None;
        let mut table = ScoreTable::new();
        for (packet, number) in packets.iter().zip(self.lowest..) {
            while let Some((_, time)) = starts.next_if(|(first, _)| *first <= number) {
                time_ns = Some(time);
            }
            if let Some(worst) = packet.row {
                let worst = self.table.row(worst as usize);
                let (first_packet, last_packet) = (Some(number), Some(number));
                table.push(ScoreRow { first_packet, last_packet, time_ns, label: packet.label, ..worst });
            }
        }
        table
    }

    /// The labels of the rows by a ground truth: anomalous if one of a row's packets is, normal if all are.
    pub fn labels(&self, truth: &PacketLabels) -> Vec<Label> {
        let of_row = |row| {
            let labels = || self.ranges(row).flatten().map(|packet| truth.label(packet));
            if labels().any(|label| label == Label::Anomalous) {
                return Label::Anomalous;
            }
            if labels().all(|label| label == Label::Normal) { Label::Normal } else { Label::Unknown }
        };
        (0..self.table.len()).map(of_row).collect()
    }
}

/// What is known of a packet so far.
#[derive(Clone, Copy)]
struct Packet {
    /// The row with the highest score among those that hold it.
    row: Option<u32>,
    label: Label,
}

fn whole(row: &ScoreRow) -> Option<RangeInclusive<u64>> {
    let first = row.first_packet?;
    Some(first..=row.last_packet.unwrap_or(first))
}

/// True if rows of several packets come in another order than their packets.
fn is_interleaved(table: &ScoreTable) -> bool {
    let ranges = || table.rows().filter_map(|row| whole(&row));
    let single = ranges().all(|range| range.start() == range.end());
    !single && !ranges().is_sorted_by(|a, b| a.start() <= b.start() && a.end() <= b.end())
}

/// Numbers of packets as [`PACKETS_COLUMN`] lists them, in rising order: `3-5 9`.
pub fn packet_list(mut packets: Vec<u64>) -> String {
    packets.sort_unstable();
    packets.dedup();
    let runs = packets.chunk_by(|before, next| before + 1 == *next);
    let part = |run: &[u64]| match run {
        [.., last] if run.len() > 1 => format!("{}-{last}", run[0]),
        _ => run[0].to_string(),
    };
    runs.map(part).collect::<Vec<_>>().join(" ")
}

fn is_list(text: &str) -> bool {
    let mut parts = text.split_whitespace().peekable();
    parts.peek().is_some() && parts.all(|part| range(part).is_some())
}

/// `3` or `3-5`.
fn range(text: &str) -> Option<RangeInclusive<u64>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (1..=last).contains(&first).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Label::{Anomalous, Normal, Unknown};
    use std::path::Path;

    #[test]
    fn a_list_names_each_packet_once_and_is_read_back() {
        assert_eq!(packet_list(vec![9, 4, 3, 5, 4]), "3-5 9");
        assert_eq!(packet_list(vec![1, 2]), "1-2");
        assert_eq!(packet_list(vec![7]), "7");
        let csv = format!("score,packets\n0,{}\n", packet_list(vec![12, 10, 3, 11, 4]));
        let table = table(&csv);
        let read: Vec<u64> = RowPackets::of(&table).unwrap().ranges(0).flatten().collect();
        assert_eq!(read, [3, 4, 10, 11, 12]);
    }

    fn table(csv: &str) -> ScoreTable {
        ScoreTable::from_reader(Path::new("scores.csv"), csv.as_bytes()).unwrap()
    }

    fn packets(csv: &str) -> Vec<(u64, u64, f64, i8, Option<i64>)> {
        let table = table(csv);
        let packets = RowPackets::of(&table).unwrap().table();
        packets
            .rows()
            .map(|row| (row.first_packet.unwrap(), row.window, row.score, row.label.to_i8(), row.time_ns))
            .collect()
    }

    fn none(csv: &str) -> NoPackets {
        RowPackets::of(&table(csv)).unwrap_err()
    }

    #[test]
    fn a_packet_has_the_score_of_its_worst_window_and_is_normal_if_one_of_its_windows_is() {
        let csv = "first_packet,last_packet,score,label,time_ns\n2,3,0.5,1,20\n3,5,0.1,-1,\n5,5,0.9,1,50\n7,7,0.2,,\n";
        let expected = [
            (2, 0, 0.5, 1, Some(20)),
            (3, 0, 0.5, -1, Some(20)),
            (4, 1, 0.1, -1, Some(20)),
            (5, 2, 0.9, -1, Some(50)),
            (7, 3, 0.2, 0, Some(50)),
        ];
        assert_eq!(packets(csv), expected);
    }

    #[test]
    fn a_list_of_packets_counts_for_windows_that_lie_across_each_other() {
        assert_eq!(none("first_packet,last_packet,score\n1,9,1\n2,4,2\n"), NoPackets::Interleaved);
        let listed = packets("first_packet,last_packet,score,packets\n1,9,1,1 5-6 9\n2,4,2,2-4\n");
        assert_eq!(listed.iter().map(|packet| packet.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 9]);
        // Rows of one packet each may come in any order.
        assert_eq!(packets("first_packet,last_packet,score\n2,2,1\n1,1,2\n").len(), 2);
    }

    #[test]
    fn what_is_not_known_is_said() {
        assert_eq!(none("score\n1\n"), NoPackets::Unnumbered(0));
        for list in ["", "x", "3-2", "0", "1,2", "1-2-3"] {
            assert_eq!(none(&format!("score,packets\n1,\"{list}\"\n")), NoPackets::NoList(0), "{list:?}");
        }
        assert_eq!(none("first_packet,score\n1,1\n9000000000,2\n"), NoPackets::TooMany);
        assert_eq!(none("first_packet,last_packet,score\n1,18446744073709551615,2\n"), NoPackets::TooMany);
        assert_eq!(none("first_packet,score\n18446744073709551615,2\n"), NoPackets::TooMany);
        assert!(RowPackets::of(&ScoreTable::new()).unwrap().table().is_empty());
    }

    #[test]
    fn a_ground_truth_labels_rows_by_their_packets() {
        let table = table("first_packet,last_packet,score\n1,2,0\n2,3,0\n3,4,0\n4,5,0\n");
        let truth = PacketLabels::from_reader(Path::new("truth.csv"), &b"-1\n-1\n0\n1\n-1\n"[..]).unwrap();
        assert_eq!(RowPackets::of(&table).unwrap().labels(&truth), [Normal, Unknown, Anomalous, Anomalous]);
    }
}
