//! Arbitrary bytes as a bundle: one, or a reason why not, but never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pcapae::monitor::Bundle;

fuzz_target!(|bytes: &[u8]| {
    match Bundle::from_bytes(bytes) {
        Ok(bundle) => {
            assert_eq!(bundle.decision.detectors().len(), bundle.detectors.fitted.len());
            assert!(bundle.to_bytes().is_ok());
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
});
