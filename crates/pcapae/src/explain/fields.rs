//! From pixels to meaning: the relevance of every header field of the packets in a window.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::explanation::Explanation;
use crate::Result;
use crate::capture::LinkType;
use crate::capture::headers::{Dissection, NamedField, named_transport};
use crate::dataset::Dataset;
use crate::fragment::{Mode, Segment};

/// So many bytes at the front of a packet are enough to name its headers.
const FRONT: usize = 1024;

/// The relevance of a field of one packet.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldRelevance {
    /// The packet's number, from 1.
    pub packet: u64,
    /// Offset of the first byte in the packet.
    pub offset: u32,
    /// Bytes of the field that lie in the window.
    pub length: u32,
    /// What it is called: `Modbus function code`, `payload +12`, or `padding` for zeros behind a packet.
    pub name: String,
    /// Σ of the relevance of its bytes.
    pub relevance: f64,
    /// Σ of their |relevance|, as a share of that of all bytes of the window, 0 to 1.
    pub share: f64,
}

/// The relevance of every field of the packets in the window of these fragments, the highest share first; fields without any are left out.
/// Empty where the dataset, in the original's layout, does not know which bytes are whose.
///
/// Headers are read off the fragments themselves: in byte mode also off those before, where a packet begins there; in flow mode from the
/// transport header on. What is masked in the dataset is masked here, so that with masked ports no service is known.
pub fn fields(explanation: &Explanation, dataset: &Dataset, window: Range<usize>) -> Result<Vec<FieldRelevance>> {
    let mut packets = Packets { dataset, known: BTreeMap::new() };
    let provenance = dataset.provenance(window.clone())?;
    let segments: Option<Vec<&[Segment]>> = window.clone().map(|fragment| provenance.segments(fragment)).collect();
    let Some(segments) = segments else { return Ok(vec![]) };
    let mut name = |segment: &Segment, frame: usize| packets.fields(segment, window.start + frame);
    shared_out(explanation, &segments, &mut name)
}

/// Names the bytes of a segment of a frame, at least as far as the segment goes.
pub(super) type Naming<'a> = dyn FnMut(&Segment, usize) -> Result<Vec<NamedField>> + 'a;

/// The relevance of every field of the packets whose segments lie in the frames.
pub(super) fn shared_out(
    explanation: &Explanation,
    segments: &[&[Segment]],
    name: &mut Naming<'_>,
) -> Result<Vec<FieldRelevance>> {
    let total: f64 = explanation.relevance.iter().flatten().map(|r| r.abs()).sum();
    let mut sums: BTreeMap<(u64, u32, String), (u32, f64, f64)> = BTreeMap::new();
    for (frame, (segments, relevance)) in segments.iter().zip(&explanation.relevance).enumerate() {
        let mut add = |packet: u64, offset: u32, name: String, relevance: &[f64]| {
            let sum = sums.entry((packet, offset, name)).or_default();
            sum.0 += relevance.len() as u32;
            sum.1 += relevance.iter().sum::<f64>();
            sum.2 += relevance.iter().map(|r| r.abs()).sum::<f64>();
        };
        for segment in *segments {
            for field in name(segment, frame)? {
                let part = overlap(&field.range, segment);
                if part.is_empty() {
                    continue;
                }
                let in_fragment = part.start - segment.packet_offset as usize + segment.fragment_offset as usize;
                let relevance = &relevance[in_fragment..in_fragment + part.len()];
                add(segment.packet, field.range.start as u32, field.to_string(), relevance);
            }
        }
        for (range, segment) in padding(segments, relevance.len()) {
            let behind = segment.packet_offset + segment.length;
            add(segment.packet, behind, "padding".into(), &relevance[range]);
        }
    }
    let share = |sum: f64| if total > 0.0 { sum / total } else { 0.0 };
    let mut fields: Vec<FieldRelevance> = sums
        .into_iter()
        .filter(|(_, (_, _, all))| *all > 0.0)
        .map(|((packet, offset, name), (length, relevance, all))| FieldRelevance {
            packet,
            offset,
            length,
            name,
            relevance,
            share: share(all),
        })
        .collect();
    sort(&mut fields);
    Ok(fields)
}

/// The highest share first.
pub(super) fn sort(fields: &mut [FieldRelevance]) {
    fields.sort_by(|a, b| b.share.total_cmp(&a.share).then((a.packet, a.offset).cmp(&(b.packet, b.offset))));
}

