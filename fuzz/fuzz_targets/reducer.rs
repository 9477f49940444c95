//! Arbitrary bytes as a reducer: one that gives codes and is written back the same, or a reason why not, but never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pcapae::reduce::Reducer;

/// Windows of more bytes than this are not reduced, to be quick.
const WIDTH_MAX: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    match Reducer::from_bytes(bytes) {
        Ok(reducer) => {
            let written = reducer.to_bytes().expect("what is read is written");
            assert!(Reducer::from_bytes(&written).is_ok());
            let width = reducer.rows().width() * reducer.frames().count();
            if width <= WIDTH_MAX {
                let window: Vec<u8> = (0..width).map(|i| i as u8).collect();
                let _ = reducer.codes(&[&window, &window]);
            }
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
});
