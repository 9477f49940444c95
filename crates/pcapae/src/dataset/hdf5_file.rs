//! An HDF5 file of unknown origin, opened for reading: nothing in it is trusted.

use std::fs::File;
use std::io::Read;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rust_hdf5::format::superblock::{SuperblockV0V1, SuperblockV2V3, detect_superblock_version};
use rust_hdf5::{H5Dataset, H5File, H5Type, Hdf5Error, LinkClass, StorageLayout};

use crate::error::{Fault, FileKind, Place, Problem};
use crate::{Error, Result};

/// The first bytes of every HDF5 file that has nothing before it.
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
/// Bytes in which every version of the superblock fits.
const SUPERBLOCK_BYTES: u64 = 1024;

/// An HDF5 file and its length.
pub(crate) struct Hdf5File {
    file: H5File,
    bytes: u64,
}

/// An array in an [`Hdf5File`] whose type, storage and size are checked; its rows lie along the first axis.
pub(crate) struct Array<T> {
    name: String,
    dataset: H5Dataset,
    shape: Vec<usize>,
    values: PhantomData<T>,
}

impl Hdf5File {
    /// Opens the file at `path`, which should be of the kind `kind`. A folder, a device, an empty and a cut file each give a fault of their own.
    pub(crate) fn open(path: &Path, kind: FileKind) -> Result<Hdf5File> {
        let unreadable = kind.unreadable(path);
        let metadata = path.metadata().map_err(Error::io("open", path))?;
        if !metadata.is_file() {
            let what = if metadata.is_dir() { "a folder" } else { "not a file" };
            return Err(unreadable(Fault::found(what, "an HDF5 file")));
        }
        let mut start = Vec::new();
        let file = File::open(path).map_err(Error::io("open", path))?;
        file.take(SUPERBLOCK_BYTES).read_to_end(&mut start).map_err(Error::io("read", path))?;
        let bytes = metadata.len();
        whole(&start, bytes).map_err(unreadable)?;
        // Where a file system has no locks, or somebody else holds one, reading goes on without.
        let file = guarded(|| H5File::options().best_effort_locking().open(path)).map_err(unreadable)?;
        Ok(Hdf5File { file, bytes })
    }

