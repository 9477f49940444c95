//! Files that appear whole or not at all: written beside their final place and renamed when done.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempPath};

use crate::{Error, Result};

/// What to do where the output exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and say so.
    Refuse,
    /// Put the new file in its place, once the new one is whole.
    Replace,
}

/// A file under a temporary name in the folder of its final place; dropped before [`keep`](AtomicFile::keep), it is removed.
#[derive(Debug)]
pub struct AtomicFile {
    unfinished: TempPath,
    place: PathBuf,
    existing: Existing,
}

impl AtomicFile {
    /// An empty file beside `place`; what would fail at the end fails at once.
    ///
    /// # Errors
    ///
    /// `place` exists and may not be replaced, is not a file, or lies in a folder that is not there or cannot be written to.
    pub fn create(place: &Path, existing: Existing) -> Result<AtomicFile> {
        let name = place.file_name().ok_or_else(|| Error::NotAFile { path: place.to_owned() })?;
        match (place.metadata(), existing) {
            (Ok(there), _) if !there.is_file() => return Err(Error::NotAFile { path: place.to_owned() }),
            (Ok(_), Existing::Refuse) => return Err(Error::Exists { path: place.to_owned() }),
            _ => {}
        }
        let folder = match place.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(Error::NoFolder { path: place.to_owned(), folder: folder.to_owned() });
        }
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".part");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let unfinished = builder.tempfile_in(folder).map_err(Error::io("write", place))?.into_temp_path();
        Ok(AtomicFile { unfinished, place: place.to_owned(), existing })
    }

    /// Where to write until the file is whole.
    pub fn path(&self) -> &Path {
        &self.unfinished
    }

    /// Where the file will be.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Writes all of the file at once and moves it to its place.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or was made by someone else meanwhile.
    pub fn write(self, bytes: &[u8]) -> Result<()> {
        std::fs::write(&self.unfinished, bytes).map_err(Error::io("write", &self.place))?;
        self.keep()
    }

    /// The file is whole: moves it to its place.
    ///
    /// # Errors
    ///
    /// The file cannot be moved, or was made by someone else meanwhile.
    pub fn keep(self) -> Result<()> {
        let moved = match self.existing {
            Existing::Refuse => self.unfinished.persist_noclobber(&self.place),
            Existing::Replace => self.unfinished.persist(&self.place),
        };
        moved.map_err(|failure| match failure.error.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists { path: self.place },
            _ => Error::io("write", &self.place)(failure.error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_file_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = AtomicFile::create(&folder.path().join("out"), Existing::Refuse).unwrap();
        std::fs::write(file.path(), "half").unwrap();
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_existing_file_is_replaced_only_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out");
        AtomicFile::create(&place, Existing::Refuse).unwrap().write(b"one").unwrap();
        assert!(matches!(AtomicFile::create(&place, Existing::Refuse), Err(Error::Exists { .. })));
        let replacement = AtomicFile::create(&place, Existing::Replace).unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"one");
        replacement.write(b"two").unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"two");
    }

    #[test]
    fn neither_a_folder_nor_a_device_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for place in [folder.path(), Path::new("/dev/null"), Path::new("/")] {
            assert!(matches!(AtomicFile::create(place, Existing::Replace), Err(Error::NotAFile { .. })), "{place:?}");
        }
    }

    #[test]
    fn a_missing_folder_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("absent/out");
        let message = AtomicFile::create(&place, Existing::Refuse).unwrap_err().to_string();
        assert!(message.contains("absent/out"), "{message}");
    }
}
