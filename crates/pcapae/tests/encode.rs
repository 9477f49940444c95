//! The codes of a dataset are what the engine gives of each window, with where it came from.

#![allow(clippy::unwrap_used, reason = "this is test code")]

#[path = "shared/fixtures.rs"]
mod fixtures;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fixtures::{cutting, packets, write};
use pcapae::Error;
use pcapae::code::{Codes, CodesDescription};
use pcapae::dataset::{Dataset, Layout};
use pcapae::encode::encode;
use pcapae::engine::Engine;
use pcapae::fragment::{Mode, Shape};
use pcapae::model::{Autoencoder, Cell, Frames, ModelConfig, PredictFrames, Side};
use pcapae::progress::Progress;
use tempfile::TempDir;

/// Fragments of 256 bytes that are encoded at a time.
const BLOCK: usize = 4096;

fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

fn config(frames: usize) -> ModelConfig {
    ModelConfig { frames: Frames::try_from(frames).unwrap(), ..ModelConfig::new(Side::Sixteen) }
}

/// A dataset of some packets in a folder of its own.
fn dataset(count: usize, mode: Mode, shape: Shape, layout: Layout) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.h5");
    write(&packets(count), cutting(mode, 256, shape), layout, &path);
    (folder, path)
}

fn encoded(model: &Autoencoder, from: &Path, stride: usize) -> Codes {
    let dataset = Dataset::open(from).unwrap();
    let place = from.with_extension("codes.h5");
    let count = encode(model, &dataset, NonZeroUsize::new(stride).unwrap(), &place, &()).unwrap();
    let codes = Codes::open(&place).unwrap();
    assert_eq!(count, codes.len() as u64);
    codes
}

/// Encodes a dataset and compares with windows over all of it in memory.
fn check(config: ModelConfig, count: usize, mode: Mode, layout: Layout, stride: usize) {
    let (_folder, path) = dataset(count, mode, config.shape, layout);
    let (model, frames) = (Autoencoder::new(config, 5), config.frames.count());
    let codes = encoded(&model, &path, stride);
    let dataset = Dataset::open(&path).unwrap();
    let loaded = dataset.load(&()).unwrap();
    let windows = loaded.windows(frames).every(stride);
    assert_eq!((codes.len(), codes.width()), (windows.len(), 64));
    let provenance = dataset.provenance(0..dataset.len()).unwrap();
    let engine = Engine::new(&model);
    let together = engine.encode(&(0..windows.len()).map(|i| windows.bytes(i)).collect::<Vec<_>>());
    for (i, together) in together.into_iter().enumerate() {
        let first = windows.first_fragment(i);
        assert_eq!(codes.first_fragment(i), Some(first as u64));
        assert_eq!(codes.origin(i), provenance.origin(first..first + frames));
        assert_eq!(codes.segments(i).is_some(), layout == Layout::Arrays);
        if dataset.len() <= BLOCK {
            assert_eq!(codes.code(i), together);
        }
        // The engine adds up one window in another order than many, and the normalisation of almost constant pictures makes
        // much of the last digits.
        let alone = engine.encode(&[windows.bytes(i)])[0];
        for (got, expected) in codes.code(i).iter().zip(alone) {
            assert!((got - expected).abs() < 1e-4, "window {i}: {got} instead of {expected}");
        }
    }
    let description = codes.description().unwrap();
    let expected = CodesDescription::new(&dataset, description.model.clone(), frames as u64, stride as u64);
    assert_eq!(*description, expected);
    let said: serde_json::Value = serde_json::from_str(&description.model).unwrap();
    assert_eq!(said["config"], serde_json::to_value(config).unwrap());
    assert_eq!(said["sha256"], model.sha256());
}

#[test]
fn every_window_of_every_mode_and_layout_is_encoded_where_it_came_from() {
    for mode in [Mode::Byte, Mode::Packet, Mode::Flow] {
        for layout in [Layout::Arrays, Layout::Original] {
            check(config(1), 60, mode, layout, 1);
            check(config(3), 60, mode, layout, 1);
            check(config(2), 60, mode, layout, 3);
        }
    }
}

#[test]
fn lines_are_encoded_too() {
    let line = ModelConfig { shape: Shape::Line, ..config(2) };
    check(line, 60, Mode::Packet, Layout::Arrays, 1);
    check(ModelConfig { cell: Cell::Lstm, ..line }, 60, Mode::Byte, Layout::Original, 1);
}

