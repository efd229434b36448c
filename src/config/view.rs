//! The configuration for those who ask, and what a change of it may look like.

use serde_json::{Map, Value as Json, json};

use super::keys::{Key, Kind};
use super::live::Live;
use super::partners;
use super::settings::Setting;
use super::value::Value;

impl Live {
    /// Every key by its name: `value` and `default` (null: not set), `origin` (`default`, `file`, `environment`, `flag`
    /// or `runtime`) and in which `place` exactly, `change` (`live`, `reload` or `restart`), whether it is `secret`, and its `doc`.
    /// Secrets are hidden. What will be another from the next start on has it as `pending`.
    #[must_use]
    pub fn view(&self) -> Map<String, Json> {
        let (mut keys, pending) = (Map::new(), self.pending());
        for key in Key::all() {
            let setting = self.settings().get(key.name);
            let shown =
                |setting: &Setting| setting.value.as_ref().map_or(Json::Null, |value| value.shown(key));
            let mut entry = json!({
                "value": shown(setting),
                "default": Value::default_of(key).map_or(Json::Null, |value| value.json()),
                "origin": setting.origin.kind(),
                "place": setting.origin.to_string(),
                "change": key.change(),
                "secret": key.secret,
                "doc": key.doc,
            });
            if let Some(pending) = pending.get(key.name) {
                entry["pending"] = shown(pending);
            }
            keys.insert(key.name.to_owned(), entry);
        }
        keys
    }
}

/// The JSON Schema (2020-12) of a change: an object of live keys and values, null to remove what was set.
#[must_use]
pub fn schema() -> Json {
    let properties: Map<String, Json> = Key::all()
        .filter(|key| key.live && !key.by_reload)
        .map(|key| (key.name.to_owned(), of_key(key)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A change of metrics-collector's configuration",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

fn of_key(key: &Key) -> Json {
    let mut forms = match key.kind {
        Kind::Bool => vec![json!({ "type": "boolean" })],
        Kind::Integer { min, max } => vec![json!({ "type": "integer", "minimum": min, "maximum": max })],
        Kind::Size { min, max } => {
            vec![json!({ "type": "integer", "minimum": min, "maximum": max }), json!({ "type": "string" })]
        }
        Kind::Milliseconds { min, max } => vec![
            json!({ "type": "integer", "minimum": min.as_millis() as u64, "maximum": max.as_millis() as u64 }),
            json!({ "type": "string" }),
        ],
        Kind::Seconds { min, max } => vec![
            json!({ "type": "integer", "minimum": min.as_secs(), "maximum": max.as_secs() }),
            json!({ "type": "string" }),
        ],
        Kind::Choice(words) => vec![json!({ "enum": words })],
        Kind::Brokers | Kind::Properties => {
            vec![json!({ "type": "string" }), json!({ "type": "array", "items": { "type": "string" } })]
        }
        Kind::Partners => vec![partners::schema(), json!({ "type": "string" })],
        _ => vec![json!({ "type": "string" })],
    };
    if key.default.is_none() && matches!(key.kind, Kind::Bool | Kind::Integer { .. } | Kind::Choice(_)) {
        // Unsets what flag, environment or file set.
        forms.push(json!({ "const": "" }));
    }
    forms.push(json!({ "type": "null" }));
    let mut schema = json!({ "description": key.doc, "anyOf": forms });
    if let Some(default) = Value::default_of(key) {
        schema["default"] = default.json();
    }
    if key.secret {
        schema["writeOnly"] = json!(true);
    }
    schema
}