/// The relevance of fields of one name, over several packets.
#[derive(Debug, Clone, PartialEq)]
pub struct NameRelevance {
    /// What the fields are called.
    pub name: String,
    /// The first packet with one, from 1.
    pub first_packet: u64,
    /// The last packet with one.
    pub last_packet: u64,
    /// How many packets have one.
    pub packets: usize,
    /// Σ of their relevance.
    pub relevance: f64,
    /// Σ of their shares, 0 to 1.
    pub share: f64,
}

/// Fields of all packets together by their names, the highest share first.
pub fn by_name(fields: &[FieldRelevance]) -> Vec<NameRelevance> {
    let mut of_name: BTreeMap<&str, (BTreeSet<u64>, f64, f64)> = BTreeMap::new();
    for field in fields {
        let (packets, relevance, share) = of_name.entry(&field.name).or_default();
        packets.insert(field.packet);
        *relevance += field.relevance;
        *share += field.share;
    }
    let one = |(name, (packets, relevance, share)): (&str, (BTreeSet<u64>, f64, f64))| NameRelevance {
        name: name.to_owned(),
        first_packet: packets.first().copied().unwrap_or_default(),
        last_packet: packets.last().copied().unwrap_or_default(),
        packets: packets.len(),
        relevance,
        share,
    };
    let mut names: Vec<NameRelevance> = of_name.into_iter().map(one).collect();
    names.sort_by(|a, b| b.share.total_cmp(&a.share));
    names
}

/// The fields that matter most, in one sentence: `87 % of the relevance lies in Modbus function code and register address of packets
/// 4,782–4,791`. `None` where there is no field.
pub fn summary(fields: &[FieldRelevance]) -> Option<String> {
    const NAMES_MOST: usize = 3;
    const ENOUGH: f64 = 0.8;
    let by_name = by_name(fields);
    let mut share = 0.0;
    let mut concerned = by_name.iter().take(NAMES_MOST).take_while(|name| {
        let wanted = share < ENOUGH;
        share += if wanted { name.share } else { 0.0 };
        wanted
    });
    let concerned: Vec<&NameRelevance> = concerned.by_ref().collect();
    let names: Vec<&str> = concerned.iter().map(|name| name.name.as_str()).collect();
    let first = concerned.iter().map(|name| name.first_packet).min()?;
    let last = concerned.iter().map(|name| name.last_packet).max()?;
    let packets = match first == last {
        true => format!("packet {}", thousands(first)),
        false => format!("packets {}–{}", thousands(first), thousands(last)),
    };
    Some(format!("{:.0} % of the relevance lies in {} of {packets}", share * 100.0, listed(&names)))
}

/// `Modbus function code, register address and TCP flags`: a protocol is named once for neighbours.
fn listed(names: &[&str]) -> String {
    let protocol = |name: &str| name.split(' ').next().unwrap_or_default().to_owned();
    let mut short: Vec<String> = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let again = i > 0 && protocol(names[i - 1]) == protocol(name) && name.contains(' ') && !name.contains('+');
        short.push(if again { name[protocol(name).len() + 1..].to_owned() } else { (*name).to_owned() });
    }
    match short.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((only, _)) => only.clone(),
        None => String::new(),
    }
}

/// `1234567` as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// The part of a packet's range that a segment holds.
fn overlap(range: &Range<usize>, segment: &Segment) -> Range<usize> {
    let start = segment.packet_offset as usize;
    range.start.max(start)..range.end.min(start + segment.length as usize)
}

/// The bytes of a fragment of `size` bytes that are in no segment, each run with the segment before it, or the first.
fn padding(segments: &[Segment], size: usize) -> Vec<(Range<usize>, &Segment)> {
    let mut runs = Vec::new();
    let (mut end, mut before) = (0, segments.first());
    let next = segments.iter().map(|segment| (segment.fragment_offset as usize, Some(segment))).chain([(size, None)]);
    for (start, segment) in next {
        if let (true, Some(before)) = (start > end, before) {
            runs.push((end..start, before));
        }
        if let Some(segment) = segment {
            end = end.max(start + segment.length as usize);
            before = Some(segment);
        }
    }
    runs
}

/// Names for the bytes of packets, each found once.
struct Packets<'a> {
    dataset: &'a Dataset,
    known: BTreeMap<u64, Vec<NamedField>>,
}

