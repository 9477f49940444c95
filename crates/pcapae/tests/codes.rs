//! Codes are read back as they were written; what is damaged or holds no codes is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

#[path = "shared/fixtures.rs"]
mod fixtures;

use std::path::Path;

use fixtures::{assert_one_sentence, code, cutting, packets, write, write_codes};
use pcapae::Error;
use pcapae::code::{Codes, CodesDescription, CodesWriter, WindowSegment};
use pcapae::dataset::{Dataset, Layout};
use pcapae::error::FileKind;
use pcapae::fragment::{Mode, Shape};
use proptest::prelude::*;
use rust_hdf5::{H5File, H5Type, LibverBound};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Writes a dataset, codes of its windows, and compares what is read with what the dataset says.
fn assert_codes_come_back(count: usize, mode: Mode, layout: Layout, frames: usize, width: usize) {
    let folder = folder();
    let (from, path) = (folder.path().join("in.h5"), folder.path().join("codes.h5"));
    write(&packets(count), cutting(mode, 64, Shape::Square), layout, &from);
    let dataset = write_codes(&from, frames, width, &path);
    let codes = Codes::open(&path).unwrap();
    let loaded = dataset.load(&()).unwrap();
    let windows = loaded.windows(frames);
    assert_eq!((codes.len(), codes.width(), codes.is_empty()), (windows.len(), width, windows.is_empty()));
    assert_eq!(codes.path(), path);
    let expected = CodesDescription::new(&dataset, "{\"cell\":\"gru\"}".into(), frames as u64, 1);
    assert_eq!(codes.description(), Some(&expected));
    let provenance = dataset.provenance(0..dataset.len()).unwrap();
    for i in 0..codes.len() {
        let first = windows.first_fragment(i);
        assert_eq!(codes.code(i), code(i, width));
        assert_eq!(codes.first_fragment(i), Some(first as u64));
        assert_eq!(codes.origin(i), provenance.origin(first..first + frames));
        assert_eq!(codes.origin(i).unwrap().time_ns.is_some(), layout == Layout::Arrays);
        let segments = codes.segments(i);
        assert_eq!(segments.is_some(), layout == Layout::Arrays);
        let mut rest = segments.unwrap_or_default().iter();
        for frame in 0..frames {
            for segment in provenance.segments(first + frame).unwrap_or_default() {
                let expected = WindowSegment {
                    packet: segment.packet,
                    packet_offset: segment.packet_offset.into(),
                    window_offset: u64::from(segment.fragment_offset) + frame as u64 * 64,
                    length: segment.length.into(),
                };
                assert_eq!(rest.next(), Some(&expected));
            }
        }
        assert_eq!(rest.next(), None);
    }
}

#[test]
fn codes_come_back_with_all_that_the_dataset_knows() {
    for mode in [Mode::Byte, Mode::Packet, Mode::Flow] {
        for layout in [Layout::Arrays, Layout::Original] {
            for frames in [1, 3] {
                assert_codes_come_back(40, mode, layout, frames, 64);
            }
        }
    }
}

#[test]
fn codes_of_many_chunks_come_back() {
    assert_codes_come_back(12_000, Mode::Packet, Layout::Arrays, 2, 5);
}

#[test]
fn no_window_gives_no_code() {
    assert_codes_come_back(2, Mode::Packet, Layout::Arrays, 3, 64);
}

#[test]
fn a_description_may_be_long() {
    let folder = folder();
    let (from, path) = (folder.path().join("in.h5"), folder.path().join("codes.h5"));
    write(&packets(3), cutting(Mode::Packet, 64, Shape::Square), Layout::Arrays, &from);
    let dataset = Dataset::open(&from).unwrap();
    let description = CodesDescription::new(&dataset, "x".repeat(300_000), 1, 1);
    CodesWriter::create(&path, &description, 1).unwrap().finish().unwrap();
    assert_eq!(Codes::open(&path).unwrap().description(), Some(&description));
}

