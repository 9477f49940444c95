//! Event files, in which TensorBoard shows a training: curves, images, texts and hyperparameters.

mod message;

mod record;

use std::io::{self, Write};

use prost::Message;

use super::Image;
use message::{
    Data, Dim, Event, FAILURE, FLOAT, HParamsPluginData, Image as ImageMessage, Kind, Metadata, Plugin, RGB, STRING,
    SUCCESS, Session, SessionEnd, SessionStart, Setting, Shape, Summary, Tensor, Value, What,
};
use record::write_record;

/// What the first record of every event file says.
const FILE_VERSION: &str = "brain.Event:2";

/// When something happened: the training's step, and the time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventTime {
    /// The horizontal axis in TensorBoard: an epoch, or a step of the optimiser.
    pub step: i64,
    /// Seconds since 1970.
    pub wall_time: f64,
}

/// A value of a hyperparameter.
#[derive(Debug, Clone, PartialEq)]
pub enum HyperParameter {
    /// A number, whole or not.
    Number(f64),
    /// One of several names.
    Text(String),
    /// On or off.
    Switch(bool),
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It finished.
    Done,
    /// It failed or was stopped.
    Failed,
}

/// An event file being written: records of TensorFlow's `Event`, in the framing of TFRecord.
///
/// Every record is written at once and nothing is held back, so a training that is killed leaves a file that TensorBoard reads
/// up to the last whole record; over a buffer, [`flush`](TensorBoardFile::flush) after each epoch. Methods fail where the writer
/// does.
#[derive(Debug)]
pub struct TensorBoardFile<W> {
    out: W,
}

impl<W: Write> TensorBoardFile<W> {
    /// Begins a file at `wall_time`, in seconds since 1970.
    pub fn begin(out: W, wall_time: f64) -> io::Result<TensorBoardFile<W>> {
        let mut file = TensorBoardFile { out };
        file.event(EventTime { step: 0, wall_time }, What::FileVersion(FILE_VERSION.into()))?;
        Ok(file)
    }

    /// A point of the curve `tag`.
    pub fn scalar(&mut self, at: EventTime, tag: &str, value: f64) -> io::Result<()> {
        // TensorBoard keeps scalars as f32 whatever it is given.
        self.value(at, tag, None, Data::Scalar(value as f32))
    }

    /// An image of the series `tag`.
    pub fn image(&mut self, at: EventTime, tag: &str, image: &Image) -> io::Result<()> {
        let size = |pixels: usize| i32::try_from(pixels).map_err(io::Error::other);
        let (height, width) = (size(image.height())?, size(image.width())?);
        self.value(at, tag, None, Data::Image(ImageMessage { height, width, colorspace: RGB, encoded: image.png()? }))
    }

    /// A text of the series `tag`; TensorBoard reads it as Markdown.
    pub fn text(&mut self, at: EventTime, tag: &str, text: &str) -> io::Result<()> {
        let tensor = Tensor { dtype: STRING, shape: Some(Shape::default()), strings: vec![text.into()] };
        self.value(at, tag, Some(Plugin { name: "text".into(), content: Vec::new() }), Data::Tensor(tensor))
    }

    /// The hyperparameters of the training, for the tab HPARAMS, which shows it beside the last point of every curve. Once, before the
    /// first epoch.
    ///
    /// TensorBoard shows the curves there only where it is given a folder above the file's: the file belongs in a folder of its
    /// own, which gives the training its name.
    pub fn hyperparameters(&mut self, wall_time: f64, values: &[(&str, HyperParameter)]) -> io::Result<()> {
        let setting = |value: &HyperParameter| match value {
            HyperParameter::Number(number) => Kind::Number(*number),
            HyperParameter::Text(text) => Kind::Text(text.clone()),
            HyperParameter::Switch(on) => Kind::Switch(*on),
        };
        let hparams =
            values.iter().map(|(name, value)| ((*name).into(), Setting { kind: Some(setting(value)) })).collect();
        let start = SessionStart { hparams, start_time_secs: wall_time };
        self.session(wall_time, "_hparams_/session_start_info", Session::Start(start))
    }

