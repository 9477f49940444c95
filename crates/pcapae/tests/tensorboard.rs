//! Event files, read by TensorBoard's own readers.

#![cfg(feature = "report")]
#![allow(clippy::unwrap_used, reason = "this is test code")]

use std::fs::File;

use pcapae::report::{
    Ending, EpochRow, EventTime, HyperParameter, TensorBoardFile, TrainingFigure, loss_curve, tensorboard_file_name,
};

/// What TensorBoard makes of the folder given: curves, images, texts, and the hyperparameters as its plugin computes them.
const READ_BACK: &str = r#"
import os, struct, sys
from tensorboard.backend.event_processing import event_accumulator, event_file_loader
folder, stopped = sys.argv[1:]
accumulator = event_accumulator.EventAccumulator(folder, size_guidance={"images": 0}).Reload()
assert accumulator.file_version == 2.0, accumulator.file_version
points = accumulator.Scalars("loss/training")
assert [(p.step, p.value, p.wall_time) for p in points] == [(1, 0.5, 101.25), (2, 0.25, 102.25), (3, 0.125, 103.25)], points
image, = accumulator.Images("image")
png = image.encoded_image_string
assert png[:8] == b"\x89PNG\r\n\x1a\n" and (image.step, image.wall_time) == (3, 103.25)
assert struct.unpack(">II", png[16:24]) == (image.width, image.height) and image.width > image.height > 0
text, = accumulator.Tensors("about")
assert text.tensor_proto.string_val[0] == "**40** fragments/s, größer".encode()

from tensorboard.plugins.hparams import plugin_data_pb2
read = {}
for tag, content in accumulator.PluginTagToContent("hparams").items():
    read[tag] = plugin_data_pb2.HParamsPluginData.FromString(content)
start = read["_hparams_/session_start_info"].session_start_info
kinds = {name: (value.WhichOneof("kind"), getattr(value, value.WhichOneof("kind"))) for name, value in start.hparams.items()}
numbers = {"learning rate": ("number_value", 1e-3), "clip": ("number_value", 0.0)}
assert kinds == {"cell": ("string_value", "gru"), "norm": ("bool_value", True), **numbers}, kinds
assert start.start_time_secs == 100.25
end = read["_hparams_/session_end_info"].session_end_info
assert (end.status, end.end_time_secs) == (1, 104.0), end

loader = event_file_loader.EventFileLoader(stopped)
assert len(list(loader.Load())) == 3, "the version, the hyperparameters and one whole point"
"#;

/// What a TensorBoard that serves the folder given answers to its page: curves, images, texts, and the tab HPARAMS.
const SERVE: &str = r#"
import json, sys, time, urllib.error, urllib.request
from tensorboard import program
board = program.TensorBoard()
board.configure(argv=[None, "--logdir", sys.argv[1], "--port", "0", "--host", "127.0.0.1", "--load_fast", "false"])
address = board.launch().rstrip("/")
def fetch(place, body=None):
    request = urllib.request.Request(address + "/data/plugin/" + place, body and json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    return json.load(urllib.request.urlopen(request, timeout=20))
# The server reads in the background, a file from its beginning to its end, and the ending of the training comes last.
asked = {"startIndex": 0, "sliceSize": 9, "allowedStatuses": ["STATUS_SUCCESS"], "colParams": [{"hparam": "cell"}]}
groups = []
for attempt in range(300):
    try:
        groups = fetch("hparams/session_groups", asked)["sessionGroups"]
    except urllib.error.HTTPError:
        pass
    if groups: break
    time.sleep(0.1)
group, = groups
(run, scalars), = fetch("scalars/tags").items()
assert set(scalars) == {"loss/training", "loss/validation"}, scalars
assert len(fetch(f"scalars/scalars?run={run}&tag=loss%2Ftraining")) == 3
(_, images), = fetch("images/tags").items()
assert set(images) == {"image", "curves"}, images
(_, texts), = fetch("text/tags").items()
assert texts == ["about"], texts
experiment = fetch("hparams/experiment", {"experimentName": ""})
assert {info["name"] for info in experiment["hparamInfos"]} == {"cell", "learning rate", "norm", "clip"}, experiment
assert group["hparams"]["learning rate"] == 1e-3 and group["hparams"]["cell"] == "gru", group
assert group["sessions"][0]["status"] == "STATUS_SUCCESS", group
metrics = {(value["name"]["tag"], value["value"]) for value in group["metricValues"]}
assert ("loss/training", 0.125) in metrics, metrics
"#;

fn write_training(file: File) {
    let at = |epoch: i64| EventTime { step: epoch, wall_time: 100.25 + epoch as f64 };
    let mut board = TensorBoardFile::begin(file, 100.25).unwrap();
    let values = [
        ("cell", HyperParameter::Text("gru".into())),
        ("learning rate", HyperParameter::Number(1e-3)),
        ("norm", HyperParameter::Switch(true)),
        ("clip", HyperParameter::Number(0.0)),
    ];
    board.hyperparameters(100.25, &values).unwrap();
    let mut rows = Vec::new();
    for epoch in 1..=3 {
        let (loss, validation_loss) = (0.5_f64.powi(epoch), 0.75_f64.powi(epoch));
        board.scalar(at(epoch.into()), "loss/training", loss).unwrap();
        board.scalar(at(epoch.into()), "loss/validation", validation_loss).unwrap();
        rows.push(EpochRow {
            epoch: epoch as usize,
            steps: 7 * epoch as u64,
            learning_rate: 1e-3,
            loss,
            validation_loss,
            seconds: 1.0,
            fragments_per_second: 40.0,
            best: true,
        });
    }
    let window: Vec<f32> = (0..2 * 256).map(|at| (at % 256) as f32 / 255.0).collect();
    let code: Vec<f32> = (0..64).map(|at| at as f32 / 32.0 - 1.0).collect();
    let image = TrainingFigure { side: 16, input: &window, code: &code, reconstruction: &window, target: &window };
    board.image(at(3), "image", &image.draw().unwrap()).unwrap();
    board.image(at(3), "curves", &loss_curve(&rows, "mean squared error").unwrap()).unwrap();
    board.text(at(3), "about", "**40** fragments/s, größer").unwrap();
    board.end(104.0, Ending::Done).unwrap();
    board.flush().unwrap();
}

#[test]
fn tensorboard_reads_and_serves_what_was_written() {
    let Some(python) = test_needs::python(&["tensorboard"]) else { return };
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let training = folder.path().join("training");
    std::fs::create_dir(&training).unwrap();
    let whole = training.join(tensorboard_file_name(100.25, "pcapae"));
    write_training(File::create(&whole).unwrap());

    // A run that is killed in the middle of a record.
    let bytes = std::fs::read(&whole).unwrap();
    let mut ends = Vec::new();
    let mut at = 0;
    while let Some((length, _)) = bytes[at..].split_first_chunk() {
        at += 16 + u64::from_le_bytes(*length) as usize;
        ends.push(at);
    }
    let stopped = elsewhere.path().join(tensorboard_file_name(100.25, "pcapae"));
    std::fs::write(&stopped, &bytes[..ends[2] + 20]).unwrap();

    python.run(READ_BACK, [&training, &stopped], "");
    python.run(SERVE, [folder.path()], "");
}