impl Packets<'_> {
    /// The fields of a segment's packet, at least as far as the segment goes.
    fn fields(&mut self, segment: &Segment, fragment: usize) -> Result<Vec<NamedField>> {
        let end = (segment.packet_offset + segment.length) as usize;
        let covers = |fields: &Vec<NamedField>| fields.last().is_some_and(|field| field.range.end >= end);
        if let Some(fields) = self.known.get(&segment.packet).filter(|fields| covers(fields)) {
            return Ok(fields.clone());
        }
        let fields = match self.dataset.mode() {
            Some(Mode::Flow) => {
                let start = segment.fragment_offset as usize;
                let mut bytes = Vec::new();
                self.dataset.read(fragment..fragment + 1, &mut bytes)?;
                let bytes = &bytes[start..start + segment.length as usize];
                // A segment that goes on in the next fragment begins in the middle there: only its place is known.
                match self.begins_before(segment, fragment)? {
                    Some(start) => return Ok(payload(start, end)),
                    None => named_transport(bytes, segment.packet_offset as usize),
                }
            }
            _ => {
                let link = self.dataset.link_type(segment.packet)?.unwrap_or(LinkType::ETHERNET);
                let mut fields = Dissection::new(link, &self.front(segment, fragment)?).named_fields();
                let known = fields.last().map_or(0, |field| field.range.end);
                fields.extend(payload(known, end));
                fields
            }
        };
        self.known.insert(segment.packet, fields.clone());
        Ok(fields)
    }

    /// The front of a packet, as far as it lies in the dataset; zeros where it does not.
    fn front(&self, segment: &Segment, fragment: usize) -> Result<Vec<u8>> {
        let size = self.dataset.size().bytes();
        let before = (segment.packet_offset as usize).saturating_sub(segment.fragment_offset as usize).div_ceil(size);
        // In byte mode a packet's bytes follow each other from fragment to fragment.
        let first = fragment.saturating_sub(before);
        let mut front = Vec::new();
        for fragment in first..(first + FRONT.div_ceil(size) + 1).min(self.dataset.len()) {
            let provenance = self.dataset.provenance(fragment..fragment + 1)?;
            let mut bytes = Vec::new();
            self.dataset.read(fragment..fragment + 1, &mut bytes)?;
            let own = provenance.segments(fragment).unwrap_or_default().iter();
            let mut parts =
                own.filter(|own| own.packet == segment.packet && (own.packet_offset as usize) < FRONT).peekable();
            if parts.peek().is_none() {
                break;
            }
            for part in parts {
                let (to, from) = (part.packet_offset as usize, part.fragment_offset as usize);
                let length = part.length as usize;
                front.resize(front.len().max(to + length), 0);
                front[to..to + length].copy_from_slice(&bytes[from..from + length]);
            }
        }
        Ok(front)
    }

    /// In flow mode: where a segment begins in its packet, if it does not begin with the transport header.
    fn begins_before(&self, segment: &Segment, fragment: usize) -> Result<Option<usize>> {
        let at = segment.packet_offset as usize;
        if segment.fragment_offset != 0 || fragment == 0 {
            return Ok(None);
        }
        let provenance = self.dataset.provenance(fragment - 1..fragment)?;
        let last = provenance.segments(fragment - 1).and_then(|segments| segments.last());
        Ok(last.filter(|last| last.packet == segment.packet).map(|_| at))
    }
}

/// Bytes of which only the place is known.
pub(super) fn payload(start: usize, end: usize) -> Vec<NamedField> {
    const PIECE: usize = 4;
    let piece = |at: usize| NamedField { protocol: "payload", name: "", within: at, range: at..(at + PIECE).min(end) };
    (start..end).step_by(PIECE).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::Label;

    fn field(packet: u64, name: &str, share: f64) -> FieldRelevance {
        FieldRelevance { packet, offset: 0, length: 1, name: name.into(), relevance: share, share }
    }

    #[test]
    fn the_sentence_names_what_matters_and_where() {
        let fields = [
            field(4782, "Modbus function code", 0.5),
            field(4791, "Modbus register address", 0.37),
            field(3, "TCP window", 0.13),
        ];
        assert_eq!(
            summary(&fields).unwrap(),
            "87 % of the relevance lies in Modbus function code and register address of packets 4,782–4,791"
        );
        assert_eq!(summary(&fields[..0]), None);
        assert_eq!(
            summary(&[field(1_234_567, "payload +4", 1.0)]).unwrap(),
            "100 % of the relevance lies in payload +4 of packet 1,234,567"
        );
    }

    #[test]
    fn what_no_segment_covers_is_padding_of_the_one_before() {
        let segment = |packet, fragment_offset, length| Segment {
            packet,
            label: Label::Unknown,
            packet_offset: 0,
            fragment_offset,
            length,
        };
        let segments = [segment(1, 2, 3), segment(2, 5, 1), segment(3, 8, 1)];
        let runs: Vec<_> = padding(&segments, 10).into_iter().map(|(range, segment)| (range, segment.packet)).collect();
        assert_eq!(runs, [(0..2, 1), (6..8, 2), (9..10, 3)]);
    }
}
