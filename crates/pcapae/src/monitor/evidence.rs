//! A second look at chosen packets: their bytes, and how odd each byte is to the detectors that look at bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Bundle;
use crate::Result;
use crate::capture::headers::{Dissection, HeaderField, PacketFacts};
use crate::capture::{Captures, LinkType, Packet, Source};
use crate::detectors::{FragmentScorer, ScoredFragment};
use crate::fragment::{Fragment, Mask, Mode, Receiver, Segment};
use crate::label::{Label, Labels};
use crate::progress::Progress;

/// Most bytes that are kept of a packet, from its front.
pub const EVIDENCE_BYTES: usize = 1024;

/// Which packets to look at again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Those whose bytes are shown.
    pub shown: BTreeSet<u64>,
    /// Those of which the windows in which the model scored them are kept as well, to be explained.
    pub explained: BTreeSet<u64>,
}

/// A packet's bytes and what is odd about them.
#[derive(Debug, Clone, PartialEq)]
pub struct PacketEvidence {
    /// The packet's number, from 1.
    pub packet: u64,
    /// What its bytes begin with.
    pub link: LinkType,
    /// How many bytes were captured of it.
    pub length: usize,
    /// The first of them, at most [`EVIDENCE_BYTES`].
    pub bytes: Vec<u8>,
    /// Header fields that lie in them.
    pub fields: Vec<(HeaderField, Range<usize>)>,
    /// One for each detector that looks at bytes.
    pub heat: Vec<Heat>,
}

/// How odd each byte of a packet is to a detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// The detector's name.
    pub detector: &'static str,
    /// A value a byte, higher is odder: what the detector's scoring head makes its score of. NaN where it saw no such byte.
    pub of_bytes: Vec<f32>,
    /// Share of all that is above 0 which lies behind the packet's end, where it is shorter than usual packets: from 0 to 1.
    /// Always 0 outside packet mode.
    pub past_end: f32,
}

/// A fragment with bytes of a packet that is to be explained, in the window in which a model scored it.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredWindow {
    /// The bytes, frame after frame, as the model saw them: masked, padded.
    pub bytes: Vec<u8>,
    /// Where the bytes of each frame came from.
    pub segments: Vec<Vec<Segment>>,
    /// Which fragment of the window was scored, from 0.
    pub fragment: usize,
    /// Which of the decoder's frames that is, from 0.
    pub frame: usize,
    /// The score, in the detector's own unit.
    pub score: f64,
}

impl ScoredWindow {
    /// The packets with bytes in the fragment that was scored, in order.
    pub fn packets(&self) -> impl Iterator<Item = u64> + '_ {
        self.segments[self.fragment].iter().map(|segment| segment.packet)
    }
}

/// What a second look at captures gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The packets that were asked for and are there, in order.
    pub packets: Vec<PacketEvidence>,
    /// The windows of those that are to be explained, in the order in which they were scored; none where there is no model.
    pub windows: Vec<ScoredWindow>,
    /// Bytes of all packets in the captures.
    pub bytes: u64,
    /// Bytes of them that got into a fragment.
    pub bytes_in_fragments: u64,
    /// What was read, to compare with what was read the first time.
    pub sources: Vec<Source>,
}

impl Bundle {
    /// Reads the captures of a detection again and shows the packets that are `wanted`. `each` takes every packet as it is read, so that nobody has to
    /// read the captures once more.
    ///
    /// With one frame to a window only fragments of these packets go through the model; with more, all do, since any may be context.
    pub fn evidence(
        &self,
        mut captures: Captures,
        wanted: &Wanted,
        each: &mut PacketSink<'_>,
        progress: &dyn Progress,
    ) -> Result<Evidence> {
        let scorers = self.detectors.byte_scorers(self.cutting.mode);
        let collected =
            Collected { wanted, mode: self.cutting.mode, shown: BTreeMap::new(), windows: (None, Vec::new()) };
        let mut collector = EvidenceCollector {
            each,
            mask: self.cutting.mask,
            scorers,
            facts: None,
            collected,
            bytes: 0,
            bytes_in_fragments: 0,
        };
        self.cutting.cut(&mut captures, Labels::All(Label::Unknown), &mut collector, progress)?;
        collector.finish(captures.into_summary().sources)
    }
}

/// Takes packets as they are read.
pub type PacketSink<'a> = dyn FnMut(&Packet<'_>) -> Result<()> + 'a;

/// Keeps what is wanted while packets and fragments go by.
struct EvidenceCollector<'a> {
    each: &'a mut PacketSink<'a>,
    mask: Mask,
    scorers: Vec<(&'static str, Box<dyn FragmentScorer + 'a>)>,
    /// Of the last packet, in packet mode, where it is wanted: others go to scorers of windows only, which need none.
    facts: Option<PacketFacts>,
    collected: Collected<'a>,
    bytes: u64,
    bytes_in_fragments: u64,
}

