//! Reading datasets of both layouts.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::arrays::Arrays;
use super::groups::Groups;
use super::hdf5_file::Hdf5File;
use super::{FORMAT, Layout, LoadedFragments, Provenance};
use crate::capture::LinkType;
use crate::capture::headers::PacketFacts;
use crate::error::{Fault, FileKind, Place};
use crate::fragment::{Cutting, FragmentSize, Mode};
use crate::label::Label;
use crate::progress::Progress;
use crate::{Error, Result};

/// Bytes that are loaded between two reports of progress.
const BYTES_PER_REPORT: usize = 8 << 20;

/// Flows that are read at once to count windows.
const FLOWS_AT_ONCE: usize = 1 << 16;

/// An open dataset file. Fragments are read by ranges of their indices; what is held in memory is the range, 9 bytes a packet once
/// labels or times are asked for, and what the HDF5 library keeps of the file's structure.
///
/// Opening checks format, version, types, shapes, and that they agree; contents are checked as they are read. Whatever is wrong in the
/// file is an [`Error::Unreadable`]. It belongs to one thread; another thread opens the file again.
pub struct Dataset {
    path: PathBuf,
    stored: Stored,
}

enum Stored {
    Arrays(Box<Arrays>),
    Groups(Groups),
}

impl Dataset {
    /// Opens a dataset of either layout.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is not a dataset that this version reads.
    pub fn open(path: &Path) -> Result<Dataset> {
        let file = Hdf5File::open(path, FileKind::Dataset)?;
        let stored = Stored::of(file).map_err(FileKind::Dataset.unreadable(path))?;
        Ok(Dataset { path: path.to_owned(), stored })
    }

    /// How many fragments there are.
    pub fn len(&self) -> usize {
        match &self.stored {
            Stored::Arrays(arrays) => arrays.count(),
            Stored::Groups(groups) => groups.count(),
        }
    }

