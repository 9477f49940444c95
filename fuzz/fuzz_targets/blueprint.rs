//! Arbitrary text as a blueprint and as a grid: in range and written back the same, or refused in one sentence, but never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pcapae::detectors::Blueprint;
use pcapae::grid_search::Grid;

fn one_sentence(reason: &str) {
    assert!(!reason.is_empty() && !reason.ends_with('.') && !reason.contains('\n'), "{reason}");
}

fuzz_target!(|text: &str| {
    match Blueprint::from_yaml(text) {
        Ok(blueprint) => {
            assert!(blueprint.check().is_ok());
            let written = blueprint.to_yaml().expect("what is read is written");
            assert_eq!(Blueprint::from_yaml(&written).as_ref(), Ok(&blueprint), "{written}");
        }
        Err(reason) => one_sentence(&reason.to_string()),
    }
    match Grid::from_yaml(text) {
        Ok(grid) => assert!(grid.candidates.iter().all(|candidate| candidate.blueprint.check().is_ok())),
        Err(reason) => one_sentence(&reason.to_string()),
    }
});
