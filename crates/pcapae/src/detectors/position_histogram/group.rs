//! The histograms of one group of rows, which are sparse: most positions of a service have few values.

use rayon::prelude::*;

use super::{PAST_END, Row};
use crate::detectors::Standardisation;
use crate::detectors::fact_numbers::whole;
use crate::error::{Fault, Place};
use crate::named_arrays::NamedArrays;

/// Positions that are counted at once, so that their counters stay in the cache and a row is read in pieces.
const POSITIONS_AT_ONCE: usize = 16;

/// One more than the largest symbol.
const SYMBOLS: usize = PAST_END as usize + 1;

/// In a file, a symbol and its count are one number, `symbol + 512 × count`.
const COUNT_UNIT: usize = 512;

/// Histograms of all positions over the rows of one service and direction, or of several that are rare.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    rows: usize,
    symbols: usize,
    /// Where the entries of each position end.
    ends: Vec<usize>,
    /// The values seen at each position, ascending.
    entries: Vec<Entry>,
    /// What surprises are usual; `None` if they are not standardised.
    pub(super) usual: Option<Standardisation>,
}

/// A value at a position.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    symbol: u16,
    count: u32,
    /// ln(n + s) − ln(c + 1).
    surprise: f32,
}

impl Group {
    /// Counts the symbols of `width` positions of `rows`, each read by `row`.
    pub(super) fn count<'a>(
        rows: &[usize],
        width: usize,
        symbols: usize,
        row: impl Fn(usize) -> Row<'a> + Sync,
    ) -> Group {
        let starts: Vec<usize> = (0..width).step_by(POSITIONS_AT_ONCE).collect();
        let count_some = |start: usize| {
            let mut counts = vec![[0u32; SYMBOLS]; POSITIONS_AT_ONCE.min(width - start)];
            for row in rows.iter().map(|&i| row(i)) {
                for (counts, position) in counts.iter_mut().zip(start..) {
                    counts[usize::from(row.symbol(position))] += 1;
                }
            }
            counts.iter().map(seen).collect::<Vec<_>>()
        };
        let positions: Vec<Vec<(u16, u32)>> = starts.into_par_iter().flat_map_iter(count_some).collect();
        Group::of(rows.len(), symbols, positions.iter().map(Vec::as_slice))
    }

    fn of<'a>(rows: usize, symbols: usize, positions: impl Iterator<Item = &'a [(u16, u32)]>) -> Group {
        let (mut ends, mut entries) = (Vec::new(), Vec::new());
        let ln_all = ((rows + symbols) as f64).ln();
        for position in positions {
            entries.extend(position.iter().map(|&(symbol, count)| Entry {
                symbol,
                count,
                surprise: (ln_all - (f64::from(count) + 1.0).ln()) as f32,
            }));
            ends.push(entries.len());
        }
        Group { rows, symbols, ends, entries, usual: None }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The entries of each position.
    fn positions(&self) -> impl Iterator<Item = &[Entry]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(&start, &end)| &self.entries[start..end])
    }

    /// The surprise of each position of a row, in nats.
    pub(super) fn surprises(&self, row: Row<'_>, to: &mut Vec<f32>) {
        let unseen = ((self.rows + self.symbols) as f64).ln() as f32;
        to.clear();
        to.extend(self.positions().enumerate().map(|(position, entries)| {
            let symbol = row.symbol(position);
            match entries.binary_search_by_key(&symbol, |entry| entry.symbol) {
                Ok(at) => entries[at].surprise,
                Err(_) => unseen,
            }
        }));
    }

    /// What surprises are usual if every row is judged by the others: a value that c of n rows have surprises by
    /// ln(n − 1 + s) − ln c.
    pub(super) fn leave_one_out(&self, floor: f32) -> Standardisation {
        let ln_others = ((self.rows - 1 + self.symbols) as f64).ln();
        let (mut sums, mut squares) = (Vec::new(), Vec::new());
        for entries in self.positions() {
            let (mut sum, mut square) = (0.0, 0.0);
            for entry in entries {
                let count = f64::from(entry.count);
                let surprise = ln_others - count.ln();
                sum += count * surprise;
                square += count * surprise * surprise;
            }
            sums.push(sum);
            squares.push(square);
        }
        Standardisation::from_sums(&sums, &squares, self.rows as f64, floor)
    }
}