#[test]
fn a_window_has_the_frames_that_the_encoder_takes_not_those_that_are_predicted() {
    let ahead = PredictFrames::try_from(2).unwrap();
    check(ModelConfig { predict_frames: ahead, ..config(2) }, 40, Mode::Packet, Layout::Arrays, 1);
}

#[test]
fn windows_across_the_borders_of_blocks_are_encoded_once() {
    for (mode, stride) in [(Mode::Packet, 1), (Mode::Packet, 7), (Mode::Flow, 5)] {
        check(config(3), 9000, mode, Layout::Arrays, stride);
    }
    check(config(3), BLOCK + 2, Mode::Packet, Layout::Arrays, 1);
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let (_folder, path) = dataset(5000, Mode::Packet, Shape::Square, Layout::Arrays);
    let model = Autoencoder::new(config(2), 5);
    let bytes = |threads: usize| {
        let place = path.with_extension("codes.h5");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| encode(&model, &Dataset::open(&path).unwrap(), one(), &place, &())).unwrap();
        std::fs::read(place).unwrap()
    };
    let alone = bytes(1);
    assert!(bytes(2) == alone && bytes(5) == alone);
}

#[track_caller]
fn refusal(model: ModelConfig, from: &Path) -> String {
    let place = from.with_extension("codes.h5");
    let model = Autoencoder::new(model, 5);
    let error = encode(&model, &Dataset::open(from).unwrap(), one(), &place, &()).unwrap_err();
    assert!(!place.exists(), "refused after work had begun");
    error.to_string()
}

#[test]
fn what_does_not_suit_the_model_is_refused_before_any_work() {
    let (_folder, path) = dataset(4, Mode::Packet, Shape::Square, Layout::Arrays);
    let other_size = refusal(ModelConfig::new(Side::ThirtyTwo), &path);
    let expected = "has fragments of 16 × 16 bytes, but the model has an input of 32 × 32 bytes";
    assert_eq!(other_size, format!("{} {expected}", path.display()));
    let other_shape = refusal(ModelConfig { shape: Shape::Line, ..config(1) }, &path);
    assert!(other_shape.ends_with("16 × 16 bytes, but the model has an input of 256 bytes in a line"), "{other_shape}");
    let short = "there is no window of the dataset: every run of fragments is shorter than 5 frames";
    assert_eq!(refusal(config(5), &path), short);
    let (_folder, path) = dataset(0, Mode::Packet, Shape::Square, Layout::Arrays);
    assert_eq!(refusal(config(1), &path), format!("{} holds no fragment", path.display()));
}

#[test]
fn flows_that_are_all_shorter_than_a_window_are_refused_before_any_work() {
    let (_folder, path) = dataset(30, Mode::Flow, Shape::Square, Layout::Arrays);
    let dataset = Dataset::open(&path).unwrap();
    let runs = dataset.flows().unwrap().unwrap().chunk_by(|a, b| a == b).map(<[u64]>::len).max().unwrap();
    assert!(runs + 1 < dataset.len());
    assert!(refusal(config(runs + 1), &path).starts_with("there is no window"));
}

#[derive(Default)]
struct Watch {
    total: AtomicU64,
    done: AtomicU64,
    stop: AtomicBool,
}

impl Progress for Watch {
    fn begin(&self, _: &str, total: Option<u64>) {
        self.total.store(total.unwrap(), Ordering::Relaxed);
    }

    fn advance(&self, units: u64) {
        self.done.fetch_add(units, Ordering::Relaxed);
    }

    fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

#[test]
fn progress_counts_codes_and_can_stop_the_work() {
    let (_folder, path) = dataset(50, Mode::Flow, Shape::Square, Layout::Arrays);
    let (dataset, place) = (Dataset::open(&path).unwrap(), path.with_extension("codes.h5"));
    let (model, watch) = (Autoencoder::new(config(2), 5), Watch::default());
    let count = encode(&model, &dataset, NonZeroUsize::new(2).unwrap(), &place, &watch).unwrap();
    assert_eq!([watch.total.into_inner(), watch.done.into_inner()], [count; 2]);
    let stopped = Watch { stop: true.into(), ..Watch::default() };
    assert!(matches!(encode(&model, &dataset, one(), &place, &stopped), Err(Error::Interrupted)));
}