#[test]
fn what_cannot_be_written_is_refused() {
    let folder = folder();
    let (from, path) = (folder.path().join("in.h5"), folder.path().join("codes.h5"));
    write(&packets(3), cutting(Mode::Packet, 64, Shape::Square), Layout::Arrays, &from);
    let dataset = Dataset::open(&from).unwrap();
    let mut description = CodesDescription::new(&dataset, "{}".into(), 1, 1);
    let provenance = dataset.provenance(0..2).unwrap();
    assert!(CodesWriter::create(&path, &description, 0).is_err());
    let mut writer = CodesWriter::create(&path, &description, 2).unwrap();
    for (code, window) in [(&[1.0][..], 0..1), (&[1.0, f32::NAN], 0..1), (&[1.0, 2.0], 2..3), (&[1.0, 2.0], 0..0)] {
        assert!(matches!(writer.push(code, window, &provenance), Err(Error::Unwritable { .. })));
    }
    drop(writer);
    description.mode = None;
    let mut writer = CodesWriter::create(&path, &description, 1).unwrap();
    assert!(matches!(writer.push(&[1.0], 0..1, &provenance), Err(Error::Unwritable { .. })));
}

#[test]
fn a_file_with_codes_alone_is_read() {
    let folder = folder();
    let path = folder.path().join("alone.h5");
    let file = H5File::create(&path).unwrap();
    array(&file, "codes", &[2, 3], &[0f32, 1.0, 2.0, 3.0, 4.0, 5.0]);
    file.close_no_sync().unwrap();
    let codes = Codes::open(&path).unwrap();
    assert_eq!((codes.len(), codes.code(1), codes.values().len()), (2, &[3.0, 4.0, 5.0][..], 6));
    assert_eq!((codes.description(), codes.first_fragment(1), codes.origin(1), codes.segments(1)), Default::default());
}

fn array<T: H5Type>(file: &H5File, name: &str, shape: &[usize], values: &[T]) {
    file.new_dataset::<T>().shape(shape).create(name).unwrap().write_raw(values).unwrap();
}

#[track_caller]
fn check_alone<T: H5Type>(name: &str, shape: &[usize], values: &[T], expected: &str) {
    let folder = folder();
    let path = folder.path().join("alone.h5");
    let file = H5File::create(&path).unwrap();
    array(&file, name, shape, values);
    file.close_no_sync().unwrap();
    check_refusal(&path, expected);
}

