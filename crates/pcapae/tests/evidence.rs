//! A second look at packets: their bytes as they were captured, and heat that the detectors' scores are made of.

#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::collections::BTreeSet;
use std::io::Cursor;

use pcapae::capture::Captures;
use pcapae::detectors::ScoringHead;
use pcapae::fragment::Mode;
use pcapae::label::{Label, Labels};
use pcapae::model::{Frames, ModelConfig, Side};
use pcapae::monitor::{Bundle, DetectorPlan, EVIDENCE_BYTES, Effort, Evidence, Keep, LearnConfig, Wanted, learn};

/// The frames of a capture: UDP conversations that repeat; every tenth packet is long.
fn frames() -> Vec<Vec<u8>> {
    let frame = |i: usize| {
        let length = if i.is_multiple_of(10) { 1300 } else { 20 + i % 3 };
        let payload: Vec<u8> = (0..length).map(|at| ((i + at) % 7) as u8).collect();
        let mut frame = Vec::new();
        etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .udp(1000 + (i % 2) as u16, 502)
            .write(&mut frame, &payload)
            .unwrap();
        frame
    };
    (0..300).map(frame).collect()
}

fn captures() -> Captures {
    let word = |word: u32| word.to_le_bytes();
    let mut bytes = [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 262_144, 1].map(word).concat();
    for (i, frame) in (0u32..).zip(frames()) {
        let length = frame.len() as u32;
        bytes.extend([i, 0, length, length].map(word).concat());
        bytes.extend(frame);
    }
    Captures::from_reader("plant.pcap", Cursor::new(bytes))
}

/// Those that show heat: the autoencoder, which raises no alerts here, and in packet mode two that look at the bytes of packets.
fn detectors(mode: Mode) -> Vec<DetectorPlan> {
    let mut plans = DetectorPlan::defaults();
    if mode == Mode::Packet {
        plans.push("PositionHistogram".parse().unwrap());
    }
    plans
}

fn learned(mode: Mode, frames: usize) -> Bundle {
    let frames = Frames::try_from(frames).unwrap();
    let config = LearnConfig {
        mode,
        detectors: detectors(mode),
        model: ModelConfig { frames, ..ModelConfig::new(Side::Sixteen) },
        head: ScoringHead::Mean,
        effort: Effort::Epochs(1),
        ..LearnConfig::default()
    };
    learn(captures(), &config, &()).unwrap().bundle
}

fn evidence(bundle: &Bundle, wanted: impl IntoIterator<Item = u64>) -> Evidence {
    bundle.evidence(captures(), &Wanted::all(BTreeSet::from_iter(wanted)), &mut |_| Ok(()), &()).unwrap()
}

#[test]
fn few_packets_look_as_they_do_among_all() {
    for (mode, frames_of_window) in [(Mode::Packet, 1), (Mode::Byte, 1), (Mode::Byte, 2), (Mode::Flow, 1)] {
        let bundle = learned(mode, frames_of_window);
        let all = evidence(&bundle, 1..=300);
        let few = evidence(&bundle, [7, 11, 299, 9999]);
        assert_eq!(few.packets.iter().map(|packet_evidence| packet_evidence.packet).collect::<Vec<_>>(), [7, 11, 299]);
        assert_eq!((few.bytes, few.bytes_in_fragments), (all.bytes, all.bytes_in_fragments));
        for packet_evidence in &few.packets {
            let frame = &frames()[packet_evidence.packet as usize - 1];
            assert_eq!(
                (packet_evidence.length, &packet_evidence.bytes[..]),
                (frame.len(), &frame[..frame.len().min(EVIDENCE_BYTES)])
            );
            let same = all.packets.iter().find(|other| other.packet == packet_evidence.packet).unwrap();
            assert_eq!(packet_evidence.heat.len(), same.heat.len());
            for (heat, other) in packet_evidence.heat.iter().zip(&same.heat) {
                // Bytes that nobody saw are NaN in both.
                let close = |(a, b): (&f32, &f32)| (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-5;
                assert!(
                    heat.of_bytes.iter().zip(&other.of_bytes).all(close),
                    "{mode:?}, packet {}",
                    packet_evidence.packet
                );
            }
        }
    }
}

#[test]
fn in_byte_mode_every_byte_is_seen_and_in_packet_mode_the_first_256_are() {
    let all = evidence(&learned(Mode::Byte, 2), 1..=300);
    assert_eq!(all.bytes, all.bytes_in_fragments);
    assert_eq!(all.bytes, frames().iter().map(|frame| frame.len() as u64).sum::<u64>());
    assert!(
        all.packets.iter().flat_map(|packet_evidence| &packet_evidence.heat[0].of_bytes).all(|value| !value.is_nan())
    );

    let all = evidence(&learned(Mode::Packet, 1), 1..=300);
    let shown: Vec<&str> = all.packets[0].heat.iter().map(|heat| heat.detector).collect();
    assert_eq!(shown, ["Autoencoder", "PositionHistogram", "ClosedPositions"]);
    assert_eq!(all.bytes_in_fragments, frames().iter().map(|frame| frame.len().min(256) as u64).sum::<u64>());
    for packet_evidence in &all.packets {
        for heat in &packet_evidence.heat {
            let seen = heat.of_bytes.iter().filter(|value| !value.is_nan()).count();
            assert_eq!(seen, packet_evidence.length.min(256));
        }
    }
}

#[test]
fn the_mean_of_the_autoencoders_heat_is_its_score() {
    let bundle = learned(Mode::Packet, 1);
    let detection = bundle.detect(captures(), Labels::All(Label::Unknown), Keep::Packets, &()).unwrap();
    let records = detection.records.unwrap();
    let (_, scores) = records.of_detectors.iter().find(|(name, _)| *name == "Autoencoder").unwrap();
    let all = evidence(&bundle, 1..=300);
    for packet_evidence in all.packets.iter().filter(|packet_evidence| packet_evidence.length >= 256) {
        let heat = packet_evidence.heat.iter().find(|heat| heat.detector == "Autoencoder").unwrap();
        let mean = heat.of_bytes[..256].iter().sum::<f32>() / 256.0;
        let score = scores.get(packet_evidence.packet).unwrap();
        assert!((mean - score).abs() <= 1e-5 * score.max(1e-3), "{mean} is not {score}");
        assert_eq!(heat.past_end, 0.0);
    }
    assert!(all.packets.iter().any(|packet_evidence| packet_evidence.heat.iter().any(|heat| heat.past_end > 0.0)));
}
