//! Reading codes, all at once.

use std::path::{Path, PathBuf};

use super::{CodesDescription, FORMAT, VERSION, WindowSegment};
use crate::Result;
use crate::dataset::Origin;
use crate::dataset::arrays::unknown_mode;
use crate::dataset::hdf5_file::{Array, Hdf5File};
use crate::error::{Fault, FileKind, Place};
use crate::fragment::{FragmentSize, Mode, Shape};
use crate::label::Label;

/// The codes of a file in memory, and, unless the file holds codes alone, where each came from.
#[derive(Debug, Clone)]
pub struct Codes {
    path: PathBuf,
    values: Vec<f32>,
    width: usize,
    windows: Option<WindowTable>,
}

/// What the file says of the windows.
#[derive(Debug, Clone)]
struct WindowTable {
    description: CodesDescription,
    first_fragments: Vec<u64>,
    origins: Vec<Origin>,
    segments: Option<Segments>,
}

#[derive(Debug, Clone)]
struct Segments {
    /// Where those of each window begin, and where those of the last one end.
    offsets: Vec<usize>,
    rows: Vec<WindowSegment>,
}

impl Codes {
    /// Reads all codes of the file at `path`, and checks that every number is finite.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or is not a file of codes that this version reads.
    pub fn open(path: &Path) -> Result<Codes> {
        let file = Hdf5File::open(path, FileKind::Codes)?;
        Self::read(&file, path).map_err(FileKind::Codes.unreadable(path))
    }

