//! Bundles: what was learned survives its file, the seed decides every byte of it, and whatever else claims to be one is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::collections::HashMap;
use std::sync::LazyLock;

use pcapae::Error;
use pcapae::calibration::Connections;
use pcapae::capture::Captures;
use pcapae::detectors::ScoringHead;
use pcapae::fragment::Mode;
use pcapae::label::{Label, Labels};
use pcapae::model::{Frames, Head, ModelConfig, Side};
use pcapae::monitor::{Bundle, DetectorPlan, Effort, FittedDetector, LearnConfig, learn};
use pcapae::named_arrays::NamedArrays;
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

fn plant() -> Captures {
    Captures::from_reader("plant.pcap", std::io::Cursor::new(capture(240)))
}

fn config(mode: Mode, frames: usize, seed: u64) -> LearnConfig {
    let frames = Frames::try_from(frames).unwrap();
    LearnConfig {
        mode,
        detectors: DetectorPlan::defaults(mode),
        model: ModelConfig { frames, ..ModelConfig::new(Side::Sixteen) },
        training: TrainConfig { seed, ..LearnConfig::default().training },
        effort: Effort::Epochs(2),
        ..LearnConfig::default()
    }
}

fn learned(config: &LearnConfig) -> Bundle {
    learn(plant(), config, &()).unwrap().bundle
}

const NAMES: [&str; 4] = ["Autoencoder", "PositionHistogram", "LengthRarity", "InterArrival"];

fn plans(names: &[&str]) -> Vec<DetectorPlan> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// The arrays of a fitted detector.
fn arrays(bundle: &Bundle, name: &str) -> NamedArrays {
    let detector = bundle.detectors.fitted.iter().find(|detector| detector.name() == name).unwrap();
    let FittedDetector::Rows(fitted) = detector else { panic!("{name} is no detector of rows") };
    fitted.detector().numbers()
}

static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| learned(&everything()));
/// All detectors, with a head that needs a standardisation.
fn everything() -> LearnConfig {
    let detectors = plans(&NAMES);
    LearnConfig { detectors, head: ScoringHead::TOP, ..config(Mode::Packet, 1, 7) }
}

static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| BUNDLE.to_bytes().unwrap());

/// A tensor of the file: name, type, shape, elements.
type Tensor = (String, Dtype, Vec<usize>, Vec<u8>);

/// The file after a change of its metadata and of its tensors.
fn changed(change: impl FnOnce(&mut HashMap<String, String>, &mut Vec<Tensor>)) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(&FILE).unwrap();
    let mut metadata = header.metadata().clone().unwrap();
    let tensors = SafeTensors::deserialize(&FILE).unwrap();
    let tensor = |(name, view): (String, TensorView)| (name, view.dtype(), view.shape().to_vec(), view.data().to_vec());
    let mut tensors: Vec<Tensor> = tensors.tensors().into_iter().map(tensor).collect();
    change(&mut metadata, &mut tensors);
    let views = tensors
        .iter()
        .map(|(name, kind, shape, bytes)| (name.as_str(), TensorView::new(*kind, shape.clone(), bytes).unwrap()));
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
    let reason = Bundle::from_bytes(bytes).unwrap_err().to_string();
    assert!(reason.contains(why), "{why:?} is not in {reason:?}");
    assert!(!reason.contains('\n') && !reason.ends_with('.'), "{reason:?} is not one sentence");
}

