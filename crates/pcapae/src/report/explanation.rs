//! An explanation as JSON, so that anyone can check that it adds up.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::explain::{ExplainedWindow, Explanation, FieldRelevance, summary};
use crate::monitor::Event;

/// An explanation as a JSON object: `target`, `target_value`, `rule`, `frames`, `side`, `relevance` (row-major, one list a frame),
/// `bias_relevance` and, in the same order, `bias_places`; `fields`, each with `packet`, `offset`, `length`, `name`, `share` and
/// `relevance`; `summary`, null without fields.
///
/// With layer-wise relevance propagation Σ `relevance` + Σ `bias_relevance` = `target_value`.
pub fn explanation_json(explanation: &Explanation, fields: &[FieldRelevance]) -> Value {
    json!({
        "target": explanation.target,
        "target_value": explanation.target_value,
        "rule": explanation.rule,
        "frames": explanation.frames(),
        "side": explanation.side,
        "relevance": explanation.relevance,
        "bias_relevance": explanation.bias.iter().map(|bias| bias.relevance).collect::<Vec<f64>>(),
        "bias_places": explanation.bias.iter().map(|bias| bias.place.as_str()).collect::<Vec<&str>>(),
        "fields": fields.iter().map(field_json).collect::<Vec<Value>>(),
        "summary": summary(fields),
    })
}

/// The explanation of an alert as a JSON object: its number `alert`, all its `packets`, which of them were `explained`, the detectors'
/// `shares` in its highest score; `fields` and `summary` over all explained packets, as in [`explanation_json`]; and in `windows`, for each
/// fragment that was scored, that object with the `packets` in the fragment, its `frame` in the window and its `score`.
pub fn alert_explanation_json(
    event: &Event,
    explained: &BTreeSet<u64>,
    windows: &[ExplainedWindow<'_>],
    fields: &[FieldRelevance],
) -> Value {
    let window = |explained: &ExplainedWindow<'_>| {
        let mut json = explanation_json(&explained.explanation, &explained.fields);
        json["packets"] = explained.window.packets().collect();
        json["frame"] = explained.window.frame.into();
        json["score"] = explained.window.score.into();
        json
    };
    let shares = event.peak.shares().into_iter().map(|(name, share)| (name.to_owned(), Value::from(share)));
    json!({
        "alert": event.number,
        "reason": event.reason,
        "packets": event.packets,
        "explained": explained,
        "shares": Value::Object(shares.collect()),
        "summary": summary(fields),
        "fields": fields.iter().map(field_json).collect::<Vec<Value>>(),
        "windows": windows.iter().map(window).collect::<Vec<Value>>(),
    })
}

fn field_json(field: &FieldRelevance) -> Value {
    json!({
        "packet": field.packet,
        "offset": field.offset,
        "length": field.length,
        "name": field.name,
        "share": field.share,
        "relevance": field.relevance,
    })
}
