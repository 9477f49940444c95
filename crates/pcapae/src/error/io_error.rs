//! Refusals of the operating system, with their place.

use std::io;
use std::path::Path;

use super::Error;

impl Error {
    /// An I/O refusal with its place, for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }
}
