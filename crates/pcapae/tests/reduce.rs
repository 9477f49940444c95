//! Reducers are fitted, kept, read back and applied; their codes are those of scikit-learn where that has the method, and come with their packets.

#![cfg(feature = "research")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

#[path = "shared/fixtures.rs"]
mod fixtures;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use fixtures::{PacketFixture, cutting, packets, write};
use pcapae::code::Codes;
use pcapae::dataset::{Dataset, Layout};
use pcapae::fragment::{Mode, Shape};
use pcapae::model::Frames;
use pcapae::reduce::{Quality, Reducer, Reduction};
use proptest::prelude::*;
use tempfile::TempDir;

/// Fragments of 64 bytes in a block that is worked on at a time.
const BLOCK: usize = (1 << 20) / 64;

/// A small reducer of each method.
const METHODS: [&str; 6] = [
    r#"{"PCA":{"n_components":7}}"#,
    r#"{"FastICA":{"n_components":5,"max_samples":80}}"#,
    r#"{"KernelPCA":{"n_components":6,"max_samples":60}}"#,
    r#"{"KernelPCA":{"n_components":3,"kernel":"poly","fit_inverse_transform":false}}"#,
    r#"{"SparsePCA":{"n_components":4,"max_iter":20}}"#,
    r#"{"GaussianRandomProjection":{"n_components":9}}"#,
];

fn method(json: &str) -> Reduction {
    serde_json::from_str(json).unwrap()
}

/// A folder of datasets with fragments of 64 bytes in a line.
struct Files(TempDir);

impl Files {
    /// `in.h5`, in packet mode.
    fn new(count: usize) -> Files {
        let files = Files(tempfile::tempdir().unwrap());
        files.write("in.h5", &packets(count), Mode::Packet, 64);
        files
    }

    fn write(&self, name: &str, packets: &[PacketFixture], mode: Mode, size: usize) {
        write(packets, cutting(mode, size, Shape::Line), Layout::Arrays, &self.path(name));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn dataset(&self, name: &str) -> Dataset {
        Dataset::open(&self.path(name)).unwrap()
    }

    fn fit(&self, json: &str, frames: usize) -> Reducer {
        Reducer::fit(&method(json), &self.dataset("in.h5"), Frames::try_from(frames).unwrap(), &()).unwrap()
    }

    fn reduced(&self, reducer: &Reducer, name: &str, stride: usize) -> (Codes, Quality) {
        let place = self.path("codes.h5");
        let stride = NonZeroUsize::new(stride).unwrap();
        let quality = reducer.reduce(&self.dataset(name), stride, &place, &()).unwrap();
        (Codes::open(&place).unwrap(), quality)
    }
}

fn bytes(dataset: &Dataset) -> Vec<u8> {
    let mut bytes = Vec::new();
    dataset.read(0..dataset.len(), &mut bytes).unwrap();
    bytes
}

#[test]
fn every_method_is_fitted_kept_and_read_back_with_the_same_codes() {
    let files = Files::new(120);
    for json in METHODS {
        let reducer = files.fit(json, 1);
        let again = Reducer::from_bytes(&reducer.to_bytes().unwrap()).unwrap();
        assert_eq!((again.reduction(), again.rows(), again.count()), (&method(json), reducer.rows(), 120));
        assert_eq!((again.numbers(), again.sources()), (reducer.numbers(), reducer.sources()));
        let (codes, quality) = files.reduced(&reducer, "in.h5", 1);
        let (same, same_quality) = files.reduced(&again, "in.h5", 1);
        assert_eq!((codes.values(), quality), (same.values(), same_quality), "{json}");
        assert_eq!((codes.len(), codes.width()), (120, reducer.reduction().components()));
        assert_eq!(quality.reconstruction_error.is_some(), !json.contains("false"), "{json}");
        assert!((0.0..=6.0).contains(&quality.entropy) && quality.entropy > 1.0, "{json}: {quality:?}");
        let other = files.fit(json, 1);
        assert!(reducer.to_bytes().unwrap() == other.to_bytes().unwrap(), "{json}: fitted again, it is another");
    }
}

#[test]
fn codes_have_the_provenance_of_their_windows_in_every_mode() {
    for mode in [Mode::Byte, Mode::Packet, Mode::Flow] {
        for (frames, stride) in [(1, 1), (3, 1), (2, 3)] {
            let files = Files::new(90);
            files.write("in.h5", &packets(90), mode, 64);
            let reducer = files.fit(r#"{"PCA":{"n_components":5}}"#, frames);
            let (codes, _) = files.reduced(&reducer, "in.h5", stride);
            let dataset = files.dataset("in.h5");
            let provenance = dataset.provenance(0..dataset.len()).unwrap();
            let loaded = dataset.load(&()).unwrap();
            let windows = loaded.windows(frames).every(stride);
            assert_eq!(codes.len(), windows.len());
            let all = reducer.codes(&(0..windows.len()).map(|i| windows.bytes(i)).collect::<Vec<_>>());
            for i in 0..codes.len() {
                let first = windows.first_fragment(i);
                assert_eq!(codes.origin(i), provenance.origin(first..first + frames));
                assert_eq!(codes.first_fragment(i), Some(first as u64));
                for (got, expected) in codes.code(i).iter().zip(&all[i * 5..]) {
                    assert!((got - expected).abs() < 1e-6, "{got} {expected}");
                }
            }
            let said: serde_json::Value = serde_json::from_str(&codes.description().unwrap().model).unwrap();
            assert_eq!((&said["reduction"]["PCA"]["n_components"], &said["frames"]), (&5.into(), &frames.into()));
        }
    }
}

#[test]
fn blocks_and_threads_change_no_byte() {
    let files = Files::new(BLOCK + 700);
    let run = |threads: usize, json: &str| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let reducer = files.fit(json, 1);
            files.reduced(&reducer, "in.h5", 1);
            (reducer.to_bytes().unwrap(), std::fs::read(files.path("codes.h5")).unwrap())
        })
    };
    for json in [METHODS[0], METHODS[1], METHODS[2], METHODS[4]] {
        assert!(run(1, json) == run(3, json), "{json}");
    }
}

