//! The packets that raised alerts as a capture of their own, with the reason in a comment on each.

use std::collections::HashMap;
use std::io::{self, Write};

use super::kind::kind_name;
use crate::capture::{CaptureSummary, Captures, LinkType, Packet, PcapNgWriter};
use crate::monitor::{Alert, Detection, Event};
use crate::{Error, Result};

/// Writes a pcapng file of the packets of `captures`, the same that `detection` was made of, that raised alerts: those that its events list, with
/// their times, bytes and lengths on the wire, and a comment each. Each interface of each capture is an interface here, which names the
/// capture.
pub fn alert_capture(detection: &Detection, mut captures: Captures, writer: impl Write) -> Result<()> {
    let events = detection.events.iter();
    let mut wanted: Vec<(u64, &Event)> =
        events.flat_map(|event| event.packets.iter().map(move |packet| (*packet, event))).collect();
    wanted.sort_unstable_by_key(|(packet, _)| *packet);
    let writer = PcapNgWriter::new(writer).map_err(unwritable)?;
    let mut file = AlertCapture { writer, sources: &detection.captures, interfaces: HashMap::new() };
    let mut wanted = wanted.into_iter().peekable();
    while wanted.peek().is_some() {
        let Some(packet) = captures.next_packet()? else { break };
        if let Some((_, event)) = wanted.next_if(|(wanted, _)| *wanted == packet.number) {
            file.packet(&packet, &comment(packet.number, event)).map_err(unwritable)?;
        }
    }
    file.writer.finish().map_err(unwritable)
}

/// Why a packet raised an alert, in one line: `pcapae alert 3 (Novelty/pair), packet 12: 10.0.0.9 speaks HTTP to 10.0.0.1, which it never did`; for packets
/// after the first 64 of an event what the event is.
fn comment(packet: u64, event: &Event) -> String {
    let alert = event.alerts.iter().find(|alert| alert.packet == packet);
    let reason = alert.map_or_else(|| event.reason.clone(), Alert::reason);
    let kinds = alert.map_or_else(
        || vec![kind_name(event)],
        |alert| alert.findings.iter().map(|finding| format!("{}/{}", finding.detector, finding.aspect.name)).collect(),
    );
    format!("pcapae alert {} ({}), packet {packet}: {reason}", event.number, kinds.join(", "))
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

fn unwritable(error: io::Error) -> Error {
    Error::Unwritable { what: "capture of alerts", reason: error.to_string() }
}
