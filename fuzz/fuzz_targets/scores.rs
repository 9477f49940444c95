//! Arbitrary bytes as a file of scores: read and written back the same, or refused in one sentence, but never a panic.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pcapae::scores::ScoreTable;

fuzz_target!(|bytes: &[u8]| {
    match ScoreTable::from_reader(Path::new("fuzz"), bytes) {
        Ok(table) => {
            assert!(table.scores().iter().all(|score| score.is_finite()));
            let written = table.to_csv().expect("finite scores are written");
            let again = ScoreTable::from_reader(Path::new("fuzz"), &written[..]).expect("what we write we read");
            assert_eq!(again, table);
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
        }
    }
});
