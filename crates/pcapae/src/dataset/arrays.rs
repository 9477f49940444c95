//! Reading the arrays over all fragments.

use std::cell::OnceCell;
use std::ops::Range;

use super::VERSION;
use super::hdf5_file::{Array, Hdf5File};
use super::provenance::{Provenance, Rows};
use crate::capture::LinkType;
use crate::capture::headers::{Dissection, PacketFacts};
use crate::error::{Fault, Place};
use crate::fragment::{Cutting, FragmentSize, Mask, Mode, Segment, Semantics, Shape};
use crate::label::Label;

/// Fragments whose segments are checked at once when a file is opened.
const CHECKED_AT_ONCE: usize = 8192;

/// The layout of [`dataset`](super) in an open file.
pub(super) struct Arrays {
    pub(super) name: String,
    pub(super) sources: Option<String>,
    pub(super) cutting: Cutting,
    fragments: Array<u8>,
    segment_offsets: Array<u64>,
    segments: Array<u64>,
    flow: Option<Array<u64>>,
    time_ns: Array<i64>,
    label: Array<i8>,
    /// Not in files of the first release.
    headers: Option<Headers>,
    /// Read once, when first asked for: segments of one fragment may be of packets far apart.
    packets: OnceCell<Packets>,
}

/// What is needed to read the header in the first bytes of a packet.
struct Headers {
    length: Array<u32>,
    link_type: Array<u32>,
}

/// All packets, in order: 9 bytes each.
struct Packets {
    times: Vec<i64>,
    labels: Vec<Label>,
}

impl Arrays {
    /// Checks all that can be checked without reading bytes, segments and packets.
    pub(super) fn open(file: &Hdf5File) -> Result<Arrays, Fault> {
        let version = file.small_number("version")?;
        if u32::from(version) != VERSION {
            return Err(Place::Entry("version".into()).found(version, VERSION.to_string()));
        }
        let fragments = file.required_array("fragments")?;
        let arrays = Arrays {
            name: file.required_text("name")?,
            sources: file.text("sources")?,
            cutting: cutting(file, &fragments)?,
            fragments,
            segment_offsets: file.required_array("segment_offsets")?,
            segments: file.required_array("segments")?,
            flow: file.array("flow")?,
            time_ns: file.required_array("packets/time_ns")?,
            label: file.required_array("packets/label")?,
            headers: headers(file)?,
            packets: OnceCell::new(),
        };
        arrays.check_shapes()?;
        arrays.check_segment_offsets()?;
        Ok(arrays)
    }

    fn check_shapes(&self) -> Result<(), Fault> {
        let count = self.count();
        self.segment_offsets.expect_shape(&[Some(count + 1)])?;
        self.segments.expect_shape(&[None, Some(4)])?;
        self.time_ns.expect_shape(&[None])?;
        let packets = Some(self.time_ns.rows());
        self.label.expect_shape(&[packets])?;
        if let Some(headers) = &self.headers {
            headers.length.expect_shape(&[packets])?;
            headers.link_type.expect_shape(&[packets])?;
        }
        match (&self.flow, self.cutting.mode) {
            (Some(flow), Mode::Flow) => flow.expect_shape(&[Some(count)]),
            (None, Mode::Flow) => Err(Place::Array("flow".into()).missing()),
            (Some(flow), mode) => Err(flow.place().found("flows", format!("nothing in {} mode", mode.name()))),
            (None, _) => Ok(()),
        }
    }

    fn check_segment_offsets(&self) -> Result<(), Fault> {
        let mut end = 0;
        for first in (0..self.count()).step_by(CHECKED_AT_ONCE) {
            let offsets = self.offsets(first..(first + CHECKED_AT_ONCE).min(self.count()))?;
            if offsets[0] != end {
                return Err(self.segment_offsets.place().found(offsets[0], "0 at its start"));
            }
            end = offsets[offsets.len() - 1];
        }
        let segments = self.segments.rows();
        if end == segments {
            Ok(())
        } else {
            Err(self.segment_offsets.place().found(format!("{end} at its end"), segments.to_string()))
        }
    }

