//! A model's scores are what its head makes of the engine's residual of each window.

#![allow(clippy::unwrap_used, reason = "this is test code")]

#[path = "shared/fixtures.rs"]
mod fixtures;

use std::collections::BTreeSet;

use fixtures::{cutting, packets, write};
use pcapae::dataset::{Dataset, Layout};
use pcapae::detectors::{PositionSums, ScoringHead, further_columns};
use pcapae::engine::Engine;
use pcapae::fragment::{Mode, Shape};
use pcapae::model::{Autoencoder, Frames, Head, ModelConfig, PredictFrames, Side};
use pcapae::residual::WindowScorer;
use pcapae::scores::{Column, RowPackets, ScoreRow, ScoreTable};

fn scored(scorer: &WindowScorer, dataset: &Dataset) -> ScoreTable {
    let mut table = ScoreTable::new();
    let mut columns: Vec<Column> = further_columns(dataset.mode()).iter().map(|name| Column::new(*name)).collect();
    let mut sink = |row: &ScoreRow, further: &[&str]| {
        table.push(*row);
        assert_eq!(further.len(), columns.len());
        columns.iter_mut().zip(further).for_each(|(column, cell)| column.push(cell));
        Ok(())
    };
    scorer.score(dataset, &mut sink, &()).unwrap();
    columns.into_iter().fold(table, ScoreTable::with_column)
}

fn config(frames: usize, predict: usize, head: Head) -> ModelConfig {
    let (frames, predict_frames) = (Frames::try_from(frames).unwrap(), PredictFrames::try_from(predict).unwrap());
    ModelConfig { frames, predict_frames, head, ..ModelConfig::new(Side::Sixteen) }
}

#[test]
fn scores_are_those_of_all_windows_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    for (config, mode, head) in [
        (config(1, 0, Head::Linear), Mode::Packet, ScoringHead::Mean),
        (config(3, 0, Head::Sigmoid), Mode::Flow, ScoringHead::Sum),
        (config(2, 1, Head::Categorical), Mode::Byte, ScoringHead::Top { k: 8, standardised: false }),
        (config(2, 0, Head::Linear), Mode::Packet, ScoringHead::TOP),
        (config(1, 0, Head::Categorical), Mode::Packet, ScoringHead::TOP),
    ] {
        let path = folder.path().join("in.h5");
        write(&packets(150), cutting(mode, 256, Shape::Square), Layout::Arrays, &path);
        let (model, dataset) = (Autoencoder::new(config, 5), Dataset::open(&path).unwrap());
        let normal = head.is_standardised().then_some(&dataset);
        let scorer = WindowScorer::new(model.clone(), head, normal, &()).unwrap();
        let table = scored(&scorer, &dataset);

        let loaded = dataset.load(&()).unwrap();
        let windows = loaded.windows(config.window_frames());
        assert_eq!(table.len(), windows.len());
        let engine = Engine::new(&model);
        let residuals: Vec<Vec<f32>> = (0..windows.len()).map(|i| engine.residual(&[windows.bytes(i)])).collect();
        let mut sums = PositionSums::default();
        residuals.iter().for_each(|residual| sums.add(residual));
        let floor = if config.head == Head::Categorical { 1.0 } else { 1e-3 };
        let usual = normal.map(|_| sums.standardisation(floor));
        let provenance = dataset.provenance(0..dataset.len()).unwrap();
        for (i, row) in table.rows().enumerate() {
            let expected = head.score(&residuals[i], usual.as_ref());
            assert!((row.score - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{i}: {} {expected}", row.score);
            let first = windows.first_fragment(i);
            let origin = provenance.origin(first..first + config.window_frames()).unwrap();
            assert_eq!((row.window, row.first_packet), (i as u64, Some(origin.first_packet)));
            assert_eq!(
                (row.last_packet, row.time_ns, row.label),
                (Some(origin.last_packet), origin.time_ns, origin.label)
            );
            if mode == Mode::Flow {
                let window = first..first + config.window_frames();
                let held: BTreeSet<u64> =
                    window.flat_map(|i| provenance.packets(i)).map(|(packet, _)| packet).collect();
                let listed = RowPackets::of(&table).unwrap().ranges(i).flatten();
                assert!(listed.eq(held), "window {i}");
            }
        }
    }
}

#[test]
fn what_does_not_suit_the_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.h5");
    write(&packets(2), cutting(Mode::Packet, 256, Shape::Square), Layout::Arrays, &path);
    let dataset = Dataset::open(&path).unwrap();
    let model = |config| Autoencoder::new(config, 1);
    let refusal =
        |model, head, normal: Option<&Dataset>| WindowScorer::new(model, head, normal, &()).unwrap_err().to_string();
    let small = model(config(1, 0, Head::Linear));
    assert!(refusal(small.clone(), ScoringHead::TOP, None).contains("a dataset of normal traffic"));
    assert!(refusal(small, ScoringHead::Top { k: 0, standardised: false }, None).contains("top positions"));
    let large = model(ModelConfig::new(Side::ThirtyTwo));
    assert!(refusal(large, ScoringHead::TOP, Some(&dataset)).contains("32 × 32"));
    let long = WindowScorer::new(model(config(2, 1, Head::Linear)), ScoringHead::Mean, None, &()).unwrap();
    let refused = long.score(&dataset, &mut |_, _| Ok(()), &()).unwrap_err().to_string();
    assert!(refused.contains("shorter than 3 frames"), "{refused}");
}
