//! Captures, datasets and codes made for tests.

use std::io::Cursor;
use std::path::Path;

use etherparse::PacketBuilder;
use pcapae::capture::headers::{Dissection, PacketFacts};
use pcapae::capture::{Captures, Packet};
use pcapae::code::{CodesDescription, CodesWriter};
use pcapae::dataset::{Dataset, Description, Layout, build};
use pcapae::fragment::{Cutting, Fragment, FragmentSize, Mask, Mode, Receiver, Segment, Semantics, Shape};
use pcapae::label::{GroundTruth, Label, Labels};

/// A packet of one of a few conversations, with its label.
#[derive(Debug, Clone)]
pub struct PacketFixture {
    pub client: u8,
    pub tcp: bool,
    pub payload: Vec<u8>,
    pub label: Label,
}

/// A dataset as it should be read back.
#[derive(Debug, Default)]
pub struct Expected {
    pub times: Vec<i64>,
    pub bytes: Vec<u8>,
    pub segments: Vec<Vec<Segment>>,
    pub flows: Vec<u64>,
    pub facts: Vec<PacketFacts>,
}

impl Receiver for Expected {
    fn packet(
        &mut self,
        packet: &Packet<'_>,
        _masked: &[u8],
        headers: &Dissection<'_>,
        _label: Label,
    ) -> pcapae::Result<()> {
        self.times.push(packet.time_ns);
        self.facts.push(headers.facts(packet.data.len() as u32, packet.wire_length, packet.time_ns));
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment<'_>) -> pcapae::Result<()> {
        self.bytes.extend(fragment.bytes);
        self.segments.push(fragment.segments.to_vec());
        self.flows.extend(fragment.flow);
        Ok(())
    }
}

/// Packets of three conversations, every fifth anomalous, every seventh unknown.
pub fn packets(count: usize) -> Vec<PacketFixture> {
    let label = |i: usize| match i {
        i if i % 5 == 4 => Label::Anomalous,
        i if i % 7 == 6 => Label::Unknown,
        _ => Label::Normal,
    };
    let packet = |i: usize| PacketFixture {
        client: (i % 3) as u8,
        tcp: i.is_multiple_of(2),
        payload: (0..i * 37 % 200).map(|byte| (byte * i) as u8).collect(),
        label: label(i),
    };
    (0..count).map(packet).collect()
}

/// The packets as a pcap file, one a millisecond.
fn capture(packets: &[PacketFixture]) -> Captures {
    let mut pcap = [0xa1b2_c3d4u32.to_le_bytes(), [2, 0, 4, 0], [0; 4], [0; 4], [0, 0, 4, 0], [1, 0, 0, 0]].concat();
    for (packet, i) in packets.iter().zip(0u32..) {
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, packet.client], [10, 0, 0, 99], 64);
        let mut bytes = Vec::new();
        if packet.tcp {
            builder.tcp(40_000, 502, i, 100).write(&mut bytes, &packet.payload).unwrap();
        } else {
            builder.udp(40_000, 502).write(&mut bytes, &packet.payload).unwrap();
        }
        let length = bytes.len() as u32;
        pcap.extend([1_600_000_000 + i / 1000, i % 1000 * 1000, length, length].map(u32::to_le_bytes).as_flattened());
        pcap.extend(bytes);
    }
    Captures::from_reader("fixtures", Cursor::new(pcap))
}

fn labels(packets: &[PacketFixture]) -> Labels {
    let csv: String = packets.iter().map(|packet| format!("{}\n", packet.label.to_i8())).collect();
    Labels::File(GroundTruth::from_reader(Path::new("labels"), Cursor::new(csv)))
}

/// How to cut, completely.
pub fn cutting(mode: Mode, bytes: usize, shape: Shape) -> Cutting {
    Cutting { mode, size: FragmentSize::new(bytes, shape).unwrap(), semantics: Semantics::Complete, mask: Mask::NONE }
}

/// Writes a dataset of the packets and says what it should hold.
pub fn write(packets: &[PacketFixture], cutting: Cutting, layout: Layout, path: &Path) -> Expected {
    let description = Description { name: "plant".into(), cutting };
    build(capture(packets), labels(packets), &description, layout, path, &()).unwrap();
    let mut expected = Expected::default();
    cutting.cut(&mut capture(packets), labels(packets), &mut expected, &()).unwrap();
    expected
}

/// The code that stands for a window: its index in every number, a little different.
pub fn code(window: usize, width: usize) -> Vec<f32> {
    (0..width).map(|i| window as f32 + i as f32 / 128.0).collect()
}

/// Writes codes of all windows of `frames` fragments of a dataset, and gives the dataset back.
#[allow(dead_code, reason = "not every test file writes codes")]
pub fn write_codes(dataset: &Path, frames: usize, width: usize, path: &Path) -> Dataset {
    let dataset = Dataset::open(dataset).unwrap();
    let description = CodesDescription::new(&dataset, "{\"cell\":\"gru\"}".into(), frames as u64, 1);
    let mut writer = CodesWriter::create(path, &description, width).unwrap();
    let provenance = dataset.provenance(0..dataset.len()).unwrap();
    let loaded = dataset.load(&()).unwrap();
    let windows = loaded.windows(frames);
    for i in 0..windows.len() {
        let first = windows.first_fragment(i);
        writer.push(&code(i, width), first..first + frames, &provenance).unwrap();
    }
    writer.finish().unwrap();
    dataset
}

/// What the refusal of a damaged file must be: one sentence, with the file's name.
#[allow(dead_code, reason = "not every test file damages files")]
pub fn assert_one_sentence(refusal: &pcapae::Error, path: &Path) {
    let text = refusal.to_string();
    assert!(text.starts_with(&path.display().to_string()), "{text}");
    assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
}
