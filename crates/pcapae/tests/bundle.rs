//! Bundles: what was learned survives its file, the seed decides every byte of it, and whatever else claims to be one is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::collections::HashMap;
use std::sync::LazyLock;

use pcapae::Error;
use pcapae::calibration::{DetectorRule, MarginScales};
use pcapae::capture::Captures;
use pcapae::detectors::ScoringHead;
use pcapae::fragment::Mode;
use pcapae::label::{Label, Labels};
use pcapae::model::{Frames, Head, ModelConfig, Side};
use pcapae::monitor::{
    Accepted, AcceptedCause, Bundle, DetectorPlan, Effort, FittedDetector, Keep, LearnConfig, learn,
};
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
        model: ModelConfig { frames, ..ModelConfig::new(Side::Sixteen) },
        training: TrainConfig { seed, ..LearnConfig::default().training },
        effort: Effort::Epochs(2),
        ..LearnConfig::default()
    }
}

fn learned(config: &LearnConfig) -> Bundle {
    learn(plant(), config, &()).unwrap().bundle
}

/// Those that bundles of version 3 had.
const FORMER: [&str; 4] = ["Autoencoder", "PositionHistogram", "LengthRarity", "InterArrival"];

const NAMES: [&str; 9] = [
    "Autoencoder",
    "PositionHistogram",
    "LengthRarity",
    "InterArrival",
    "Novelty",
    "LengthBackOff",
    "Sequence",
    "ClosedPositions",
    "Rate",
];

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
    let alone = LearnConfig { detectors: plans(&["LengthRarity"]), explain: false, ..config(Mode::Packet, 1, 7) };
    let wide = LearnConfig { margin: MarginScales::new(7.5).unwrap(), ..config(Mode::Packet, 1, 7) };
    let categorical = ModelConfig { head: Head::Categorical, ..ModelConfig::new(Side::Sixteen) };
    let categorical = LearnConfig { model: categorical, ..everything() };
    let others = [config(Mode::Byte, 2, 7), config(Mode::Flow, 1, 7)];
    for config in [everything(), alone, wide, categorical].into_iter().chain(others) {
        let mut bundle = learned(&config);
        let cause = AcceptedCause { kind: "Novelty/pair".into(), cause: u64::MAX - 1, up_to: 2.5 };
        let (event, reason) = ("it came".into(), "so it is".into());
        bundle.accepted.push(Accepted { event, reason, time_ns: -1, causes: vec![cause] });
        bundle.decision.accept(u64::MAX - 1, 2.5);
        let bytes = bundle.to_bytes().unwrap();
        let again = Bundle::from_bytes(&bytes).unwrap();
        assert_eq!((again.cutting, &again.id), (bundle.cutting, &bundle.id));
        let explainer = config.explain && !config.detectors.iter().any(|plan| plan.name() == NAMES[0]);
        let planned = explainer.then_some(NAMES[0]).into_iter().chain(config.detectors.iter().map(DetectorPlan::name));
        assert!(again.detectors.names().eq(planned), "{}", again.detectors);
        let parameters = |bundle: &Bundle| bundle.detectors.model.as_ref().map(|model| model.parameters().clone());
        assert_eq!(parameters(&again), parameters(&bundle));
        for name in again.detectors.names().filter(|name| *name != "Autoencoder") {
            assert_eq!(arrays(&again, name), arrays(&bundle, name));
        }
        assert_eq!(again.decision, bundle.decision);
        assert_eq!(again.decision.scales(), config.margin);
        assert!(again.decision.accepts(u64::MAX - 1, 2.5) && !again.decision.accepts(u64::MAX - 1, 2.6));
        let raise_alerts = again.decision.detectors().iter().map(DetectorRule::raises_alerts);
        assert_eq!(raise_alerts.filter(|raises| *raises).count(), config.detectors.len());
        assert_eq!((&again.training_summary, &again.accepted), (&bundle.training_summary, &bundle.accepted));
        assert!(again.to_bytes().unwrap() == bytes, "written again, the file is another one");
    }
}

#[test]
fn every_packet_is_learned_and_every_block_sets_limits() {
    let (training_summary, decision) = (&BUNDLE.training_summary, &BUNDLE.decision);
    // Of the 24 packets of each of ten blocks, two decide when to stop.
    let windows = (training_summary.training_windows, training_summary.validation_windows);
    assert_eq!((training_summary.packets, training_summary.excluded, windows), (240, 0, (220, 20)));
    assert_eq!(training_summary.seconds, 239.0);
    let histograms = arrays(&BUNDLE, "PositionHistogram");
    assert_eq!(histograms.get("group_rows", &[None]).unwrap().values.iter().sum::<f64>(), 240.0);
    assert_eq!(decision.blocks(), 10);
    for (name, rule) in NAMES.iter().zip(decision.detectors()).filter(|(name, _)| **name != "Novelty") {
        let cells: Vec<(u64, u32)> = rule.maxima()[0].iter().map(|(cell, block, _)| (cell, block)).collect();
        // All packets go one way, to one service.
        assert!(cells.iter().map(|(_, block)| *block).eq(0..10), "{name}: {cells:?}");
        assert!(cells.iter().all(|(cell, _)| *cell == cells[0].0), "{name}: {cells:?}");
    }
    // Nothing was new that the other blocks did not have.
    assert!(decision.detectors()[4].maxima().iter().all(|maxima| maxima.iter().count() == 0));
}

