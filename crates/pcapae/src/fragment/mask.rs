//! Masking: header fields set to zero before packets are cut, so that nothing is learned from them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::capture::Packet;
use crate::capture::headers::{Dissection, HeaderField, PacketFacts};
use crate::{Error, Result};

/// A set of header fields that are set to zero. As text, names separated by commas: `ip-id,checksums`; empty for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mask(u16);

/// Fields that differ in every packet and say nothing about its purpose.
const VOLATILE: [HeaderField; 6] = [
    HeaderField::IpId,
    HeaderField::TcpSequence,
    HeaderField::TcpAcknowledgement,
    HeaderField::TcpWindow,
    HeaderField::TcpTimestamps,
    HeaderField::Checksums,
];

/// Who sends and who receives.
const ADDRESSES: [HeaderField; 2] = [HeaderField::LinkAddresses, HeaderField::IpAddresses];

impl Mask {
    /// No field.
    pub const NONE: Mask = Mask(0);

    /// The identification of IP, checksums, and sequence, acknowledgement, window and timestamps of TCP; as text `volatile`.
    pub fn volatile() -> Mask {
        VOLATILE.into_iter().collect()
    }

    /// True if `field` is masked.
    pub fn contains(self, field: HeaderField) -> bool {
        self.0 & bit(field) != 0
    }

    /// The facts of a packet without the addresses that are masked.
    pub fn facts(self, facts: PacketFacts) -> PacketFacts {
        let (link, ip) = (self.contains(HeaderField::LinkAddresses), self.contains(HeaderField::IpAddresses));
        if link || ip { facts.without_addresses(link, ip) } else { facts }
    }

    /// True if nothing is masked.
    pub fn is_empty(self) -> bool {
        self == Mask::NONE
    }
}

fn bit(field: HeaderField) -> u16 {
    1 << field as u16
}

impl FromIterator<HeaderField> for Mask {
    fn from_iter<I: IntoIterator<Item = HeaderField>>(fields: I) -> Mask {
        Mask(fields.into_iter().fold(0, |mask, field| mask | bit(field)))
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> =
            HeaderField::ALL.into_iter().filter(|&field| self.contains(field)).map(HeaderField::name).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Mask {
    type Err = Error;

    /// Names of fields and of sets of fields, separated by commas: `volatile`, `addresses`, `none`.
    fn from_str(text: &str) -> Result<Mask> {
        let mut mask = Mask::NONE;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let field = HeaderField::ALL.into_iter().find(|field| field.name() == name);
            let more = match (name, field) {
                (_, Some(field)) => Mask(bit(field)),
                ("volatile", _) => Mask::volatile(),
                ("addresses", _) => ADDRESSES.into_iter().collect(),
                ("none", _) => Mask::NONE,
                _ => return Err(unknown(name)),
            };
            mask.0 |= more.0;
        }
        Ok(mask)
    }
}

fn unknown(name: &str) -> Error {
    let names: Vec<&str> = HeaderField::ALL.into_iter().map(HeaderField::name).collect();
    Error::Setting {
        setting: "masked field",
        got: format!("{name:?}"),
        expected: format!("one of volatile, addresses, none, {}", names.join(", ")),
        remedy: None,
    }
}

impl TryFrom<String> for Mask {
    type Error = Error;

    fn try_from(text: String) -> Result<Mask> {
        text.parse()
    }
}

impl From<Mask> for String {
    fn from(mask: Mask) -> String {
        mask.to_string()
    }
}

/// Masks one packet after the other in one reused buffer.
#[derive(Debug, Default)]
pub(super) struct Masker {
    mask: Mask,
    buffer: Vec<u8>,
}

impl Masker {
    pub fn new(mask: Mask) -> Masker {
        Masker { mask, buffer: Vec::new() }
    }

    /// The bytes of a packet with these headers, with the masked fields set to zero.
    pub fn bytes<'a>(&'a mut self, packet: &Packet<'a>, headers: &Dissection<'_>) -> &'a [u8] {
        if self.mask.is_empty() {
            return packet.data;
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(packet.data);
        let (mask, buffer) = (self.mask, &mut self.buffer);
        headers.header_fields(|field, range| {
            if mask.contains(field) {
                buffer[range].fill(0);
            }
        });
        buffer
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::capture::LinkType;

    #[test]
    fn a_mask_is_written_and_read_by_names() {
        let mask: Mask = "volatile, ports".parse().unwrap();
        assert_eq!(
            mask.to_string(),
            "ip-id,ports,tcp-sequence,tcp-acknowledgement,tcp-window,tcp-timestamps,checksums"
        );
        assert_eq!(mask.to_string().parse::<Mask>().unwrap(), mask);
        assert_eq!("addresses".parse::<Mask>().unwrap().to_string(), "link-addresses,ip-addresses");
        assert_eq!(("none".parse::<Mask>().unwrap(), "".parse::<Mask>().unwrap()), (Mask::NONE, Mask::NONE));
        assert!(
            "volatile,colour"
                .parse::<Mask>()
                .unwrap_err()
                .to_string()
                .starts_with("masked field \"colour\": expected one of volatile")
        );
    }

    proptest! {
        #[test]
        fn masked_fields_are_zero_and_all_else_is_as_it_was(data in prop::collection::vec(any::<u8>(), 0..100), bits in 0u16..1024) {
            let packet = Packet { number: 1, time_ns: 0, link: LinkType::ETHERNET, interface: 0, wire_length: data.len() as u32, data: &data };
            let mask = Mask(bits);
            let mut expected = data.clone();
            packet.dissect().header_fields(|field, range| {
                for i in range {
                    expected[i] = if mask.contains(field) { 0 } else { data[i] };
                }
            });
            let mut masker = Masker::new(mask);
            prop_assert_eq!(masker.bytes(&packet, &packet.dissect()), &expected);
        }
    }
}
