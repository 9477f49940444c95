//! Blueprints are fitted to files, kept, read back, and score the same.

#![cfg(feature = "research")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

#[path = "shared/fixtures.rs"]
mod fixtures;

use std::path::{Path, PathBuf};

use fixtures::{cutting, packets, write, write_codes};
use pcapae::Error;
use pcapae::dataset::Layout;
use pcapae::detectors::{Blueprint, Fitted, Input, Rows, SampleFile, Samples};
use pcapae::fragment::{Mode, Shape};
use pcapae::grid_search::{Criterion, Grid, SearchConfig, search};
use pcapae::label::Label;
use pcapae::scores::{ScoreRow, ScoreTable};
use proptest::prelude::*;
use tempfile::TempDir;

/// The blueprints that users begin with, and the grids.
fn examples(folder: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../blueprints")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).collect()
}

/// A folder with a dataset of packets, `in.h5`, one of the same bytes in byte mode, `byte.h5`, and codes, `codes.h5`.
struct Files(TempDir);

impl Files {
    fn new(count: usize) -> Files {
        let files = Files(tempfile::tempdir().unwrap());
        write(&packets(count), cutting(Mode::Packet, 64, Shape::Line), Layout::Arrays, &files.path("in.h5"));
        write(&packets(count), cutting(Mode::Byte, 64, Shape::Line), Layout::Arrays, &files.path("byte.h5"));
        write_codes(&files.path("in.h5"), 2, 6, &files.path("codes.h5"));
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn open(&self, name: &str) -> SampleFile {
        SampleFile::open(&self.path(name)).unwrap()
    }
}

fn scored(fitted: &Fitted, file: &SampleFile) -> ScoreTable {
    let mut table = ScoreTable::new();
    let mut sink = |row: &ScoreRow, _: &[&str]| {
        table.push(*row);
        Ok(())
    };
    assert_eq!(fitted.score_file(file, &mut sink, &()).unwrap(), file.len() as u64);
    table
}

#[test]
fn every_example_is_fitted_kept_and_read_back_with_the_same_scores() {
    let (files, mut seen) = (Files::new(90), Vec::new());
    for path in examples("") {
        let blueprint = Blueprint::open(&path).unwrap();
        seen.push(blueprint.name());
        let on_bytes_only = blueprint.input() != Input::Numbers;
        for name in ["in.h5", "codes.h5"] {
            let file = files.open(name);
            let fitted = match Fitted::fit(&blueprint, &file) {
                Ok(fitted) => fitted,
                Err(Error::Lacking { .. }) if on_bytes_only && name == "codes.h5" => continue,
                Err(refusal) => panic!("{name}: {refusal}"),
            };
            let bytes = fitted.to_bytes().unwrap();
            let again = Fitted::from_bytes(&bytes).unwrap();
            assert_eq!((again.blueprint(), again.rows(), again.count()), (&blueprint, &file.rows(), file.len() as u64));
            assert_eq!(again.sources(), fitted.sources());
            assert_eq!(again.own_threshold(), fitted.own_threshold());
            assert_eq!(scored(&again, &file), scored(&fitted, &file));
            assert!(bytes == again.to_bytes().unwrap(), "{name}: the same detector gives other bytes");
            assert_eq!(fitted.score(&file.samples(0..file.len()).unwrap()).unwrap(), scored(&fitted, &file).scores());
        }
    }
    seen.sort_unstable();
    let mut all = Blueprint::NAMES.to_vec();
    all.sort_unstable();
    assert_eq!(seen, all);
}

#[test]
fn scores_come_with_their_packets_times_and_labels() {
    let files = Files::new(40);
    let blueprint = Blueprint::from_yaml("Mahalanobis").unwrap();
    let codes = files.open("codes.h5");
    let table = scored(&Fitted::fit(&blueprint, &codes).unwrap(), &codes);
    let row = table.row(3);
    assert_eq!((row.window, row.first_packet, row.last_packet, row.label), (3, Some(4), Some(5), Label::Anomalous));
    assert_eq!(row.time_ns, Some(1_600_000_000_003_000_000));
}

#[test]
fn a_threshold_without_contamination_lies_at_the_most_anomalous_training_row() {
    let files = Files::new(60);
    let codes = files.open("codes.h5");
    for name in ["IsolationForest", "LocalOutlierFactor"] {
        let blueprint = Blueprint::from_yaml(&format!("{name}:\n  contamination: 0")).unwrap();
        let fitted = Fitted::fit(&blueprint, &codes).unwrap();
        let threshold = fitted.own_threshold().unwrap();
        if name == "IsolationForest" {
            let highest = scored(&fitted, &codes).scores().iter().copied().fold(f64::NEG_INFINITY, f64::max);
            assert_eq!(threshold, highest);
        }
        assert!(threshold.is_finite());
    }
}

#[test]
fn a_detector_refuses_rows_of_another_kind() {
    let files = Files::new(40);
    let fit = |yaml: &str, name: &str| Fitted::fit(&Blueprint::from_yaml(yaml).unwrap(), &files.open(name));
    let refusal = |fitted: &Fitted, name: &str| {
        let refused = fitted.score_file(&files.open(name), &mut |_, _| panic!("nothing is scored"), &()).unwrap_err();
        assert!(matches!(refused, Error::OtherRows { .. }), "{refused}");
        refused.to_string()
    };
    let on_codes = fit("PrincipalComponents", "codes.h5").unwrap();
    assert!(
        refusal(&on_codes, "in.h5")
            .ends_with("holds fragments of 64 bytes in packet mode, but the detector was fitted to codes of 6 numbers")
    );
    let on_bytes = fit("PrincipalComponents", "in.h5").unwrap();
    assert!(refusal(&on_bytes, "byte.h5").contains("64 bytes in byte mode"));
    assert!(refusal(&on_bytes, "codes.h5").contains("codes of 6 numbers"));
    write_codes(&files.path("in.h5"), 1, 7, &files.path("wide.h5"));
    assert!(refusal(&on_codes, "wide.h5").contains("codes of 7 numbers"));
    assert!(matches!(on_codes.rows(), Rows::Codes { width: 6, .. }));
    assert!(on_codes.score(&Samples::of_numbers(vec![0.0; 7], 7)).is_err());
    // What a detector looks at must be there.
    for yaml in ["LengthRarity", "InterArrival", "PositionHistogram"] {
        assert!(matches!(fit(yaml, "byte.h5"), Err(Error::Lacking { .. })), "{yaml}");
        assert!(matches!(fit(yaml, "codes.h5"), Err(Error::Lacking { .. })), "{yaml}");
    }
    let few = fit("LocalOutlierFactor:\n  n_neighbors: 39", "codes.h5").unwrap_err().to_string();
    assert!(few.contains("39"), "{few}");
}

#[test]
fn a_file_that_is_no_detector_is_refused_with_its_name() {
    let files = Files::new(10);
    let path = files.path("x.safetensors");
    for bytes in [&b""[..], b"precious", &[0; 64], &[255; 64]] {
        std::fs::write(&path, bytes).unwrap();
        assert!(!Fitted::is_recognised(&path).unwrap());
        fixtures::assert_one_sentence(&Fitted::open(&path).unwrap_err(), &path);
    }
    assert!(Fitted::open(Path::new("absent")).is_err());
}

/// A small detector of each kind, as bytes.
fn detectors() -> Vec<Vec<u8>> {
    let files = Files::new(30);
    let small = |name: &&str| match *name {
        "IsolationForest" => "IsolationForest:\n  n_estimators: 2\n  max_samples: 8".to_owned(),
        name => name.to_owned(),
    };
    let fit = |yaml: String| Fitted::fit(&Blueprint::from_yaml(&yaml).unwrap(), &files.open("in.h5")).unwrap();
    Blueprint::NAMES.iter().map(small).map(fit).map(|fitted| fitted.to_bytes().unwrap()).collect()
}

#[test]
fn a_damaged_detector_is_refused_or_scores_but_never_panics() {
    let files = Files::new(30);
    let samples = files.open("in.h5").samples(0..30).unwrap();
    for whole in detectors() {
        let end = |n: usize| n * whole.len() / 64;
        for length in (0..64).map(end) {
            assert!(Fitted::from_bytes(&whole[..length]).is_err());
        }
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(200));
        let damage = prop::collection::vec((0..whole.len(), any::<u8>()), 1..6);
        let checked = runner.run(&damage, |damage| {
            let mut bytes = whole.clone();
            damage.into_iter().for_each(|(at, byte)| bytes[at] = byte);
            match Fitted::from_bytes(&bytes) {
                Ok(fitted) => drop(fitted.score(&samples)),
                Err(fault) => prop_assert!(!fault.to_string().ends_with('.'), "{}", fault),
            }
            Ok(())
        });
        checked.unwrap();
    }
}

