//! Arbitrary bytes as a bundle: one, or a reason why not, but never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pcapae::monitor::Bundle;

fuzz_target!(|bytes: &[u8]| {
    match Bundle::from_bytes(bytes) {
        Ok(bundle) => {
            assert!(bundle.judge.packet_threshold().value.is_finite());
            assert!(bundle.to_bytes().is_ok());
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
});
