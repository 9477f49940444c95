//! An arbitrary packet of an arbitrary link type: the first byte chooses one of those with known headers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pcapae::capture::LinkType;
use pcapae::capture::headers::{Dissection, named_transport};
use pcapae::flow::FlowKey;

const LINKS: [u32; 10] = [1, 0, 12, 14, 101, 108, 113, 228, 229, 276];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, data)) = bytes.split_first() else { return };
    let link = LinkType(LINKS[usize::from(*first) % LINKS.len()]);
    let headers = Dissection::new(link, data);
    let conversation = headers.conversation();
    assert!(!format!("{} {}", conversation.source, conversation.destination).is_empty());
    assert_eq!(headers.named_fields().last().map_or(0, |field| field.range.end), data.len());
    assert_eq!(named_transport(data, 0).last().map_or(0, |field| field.range.end), data.len());
    for found in [headers.transport(), headers.transport_compat()].into_iter().flatten() {
        assert_eq!(&data[found.offset..][..found.bytes.len()], found.bytes);
        assert_eq!(FlowKey::new(&found).protocol(), found.protocol);
    }
});
