//! Datasets that our writers and the thesis's code wrote are read back; what is damaged or no dataset is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

#[path = "shared/fixtures.rs"]
mod fixtures;

use std::path::Path;
use std::sync::OnceLock;

use fixtures::{Expected, PacketFixture, assert_one_sentence, cutting, packets, write};
use pcapae::Error;
use pcapae::dataset::{Dataset, Layout, Origin};
use pcapae::error::FileKind;
use pcapae::fragment::{Cutting, FragmentSize, Mode, Shape};
use pcapae::label::Label;
use proptest::prelude::*;
use rust_hdf5::{H5File, H5Type, LibverBound};
use tempfile::TempDir;

const MODES: [Mode; 3] = [Mode::Byte, Mode::Packet, Mode::Flow];

fn label(fragment: &[pcapae::fragment::Segment]) -> Label {
    fragment.iter().map(|segment| segment.label).max().unwrap()
}

/// Reads all of a dataset and compares it with what it should hold.
fn assert_reads(path: &Path, layout: Layout, mode: Mode, size: FragmentSize, expected: &Expected) {
    let dataset = Dataset::open(path).unwrap();
    let count = expected.segments.len();
    assert_eq!((dataset.len(), dataset.is_empty(), dataset.layout()), (count, count == 0, layout));
    assert_eq!((dataset.size(), dataset.path()), (size, path));
    let loaded = dataset.load(&()).unwrap();
    assert_eq!((loaded.bytes(), loaded.len()), (&expected.bytes[..], count));
    let middle = count / 3..count - count / 3;
    let mut bytes = vec![7];
    dataset.read(middle.clone(), &mut bytes).unwrap();
    assert_eq!(bytes[1..], expected.bytes[middle.start * size.bytes()..middle.end * size.bytes()]);

    let (arrays, flows) = (layout == Layout::Arrays, layout == Layout::Arrays && mode == Mode::Flow);
    // The smallest fragments do not hold the headers.
    let facts = dataset.facts(0..dataset.len()).unwrap();
    assert_eq!(facts.is_some(), arrays && mode == Mode::Packet);
    if size.bytes() >= 64 {
        assert!(facts.is_none_or(|facts| facts == expected.facts));
    }
    assert_eq!(dataset.mode(), arrays.then_some(mode));
    assert_eq!(dataset.flows().unwrap(), flows.then(|| expected.flows.clone()));
    let provenance = dataset.provenance(middle.clone()).unwrap();
    let labels = provenance.labels();
    for i in middle.clone() {
        let segments = &expected.segments[i];
        assert_eq!(provenance.segments(i), arrays.then_some(&segments[..]));
        let packet = |f: fn(u64, u64) -> u64| segments.iter().map(|segment| segment.packet).reduce(f).unwrap();
        let (first_packet, last_packet) = (packet(u64::min), packet(u64::max));
        let known = if arrays || label(segments) == Label::Anomalous { label(segments) } else { Label::Normal };
        let origin = Origin {
            first_packet,
            last_packet,
            time_ns: arrays.then(|| expected.times[first_packet as usize - 1]),
            label: known,
            flow: flows.then(|| expected.flows[i]),
        };
        assert_eq!(provenance.origin(i..i + 1), Some(origin));
        assert_eq!(labels[i - middle.start], known);
    }
    assert_eq!(dataset.labels(middle.clone()).unwrap(), labels);
    assert_eq!(dataset.times(middle).unwrap().as_deref(), provenance.times());
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A small dataset in every mode, shape and layout.
fn assert_all_read(packets: &[PacketFixture], layouts: &[Layout]) {
    let folder = folder();
    let path = folder.path().join("out.h5");
    for mode in MODES {
        for (bytes, shape) in [(64, Shape::Square), (50, Shape::Line)] {
            for &layout in layouts {
                let cutting = cutting(mode, bytes, shape);
                let expected = write(packets, cutting, layout, &path);
                if layout == Layout::Arrays || !expected.segments.is_empty() {
                    assert_reads(&path, layout, mode, cutting.size, &expected);
                }
            }
        }
    }
}

#[test]
fn what_was_written_is_read_in_every_mode_shape_and_layout() {
    assert_all_read(&packets(40), &[Layout::Arrays, Layout::Original]);
}

#[test]
fn a_dataset_of_many_chunks_is_read() {
    let folder = folder();
    let path = folder.path().join("out.h5");
    for mode in MODES {
        let cutting = cutting(mode, 16, Shape::Square);
        let expected = write(&packets(12_000), cutting, Layout::Arrays, &path);
        assert_reads(&path, Layout::Arrays, mode, cutting.size, &expected);
    }
}

#[test]
fn a_mask_is_remembered_and_flows_are_told_apart_by_what_is_masked() {
    let folder = folder();
    let packets = packets(40);
    for mode in [Mode::Byte, Mode::Packet, Mode::Flow] {
        let whole = cutting(mode, 256, Shape::Square);
        let masked = Cutting { mask: "addresses,ports,volatile".parse().unwrap(), ..whole };
        let (plain, without) = (folder.path().join("plain.h5"), folder.path().join("masked.h5"));
        let expected = write(&packets, whole, Layout::Arrays, &plain);
        write(&packets, masked, Layout::Arrays, &without);
        let dataset = Dataset::open(&without).unwrap();
        assert_eq!(dataset.cutting(), Some(masked));
        let mut bytes = Vec::new();
        dataset.read(0..dataset.len(), &mut bytes).unwrap();
        assert_eq!(dataset.flows().unwrap().unwrap_or_default(), expected.flows);
        let changed: Vec<_> = bytes.iter().zip(&expected.bytes).filter(|(masked, plain)| masked != plain).collect();
        assert!(!changed.is_empty() && changed.iter().all(|(masked, _)| **masked == 0));
    }
}

#[test]
fn a_dataset_without_fragments_is_empty() {
    assert_all_read(&[], &[Layout::Arrays]);
}

#[test]
fn name_and_sources_are_those_that_were_written() {
    let folder = folder();
    let path = folder.path().join("out.h5");
    write(&packets(3), cutting(Mode::Byte, 64, Shape::Square), Layout::Arrays, &path);
    let dataset = Dataset::open(&path).unwrap();
    assert_eq!(dataset.name(), "plant");
    let sources: serde_json::Value = serde_json::from_str(dataset.sources().unwrap()).unwrap();
    assert_eq!((&sources[0]["path"], &sources[0]["packets"]), (&"fixtures".into(), &3.into()));
    drop(dataset);
    write(&packets(3), cutting(Mode::Byte, 64, Shape::Square), Layout::Original, &path);
    let dataset = Dataset::open(&path).unwrap();
    assert_eq!((dataset.name().as_str(), dataset.sources()), ("out", None));
}

#[test]
fn windows_of_a_loaded_dataset_stay_within_flows() {
    let folder = folder();
    let path = folder.path().join("out.h5");
    let expected = write(&packets(60), cutting(Mode::Flow, 64, Shape::Square), Layout::Arrays, &path);
    let loaded = Dataset::open(&path).unwrap().load(&()).unwrap();
    let windows = loaded.windows(3);
    assert!(!windows.is_empty() && windows.len() < loaded.len() - 2);
    for i in 0..windows.len() {
        let first = windows.first_fragment(i);
        assert_eq!(expected.flows[first], expected.flows[first + 2]);
    }
}

#[test]
fn a_range_outside_the_dataset_is_refused() {
    let folder = folder();
    let path = folder.path().join("out.h5");
    write(&packets(3), cutting(Mode::Packet, 64, Shape::Square), Layout::Arrays, &path);
    let dataset = Dataset::open(&path).unwrap();
    assert!(matches!(dataset.read(2..4, &mut Vec::new()), Err(Error::Setting { .. })));
    assert!(matches!(dataset.provenance(0..usize::MAX), Err(Error::Setting { .. })));
}

#[test]
fn loading_stops_when_it_is_asked_to() {
    struct Impatient;
    impl pcapae::progress::Progress for Impatient {
        fn interrupted(&self) -> bool {
            true
        }
    }
    let folder = folder();
    let path = folder.path().join("out.h5");
    write(&packets(3), cutting(Mode::Packet, 64, Shape::Square), Layout::Arrays, &path);
    assert!(matches!(Dataset::open(&path).unwrap().load(&Impatient), Err(Error::Interrupted)));
}

fn packet() -> impl Strategy<Value = PacketFixture> {
    let label = prop::sample::select(vec![Label::Unknown, Label::Normal, Label::Anomalous]);
    let payload = prop::collection::vec(any::<u8>(), 0..150);
    (0u8..4, any::<bool>(), payload, label).prop_map(|(client, tcp, payload, label)| PacketFixture {
        client,
        tcp,
        payload,
        label,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_was_written_is_read(packets in prop::collection::vec(packet(), 0..30)) {
        assert_all_read(&packets, &[Layout::Arrays, Layout::Original]);
    }
}

/// Datasets that the thesis's code wrote, beside arrays of what is in them.
#[test]
fn files_of_the_original_are_read() {
    let Some(golden) = test_needs::shared("reference/golden/pcap2ds") else { return };
    for (file, arrays) in [("small_byte_1024", "small_byte_1024"), ("small_flow_256_t2", "small_flow_256")] {
        let dataset = Dataset::open(&golden.join("hdf5").join(file).with_extension("hdf5")).unwrap();
        let mut expected = npyz::npz::NpzArchive::open(golden.join(arrays).with_extension("npz")).unwrap();
        let data: Vec<u8> = expected.by_name("data").unwrap().unwrap().into_vec().unwrap();
        assert_eq!(dataset.load(&()).unwrap().bytes(), data, "{file}");
        assert_eq!((dataset.layout(), dataset.size().shape()), (Layout::Original, Shape::Square));
        assert!(dataset.labels(0..dataset.len()).unwrap().iter().all(|&label| label == Label::Normal));
    }
}

fn refusal(path: &Path) -> String {
    let error = Dataset::open(path).unwrap_err();
    assert!(matches!(error, Error::Unreadable { kind: FileKind::Dataset, .. }), "{error}");
    assert_one_sentence(&error, path);
    error.to_string()
}

#[test]
fn what_is_no_dataset_is_refused_with_what_it_is() {
    let folder = folder();
    let path = folder.path().join("file");
    assert!(matches!(Dataset::open(&path), Err(Error::Io { action: "open", .. })));
    assert!(refusal(folder.path()).ends_with("found a folder, expected an HDF5 file"));
    for (bytes, reason) in
        [(&b""[..], "it is empty"), (b"-1\n1\n", "found a file of another format, expected an HDF5 file")]
    {
        std::fs::write(&path, bytes).unwrap();
        assert!(refusal(&path).ends_with(reason));
    }
    H5File::create(&path).unwrap().close_no_sync().unwrap();
    assert!(refusal(&path).ends_with("neither the attribute format nor the array 0/data, expected one of them"));
}

/// Opens and, if that succeeds, reads all; gives the refusal.
fn read_all(path: &Path) -> Result<(), Error> {
    let dataset = Dataset::open(path)?;
    dataset.load(&())?;
    dataset.provenance(0..dataset.len())?;
    Ok(())
}

#[test]
fn a_cut_file_is_refused_at_every_length() {
    let folder = folder();
    let (path, cut) = (folder.path().join("out.h5"), folder.path().join("cut.h5"));
    for layout in [Layout::Arrays, Layout::Original] {
        write(&packets(12), cutting(Mode::Flow, 64, Shape::Square), layout, &path);
        let whole = std::fs::read(&path).unwrap();
        for length in (0..64).chain((64..whole.len()).step_by(97)).chain([whole.len() - 1]) {
            std::fs::write(&cut, &whole[..length]).unwrap();
            refusal(&cut);
        }
    }
}

/// The bytes of small datasets: one of each layout, one by hand.
fn small() -> &'static [Vec<u8>; 3] {
    static FILES: OnceLock<[Vec<u8>; 3]> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = folder();
        let path = folder.path().join("out.h5");
        [Some(Layout::Arrays), Some(Layout::Original), None].map(|layout| {
            match layout {
                Some(layout) => drop(write(&packets(6), cutting(Mode::Flow, 64, Shape::Square), layout, &path)),
                None => ByHand::good().write(&path),
            }
            std::fs::read(&path).unwrap()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn a_damaged_file_is_read_or_refused_in_one_sentence(
        kind in 0usize..3,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = small()[kind].clone();
        let folder = folder();
        let path = folder.path().join("out.h5");
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        std::fs::write(&path, bytes).unwrap();
        if let Err(error) = read_all(&path) {
            assert_one_sentence(&error, &path);
        }
    }
}

/// A file by hand: a dataset of two fragments of 16 bytes, of one packet, that a test spoils.
struct ByHand {
    format: &'static str,
    version: u32,
    mode: &'static str,
    one_d: u8,
    shape: Vec<usize>,
    offsets: Vec<u64>,
    segments: Vec<[u64; 4]>,
    flow: Option<Vec<u64>>,
    labels: Vec<i8>,
}

impl ByHand {
    fn good() -> ByHand {
        ByHand {
            format: "pcapae-dataset",
            version: 1,
            mode: "byte",
            one_d: 0,
            shape: vec![2, 4, 4],
            offsets: vec![0, 1, 2],
            segments: vec![[1, 0, 0, 16], [1, 16, 0, 4]],
            flow: None,
            labels: vec![1],
        }
    }

    /// In the oldest version of HDF5, as the C library writes it: it has no checksums that betray damage.
    fn write(&self, path: &Path) {
        let file = H5File::options().libver(LibverBound::Earliest).create(path).unwrap();
        for (name, text) in [("format", self.format), ("mode", self.mode), ("name", "by hand")] {
            file.set_attr_string(name, text).unwrap();
        }
        file.set_attr_numeric("version", &self.version).unwrap();
        file.set_attr_numeric("one_d", &self.one_d).unwrap();
        file.set_attr_numeric("compat", &0u8).unwrap();
        file.create_group("packets").unwrap();
        let bytes = vec![9u8; self.shape.iter().product()];
        array(&file, "fragments", &self.shape, &bytes);
        array(&file, "segment_offsets", &[self.offsets.len()], &self.offsets);
        array(&file, "segments", &[self.segments.len(), 4], self.segments.as_flattened());
        if let Some(flow) = &self.flow {
            array(&file, "flow", &[flow.len()], flow);
        }
        let packets = file.root_group().group("packets").unwrap();
        packets.new_dataset::<i64>().shape([1]).create("time_ns").unwrap().write_raw(&[7i64]).unwrap();
        let label = packets.new_dataset::<i8>().shape([self.labels.len()]).create("label").unwrap();
        label.write_raw(&self.labels).unwrap();
        file.close_no_sync().unwrap();
    }
}

fn array<T: H5Type>(file: &H5File, name: &str, shape: &[usize], values: &[T]) {
    file.new_dataset::<T>().shape(shape).create(name).unwrap().write_raw(values).unwrap();
}

#[track_caller]
fn check_by_hand(spoil: impl FnOnce(&mut ByHand), expected: &str) {
    let folder = folder();
    let path = folder.path().join("by_hand.h5");
    let mut file = ByHand::good();
    spoil(&mut file);
    file.write(&path);
    let error = read_all(&path).unwrap_err();
    assert_one_sentence(&error, &path);
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_file_by_hand_is_read() {
    let folder = folder();
    let path = folder.path().join("by_hand.h5");
    ByHand::good().write(&path);
    read_all(&path).unwrap();
    let origin = Dataset::open(&path).unwrap().provenance(0..2).unwrap().origin(0..2).unwrap();
    assert_eq!((origin.time_ns, origin.label), (Some(7), Label::Anomalous));
}

#[test]
fn what_does_not_fit_together_is_refused_with_what_was_expected() {
    check_by_hand(|f| f.format = "other", "its format is \"other\", expected \"pcapae-dataset\"");
    check_by_hand(|f| f.version = 2, "its version is 2, expected 1");
    check_by_hand(|f| f.version = 1000, "expected a number below 128");
    check_by_hand(|f| f.mode = "bytes", "its mode is \"bytes\", expected \"byte\", \"packet\" or \"flow\"");
    check_by_hand(|f| f.one_d = 1, "`fragments` holds the shape [2, 4, 4]");
    check_by_hand(|f| f.shape = vec![2, 4, 5], "`fragments` holds the shape [2, 4, 5], expected [any, side, side]");
    check_by_hand(|f| f.shape = vec![2, 3, 3], "expected a perfect square from 16 to 65536");
    check_by_hand(|f| f.shape = vec![3, 4, 4], "`segment_offsets` has the shape [3], expected [4]");
    check_by_hand(|f| f.offsets = vec![0, 2, 2], "`segment_offsets`, row 1: found a fragment without segments");
    check_by_hand(|f| f.offsets = vec![1, 2, 3], "`segment_offsets` holds 3, expected at most 2");
    check_by_hand(|f| f.offsets = vec![0, 1, u64::MAX], "`segment_offsets` holds 18446744073709551615");
    check_by_hand(|f| f.segments.push([1, 0, 0, 1]), "`segment_offsets` holds 2 at its end, expected 3");
    check_by_hand(|f| f.segments[0][0] = 2, "`segments` holds packet 2, expected 1 to 1");
    check_by_hand(|f| f.segments[0][0] = 0, "`segments` holds packet 0, expected 1 to 1");
    check_by_hand(|f| f.segments[0][3] = 17, "17 bytes of packet 1 at 0, expected no more than fit into 16");
    check_by_hand(|f| f.segments[0][2] = u64::MAX, "more than fit into 16");
    check_by_hand(|f| f.segments[1][1] = u64::from(u32::MAX), "more than fit into 16");
    check_by_hand(|f| f.labels = vec![3], "`packets/label` holds 3, expected -1, 0 or 1");
    check_by_hand(|f| f.labels = vec![1, 1], "`packets/label` has the shape [2], expected [1]");
    check_by_hand(|f| f.mode = "flow", "`flow` is missing");
    check_by_hand(|f| f.flow = Some(vec![0, 0]), "`flow` holds flows, expected nothing in byte mode");
}

/// A file in the original's layout with one group by hand.
#[track_caller]
fn check_group<D: H5Type + Default, L: H5Type>(data: &[usize], label_shape: &[usize], label: &[L], expected: &str) {
    let folder = folder();
    let path = folder.path().join("group.h5");
    let file = H5File::create(&path).unwrap();
    let group = file.create_group("0").unwrap();
    let bytes = vec![D::default(); data.iter().product()];
    group.new_dataset::<D>().shape(data).create("data").unwrap().write_raw(&bytes).unwrap();
    group.new_dataset::<L>().shape(label_shape).create("label").unwrap().write_raw(label).unwrap();
    file.close_no_sync().unwrap();
    match read_all(&path) {
        Ok(()) => assert_eq!(expected, ""),
        Err(error) => {
            assert_one_sentence(&error, &path);
            assert!(error.to_string().contains(expected) && !expected.is_empty(), "{error}");
        }
    }
}

#[test]
fn a_group_that_is_no_fragment_is_refused_with_what_was_expected() {
    check_group::<u8, i32>(&[1, 4, 4], &[1, 2], &[1, -1], "");
    check_group::<u8, i32>(&[1, 100], &[1, 2], &[1, -1], "");
    check_group::<f32, i32>(&[1, 4, 4], &[1, 2], &[1, -1], "expected u8");
    check_group::<u8, i64>(&[1, 4, 4], &[1, 2], &[1, -1], "expected i32");
    check_group::<u8, i32>(&[2, 4, 4], &[1, 2], &[1, -1], "`0/data` holds the shape [2, 4, 4]");
    check_group::<u8, i32>(&[1, 4, 4], &[2], &[1, -1], "`0/label` has the shape [2], expected [any, 2]");
    check_group::<u8, i32>(&[1, 4, 4], &[1, 2], &[0, -1], "`0/label` holds the packet number 0, expected 1 or more");
    check_group::<u8, i32>(&[1, 4, 4], &[1, 2], &[1, 0], "`0/label` holds the label 0, expected -1 or 1");
}

#[test]
fn arrays_that_name_other_files_or_are_packed_are_refused() {
    let folder = folder();
    let (path, outside) = (folder.path().join("file.h5"), folder.path().join("outside"));
    std::fs::write(&outside, [1; 16]).unwrap();
    let group = |make: &dyn Fn(&rust_hdf5::H5Group)| {
        let file = H5File::create(&path).unwrap();
        make(&file.create_group("0").unwrap());
        file.close_no_sync().unwrap();
        refusal(&path)
    };
    let external = group(&|group| {
        let files = [(outside.to_str().unwrap(), 0, 16)];
        group.new_dataset::<u8>().shape([1, 4, 4]).external(&files).create("data").unwrap();
    });
    assert!(external.ends_with("`0/data` holds values in another file, expected values in this file"), "{external}");
    let linked = group(&|group| group.create_external_link("data", "outside", "/data").unwrap());
    assert!(linked.ends_with("`0/data` holds a link, expected values in this file"), "{linked}");
    let packed = group(&|group| {
        let data = group.new_dataset::<u8>().shape([1, 4, 4]).chunk(&[1, 4, 4]).deflate(6).create("data").unwrap();
        data.write_raw(&[0u8; 16]).unwrap();
    });
    assert!(packed.ends_with("`0/data` holds compressed values, expected uncompressed ones"), "{packed}");
    let huge = group(&|group| {
        let shape = [1usize << 40, 4, 4];
        let room = [None, Some(4), Some(4)];
        group.new_dataset::<u8>().shape(shape).max_shape(&room).chunk(&[1, 4, 4]).create("data").unwrap();
    });
    assert!(huge.contains("values, expected no more than"), "{huge}");
}
