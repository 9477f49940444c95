//! Captures made for tests: the same packets in every variant of pcap and pcapng.

use proptest::prelude::*;

use super::LinkType;

/// A packet to be written and found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PacketFixture {
    pub time_ns: i64,
    pub link: LinkType,
    pub data: Vec<u8>,
}

/// A way to write a capture.
#[derive(Debug, Clone, Copy)]
pub(super) struct CaptureFormat {
    big: bool,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Micro,
    Nano,
    Kuznetzov,
    /// Interfaces whose `if_tsresol` is the number, and whose `if_tsoffset` is -5 s.
    Enhanced(u8),
    Obsolete,
    Simple,
}

pub(super) fn packet() -> impl Strategy<Value = PacketFixture> {
    let link = prop::sample::select(vec![LinkType::ETHERNET, LinkType::RAW, LinkType(1000)]);
    let time = 0..4_000_000_000_000_000_000_i64;
    (time, link, prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(time_ns, link, data)| PacketFixture {
        time_ns,
        link,
        data,
    })
}

pub(super) fn packets() -> impl Strategy<Value = Vec<PacketFixture>> {
    prop::collection::vec(packet(), 0..20)
}

impl CaptureFormat {
    /// Every format in both byte orders.
    pub(super) const ALL: &[CaptureFormat] = &{
        const KINDS: [Kind; 8] = [
            Kind::Micro,
            Kind::Nano,
            Kind::Kuznetzov,
            Kind::Enhanced(6),
            Kind::Enhanced(9),
            Kind::Enhanced(0x80 | 20),
            Kind::Obsolete,
            Kind::Simple,
        ];
        let mut all = [CaptureFormat { big: false, kind: Kind::Micro }; 16];
        let mut index = 0;
        while index < 16 {
            all[index] = CaptureFormat { big: index % 2 == 1, kind: KINDS[index / 2] };
            index += 1;
        }
        all
    };

    pub(super) fn write(self, packets: &[PacketFixture]) -> Vec<u8> {
        self.pieces(packets).concat()
    }

    /// True where a capture that ends here is whole, with fewer packets.
    pub(super) fn is_border(self, packets: &[PacketFixture], end: usize) -> bool {
        let mut position = 0;
        self.pieces(packets).iter().any(|piece| {
            position += piece.len();
            position == end
        })
    }

    /// The packet as far as the format can hold it.
    pub(super) fn rounded(self, packet: &PacketFixture) -> PacketFixture {
        let link = if self.is_pcap() { LinkType::ETHERNET } else { packet.link };
        let time_ns = match self.kind {
            Kind::Micro | Kind::Kuznetzov | Kind::Obsolete | Kind::Enhanced(6) => packet.time_ns / 1000 * 1000,
            Kind::Nano | Kind::Enhanced(9) => packet.time_ns,
            Kind::Enhanced(resolution) => {
                let ns = (i128::from(self.ticks(packet, resolution)) * 1_000_000_000) >> (resolution & 0x7f);
                ns as i64 - 5_000_000_000
            }
            // A simple packet block has neither time nor a choice of interface.
            Kind::Simple => 0,
        };
        let link = if matches!(self.kind, Kind::Simple) { LinkType::ETHERNET } else { link };
        PacketFixture { time_ns, link, data: packet.data.clone() }
    }

    fn is_pcap(self) -> bool {
        matches!(self.kind, Kind::Micro | Kind::Nano | Kind::Kuznetzov)
    }

    /// Headers, records and blocks, each on its own.
    fn pieces(self, packets: &[PacketFixture]) -> Vec<Vec<u8>> {
        if self.is_pcap() {
            let mut pieces = vec![self.pcap_header()];
            pieces.extend(packets.iter().map(|packet| self.pcap_record(packet)));
            return pieces;
        }
        let mut pieces = vec![self.section()];
        // A second section in the middle starts the interfaces anew.
        for (index, packet) in packets.iter().enumerate() {
            if index == packets.len() / 2 {
                pieces.push(self.section());
            }
            if index == 0 || index == packets.len() / 2 {
                pieces.extend([LinkType::ETHERNET, LinkType::RAW, LinkType(1000)].map(|link| self.interface(link)));
                pieces.push(self.block(0x0bad, vec![1; 8]));
            }
            pieces.push(self.packet_block(packet));
        }
        pieces
    }