/// The symbols that were counted at all.
fn seen(counts: &[u32; SYMBOLS]) -> Vec<(u16, u32)> {
    (0..).zip(counts.iter().copied()).filter(|(_, count)| *count > 0).collect()
}

/// Puts the groups among the numbers of their detector.
pub(super) fn put(groups: &[Group], width: usize, numbers: &mut NamedArrays) {
    numbers.put("group_rows", groups.iter().map(|group| group.rows as f64).collect());
    let lengths = groups.iter().flat_map(|group| group.positions().map(|entries| entries.len() as f64));
    numbers.put_shaped("position_entries", &[groups.len(), width], lengths.collect());
    let entry = |entry: &Entry| (usize::from(entry.symbol) + COUNT_UNIT * entry.count as usize) as f64;
    numbers.put("entries", groups.iter().flat_map(|group| &group.entries).map(entry).collect());
    let usual: Vec<&Standardisation> = groups.iter().filter_map(|group| group.usual.as_ref()).collect();
    let mut rows = Vec::new();
    usual.iter().for_each(|usual| usual.put_into(&mut rows));
    numbers.put_shaped("standardisations", &[usual.len(), 2 * width], rows);
}

/// The groups of a detector, from its numbers.
pub(super) fn from_arrays(
    width: usize,
    symbols: usize,
    standardised: bool,
    numbers: &NamedArrays,
) -> Result<Vec<Group>, Fault> {
    let rows = &numbers.get("group_rows", &[None])?.values;
    let lengths = &numbers.get("position_entries", &[Some(rows.len()), Some(width)])?.values;
    let mut entries = numbers.get("entries", &[None])?.values.as_slice();
    let usual_rows = if standardised { rows.len() } else { 0 };
    let mut usual =
        numbers.get("standardisations", &[Some(usual_rows), Some(2 * width)])?.values.chunks_exact(2 * width);
    let wrong_length = || Place::Array("entries".into()).found("more or fewer", "as many as `position_entries`");
    let mut groups = Vec::with_capacity(rows.len());
    for (&rows, lengths) in rows.iter().zip(lengths.chunks_exact(width)) {
        let rows = whole(rows, u32::MAX as usize)?;
        let mut positions = Vec::with_capacity(width);
        for &length in lengths {
            let (these, rest) = entries.split_at_checked(whole(length, SYMBOLS + 1)?).ok_or_else(wrong_length)?;
            entries = rest;
            positions.push(position(these, rows, symbols)?);
        }
        let mut group = Group::of(rows, symbols, positions.iter().map(Vec::as_slice));
        group.usual = usual.next().map(Standardisation::from_row).transpose()?;
        groups.push(group);
    }
    if entries.is_empty() { Ok(groups) } else { Err(wrong_length()) }
}

/// The values of one position, which every row has one of.
fn position(entries: &[f64], rows: usize, symbols: usize) -> Result<Vec<(u16, u32)>, Fault> {
    let mut values: Vec<(u16, u32)> = Vec::with_capacity(entries.len());
    for &entry in entries {
        let entry = whole(entry, COUNT_UNIT * (rows + 1))?;
        let (symbol, count) = (entry % COUNT_UNIT, entry / COUNT_UNIT);
        let ascends = values.last().is_none_or(|(last, _)| usize::from(*last) < symbol);
        if symbol >= symbols || count == 0 || !ascends {
            return Err(Place::Array("entries".into()).found(entry, "rising values with their counts"));
        }
        values.push((symbol as u16, count as u32));
    }
    let counted: usize = values.iter().map(|(_, count)| *count as usize).sum();
    if counted != rows || rows == 0 {
        return Err(Place::Array("entries".into()).found(format!("{counted} rows at a position"), rows.to_string()));
    }
    Ok(values)
}
