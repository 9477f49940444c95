//! Arbitrary bytes as a ground truth: labels, then the end or a refusal, but never a panic or an endless loop.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pcapae::label::{GroundTruth, Labels};

fuzz_target!(|bytes: &[u8]| {
    let mut labels = Labels::File(GroundTruth::from_reader(Path::new("fuzz"), Cursor::new(bytes.to_vec())));
    let mut rows = 0;
    while labels.next_label().is_ok() {
        rows += 1;
        assert!(rows <= bytes.len(), "more rows than bytes");
    }
    let _ = labels.finish();
});