    fn read(file: &Hdf5File, path: &Path) -> Result<Codes, Fault> {
        let codes = file.required_array::<f32>("codes")?;
        let width = match codes.shape() {
            [_, width] if *width > 0 => *width,
            got => return Err(codes.place().found(format!("the shape {got:?}"), "[any, at least 1]")),
        };
        let windows = match file.text("format")?.as_deref() {
            None => None,
            Some(FORMAT) => Some(WindowTable::read(file, &codes)?),
            Some(other) => {
                return Err(Place::Entry("format".into()).found(format!("{other:?}"), format!("{FORMAT:?}")));
            }
        };
        let values = codes.read_all()?;
        match values.iter().position(|value| !value.is_finite()) {
            Some(i) => {
                let row = Place::Row((i / width) as u64);
                Err(row.found(values[i], "finite numbers").within(codes.place()))
            }
            None => Ok(Codes { path: path.to_owned(), values, width, windows }),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many codes there are, one a window.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// True if there is no code.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers in a code.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The numbers of all codes, code after code, all finite.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Code `i`; panics where there is none, as a slice does, and so do the functions below.
    pub fn code(&self, i: usize) -> &[f32] {
        &self.values[i * self.width..(i + 1) * self.width]
    }

    /// What was encoded, and how; `None` for a file with codes alone, and so below.
    pub fn description(&self) -> Option<&CodesDescription> {
        self.windows.as_ref().map(|windows| &windows.description)
    }

    /// Index of the first fragment of window `i` in the dataset.
    pub fn first_fragment(&self, i: usize) -> Option<u64> {
        self.windows.as_ref().map(|windows| windows.first_fragments[i])
    }

    /// Packets, time, label and flow of window `i`.
    pub fn origin(&self, i: usize) -> Option<Origin> {
        self.windows.as_ref().map(|windows| windows.origins[i])
    }

    /// Where the bytes of window `i` came from; `None` also where the dataset knew packets only.
    pub fn segments(&self, i: usize) -> Option<&[WindowSegment]> {
        let segments = self.windows.as_ref()?.segments.as_ref()?;
        Some(&segments.rows[segments.offsets[i]..segments.offsets[i + 1]])
    }
}

impl WindowTable {
    fn read(file: &Hdf5File, codes: &Array<f32>) -> Result<WindowTable, Fault> {
        let version = file.small_number("version")?;
        if u32::from(version) != VERSION {
            return Err(Place::Entry("version".into()).found(version, VERSION.to_string()));
        }
        let (count, description) = (codes.rows(), description(file, codes)?);
        let first_fragments = column::<u64>(file, "first_fragment", count)?;
        let last_start = description.fragments.checked_sub(description.frames);
        if let Some(first) = first_fragments.iter().find(|&&first| last_start.is_none_or(|last| first > last)) {
            let expected = format!("windows that end by fragment {}", description.fragments);
            return Err(Place::Array("first_fragment".into()).found(first, expected));
        }
        let segments = description.mode.map(|_| Segments::read(file, count, &description)).transpose()?;
        let origins = origins(file, count, description.mode)?;
        Ok(WindowTable { description, first_fragments, origins, segments })
    }
}

impl Segments {
    fn read(file: &Hdf5File, windows: usize, description: &CodesDescription) -> Result<Segments, Fault> {
        let array = file.required_array::<u64>("segments")?;
        array.expect_shape(&[None, Some(4)])?;
        let offsets = column::<u64>(file, "segment_offsets", windows + 1)?;
        if offsets[0] != 0 || offsets[windows] != array.rows() as u64 || !offsets.is_sorted() {
            let expected = format!("numbers that rise from 0 to {}", array.rows());
            return Err(Place::Array("segment_offsets".into()).found("others", expected));
        }
        let room = description.frames.saturating_mul(description.size.bytes() as u64);
        let values = array.read_all()?;
        let (rows, _) = values.as_chunks();
        let rows = rows.iter().map(|&[packet, packet_offset, window_offset, length]| {
            let fits = window_offset.checked_add(length).is_some_and(|end| end <= room);
            if packet == 0 || !fits {
                let found = format!("{length} bytes of packet {packet} at {window_offset}");
                return Err(array.place().found(found, format!("packets from 1, and bytes below {room}")));
            }
            Ok(WindowSegment { packet, packet_offset, window_offset, length })
        });
        Ok(Segments {
            rows: rows.collect::<Result<_, _>>()?,
            offsets: offsets.into_iter().map(|i| i as usize).collect(),
        })
    }
}

fn description(file: &Hdf5File, codes: &Array<f32>) -> Result<CodesDescription, Fault> {
    let mode = match file.text("mode")? {
        Some(name) => Some(Mode::from_name(&name).ok_or_else(|| unknown_mode(&name))?),
        None => None,
    };
    let shape = if codes.number("one_d")? == 0 { Shape::Square } else { Shape::Line };
    let size = usize::try_from(codes.number("fragment_size")?).unwrap_or(usize::MAX);
    let description = CodesDescription {
        model: file.required_text("model")?,
        dataset: file.required_text("dataset")?,
        fragments: codes.number("fragments")?,
        frames: codes.number("frames")?,
        stride: codes.number("stride")?,
        size: FragmentSize::new(size, shape)?,
        mode,
    };
    if description.frames == 0 || description.stride == 0 {
        return Err(codes.place().found("frames or a stride of 0", "1 or more"));
    }
    Ok(description)
}

fn origins(file: &Hdf5File, count: usize, mode: Option<Mode>) -> Result<Vec<Origin>, Fault> {
    let first = column::<u64>(file, "first_packet", count)?;
    let last = column::<u64>(file, "last_packet", count)?;
    let labels = column::<i8>(file, "label", count)?;
    let times = mode.map(|_| column::<i64>(file, "time_ns", count)).transpose()?;
    let flows = (mode == Some(Mode::Flow)).then(|| column::<u64>(file, "flow", count)).transpose()?;
    let origin = |i: usize| {
        if first[i] == 0 || last[i] < first[i] {
            let row = Place::Row(i as u64).found(format!("packets {} to {}", first[i], last[i]), "1 or more, rising");
            return Err(row.within(Place::Array("first_packet".into())));
        }
        let unknown = || Place::Array("label".into()).found(labels[i], "-1, 0 or 1");
        let label = Label::from_i8(labels[i]).ok_or_else(unknown);
        Ok(Origin {
            first_packet: first[i],
            last_packet: last[i],
            time_ns: times.as_ref().map(|times| times[i]),
            label: label?,
            flow: flows.as_ref().map(|flows| flows[i]),
        })
    };
    (0..count).map(origin).collect()
}

fn column<T: rust_hdf5::H5Type + Default>(file: &Hdf5File, name: &str, rows: usize) -> Result<Vec<T>, Fault> {
    let array = file.required_array::<T>(name)?;
    array.expect_shape(&[Some(rows)])?;
    array.read_all()
}
