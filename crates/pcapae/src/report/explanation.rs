//! An explanation as JSON, so that anyone can check that it adds up.

use serde_json::{Value, json};

use crate::explain::{Explanation, FieldRelevance, summary};

/// An explanation as a JSON object: `target`, `target_value`, `rule`, `frames`, `side`, `relevance` (row-major, one list a frame),
/// `bias_relevance` and, in the same order, `bias_places`; `fields`, each with `packet`, `offset`, `length`, `name`, `share` and
/// `relevance`; `summary`, null without fields.
///
/// With layer-wise relevance propagation Σ `relevance` + Σ `bias_relevance` = `target_value`.
pub fn explanation_json(explanation: &Explanation, fields: &[FieldRelevance]) -> Value {
    let field = |field: &FieldRelevance| {
        json!({
            "packet": field.packet,
            "offset": field.offset,
            "length": field.length,
            "name": field.name,
            "share": field.share,
            "relevance": field.relevance,
        })
    };
    json!({
        "target": explanation.target,
        "target_value": explanation.target_value,
        "rule": explanation.rule,
        "frames": explanation.frames(),
        "side": explanation.side,
        "relevance": explanation.relevance,
        "bias_relevance": explanation.bias.iter().map(|bias| bias.relevance).collect::<Vec<f64>>(),
        "bias_places": explanation.bias.iter().map(|bias| bias.place.as_str()).collect::<Vec<&str>>(),
        "fields": fields.iter().map(field).collect::<Vec<Value>>(),
        "summary": summary(fields),
    })
}
