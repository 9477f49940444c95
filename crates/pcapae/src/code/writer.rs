//! Writing codes, window by window.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rust_hdf5::{H5Dataset, H5File, H5Type, Hdf5Error};

use super::{CodesDescription, FORMAT, VERSION};
use crate::dataset::column::Column;
use crate::dataset::{Provenance, hdf5};
use crate::fragment::{Mode, Shape};
use crate::{Error, Result};

/// Writes the layout of [`code`](super), chunk by chunk; memory does not grow with the codes but for the chunk index.
pub struct CodesWriter {
    path: PathBuf,
    file: H5File,
    width: usize,
    size: usize,
    codes: Column<f32>,
    first_fragment: Column<u64>,
    first_packet: Column<u64>,
    last_packet: Column<u64>,
    label: Column<i8>,
    flow: Option<Column<u64>>,
    /// Where the dataset knows more of a packet than its number.
    placed: Option<Placed>,
}

struct Placed {
    time_ns: Column<i64>,
    segment_offsets: Column<u64>,
    segments: Column<u64>,
    segments_written: u64,
}

impl CodesWriter {
    /// Begins a file of codes of `width` numbers each at `path`, replacing what is there. The file is whole after
    /// [`finish`](Self::finish) only; the program writes to a [`AtomicFile`](crate::atomic_file::AtomicFile).
    ///
    /// # Errors
    ///
    /// `width` is 0, or the file cannot be created.
    pub fn create(path: &Path, description: &CodesDescription, width: usize) -> Result<CodesWriter> {
        if width == 0 {
            let expected = "at least 1".into();
            return Err(Error::Setting { setting: "width of a code", got: "0".into(), expected, remedy: None });
        }
        Self::begin(path, description, width).map_err(hdf5("write", path))
    }

    fn begin(path: &Path, description: &CodesDescription, width: usize) -> Result<CodesWriter, Hdf5Error> {
        let file = H5File::create(path)?;
        file.set_attr_string("format", FORMAT)?;
        file.set_attr_numeric("version", &VERSION)?;
        if let Some(mode) = description.mode {
            file.set_attr_string("mode", mode.name())?;
        }
        file.set_attr_string("model", &description.model)?;
        file.set_attr_string("dataset", &description.dataset)?;
        file.set_attr_string("tool", concat!("pcapae ", env!("CARGO_PKG_VERSION")))?;
        let root = file.root_group();
        let codes = Column::create(&root, "codes", &[width])?;
        set_number(codes.dataset(), "frames", description.frames)?;
        set_number(codes.dataset(), "stride", description.stride)?;
        set_number(codes.dataset(), "fragments", description.fragments)?;
        set_number(codes.dataset(), "fragment_size", description.size.bytes() as u64)?;
        set_number(codes.dataset(), "one_d", u8::from(description.size.shape() == Shape::Line))?;
        Ok(CodesWriter {
            path: path.to_owned(),
            width,
            size: description.size.bytes(),
            codes,
            first_fragment: Column::create(&root, "first_fragment", &[])?,
            first_packet: Column::create(&root, "first_packet", &[])?,
            last_packet: Column::create(&root, "last_packet", &[])?,
            label: Column::create(&root, "label", &[])?,
            flow: match description.mode {
                Some(Mode::Flow) => Some(Column::create(&root, "flow", &[])?),
                _ => None,
            },
            placed: match description.mode {
                Some(_) => {
                    let mut segment_offsets = Column::create(&root, "segment_offsets", &[])?;
                    segment_offsets.push(&[0])?;
                    let time_ns = Column::create(&root, "time_ns", &[])?;
                    let segments = Column::create(&root, "segments", &[4])?;
                    Some(Placed { time_ns, segment_offsets, segments, segments_written: 0 })
                }
                None => None,
            },
            file,
        })
    }

    /// Adds the code of one window of fragments, which lies within `provenance`.
    ///
    /// # Errors
    ///
    /// The code is of another width or not finite, `provenance` does not cover the window or lacks what the description promised, or the
    /// file cannot be written.
    pub fn push(&mut self, code: &[f32], window: Range<usize>, provenance: &Provenance) -> Result<()> {
        let unwritable = Error::unwritable::<String>("codes");
        if code.len() != self.width {
            return Err(unwritable(format!("a code has {} numbers, expected {}", code.len(), self.width)));
        }
        if !code.iter().all(|number| number.is_finite()) {
            return Err(unwritable(format!("the code of the window at fragment {} is not finite", window.start)));
        }
        let known = provenance.fragments();
        if window.is_empty() || window.start < known.start || window.end > known.end {
            return Err(unwritable(format!("the provenance of fragments {window:?} is missing, {known:?} is there")));
        }
        let complete = self.append(code, window, provenance).map_err(|error| hdf5("write", &self.path)(error))?;
        let lacking = || unwritable("the provenance is of another layout or mode than the description".into());
        if complete { Ok(()) } else { Err(lacking()) }
    }

    /// False where the provenance knows less than there are columns.
    fn append(&mut self, code: &[f32], window: Range<usize>, provenance: &Provenance) -> Result<bool, Hdf5Error> {
        let Some(origin) = provenance.origin(window.clone()) else { return Ok(false) };
        match (&mut self.flow, origin.flow) {
            (Some(column), Some(flow)) => column.push(&[flow])?,
            (None, None) => {}
            _ => return Ok(false),
        }
        match (&mut self.placed, origin.time_ns) {
            (Some(placed), Some(time_ns)) => {
                placed.time_ns.push(&[time_ns])?;
                placed.append_segments(window.clone(), self.size, provenance)?;
            }
            (None, None) => {}
            _ => return Ok(false),
        }
        self.codes.push(code)?;
        self.first_fragment.push(&[window.start as u64])?;
        self.first_packet.push(&[origin.first_packet])?;
        self.last_packet.push(&[origin.last_packet])?;
        self.label.push(&[origin.label.to_i8()])?;
        Ok(true)
    }

    /// Completes the file.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn finish(self) -> Result<()> {
        let path = self.path.clone();
        self.complete().map_err(hdf5("write", &path))
    }

    fn complete(mut self) -> Result<(), Hdf5Error> {
        self.codes.flush()?;
        for column in [&mut self.first_fragment, &mut self.first_packet, &mut self.last_packet] {
            column.flush()?;
        }
        self.label.flush()?;
        if let Some(flow) = &mut self.flow {
            flow.flush()?;
        }
        if let Some(placed) = &mut self.placed {
            placed.time_ns.flush()?;
            placed.segment_offsets.flush()?;
            placed.segments.flush()?;
        }
        self.file.close_no_sync()
    }
}

impl Placed {
    fn append_segments(&mut self, window: Range<usize>, size: usize, provenance: &Provenance) -> Result<(), Hdf5Error> {
        for (frame, fragment) in window.enumerate() {
            let begins = (frame * size) as u64;
            for segment in provenance.segments(fragment).unwrap_or_default() {
                let offset = begins + u64::from(segment.fragment_offset);
                self.segments.push(&[segment.packet, segment.packet_offset.into(), offset, segment.length.into()])?;
                self.segments_written += 1;
            }
        }
        self.segment_offsets.push(&[self.segments_written])
    }
}

fn set_number<T: H5Type>(dataset: &H5Dataset, name: &str, value: T) -> Result<(), Hdf5Error> {
    dataset.new_attr::<T>().shape(()).create(name)?.write_numeric(&value)
}
