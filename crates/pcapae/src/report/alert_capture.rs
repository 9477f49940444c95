//! The packets that raised alerts as a capture of their own, with the reason in a comment on each.

use std::collections::HashMap;
use std::io::{self, Write};
use std::iter::Peekable;
use std::vec::IntoIter;

use super::kind::kind_name;
use crate::capture::{CaptureSummary, LinkType, Packet, PcapNgWriter};
use crate::monitor::{Alert, Detection, Event, Finding};
use crate::{Error, Result};

/// A pcapng file of the packets that raised alerts: those that the events of a detection list, with their times, bytes and lengths on the wire, and a
/// comment each. Each interface of each capture is an interface here, which names the capture.
pub struct AlertCapture<'a, W> {
    writer: PcapNgWriter<W>,
    sources: &'a CaptureSummary,
    /// Packets that are still to come, with their events.
    wanted: Peekable<IntoIter<(u64, &'a Event)>>,
    /// By the index of the capture, the interface's number in it, and its link type.
    interfaces: HashMap<(usize, u32, LinkType), u32>,
}

/// Why a packet raised an alert, in one line: `pcapae alert 3 (Novelty/pair), packet 12: 10.0.0.9 speaks HTTP to 10.0.0.1, which it never did`; for packets
/// after the first 64 of an event what the event is.
fn comment(packet: u64, event: &Event) -> String {
    let alert = event.alerts.iter().find(|alert| alert.packet == packet);
    let reason = alert.map_or_else(|| event.reason.clone(), Alert::reason);
    let kinds =
        alert.map_or_else(|| vec![kind_name(event)], |alert| alert.findings.iter().map(Finding::kind).collect());
    format!("pcapae alert {} ({}), packet {packet}: {reason}", event.number, kinds.join(", "))
}

impl<'a, W: Write> AlertCapture<'a, W> {
    /// Begins the file.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn new(detection: &'a Detection, writer: W) -> Result<AlertCapture<'a, W>> {
        let events = detection.events.iter();
        let mut wanted: Vec<(u64, &Event)> =
            events.flat_map(|event| event.packets.iter().map(move |packet| (*packet, event))).collect();
        wanted.sort_unstable_by_key(|(packet, _)| *packet);
        let writer = PcapNgWriter::new(writer).map_err(unwritable())?;
        let (sources, wanted) = (&detection.captures, wanted.into_iter().peekable());
        Ok(AlertCapture { writer, sources, wanted, interfaces: HashMap::new() })
    }

    /// Takes the next packet of the captures that the detection was made of, and writes it if it raised an alert.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn take(&mut self, packet: &Packet<'_>) -> Result<()> {
        match self.wanted.next_if(|(wanted, _)| *wanted == packet.number) {
            Some((_, event)) => self.packet(packet, &comment(packet.number, event)).map_err(unwritable()),
            None => Ok(()),
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn finish(self) -> Result<()> {
        self.writer.finish().map_err(unwritable())
    }

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

fn unwritable() -> impl Fn(io::Error) -> Error {
    Error::unwritable::<io::Error>("capture of alerts")
}
