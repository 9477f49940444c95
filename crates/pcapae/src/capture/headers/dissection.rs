//! A packet's headers, read once.

use std::cell::OnceCell;

use super::link::{Layers, decapsulate};
use crate::capture::LinkType;

/// The headers of one packet, from the link layer up to the ports.
///
/// Everything that is known of a packet by its headers is a view of this one value:
///
/// - [`facts`](Self::facts): what detectors may know, [`PacketFacts`](super::PacketFacts);
/// - [`conversation`](Self::conversation): who talks to whom, for people to read;
/// - [`transport`](Self::transport): its TCP or UDP segment, or why it is in no flow;
/// - [`header_fields`](Self::header_fields): where the fields lie that can be masked;
/// - [`named_fields`](Self::named_fields): the name of every byte.
///
/// The headers are read when the first view is asked for, so a dissection that nobody looks at costs nothing.
#[derive(Debug, Clone)]
pub struct Dissection<'a> {
    pub(super) link_type: LinkType,
    pub(super) data: &'a [u8],
    layers: OnceCell<Layers<'a>>,
}

impl<'a> Dissection<'a> {
    /// Of a packet that begins with a header of `link_type`. `data` may be only its first bytes, headers included. Never refuses.
    pub fn new(link_type: LinkType, data: &'a [u8]) -> Dissection<'a> {
        Dissection { link_type, data, layers: OnceCell::new() }
    }

    pub(super) fn layers(&self) -> &Layers<'a> {
        self.layers.get_or_init(|| decapsulate(self.link_type, self.data))
    }

    /// Where in the packet `rest` begins, which reaches to the packet's end.
    pub(super) fn offset_of(&self, rest: &[u8]) -> usize {
        self.data.len() - rest.len()
    }
}