    /// Length of the file: no array of it can hold more.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The root's attribute `name` as text; `None` if there is none.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        let damaged = |fault: Fault| fault.within(Place::Entry(name.into()));
        if !guarded(|| self.file.attr_names()).map_err(damaged)?.iter().any(|other| other == name) {
            return Ok(None);
        }
        guarded(|| self.file.attr_string(name)).map(Some).map_err(damaged)
    }

    /// The root's attribute `name`, which must be there, as text.
    pub(crate) fn required_text(&self, name: &str) -> Result<String, Fault> {
        self.text(name)?.ok_or_else(|| Place::Entry(name.into()).missing())
    }

    /// The root's attribute `name`, which must be there, as a number from 0 to 127.
    ///
    /// The HDF5 library gives a root's attributes as text only, of a number its bytes up to the first zero, the lowest first:
    /// so the text of a small number is one character.
    pub(crate) fn small_number(&self, name: &str) -> Result<u8, Fault> {
        match self.required_text(name)?.as_bytes() {
            [] => Ok(0),
            [number @ 0..=127] => Ok(*number),
            text => {
                Err(Place::Entry(name.into())
                    .found(format!("{:?}", text.escape_ascii().to_string()), "a number below 128"))
            }
        }
    }

    /// Names of the groups in the root, in no useful order.
    pub(crate) fn groups(&self) -> Result<Vec<String>, Fault> {
        guarded(|| self.file.root_group().group_names())
    }

    /// The array `group/name`, or `name` in the root; `None` where there is none.
    ///
    /// Refuses values of another type, and what could make a small file large or name other files: links, packed, virtual and
    /// external storage, and more bytes than the file has.
    pub(crate) fn array<T: H5Type>(&self, path: &str) -> Result<Option<Array<T>>, Fault> {
        let damaged = |fault: Fault| fault.within(Place::Array(path.into()));
        let Some(link) = guarded(|| self.link(path)).map_err(damaged)? else { return Ok(None) };
        if link != LinkClass::Hard {
            return Err(Place::Array(path.into()).found("a link", "values in this file"));
        }
        let array = guarded(|| Facts::of::<T>(self.file.dataset(path)?)).map_err(damaged)?;
        array.check::<T>(self.bytes).map_err(damaged)?;
        Ok(Some(Array { name: path.to_owned(), shape: array.shape, dataset: array.dataset, values: PhantomData }))
    }

    /// As [`array`](Self::array), where the array must be there.
    pub(crate) fn required_array<T: H5Type>(&self, path: &str) -> Result<Array<T>, Fault> {
        self.array(path)?.ok_or_else(|| Place::Array(path.into()).missing())
    }

    fn link(&self, path: &str) -> Result<Option<LinkClass>, Hdf5Error> {
        let root = self.file.root_group();
        let found = match path.rsplit_once('/') {
            Some((group, name)) => root.group(group).and_then(|group| group.link_class(name)),
            None => root.link_class(path),
        };
        match found {
            Ok(class) => Ok(Some(class)),
            Err(Hdf5Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What the file says of an array.
struct Facts {
    shape: Vec<usize>,
    max_shape: Vec<Option<usize>>,
    /// The type of its values, in words, where it is not the wanted one.
    other_type: Option<String>,
    storage: StorageLayout,
    packed: bool,
    external: bool,
    dataset: H5Dataset,
}

impl Facts {
    fn of<T: H5Type>(dataset: H5Dataset) -> Result<Facts, Hdf5Error> {
        let stored_type = dataset.datatype()?;
        Ok(Facts {
            shape: dataset.shape(),
            max_shape: dataset.max_shape()?,
            other_type: (stored_type != T::hdf5_type()).then(|| stored_type.to_string()),
            storage: dataset.storage_layout()?,
            packed: !dataset.filters()?.is_empty(),
            external: !dataset.external_files()?.is_empty(),
            dataset,
        })
    }

    fn check<T: H5Type>(&self, file_bytes: u64) -> Result<(), Fault> {
        if let Some(other) = &self.other_type {
            return Err(Fault::found(other, std::any::type_name::<T>()));
        }
        if self.external || self.storage == StorageLayout::Virtual {
            return Err(Fault::found("values in another file", "values in this file"));
        }
        if self.packed {
            return Err(Fault::found("compressed values", "uncompressed ones"));
        }
        // Only the first axis may grow: the room for the others decides how long the HDF5 library looks for chunks.
        let grows = |(length, room): (&usize, &Option<usize>)| *room != Some(*length);
        if self.shape.iter().zip(&self.max_shape).skip(1).any(grows) {
            return Err(Fault::found("axes that can grow", "only the first to grow"));
        }
        let bytes = self.shape.iter().try_fold(size_of::<T>(), |bytes, &length| bytes.checked_mul(length));
        if bytes.is_none_or(|bytes| bytes as u64 > file_bytes) {
            return Err(Fault::found(format!("{:?} values", self.shape), format!("no more than {file_bytes} bytes")));
        }
        Ok(())
    }
}

impl<T: H5Type + Default> Array<T> {
    /// The array, as the place of a fault.
    pub(crate) fn place(&self) -> Place {
        Place::Array(self.name.clone())
    }

    /// Lengths of the axes; empty for a single value.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Length of the first axis; 0 for a single value.
    pub(crate) fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Refuses another shape than `expected`, in which `None` stands for any length.
    pub(crate) fn expect_shape(&self, expected: &[Option<usize>]) -> Result<(), Fault> {
        let fits = |(got, wanted): (&usize, &Option<usize>)| wanted.is_none_or(|wanted| wanted == *got);
        if self.shape.len() == expected.len() && self.shape.iter().zip(expected).all(fits) {
            return Ok(());
        }
        let problem = Problem::Shape { found: self.shape.clone(), expected: expected.to_vec() };
        Err(Fault::from(problem).within(self.place()))
    }

    /// Appends the values of some rows, row after row; `into` is as it was where that fails.
    pub(crate) fn read(&self, rows: Range<usize>, into: &mut Vec<T>) -> Result<(), Fault> {
        let Some((_, row)) = self.shape.split_first() else {
            return Err(self.place().found("a single value", "rows"));
        };
        if rows.start > rows.end || rows.end > self.rows() {
            return Err(self
                .place()
                .found(format!("{} rows", self.rows()), format!("rows {} to {}", rows.start, rows.end)));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let held = into.len();
        into.resize(held + rows.len() * row.iter().product::<usize>(), T::default());
        let starts = [&[rows.start], vec![0; row.len()].as_slice()].concat();
        let counts = [&[rows.len()], row].concat();
        let done = guarded(|| self.dataset.read_slice_into(&mut into[held..], &starts, &counts));
        done.map_err(|fault| {
            into.truncate(held);
            fault.within(Place::Row(rows.start as u64)).within(self.place())
        })
    }

    /// All values.
    pub(crate) fn read_all(&self) -> Result<Vec<T>, Fault> {
        let mut values = Vec::new();
        self.read(0..self.rows(), &mut values)?;
        Ok(values)
    }

    /// The array's attribute `name`, which must be a whole number.
    pub(crate) fn number(&self, name: &str) -> Result<u64, Fault> {
        let numbers = guarded(|| self.dataset.attr(name)?.read_numeric_as::<u64>());
        match numbers.as_deref() {
            Ok([number]) => Ok(*number),
            _ => Err(Place::Entry(name.into()).missing().within(self.place())),
        }
    }
}

/// Refuses what is not the start of an HDF5 file of `bytes` bytes, or of a longer one.
fn whole(start: &[u8], bytes: u64) -> Result<(), Fault> {
    if start.is_empty() {
        return Err(Problem::Empty.into());
    }
    if !start.starts_with(SIGNATURE) {
        return Err(Fault::found("a file of another format", "an HDF5 file"));
    }
    let end = guarded(|| {
        Ok(match detect_superblock_version(start)? {
            0 | 1 => SuperblockV0V1::decode(start)?.end_of_file_address,
            _ => SuperblockV2V3::decode(start)?.end_of_file_address,
        })
    });
    let end = end?;
    if end > bytes { Err(Fault::found(format!("{bytes} bytes"), end.to_string())) } else { Ok(()) }
}

/// Calls the HDF5 library.
///
/// A panic counts as an error. The library checks most of what it reads, but not all: some lengths that a damaged file claims
/// become indices. It holds no lock or half-written state that a panic in a reader could leave behind.
fn guarded<T>(call: impl FnOnce() -> Result<T, Hdf5Error>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Fault::parser(error)),
        Err(_) => Err(Fault::parser("the HDF5 library panicked")),
    }
}
