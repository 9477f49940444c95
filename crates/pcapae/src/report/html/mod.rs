//! A detection as one HTML page that needs no network and no other file.

mod shown;

mod levels;

mod relevance;

mod evidence;

mod timeline;

mod view;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::monitor::{Bundle, Detection, Event};
use crate::{Error, Result};
use relevance::Explained;
use shown::strongest;
use timeline::Timeline;
use view::View;

pub use evidence::ReportEvidence;
pub use shown::packets_to_show;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

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
        let unwritable = Error::unwritable("report");
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

/// The source expression of a content security policy for this text.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
}