impl EvidenceCollector<'_> {
    fn finish(mut self, sources: Vec<Source>) -> Result<Evidence> {
        for (name, scorer) in &mut self.scorers {
            scorer.finish(&mut |scored| self.collected.take(name, scored))?;
        }
        Ok(Evidence {
            packets: self.collected.shown.into_values().collect(),
            windows: self.collected.windows.1,
            bytes: self.bytes,
            bytes_in_fragments: self.bytes_in_fragments,
            sources,
        })
    }
}

impl Receiver for EvidenceCollector<'_> {
    fn packet(&mut self, packet: &Packet<'_>, _masked: &[u8], headers: &Dissection<'_>, _label: Label) -> Result<()> {
        (self.each)(packet)?;
        self.bytes += packet.data.len() as u64;
        let wanted = self.collected.mode == Mode::Packet && self.collected.wanted.has(packet.number);
        self.facts = wanted
            .then(|| self.mask.facts(headers.facts(packet.data.len() as u32, packet.wire_length, packet.time_ns)));
        if self.collected.wanted.shown.contains(&packet.number) {
            self.collected.shown.insert(packet.number, PacketEvidence::of(packet, headers));
        }
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        self.bytes_in_fragments += fragment.segments.iter().map(|segment| u64::from(segment.length)).sum::<u64>();
        let is_wanted = fragment.segments.iter().any(|segment| self.collected.wanted.has(segment.packet));
        for (name, scorer) in &mut self.scorers {
            if is_wanted || scorer.needs_context() {
                scorer.push(fragment, self.facts.as_ref(), &mut |scored| self.collected.take(name, scored))?;
            }
        }
        Ok(())
    }
}

/// What is kept.
struct Collected<'a> {
    wanted: &'a Wanted,
    mode: Mode,
    shown: BTreeMap<u64, PacketEvidence>,
    /// The windows of the first detector that has some, and which detector that is.
    windows: (Option<&'static str>, Vec<ScoredWindow>),
}

impl Collected<'_> {
    fn take(&mut self, detector: &'static str, scored: &ScoredFragment<'_>) {
        let mut values = None;
        for segment in scored.segments {
            if let Some(shown) = self.shown.get_mut(&segment.packet)
                && let Some(values) = values.get_or_insert_with(scored.position_values)
            {
                shown.heat_of(detector).put(segment, values, self.mode);
            }
        }
        let Some(window) = scored.window else { return };
        let explained = |segment: &Segment| self.wanted.explained.contains(&segment.packet);
        if scored.segments.iter().any(explained) && *self.windows.0.get_or_insert(detector) == detector {
            self.windows.1.push(ScoredWindow {
                bytes: window.bytes().to_vec(),
                segments: window.segments().map(<[Segment]>::to_vec).collect(),
                fragment: window.fragment,
                frame: window.frame,
                score: scored.score,
            });
        }
    }
}

impl Wanted {
    /// The same packets shown and explained.
    pub fn all(packets: BTreeSet<u64>) -> Wanted {
        Wanted { shown: packets.clone(), explained: packets }
    }

    fn has(&self, packet: u64) -> bool {
        self.shown.contains(&packet) || self.explained.contains(&packet)
    }
}

impl Evidence {
    /// The packet_evidence of a packet, if it was asked for.
    pub fn packet(&self, packet: u64) -> Option<&PacketEvidence> {
        let at = self.packets.binary_search_by_key(&packet, |packet_evidence| packet_evidence.packet).ok()?;
        self.packets.get(at)
    }
}

impl PacketEvidence {
    fn of(packet: &Packet<'_>, headers: &Dissection<'_>) -> PacketEvidence {
        let bytes = packet.data[..packet.data.len().min(EVIDENCE_BYTES)].to_vec();
        let mut fields = Vec::new();
        headers.header_fields(|field, range| {
            if range.end <= bytes.len() {
                fields.push((field, range));
            }
        });
        PacketEvidence {
            packet: packet.number,
            link: packet.link,
            length: packet.data.len(),
            bytes,
            fields,
            heat: Vec::new(),
        }
    }

    /// The heat of a detector, which begins with no byte seen.
    fn heat_of(&mut self, detector: &'static str) -> &mut Heat {
        let at = self.heat.iter().position(|heat| heat.detector == detector).unwrap_or_else(|| {
            self.heat.push(Heat { detector, of_bytes: vec![f32::NAN; self.bytes.len()], past_end: 0.0 });
            self.heat.len() - 1
        });
        &mut self.heat[at]
    }
}

impl Heat {
    /// Takes the values of a fragment's positions, of which `segment` are the packet's.
    fn put(&mut self, segment: &Segment, values: &[f32], mode: Mode) {
        let start = segment.fragment_offset as usize;
        let own = start..start + segment.length as usize;
        let kept = self.of_bytes.iter_mut().skip(segment.packet_offset as usize);
        for (byte, value) in kept.zip(&values[own.clone()]) {
            *byte = *value;
        }
        if mode == Mode::Packet {
            let positive = |values: &[f32]| values.iter().map(|value| value.max(0.0)).sum::<f32>();
            let all = positive(values);
            self.past_end = if all > 0.0 { positive(&values[own.end..]) / all } else { 0.0 };
        }
    }
}
