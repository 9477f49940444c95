//! The relevance of a packet's bytes, and the most similar normal fragment, as the page takes them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::levels::{UNSEEN, to_base64};
use crate::explain::ExplainedWindow;
use crate::fragment::Mode;
use crate::model::{Autoencoder, CODE_SIZE};
use crate::monitor::{NormalFragments, PacketEvidence};
use crate::report::json::shortest;

/// The level of no relevance; up to 254 it speaks for a higher score, down to 0 for a lower one.
const NEUTRAL: f64 = 127.0;

/// Explanations of the windows of packets.
pub(super) struct Explained<'a> {
    windows: &'a [ExplainedWindow<'a>],
    mode: Mode,
    normal: Option<(&'a NormalFragments, Vec<[f32; CODE_SIZE]>)>,
}

impl<'a> Explained<'a> {
    /// Of a bundle's mode, model and normal fragments.
    pub fn new(
        windows: &'a [ExplainedWindow<'a>],
        mode: Mode,
        model: Option<&Autoencoder>,
        normal: Option<&'a NormalFragments>,
    ) -> Explained<'a> {
        // No codes are computed where nothing is compared.
        let wanted = if windows.is_empty() { None } else { normal.zip(model) };
        Explained { windows, mode, normal: wanted.map(|(normal, model)| (normal, normal.codes(model))) }
    }

    fn of_packet(&self, packet: u64) -> impl Iterator<Item = &'a ExplainedWindow<'a>> {
        self.windows.iter().filter(move |explained| explained.window.packets().any(|other| other == packet))
    }

    /// Of a packet: a level a byte, up to the last one that lies in a fragment; null where it is not explained.
    pub fn relevance(&self, packet_evidence: &PacketEvidence) -> Value {
        let mut relevance = vec![f64::NAN; packet_evidence.bytes.len()];
        let (mut own, mut all) = (0.0, 0.0);
        let (mut rule, mut context) = (None, false);
        for explained in self.of_packet(packet_evidence.packet) {
            let of_frame = &explained.explanation.relevance[explained.window.fragment];
            rule = Some(explained.explanation.rule.as_str());
            context |= explained.window.segments.len() > 1;
            all += explained.explanation.relevance.iter().flatten().map(|r| r.abs()).sum::<f64>();
            let segments = explained.window.segments[explained.window.fragment].iter();
            for segment in segments.filter(|segment| segment.packet == packet_evidence.packet) {
                let from = segment.fragment_offset as usize;
                let of_segment = &of_frame[from..from + segment.length as usize];
                own += of_segment.iter().map(|r| r.abs()).sum::<f64>();
                let bytes = relevance.iter_mut().skip(segment.packet_offset as usize);
                bytes.zip(of_segment).for_each(|(byte, r)| *byte = *r);
            }
        }
        let Some(rule) = rule else { return Value::Null };
        let greatest = relevance.iter().filter(|r| !r.is_nan()).fold(0.0, |most: f64, r| most.max(r.abs()));
        let level = |r: &f64| match (r.is_nan(), greatest > 0.0) {
            (true, _) => UNSEEN,
            (false, true) => (NEUTRAL + r / greatest * NEUTRAL).round() as u8,
            (false, false) => NEUTRAL as u8,
        };
        json!({
            "levels": to_base64(relevance.iter().map(level)),
            "greatest": shortest(greatest as f32),
            "rule": rule,
            "elsewhere": if all > 0.0 { shortest((1.0 - own / all) as f32) } else { 0.0 },
            "padding": self.mode == Mode::Packet,
            "context": context,
        })
    }

    /// The packet's fragment with the highest score, as the autoencoder saw it, and the normal one whose code is nearest.
    pub fn nearest_normal(&self, packet: u64) -> Value {
        let Some((normal, codes)) = &self.normal else { return Value::Null };
        let highest = self.of_packet(packet).max_by(|a, b| a.window.score.total_cmp(&b.window.score));
        let Some(explained) = highest else { return Value::Null };
        let Some(nearest) = normal.nearest(&explained.explanation.code, codes) else { return Value::Null };
        let window = explained.window;
        let size = window.bytes.len() / window.segments.len();
        let ends = window.segments[window.fragment].iter().map(|segment| segment.fragment_offset + segment.length);
        let own = &window.bytes[window.fragment * size..][..ends.max().unwrap_or(0) as usize];
        json!({
            "packet": nearest.packet,
            "distance": shortest(nearest.distance as f32),
            "bytes": BASE64_STANDARD.encode(nearest.bytes),
            "own": BASE64_STANDARD.encode(own),
        })
    }
}
