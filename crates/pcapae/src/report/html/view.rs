//! The texts and numbers of the page, as the template takes them.

use serde::Serialize;

use super::HtmlReport;
use super::evidence::{ReportEvidence, protocol};
use super::shown::{PACKETS_MAX, PACKETS_OF_EVENT};
use crate::calibration::{Threshold, Trigger};
use crate::capture::{CaptureSummary, Source};
use crate::metrics::{Confusion, Summary};
use crate::monitor::{Bundle, EVIDENCE_BYTES, Event};
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
    scored: u64,
    alerts: u64,
    by_packet: u64,
    by_connection: u64,
    events: usize,
    threshold: String,
    connection_threshold: Option<String>,
    rate: String,
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
    time: String,
    duration: Option<String>,
    first_ns: i64,
    first_packet: u64,
    last_packet: u64,
    alerts: usize,
    from: String,
    to: String,
    hosts: usize,
    protocol: String,
    multiple: String,
    sort_multiple: f32,
    fired: &'static str,
    /// The detector with the largest share, and the share.
    most: String,
    attack: Option<&'static str>,
    anomalous: usize,
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
            events_hidden: report.events.len() - shown.len(),
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
        let detection = report.detection;
        let threshold = detection.packet_threshold();
        let of_connections = detection.connection_threshold().filter(|other| other.value != threshold.value);
        let CaptureSummary { time_range_ns, .. } = &detection.captures;
        SummaryView {
            packets: summary.packets,
            scored: summary.scored,
            alerts: summary.alerts,
            by_packet: summary.by_packet,
            by_connection: summary.by_connection,
            events: report.events.len(),
            threshold: format!("{:.2}", threshold.value),
            connection_threshold: of_connections.map(|threshold| format!("{:.2}", threshold.value)),
            rate: percent(report.bundle.0.decision.rate().share()),
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
        let conversation = &event.peak.conversation;
        let seconds = event.last_ns.abs_diff(event.first_ns) as f64 / 1e9;
        let most = event.peak.shares.iter().max_by(|(_, a), (_, b)| a.total_cmp(b));
        EventView {
            number: event.number,
            time: readable(event.first_ns),
            duration: (seconds >= 1.0).then(|| format!("{seconds:.0} s")),
            first_ns: event.first_ns,
            first_packet: event.packets.first().copied().unwrap_or_default(),
            last_packet: event.packets.last().copied().unwrap_or_default(),
            alerts: event.packets.len(),
            from: conversation.source.to_string(),
            to: conversation.destination.to_string(),
            hosts: event.hosts,
            protocol: protocol(&event.peak),
            multiple: format!("{:.2}", event.peak.multiple()),
            sort_multiple: event.peak.multiple(),
            fired: match event.peak.trigger {
                Trigger::Both => "packet, connection",
                trigger => trigger.name(),
            },
            most: most.map_or_else(String::new, |(name, share)| format!("{} {:.0} %", name, share * 100.0)),
            attack: event.anomalous.map(|count| match count {
                0 => "no",
                count if count == event.packets.len() => "yes",
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
    let Bundle { cutting, detectors, decision, training_summary, normal } = bundle;
    let split = &training_summary.split;
    let mask = if cutting.mask.is_empty() { "none".into() } else { cutting.mask.to_string().replace(',', ", ") };
    let mut rows = vec![
        ("detectors", detectors.to_string()),
        ("cutting", format!("{} mode, fragments of {} bytes", cutting.mode.name(), cutting.size.bytes())),
        ("header fields read as zeros", mask),
        ("learned from", format!("{} packets", training_summary.packets)),
        (
            "of these fitted",
            format!("packets 1 to {}, in {} windows", split.training_end, training_summary.training_windows),
        ),
        ("decided when to stop", format!("packets {} to {}", split.training_end + 1, split.validation_end)),
        ("calibrated each detector", format!("packets {} to {}", split.validation_end + 1, split.calibration_end)),
        ("calibrated all together", format!("packets {} to {}", split.calibration_end + 1, training_summary.packets)),
    ];
    if let Some(best) = training_summary.history.best_epoch() {
        let epochs = training_summary.history.epochs.len();
        rows.push((
            crate::residual::AUTOENCODER,
            format!("{epochs} epochs, best validation error {:.5}", best.validation),
        ));
    }
    rows.push(("wanted false-alarm rate", wanted_rate(&decision.packet_threshold(), percent(decision.rate().share()))));
    let kept = normal.as_ref().map_or_else(|| "none".into(), |normal| normal.len().to_string());
    rows.push(("normal fragments kept to compare with", kept));
    rows.push(("alarms among the validation packets", percent(training_summary.validation_alarm_rate)));
    rows
}

fn wanted_rate(threshold: &Threshold, rate: String) -> String {
    let calibrated_on = threshold.calibrated_on;
    match threshold.promises_rate() {
        true => format!("{rate}, calibrated on {calibrated_on} packets"),
        false => format!("{rate}, which {calibrated_on} packets cannot promise: it takes {}", threshold.needed()),
    }
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
