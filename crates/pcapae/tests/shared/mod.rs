//! Where tests find captures and numbers that are not part of the project.
#![allow(clippy::print_stderr, reason = "this is test code")]

use std::path::PathBuf;

/// A folder of the shared material beside the repository; where it is absent, says that the test is skipped.
pub fn folder(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not here", path.display());
    None
}
