//! Bytes to packets: pcap and pcapng files, packed or not, one after the other as one stream.

/// One captured packet, borrowed from the reader until the next one is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Counts from 1 over all captures given, as Wireshark's `frame.number` does within one file.
    pub number: u64,
    /// Capture time in nanoseconds since 1970-01-01T00:00:00Z.
    pub time_ns: i64,
    /// What the bytes begin with.
    pub link: LinkType,
    /// The captured bytes, link-layer header included.
    pub data: &'a [u8],
}

/// The link-layer header type of a packet: its number in the registry of link types (`LINKTYPE_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u32);
