//! An arbitrary packet of an arbitrary link type: the first byte chooses one of those with known headers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pcapae::capture::LinkType;
use pcapae::capture::headers::{conversation, named_fields, named_segment, transport, transport_compat};
use pcapae::flow::FlowKey;

const LINKS: [u32; 10] = [1, 0, 12, 14, 101, 108, 113, 228, 229, 276];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, data)) = bytes.split_first() else { return };
    let link = LinkType(LINKS[usize::from(*first) % LINKS.len()]);
    let said = conversation(link, data);
    assert!(!format!("{} {}", said.source, said.destination).is_empty());
    assert_eq!(named_fields(link, data).last().map_or(0, |field| field.range.end), data.len());
    assert_eq!(named_segment(data, 0).last().map_or(0, |field| field.range.end), data.len());
    for found in [transport(link, data), transport_compat(data)].into_iter().flatten() {
        assert_eq!(&data[found.offset..][..found.segment.len()], found.segment);
        assert_eq!(FlowKey::new(&found).protocol(), found.protocol);
    }
});
