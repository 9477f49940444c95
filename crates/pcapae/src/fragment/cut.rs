//! From captures to fragments, packet by packet.

use super::mask::Masked;
use super::{
    ByteFragmenter, FlowFragmenter, Fragment, FragmentSize, Fragmenter, Mask, Mode, PacketFragmenter, Semantics,
};
use crate::capture::headers::{Dissection, SkipCounts};
use crate::capture::{Captures, Packet};
use crate::label::{Label, Labels};
use crate::progress::Progress;
use crate::{Error, Result};

/// Packets between two reports of progress, and fragments between two looks at whether to stop.
const STEPS_PER_REPORT: u64 = 1024;

/// How to cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cutting {
    /// How packets become fragments.
    pub mode: Mode,
    /// How many bytes, in which shape.
    pub size: FragmentSize,
    /// Which rules decide the corner cases.
    pub semantics: Semantics,
    /// Which header fields are read as zeros.
    pub mask: Mask,
}

/// Takes what comes out of captures: every packet in order, and fragments as they are cut.
pub trait Receiver {
    /// The next packet with its headers, before any fragment with bytes of it.
    fn packet(&mut self, packet: &Packet<'_>, headers: &Dissection<'_>, label: Label) -> Result<()>;

    /// The next fragment.
    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()>;
}

impl Cutting {
    /// The fragmenter of this way of cutting.
    pub fn fragmenter(&self) -> Box<dyn Fragmenter> {
        let whole: Box<dyn Fragmenter> = match self.mode {
            Mode::Byte => Box::new(ByteFragmenter::new(self.size, self.semantics)),
            Mode::Packet => Box::new(PacketFragmenter::new(self.size)),
            // Flows differ by fields that may be masked, so this one masks by itself.
            Mode::Flow => return Box::new(FlowFragmenter::new(self.size, self.semantics, self.mask)),
        };
        if self.mask.is_empty() { whole } else { Box::new(Masked::new(self.mask, whole)) }
    }

    /// Reads all packets of `captures` with their labels, cuts them, and says how many packets it skipped.
    ///
    /// Progress counts the bytes of the captures. Refuses where there are more or fewer labels than packets.
    pub fn cut(
        &self,
        captures: &mut Captures,
        mut labels: Labels,
        receiver: &mut dyn Receiver,
        progress: &dyn Progress,
    ) -> Result<SkipCounts> {
        let mut fragmenter = self.fragmenter();
        let (mut packets, mut bytes_reported) = (0, 0);
        progress.begin("reading", captures.total_bytes());
        while let Some(packet) = captures.next_packet()? {
            let label = labels.next_label()?;
            let headers = packet.dissect();
            receiver.packet(&packet, &headers, label)?;
            fragmenter.push(&packet, &headers, label, &mut |fragment| receiver.fragment(fragment))?;
            packets += 1;
            // Not only now and then: packets may come slowly, from a quiet network through a pipe.
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
