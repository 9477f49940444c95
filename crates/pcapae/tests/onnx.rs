//! Networks written out as ONNX, run by ONNX Runtime and compared with the engine.

#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::fs;
use std::path::Path;

use pcapae::engine::Engine;
use pcapae::fragment::Shape;
use pcapae::model::{Autoencoder, Cell, Frames, Head, ModelConfig, Norm, Part, PredictFrames, Side};

/// The largest difference from the engine's numbers.
const COMPARE: &str = r#"
import json, pathlib, sys
import numpy as np, onnxruntime
try:
    import onnx
except ImportError:
    onnx = None
folder = pathlib.Path(sys.argv[1])
cases = sorted(folder.glob("*.onnx"))
for path in cases:
    if onnx:
        onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    config = json.loads(metadata["config"])
    taken, = session.get_inputs()
    assert taken.name == "frames" and taken.shape[:2] == ["batch", config["frames"]], taken
    names = [output.name for output in session.get_outputs()]
    outputs = ["code", "reconstruction"] + ["logits"] * (config["head"] == "categorical")
    assert names == outputs[:1 if metadata["part"] == "encoder" else 3], names
    read = lambda what: np.fromfile(path.with_suffix("." + what), np.float32)
    everything = read("frames").reshape(-1, *taken.shape[1:])
    for batch in [everything[:1], everything]:
        for output, got in zip(session.get_outputs(), session.run(None, {"frames": batch})):
            assert list(got.shape) == [len(batch)] + output.shape[1:], (path, got.shape, output.shape)
            if output.name == "logits":
                continue
            expected = read(output.name)[:got.size].reshape(got.shape)
            assert np.abs(got - expected).max() < 1e-5, (path.name, output.name, np.abs(got - expected).max())
print(len(cases))
"#;

fn write_floats(path: &Path, values: impl IntoIterator<Item = f32>) {
    fs::write(path, values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
}

/// Bytes with flat stretches, as packets have them.
fn windows(config: &ModelConfig, count: usize) -> Vec<Vec<u8>> {
    let byte = |i: usize| if i % 97 < 30 { 0 } else { (i.wrapping_mul(2_654_435_761) >> 7) as u8 };
    (0..count).map(|w| (0..config.window_size()).map(|i| byte(i + w * 7919)).collect()).collect()
}

/// Writes a network and what the engine makes of five windows.
fn write_case(folder: &Path, number: usize, config: ModelConfig, part: Part) {
    let model = Autoencoder::new(config, number as u64);
    let place = |ending: &str| folder.join(format!("{number:02}.{ending}"));
    fs::write(place("onnx"), model.to_onnx(part).unwrap()).unwrap();
    let windows = windows(&config, 5);
    write_floats(&place("frames"), windows.iter().flatten().map(|byte| f32::from(*byte) / 255.0));
    let windows: Vec<&[u8]> = windows.iter().map(Vec::as_slice).collect();
    let engine = Engine::new(&model);
    write_floats(&place("code"), engine.encode(&windows).into_iter().flatten());
    // The engine takes the frames to predict as a part of the window, but looks at them only for the loss.
    let whole: Vec<Vec<u8>> = windows
        .iter()
        .map(|window| [*window, &vec![0; config.predict_frames.count() * config.side.fragment_size()]].concat())
        .collect();
    let whole: Vec<&[u8]> = whole.iter().map(Vec::as_slice).collect();
    write_floats(&place("reconstruction"), engine.reconstruct(&whole));
}

#[test]
fn onnx_runtime_gives_the_engines_numbers() {
    let Some(python) = test_needs::python(&["onnxruntime"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for cell in [Cell::Gru, Cell::Lstm] {
        let base = ModelConfig { cell, ..ModelConfig::new(Side::Sixteen) };
        let three = Frames::try_from(3).unwrap();
        let [one_ahead, two_ahead] = [1, 2].map(|count| PredictFrames::try_from(count).unwrap());
        cases.extend([
            base,
            ModelConfig { frames: three, ..base },
            ModelConfig { norm: Norm::None, ..base },
            ModelConfig { head: Head::Sigmoid, ..base },
            ModelConfig { shape: Shape::Line, ..base },
            ModelConfig { head: Head::Categorical, ..base },
            ModelConfig { head: Head::Categorical, shape: Shape::Line, frames: three, ..base },
            ModelConfig { shape: Shape::Line, frames: three, norm: Norm::None, head: Head::Sigmoid, ..base },
            ModelConfig { predict_frames: one_ahead, ..base },
            ModelConfig { predict_frames: two_ahead, frames: three, ..base },
            ModelConfig { side: Side::ThirtyTwo, ..base },
            ModelConfig { side: Side::SixtyFour, ..base },
        ]);
    }
    let of_both_parts = |config| [(config, Part::Encoder), (config, Part::Autoencoder)];
    let cases: Vec<(ModelConfig, Part)> = cases.into_iter().flat_map(of_both_parts).collect();
    for (number, (config, part)) in cases.iter().enumerate() {
        write_case(folder.path(), number, *config, *part);
    }
    assert_eq!(python.run(COMPARE, [folder.path()], "").trim(), cases.len().to_string());
}

#[test]
fn the_file_names_the_parameters_that_its_part_needs_and_is_the_same_every_time() {
    let model = Autoencoder::new(ModelConfig::new(Side::Sixteen), 1);
    for part in [Part::Encoder, Part::Autoencoder] {
        let file = model.to_onnx(part).unwrap();
        assert!(file == model.to_onnx(part).unwrap());
        for tensor in model.parameters().shapes() {
            let named = file.windows(tensor.name.len()).any(|bytes| bytes == tensor.name.as_bytes());
            let needed = part == Part::Autoencoder || tensor.name.starts_with("encoder.");
            assert_eq!(named, needed, "{}", tensor.name);
        }
    }
}
