//! What an experiment has made already: files named by all that went into them, so that nothing is computed twice.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::atomic_file::{AtomicFile, Existing};
use crate::{Error, Result};

/// Changes whenever a stage gives something else for the same settings, so that what older programs made is not taken.
const GENERATION: u32 = 1;

/// A folder of files, each named by its stage and by a key of all that decides its contents.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// A file of the cache that is there and whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Where it is.
    pub path: PathBuf,
    /// Names all that went into it.
    pub key: String,
}

/// What a stage makes: the stage's name, the ending of its file, and all that decides what is in it.
#[derive(Debug)]
pub struct Recipe<'a, S> {
    /// A word: "dataset".
    pub stage: &'static str,
    /// The ending of the file: "h5".
    pub ending: &'static str,
    /// Keys of the files that go in.
    pub inputs: &'a [&'a str],
    /// Everything else.
    pub settings: S,
}

impl Cache {
    /// The cache in `folder`, which is created if it is not there.
    pub fn open(folder: PathBuf) -> Result<Cache> {
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        Ok(Cache { folder })
    }

    /// The file of a recipe: the one that is there, or the one that `make` writes to the path it is given. A file that is there is whole.
    pub fn made<S: Serialize>(&self, recipe: &Recipe<'_, S>, make: impl FnOnce(&Path) -> Result<()>) -> Result<Made> {
        let made = self.place(recipe)?;
        if !made.path.is_file() {
            let file = AtomicFile::create(&made.path, Existing::Replace)?;
            make(file.path())?;
            file.keep()?;
        }
        Ok(made)
    }

    /// Where the file of a recipe is, or will be.
    pub fn place<S: Serialize>(&self, recipe: &Recipe<'_, S>) -> Result<Made> {
        let Recipe { stage, ending, inputs, settings } = recipe;
        let all =
            serde_json::to_string(&(GENERATION, stage, inputs, settings)).map_err(Error::unwritable("settings"))?;
        let key = hexadecimal(&Sha256::digest(all.as_bytes()));
        Ok(Made { path: self.folder.join(format!("{stage}-{}.{ending}", &key[..16])), key })
    }
}

/// The key of a file that was not made here: the SHA-256 of what is in it.
pub fn key_of_file(path: &Path) -> Result<String> {
    let file = fs::File::open(path).map_err(Error::io("open", path))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut hash = Sha256::new();
    loop {
        let bytes = reader.fill_buf().map_err(Error::io("read", path))?;
        if bytes.is_empty() {
            return Ok(hexadecimal(&hash.finalize()));
        }
        hash.update(bytes);
        let read = bytes.len();
        reader.consume(read);
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe<'a>(inputs: &'a [&'a str], size: usize) -> Recipe<'a, usize> {
        Recipe { stage: "dataset", ending: "h5", inputs, settings: size }
    }

    #[test]
    fn what_is_there_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().join("cache")).unwrap();
        let made = cache.made(&recipe(&["a"], 256), |path| fs::write(path, "1").map_err(Error::io("write", path)));
        let again = cache.made(&recipe(&["a"], 256), |_| panic!("made twice"));
        assert_eq!(made.unwrap(), again.unwrap());
    }

    #[test]
    fn what_failed_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path().to_owned()).unwrap();
        assert!(cache.made(&recipe(&[], 256), |_| Err(Error::Interrupted)).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn inputs_and_settings_make_another_file() {
        let cache = Cache::open(tempfile::tempdir().unwrap().path().to_owned()).unwrap();
        let place = |inputs: &[&str], size| cache.place(&recipe(inputs, size)).unwrap().path;
        assert_ne!(place(&["a"], 256), place(&["a"], 1024));
        assert_ne!(place(&["a", "b"], 256), place(&["b", "a"], 256));
    }
}
