//! Arbitrary bytes as codes: read, or refused in one sentence, but never an endless loop or a panic that is not caught.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pcapae::code::Codes;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    // The library catches panics of the HDF5 library; those that leave it end the process all the same.
    std::panic::set_hook(Box::new(|_| {}));
    tempfile::tempdir().expect("a temporary folder")
});

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.path().join("fuzz.h5");
    std::fs::write(&path, bytes).expect("a temporary file");
    match Codes::open(&path) {
        Ok(codes) => {
            for i in 0..codes.len() {
                assert!(codes.code(i).iter().all(|value| value.is_finite()));
                assert_eq!(codes.origin(i).is_some(), codes.description().is_some());
                assert!(codes.segments(i).is_none() || codes.first_fragment(i).is_some());
            }
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
        }
    }
});