#[test]
fn a_grid_is_searched_in_full_and_failures_are_shown() {
    let files = Files::new(60);
    let codes = files.open("codes.h5");
    let config = SearchConfig { points: 200, draws: 2, ..SearchConfig::default() };
    let run = |yaml: &str| search(&Grid::from_yaml(yaml).unwrap(), &codes, &codes, &config, &()).unwrap();
    let found = run("LocalOutlierFactor:\n  n_neighbors: [3, 30, 80]\n  metric: [euclidean, cosine]");
    assert_eq!((found.trials.len(), found.criterion), (6, Criterion::AveragePrecision));
    assert_eq!(found.overlapping, Some(true));
    let by_neighbours = |n: &str| {
        let of = found.trials.iter().filter(|trial| trial.candidate.values[1] == n);
        of.map(|trial| &trial.outcome).collect::<Vec<_>>()
    };
    // 59 rows, 19 in the smallest part of three.
    assert!(
        by_neighbours("3").into_iter().flatten().all(|marks| marks.remarks.is_empty() && marks.stability.is_some())
    );
    assert!(by_neighbours("30").iter().all(|outcome| outcome.as_ref().is_ok_and(|marks| {
        marks.stability.is_none() && marks.remarks[0].starts_with("no stability: ") && marks.average_precision.is_some()
    })));
    assert!(by_neighbours("80").iter().all(|outcome| outcome.is_err()));
    let csv = String::from_utf8(found.to_csv().unwrap()).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "rank,metric,n_neighbors,average_precision,stability,excess_mass,mass_volume,remark");
    assert!(lines[1].starts_with("1,") && lines[6].contains("not fitted: "), "{csv}");
    let best = found.best().unwrap();
    assert!(lines[1].starts_with(&format!("1,{}", best.candidate.values.join(","))));
    // The same search gives the same table.
    assert_eq!(
        run("LocalOutlierFactor:\n  n_neighbors: [3, 30, 80]\n  metric: [euclidean, cosine]").to_csv().unwrap(),
        found.to_csv().unwrap()
    );
}

