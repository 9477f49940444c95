//! From captures to fragments, packet by packet.

use super::mask::Masker;
use super::{
    ByteFragmenter, FlowFragmenter, Fragment, FragmentSize, Fragmenter, Mask, Mode, PacketFragmenter, Semantics,
};
use crate::capture::headers::{Dissection, SkipCounts};
use crate::capture::{Captures, Packet};
use crate::label::{Label, Labels};
use crate::progress::Progress;
use crate::{Error, Result};

/// Packets between two reports of progress, and fragments between two checks for an interruption.
const STEPS_PER_REPORT: u64 = 1024;

/// How to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutting {
    /// How packets become fragments.
    pub mode: Mode,
    /// Size and shape of a fragment.
    pub size: FragmentSize,
    /// Which rules decide the corner cases.
    pub semantics: Semantics,
    /// Which header fields are set to zero.
    pub mask: Mask,
}

/// Receives every packet in order, and the fragments as they are cut.
pub trait Receiver {
    /// The next packet with its headers and its bytes as they are masked, before any fragment with bytes of it.
    fn packet(&mut self, packet: &Packet<'_>, masked: &[u8], headers: &Dissection<'_>, label: Label) -> Result<()>;

    /// The next fragment.
    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()>;
}

impl Cutting {
    fn fragmenter(&self) -> Box<dyn Fragmenter> {
        match self.mode {
            Mode::Byte => Box::new(ByteFragmenter::new(self.size, self.semantics)),
            Mode::Packet => Box::new(PacketFragmenter::new(self.size)),
            Mode::Flow => Box::new(FlowFragmenter::new(self.size, self.semantics)),
        }
    }

    /// Reads all packets of `captures` with their labels, dissects each once, cuts them, and says how many packets it skipped and why.
    ///
    /// Progress counts the bytes of the captures. Refuses where there are more or fewer labels than packets.
    pub fn cut(
        &self,
        captures: &mut Captures,
        mut labels: Labels,
        receiver: &mut dyn Receiver,
        progress: &dyn Progress,
    ) -> Result<SkipCounts> {
        let (mut masker, mut fragmenter) = (Masker::new(self.mask), self.fragmenter());
        let (mut packets, mut bytes_reported) = (0, 0);
        progress.begin("reading", captures.total_bytes());
        while let Some(packet) = captures.next_packet()? {
            let label = labels.next_label()?;
            let headers = packet.dissect();
            let masked = Packet { data: masker.bytes(&packet, &headers), ..packet };
            receiver.packet(&packet, masked.data, &headers, label)?;
            fragmenter.push(&masked, &headers, label, &mut |fragment| receiver.fragment(fragment))?;
            packets += 1;
            // For every packet: they may come slowly, from a quiet network through a pipe.
            check(progress)?;
            if packets % STEPS_PER_REPORT == 0 {
                let bytes = captures.bytes_read();
                progress.advance(bytes - bytes_reported);
                bytes_reported = bytes;
            }
        }
        check(progress)?;
        labels.finish()?;

        if self.mode == Mode::Flow {
            progress.begin("cutting", None);
        }
        let mut fragments = 0;
        fragmenter.finish(&mut |fragment| {
            fragments += 1;
            if fragments % STEPS_PER_REPORT == 0 {
                check(progress)?;
            }
            receiver.fragment(fragment)
        })
    }
}

fn check(progress: &dyn Progress) -> Result<()> {
    if progress.interrupted() { Err(Error::Interrupted) } else { Ok(()) }
}
