//! Bundles: what was learned survives its file, the seed decides every byte of it, and whatever else claims to be one is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::collections::HashMap;
use std::sync::LazyLock;

use pcapae::bundle::{Bundle, Effort, LearnConfig, learn};
use pcapae::capture::Captures;
use pcapae::fragment::Mode;
use pcapae::model::{Frames, ModelConfig, Side};
use pcapae::train::TrainConfig;
use proptest::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};

/// A pcap of UDP conversations that repeat.
fn capture(packets: u32) -> Vec<u8> {
    let word = |word: u32| word.to_le_bytes();
    let mut bytes = [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 262_144, 1].map(word).concat();
    for i in 0..packets {
        let payload = vec![(i % 7) as u8; 20 + (i % 3) as usize];
        let mut frame = Vec::new();
        etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .udp(1000 + (i % 2) as u16, 502)
            .write(&mut frame, &payload)
            .unwrap();
        let length = frame.len() as u32;
        bytes.extend([i, 0, length, length].map(word).concat());
        bytes.extend(frame);
    }
    bytes
}

fn learned(mode: Mode, frames: usize, seed: u64) -> Bundle {
    let captures = Captures::from_reader("plant.pcap", std::io::Cursor::new(capture(240)));
    let frames = Frames::try_from(frames).unwrap();
    let config = LearnConfig {
        mode,
        model: ModelConfig { frames, ..ModelConfig::new(Side::Sixteen) },
        training: TrainConfig { seed, ..LearnConfig::default().training },
        effort: Effort::Epochs(2),
        ..LearnConfig::default()
    };
    learn(captures, &config, &()).unwrap().bundle
}

static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| learned(Mode::Packet, 1, 7));
static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| BUNDLE.to_bytes().unwrap());

/// The file after a change of its metadata and of its tensors: name, shape, elements.
fn changed(change: impl FnOnce(&mut HashMap<String, String>, &mut Vec<(String, Vec<usize>, Vec<u8>)>)) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(&FILE).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let tensors = SafeTensors::deserialize(&FILE).unwrap();
    let mut tensors: Vec<_> =
        tensors.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec())).collect();
    change(&mut metadata, &mut tensors);
    let view = |(name, shape, bytes): &(String, Vec<usize>, Vec<u8>)| (name.clone(), shape.clone(), bytes.clone());
    let tensors: Vec<_> = tensors.iter().map(view).collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    serialize(views, Some(metadata)).unwrap()
}

/// The file with another text in place of one in its record.
fn record_with(from: &str, to: &str) -> Vec<u8> {
    changed(|metadata, _| {
        let record = metadata.get_mut("bundle").unwrap();
        let at = record.find(from).unwrap_or_else(|| panic!("{from} is not in {record}"));
        record.replace_range(at..at + from.len(), to);
    })
}

/// Checks that the bytes are refused, in one sentence that says `why`.
#[track_caller]
fn refused(bytes: &[u8], why: &str) {
    let reason = Bundle::from_bytes(bytes).unwrap_err();
    assert!(reason.contains(why), "{why:?} is not in {reason:?}");
    assert!(!reason.contains('\n') && !reason.ends_with('.'), "{reason:?} is not one sentence");
}

#[test]
fn a_bundle_survives_its_file() {
    for (mode, frames) in [(Mode::Packet, 1), (Mode::Byte, 2), (Mode::Flow, 1)] {
        let bundle = learned(mode, frames, 7);
        let bytes = bundle.to_bytes().unwrap();
        let again = Bundle::from_bytes(&bytes).unwrap();
        assert_eq!(again.cutting, bundle.cutting);
        assert_eq!(again.model.config(), bundle.model.config());
        assert_eq!(again.model.parameters(), bundle.model.parameters());
        assert_eq!(again.calibration, bundle.calibration);
        assert_eq!(again.threshold, bundle.threshold);
        assert_eq!(again.lesson, bundle.lesson);
        assert!(again.to_bytes().unwrap() == bytes, "written again, the file is another one");
    }
}

#[test]
fn the_calibration_is_of_the_packets_held_back() {
    assert_eq!(BUNDLE.lesson.packets, 240);
    assert_eq!(BUNDLE.lesson.training_windows, 168);
    assert_eq!(BUNDLE.calibration.len(), BUNDLE.threshold.calibrated_on);
    assert_eq!(BUNDLE.threshold.value, BUNDLE.calibration.iter().copied().fold(0.0, f32::max));
}