#[track_caller]
fn check_refusal(path: &Path, expected: &str) {
    let error = Codes::open(path).unwrap_err();
    assert!(matches!(error, Error::Unreadable { kind: FileKind::Codes, .. }), "{error}");
    assert_one_sentence(&error, path);
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn what_holds_no_codes_is_refused_with_what_was_expected() {
    check_alone("other", &[1, 1], &[0f32], "`codes` is missing");
    check_alone("codes", &[1, 1], &[0f64], "expected f32");
    check_alone("codes", &[2], &[0f32, 1.0], "`codes` holds the shape [2], expected [any, at least 1]");
    check_alone("codes", &[2, 2], &[0f32, 1.0, 2.0, f32::NAN], "`codes`, row 1: found NaN, expected finite numbers");
    check_alone("codes", &[1, 1], &[f32::INFINITY], "`codes`, row 0: found inf, expected finite numbers");
    let folder = folder();
    let path = folder.path().join("in.h5");
    write(&packets(3), cutting(Mode::Packet, 64, Shape::Square), Layout::Arrays, &path);
    check_refusal(&path, "`codes` is missing");
}

/// A whole codes file of one window by hand, with a change.
#[track_caller]
fn check_by_hand(spoil: impl FnOnce(&mut ByHand), expected: &str) {
    let folder = folder();
    let path = folder.path().join("by_hand.h5");
    let mut file = ByHand::default();
    spoil(&mut file);
    file.write(&path);
    match expected {
        "" => assert_eq!(Codes::open(&path).unwrap().len(), 1),
        _ => check_refusal(&path, expected),
    }
}

struct ByHand {
    format: &'static str,
    version: u32,
    mode: &'static str,
    frames: u64,
    fragment_size: u64,
    first_fragment: Vec<u64>,
    packets: [u64; 2],
    label: i8,
    offsets: [u64; 2],
    segment: [u64; 4],
}

impl Default for ByHand {
    fn default() -> ByHand {
        ByHand {
            format: "pcapae-codes",
            version: 1,
            mode: "packet",
            frames: 2,
            fragment_size: 16,
            first_fragment: vec![3],
            packets: [4, 5],
            label: -1,
            offsets: [0, 1],
            segment: [4, 0, 0, 32],
        }
    }
}

impl ByHand {
    /// In the oldest version of HDF5, as the C library writes it: it has no checksums that betray damage.
    fn write(&self, path: &Path) {
        let file = H5File::options().libver(LibverBound::Earliest).create(path).unwrap();
        for (name, text) in [("format", self.format), ("mode", self.mode), ("model", "{}"), ("dataset", "{}")] {
            file.set_attr_string(name, text).unwrap();
        }
        file.set_attr_numeric("version", &self.version).unwrap();
        let codes = file.new_dataset::<f32>().shape([1, 1]).create("codes").unwrap();
        codes.write_raw(&[0.5f32]).unwrap();
        let numbers = [("frames", self.frames), ("fragment_size", self.fragment_size)];
        for (name, number) in [("stride", 1), ("fragments", 5), ("one_d", 0)].into_iter().chain(numbers) {
            codes.new_attr::<u64>().shape(()).create(name).unwrap().write_numeric(&number).unwrap();
        }
        array(&file, "first_fragment", &[self.first_fragment.len()], &self.first_fragment);
        array(&file, "first_packet", &[1], &self.packets[..1]);
        array(&file, "last_packet", &[1], &self.packets[1..]);
        array(&file, "label", &[1], &[self.label]);
        array(&file, "time_ns", &[1], &[0i64]);
        array(&file, "segment_offsets", &[2], &self.offsets);
        array(&file, "segments", &[1, 4], &self.segment);
        file.close_no_sync().unwrap();
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    check_by_hand(|_| {}, "");
    check_by_hand(|f| f.format = "other", "its format is \"other\", expected \"pcapae-codes\"");
    check_by_hand(|f| f.version = 7, "its version is 7, expected 1");
    check_by_hand(|f| f.mode = "other", "its mode is \"other\"");
    check_by_hand(|f| f.mode = "flow", "`flow` is missing");
    check_by_hand(|f| f.frames = 0, "`codes` holds frames or a stride of 0");
    check_by_hand(|f| f.fragment_size = 17, "expected a perfect square");
    check_by_hand(|f| f.first_fragment = vec![4], "`first_fragment` holds 4, expected windows that end by fragment 5");
    check_by_hand(|f| f.first_fragment = vec![0, 1], "`first_fragment` has the shape [2], expected [1]");
    check_by_hand(|f| f.packets = [5, 4], "`first_packet`, row 0: found packets 5 to 4");
    check_by_hand(|f| f.packets = [0, 4], "`first_packet`, row 0: found packets 0 to 4");
    check_by_hand(|f| f.label = 2, "`label` holds 2, expected -1, 0 or 1");
    check_by_hand(|f| f.offsets = [0, 2], "`segment_offsets` holds others, expected numbers that rise from 0 to 1");
    check_by_hand(|f| f.segment[3] = 33, "`segments` holds 33 bytes of packet 4 at 0");
    check_by_hand(|f| f.segment[2] = u64::MAX, "below 32");
    check_by_hand(|f| f.segment[0] = 0, "of packet 0 at 0, expected packets from 1");
}

/// In debug builds the HDF5 library overflowed while it named the type.
#[test]
fn numbers_of_an_absurd_size_are_refused() {
    let folder = folder();
    let path = folder.path().join("absurd.h5");
    ByHand::default().write(&path);
    let mut bytes = std::fs::read(&path).unwrap();
    let float = [0x11, 0x20, 0x1f, 0, 4, 0, 0, 0];
    let place = bytes.windows(float.len()).position(|window| window == float).unwrap();
    bytes[place + 4..place + 8].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    check_refusal(&path, "`codes`");
}

/// The bytes of a small file of codes.
fn small() -> Vec<u8> {
    let folder = folder();
    let (from, path) = (folder.path().join("in.h5"), folder.path().join("codes.h5"));
    write(&packets(8), cutting(Mode::Flow, 64, Shape::Square), Layout::Arrays, &from);
    write_codes(&from, 2, 3, &path);
    std::fs::read(&path).unwrap()
}

#[test]
fn a_cut_file_is_refused_at_every_length() {
    let folder = folder();
    let path = folder.path().join("cut.h5");
    let whole = small();
    for length in (0..64).chain((64..whole.len()).step_by(97)).chain([whole.len() - 1]) {
        std::fs::write(&path, &whole[..length]).unwrap();
        check_refusal(&path, "");
    }
}

#[test]
fn a_damaged_file_is_read_or_refused_in_one_sentence() {
    let folder = folder();
    let path = folder.path().join("damaged.h5");
    ByHand::default().write(&path);
    let wholes = [small(), std::fs::read(&path).unwrap()];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    proptest!(ProptestConfig::with_cases(600), |(kind in 0usize..2, damage in damage)| {
        let mut bytes = wholes[kind].clone();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        std::fs::write(&path, bytes).unwrap();
        if let Err(error) = Codes::open(&path) {
            assert_one_sentence(&error, &path);
        }
    });
}
