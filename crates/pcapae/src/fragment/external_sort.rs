//! Sorting more records than memory holds: sorted runs are spilled to a nameless temporary file and merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use rayon::slice::ParallelSliceMut;

use crate::{Error, Result};

/// Memory that the records of one sort may take before a run is spilled, in bytes.
const RUN_BYTES: usize = 64 << 20;
/// Memory that the read buffers of all runs share while merging, in bytes.
const MERGE_BYTES: usize = 16 << 20;
/// Smallest read buffer of a run, in bytes.
const READ_BYTES_MIN: usize = 16 << 10;

/// Collects records of `N` bytes and gives them back in lexicographic order.
pub struct ExternalSort<const N: usize> {
    records: Vec<[u8; N]>,
    capacity: usize,
    spill: Option<Spill>,
}

/// The temporary file, which has no name and so vanishes with the process, and where each run ends in it.
struct Spill {
    file: File,
    run_ends: Vec<u64>,
}

impl<const N: usize> ExternalSort<N> {
    /// An empty sort that holds [`RUN_BYTES`] in memory.
    pub fn new() -> Self {
        Self::with_capacity(RUN_BYTES / N)
    }

    /// An empty sort that holds `capacity` records in memory.
    fn with_capacity(capacity: usize) -> Self {
        ExternalSort { records: Vec::new(), capacity, spill: None }
    }

    /// Takes one record.
    pub fn push(&mut self, record: [u8; N]) -> Result<()> {
        if self.records.len() == self.capacity {
            self.spill_run().map_err(spill_error)?;
        }
        self.records.push(record);
        Ok(())
    }

    fn spill_run(&mut self) -> std::io::Result<()> {
        self.records.par_sort_unstable();
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => none.insert(Spill { file: tempfile::tempfile()?, run_ends: Vec::new() }),
        };
        spill.file.write_all(self.records.as_flattened())?;
        let before = spill.run_ends.last().copied().unwrap_or(0);
        spill.run_ends.push(before + (self.records.len() * N) as u64);
        self.records.clear();
        Ok(())
    }

    /// All records in order.
    pub fn into_sorted(mut self) -> Result<Sorted<N>> {
        if self.spill.is_none() {
            self.records.par_sort_unstable();
            return Ok(Sorted::InMemory(self.records.into_iter()));
        }
        self.spill_run().map_err(spill_error)?;
        self.records = Vec::new();
        match self.spill {
            Some(spill) => Ok(Sorted::Merged(Merge::new(spill).map_err(spill_error)?)),
            None => Ok(Sorted::InMemory(Vec::new().into_iter())),
        }
    }
}

fn spill_error(source: std::io::Error) -> Error {
    Error::io("spill flows to a temporary file in", Path::new(&std::env::temp_dir()))(source)
}

/// Records in lexicographic order, from memory or from the runs on disk.
pub enum Sorted<const N: usize> {
    /// Everything fitted in memory.
    InMemory(std::vec::IntoIter<[u8; N]>),
    /// Runs are merged as they are read.
    Merged(Merge<N>),
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Sorted::InMemory(records) => records.next().map(Ok),
            Sorted::Merged(merge) => merge.next().transpose().map(|record| record.map_err(spill_error)),
        }
    }
}

/// A merge of sorted runs: the heap holds the smallest unread record of each.
pub struct Merge<const N: usize> {
    file: File,
    runs: Vec<Run<N>>,
    heads: BinaryHeap<Reverse<([u8; N], usize)>>,
}

/// The unread part of a run: what is buffered, last record first, and where the rest lies.
struct Run<const N: usize> {
    buffered: Vec<[u8; N]>,
    position: u64,
    end: u64,
    records_per_read: usize,
}

impl<const N: usize> Merge<N> {
    fn new(spill: Spill) -> std::io::Result<Self> {
        let records_per_read = (MERGE_BYTES / spill.run_ends.len()).max(READ_BYTES_MIN).div_ceil(N);
        let starts = std::iter::once(0).chain(spill.run_ends.iter().copied());
        let runs = starts
            .zip(spill.run_ends.iter().copied())
            .map(|(position, end)| Run { buffered: Vec::new(), position, end, records_per_read })
            .collect();
        let mut merge = Merge { file: spill.file, runs, heads: BinaryHeap::new() };
        for run in 0..merge.runs.len() {
            merge.advance(run)?;
        }
        Ok(merge)
    }

    fn next(&mut self) -> std::io::Result<Option<[u8; N]>> {
        let Some(Reverse((record, run))) = self.heads.pop() else { return Ok(None) };
        self.advance(run)?;
        Ok(Some(record))
    }

    fn advance(&mut self, run: usize) -> std::io::Result<()> {
        if let Some(record) = self.runs[run].next(&mut self.file)? {
            self.heads.push(Reverse((record, run)));
        }
        Ok(())
    }
}

impl<const N: usize> Run<N> {
    fn next(&mut self, file: &mut File) -> std::io::Result<Option<[u8; N]>> {
        if self.buffered.is_empty() && self.position < self.end {
            let left = (self.end - self.position) as usize / N;
            self.buffered.resize(left.min(self.records_per_read), [0; N]);
            file.seek(SeekFrom::Start(self.position))?;
            file.read_exact(self.buffered.as_flattened_mut())?;
            self.position += (self.buffered.len() * N) as u64;
            self.buffered.reverse();
        }
        Ok(self.buffered.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn spilled_or_not_the_records_come_back_sorted(
            records in prop::collection::vec(any::<[u8; 3]>(), 0..200),
            capacity in 1usize..250,
        ) {
            let mut sort = ExternalSort::with_capacity(capacity);
            for &record in &records {
                sort.push(record).unwrap();
            }
            let sorted: Vec<[u8; 3]> = sort.into_sorted().unwrap().map(Result::unwrap).collect();
            let mut expected = records;
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
        }
    }
}