    pub(super) fn count(&self) -> usize {
        self.fragments.rows()
    }

    pub(super) fn read(&self, fragments: Range<usize>, into: &mut Vec<u8>) -> Result<(), Fault> {
        self.fragments.read(fragments, into)
    }

    pub(super) fn flows(&self, fragments: Range<usize>) -> Result<Option<Vec<u64>>, Fault> {
        let read = |flow: &Array<u64>| {
            let mut flows = Vec::new();
            flow.read(fragments, &mut flows).map(|()| flows)
        };
        self.flow.as_ref().map(read).transpose()
    }

    pub(super) fn provenance(&self, fragments: Range<usize>) -> Result<Provenance, Fault> {
        let packets = self.packets()?;
        let offsets = self.offsets(fragments.clone())?;
        let (start, end) = (offsets[0], offsets[offsets.len() - 1]);
        let mut rows = Vec::new();
        self.segments.read(start..end, &mut rows)?;
        let (rows, _) = rows.as_chunks();
        let segments = rows.iter().map(|row| self.segment(row, packets)).collect::<Result<Vec<Segment>, Fault>>()?;
        let ends: Vec<usize> = offsets[1..].iter().map(|offset| offset - start).collect();
        let first_packets = offsets.windows(2).map(|pair| {
            segments[pair[0] - start..pair[1] - start].iter().map(|segment| segment.packet).min().unwrap_or(1)
        });
        let times = first_packets.map(|packet| packets.times[packet as usize - 1]).collect();
        Ok(Provenance {
            first: fragments.start,
            ends,
            rows: Rows::Segments(segments),
            times: Some(times),
            flows: self.flows(fragments)?,
        })
    }

    /// The facts of the packet that each fragment is, in packet mode; `None` where the file does not hold what it takes.
    pub(super) fn facts(&self, fragments: Range<usize>) -> Result<Option<Vec<PacketFacts>>, Fault> {
        let (Mode::Packet, Some(headers)) = (self.cutting.mode, &self.headers) else { return Ok(None) };
        let (lengths, links) = (headers.length.read_all()?, headers.link_type.read_all()?);
        let times = &self.packets()?.times;
        let size = self.cutting.size.bytes();
        let (mut facts, mut bytes) = (Vec::with_capacity(fragments.len()), Vec::new());
        for first in fragments.clone().step_by(CHECKED_AT_ONCE) {
            let block = first..(first + CHECKED_AT_ONCE).min(fragments.end);
            bytes.clear();
            self.read(block.clone(), &mut bytes)?;
            let provenance = self.provenance(block.clone())?;
            facts.extend(block.zip(bytes.chunks(size)).map(|(fragment, bytes)| {
                let i = provenance.packets(fragment)[0].0 as usize - 1;
                let captured = &bytes[..size.min(lengths[i] as usize)];
                Dissection::new(LinkType(links[i]), captured).facts(lengths[i], lengths[i], times[i])
            }));
        }
        Ok(Some(facts))
    }

    /// What a packet, counted from 1, begins with; `None` where the file does not say.
    pub(super) fn link_type(&self, packet: u64) -> Result<Option<LinkType>, Fault> {
        let i = usize::try_from(packet).ok().and_then(|packet| packet.checked_sub(1));
        match (&self.headers, i.filter(|i| *i < self.time_ns.rows())) {
            (Some(headers), Some(i)) => {
                let mut numbers = Vec::new();
                headers.link_type.read(i..i + 1, &mut numbers)?;
                Ok(numbers.first().copied().map(LinkType))
            }
            _ => Ok(None),
        }
    }

