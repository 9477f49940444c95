//! One growing HDF5 array, written in whole chunks.

use rust_hdf5::{H5Dataset, H5Group, H5Type, Hdf5Error};

/// Bytes of a chunk: large enough for fast sequential reading, small enough that a small capture gives a small file.
const CHUNK_BYTES: usize = 64 << 10;

/// An array that grows along its first axis; rows are gathered in memory until a chunk is full.
pub struct Column<T> {
    dataset: H5Dataset,
    pending: Vec<T>,
    chunk_values: usize,
}

impl<T: H5Type> Column<T> {
    /// An empty array named `name` in `group` whose rows have the shape `row` (empty for single values).
    pub fn create(group: &H5Group, name: &str, row: &[usize]) -> Result<Column<T>, Hdf5Error> {
        let row_values: usize = row.iter().product();
        let rows = (CHUNK_BYTES / (row_values * size_of::<T>())).max(1);
        let with_first = |first: usize| [&[first], row].concat();
        let unlimited: Vec<Option<usize>> = std::iter::once(None).chain(row.iter().copied().map(Some)).collect();
        let dataset = group
            .new_dataset::<T>()
            .shape(with_first(0))
            .chunk(&with_first(rows))
            .max_shape(&unlimited)
            .create(name)?;
        let chunk_values = rows * row_values;
        Ok(Column { dataset, pending: Vec::with_capacity(chunk_values), chunk_values })
    }

    /// The array, for its attributes.
    pub fn dataset(&self) -> &H5Dataset {
        &self.dataset
    }

    /// Adds the values of one or more rows.
    pub fn push(&mut self, values: &[T]) -> Result<(), Hdf5Error> {
        self.pending.extend_from_slice(values);
        if self.pending.len() >= self.chunk_values { self.flush() } else { Ok(()) }
    }

    /// Writes what is still in memory.
    pub fn flush(&mut self) -> Result<(), Hdf5Error> {
        if !self.pending.is_empty() {
            self.dataset.append(&self.pending)?;
            self.pending.clear();
        }
        Ok(())
    }
}