/// Independent components span what principal components do, only otherwise: so they lose the same.
#[test]
fn errors_are_those_of_the_definition() {
    let files = Files::new(200);
    let error = |json: &str| files.reduced(&files.fit(json, 1), "in.h5", 1).1.reconstruction_error.unwrap();
    let by_hand = {
        let bytes = bytes(&files.dataset("in.h5"));
        let mean: Vec<f64> =
            (0..64).map(|i| bytes.chunks(64).map(|row| f64::from(row[i])).sum::<f64>() / 200.0).collect();
        let squares =
            bytes.chunks(64).flatten().zip(mean.iter().cycle()).map(|(byte, mean)| (f64::from(*byte) - mean).powi(2));
        squares.sum::<f64>() / (200.0 * 64.0 * 255.0 * 255.0)
    };
    let of = |n: usize| error(&format!(r#"{{"PCA":{{"n_components":{n}}}}}"#));
    assert!(of(1) < by_hand && of(4) < of(1) && of(40) < of(4));
    let independent = error(r#"{"FastICA":{"n_components":4}}"#);
    assert!((independent - of(4)).abs() < 1e-9, "{independent} {}", of(4));
    assert!(error(r#"{"GaussianRandomProjection":{"n_components":4}}"#) > of(4));
    let sparse = error(r#"{"SparsePCA":{"n_components":4,"alpha":0.5}}"#);
    assert!(sparse >= of(4) && sparse < by_hand, "{sparse} {by_hand}");
}

#[test]
fn random_projection_keeps_distances() {
    let files = Files(tempfile::tempdir().unwrap());
    files.write("in.h5", &packets(60), Mode::Packet, 256);
    // Of 60 windows, 197 numbers keep all squared distances to within a half, very likely (Dasgupta and Gupta).
    let reducer = files.fit(r#"{"GaussianRandomProjection":{"n_components":200}}"#, 1);
    let bytes = bytes(&files.dataset("in.h5"));
    let windows: Vec<&[u8]> = bytes.chunks(256).collect();
    let codes = reducer.codes(&windows);
    let codes: Vec<&[f32]> = codes.chunks(200).collect();
    for a in 0..60 {
        for b in 0..a {
            let far: f64 =
                windows[a].iter().zip(windows[b]).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2) / 65025.0).sum();
            let near: f64 = codes[a].iter().zip(codes[b]).map(|(x, y)| f64::from(x - y).powi(2)).sum();
            assert!(far == 0.0 && near == 0.0 || (0.5..1.5).contains(&(near / far)), "{a} {b}: {far} {near}");
        }
    }
}

/// What scikit-learn gives of windows of 64 bytes.
const SCRIPT: &str = r#"
import sys, json, numpy as np
from sklearn.decomposition import PCA, KernelPCA, SparsePCA
given = json.load(sys.stdin)
train, new = (np.array(given[name], dtype=np.float64).reshape(-1, 64) / 255 for name in ("train", "new"))
def result(fitted):
    codes = fitted.transform(new)
    back = fitted.inverse_transform(codes) if getattr(fitted, "fit_inverse_transform", True) else None
    return {"codes": codes.ravel().tolist(), "error": None if back is None else ((new - back) ** 2).mean()}
json.dump({
    '{"PCA":{"n_components":6}}': result(PCA(6, svd_solver="full").fit(train)),
    '{"KernelPCA":{"n_components":5}}': result(KernelPCA(5, kernel="rbf", fit_inverse_transform=True, eigen_solver="dense").fit(train)),
    '{"KernelPCA":{"n_components":5,"gamma":0.3,"alpha":0.1}}': result(KernelPCA(5, kernel="rbf", gamma=0.3, alpha=0.1, fit_inverse_transform=True, eigen_solver="dense").fit(train)),
    '{"KernelPCA":{"n_components":4,"kernel":"poly","degree":2,"coef0":0.5,"fit_inverse_transform":false}}': result(KernelPCA(4, kernel="poly", degree=2, coef0=0.5, eigen_solver="dense").fit(train)),
    '{"KernelPCA":{"n_components":4,"kernel":"sigmoid","fit_inverse_transform":false}}': result(KernelPCA(4, kernel="sigmoid", eigen_solver="dense").fit(train)),
    '{"KernelPCA":{"n_components":4,"kernel":"linear","fit_inverse_transform":false}}': result(KernelPCA(4, kernel="linear", eigen_solver="dense").fit(train)),
}, sys.stdout)
"#;

#[test]
fn codes_are_those_of_scikit_learn_up_to_their_signs() {
    let Some(python) = test_needs::python(&["sklearn"]) else { return };
    let files = Files::new(400);
    files.write("new.h5", &packets(470)[400..], Mode::Packet, 64);
    let (train, new) = (bytes(&files.dataset("in.h5")), bytes(&files.dataset("new.h5")));
    let given = serde_json::json!({ "train": train, "new": new }).to_string();
    let output = python.run(SCRIPT, [""; 0], &given);
    let expected: BTreeMap<String, serde_json::Value> = serde_json::from_str(&output).unwrap();
    assert_eq!(expected.len(), 6);
    for (json, expected) in expected {
        let reducer = files.fit(&json, 1);
        let (codes, quality) = files.reduced(&reducer, "new.h5", 1);
        let numbers: Vec<f64> = serde_json::from_value(expected["codes"].clone()).unwrap();
        let width = codes.width();
        for i in 0..width {
            let pairs: Vec<(f64, f64)> = (0..70).map(|w| (codes.code(w)[i].into(), numbers[w * width + i])).collect();
            let sign = pairs.iter().map(|(got, wanted)| got * wanted).sum::<f64>().signum();
            let largest = pairs.iter().fold(0.0_f64, |largest, (_, wanted)| largest.max(wanted.abs()));
            for (got, wanted) in pairs {
                assert!((got - sign * wanted).abs() < 1e-5 * largest, "{json}, {i}: {got} instead of {wanted}");
            }
        }
        match (quality.reconstruction_error, expected["error"].as_f64()) {
            (Some(got), Some(wanted)) => assert!((got - wanted).abs() < 1e-6 * wanted, "{json}: {got} {wanted}"),
            (got, wanted) => assert_eq!(got, wanted, "{json}"),
        }
    }
}

#[test]
fn what_cannot_be_fitted_or_applied_is_refused_in_one_sentence_before_any_work() {
    let files = Files::new(40);
    files.write("empty.h5", &[], Mode::Packet, 64);
    files.write("byte.h5", &packets(40), Mode::Byte, 64);
    files.write("large.h5", &packets(40), Mode::Packet, 128);
    let same = vec![packets(1)[0].clone(); 40];
    files.write("same.h5", &same, Mode::Packet, 64);
    let unfit = |json: &str, name: &str, frames: usize| {
        let frames = Frames::try_from(frames).unwrap();
        Reducer::fit(&method(json), &files.dataset(name), frames, &()).unwrap_err().to_string()
    };
    let pca = METHODS[0];
    assert!(unfit(pca, "empty.h5", 1).ends_with("empty.h5 holds no fragment"));
    assert!(unfit(pca, "in.h5", 41).starts_with("there is no window of the dataset"));
    for name in ["PCA", "FastICA", "KernelPCA", "SparsePCA"] {
        let few = unfit(&format!(r#"{{"{name}":{{"n_components":41}}}}"#), "in.h5", 1);
        assert_eq!(few, "n_components 41: expected at most 40, the number of windows");
    }
    for name in ["PCA", "FastICA", "SparsePCA", "GaussianRandomProjection"] {
        let many = unfit(&format!(r#"{{"{name}":{{"n_components":65}}}}"#), "in.h5", 1);
        assert_eq!(many, "n_components 65: expected at most 64, the bytes in a window");
    }
    // The same packet again and again, but for its sequence number.
    let alike = unfit(r#"{"FastICA":{"n_components":9}}"#, "same.h5", 1);
    assert!(alike.ends_with("the number of directions in which the windows vary"), "{alike}");
    assert!(unfit(r#"{"PCA":{"n_components":0}}"#, "in.h5", 1).starts_with("n_components 0"));
    let degree = r#"{"KernelPCA":{"n_components":2,"kernel":"poly","degree":900,"coef0":9.0}}"#;
    assert!(unfit(degree, "in.h5", 1).contains("finite"));

    let reducer = files.fit(pca, 2);
    let place = files.path("codes.h5");
    for (name, expected) in [
        (
            "byte.h5",
            "has fragments of 64 bytes in byte mode, but the reducer has been fitted to fragments of 64 bytes in packet mode",
        ),
        (
            "large.h5",
            "has fragments of 128 bytes in packet mode, but the reducer has been fitted to fragments of 64 bytes in packet mode",
        ),
        ("empty.h5", "holds no fragment"),
    ] {
        let refused = reducer.reduce(&files.dataset(name), NonZeroUsize::MIN, &place, &()).unwrap_err().to_string();
        assert_eq!(refused, format!("{} {expected}", files.path(name).display()));
        assert!(!place.exists(), "refused after work had begun");
    }
}

#[test]
fn a_file_that_is_no_reducer_is_refused_with_its_name() {
    let files = Files::new(1);
    let path = files.path("x.safetensors");
    for bytes in [&b""[..], b"precious", &[0; 64], &[255; 64]] {
        std::fs::write(&path, bytes).unwrap();
        fixtures::assert_one_sentence(&Reducer::open(&path).unwrap_err(), &path);
    }
    assert!(Reducer::open(Path::new("absent")).is_err());
}

#[test]
fn a_damaged_reducer_is_refused_or_reduces_but_never_panics() {
    let files = Files::new(90);
    let windows = bytes(&files.dataset("in.h5"));
    let windows: Vec<&[u8]> = windows.chunks(64).collect();
    for json in METHODS {
        let whole = files.fit(json, 1).to_bytes().unwrap();
        for length in (0..64).map(|n| n * whole.len() / 64) {
            assert!(Reducer::from_bytes(&whole[..length]).is_err());
        }
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(100));
        let header = 0..whole.len().min(900);
        let damage = prop::collection::vec((prop_oneof![header, 0..whole.len()], any::<u8>()), 1..6);
        let checked = runner.run(&damage, |damage| {
            let mut bytes = whole.clone();
            damage.into_iter().for_each(|(at, byte)| bytes[at] = byte);
            match Reducer::from_bytes(&bytes) {
                Ok(reducer) if reducer.rows().width() * reducer.frames().count() == 64 => drop(reducer.codes(&windows)),
                Ok(_) => {}
                Err(fault) => prop_assert!(!fault.to_string().ends_with('.'), "{}", fault),
            }
            Ok(())
        });
        checked.unwrap();
    }
}
