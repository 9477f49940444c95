//! Explanations of windows that a bundle's model scored, and of all packets of an alert together.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::explainer::Explainer;
use super::explanation::Explanation;
use super::fields::{FieldRelevance, payload, shared_out, sort};
use super::method::Method;
use super::target::Target;
use crate::capture::LinkType;
use crate::capture::headers::{Dissection, NamedField};
use crate::fragment::{Mode, Segment};
use crate::model::Autoencoder;
use crate::monitor::{Evidence, ScoredWindow};
use crate::progress::Progress;
use crate::{Error, Result};

/// What is explained of each window.
#[derive(Debug, Clone, Copy)]
pub enum Aim<'a> {
    /// The score of the frame that was scored.
    Score,
    /// The same target for all.
    Target(Target<'a>),
}

/// A scored window, the relevance of its bytes, and of the fields that they are.
#[derive(Debug, Clone)]
pub struct ExplainedWindow<'a> {
    /// The window.
    pub window: &'a ScoredWindow,
    /// What was explained of it.
    pub explanation: Explanation,
    /// The fields of all packets with bytes in it, the highest share first. Fields that were masked are named like others.
    pub fields: Vec<FieldRelevance>,
}

/// Explains all windows of `evidence`, which `model` scored in `mode`, in parallel; in their order.
///
/// Refuses what [`Explainer::explain`] refuses. Progress counts windows.
pub fn explain_windows<'a>(
    (model, mode): (&Autoencoder, Mode),
    evidence: &'a Evidence,
    (aim, method): (&Aim<'_>, &Method),
    progress: &dyn Progress,
) -> Result<Vec<ExplainedWindow<'a>>> {
    progress.begin("explaining", Some(evidence.windows.len() as u64));
    let mut explained = Vec::with_capacity(evidence.windows.len());
    // Piece by piece, so that the work can be stopped.
    for piece in evidence.windows.chunks(8 * rayon::current_num_threads()) {
        if progress.interrupted() {
            return Err(Error::Interrupted);
        }
        let of_piece: Vec<ExplainedWindow<'a>> = piece
            .par_iter()
            .map(|window| explain_window((model, mode), evidence, window, (aim, method)))
            .collect::<Result<_>>()?;
        explained.extend(of_piece);
        progress.advance(piece.len() as u64);
    }
    Ok(explained)
}

fn explain_window<'a>(
    (model, mode): (&Autoencoder, Mode),
    evidence: &Evidence,
    window: &'a ScoredWindow,
    (aim, method): (&Aim<'_>, &Method),
) -> Result<ExplainedWindow<'a>> {
    let own_length = window.segments.len() == model.config().window_frames();
    let shorter = if own_length { None } else { Some(model.with_frames(window.segments.len())?) };
    let target = match aim {
        Aim::Score => Target::Score { frame: window.frame },
        Aim::Target(target) => *target,
    };
    let explainer = Explainer::new(shorter.as_ref().unwrap_or(model));
    let explanation = explainer.explain(&window.bytes, &target, method, &())?;
    let segments: Vec<&[Segment]> = window.segments.iter().map(Vec::as_slice).collect();
    let mut names = Names { evidence, mode, window, known: BTreeMap::new() };
    let fields = shared_out(&explanation, &segments, &mut |segment, frame| Ok(names.of(segment, frame)))?;
    Ok(ExplainedWindow { window, explanation, fields })
}

/// The fields of several windows as if they were one: shares are of the |relevance| of all of them, the highest first.
pub fn joined_fields(windows: &[ExplainedWindow<'_>]) -> Vec<FieldRelevance> {
    let of_window = |explanation: &Explanation| explanation.relevance.iter().flatten().map(|r| r.abs()).sum::<f64>();
    let totals: Vec<f64> = windows.iter().map(|window| of_window(&window.explanation)).collect();
    let all: f64 = totals.iter().sum();
    let mut sums: BTreeMap<(u64, u32, &str), FieldRelevance> = BTreeMap::new();
    for (window, total) in windows.iter().zip(totals) {
        for field in &window.fields {
            let share = if all > 0.0 { field.share * total / all } else { 0.0 };
            let sum = sums.entry((field.packet, field.offset, &field.name));
            let sum = sum.or_insert_with(|| FieldRelevance { length: 0, relevance: 0.0, share: 0.0, ..field.clone() });
            sum.length = sum.length.max(field.length);
            sum.relevance += field.relevance;
            sum.share += share;
        }
    }
    let mut fields: Vec<FieldRelevance> = sums.into_values().collect();
    sort(&mut fields);
    fields
}

/// Names for the bytes of a window's packets, each found once.
struct Names<'a> {
    evidence: &'a Evidence,
    mode: Mode,
    window: &'a ScoredWindow,
    known: BTreeMap<u64, Vec<NamedField>>,
}

impl Names<'_> {
    /// The fields of a segment's packet, at least as far as the segment goes.
    fn of(&mut self, segment: &Segment, frame: usize) -> Vec<NamedField> {
        let end = (segment.packet_offset + segment.length) as usize;
        let mut fields = match self.known.get(&segment.packet) {
            Some(fields) => fields.clone(),
            None => self.front(segment, frame),
        };
        let known = fields.last().map_or(0, |field| field.range.end);
        if known < end {
            fields.extend(payload(known, end));
        }
        self.known.insert(segment.packet, fields.clone());
        fields
    }

    /// The names at the front of a packet: by its own bytes where it is an packet_evidence, else by those in the window, as far as they are its front.
    fn front(&self, segment: &Segment, frame: usize) -> Vec<NamedField> {
        if let Some(packet_evidence) = self.evidence.packet(segment.packet) {
            return Dissection::new(packet_evidence.link, &packet_evidence.bytes).named_fields();
        }
        if segment.packet_offset > 0 || self.mode == Mode::Flow {
            return vec![];
        }
        let size = self.window.bytes.len() / self.window.segments.len();
        let start = frame * size + segment.fragment_offset as usize;
        Dissection::new(self.link(), &self.window.bytes[start..start + segment.length as usize]).named_fields()
    }

    /// The link type of the packets nearby.
    fn link(&self) -> LinkType {
        let mut evidence = self.window.packets().filter_map(|packet| self.evidence.packet(packet));
        evidence.next().map_or(LinkType::ETHERNET, |packet_evidence| packet_evidence.link)
    }
}
