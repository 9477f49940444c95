//! Events as lines for log collectors: syslog and CEF.

use super::timestamp;
use crate::calibration::Trigger;
use crate::capture::headers::Endpoint;
use crate::monitor::Event;

/// Facility 13, log alert, severity 4, warning: 13 × 8 + 4.
const PRIORITY: u8 = 108;
/// Private enterprise number for documentation, RFC 5612: pcapae has none of its own.
const ENTERPRISE: u32 = 32473;

/// One event as a line of RFC 5424, with the structured data `pcapae@32473`; no host is named, since the capture does not say where it was made.
pub fn syslog_line(event: &Event) -> String {
    let fields = fields(event);
    let data: String =
        fields.iter().map(|(name, value)| format!(" {name}=\"{}\"", escaped(value, &['"', '\\', ']']))).collect();
    let time = timestamp(event.first_ns);
    format!("<{PRIORITY}>1 {time} - pcapae - alert [pcapae@{ENTERPRISE}{data}] {}", signature(event))
}

/// One event as a line of ArcSight's Common Event Format, version 0. The severity is 1 to 10.
pub fn cef_line(event: &Event) -> String {
    let severity = (event.peak.multiple() * 4.0).clamp(1.0, 10.0) as u8;
    let conversation = &event.peak.conversation;
    let mut extension = format!("rt={} cnt={}", event.first_ns / 1_000_000, event.packets.len());
    // IPv6 addresses have keys of their own.
    let ends =
        [("src", "c6a2", "spt", "smac", conversation.source), ("dst", "c6a3", "dpt", "dmac", conversation.destination)];
    for (ip, ip6, port, mac, end) in ends {
        match end {
            Endpoint::Ip(address, number) => {
                extension += &format!(" {}={address}", if address.is_ipv6() { ip6 } else { ip });
                if let Some(number) = number {
                    extension += &format!(" {port}={number}");
                }
            }
            Endpoint::Mac(_) => extension += &format!(" {mac}={end}"),
            Endpoint::Unknown => {}
        }
    }
    for (name, value) in fields(event) {
        extension += &format!(" pcapae{}={}", capital(&name), escaped(&value, &['=', '\\']));
    }
    let (version, fired) = (env!("CARGO_PKG_VERSION"), event.peak.trigger.name());
    format!("CEF:0|pcapae|pcapae|{version}|{fired}|{}|{severity}|{extension}", signature(event))
}

/// An event in one sentence.
pub(super) fn signature(event: &Event) -> &'static str {
    match event.peak.trigger {
        Trigger::Packet => "pcapae: packet does not fit normal traffic",
        Trigger::Connection => "pcapae: connection does not fit normal traffic",
        Trigger::Both => "pcapae: packet and connection do not fit normal traffic",
    }
}

/// Names and values that both forms have.
fn fields(event: &Event) -> Vec<(String, String)> {
    let peak = &event.peak;
    let mut fields = vec![
        ("score".to_owned(), peak.score.to_string()),
        ("threshold".to_owned(), peak.threshold.to_string()),
        ("p".to_owned(), peak.p_value.to_string()),
        ("packet".to_owned(), peak.packet.to_string()),
        ("packets".to_owned(), event.packets.len().to_string()),
        ("protocol".to_owned(), peak.conversation.protocol.to_owned()),
        ("source".to_owned(), peak.conversation.source.to_string()),
        ("destination".to_owned(), peak.conversation.destination.to_string()),
    ];
    fields.push(("number".to_owned(), event.number.to_string()));
    fields.extend(peak.shares.iter().map(|(name, share)| ((*name).to_owned(), format!("{share:.3}"))));
    fields
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn escaped(text: &str, special: &[char]) -> String {
    text.chars().flat_map(|c| special.contains(&c).then_some('\\').into_iter().chain([c])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::event::tests::alert;
    use crate::monitor::events;

    #[test]
    fn lines_say_who_and_why() {
        let event = &events([alert(4, 1, 9, 1)])[0];
        let line = syslog_line(event);
        let data = "[pcapae@32473 score=\"4\" threshold=\"2\" p=\"0.5\" packet=\"4\" packets=\"1\" protocol=\"TCP\" source=\"10.0.0.9:1004\"";
        assert!(line.starts_with(&format!("<108>1 1970-01-01T00:00:01.000000Z - pcapae - alert {data}")), "{line}");
        let line = cef_line(event);
        assert!(line.contains("|both|pcapae: packet and connection do not fit normal traffic|8|rt=1000 cnt=1 src=10.0.0.9 spt=1004 dst=10.0.0.1"), "{line}");
    }

    #[test]
    fn what_would_end_a_value_is_escaped() {
        assert_eq!(escaped("a]b\"c\\", &['"', '\\', ']']), "a\\]b\\\"c\\\\");
    }
}