#[test]
fn the_seed_decides_every_byte_whatever_the_number_of_threads() {
    let with = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| learned(Mode::Packet, 2, seed).to_bytes().unwrap())
    };
    let one = with(1, 7);
    assert!(one == with(1, 7) && one == with(2, 7));
    assert!(one != with(1, 8));
}

#[test]
fn too_few_packets_are_refused_with_their_number() {
    for packets in [0, 1, 2, 5] {
        let captures = Captures::from_reader("short.pcap", std::io::Cursor::new(capture(packets)));
        let config = LearnConfig {
            model: ModelConfig { frames: Frames::try_from(3).unwrap(), ..ModelConfig::new(Side::Sixteen) },
            ..LearnConfig::default()
        };
        let refusal = learn(captures, &config, &()).unwrap_err().to_string();
        assert!(refusal.contains("too few"), "{packets}: {refusal}");
    }
}

#[test]
fn a_cut_file_is_refused_wherever_it_is_cut() {
    for end in (0..FILE.len()).step_by(97).chain(FILE.len() - 9..FILE.len()).chain(0..20) {
        refused(&FILE[..end], "");
    }
    refused(&[&FILE[..], &[0]].concat(), "");
}

#[test]
fn other_files_are_refused_with_what_they_are() {
    refused(b"", "");
    refused(b"this is no bundle at all", "");
    refused(&BUNDLE.model.to_safetensors().unwrap(), "its format is pcapae-model, expected pcapae-bundle");
    refused(&changed(|metadata, _| metadata.clear()), "its format is missing");
    refused(&changed(|metadata, _| drop(metadata.insert("version".into(), "2".into()))), "its version is 2");
    refused(&changed(|metadata, _| drop(metadata.remove("bundle"))), "no entry `bundle`");
}

#[test]
fn a_record_that_contradicts_itself_is_refused() {
    refused(&record_with(r#""fragment_size":256"#, r#""fragment_size":1024"#), "its model takes 256");
    refused(&record_with(r#""fragment_size":256"#, r#""fragment_size":255"#), "perfect square");
    refused(&record_with(r#""side":16"#, r#""side":17"#), "side");
    refused(&record_with(r#""mode":"packet""#, r#""mode":"colour""#), "colour");
    refused(&record_with(r#""rate":0.001"#, r#""rate":1.5"#), "false-alarm rate");
}

#[test]
fn tensors_of_another_shape_or_none_are_refused() {
    const NAME: &str = "decoder.rnn2.conv_can.0.bias";
    let shape = |wanted: &'static str, new: Vec<usize>| {
        changed(|_, tensors| {
            for (_, shape, _) in tensors.iter_mut().filter(|(name, ..)| name == wanted) {
                shape.clone_from(&new);
            }
        })
    };
    refused(&shape(NAME, vec![2, 2]), NAME);
    let without = |name: &'static str| changed(|_, tensors| tensors.retain(|(known, ..)| known != name));
    refused(&without(NAME), NAME);
    refused(&without("calibration.scores"), "calibration.scores");
}

#[test]
fn numbers_that_are_no_scores_are_refused() {
    for (bad, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (-0.5, "-0.5")] {
        let mut bundle = BUNDLE.clone();
        bundle.calibration[3] = bad;
        refused(&bundle.to_bytes().unwrap(), &format!("`calibration.scores` holds {shown}, which is no score"));
    }
    for (bad, why) in [(f32::NAN, "null"), (f32::INFINITY, "null"), (-0.5, "its threshold is -0.5, which is no score")]
    {
        let mut bundle = BUNDLE.clone();
        bundle.threshold.value = bad;
        refused(&bundle.to_bytes().unwrap(), why);
    }
    let value = format!(r#""value":{}"#, serde_json::to_string(&BUNDLE.threshold.value).unwrap());
    refused(&record_with(&value, r#""value":1e39"#), "out of range");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Most changes are in the header, which the first bytes are.
    #[test]
    fn no_change_of_bytes_makes_it_panic(
        places in prop::collection::vec((prop_oneof![3 => 0usize..3000, 1 => 0usize..60_000], any::<u8>()), 1..4),
    ) {
        let mut bytes = FILE.clone();
        for (place, byte) in places {
            let length = bytes.len();
            bytes[place % length] = byte;
        }
        match Bundle::from_bytes(&bytes) {
            Ok(bundle) => {
                prop_assert!(bundle.threshold.value >= 0.0);
                prop_assert!(bundle.to_bytes().is_ok());
            }
            Err(reason) => prop_assert!(!reason.is_empty()),
        }
    }
}
