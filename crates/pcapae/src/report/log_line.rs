//! Events as lines for log collectors: syslog and CEF.

use super::kind::{kind_name, severity, signature, signature_id};
use super::timestamp;
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
    format!("<{PRIORITY}>1 {time} - pcapae - alert [pcapae@{ENTERPRISE}{data}] pcapae: {}", event.reason)
}

/// One event as a line of ArcSight's Common Event Format, version 0. The severity is 4, 7 or 10.
pub fn cef_line(event: &Event) -> String {
    let severity = [10, 7, 4][usize::from(severity(event) - 1)];
    let conversation = &event.opening().conversation;
    let times = [event.first_ns, event.last_ns].map(|time_ns| time_ns / 1_000_000);
    let mut extension = format!("rt={} end={} cnt={}", times[0], times[1], event.packet_count);
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
    let (version, id) = (env!("CARGO_PKG_VERSION"), signature_id(event));
    format!("CEF:0|pcapae|pcapae|{version}|{id}|{}|{severity}|{extension}", signature(event))
}

/// Names and values that both forms have.
fn fields(event: &Event) -> Vec<(String, String)> {
    let conversation = &event.opening().conversation;
    let fields = [
        ("number", event.number.to_string()),
        ("kind", kind_name(event)),
        ("reason", event.reason.clone()),
        ("strength", event.peak.strength().to_string()),
        ("packet", event.opening().packet.to_string()),
        ("packets", event.packet_count.to_string()),
        ("recurrences", event.recurrences.to_string()),
        ("last", timestamp(event.last_ns)),
        ("protocol", conversation.protocol.to_owned()),
        ("source", conversation.source.to_string()),
        ("destination", conversation.destination.to_string()),
    ];
    fields.map(|(name, value)| (name.to_owned(), value)).into()
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
    use crate::monitor::event::tests::{alert, events};

    #[test]
    fn lines_say_who_and_why() {
        let event = &events([alert(4, 1, 9, 1), alert(5, 3, 9, 1)])[0];
        let line = syslog_line(event);
        let reason = "10.0.0.9 speaks TCP port 1004 to 10.0.0.1, which it never did";
        let data = format!(
            "[pcapae@32473 number=\"1\" kind=\"Novelty/pair\" reason=\"{reason}\" strength=\"6\" packet=\"4\" packets=\"2\" recurrences=\"0\" \
             last=\"1970-01-01T00:00:03.000000Z\" protocol=\"TCP\" source=\"10.0.0.9:1004\" destination=\"10.0.0.1:1004\"]"
        );
        let expected = format!("<108>1 1970-01-01T00:00:01.000000Z - pcapae - alert {data} pcapae: {reason}");
        assert_eq!(line, expected);
        let line = cef_line(event);
        let version = env!("CARGO_PKG_VERSION");
        let head =
            format!("CEF:0|pcapae|pcapae|{version}|{}|pcapae: hosts that never spoke so|10|", signature_id(event));
        assert!(
            line.starts_with(&format!("{head}rt=1000 end=3000 cnt=2 src=10.0.0.9 spt=1004 dst=10.0.0.1")),
            "{line}"
        );
        assert!(
            line.ends_with(" pcapaeDestination=10.0.0.1:1004") && line.contains(&format!("pcapaeReason={reason}")),
            "{line}"
        );
    }

    #[test]
    fn what_would_end_a_value_is_escaped() {
        assert_eq!(escaped("a]b\"c\\", &['"', '\\', ']']), "a\\]b\\\"c\\\\");
    }
}
