//! A detection as one HTML page that needs no network and no other file.

mod evidence;

mod relevance;

mod timeline;

mod view;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::explain::ExplainedWindow;
use crate::monitor::{Bundle, Detection, Event, Evidence};
use crate::{Error, Result};
use relevance::Explained;
use timeline::Timeline;
use view::View;

pub use evidence::packets_to_show;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Most events in the table, those with the highest multiples of their thresholds.
const EVENTS_MAX: usize = 2000;

/// Where the bytes of alert packets are.
#[derive(Debug, Clone, Copy)]
pub enum ReportEvidence<'a> {
    /// The captures were read again, [`Bundle::evidence`] with [`packets_to_show`], and what was to be explained was:
    /// [`explain_windows`](crate::explain::explain_windows).
    Shown(&'a Evidence, &'a [ExplainedWindow<'a>]),
    /// They were not kept; why, as a sentence.
    NotKept(&'a str),
}

/// The inputs of the page.
#[derive(Debug, Clone, Copy)]
pub struct HtmlReport<'a> {
    /// The bundle, and its name.
    pub bundle: (&'a Bundle, &'a str),
    /// The detection.
    pub detection: &'a Detection,
    /// Bytes of some of the alert packets.
    pub evidence: ReportEvidence<'a>,
}

impl HtmlReport<'_> {
    /// The page.
    ///
    /// Everything from captures, their names included, is escaped. A content security policy with the hash of the page's own script keeps
    /// the browser from running any other, and from making any request.
    pub fn render(&self) -> Result<String> {
        let shown = strongest(&self.detection.events);
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_template("page", TEMPLATE).map_err(unwritable)?;
        let template = environment.get_template("page").map_err(unwritable)?;
        let page = minijinja::context! {
            view => Value::from(Serde(View::of(self, &shown))),
            style => Value::from_safe_string(STYLE.into()),
            script => Value::from_safe_string(SCRIPT.into()),
            style_hash => hash(STYLE),
            script_hash => hash(SCRIPT),
            data => Value::from_safe_string(self.data(&shown)),
        };
        template.render(page).map_err(unwritable)
    }

    /// What the script draws, as JSON inside a `script` element: no `<` in it can end the element.
    fn data(&self, shown: &[&Event]) -> String {
        let bundle = self.bundle.0;
        let wanted = packets_to_show(&self.detection.events, 0).shown;
        let windows = match self.evidence {
            ReportEvidence::Shown(_, windows) => windows,
            ReportEvidence::NotKept(_) => &[],
        };
        let model = bundle.detectors.model.as_ref();
        let explained = Explained::new(windows, bundle.cutting.mode, model, bundle.normal.as_ref());
        let of_event = |event: &&Event| evidence::of_event(event, &wanted, self.evidence, &explained);
        let events: Vec<_> = shown.iter().map(of_event).collect();
        let data = json!({ "timeline": Timeline::of(self.detection.records.as_ref()).to_json(), "events": events });
        data.to_string().replace('<', "\\u003c")
    }
}

/// The events with the highest multiples of their thresholds, in the order of time.
fn strongest(events: &[Event]) -> Vec<&Event> {
    let mut strongest: Vec<&Event> = events.iter().collect();
    strongest.sort_by(|a, b| b.peak.strength().total_cmp(&a.peak.strength()));
    strongest.truncate(EVENTS_MAX);
    strongest.sort_by_key(|event| event.packets.first());
    strongest
}

/// The source expression of a content security policy for this text.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
}

fn unwritable(error: minijinja::Error) -> Error {
    Error::Unwritable { what: "report", reason: error.to_string() }
}