    /// Where the segments of fragments begin, and where those of the last one end: rising, and all there.
    fn offsets(&self, fragments: Range<usize>) -> Result<Vec<usize>, Fault> {
        let mut offsets = Vec::new();
        self.segment_offsets.read(fragments.start..fragments.end + 1, &mut offsets)?;
        if let Some(i) = offsets.windows(2).position(|pair| pair[0] >= pair[1]) {
            let row = Place::Row((fragments.start + i) as u64);
            return Err(row.found("a fragment without segments", "at least one").within(self.segment_offsets.place()));
        }
        let segments = self.segments.rows();
        let within = |offset: u64| usize::try_from(offset).ok().filter(|&offset| offset <= segments);
        let outside = |offset| self.segment_offsets.place().found(offset, format!("at most {segments}"));
        offsets.into_iter().map(|offset| within(offset).ok_or_else(|| outside(offset))).collect()
    }

    fn segment(&self, row: &[u64; 4], packets: &Packets) -> Result<Segment, Fault> {
        let [packet, packet_offset, fragment_offset, length] = *row;
        let label = usize::try_from(packet).ok().and_then(|packet| packets.labels.get(packet.checked_sub(1)?));
        let Some(&label) = label else {
            let expected = format!("1 to {}", packets.labels.len());
            return Err(self.segments.place().found(format!("packet {packet}"), expected));
        };
        let size = self.cutting.size.bytes() as u64;
        let packet_end = packet_offset.checked_add(length).filter(|&end| end <= u32::MAX.into());
        let fragment_end = fragment_offset.checked_add(length).filter(|&end| end <= size);
        match (packet_end, fragment_end) {
            (Some(_), Some(_)) => Ok(Segment {
                packet,
                label,
                packet_offset: packet_offset as u32,
                fragment_offset: fragment_offset as u32,
                length: length as u32,
            }),
            _ => {
                let found = format!("{length} bytes of packet {packet} at {fragment_offset}");
                Err(self.segments.place().found(found, format!("no more than fit into {size}")))
            }
        }
    }

    fn packets(&self) -> Result<&Packets, Fault> {
        if let Some(packets) = self.packets.get() {
            return Ok(packets);
        }
        let labels = self
            .label
            .read_all()?
            .into_iter()
            .map(|number| Label::from_i8(number).ok_or_else(|| self.label.place().found(number, "-1, 0 or 1")));
        let packets = Packets { times: self.time_ns.read_all()?, labels: labels.collect::<Result<_, _>>()? };
        Ok(self.packets.get_or_init(|| packets))
    }
}

fn headers(file: &Hdf5File) -> Result<Option<Headers>, Fault> {
    match (file.array("packets/length")?, file.array("packets/link_type")?) {
        (Some(length), Some(link_type)) => Ok(Some(Headers { length, link_type })),
        _ => Ok(None),
    }
}

/// How the fragments were cut: mode and rules as the attributes say, the size as the array has it.
fn cutting(file: &Hdf5File, fragments: &Array<u8>) -> Result<Cutting, Fault> {
    let mode = file.required_text("mode")?;
    let mode = Mode::from_name(&mode).ok_or_else(|| unknown_mode(&mode))?;
    let semantics = match file.small_number("compat")? {
        0 => Semantics::Complete,
        _ => Semantics::Compat,
    };
    let shape = match file.small_number("one_d")? {
        0 => Shape::Square,
        _ => Shape::Line,
    };
    let size = match (shape, fragments.shape()) {
        (Shape::Square, [_, side, other]) if side == other => FragmentSize::new(side.saturating_mul(*side), shape)?,
        (Shape::Line, [_, bytes]) => FragmentSize::new(*bytes, shape)?,
        (_, got) => {
            return Err(fragments.place().found(format!("the shape {got:?}"), "[any, side, side] or [any, size]"));
        }
    };
    let mask = file.text("mask")?.unwrap_or_default().parse::<Mask>()?;
    Ok(Cutting { mode, size, semantics, mask })
}

/// The attribute `mode` of a file is not the name of one.
pub(crate) fn unknown_mode(name: &str) -> Fault {
    Place::Entry("mode".into()).found(format!("{name:?}"), "\"byte\", \"packet\" or \"flow\"")
}