#[test]
fn a_bundle_survives_its_file() {
    let ignoring = LearnConfig { connections: Connections::Ignored, ..config(Mode::Packet, 1, 7) };
    let alone = LearnConfig { detectors: plans(&["LengthRarity"]), ..config(Mode::Packet, 1, 7) };
    let categorical = ModelConfig { head: Head::Categorical, ..ModelConfig::new(Side::Sixteen) };
    let categorical = LearnConfig { model: categorical, ..everything() };
    let others = [config(Mode::Byte, 2, 7), config(Mode::Flow, 1, 7)];
    for config in [everything(), ignoring, alone, categorical].into_iter().chain(others) {
        let bundle = learned(&config);
        let bytes = bundle.to_bytes().unwrap();
        let again = Bundle::from_bytes(&bytes).unwrap();
        assert_eq!(again.cutting, bundle.cutting);
        let planned = config.detectors.iter().map(DetectorPlan::name);
        assert!(again.detectors.names().eq(planned));
        let parameters = |bundle: &Bundle| bundle.detectors.model.as_ref().map(|model| model.parameters().clone());
        assert_eq!(parameters(&again), parameters(&bundle));
        for name in again.detectors.names().filter(|name| *name != "Autoencoder") {
            assert_eq!(arrays(&again, name), arrays(&bundle, name));
        }
        assert_eq!(again.decision, bundle.decision);
        assert_eq!(again.decision.connection().is_some(), config.connections == Connections::Scored);
        assert_eq!(again.training_summary, bundle.training_summary);
        assert!(again.to_bytes().unwrap() == bytes, "written again, the file is another one");
    }
}

#[test]
fn every_part_of_the_packets_has_its_use() {
    let (training_summary, decision) = (&BUNDLE.training_summary, &BUNDLE.decision);
    assert_eq!(
        (training_summary.packets, training_summary.training_windows, training_summary.validation_windows),
        (240, 144, 24)
    );
    let histograms = arrays(&BUNDLE, "PositionHistogram");
    assert_eq!(histograms.get("group_rows", &[None]).unwrap().values.iter().sum::<f64>(), 144.0);
    assert!(decision.combination().detectors().iter().all(|calibration| calibration.scores().len() == 24));
    assert_eq!(decision.combination().sum().scores().len(), 48);
    assert_eq!(decision.connection().unwrap().scores().len(), 48);
}

