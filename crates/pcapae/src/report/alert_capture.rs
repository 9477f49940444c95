//! The packets that raised alerts as a capture of their own, with the reason in a comment on each.

use std::collections::HashMap;
use std::io::{self, Write};

use crate::capture::{CaptureSummary, Captures, LinkType, Packet, PcapNgWriter};
use crate::monitor::{Alert, Detection, Event};
use crate::{Error, Result};

/// Writes a pcapng file of the packets of `captures`, the same that `detection` was made of, that raised alerts: with their times, bytes and
/// lengths on the wire, and a comment each. Each interface of each capture is an interface here, which names the capture.
pub fn alert_capture(
    detection: &Detection,
    events: &[Event],
    mut captures: Captures,
    writer: impl Write,
) -> Result<()> {
    let of_event = |event: &Event| event.packets.iter().map(|packet| (*packet, event.number)).collect::<Vec<_>>();
    let numbers: HashMap<u64, usize> = events.iter().flat_map(of_event).collect();
    let unwritable = Error::unwritable::<io::Error>("capture of alerts");
    let writer = PcapNgWriter::new(writer).map_err(unwritable)?;
    let mut file = AlertCapture { writer, sources: &detection.captures, interfaces: HashMap::new() };
    let mut alerts = detection.alerts().peekable();
    while alerts.peek().is_some() {
        let Some(packet) = captures.next_packet()? else { break };
        if let Some(alert) = alerts.next_if(|alert| alert.packet == packet.number) {
            file.packet(&packet, &comment(&alert, numbers.get(&packet.number).copied())).map_err(unwritable)?;
        }
    }
    file.writer.finish().map_err(unwritable)
}

/// Why a packet raised an alert, in one line: `pcapae alert 3, packet 12: by packet, score 8.24 (1.08 times the threshold), p 4.60e-4,
/// PositionHistogram 71 %, Autoencoder 29 %`.
fn comment(alert: &Alert, number: Option<usize>) -> String {
    let number = number.map_or_else(String::new, |number| format!(" alert {number},"));
    let shares: String =
        alert.shares.iter().map(|(name, share)| format!(", {} {:.0} %", name, share * 100.0)).collect();
    format!(
        "pcapae{number} packet {}: by {}, score {:.2} ({:.2} times the threshold), p {:.2e}{shares}",
        alert.packet,
        alert.trigger.name(),
        alert.score,
        alert.multiple(),
        alert.p_value,
    )
}

struct AlertCapture<'a, W> {
    writer: PcapNgWriter<W>,
    sources: &'a CaptureSummary,
    /// By the index of the capture, the interface's number in it, and its link type.
    interfaces: HashMap<(usize, u32, LinkType), u32>,
}

impl<W: Write> AlertCapture<'_, W> {
    fn packet(&mut self, packet: &Packet<'_>, comment: &str) -> io::Result<()> {
        let (source, path) = self.source(packet.number);
        let key = (source, packet.interface, packet.link);
        let interface = match self.interfaces.get(&key) {
            Some(interface) => *interface,
            None => {
                let interface =
                    self.writer.interface(packet.link, &format!("interface {} of {path}", packet.interface))?;
                self.interfaces.insert(key, interface);
                interface
            }
        };
        self.writer.packet(interface, packet, comment)
    }

    /// The index of the capture that holds a packet, and its path.
    fn source(&self, packet: u64) -> (usize, String) {
        let mut before = 0;
        for (index, source) in self.sources.sources.iter().enumerate() {
            before += source.packets;
            if packet <= before {
                return (index, source.path.display().to_string());
            }
        }
        (self.sources.sources.len(), String::new())
    }
}
