//! Arbitrary bytes as a dataset: read, or refused in one sentence, but never an endless loop or a panic that is not caught.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pcapae::dataset::Dataset;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    // The library catches panics of the HDF5 library; those that leave it end the process all the same.
    std::panic::set_hook(Box::new(|_| {}));
    tempfile::tempdir().expect("a temporary folder")
});

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.path().join("fuzz.h5");
    std::fs::write(&path, bytes).expect("a temporary file");
    let read = Dataset::open(&path).and_then(|dataset| {
        let loaded = dataset.load(&())?;
        assert!(loaded.bytes().len() <= bytes.len());
        let provenance = dataset.provenance(0..dataset.len())?;
        assert_eq!(provenance.labels().len(), loaded.len());
        assert!(loaded.windows(2).len() <= loaded.len());
        Ok(())
    });
    if let Err(error) = read {
        let text = error.to_string();
        assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
    }
});