#[test]
fn a_packet_of_its_own_kind_is_an_alert_with_the_shares_of_all_detectors() {
    let mut bytes = capture(60);
    // The payload of the last packet, which is 20 to 22 bytes long.
    let end = bytes.len();
    bytes[end - 20..].fill(0xee);
    let captures = Captures::from_reader("odd.pcap", std::io::Cursor::new(bytes));
    let detection = BUNDLE.detect(captures, Labels::All(Label::Unknown), &()).unwrap();
    let alerts: Vec<_> = detection.alerts().collect();
    let odd = alerts.iter().find(|alert| alert.packet == 60).unwrap();
    assert_eq!(odd.trigger, detection.trigger(60).unwrap());
    assert!(odd.multiple() > 1.0 && detection.score(60) >= Some(odd.score), "{odd:?}");
    assert!(odd.shares.iter().map(|(name, _)| *name).eq(NAMES));
    assert!((odd.shares.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9, "{odd:?}");
    let fired = |packet: &u64| detection.trigger(*packet).is_some();
    assert!((1..=60).filter(fired).eq(alerts.iter().map(|alert| alert.packet)));
}

#[test]
fn detectors_of_packets_are_refused_where_fragments_are_none() {
    for mode in [Mode::Byte, Mode::Flow] {
        let config = LearnConfig { detectors: plans(&["PositionHistogram"]), ..config(mode, 1, 7) };
        let refusal = learn(plant(), &config, &()).unwrap_err();
        assert!(refusal.to_string().contains("only in packet mode is a fragment a packet"), "{refusal}");
        assert!(matches!(refusal, Error::Setting { remedy: Some(_), .. }));
    }
}

#[test]
fn the_seed_decides_every_byte_whatever_the_number_of_threads() {
    let with = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let config =
            LearnConfig { detectors: everything().detectors, head: ScoringHead::TOP, ..config(Mode::Packet, 2, seed) };
        pool.install(|| learned(&config).to_bytes().unwrap())
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
    let model = BUNDLE.detectors.model.as_ref().unwrap();
    refused(&model.to_safetensors().unwrap(), "its format is pcapae-model, expected pcapae-bundle");
    refused(&changed(|metadata, _| metadata.clear()), "its format is missing");
    refused(
        &changed(|metadata, _| drop(metadata.insert("version".into(), "1".into()))),
        "its version is 1, expected 2 or 3 or 4",
    );
    refused(&changed(|metadata, _| drop(metadata.remove("bundle"))), "its bundle is missing");
}

#[test]
fn normal_fragments_are_kept_and_damaged_ones_refused() {
    let normal = BUNDLE.normal.as_ref().unwrap();
    // 7 payloads, 3 lengths and 2 ports make 42 different packets.
    assert_eq!(normal.len(), 42);
    assert_eq!(normal.codes(BUNDLE.detectors.model.as_ref().unwrap()).len(), 42);
    assert_eq!(Bundle::from_bytes(&FILE).unwrap().normal, BUNDLE.normal);
    let few = learned(&LearnConfig { normal_fragments: 5, ..everything() });
    assert_eq!(few.normal.map(|normal| normal.len()), Some(5));
    let none = learned(&LearnConfig { normal_fragments: 0, ..everything() });
    assert!(none.normal.is_none() && Bundle::from_bytes(&none.to_bytes().unwrap()).unwrap().normal.is_none());
    let without = LearnConfig { detectors: plans(&["LengthRarity"]), ..config(Mode::Packet, 1, 7) };
    assert!(learned(&without).normal.is_none());

    let tensor = |name: &'static str, change: fn(&mut Tensor)| {
        changed(|_, tensors| change(tensors.iter_mut().find(|tensor| tensor.0 == name).unwrap()))
    };
    let cut = |tensor: &mut Tensor| {
        tensor.2[0] -= 1;
        let bytes = tensor.3.len() / (tensor.2[0] + 1) * tensor.2[0];
        tensor.3.truncate(bytes);
    };
    refused(&tensor("normal.windows", cut), "normal fragments: found");
    refused(&tensor("normal.packets", cut), "normal fragments: found");
    refused(&tensor("normal.lengths", |tensor| tensor.3.fill(255)), "expected at most 256");
    refused(&tensor("normal.lengths", |tensor| tensor.1 = Dtype::F32), "holds F32, expected U32");
    refused(&tensor("normal.packets", |tensor| tensor.0 = "other".into()), "`normal.packets` is missing");
}

/// Learned by version 3 from `capture(240)` with `everything()`, but a single epoch.
const VERSION_3: &[u8] = include_bytes!("golden/bundle_version_3.pcapae");

