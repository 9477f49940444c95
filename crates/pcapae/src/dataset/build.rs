//! From captures to a dataset file, streaming.

use std::path::Path;

use super::{Description, Layout, Writer, writer};
use crate::Result;
use crate::capture::headers::{Dissection, SkipCounts};
use crate::capture::{CaptureSummary, Captures, Packet};
use crate::fragment::{Fragment, Receiver};
use crate::label::{Label, Labels};
use crate::progress::Progress;

/// What was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// How much was read and written.
    pub counts: DatasetCounts,
    /// Packets in no fragment, by reason.
    pub skipped: SkipCounts,
    /// What was read and what was odd about it.
    pub captures: CaptureSummary,
}

/// How much was read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DatasetCounts {
    /// Packets read.
    pub packets: u64,
    /// Packets labelled anomalous.
    pub anomalous_packets: u64,
    /// Fragments written.
    pub fragments: u64,
    /// Fragments with an anomalous packet in them.
    pub anomalous_fragments: u64,
}

/// Hands everything on to the writer and counts.
struct Counted {
    writer: Box<dyn Writer>,
    counts: DatasetCounts,
}

impl Receiver for Counted {
    fn packet(&mut self, packet: &Packet<'_>, masked: &[u8], headers: &Dissection<'_>, label: Label) -> Result<()> {
        self.counts.packets += 1;
        self.counts.anomalous_packets += u64::from(label == Label::Anomalous);
        self.writer.packet(packet, masked, headers, label)
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        self.counts.fragments += 1;
        self.counts.anomalous_fragments += u64::from(fragment.label() == Label::Anomalous);
        self.writer.fragment(fragment)
    }
}

/// Reads all packets of `captures` with their labels, cuts them and writes the dataset to `path`, replacing what is there.
pub fn build(
    mut captures: Captures,
    labels: Labels,
    description: &Description,
    layout: Layout,
    path: &Path,
    progress: &dyn Progress,
) -> Result<Built> {
    let mut counted = Counted { writer: writer(path, description, layout)?, counts: DatasetCounts::default() };
    let skipped = description.cutting.cut(&mut captures, labels, &mut counted, progress)?;
    let captures = captures.into_summary();
    counted.writer.finish(&captures.sources, &skipped)?;
    Ok(Built { counts: counted.counts, skipped, captures })
}
