//! Arbitrary bytes as a fitted detector: one that scores and is written back the same, or a reason why not, but never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pcapae::detectors::{Fitted, Samples};

/// Rows of more bytes than this are not scored, to be quick.
const WIDTH_MAX: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    match Fitted::from_bytes(bytes) {
        Ok(fitted) => {
            let written = fitted.to_bytes().expect("what is read is written");
            assert!(Fitted::from_bytes(&written).is_ok());
            let width = fitted.rows().width();
            if width <= WIDTH_MAX {
                let samples = Samples::of_bytes((0..3 * width).map(|i| i as u8).collect(), width);
                let _ = fitted.score(&samples);
            }
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
});
