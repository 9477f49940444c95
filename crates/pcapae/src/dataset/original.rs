//! Writing a dataset as the thesis's code does: a group per fragment.
//!
//! Group `"<i>"` holds `data`, u8 `[1, side, side]`, and `label`, i32 `[k, 2]`: packet number and label (−1 or 1), sorted by packet.

use std::path::{Path, PathBuf};

use rust_hdf5::{H5File, Hdf5Error};

use super::{Writer, hdf5};
use crate::Result;
use crate::capture::headers::{Dissection, SkipCounts};
use crate::capture::{Packet, Source};
use crate::fragment::{Fragment, FragmentSize, Receiver};
use crate::label::Label;

/// Writes one group per fragment.
///
/// The HDF5 library keeps an entry per group in memory until the file is closed, and looks through all of them for each new one:
/// memory grows with the number of fragments, time with its square.
pub struct OriginalWriter {
    path: PathBuf,
    file: H5File,
    data_shape: Vec<usize>,
    fragments: u64,
}

impl OriginalWriter {
    /// Begins a file at `path`, replacing what is there.
    ///
    /// # Errors
    ///
    /// The file cannot be created.
    pub fn create(path: &Path, size: FragmentSize) -> Result<OriginalWriter> {
        let file = H5File::create(path).map_err(hdf5("write", path))?;
        let data_shape = [vec![1], size.axes()].concat();
        Ok(OriginalWriter { path: path.to_owned(), file, data_shape, fragments: 0 })
    }

    fn append_fragment(&mut self, fragment: Fragment<'_>) -> Result<(), Hdf5Error> {
        let group = self.file.create_group(&self.fragments.to_string())?;
        group.new_dataset::<u8>().shape(&self.data_shape).create("data")?.write_raw(fragment.bytes)?;
        let rows = label_rows(fragment);
        group.new_dataset::<i32>().shape([rows.len(), 2]).create("label")?.write_raw(rows.as_flattened())?;
        self.fragments += 1;
        Ok(())
    }
}

/// Packet number and label of every packet in the fragment, once each, by packet. Unknown counts as normal, as in the original.
fn label_rows(fragment: Fragment<'_>) -> Vec<[i32; 2]> {
    let row = |packet: u64, label: Label| [packet as i32, if label == Label::Anomalous { 1 } else { -1 }];
    let mut rows: Vec<[i32; 2]> = fragment.segments.iter().map(|s| row(s.packet, s.label)).collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

impl Receiver for OriginalWriter {
    fn packet(&mut self, _packet: &Packet<'_>, _masked: &[u8], _headers: &Dissection<'_>, _label: Label) -> Result<()> {
        // The original's layout has no place for packets as such.
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        self.append_fragment(fragment).map_err(hdf5("write", &self.path))
    }
}

impl Writer for OriginalWriter {
    fn finish(self: Box<Self>, _sources: &[Source], _skipped: &SkipCounts) -> Result<()> {
        self.file.close_no_sync().map_err(hdf5("write", &self.path))
    }
}