    /// How the training ended, for the tab HPARAMS; without it, the training counts as running.
    pub fn end(&mut self, wall_time: f64, ending: Ending) -> io::Result<()> {
        let status = match ending {
            Ending::Done => SUCCESS,
            Ending::Failed => FAILURE,
        };
        let end = SessionEnd { status, end_time_secs: wall_time };
        self.session(wall_time, "_hparams_/session_end_info", Session::End(end))
    }

    /// Flushes the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The HParams plugin reads its messages from the metadata of values that are otherwise empty.
    fn session(&mut self, wall_time: f64, tag: &str, session: Session) -> io::Result<()> {
        let content = HParamsPluginData { session: Some(session) }.encode_to_vec();
        let nothing = Tensor { dtype: FLOAT, shape: Some(Shape { dim: vec![Dim { size: 0 }] }), strings: Vec::new() };
        let plugin = Plugin { name: "hparams".into(), content };
        self.value(EventTime { step: 0, wall_time }, tag, Some(plugin), Data::Tensor(nothing))
    }

    fn value(&mut self, at: EventTime, tag: &str, plugin: Option<Plugin>, data: Data) -> io::Result<()> {
        let metadata = plugin.map(|plugin| Metadata { plugin: Some(plugin) });
        self.event(at, What::Summary(Summary { value: vec![Value { tag: tag.into(), metadata, data: Some(data) }] }))
    }

    fn event(&mut self, at: EventTime, what: What) -> io::Result<()> {
        let event = Event { wall_time: at.wall_time, step: at.step, what: Some(what) };
        write_record(&mut self.out, &event.encode_to_vec())
    }
}

/// The name of an event file begun at `wall_time` (seconds since 1970) on `host`: `events.out.tfevents.1700000000.host.pcapae`.
///
/// TensorBoard finds files by the part `tfevents` and reads those of a folder in the order of their names, so a later run in the
/// same folder continues the curves of an earlier one. Signs in `host` other than letters, digits, `-` and `.` become `-`.
pub fn tensorboard_file_name(wall_time: f64, host: &str) -> String {
    let host: String =
        host.chars().map(|sign| if sign.is_ascii_alphanumeric() || sign == '.' { sign } else { '-' }).collect();
    format!("events.out.tfevents.{:010}.{host}.pcapae", wall_time.max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a file, read with a plain reader of frames.
    fn events(mut bytes: &[u8]) -> Vec<Event> {
        let mut found = Vec::new();
        while let Some((length, _)) = bytes.split_first_chunk() {
            let length = u64::from_le_bytes(*length) as usize;
            found.push(Event::decode(&bytes[12..12 + length]).unwrap());
            bytes = &bytes[16 + length..];
        }
        found
    }

    #[test]
    fn a_file_is_the_version_and_then_what_was_written() {
        let mut file = TensorBoardFile::begin(Vec::new(), 1.5).unwrap();
        file.scalar(EventTime { step: 7, wall_time: 2.5 }, "loss/training", 0.25).unwrap();
        let found = events(&file.out);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].wall_time, &found[0].what), (1.5, &Some(What::FileVersion(FILE_VERSION.into()))));
        let value = Value { tag: "loss/training".into(), metadata: None, data: Some(Data::Scalar(0.25)) };
        assert_eq!((found[1].wall_time, found[1].step), (2.5, 7));
        assert_eq!(found[1].what, Some(What::Summary(Summary { value: vec![value] })));
    }

    #[test]
    fn names_are_those_that_tensorboard_looks_for() {
        assert_eq!(tensorboard_file_name(1.7e9 + 0.7, "plc-7"), "events.out.tfevents.1700000000.plc-7.pcapae");
        assert_eq!(tensorboard_file_name(0.0, "a/b c"), "events.out.tfevents.0000000000.a-b-c.pcapae");
    }
}
