//! Arbitrary bytes as a capture: packets, warnings or a refusal, but never a panic or an endless loop.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pcapae::capture::Captures;

fuzz_target!(|bytes: &[u8]| {
    let mut captures = Captures::from_reader("fuzz", std::io::Cursor::new(bytes.to_vec()));
    let mut number = 0;
    while let Ok(Some(packet)) = captures.next_packet() {
        number += 1;
        assert_eq!(packet.number, number);
    }
    for warning in &captures.summary().warnings {
        assert!(!warning.to_string().is_empty());
    }
    if let Ok(found) = pcapae::inspect::inspect(Captures::from_reader("fuzz", std::io::Cursor::new(bytes.to_vec())), &()) {
        assert_eq!(found.all.packets, number);
    }
});