/// Raw bytes, no labels: stability, excess mass and mass volume decide; a detector on facts has the first alone.
#[test]
fn without_labels_the_other_marks_decide() {
    let files = Files::new(60);
    let mut unlabelled = packets(60);
    unlabelled.iter_mut().for_each(|packet| packet.label = Label::Unknown);
    write(&unlabelled, cutting(Mode::Packet, 64, Shape::Line), Layout::Arrays, &files.path("unlabelled.h5"));
    let (training, validation) = (files.open("in.h5"), files.open("unlabelled.h5"));
    let config = SearchConfig { points: 200, draws: 2, ..SearchConfig::default() };
    let run = |yaml: &str| search(&Grid::from_yaml(yaml).unwrap(), &training, &validation, &config, &()).unwrap();
    let found = run("IsolationForest:\n  n_estimators: [5, 50]");
    assert_eq!((found.criterion, found.base_rate), (Criterion::MeanRank, None));
    for trial in &found.trials {
        let marks = trial.outcome.as_ref().unwrap();
        assert!(marks.average_precision.is_none() && marks.remarks.is_empty());
        assert!(marks.stability.unwrap() > 0.0 && marks.excess_mass.unwrap() > 0.0);
        assert!((0.0..=1.0).contains(&marks.mass_volume.unwrap()));
    }
    let found = run("LengthRarity:\n  length: [true, false]");
    let marks = found.trials[0].outcome.as_ref().unwrap();
    assert!(marks.stability.is_some() && marks.excess_mass.is_none());
    assert!(marks.remarks[0].starts_with("no excess mass: the detector length rarity looks at facts of packets"));
}

#[test]
fn the_example_grids_are_grids() {
    for path in examples("grids") {
        assert_eq!(Grid::open(&path).unwrap().candidates.len(), 12);
    }
}
