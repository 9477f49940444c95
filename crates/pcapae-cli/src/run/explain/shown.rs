//! An explanation and what is said beside it, in whichever form it is wanted.

use std::io::Write;

use pcapae::atomic_file::AtomicFile;
use pcapae::explain::{Explanation, FieldRelevance, by_name, summary};
use pcapae::report::ExplanationFigure;
use serde_json::Value;

use super::settings::Form;
use super::view;
use crate::args::ExplainArgs;
use crate::progress::{Console, print};
use crate::run::input::counted;

/// An explained window, and the fields that mattered.
pub(super) struct Shown<'a> {
    /// What is explained, in one line.
    pub headline: String,
    /// What else is to be said of it, a line each.
    pub remarks: Vec<String>,
    pub explanation: &'a Explanation,
    /// The bytes of the window, frame after frame.
    pub window: &'a [u8],
    /// What each frame is called.
    pub frames: Vec<String>,
    /// The frame that is meant.
    pub frame: usize,
    /// The fields of all that is explained, which may be more than this window.
    pub fields: &'a [FieldRelevance],
    /// Whether they are listed by name, over all packets.
    pub packets_together: bool,
    /// How many of them to list.
    pub top: usize,
}

impl Shown<'_> {
    /// Writes the file that is wanted, or shows the explanation on the terminal.
    pub fn deliver(
        &self,
        args: &ExplainArgs,
        file: Option<(AtomicFile, Form)>,
        json: &Value,
        console: &Console,
    ) -> anyhow::Result<()> {
        let written = file.is_some();
        if let Some((file, form)) = file {
            file.write(&match form {
                Form::Image => self.image()?,
                Form::Json => json.to_string().into_bytes(),
            })?;
        }
        if args.json {
            print(&format!("{json}\n"))?;
        } else if !written {
            // Colours only where they can be seen.
            match anstream::stdout().lock().write_all(view::view(self).as_bytes()) {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
                written => written?,
            }
        } else {
            console.say(&self.headline);
            self.remarks.iter().for_each(|remark| console.say(remark));
            if let Some(summary) = summary(self.fields) {
                console.say(summary);
            }
        }
        Ok(())
    }

    fn image(&self) -> anyhow::Result<Vec<u8>> {
        let mut notes: Vec<String> = summary(self.fields).into_iter().collect();
        if self.packets_together {
            notes.extend(by_name(self.fields).iter().take(5).map(|name| {
                let packets = counted(name.packets as u64, "packet");
                format!("{:5.1} %  {:+.5}  {} of {packets}", name.share * 100.0, name.relevance, name.name)
            }));
        }
        let one_by_one = if self.packets_together { 0 } else { 5 };
        notes.extend(self.fields.iter().take(one_by_one).map(|field| {
            format!(
                "{:5.1} %  {:+.5}  packet {} at {}: {}",
                field.share * 100.0,
                field.relevance,
                field.packet,
                field.offset,
                field.name
            )
        }));
        let notes: Vec<String> = notes.iter().map(|note| note.replace('–', "-")).collect();
        let image = ExplanationFigure {
            explanation: self.explanation,
            window: self.window,
            frame: self.frame,
            title: &self.headline,
            notes: &notes,
        };
        Ok(image.draw()?.png()?)
    }
}
