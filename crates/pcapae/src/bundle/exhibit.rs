//! A second look at chosen packets: their bytes, and how odd each byte is to the detectors that look at bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::residuals::Residuals;
use super::{Bundle, DetectorName, Detectors, ScoredAutoencoder};
use crate::Result;
use crate::capture::headers::{HeaderField, PacketFacts, header_fields};
use crate::capture::{Captures, Packet, Source};
use crate::detect::Samples;
use crate::fragment::{Fragment, Mode, Receiver, Segment};
use crate::label::{Label, Labels};
use crate::progress::Progress;

/// Most bytes that are kept of a packet, from its front.
pub const EXHIBIT_BYTES: usize = 1024;

/// A packet's bytes and what is odd about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Exhibit {
    /// The packet's number, from 1.
    pub packet: u64,
    /// How many bytes were captured of it.
    pub length: usize,
    /// The first of them, at most [`EXHIBIT_BYTES`].
    pub bytes: Vec<u8>,
    /// Header fields that lie in them.
    pub fields: Vec<(HeaderField, Range<usize>)>,
    /// One for each detector that looks at bytes.
    pub heat: Vec<Heat>,
}

/// How odd each byte of a packet is to a detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// The detector.
    pub detector: DetectorName,
    /// A value a byte, higher is odder: what the detector's scoring head makes its score of. NaN where it saw no such byte.
    pub of_bytes: Vec<f32>,
    /// Share of all that is above 0 which lies behind the packet's end, where it is shorter than usual packets: from 0 to 1.
    /// Always 0 outside packet mode.
    pub past_end: f32,
}

/// What a second look at captures gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Exhibits {
    /// The packets that were asked for and are there, in order.
    pub packets: Vec<Exhibit>,
    /// Bytes of all packets in the captures.
    pub bytes: u64,
    /// Bytes of them that got into a fragment.
    pub bytes_in_fragments: u64,
    /// What was read, to compare with what was read the first time.
    pub sources: Vec<Source>,
}

impl Bundle {
    /// Reads the captures of a detection again and shows the packets whose numbers are `wanted`.
    ///
    /// With one frame to a window only fragments of these packets go through the model; with more, all do, since any may be context.
    pub fn exhibits(
        &self,
        mut captures: Captures,
        wanted: &BTreeSet<u64>,
        progress: &dyn Progress,
    ) -> Result<Exhibits> {
        let autoencoder = self.detectors.autoencoder.as_ref();
        let mut curator = Curator {
            wanted,
            mode: self.cutting.mode,
            detectors: &self.detectors,
            residuals: autoencoder.map(|scored| (scored, Residuals::new(&scored.model))),
            shown: BTreeMap::new(),
            bytes: 0,
            bytes_in_fragments: 0,
        };
        self.cutting.cut(&mut captures, Labels::All(Label::Unknown), &mut curator, progress)?;
        Ok(curator.finish(captures.into_summary().sources))
    }
}

/// Keeps what is wanted while packets and fragments go by.
struct Curator<'a> {
    wanted: &'a BTreeSet<u64>,
    mode: Mode,
    detectors: &'a Detectors,
    residuals: Option<(&'a ScoredAutoencoder, Residuals)>,
    shown: BTreeMap<u64, Shown>,
    bytes: u64,
    bytes_in_fragments: u64,
}

/// A packet that is wanted, and its facts.
struct Shown {
    exhibit: Exhibit,
    facts: PacketFacts,
}

impl Curator<'_> {
    fn finish(mut self, sources: Vec<Source>) -> Exhibits {
        let (shown, mode) = (&mut self.shown, self.mode);
        if let Some((scored, residuals)) = self.residuals {
            residuals.finish(&mut |segments, residual| show_residual(shown, mode, scored, (segments, residual)));
        }
        Exhibits {
            packets: self.shown.into_values().map(|shown| shown.exhibit).collect(),
            bytes: self.bytes,
            bytes_in_fragments: self.bytes_in_fragments,
            sources,
        }
    }

    /// The histograms look at packets: in packet mode, where a fragment is one.
    fn show_surprises(&mut self, fragment: Fragment<'_>) -> Result<()> {
        let Some((histograms, segment)) = self.detectors.histograms.as_ref().zip(fragment.segments.first()) else {
            return Ok(());
        };
        let Some(shown) = self.shown.get_mut(&segment.packet) else { return Ok(()) };
        let row = Samples::of_bytes(fragment.bytes.to_vec(), fragment.bytes.len()).with_facts(vec![shown.facts]);
        let values = histograms.position_values(&row)?;
        shown.exhibit.heat_of(DetectorName::Histograms).put(segment, &values, self.mode);
        Ok(())
    }
}

impl Receiver for Curator<'_> {
    fn packet(&mut self, packet: &Packet<'_>, _label: Label) -> Result<()> {
        self.bytes += packet.data.len() as u64;
        if self.wanted.contains(&packet.number) {
            let facts = PacketFacts::of(packet.link, packet.data, packet.data.len() as u32, packet.time_ns);
            self.shown.insert(packet.number, Shown { exhibit: Exhibit::of(packet), facts });
        }
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> Result<()> {
        self.bytes_in_fragments += fragment.segments.iter().map(|segment| u64::from(segment.length)).sum::<u64>();
        let is_wanted = fragment.segments.iter().any(|segment| self.wanted.contains(&segment.packet));
        let (shown, mode) = (&mut self.shown, self.mode);
        if let Some((scored, residuals)) = &mut self.residuals
            && (is_wanted || scored.model.config().frames.count() > 1)
        {
            let scored = *scored;
            residuals
                .push(fragment, &mut |segments, residual| show_residual(shown, mode, scored, (segments, residual)));
        }
        if is_wanted { self.show_surprises(fragment) } else { Ok(()) }
    }
}

fn show_residual(
    shown: &mut BTreeMap<u64, Shown>,
    mode: Mode,
    scored: &ScoredAutoencoder,
    (segments, residual): (&[Segment], &[f32]),
) {
    let mut values = None;
    for segment in segments {
        if let Some(shown) = shown.get_mut(&segment.packet) {
            let values = values.get_or_insert_with(|| scored.head.position_values(residual, scored.usual.as_ref()));
            shown.exhibit.heat_of(DetectorName::Autoencoder).put(segment, values, mode);
        }
    }
}

impl Exhibit {
    fn of(packet: &Packet<'_>) -> Exhibit {
        let bytes = packet.data[..packet.data.len().min(EXHIBIT_BYTES)].to_vec();
        let mut fields = Vec::new();
        header_fields(packet.link, packet.data, |field, range| {
            if range.end <= bytes.len() {
                fields.push((field, range));
            }
        });
        Exhibit { packet: packet.number, length: packet.data.len(), bytes, fields, heat: Vec::new() }
    }

    /// The heat of a detector, which begins with no byte seen.
    fn heat_of(&mut self, detector: DetectorName) -> &mut Heat {
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
