//! The packets that raised alerts as a capture of their own, with the reason in a comment on each.

use std::collections::HashMap;
use std::io::Write;

use crate::capture::{CaptureSummary, Captures, LinkType, Packet};
use crate::monitor::{Alert, Detection, Event};
use crate::{Error, Result};

/// Block types, and options, of pcapng: draft-ietf-opsawg-pcapng.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const COMMENT: u16 = 1;
const DESCRIPTION: u16 = 3;
const USER_APPLICATION: u16 = 4;
const TIME_RESOLUTION: u16 = 9;
/// An option's length is a number of 16 bits; longer paths than this have few.
const LONGEST_DESCRIPTION: usize = 4096;
/// Times in units of 10⁻⁹ s.
const NANOSECONDS: u8 = 9;

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
    let mut file = AlertCapture { writer, sources: &detection.captures, interfaces: HashMap::new() };
    file.section()?;
    let mut alerts = detection.alerts().peekable();
    while alerts.peek().is_some() {
        let Some(packet) = captures.next_packet()? else { break };
        if let Some(alert) = alerts.next_if(|alert| alert.packet == packet.number) {
            file.packet(&packet, &comment(&alert, numbers.get(&packet.number).copied()))?;
        }
    }
    file.writer.flush().map_err(unwritable)
}

/// Why a packet raised an alert, in one line: `pcapae alert 3, packet 12: by packet, score 8.24 (1.08 times the threshold), p 0.00046, histograms 71 %, autoencoder 29 %`.
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
    writer: W,
    sources: &'a CaptureSummary,
    /// By the capture's place, the interface's number in it, and its link type.
    interfaces: HashMap<(usize, u32, LinkType), u32>,
}

impl<W: Write> AlertCapture<'_, W> {
    fn section(&mut self) -> Result<()> {
        let mut body = Vec::new();
        body.extend(0x1a2b_3c4d_u32.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        // The section's length is not known.
        body.extend((-1i64).to_le_bytes());
        option(USER_APPLICATION, concat!("pcapae ", env!("CARGO_PKG_VERSION")).as_bytes(), &mut body);
        self.block(SECTION_HEADER, body)
    }

    fn packet(&mut self, packet: &Packet<'_>, comment: &str) -> Result<()> {
        let next = self.interfaces.len() as u32;
        let (source, path) = self.source(packet.number);
        let key = (source, packet.interface, packet.link);
        let interface = *self.interfaces.entry(key).or_insert(next);
        if interface == next {
            let mut body = Vec::new();
            // Link types are 16 bits wide in pcapng, and all that were read are.
            body.extend((packet.link.0 as u16).to_le_bytes());
            body.extend([0; 6]);
            let name = format!("interface {} of {path}", packet.interface);
            option(DESCRIPTION, first_bytes(&name, LONGEST_DESCRIPTION).as_bytes(), &mut body);
            option(TIME_RESOLUTION, &[NANOSECONDS], &mut body);
            self.block(INTERFACE_DESCRIPTION, body)?;
        }
        let (time, length) = (packet.time_ns as u64, packet.data.len() as u32);
        let mut body = Vec::new();
        for word in [interface, (time >> 32) as u32, time as u32, length, packet.wire_length] {
            body.extend(word.to_le_bytes());
        }
        body.extend(packet.data);
        pad(&mut body);
        option(COMMENT, comment.as_bytes(), &mut body);
        self.block(ENHANCED_PACKET, body)
    }

    /// Which capture holds a packet, and its path.
    fn source(&self, packet: u64) -> (usize, String) {
        let mut before = 0;
        for (place, source) in self.sources.sources.iter().enumerate() {
            before += source.packets;
            if packet <= before {
                return (place, source.path.display().to_string());
            }
        }
        (self.sources.sources.len(), String::new())
    }

    /// Writes a block whose options end here.
    fn block(&mut self, kind: u32, mut body: Vec<u8>) -> Result<()> {
        body.extend([0; 4]);
        let length = (body.len() as u32 + 12).to_le_bytes();
        let parts = [&kind.to_le_bytes()[..], &length, &body, &length];
        self.writer.write_all(&parts.concat()).map_err(unwritable)
    }
}

/// The text's front, at most so many bytes of whole letters.
fn first_bytes(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn option(code: u16, value: &[u8], to: &mut Vec<u8>) {
    to.extend(code.to_le_bytes());
    to.extend((value.len() as u16).to_le_bytes());
    to.extend(value);
    pad(to);
}

/// Everything in pcapng is a multiple of 32 bits long.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn unwritable(error: std::io::Error) -> Error {
    Error::Unwritable { what: "capture of alerts", reason: error.to_string() }
}