#[test]
fn a_bundle_of_version_3_is_read_and_decides_as_it_did() {
    let old = Bundle::from_bytes(VERSION_3).unwrap();
    assert!(old.detectors.names().eq(NAMES));
    assert_eq!(old.training_summary.packets, 240);
    let again = Bundle::from_bytes(&old.to_bytes().unwrap()).unwrap();
    assert_eq!((&again.decision, &again.normal), (&old.decision, &old.normal));
    let learned = learned(&LearnConfig { effort: Effort::Epochs(1), normal_fragments: 4, ..everything() });
    for name in &NAMES[1..] {
        assert_eq!(arrays(&old, name), arrays(&learned, name), "{name}");
    }
    let scores = |bundle: &Bundle| {
        let detection = bundle.detect(plant(), Labels::All(Label::Unknown), &()).unwrap();
        detection.of_detectors[1..].iter().map(|(_, scores)| scores.iter().collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    assert_eq!(scores(&old), scores(&learned));
}

#[test]
fn a_record_that_contradicts_itself_is_refused() {
    refused(
        &record_with(r#""fragment_size":256"#, r#""fragment_size":1024"#),
        "expected 16 × 16 bytes, as the model takes",
    );
    refused(&record_with(r#""fragment_size":256"#, r#""fragment_size":255"#), "perfect square");
    refused(&record_with(r#""side":16"#, r#""side":17"#), "side");
    refused(&record_with(r#""mode":"packet""#, r#""mode":"colour""#), "colour");
    refused(&record_with(r#""false_alarm_rate":0.001"#, r#""false_alarm_rate":1.5"#), "false-alarm rate");
    refused(&record_with(r#""mode":"packet""#, r#""mode":"flow""#), "expected fragments of 256 bytes in flow mode");
    refused(
        &record_with(r#""blueprint":{"LengthRarity""#, r#""blueprint":{"LengthRarities""#),
        "detectors: found \"LengthRarities\", expected a detector that this version knows",
    );
    refused(&record_with(r#"{"Autoencoder""#, r#"{"Autodecoder""#), "expected a detector that this version knows");
    refused(&record_with(r#""k":8"#, r#""k":0"#), "number of top positions");
}

#[test]
fn tensors_of_another_shape_or_none_are_refused() {
    const NAME: &str = "decoder.rnn2.conv_can.0.bias";
    let shape = |wanted: &'static str, new: Vec<usize>| {
        changed(|_, tensors| {
            for (_, _, shape, _) in tensors.iter_mut().filter(|(name, ..)| name == wanted) {
                shape.clone_from(&new);
            }
        })
    };
    refused(&shape(NAME, vec![2, 2]), NAME);
    let without = |name: &'static str| changed(|_, tensors| tensors.retain(|(known, ..)| known != name));
    refused(&without(NAME), NAME);
    for name in ["Autoencoder", "InterArrival", "sum", "connection"] {
        let full = format!("calibration.{name}");
        let file = changed(|_, tensors| tensors.retain(|(known, ..)| *known != full));
        refused(&file, &format!("calibration: `{name}` is missing"));
    }
    refused(&without("Autoencoder.standardisation"), "`standardisation` is missing");
    refused(&without("PositionHistogram.entries"), "`entries` is missing");
    refused(&without("LengthRarity.counts"), "`counts` is missing");
    refused(&shape("InterArrival.services", vec![2, 2]), "`services` has the shape");
}

#[test]
fn calibrations_of_another_type_or_without_a_score_are_refused() {
    let file = changed(|_, tensors| {
        let sum = tensors.iter_mut().find(|(name, ..)| name == "calibration.sum").unwrap();
        (sum.1, sum.2) = (Dtype::F32, vec![96]);
    });
    refused(&file, "`calibration.sum` holds F32, expected F64");
    let file = changed(|_, tensors| {
        let sum = tensors.iter_mut().find(|(name, ..)| name == "calibration.sum").unwrap();
        (sum.2, sum.3) = (vec![0], Vec::new());
    });
    refused(&file, "calibration: `sum` is empty");
}

#[test]
fn numbers_that_are_no_scores_are_refused() {
    for (bad, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let file = changed(|_, tensors| {
            let calibration = tensors.iter_mut().find(|(name, ..)| name == "calibration.Autoencoder").unwrap();
            calibration.3[24..32].copy_from_slice(&bad.to_le_bytes());
        });
        refused(&file, &format!("calibration: `Autoencoder` holds {shown}, expected finite numbers"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Most changes are in the header, which the first bytes are.
    #[test]
    fn no_change_of_bytes_makes_it_panic(
        places in prop::collection::vec((prop_oneof![3 => 0usize..3000, 1 => 0usize..120_000], any::<u8>()), 1..4),
    ) {
        let mut bytes = FILE.clone();
        for (place, byte) in places {
            let length = bytes.len();
            bytes[place % length] = byte;
        }
        match Bundle::from_bytes(&bytes) {
            Ok(bundle) => {
                prop_assert!(bundle.decision.packet_threshold().value >= 0.0);
                prop_assert!(bundle.to_bytes().is_ok());
            }
            Err(fault) => prop_assert!(!fault.to_string().is_empty()),
        }
    }
}
