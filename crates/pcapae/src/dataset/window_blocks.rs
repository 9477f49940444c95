//! The windows of a dataset block by block, each computed while its neighbours are read and written.

use std::ops::Range;

use super::{Dataset, Provenance, Windows};
use crate::progress::Progress;
use crate::{Error, Result};

/// Bytes of fragments that are computed at a time: windows enough for all threads, and a stop within the second.
const BLOCK_BYTES: usize = 1 << 20;

/// Fragments that are computed at a time, at least.
const BLOCK_MIN: usize = 512;

/// Which windows of a dataset are wanted.
#[derive(Clone, Copy)]
pub(crate) struct WantedWindows<'a> {
    pub dataset: &'a Dataset,
    /// Fragments in a window; neighbours overlap in all but one, and in flow mode none crosses from one flow to another.
    pub frames: usize,
    /// Of all windows every so many-th, the first included.
    pub stride: usize,
}

/// A run of fragments and the windows that begin in it.
pub(crate) struct WindowBlock {
    bytes: Vec<u8>,
    fragment_size: usize,
    pub provenance: Provenance,
    /// The fragments of each window, by their index in the dataset.
    pub windows: Vec<Range<usize>>,
}

impl WantedWindows<'_> {
    /// Reads all windows, block by block, has `compute` work on each, and `take` the result, in order.
    ///
    /// While other threads compute a block, this one takes the result of the last one and reads the next. Memory holds three blocks.
    pub fn each_block<R: Send>(
        &self,
        compute: impl Fn(&WindowBlock) -> R + Sync,
        mut take: impl FnMut(&WindowBlock, R) -> Result<()>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut blocks = WindowBlocks { wanted: *self, next: 0, windows: 0 };
        let mut read = blocks.next().transpose()?;
        let mut computed: Option<(WindowBlock, R)> = None;
        while let Some(block) = read.take() {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let mut result = None;
            rayon::in_place_scope(|threads| -> Result<()> {
                threads.spawn(|_| result = Some(compute(&block)));
                if let Some((block, result)) = computed.take() {
                    take(&block, result)?;
                }
                read = blocks.next().transpose()?;
                Ok(())
            })?;
            computed = result.map(|result| (block, result));
        }
        match computed {
            Some((block, result)) => take(&block, result),
            None => Ok(()),
        }
    }
}

impl WindowBlock {
    /// The bytes of each window, fragment after fragment.
    pub fn bytes_of_windows(&self) -> Vec<&[u8]> {
        let place = |fragment: usize| (fragment - self.provenance.fragments().start) * self.fragment_size;
        self.windows.iter().map(|window| &self.bytes[place(window.start)..place(window.end)]).collect()
    }
}

/// Neighbouring blocks overlap in all frames of a window but one.
struct WindowBlocks<'a> {
    wanted: WantedWindows<'a>,
    /// Where the next block begins.
    next: usize,
    /// Windows so far, those included that the stride leaves out.
    windows: usize,
}

impl WindowBlocks<'_> {
    fn read(&mut self, starts: Range<usize>) -> Result<WindowBlock> {
        let WantedWindows { dataset, frames, stride } = self.wanted;
        let size = dataset.size().bytes();
        let fragments = starts.start..starts.end + frames - 1;
        let mut bytes = Vec::with_capacity(fragments.len() * size);
        dataset.read(fragments.clone(), &mut bytes)?;
        let provenance = dataset.provenance(fragments)?;
        let all = match provenance.flows() {
            Some(flows) => Windows::within_flows(&bytes, size, frames, flows),
            None => Windows::over_run(&bytes, size, frames),
        };
        let wanted = (0..all.len()).filter(|i| (self.windows + i).is_multiple_of(stride));
        let window = |i| starts.start + all.first_fragment(i)..starts.start + all.first_fragment(i) + frames;
        let windows = wanted.map(window).collect();
        self.windows += all.len();
        Ok(WindowBlock { bytes, fragment_size: size, provenance, windows })
    }
}

impl Iterator for WindowBlocks<'_> {
    type Item = Result<WindowBlock>;

    fn next(&mut self) -> Option<Result<WindowBlock>> {
        let WantedWindows { dataset, frames, .. } = self.wanted;
        let last_start = dataset.len().checked_sub(frames)?;
        let block = (BLOCK_BYTES / dataset.size().bytes()).max(BLOCK_MIN);
        let starts = self.next..(self.next + block).min(last_start + 1);
        self.next = starts.end;
        (!starts.is_empty()).then(|| self.read(starts))
    }
}