    /// True if there is no fragment.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What people call it; in the original's layout, which has no name, the file's name without its ending.
    pub fn name(&self) -> String {
        match &self.stored {
            Stored::Arrays(arrays) => arrays.name.clone(),
            Stored::Groups(_) => self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    /// Bytes in a fragment, and their shape.
    pub fn size(&self) -> FragmentSize {
        match &self.stored {
            Stored::Arrays(arrays) => arrays.cutting.size,
            Stored::Groups(groups) => groups.size,
        }
    }

    /// How packets became fragments; `None` in the original's layout, which does not say.
    pub fn mode(&self) -> Option<Mode> {
        self.cutting().map(|cutting| cutting.mode)
    }

    /// How the fragments were cut, with all rules; `None` in the original's layout.
    pub fn cutting(&self) -> Option<Cutting> {
        match &self.stored {
            Stored::Arrays(arrays) => Some(arrays.cutting),
            Stored::Groups(_) => None,
        }
    }

    /// How the dataset lies in its file.
    pub fn layout(&self) -> Layout {
        match &self.stored {
            Stored::Arrays(_) => Layout::Arrays,
            Stored::Groups(_) => Layout::Original,
        }
    }

    /// The captures it was made of, as JSON as it is stored; `None` where that is not known.
    pub fn sources(&self) -> Option<&str> {
        match &self.stored {
            Stored::Arrays(arrays) => arrays.sources.as_deref(),
            Stored::Groups(_) => None,
        }
    }

    /// Appends the bytes of some fragments, one after the other, row-major; `into` stays as it was if that fails.
    ///
    /// # Errors
    ///
    /// There is no such range of fragments, or the file cannot be read; so below.
    pub fn read(&self, fragments: Range<usize>, into: &mut Vec<u8>) -> Result<()> {
        self.check(&fragments)?;
        let read = match &self.stored {
            Stored::Arrays(arrays) => arrays.read(fragments, into),
            Stored::Groups(groups) => groups.read(fragments, into),
        };
        read.map_err(self.unreadable())
    }

    /// The flow of each fragment of the dataset, in flow mode.
    pub fn flows(&self) -> Result<Option<Vec<u64>>> {
        match &self.stored {
            Stored::Arrays(arrays) => arrays.flows(0..arrays.count()).map_err(self.unreadable()),
            Stored::Groups(_) => Ok(None),
        }
    }

    /// How many windows of `frames` fragments there are, in flow mode within one flow each. Flows are read piece by piece.
    pub fn count_windows(&self, frames: usize) -> Result<usize> {
        let Stored::Arrays(arrays) = &self.stored else { return Ok((self.len() + 1).saturating_sub(frames)) };
        let (mut windows, mut run, mut last) = (0, 0, None);
        for first in (0..self.len()).step_by(FLOWS_AT_ONCE) {
            let piece = first..(first + FLOWS_AT_ONCE).min(self.len());
            let Some(flows) = arrays.flows(piece).map_err(self.unreadable())? else {
                return Ok((self.len() + 1).saturating_sub(frames));
            };
            for flow in flows {
                run = if last == Some(flow) { run + 1 } else { 1 };
                last = Some(flow);
                windows += usize::from(run >= frames);
            }
        }
        Ok(windows)
    }

    /// Packets, labels, times and flows of some fragments.
    pub fn provenance(&self, fragments: Range<usize>) -> Result<Provenance> {
        self.check(&fragments)?;
        let read = match &self.stored {
            Stored::Arrays(arrays) => arrays.provenance(fragments),
            Stored::Groups(groups) => groups.provenance(fragments),
        };
        read.map_err(self.unreadable())
    }

    /// The label of each of some fragments: anomalous if a packet with bytes in it is; else normal if any packet is known to be;
    /// else unknown.
    pub fn labels(&self, fragments: Range<usize>) -> Result<Vec<Label>> {
        Ok(self.provenance(fragments)?.labels())
    }

    /// Capture time of the first packet of each of some fragments, in nanoseconds since 1970; `None` in the original's layout.
    pub fn times(&self, fragments: Range<usize>) -> Result<Option<Vec<i64>>> {
        Ok(self.provenance(fragments)?.times)
    }

    /// The facts of the packet that each of some fragments is, as far as its bytes tell: what is masked is not known. `None` outside
    /// packet mode, in the original's layout, and in files of the first release.
    pub fn facts(&self, fragments: Range<usize>) -> Result<Option<Vec<PacketFacts>>> {
        self.check(&fragments)?;
        match &self.stored {
            Stored::Arrays(arrays) => arrays.facts(fragments).map_err(self.unreadable()),
            Stored::Groups(_) => Ok(None),
        }
    }

    /// What a packet, counted from 1, begins with; `None` in the original's layout and in files of the first release.
    pub fn link_type(&self, packet: u64) -> Result<Option<LinkType>> {
        match &self.stored {
            Stored::Arrays(arrays) => arrays.link_type(packet).map_err(self.unreadable()),
            Stored::Groups(_) => Ok(None),
        }
    }

    /// All bytes in memory, with what windows need. Progress counts fragments.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or `progress` asked to stop.
    pub fn load(&self, progress: &dyn Progress) -> Result<LoadedFragments> {
        let (count, size) = (self.len(), self.size().bytes());
        progress.begin("loading", Some(count as u64));
        // No more than the file has: opening has checked that.
        let mut bytes = Vec::with_capacity(count * size);
        for first in (0..count).step_by((BYTES_PER_REPORT / size).max(1)) {
            if progress.interrupted() {
                return Err(Error::Interrupted);
            }
            let block = first..(first + (BYTES_PER_REPORT / size).max(1)).min(count);
            progress.advance(block.len() as u64);
            self.read(block, &mut bytes)?;
        }
        Ok(LoadedFragments::new(bytes, self.size(), self.flows()?))
    }

    fn check(&self, fragments: &Range<usize>) -> Result<()> {
        if fragments.start <= fragments.end && fragments.end <= self.len() {
            return Ok(());
        }
        Err(Error::Setting {
            setting: "fragments",
            got: format!("{} to {}", fragments.start, fragments.end),
            expected: format!("a part of 0 to {}", self.len()),
            remedy: None,
        })
    }

    fn unreadable(&self) -> impl Fn(Fault) -> Error {
        FileKind::Dataset.unreadable(&self.path)
    }
}

impl Stored {
    fn of(file: Hdf5File) -> Result<Stored, Fault> {
        Ok(match file.text("format")? {
            Some(format) if format == FORMAT => Stored::Arrays(Box::new(Arrays::open(&file)?)),
            Some(format) => {
                return Err(Place::Entry("format".into()).found(format!("{format:?}"), format!("{FORMAT:?}")));
            }
            None => Stored::Groups(Groups::open(file)?),
        })
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dataset").field("path", &self.path).field("fragments", &self.len()).finish()
    }
}