    fn pcap_header(self) -> Vec<u8> {
        let magic = match self.kind {
            Kind::Nano => 0xa1b2_3c4d,
            Kind::Kuznetzov => 0xa1b2_cd34,
            _ => 0xa1b2_c3d4,
        };
        [self.u32(magic), self.u16(2), self.u16(4), self.u32(0), self.u32(0), self.u32(65535), self.u32(1)].concat()
    }

    fn pcap_record(self, packet: &PacketFixture) -> Vec<u8> {
        let unit = if matches!(self.kind, Kind::Nano) { 1 } else { 1000 };
        let length = packet.data.len() as u32;
        let mut record = [
            self.u32((packet.time_ns / 1_000_000_000) as u32),
            self.u32((packet.time_ns % 1_000_000_000 / unit) as u32),
            self.u32(length),
            self.u32(length + 3),
        ]
        .concat();
        if matches!(self.kind, Kind::Kuznetzov) {
            record.extend([0; 8]);
        }
        record.extend(&packet.data);
        record
    }

    fn section(self) -> Vec<u8> {
        let body = [self.u32(0x1a2b_3c4d), self.u16(1), self.u16(0), vec![0xff; 8]].concat();
        self.block(0x0a0d_0d0a, body)
    }

    fn interface(self, link: LinkType) -> Vec<u8> {
        let mut body = [self.u16(link.0 as u16), self.u16(0), self.u32(0)].concat();
        if let Kind::Enhanced(resolution) = self.kind {
            let offset = (-5_i64) as u64;
            let (high, low) = ((offset >> 32) as u32, offset as u32);
            body.extend([self.u16(9), self.u16(1), vec![resolution, 0, 0, 0], self.u16(14), self.u16(8)].concat());
            let words = if self.big { [high, low] } else { [low, high] };
            body.extend(words.map(|word| self.u32(word)).concat());
            body.extend(self.u32(0));
        }
        self.block(1, body)
    }

    fn packet_block(self, packet: &PacketFixture) -> Vec<u8> {
        let length = packet.data.len() as u32;
        let interface = match packet.link.0 {
            1 => 0,
            101 => 1,
            _ => 2,
        };
        let ticks = match self.kind {
            Kind::Enhanced(resolution) => self.ticks(packet, resolution),
            _ => packet.time_ns as u64 / 1000,
        };
        let time = [self.u32((ticks >> 32) as u32), self.u32(ticks as u32)].concat();
        let (kind, mut body) = match self.kind {
            Kind::Simple => (3, self.u32(length)),
            Kind::Obsolete => {
                (2, [self.u16(interface), self.u16(0), time, self.u32(length), self.u32(length)].concat())
            }
            _ => (6, [self.u32(u32::from(interface)), time, self.u32(length), self.u32(length)].concat()),
        };
        body.extend(&packet.data);
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(kind, body)
    }

    fn ticks(self, packet: &PacketFixture, resolution: u8) -> u64 {
        let ns = i128::from(packet.time_ns) + 5_000_000_000;
        let ticks = match resolution {
            binary if binary & 0x80 != 0 => (ns << (binary & 0x7f)) / 1_000_000_000,
            decimal => ns / 10_i128.pow(9 - u32::from(decimal)),
        };
        ticks as u64
    }

    fn block(self, kind: u32, body: Vec<u8>) -> Vec<u8> {
        let length = self.u32(body.len() as u32 + 12);
        [self.u32(kind), length.clone(), body, length].concat()
    }

    fn u16(self, value: u16) -> Vec<u8> {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }.to_vec()
    }

    fn u32(self, value: u32) -> Vec<u8> {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }.to_vec()
    }
}
