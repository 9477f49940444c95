//! The texts and numbers of the page, as the template takes them.

use std::collections::BTreeSet;

use serde::Serialize;

use super::HtmlReport;
use super::evidence::ReportEvidence;
use super::shown::{PACKETS_MAX, PACKETS_OF_EVENT};
use super::timeline::STRENGTH_DRAWN;
use crate::capture::{CaptureSummary, Source};
use crate::metrics::{Confusion, Summary};
use crate::monitor::{Bundle, EVIDENCE_BYTES, Event};
use crate::report::kind::kind_name;
use crate::report::timestamp;

/// Everything that the template takes.
#[derive(Debug, Serialize)]
pub(super) struct View {
    bundle: String,
    summary: SummaryView,
    captures: Vec<CaptureView>,
    warnings: Vec<String>,
    skipped: Vec<(String, u64)>,
    unseen: Option<UnseenView>,
    events: Vec<EventView>,
    /// Events beyond the most that are shown.
    events_hidden: usize,
    /// All kinds of the events, in order.
    kinds: Vec<String>,
    strength_drawn: f32,
    labelled: bool,
    not_kept: Option<String>,
    metrics: Option<MetricsView>,
    /// Name and value, of what was learned and how it was calibrated.
    training_summary: Vec<(&'static str, String)>,
    learned_from: Vec<CaptureView>,
    packets_of_event: usize,
    packets_max: usize,
    bytes_of_packet: usize,
    /// Whether the bundle keeps normal fragments.
    compares: bool,
}

#[derive(Debug, Serialize)]
struct SummaryView {
    packets: u64,
    alerts: u64,
    events: usize,
    /// What the left-out test of the normal traffic gave.
    left_out: String,
    left_out_note: String,
    first: Option<String>,
    last: Option<String>,
}

#[derive(Debug, Serialize)]
struct CaptureView {
    path: String,
    packets: u64,
    bytes: u64,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct UnseenView {
    bytes: u64,
    unseen: u64,
    percent: String,
}

#[derive(Debug, Serialize)]
struct EventView {
    number: usize,
    reason: String,
    /// Recurrences, and hosts beside the two.
    more: String,
    kind: String,
    time: String,
    duration: Option<String>,
    first_packet: u64,
    last_packet: u64,
    alerts: u64,
    strength: String,
    sort_strength: f32,
    attack: Option<&'static str>,
    anomalous: u64,
}

#[derive(Debug, Serialize)]
struct MetricsView {
    confusion: [u64; 4],
    rows: Vec<(&'static str, String)>,
}

impl View {
    /// Of a report that shows the events `shown`.
    pub fn of(report: &HtmlReport<'_>, shown: &[&Event]) -> View {
        let (bundle, name) = report.bundle;
        let detection = report.detection;
        let summary = Summary::of(detection);
        View {
            bundle: name.to_owned(),
            summary: SummaryView::of(report, &summary),
            captures: detection.captures.sources.iter().map(CaptureView::of).collect(),
            warnings: detection.captures.warnings.iter().map(ToString::to_string).collect(),
            skipped: detection.skipped.0.iter().map(|(reason, packets)| (reason.to_string(), *packets)).collect(),
            unseen: unseen(report.evidence),
            events: shown.iter().map(|event| EventView::of(event)).collect(),
            events_hidden: detection.events.len() - shown.len(),
            kinds: detection.events.iter().map(kind_name).collect::<BTreeSet<_>>().into_iter().collect(),
            strength_drawn: STRENGTH_DRAWN,
            labelled: summary.confusion.is_some(),
            not_kept: match report.evidence {
                ReportEvidence::NotKept(why) => Some(why.to_owned()),
                ReportEvidence::Shown(..) => None,
            },
            metrics: summary.confusion.map(|confusion| MetricsView::of(&confusion, summary.average_precision)),
            training_summary: training_summary(bundle),
            learned_from: bundle.training_summary.sources.iter().map(CaptureView::of).collect(),
            packets_of_event: PACKETS_OF_EVENT,
            packets_max: PACKETS_MAX,
            bytes_of_packet: EVIDENCE_BYTES,
            compares: bundle.normal.is_some(),
        }
    }
}

impl SummaryView {
    fn of(report: &HtmlReport<'_>, summary: &Summary) -> SummaryView {
        let CaptureSummary { time_range_ns, .. } = &report.detection.captures;
        let learned = &report.bundle.0.training_summary;
        let events = learned.left_out_events;
        SummaryView {
            packets: summary.packets,
            alerts: summary.alerts,
            events: report.detection.events.len(),
            left_out: format!("{events} event{}", if events == 1 { "" } else { "s" }),
            left_out_note: format!("in {:.1} hours of it, left out block by block", learned.seconds / 3600.0),
            first: time_range_ns.map(|(first, _)| readable(first)),
            last: time_range_ns.map(|(_, last)| readable(last)),
        }
    }
}

impl CaptureView {
    fn of(source: &Source) -> CaptureView {
        CaptureView {
            path: source.path.display().to_string(),
            packets: source.packets,
            bytes: source.bytes,
            sha256: source.sha256.clone(),
        }
    }
}

impl EventView {
    fn of(event: &Event) -> EventView {
        let seconds = event.last_ns.abs_diff(event.first_ns) as f64 / 1e9;
        EventView {
            number: event.number,
            reason: event.reason.clone(),
            more: event.remarks().join(", "),
            kind: kind_name(event),
            time: readable(event.first_ns),
            duration: (seconds >= 1.0).then(|| format!("{seconds:.0} s")),
            first_packet: event.packets.first().copied().unwrap_or_default(),
            last_packet: event.last_packet,
            alerts: event.packet_count,
            strength: format!("{:.1}", event.peak.strength()),
            sort_strength: event.peak.strength(),
            attack: event.anomalous.map(|count| match count {
                0 => "no",
                count if count == event.packet_count => "yes",
                _ => "partly",
            }),
            anomalous: event.anomalous.unwrap_or_default(),
        }
    }
}

impl MetricsView {
    fn of(confusion: &Confusion, average_precision: Option<f64>) -> MetricsView {
        let number = |value: Option<f64>| value.map_or("undefined".into(), |value| format!("{value:.3}"));
        MetricsView {
            confusion: [
                confusion.true_positives,
                confusion.false_negatives,
                confusion.false_positives,
                confusion.true_negatives,
            ],
            rows: vec![
                ("precision", number(confusion.precision())),
                ("recall", number(confusion.recall())),
                ("F1", number(confusion.f1())),
                ("false-positive rate", confusion.false_positive_rate().map_or("undefined".into(), percent)),
                ("area under the precision-recall curve", number(average_precision)),
                ("the same if everything were flagged", number(confusion.base_rate())),
            ],
        }
    }
}

/// Bytes that got into no fragment, where the captures were read again.
fn unseen(evidence: ReportEvidence<'_>) -> Option<UnseenView> {
    let ReportEvidence::Shown(evidence, _) = evidence else { return None };
    let unseen = evidence.bytes.saturating_sub(evidence.bytes_in_fragments);
    let share = unseen as f64 / evidence.bytes.max(1) as f64;
    Some(UnseenView { bytes: evidence.bytes, unseen, percent: percent(share) })
}

fn training_summary(bundle: &Bundle) -> Vec<(&'static str, String)> {
    let Bundle { cutting, detectors, decision, training_summary, normal, accepted, .. } = bundle;
    let mask = if cutting.mask.is_empty() { "none".into() } else { cutting.mask.to_string().replace(',', ", ") };
    let raising = detectors.names().zip(decision.detectors()).filter(|(_, rule)| rule.raises_alerts());
    let excluded = match training_summary.excluded {
        0 => String::new(),
        excluded => format!(", without {excluded} that were excluded"),
    };
    let mut rows = vec![
        ("detectors that raise alerts", raising.map(|(name, _)| name).collect::<Vec<_>>().join(", ")),
        ("cutting", format!("{} mode, fragments of {} bytes", cutting.mode.name(), cutting.size.bytes())),
        ("header fields read as zeros", mask),
        ("learned from", format!("{} packets{excluded}", training_summary.packets)),
        ("limits", format!("by {} blocks of time, margin {}", decision.blocks(), decision.scales().get())),
        ("accepted as normal", format!("{} events", accepted.len())),
    ];
    if let Some(best) = training_summary.history.best_epoch() {
        let epochs = training_summary.history.epochs.len();
        rows.push((
            crate::residual::AUTOENCODER,
            format!("{epochs} epochs, best validation error {:.5}", best.validation),
        ));
    }
    let kept = normal.as_ref().map_or_else(|| "none".into(), |normal| normal.len().to_string());
    rows.push(("normal fragments kept to compare with", kept));
    rows
}

/// `0.1 %`, with three significant digits.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".into(),
        percent => {
            let decimals = (2 - percent.abs().log10().floor() as i32).clamp(0, 8) as usize;
            let text = format!("{percent:.decimals$}");
            match text.contains('.') {
                true => format!("{} %", text.trim_end_matches('0').trim_end_matches('.')),
                false => format!("{text} %"),
            }
        }
    }
}

/// `2026-11-22 14:00:01.180834`, UTC.
fn readable(time_ns: i64) -> String {
    timestamp(time_ns).replace('T', " ").trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_have_three_digits_that_count() {
        let texts = [0.0, 0.001, 0.00123456, 0.5, 1.0, 0.12345, 1e-7].map(percent);
        assert_eq!(texts, ["0 %", "0.1 %", "0.123 %", "50 %", "100 %", "12.3 %", "0.00001 %"]);
    }
}