#[test]
fn a_packet_of_its_own_kind_is_an_alert_that_says_why() {
    let mut bytes = capture(60);
    // The payload of the last packet, which is 20 to 22 bytes long.
    let end = bytes.len();
    bytes[end - 20..].fill(0xee);
    let detect = |keep| {
        let captures = Captures::from_reader("odd.pcap", std::io::Cursor::new(bytes.clone()));
        BUNDLE.detect(captures, Labels::All(Label::Unknown), keep, &()).unwrap()
    };
    let detection = detect(Keep::Packets);
    let [event] = detection.events.as_slice() else { panic!("{:?}", detection.events) };
    assert_eq!((&event.packets[..], event.packet_count, detection.alerts, detection.packets), (&[60][..], 1, 1, 60));
    let odd = &event.told;
    assert!(odd.findings.iter().all(|finding| finding.score > finding.limit.threshold && finding.strength() > 1.0));
    let found = |name: &str| odd.findings.iter().any(|finding| finding.detector == name);
    assert!(found("Autoencoder") && found("PositionHistogram") && found("ClosedPositions"), "{odd:?}");
    assert!(!found("Novelty") && !found("LengthRarity") && !found("Rate"), "{odd:?}");
    assert!((odd.shares().iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9, "{odd:?}");
    assert!(event.reason.starts_with("10.0.0.1 → 10.0.0.2 "), "{}", event.reason);

    let records = detection.records.as_ref().unwrap();
    assert!((1..=60).filter(|packet| records.event(*packet).is_some()).eq([60]));
    assert!(records.strengths.iter().all(|(packet, strength)| (strength > 1.0) == (packet == 60)));
    assert_eq!(records.strengths.get(60), Some(odd.strength()));
    assert!(records.of_detectors.iter().map(|(name, _)| *name).eq(NAMES));
    let without = detect(Keep::Events);
    assert!(without.records.is_none());
    assert_eq!((&without.events, without.alerts), (&detection.events, 1));
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
        "its version is 1, expected 2 or 3 or 4 or 5",
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
    let without = LearnConfig { explain: false, ..config(Mode::Packet, 1, 7) };
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

/// Learned by version 3 from `capture(240)` with the four detectors, the three of packets fitted to the first 144.
const VERSION_3: &[u8] = include_bytes!("golden/bundle_version_3.pcapae");

#[test]
fn a_bundle_of_version_3_is_read_and_its_highest_scores_are_the_limits() {
    let old = Bundle::from_bytes(VERSION_3).unwrap();
    assert!(old.detectors.names().eq(FORMER));
    assert_eq!((old.training_summary.packets, old.id.as_str(), old.accepted.len()), (240, "", 0));
    let tensors = SafeTensors::deserialize(VERSION_3).unwrap();
    let calibrations = ["autoencoder", "histograms", "lengths", "gaps"].map(|name| format!("calibration.{name}"));
    for (rule, name) in old.decision.detectors().iter().zip(calibrations) {
        let bytes = tensors.tensor(&name).unwrap().data().to_vec();
        let scores = bytes.chunks_exact(8).map(|score| f64::from_le_bytes(score.try_into().unwrap()));
        let highest = scores.reduce(f64::max).unwrap() as f32;
        for cell in [0, 77] {
            let limit = rule.limits()[0].get(cell).unwrap();
            assert_eq!((limit.highest, limit.threshold), (highest, highest), "{name}");
        }
    }

    let again = Bundle::from_bytes(&old.to_bytes().unwrap()).unwrap();
    assert_eq!((&again.decision, &again.normal), (&old.decision, &old.normal));
    let first = Captures::from_reader("plant.pcap", std::io::Cursor::new(capture(144)));
    let config = LearnConfig { detectors: plans(&FORMER[1..]), explain: false, ..config(Mode::Packet, 1, 7) };
    let learned = learn(first, &config, &()).unwrap().bundle;
    for name in &FORMER[1..] {
        let fitted = arrays(&learned, name);
        for (array, values) in arrays(&old, name).iter() {
            // What was held back for standardisation then is no more.
            if !array.starts_with("usual") {
                assert_eq!(fitted.iter().find(|(known, _)| *known == array).unwrap().1, values, "{name} {array}");
            }
        }
    }
    let odd = |last: &[u8]| {
        let mut bytes = capture(60);
        let end = bytes.len();
        bytes[end - last.len()..].copy_from_slice(last);
        let captures = Captures::from_reader("odd.pcap", std::io::Cursor::new(bytes));
        old.detect(captures, Labels::All(Label::Unknown), Keep::Events, &()).unwrap().events
    };
    let events = odd(&[0xee; 20]);
    assert_eq!(events.last().unwrap().packets, [60], "{events:?}");
    assert_eq!(events.last().unwrap().kind().1.name, "score");
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
    refused(&record_with(r#""margin":3.0"#, r#""margin":-1.5"#), "margin");
    refused(&record_with(r#""blocks":10"#, r#""blocks":4000000000"#), "blocks");
    refused(
        &record_with(
            r#""accepted":[]"#,
            r#""accepted":[{"event":"","reason":"","time_ns":0,"causes":[{"kind":"","cause":"12g","accept_up_to":1}]}]"#,
        ),
        "invalid digit",
    );
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
    refused(&without("maxima.Novelty/pair"), "maxima: `Novelty/pair` is missing");
    refused(&without("maxima.Sequence/drift"), "maxima: `Sequence/drift` is missing");
    refused(&without("Autoencoder.standardisation"), "`standardisation` is missing");
    refused(&without("PositionHistogram.entries"), "`entries` is missing");
    refused(&without("LengthRarity.counts"), "`counts` is missing");
    refused(&shape("InterArrival.services", vec![2, 2]), "`services` has the shape");
    refused(&without("Novelty.hosts"), "`hosts` is missing");
    refused(&without("LengthBackOff.tokens"), "`tokens` is missing");
    refused(&without("Sequence.usual"), "`usual` is missing");
    refused(&without("ClosedPositions.closed"), "`closed` is missing");
    // A detector that nothing is known of in normal traffic raises no alerts; it may explain.
    let silent = Bundle::from_bytes(&without("maxima.LengthRarity/score")).unwrap();
    assert!(!silent.decision.detectors()[2].raises_alerts());
}

/// The file with other bytes in the maxima of `LengthRarity`: rows of the halves of a cell, a block and a score.
fn maxima_with(change: fn(&mut Tensor)) -> Vec<u8> {
    changed(|_, tensors| change(tensors.iter_mut().find(|(name, ..)| name == "maxima.LengthRarity/score").unwrap()))
}

#[test]
fn maxima_of_another_type_or_shape_or_that_are_no_numbers_are_refused() {
    let name = "`LengthRarity/score`";
    refused(&maxima_with(|(_, kind, shape, _)| (*kind, *shape) = (Dtype::F32, vec![20, 4])), "holds F32, expected F64");
    refused(&maxima_with(|(_, _, shape, _)| *shape = vec![40]), &format!("{name} has the shape"));
    refused(
        &maxima_with(|tensor| tensor.3[24..32].copy_from_slice(&f64::NAN.to_le_bytes())),
        "holds NaN, expected finite numbers",
    );
    refused(
        &maxima_with(|tensor| tensor.3[..8].copy_from_slice(&0.5_f64.to_le_bytes())),
        &format!("{name} holds 0.5, expected a whole number"),
    );
    refused(
        &maxima_with(|tensor| tensor.3[16..24].copy_from_slice(&(-1.0_f64).to_le_bytes())),
        &format!("{name} holds -1"),
    );
}

#[test]
fn a_file_of_a_former_version_with_detectors_of_this_one_does_not_make_detection_panic() {
    let file = changed(|metadata, tensors| {
        let mut record: serde_json::Value = serde_json::from_str(&metadata["bundle"]).unwrap();
        let mut lesson = record["training_summary"].clone();
        lesson["split"] = serde_json::json!({ "training_end": 144 });
        record["lesson"] = lesson;
        metadata.insert("bundle".into(), record.to_string());
        metadata.insert("version".into(), "4".into());
        tensors.extend(NAMES.map(|name| (format!("calibration.{name}"), Dtype::F64, vec![1], vec![0; 8])));
    });
    let bundle = Bundle::from_bytes(&file).unwrap();
    let detection = bundle.detect(plant(), Labels::All(Label::Unknown), Keep::Packets, &()).unwrap();
    assert_eq!(detection.packets, 240);
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
                prop_assert_eq!(bundle.decision.detectors().len(), bundle.detectors.fitted.len());
                prop_assert!(bundle.to_bytes().is_ok());
            }
            Err(fault) => prop_assert!(!fault.to_string().is_empty()),
        }
    }
}
